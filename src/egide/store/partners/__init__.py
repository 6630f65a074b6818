"""Partners: upstream registers, entries given to partners, and their feedback."""
