"""Cases: images that people registered, and access to them by number and PIN."""
