"""A video is fingerprinted in a decoding process as in this one."""

import json

import pytest

from egide.domain.model import DEFAULT_LIMITS
from egide.hashing import fingerprint
from egide.sandbox.decoding import DecodingPool
from egide.sandbox.decoding_messages import BadAnswer, fingerprint_values, read_answer
from videos import clip


def test_a_video_comes_back_whole_and_its_times_are_checked():
    data = clip()
    here = fingerprint(data, anchored=True)
    with DecodingPool(workers=1) as pool:
        assert pool.fingerprint(data) == here
    for wrong in (
        [here.video.packed()[8:].hex(), 2000],
        ["00", 2000],
        [here.video.packed().hex(), 7],
    ):
        values = {"done": {**fingerprint_values(here), "video": wrong}}
        with pytest.raises(BadAnswer):
            read_answer(json.dumps(values).encode(), name="a", limits=DEFAULT_LIMITS)
