"""What all tests in a browser can ask for."""

from firefox_bidi import firefox

__all__ = ["firefox"]
