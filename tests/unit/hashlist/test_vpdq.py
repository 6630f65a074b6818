"""vPDQ's forms of a video are read, and written so that they come back."""

import io
import json

import pytest

from egide.domain.model import Fingerprint, Pdq
from egide.domain.video import Track
from egide.errors import VideoInvalid
from egide.hashlist import read_hash_list
from egide.hashlist.vpdq import (
    folded,
    is_vpdq_line,
    parse_vpdq,
    parse_vpdq_line,
    vpdq_lines,
)

A, B = bytes.fromhex("a5" * 32), bytes.fromhex("3c" * 32)
TRACK = Track((0, 1000, 2500), (1000, 1500, 3500), 3500)


def test_lines_come_back():
    print_ = Fingerprint((Pdq(A, 90), Pdq(B, 60), Pdq(A, 80)), video=TRACK)
    lines = list(vpdq_lines(print_))
    assert lines[2] == f"2,60,{B.hex()},1.000"
    assert all(map(is_vpdq_line, lines))
    assert folded(map(parse_vpdq_line, lines)) == ((A, B, A), TRACK, 90)


def test_both_forms_of_a_value_are_read():
    new = json.dumps([f"{A.hex()},100,0.0", f"{B.hex()},49,1.0", f"{B.hex()},77,1.2e+01"])
    old = json.dumps(
        {
            "0": {"quality": 100, "hash": A.hex(), "timestamp": 0.0},
            "30": {"quality": 49, "hash": B.hex(), "timestamp": 1.0},
            "360": {"quality": 77, "hash": B.hex(), "timestamp": 12.0},
        }
    )
    for value in (new, old):
        codes, track, quality = folded(parse_vpdq(value))
        assert (codes, track.starts, track.ends, quality) == ((A, B), (0, 12000), (500, 12500), 100)


@pytest.mark.parametrize(
    "value",
    [
        "",
        "[",
        "[" * 100_000,
        "[]",
        "7",
        '["x"]',
        f'["{A.hex()},100"]',
        f'["{A.hex()},100,nan"]',
        f'["{A.hex()},100,1e30"]',
        f'["{A.hex()},101,0"]',
        f'["{A.hex()[2:]},100,0"]',
        f'["{A.hex()},10,0"]',
        '{"0": {"quality": 100, "timestamp": 0}}',
    ],
)
def test_what_is_no_video_is_refused(value):
    with pytest.raises(VideoInvalid):
        folded(parse_vpdq(value))


def test_a_text_file_is_a_list_of_videos_and_so_is_a_typed_line():
    print_ = Fingerprint((Pdq(A, 90), Pdq(B, 60), Pdq(A, 80)), video=TRACK)
    lines = [*vpdq_lines(print_), "nonsense", *vpdq_lines(print_)]
    bad, one, two = read("\n".join(lines))
    assert (one.pdqs, one.video, one.quality) == ((A, B, A), TRACK, 90)
    assert (two.line, two.video, bad.line) == (len(lines) // 2 + 2, TRACK, len(lines) // 2 + 1)
    parts = (line.split(",") for line in vpdq_lines(print_))
    value = json.dumps([f"{code},{quality},{at}" for _, quality, code, at in parts])
    (typed,) = read(f"vpdq {value} 'a list' POSITIVE_CLASS\n")
    assert (typed.pdqs, typed.video) == ((A, B, A), TRACK)


def read(text):
    return list(read_hash_list(io.BytesIO(text.encode()), name="a list"))
