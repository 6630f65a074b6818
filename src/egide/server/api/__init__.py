"""The routes of API v1, one module a noun; each offers its `router`."""
