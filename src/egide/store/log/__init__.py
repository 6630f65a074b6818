"""The log: a chain of records, and its check."""
