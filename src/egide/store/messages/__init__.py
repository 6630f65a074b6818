"""Webhooks, and the messages waiting for them."""
