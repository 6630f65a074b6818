"""The register over HTTP: a thin layer on the store, the live index and the decoders."""
