"""Egide: keep intimate images shared without consent out of platforms and datasets.

    import egide

    with egide.open_store("sqlite:///egide.db") as store:
        for finding in egide.audit(["dataset/"], store, out="audit/"):
            print(finding)

Everything here is imported at its first use, so that `import egide` is quick.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

from egide._version import __version__

if TYPE_CHECKING:
    from egide.auditing.progress import Progress
    from egide.auditing.proof.attest import attest
    from egide.auditing.proof.inclusion import include
    from egide.auditing.proof.verify import Verification, verify
    from egide.auditing.purge.report import PurgeReport
    from egide.auditing.purge.run import Purge, PurgeProgress
    from egide.auditing.purge.run import Purge as purge  # noqa: N813 - called like a function
    from egide.auditing.purge.undo import Undone, undo_purge
    from egide.auditing.remote import RemoteRegister
    from egide.auditing.report.report import write_report
    from egide.auditing.rows import GapRow, MatchRow
    from egide.auditing.run import Audit
    from egide.auditing.run import Audit as audit  # noqa: N813 - called like a function
    from egide.auditing.summary import AuditSummary, GapSummary
    from egide.domain.coverage import Gap, GapKind, gaps_within
    from egide.domain.model import (
        AnchoredEvidence,
        AnchoredQuery,
        Bank,
        Entry,
        Fingerprint,
        KeypointEvidence,
        Limits,
        Match,
        Mode,
        Pdq,
        Rectangle,
        Region,
        Registration,
        Signal,
        State,
        Transform,
        Trust,
    )
    from egide.domain.policy import Action, Decision, Reason
    from egide.errors import EgideError, ItemError, KeypointsError
    from egide.hashing import fingerprint
    from egide.hashlist import BadLine, HashListFormat
    from egide.live.searching import open_store
    from egide.store import Store
    from egide.usecases.banks import create_bank, empty_bank, update_bank
    from egide.usecases.check import Answer, Checked, check, match
    from egide.usecases.export import export_hashes
    from egide.usecases.guard import Guard
    from egide.usecases.guard import Guard as guard  # noqa: N813 - called like a function
    from egide.usecases.guard_summary import GuardSummary
    from egide.usecases.import_lists import ImportReport, import_hashes
    from egide.usecases.register import RegisteredFile, register
    from egide.usecases.withdraw import (
        confirm,
        dispute,
        drop_keypoints,
        expire,
        tombstone,
        withdraw,
        withdraw_source,
    )

_HOMES = {
    "egide.auditing.purge.report": ("PurgeReport",),
    "egide.auditing.purge.run": ("Purge", "PurgeProgress"),
    "egide.auditing.purge.undo": ("Undone", "undo_purge"),
    "egide.auditing.proof.attest": ("attest",),
    "egide.auditing.proof.inclusion": ("include",),
    "egide.auditing.proof.verify": ("Verification", "verify"),
    "egide.auditing.remote": ("RemoteRegister",),
    "egide.auditing.report.report": ("write_report",),
    "egide.auditing.rows": ("GapRow", "MatchRow"),
    "egide.auditing.progress": ("Progress",),
    "egide.auditing.run": ("Audit",),
    "egide.auditing.summary": ("AuditSummary", "GapSummary"),
    "egide.domain.coverage": ("Gap", "GapKind", "gaps_within"),
    "egide.usecases.check": ("Answer", "Checked", "check", "match"),
    "egide.usecases.export": ("export_hashes",),
    "egide.usecases.guard": ("Guard",),
    "egide.usecases.guard_summary": ("GuardSummary",),
    "egide.usecases.import_lists": ("ImportReport", "import_hashes"),
    "egide.usecases.banks": ("create_bank", "empty_bank", "update_bank"),
    "egide.usecases.register": ("RegisteredFile", "register"),
    "egide.usecases.withdraw": (
        "confirm",
        "dispute",
        "drop_keypoints",
        "expire",
        "tombstone",
        "withdraw",
        "withdraw_source",
    ),
    "egide.live.searching": ("open_store",),
    "egide.errors": ("EgideError", "ItemError", "KeypointsError"),
    "egide.hashing": ("fingerprint",),
    "egide.hashlist": ("BadLine", "HashListFormat"),
    "egide.domain.model": (
        "AnchoredEvidence",
        "AnchoredQuery",
        "Bank",
        "Entry",
        "Fingerprint",
        "Limits",
        "Match",
        "Mode",
        "KeypointEvidence",
        "Pdq",
        "Rectangle",
        "Region",
        "Registration",
        "Signal",
        "State",
        "Transform",
        "Trust",
    ),
    "egide.domain.policy": ("Action", "Decision", "Reason"),
    "egide.store": ("Store",),
}
_CALLED = {"audit": "Audit", "guard": "Guard", "purge": "Purge"}
"""Classes under the name of what they do: they are called like functions."""
_HOME_OF = {name: home for home, names in _HOMES.items() for name in names}

__all__ = [
    "Action",
    "AnchoredEvidence",
    "AnchoredQuery",
    "Answer",
    "Audit",
    "AuditSummary",
    "BadLine",
    "Bank",
    "Checked",
    "Decision",
    "EgideError",
    "Entry",
    "Fingerprint",
    "Gap",
    "GapKind",
    "GapRow",
    "GapSummary",
    "Guard",
    "GuardSummary",
    "HashListFormat",
    "ImportReport",
    "ItemError",
    "KeypointEvidence",
    "KeypointsError",
    "Limits",
    "Match",
    "MatchRow",
    "Mode",
    "Pdq",
    "Progress",
    "Purge",
    "PurgeProgress",
    "PurgeReport",
    "Reason",
    "Rectangle",
    "Region",
    "RegisteredFile",
    "Registration",
    "RemoteRegister",
    "Signal",
    "State",
    "Store",
    "Transform",
    "Trust",
    "Undone",
    "Verification",
    "__version__",
    "attest",
    "audit",
    "check",
    "confirm",
    "create_bank",
    "dispute",
    "drop_keypoints",
    "empty_bank",
    "expire",
    "export_hashes",
    "fingerprint",
    "gaps_within",
    "guard",
    "import_hashes",
    "include",
    "match",
    "open_store",
    "purge",
    "register",
    "tombstone",
    "undo_purge",
    "update_bank",
    "verify",
    "withdraw",
    "withdraw_source",
    "write_report",
]


def __getattr__(name: str) -> Any:
    if name in _CALLED:
        return __getattr__(_CALLED[name])
    if name not in _HOME_OF:
        raise AttributeError(f"module 'egide' has no attribute {name!r}")
    value = getattr(import_module(_HOME_OF[name]), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return __all__
