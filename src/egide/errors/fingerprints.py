"""Fingerprints: in hash lists, in the search snapshot, and as keypoints under their key."""

from __future__ import annotations

from egide.errors.base import Failed, Invalid
from egide.errors.pictures import ItemError


class HashInvalid(Invalid):
    """Not a {signal} value: expected {digits} hexadecimal digits."""

    code = "hash-invalid"


class AnchoredInvalid(Invalid):
    """Not the anchored hashes of a picture: {reason}."""

    code = "anchored-invalid"


class VideoInvalid(Invalid):
    """Not the times of a video's frames: {reason}."""

    code = "video-invalid"


class LineError(ItemError):
    """Line {line}: {reason}."""

    code = "line-invalid"


class HashKindUnsure(Invalid):
    """Cannot tell whether the values of 64 digits in {name} are PDQ or SHA-256: of {count}, {ones} have exactly 128 ones, as a PDQ has nearly always. Say it with --type pdq or --type sha256."""

    code = "hash-kind-unsure"


class ListUnreadable(Failed):
    """{name} is no hash list that can be read: {reason}."""

    code = "hash-list-unreadable"


class SchemaTooNew(Failed):
    """{name} has hash-list schema {found}; this Egide reads up to {expected}: upgrade Egide."""

    code = "schema-too-new"


class NothingToCompare(Failed):
    """Nothing was compared: {reason}. Enable a bank, name another, or register something first."""

    code = "nothing-to-compare"


class SnapshotError(Failed):
    """The search snapshot {name} cannot be used: {reason}."""

    code = "snapshot-error"


class SnapshotMissing(SnapshotError):
    """No search snapshot {name}: run the command again, which builds it from the store."""

    code = "snapshot-missing"


class SnapshotDamaged(SnapshotError):
    """The search snapshot {name} is damaged: {reason}. Delete it; it is rebuilt from the store."""

    code = "snapshot-damaged"


class SnapshotVersion(SnapshotError):
    """The search snapshot {name} has format {found}; this Egide reads {expected}. Delete it; it is rebuilt from the store."""

    code = "snapshot-version"


class SnapshotNotRemoved(SnapshotError):
    """Done, but the search snapshot {name} cannot be removed: {reason}. Delete it: it still holds erased fingerprints."""

    code = "snapshot-not-removed"


class SnapshotUnwritable(SnapshotError):
    """Cannot write the search snapshot {name}: {reason}. Name another folder with EGIDE_SNAPSHOT_DIR."""

    code = "snapshot-unwritable"


class KeypointsError(Failed):
    """Patches cannot be used: {reason}."""

    code = "patches-error"


class KeypointsNotServed(KeypointsError):
    """{matcher} has entries with patches, which no register compares over the network: audit against its store to find copies by them."""

    code = "patches-not-served"


class KeypointsUnavailable(KeypointsError):
    """Patches need an extra: pip install 'egide[patches]'."""

    code = "patches-unavailable"


class KeypointKeyMissing(KeypointsError):
    """No patch key: set EGIDE_PATCH_KEY or EGIDE_PATCH_KEY_FILE, or make one with `egide key patches`."""

    code = "patch-key-missing"


class KeypointKeyInvalid(KeypointsError):
    """The patch key in {name} cannot be used: {reason}."""

    code = "patch-key-invalid"


class KeypointKeyWrong(KeypointsError):
    """The patches in {store} were sealed with another patch key: set that one. If it is lost, erase them with `egide bank drop-patches`."""

    code = "patch-key-wrong"


class KeypointKeyExists(KeypointsError):
    """{name} exists already, and a patch key is never replaced, since what it sealed would be lost: name another file."""

    code = "patch-key-exists"


class KeypointsDamaged(KeypointsError):
    """The patches of entry {entry} are damaged: register its picture again with --patches."""

    code = "patches-damaged"
