"""Recognise what holds pictures or other files: by its first bytes, and by its name."""

from __future__ import annotations

import ast
import re
import struct
from enum import StrEnum
from functools import cache

from egide.media.formats import sniff

IMAGE_SUFFIXES = frozenset(
    {
        *(".apng", ".avif", ".avifs", ".bmp", ".dib", ".gif", ".heic", ".heif", ".hif"),
        *(".jfif", ".jpe", ".jpeg", ".jpg", ".jxl", ".mpo", ".pbm", ".pgm", ".png", ".pnm"),
        *(".ppm", ".tif", ".tiff", ".webp"),
        *(".cur", ".ico", ".j2c", ".j2k", ".jp2", ".jpc", ".jpf", ".jpx", ".pcx", ".psb", ".psd"),
        *(".tga", ".icb", ".vda", ".vst"),
        *(".3fr", ".arw", ".cr2", ".cr3", ".crw", ".dng", ".erf", ".iiq", ".kdc", ".mrw", ".nef"),
        *(".nrw", ".orf", ".pef", ".raf", ".rw2", ".rwl", ".sr2", ".srf", ".srw", ".x3f"),
        *(".bpg", ".dcx", ".dds", ".djvu", ".exr", ".flif", ".hdp", ".icns", ".jls", ".jxr"),
        *(".mng", ".jng", ".xbm", ".xpm", ".wbmp", ".ilbm", ".lbm"),
        *(".dpx", ".ktx", ".ktx2", ".pict"),
        *(".pam", ".pfm", ".qoi", ".wdp", ".xcf"),
    }
)
HEAD_BYTES = 512
"""As many as a tar's first header; all other marks stand before."""


class Kind(StrEnum):
    """A container that is opened."""

    TAR = "tar"
    ZIP = "zip"
    PACKED = "packed"
    """One file, compressed: most often a tar."""
    PARQUET = "parquet"
    ARROW = "arrow"
    RECORDS = "tfrecord"


