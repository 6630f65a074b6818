"""Banks, entries and revisions in a database."""

from egide.domain.access import Approval, ApprovalState
from egide.domain.model import BankCounts, Outcome, OutcomeKind, Registered, Revision
from egide.domain.partners import Feedback, UpstreamFeedback
from egide.store.idempotency import StoredAnswer
from egide.store.log_check import LogVerdict
from egide.store.log_records import LogRecord
from egide.store.opened import DEFAULT_URL
from egide.store.patches import SealedPatches
from egide.store.reading import ActiveView
from egide.store.store import Store

__all__ = [
    "DEFAULT_URL",
    "ActiveView",
    "Approval",
    "ApprovalState",
    "BankCounts",
    "Feedback",
    "LogRecord",
    "LogVerdict",
    "Outcome",
    "OutcomeKind",
    "Registered",
    "Revision",
    "SealedPatches",
    "Store",
    "StoredAnswer",
    "UpstreamFeedback",
]
