"""Audits: the source that is read, a folder, an archive or a table, and the output."""

from __future__ import annotations

from egide.errors.base import Failed


class SourceError(Failed):
    """Cannot read {name}: {reason}."""

    code = "source-error"


class SourceMissing(SourceError):
    """No source {name}: check the path or address."""

    code = "source-missing"


class SourceUnreadable(SourceError):
    """Cannot read {name}: {reason}."""

    code = "source-unreadable"


class ListingFailed(SourceError):
    """{name} could not be listed: {reason}."""

    code = "listing-failed"


class SourceUnsupported(SourceError):
    """{name} is not a folder, image, archive, table or hash list: {reason}."""

    code = "source-unsupported"


class SourceTruncated(SourceError):
    """{name} ends too early or is damaged after {items} items: {reason}. Fetch or copy it again."""

    code = "source-truncated"


class SourceExpands(SourceError):
    """Reading {name} stopped after {items} items: it expands to over {limit} bytes, far beyond its size. Raise EGIDE_MAX_EXPANSION if it is sound."""

    code = "source-expands"


class ColumnMissing(SourceError):
    """{name} has no image column{wanted}; its columns are {columns}. Name one with --column."""

    code = "column-missing"


class ColumnUnread(SourceError):
    """{name} was not compared: {reason}."""

    code = "column-unread"


class SourceEncrypted(SourceError):
    """{name} is encrypted: decrypt it first, then audit what comes out."""

    code = "source-encrypted"


class ProtocolUnsupported(SourceError):
    """{name} needs an extra to be read: pip install 'egide[{extra}]'."""

    code = "protocol-unsupported"


class AuditError(Failed):
    """The audit stopped: {reason}."""

    code = "audit-error"


class OutputUnwritable(AuditError):
    """Cannot write to {name}: {reason}. Free space or fix permissions, then run the same command again to go on."""

    code = "output-unwritable"


class OutputUnreadable(AuditError):
    """Cannot read {name}: {reason}. Run the audit again with --fresh to replace it."""

    code = "output-unreadable"


class OutputMismatch(AuditError):
    """{name} holds another audit ({reason}): choose another --out, or add --fresh to replace it."""

    code = "output-mismatch"


class OutputBusy(AuditError):
    """Another audit is writing to {name}: wait for it, or choose another --out."""

    code = "output-busy"


class WorkerFailed(AuditError):
    """A worker stopped while reading {name}: {reason}."""

    code = "worker-failed"


class ClusterUnavailable(AuditError):
    """An audit on a Ray cluster needs an extra: pip install 'egide[ray]'."""

    code = "cluster-unavailable"


class ClusterUnusable(AuditError):
    """The Ray cluster {name} cannot be used: {reason}. What is finished is kept; the same command goes on."""

    code = "cluster-unusable"


class ClusterDiffers(AuditError):
    """The node {node} of the cluster has {theirs}, and this machine has {ours}: install the same on both."""

    code = "cluster-differs"


class SourceNotShared(AuditError):
    """{name} does not exist on the node {node} of the cluster: put it where all nodes find it at the same path, or into an object store."""

    code = "source-not-shared"