SUFFIXES: dict[Kind, tuple[str, ...]] = {
    Kind.TAR: (
        *(".tar", ".tar.gz", ".tgz", ".tar.bz2", ".tbz", ".tbz2", ".tar.xz", ".txz"),
        *(".tar.zst", ".tzst", ".tar.lz4", ".tar.lzma", ".tlz", ".cbt"),
    ),
    Kind.ZIP: (".zip", ".cbz"),
    Kind.PACKED: (".gz", ".bz2", ".xz", ".zst", ".lz4", ".lzma"),
    Kind.PARQUET: (".parquet", ".pq"),
    Kind.ARROW: (".arrow", ".feather", ".ipc"),
    Kind.RECORDS: (".tfrecord", ".tfrecords", ".tfrec"),
}
_RECORDS_NAME = re.compile(r"\.tfrec(?:ords?)?-\d+-of-\d+$")
_PART = re.compile(r"\.(?:7z|zip|tar|rar|tar\.\w+|tgz)\.\d{3}$|\.part\d+\.rar$|\.[rz]\d\d$")
PACKED_MAGIC = {
    b"\x1f\x8b": "gzip",
    b"BZh": "bzip2",
    b"\xfd7zXZ\0": "xz",
    b"\x28\xb5\x2f\xfd": "zstd",
    b"\x04\x22\x4d\x18": "lz4",
}
_MAGIC = {
    b"PK\3\4": Kind.ZIP,
    b"PK\5\6": Kind.ZIP,
    b"PAR1": Kind.PARQUET,
    b"PARE": Kind.PARQUET,
    b"ARROW1\0\0": Kind.ARROW,
    **dict.fromkeys(PACKED_MAGIC, Kind.PACKED),
}
_NAMED_MAGIC = {
    b"PK\7\x08PK\3\4": "a part of a split zip archive",
    b"PK00PK\3\4": "a part of a split zip archive",
    b"7z\xbc\xaf\x27\x1c": "a 7-Zip archive",
    b"Rar!\x1a\7": "a RAR archive",
    b"MSCF\0\0\0\0": "a CAB archive",
    b"xar!": "a XAR archive",
    b"hsqs": "a SquashFS image",
    b"!<arch>\n": "an ar archive",
    b"\x1f\x9d": "packed by compress",
    b"LZIP\1": "packed by lzip",
    b"\xff\6\0\0sNaPpY": "packed by Snappy",
    b"**ACE**": "an ACE archive",
    b"\x89HDF\r\n\x1a\n": "an HDF5 file",
    b"FEA1": "a Feather file of version 1",
    b"Obj\1": "an Avro file",
    b"SQLite format 3\0": "an SQLite database",
    b"WARC/": "a WARC archive",
    b"\x0a\x23\xd7\xce": "a RecordIO file",
    b"\x89MCAP0\r\n": "an MCAP file",
    b"#ROSBAG V": "a ROS bag",
    b"SEQ\6": "a Hadoop sequence file",
    b"MATLAB 5.0 MAT-file": "a MATLAB file",
    b"MATLAB 7.3 MAT-file": "a MATLAB file",
    b"\xd7\xcd\xc6\x9a\0\0": "a Windows metafile",
    b"DKIF": "a video",
    b"%PDF-": "a PDF document",
    b"%!PS": "a PostScript document",
    b"AT&TFORM": "a DjVu document",
    b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1": "an Office document",
    b"\x1a\x45\xdf\xa3": "a Matroska or WebM video",
    b"FLV\1": "a Flash video",
    b"0&\xb2u\x8ef\xcf\x11": "a Windows Media file",
    b"\0\0\1\xba": "an MPEG video",
    b"\0\0\1\xb3": "an MPEG video",
    b".RMF\0\0": "a RealMedia video",
}
_NAMED_SUFFIXES = {
    **dict.fromkeys((".7z", ".cb7"), "a 7-Zip archive"),
    **dict.fromkeys((".rar", ".cbr"), "a RAR archive"),
    **dict.fromkeys((".h5", ".hdf5", ".hdf"), "an HDF5 file"),
    ".npz": "a file of NumPy arrays",
    **dict.fromkeys((".pkl", ".pickle", ".pyd", ".joblib"), "a pickle"),
    **dict.fromkeys((".pt", ".pth", ".ckpt"), "a PyTorch file"),
    ".mdb": "an LMDB database",
    **dict.fromkeys((".iso", ".dmg"), "a disk image"),
    **dict.fromkeys((".lzh", ".lha"), "an LHA archive"),
    ".cab": "a CAB archive",
    ".lance": "a Lance file",
    ".br": "packed by Brotli",
    ".mds": "a shard of MosaicML",
    ".beton": "an FFCV file",
    ".safetensors": "a file of tensors",
    **dict.fromkeys((".zz", ".zlib"), "packed by zlib"),
    **dict.fromkeys((".uu", ".uue"), "a file in uuencode"),
    **dict.fromkeys((".wmf", ".emf"), "a Windows metafile"),
    **dict.fromkeys((".dcm", ".dicom"), "a DICOM file"),
    **dict.fromkeys((".array_record", ".arrayrecord"), "an ArrayRecord file"),
    ".orc": "an ORC table",
    ".avro": "an Avro file",
    ".pdf": "a PDF document",
    **dict.fromkeys((".ps", ".eps"), "a PostScript document"),
    **dict.fromkeys((".djvu", ".djv"), "a DjVu document"),
    **dict.fromkeys((".doc", ".ppt", ".xls", ".msg"), "an Office document"),
    **dict.fromkeys((".eml", ".mbox"), "mail"),
    **dict.fromkeys((".mp4", ".m4v", ".mov", ".qt", ".3gp", ".3g2"), "an MP4 video"),
    **dict.fromkeys((".mkv", ".webm"), "a Matroska or WebM video"),
    **dict.fromkeys((".mpg", ".mpeg", ".vob", ".m2ts", ".mts", ".m2v"), "an MPEG video"),
    **dict.fromkeys((".wmv", ".asf"), "a Windows Media file"),
    ".avi": "an AVI video",
    **dict.fromkeys((".flv", ".f4v"), "a Flash video"),
    **dict.fromkeys((".ogv", ".rm", ".rmvb"), "a video"),
}
VIDEOS = frozenset(
    {
        *("a video", "a Matroska or WebM video", "a Flash video", "a Windows Media file"),
        *("an MPEG video", "an MP4 video", "an AVI video", "an Ogg video", "a RealMedia video"),
    }
)
"""What `named` says of a video."""
_OLD_MOVIE = (b"moov", b"mdat", b"wide", b"free", b"skip", b"pnot")
_SOUND = (b"M4A ", b"M4B ", b"M4P ")
_IN_ZIP = ("a PyTorch", "a file of NumPy")
_UUENCODED = re.compile(rb"begin [0-7]{3,4} .+\r?\n")
_CPIO = re.compile(rb"07070[127][0-9A-Fa-f]{30}")
# A skippable frame may stand before the others, of zstd and LZ4 alike.
_SKIPPABLE = re.compile(rb"[\x50-\x5f]\x2a\x4d\x18", re.DOTALL)


def suffix_of(name: str) -> str:
    """Return the lower-case suffix of a path in any notation, with its dot, or ''."""
    base = name.replace("\\", "/").rpartition("/")[2]
    stem, dot, suffix = base.rpartition(".")
    return f".{suffix.lower()}" if dot and stem and len(suffix) <= 10 else ""


def kind_by_name(name: str) -> Kind | None:
    """The kind that a name claims, or None."""
    lower = name.lower()
    if _PART.search(lower):
        return None
    for kind, suffixes in SUFFIXES.items():
        if lower.endswith(suffixes):
            return kind
    return Kind.RECORDS if _RECORDS_NAME.search(lower) else None


