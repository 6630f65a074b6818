"""Routes and shapes of Meta's Hasher-Matcher-Actioner, so that its clients move by changing a URL.

What is another way here than there: docs/hma.md.
"""

from egide.server.hma.routes import hma_router

__all__ = ["hma_router"]
