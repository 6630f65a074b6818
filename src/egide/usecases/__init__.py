"""The acts on a register, each implemented once with all its duties; see docs/decisions/0016."""
