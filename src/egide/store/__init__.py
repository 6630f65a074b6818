"""Banks, entries and revisions in a database."""

from egide.store.opened import DEFAULT_URL
from egide.store.patches import SealedPatches
from egide.store.reading import ActiveView
from egide.store.records import BankCounts, Outcome, OutcomeKind, Registered, Revision
from egide.store.store import Store

__all__ = [
    "DEFAULT_URL",
    "ActiveView",
    "BankCounts",
    "Outcome",
    "OutcomeKind",
    "Registered",
    "Revision",
    "SealedPatches",
    "Store",
]
