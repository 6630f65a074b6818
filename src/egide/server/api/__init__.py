"""The routes of API v1: one module per noun, each with a `router`."""
