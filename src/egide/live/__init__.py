"""The register in memory: it follows the store, rebuilds its snapshot, and finds matches."""
