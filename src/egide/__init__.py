"""Egide: keep intimate images shared without consent out of platforms and datasets."""

from egide._version import __version__

__all__ = ["__version__"]
