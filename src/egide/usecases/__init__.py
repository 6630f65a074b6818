"""What people do with a register: each act once, with all its duties; see docs/decisions/0016."""
