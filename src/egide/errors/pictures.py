"""One item, mostly a picture: what cannot be fingerprinted costs a row, never the run."""

from __future__ import annotations

from egide.errors.base import Exit, Invalid, TooLarge


class ItemError(Invalid):
    """Cannot use {name}: {reason}."""

    code = "item-error"
    exit = Exit.FAILED  # the command was right, and what it read was not


class FileMissing(ItemError):
    """No file {name}: check the path."""

    code = "file-missing"


class FileUnreadable(ItemError):
    """Cannot read {name}: {reason}. Check its permissions and the disk."""

    code = "file-unreadable"


class FileEmpty(ItemError):
    """{name} is empty (0 bytes): fetch or copy it again."""

    code = "file-empty"


class FileTooLarge(TooLarge, ItemError):
    """{name} has {size} bytes, over the limit of {limit}: raise EGIDE_MAX_FILE_BYTES to read it."""

    code = "file-too-large"


class NotAnImage(ItemError):
    """{name} is not an image in a known format."""

    code = "not-an-image"


class FormatUnsupported(ItemError):
    """{name} is {format}, which needs an extra: pip install 'egide[{extra}]'."""

    code = "format-unsupported"


class KindUnsupported(ItemError):
    """{name} is {format}, and Egide does not read this kind: {reason}. Save it as PNG or JPEG."""

    code = "kind-unsupported"


class DecodeFailed(ItemError):
    """Cannot decode {name}: {reason}. The file is damaged: fetch or save it again."""

    code = "decode-failed"


class ImageTruncated(ItemError):
    """{name} ends before its picture does: fetch or copy it again."""

    code = "image-truncated"


class PixelsMissing(ItemError):
    """{name} is cut: {share} of its picture was read and compared. Fetch or copy it again."""

    code = "pixels-missing"


class FramesSkipped(ItemError):
    """Frames of {name} that were not looked at: {skipped}. Raise EGIDE_MAX_FRAMES, for large frames EGIDE_MAX_PIXELS too; fetch the file again if it breaks off."""

    code = "frames-skipped"


class ImageTooLarge(ItemError):
    """{name} is {width}×{height} pixels, over the limit of {limit}: raise EGIDE_MAX_PIXELS to read it."""

    code = "image-too-large"


class ImageTooSmall(ItemError):
    """{name} is {width}×{height} pixels; a fingerprint needs at least 5×5."""

    code = "image-too-small"


class VideoUnreadable(ItemError):
    """Cannot read the video {name}: {reason}. Play it, and save it again as MP4 or WebM."""

    code = "video-unreadable"


class VideoTooLarge(TooLarge, ItemError):
    """The video {name} is over a limit: {reason}. Raise {setting} to read it."""

    code = "video-too-large"


class VideoSkipped(ItemError):
    """Half seconds of the video {name} that were not looked at: {skipped}. It is damaged or cut, has a second track, or is over EGIDE_MAX_VIDEO_S or EGIDE_VIDEO_TIMEOUT_S: raise them, or fetch it again."""

    code = "video-skipped"


class ValueMissing(ItemError):
    """No picture in {name}: {reason}."""

    code = "value-missing"


class LinkNotFollowed(ItemError):
    """{name} is a link, which is not followed: name its target as a source of its own."""

    code = "link-not-followed"


class ObjectUnreadable(ItemError):
    """Cannot read {name}: {reason}."""

    code = "object-unreadable"


class KeyUnreadable(ItemError):
    """{name} is an object whose key ends in a slash: copy it to another key to have it read."""

    code = "key-unreadable"


class ArchiveNotOpened(ItemError):
    """{name} is an archive inside too many others: unpack it, or raise EGIDE_MAX_NESTING."""

    code = "archive-not-opened"


class ArchiveUnsupported(ItemError):
    """{name} is {format}, which is not opened: take the pictures out of it, then audit those."""

    code = "archive-unsupported"


class MemberEncrypted(ItemError):
    """{name} is encrypted: unpack it with its password first."""

    code = "member-encrypted"


class DecoderCrashed(ItemError):
    """The decoder crashed on {name}. The file is damaged or hostile: examine it in isolation."""

    code = "decoder-crashed"


class DecodeTimeout(ItemError):
    """Decoding {name} took over {limit_s} s: raise EGIDE_ITEM_TIMEOUT_S, for a video EGIDE_VIDEO_TIMEOUT_S, if the file is sound."""

    code = "decode-timeout"
