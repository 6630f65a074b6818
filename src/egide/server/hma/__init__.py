"""Routes and formats of Meta's Hasher-Matcher-Actioner, so that its clients only change a URL.

docs/reference/hma.md lists the differences.
"""

from egide.server.hma.answers import answer_as_hma
from egide.server.hma.callers import identify_caller
from egide.server.hma.mount import OPEN, Mount
from egide.server.hma.routes import hma_router

__all__ = ["OPEN", "Mount", "answer_as_hma", "hma_router", "identify_caller"]
