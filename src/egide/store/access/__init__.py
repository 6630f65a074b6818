"""Access: keys, approvals, staff, sessions, and stored answers for repeated requests."""
