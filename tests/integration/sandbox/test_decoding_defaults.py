"""What a server's defaults let a tiny picture take that claims to be as large as it can."""

from __future__ import annotations

import os
import struct
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import replace
from io import BytesIO
from pathlib import Path

import pytest
from PIL import Image

from egide.errors import DecodeFailed, DecoderCrashed, ImageTooLarge, ImageTruncated
from egide.sandbox.decoding import DecodingPool
from egide.server.settings import ServerSettings

MAX_MIB = 1200
"""`worker_memory_bytes`, and what the libraries of a decoder take before they allocate."""
TOP_SIDE = 16_383
ALLOWED_SIDE = 7_000


@pytest.fixture(scope="module")
def pool() -> Iterator[DecodingPool]:
    # Of memory, that is: a busy machine takes its time over 49 megapixels.
    with DecodingPool(replace(ServerSettings().limits, item_timeout_s=200), 1) as running:
        yield running


def claiming(kind: str, side: int) -> bytes:
    """A picture of 16×16 pixels, whose head says that it is larger."""
    drawn = BytesIO()
    options = {"lossless": True} if kind == "WEBP" else {}
    Image.new("RGB", (16, 16), "grey").save(drawn, kind, **options)
    data = drawn.getvalue()
    if kind == "PNG":
        head = b"IHDR" + struct.pack(">II", side, side) + data[24:29]
        import zlib

        return data[:12] + head + struct.pack(">I", zlib.crc32(head)) + data[33:]
    if kind == "GIF":
        size = struct.pack("<HH", side, side)
        first = data.index(b",", 13)
        return data[:6] + size + data[10 : first + 5] + size + data[first + 9 :]
    if kind == "JPEG":
        at = data.index(b"\xff\xc0") + 5
        return data[:at] + struct.pack(">HH", side, side) + data[at + 4 :]
    if kind == "AVIF":
        at = data.index(b"ispe") + 8
        return data[:at] + struct.pack(">II", side, side) + data[at + 8 :]
    at = data.index(b"VP8L") + 9
    (bits,) = struct.unpack("<I", data[at : at + 4])
    bits = bits & ~0xFFFFFFF | (side - 1) | (side - 1) << 14
    return data[:at] + struct.pack("<I", bits) + data[at + 4 :]


FIRST = {("WEBP", True), ("JPEG", False)}
"""The others come of the same code, and their libraries take less."""


@pytest.mark.parametrize(
    ("kind", "exact"),
    [
        pytest.param(kind, exact, marks=() if (kind, exact) in FIRST else pytest.mark.slow)
        for kind in ("WEBP", "PNG", "GIF", "JPEG", "AVIF")
        for exact in (False, True)
    ],
)
def test_tiny_picture_takes_little_whatever_it_claims(
    pool: DecodingPool, kind: str, exact: bool
) -> None:
    with pytest.raises(ImageTooLarge):
        pool.fingerprint(claiming(kind, TOP_SIDE), exact=exact)
    with suppress(DecodeFailed, ImageTruncated, DecoderCrashed):
        pool.fingerprint(claiming(kind, ALLOWED_SIDE), exact=exact)
    assert max(_most_mib()) < MAX_MIB


def _most_mib() -> Iterator[float]:
    """What each child of this process has taken at most."""
    for task in Path("/proc/self/task").iterdir():
        for pid in (task / "children").read_text().split():
            status = Path(f"/proc/{pid}/status").read_text()
            if "VmHWM" in status:
                yield int(status.partition("VmHWM:")[2].split()[0]) / 1024


def test_defaults_are_those_that_it_is_deployed_with() -> None:
    environment = Path(__file__).parents[3] / "deploy" / "environment"
    said = dict(
        line.split("=", 1) for line in environment.read_text("utf-8").splitlines() if "=" in line
    )
    limits = ServerSettings().limits
    for name, value in said.items():
        field = name.removeprefix("EGIDE_").removeprefix("#EGIDE_").lower()
        if hasattr(limits, field) and name not in os.environ:
            assert float(value) == getattr(limits, field), name
