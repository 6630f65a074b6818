"""The register in memory: it follows the store, is rebuilt beside it, and answers what matches."""
