"""Egide's values and pure rules; nothing here knows a database, a network or a picture."""
