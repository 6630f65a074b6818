"""Read and change banks and entries."""
