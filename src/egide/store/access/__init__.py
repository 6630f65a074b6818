"""Who may do what: keys, approvals, staff, sessions, and answers that may be repeated."""