def kind_of(head: bytes) -> Kind | None:
    """The kind of the first `HEAD_BYTES`, or None."""
    for magic, kind in _MAGIC.items():
        if head.startswith(magic):
            return kind
    if is_tar(head):
        return Kind.TAR
    if _is_arrow_stream(head):
        return Kind.ARROW
    if _SKIPPABLE.match(head):
        return Kind.PACKED
    if head[:3] == b"\x5d\0\0" and head[5:13] in {b"\xff" * 8, head[5:10] + bytes(3)}:
        return Kind.PACKED  # LZMA without a container
    return Kind.RECORDS if is_record(head) else None


def named(name: str, head: bytes) -> str | None:
    """What a container that is not opened is, in words, by its first bytes; None if it is none."""
    if _PART.search(name.lower()):
        return "a part of a split archive"
    for magic, kind in _NAMED_MAGIC.items():
        if head.startswith(magic):
            return kind
    if _CPIO.match(head):
        return "a cpio archive"
    if head[4:8] == b"ftyp" and head[8:12] not in _SOUND and sniff(head) is None:
        return "an MP4 video"
    if head[4:8] in _OLD_MOVIE and head[:1] == b"\0" and len(head) > 16:
        return "an MP4 video"
    if head[:4] == b"RIFF" and head[8:12] == b"AVI ":
        return "an AVI video"
    if head[128:132] == b"DICM":
        return "a DICOM file"
    if head[:4] == b"\1\0\0\0" and head[40:44] == b" EMF":
        return "a Windows metafile"
    if _UUENCODED.match(head):
        return "a file in uuencode"
    if head.startswith(b"OggS") and b"\x80theora" in head:
        return "an Ogg video"
    if head[:1] == b"G" and head[188:189] == head[376:377] == b"G" and head[1:2] < b"\x60":
        return "an MPEG video" if not head.isascii() or b"\0" in head else None
    if head[16:20] == b"\xde\xc0\xef\xbe":
        return "an LMDB database"
    if head.startswith(b"\x93NUMPY"):
        return "a NumPy array of pixels" if _holds_pixels(head) else None
    if head.startswith(b"PK") and (words := named_by_suffix(name)):
        return words if words.startswith(_IN_ZIP) else None
    return None


def named_by_suffix(name: str) -> str | None:
    """The same by its name, of what has no known first bytes."""
    lower = name.lower()
    return _NAMED_SUFFIXES.get(lower[lower.rfind(".") :]) if "." in lower else None


def is_tar(head: bytes) -> bool:
    """Whether the first block is a tar's header, by its checksum: old ones have no other mark."""
    if len(head) < HEAD_BYTES or not head[0]:
        return False
    try:
        claimed = int(head[148:156].strip(b"\0 "), 8)
    except ValueError:
        return False
    return claimed == sum(head[:148]) + sum(head[156:HEAD_BYTES]) + 8 * 0x20


def is_record(head: bytes) -> bool:
    """Whether a TFRecord's length and its checksum stand here."""
    return len(head) >= 12 and masked(crc32c(head[:8])) == struct.unpack_from("<I", head, 8)[0]


def masked(crc: int) -> int:
    """The form in which TFRecord stores a checksum."""
    return ((crc >> 15 | crc << 17) + 0xA282EAD8) & 0xFFFFFFFF


def crc32c(data: bytes, crc: int = 0) -> int:
    """CRC-32C of a few bytes; of many it takes long."""
    table = crc32c_table()
    crc ^= 0xFFFFFFFF
    for byte in data:
        crc = table[(crc ^ byte) & 0xFF] ^ crc >> 8
    return crc ^ 0xFFFFFFFF


@cache
def crc32c_table() -> tuple[int, ...]:
    """The checksums' table, for the reversed polynomial."""
    table = []
    for value in range(256):
        for _ in range(8):
            value = value >> 1 ^ (0x82F63B78 if value & 1 else 0)  # noqa: PLW2901
        table.append(value)
    return tuple(table)


def _is_arrow_stream(head: bytes) -> bool:
    """Whether a message of Arrow's stream format stands here: a mark, a length, an offset."""
    if head[:4] != b"\xff\xff\xff\xff" or len(head) < 16:
        return False
    length, root = struct.unpack_from("<iI", head, 4)
    return bool(8 <= length < 1 << 28 and length % 8 == 0 and 4 <= root < length)


def _holds_pixels(head: bytes) -> bool:
    """Whether a NumPy file's header tells of what may be pixels."""
    start = 10 if head[6:7] == b"\1" else 12
    try:
        described = ast.literal_eval(head[start:].partition(b"}")[0].decode("latin-1") + "}")
        kind, shape = str(described["descr"]), tuple(described["shape"])
    except (ValueError, SyntaxError, KeyError, AttributeError, TypeError):
        return True  # its first bytes say no better
    if kind.lstrip("|") == "u1":
        return len(shape) > 1
    # Of other numbers, those with one, three or four channels, before or after the sides.
    return (
        len(shape) > 2 and kind[1:2] in "iuf" and not {shape[-1], shape[-3]}.isdisjoint((1, 3, 4))
    )
