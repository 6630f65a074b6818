"""Banks, entries and revisions in a database."""

from egide.domain.access import Approval, ApprovalState
from egide.domain.model import BankCounts, Outcome, OutcomeKind, Registered, Revision
from egide.domain.partners import Feedback, UpstreamFeedback
from egide.store.access.idempotency import StoredAnswer
from egide.store.entries.anchored import ActiveAnchored
from egide.store.entries.entries import ActiveView
from egide.store.entries.keypoints import SealedKeypoints
from egide.store.log.check import LogVerdict
from egide.store.log.records import LogRecord
from egide.store.store import DEFAULT_URL, Store

__all__ = [
    "DEFAULT_URL",
    "ActiveAnchored",
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
    "SealedKeypoints",
    "Store",
    "StoredAnswer",
    "UpstreamFeedback",
]
