"""Banks and entries: the statements that read and change them."""
