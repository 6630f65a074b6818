"""Damaged files of every format, for a bounded number of rounds: only `ItemError` is raised."""

import io
import random

import pytest
from PIL import Image

from drawings import drawings
from egide.domain.model import Limits, Mode
from egide.errors import ItemError
from egide.hashing import fingerprint
from egide.media.jpeg import decode_luma, read_header

pytestmark = pytest.mark.slow
ROUNDS = 400
LIMITS = Limits(max_pixels=4_000_000, max_frames=8)


def seeds(kind: str) -> list[bytes]:
    pictures = [picture for _, picture in drawings(3, size=(120, 90))]
    files = []
    for options in (
        {},
        {"progressive": True} if kind == "JPEG" else {},
        {"save_all": True, "append_images": pictures[1:]}
        if kind in {"GIF", "PNG", "WEBP", "TIFF", "MPO"}
        else {},
    ):
        file = io.BytesIO()
        pictures[0].save(file, kind, **options)
        files.append(file.getvalue())
    if kind in {"PNG", "GIF", "TIFF"}:
        file = io.BytesIO()
        pictures[1].quantize(64).save(file, kind)
        files.append(file.getvalue())
    if kind == "JPEG":
        file = io.BytesIO()
        pictures[1].convert("CMYK").save(file, kind)
        files.append(file.getvalue())
    return files


def mutate(data: bytes, dice: random.Random) -> bytes:
    changed = bytearray(data)
    for _ in range(dice.choice((1, 1, 3, 10, 40))):
        at = dice.randrange(min(len(changed), dice.choice((64, 512, len(changed)))))
        action = dice.randrange(5)
        if action == 0:
            changed[at] = dice.randrange(256)
        elif action == 1:
            changed[at] ^= 1 << dice.randrange(8)
        elif action == 2:
            changed[at : at + 4] = dice.choice((b"\xff\xff\xff\xff", bytes(4), b"\x7f\xff\xff\xff"))
        elif action == 3:
            del changed[at : at + dice.randrange(1, 30)]
        else:
            changed[at:at] = dice.randbytes(dice.randrange(1, 30))
        if len(changed) < 2:
            break
    return bytes(changed)


@pytest.mark.parametrize(
    "kind", ["JPEG", "PNG", "WEBP", "GIF", "AVIF", "TIFF", "BMP", "PPM", "MPO"]
)
def test_mutated_files_raise_item_errors_only(kind):
    dice = random.Random(f"egide {kind}")
    files = seeds(kind)
    said: list[str] = []
    for number in range(ROUNDS):
        data = mutate(files[number % len(files)], dice)
        mode = Mode.FAST if number % 2 else Mode.EXACT
        try:
            found = fingerprint(data, name="item", mode=mode, limits=LIMITS)
        except ItemError as error:
            said.append(error.message)
        else:
            assert found.frames
            assert all(len(frame.variants) == 256 for frame in found.frames)
    assert said
    assert all("item" in message and "object at" not in message for message in said)


def test_mutated_progressive_files_at_an_eighth_fail_as_damaged_files_do():
    dice = random.Random("egide progressive")
    whole = seeds("JPEG")[1]
    assert (header := read_header(whole)) is not None
    assert header.progressive
    refused = 0
    for _ in range(4 * ROUNDS):
        data = mutate(whole, dice)
        header = read_header(data)
        if header is None or header.width * header.height > LIMITS.max_pixels:
            continue
        try:
            luma = decode_luma(data, header, 8)
        except (ValueError, EOFError, OSError):
            refused += 1
        else:
            assert luma.shape == (-(-header.height // 8), -(-header.width // 8))
    assert refused


def test_random_bytes_behind_each_magic_raise_item_errors_only():
    dice = random.Random(5)
    magics = [
        b"\xff\xd8\xff",
        b"\x89PNG\r\n\x1a\n",
        b"GIF89a",
        b"II*\0",
        b"MM\0*",
        b"RIFF\x40\0\0\0WEBP",
        b"BM",
        b"P6\n",
        b"\0\0\0\x18ftypavif",
        b"\0\0\0\x18ftypheic",
        b"\xff\x0a",
    ]
    for magic in magics:
        for mode in Mode:
            for _ in range(20):
                with pytest.raises(ItemError):
                    fingerprint(
                        magic + dice.randbytes(dice.randrange(300)), mode=mode, limits=LIMITS
                    )


def test_pillow_image_on_a_damaged_file_raises_an_item_error():
    whole = seeds("PNG")[0]
    with pytest.raises(ItemError):
        fingerprint(Image.open(io.BytesIO(whole[: len(whole) // 2])))
