"""Purges: the set that is purged, its target, its quarantine, and the register that allows it."""

from __future__ import annotations

from egide.errors.base import Failed, Invalid


class PurgeError(Failed):
    """The purge stopped: {reason}."""

    code = "purge-error"


class PurgeInvalid(Invalid):
    """This purge cannot be: {reason}."""

    code = "purge-invalid"


class PurgeBusy(PurgeError):
    """Another purge works from {name}: wait for it."""

    code = "purge-busy"


class PurgeUnfinished(PurgeError):
    """An earlier purge from {name} is not finished: run it again as it was ({how}), or undo one in place with --undo."""

    code = "purge-unfinished"


class PurgeDone(PurgeError):
    """The set was purged in place from {name}: audit it again for another purge, or put everything back with --undo."""

    code = "purge-done"


class PurgeOtherStore(PurgeError):
    """The audit in {name} was made with another store: name that one with --store. If it is not yours, --without-store takes the word of the audit."""

    code = "purge-other-store"


class PurgeNothingToUndo(PurgeError):
    """No purge in place was made from {name}: there is nothing to put back."""

    code = "purge-nothing-to-undo"


class TargetNotEmpty(PurgeError):
    """{name} is not empty: name a folder that is empty or does not exist."""

    code = "target-not-empty"


class TargetWithin(PurgeError):
    """{name} and {other} stand within one another: choose another place."""

    code = "target-within"


class TargetNotShared(PurgeError):
    """{name} is another folder on the node {node} of the cluster: name one that all nodes share, or an object store."""

    code = "target-not-shared"


class TargetUnwritable(PurgeError):
    """Cannot write to {name}: {reason}. Free space or fix permissions, then run the same command again to go on."""

    code = "target-unwritable"


class SourcesOverlap(PurgeError):
    """{name} stands within {other}: audit them as one source, then purge."""

    code = "sources-overlap"


class ManifestExists(PurgeError):
    """{name} exists already, and a manifest replaces no file: name another."""

    code = "manifest-exists"


class ManifestMismatch(PurgeError):
    """{name} was audited otherwise than it is now: {reason}. Audit it again."""

    code = "manifest-mismatch"


class ContainerLeft(PurgeError):
    """{name} was left as it is: {reason}."""

    code = "container-left"


class ContainerChanged(ContainerLeft):
    """{name} was left as it is, since it changed after the audit ({reason}): audit it again."""

    code = "container-changed"


class ContainerMissing(ContainerLeft):
    """{name} is missing or cannot be read ({reason}): bring it back, or audit again."""

    code = "container-missing"


class ContainerUnsupported(ContainerLeft):
    """{name} was left as it is, since no such file can be rewritten: {reason}."""

    code = "container-unsupported"


class ContainerNotVerified(ContainerLeft):
    """{name} was left as it is, since what was written differs from what should be: {reason}."""

    code = "container-not-verified"
