"""The register over HTTP: a thin shell around the store, the live index and the decoders."""
