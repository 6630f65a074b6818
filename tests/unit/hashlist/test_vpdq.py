"""vPDQ's forms of a video are read, and written so that they come back."""

import json

import pytest

from egide.domain.model import Fingerprint, Pdq
from egide.domain.video import Track
from egide.errors import VideoInvalid
from egide.hashlist.vpdq import (
    folded,
    is_vpdq_line,
    parse_vpdq,
    parse_vpdq_line,
    vpdq_lines,
    vpdq_value,
)

A, B = bytes.fromhex("a5" * 32), bytes.fromhex("3c" * 32)
TRACK = Track((0, 1000, 2500), (1000, 1500, 3500), 3500)


def test_lines_and_values_come_back():
    print_ = Fingerprint((Pdq(A, 90), Pdq(B, 60), Pdq(A, 80)), video=TRACK)
    lines = list(vpdq_lines(print_))
    assert lines[2] == f"2,60,{B.hex()},1.000"
    assert all(map(is_vpdq_line, lines))
    assert folded(map(parse_vpdq_line, lines)) == ((A, B, A), TRACK, 90)
    value = vpdq_value((A, B, A), TRACK)
    assert folded(parse_vpdq(value))[:2] == ((A, B, A), TRACK)


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
