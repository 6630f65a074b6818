"""Decoding in child processes: whatever a file does there costs that file, and nobody else."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from PIL import Image

from egide import errors
from egide.domain.model import AnchoredQuery, Fingerprint, Limits, Mode
from egide.hashing import fingerprint
from egide.sandbox.decoding import DecodingPool
from egide.sandbox.decoding_messages import (
    LENGTH,
    BadAnswer,
    fingerprint_values,
    max_answer_bytes,
    pack_answer,
    read_answer,
)
from egide.sandbox.decoding_process import DecodingProcess
from pictures import encoded, pictures
from store_samples import region_code

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

HOSTILE = ("hostile_decoder",)
PHOTO = encoded(pictures(8)[0], quality=80)
OTHERS = [encoded(image.reduce(4), "PNG") for image in pictures(8)[1:4]]
LIMITS = Limits(item_timeout_s=60, worker_memory_bytes=1_000_000_000)
"""With time for a busy machine."""
DEADLINE_S = 30.0


def marked(word: str) -> bytes:
    """A sound picture that the hostile decoder treats as the word says."""
    return PHOTO + b"\0" + word.encode()


def wait_for(condition: Callable[[], bool]) -> None:
    until = time.monotonic() + DEADLINE_S
    while not condition():
        assert time.monotonic() < until, "it never came to that"
        time.sleep(0.01)


def is_alive(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except FileNotFoundError:
        return False


def child_ids(pool: DecodingPool) -> list[int]:
    return [child._process.pid for child in pool._children if child._process is not None]


@pytest.fixture(scope="module")
def hostile() -> Iterator[DecodingPool]:
    """Two children that misbehave when told to; a test leaves the pool as it found it."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(DecodingProcess, "command", HOSTILE)
        with DecodingPool(LIMITS, workers=2) as pool:
            yield pool


def test_answers_are_those_of_the_library(hostile: DecodingPool) -> None:
    collage = Image.new("RGB", (900, 400), "white")
    collage.paste(pictures(8)[0], (20, 40))
    collage.paste(pictures(8)[1], (480, 100))
    frames = [image.convert("P") for image in pictures(8)[:3]]
    animation = encoded(frames[0], "GIF", save_all=True, append_images=frames[1:])
    for data in (PHOTO, *OTHERS, encoded(collage, "PNG"), animation):
        for mode in Mode:
            found = hostile.fingerprint(data, exact=mode is Mode.EXACT)
            assert found == fingerprint(data, mode=mode, anchored=True)
    assert hostile.fingerprint(encoded(collage, "PNG")).regions
    assert len(hostile.fingerprint(animation).frames) == 3


@pytest.mark.parametrize(
    ("data", "kind"),
    [
        (b"words", errors.NotAnImage),
        (PHOTO[:300], errors.ImageTruncated),
        (b"", errors.FileEmpty),
        (encoded(Image.new("L", (3, 300)), "PNG"), errors.ImageTooSmall),
        (marked("BOMB"), errors.DecodeFailed),
    ],
)
def test_what_is_wrong_with_a_picture_is_said_of_it_and_costs_no_child(
    hostile: DecodingPool, data: bytes, kind: type[errors.ItemError]
) -> None:
    before = child_ids(hostile)
    with pytest.raises(kind) as caught:
        hostile.fingerprint(data, name="the third file")
    assert caught.value.fields["name"] == "the third file"
    assert child_ids(hostile) == before
    assert hostile.fingerprint(PHOTO) == fingerprint(PHOTO, mode=Mode.FAST, anchored=True)


def test_a_file_over_the_limit_is_not_sent_at_all(hostile: DecodingPool) -> None:
    small = DecodingPool(Limits(max_file_bytes=100), workers=1)
    with pytest.raises(errors.FileTooLarge, match="101 bytes"):
        small.fingerprint(bytes(101))


def test_a_picture_that_crashes_the_decoder_is_refused_and_the_others_are_not(
    hostile: DecodingPool,
) -> None:
    replaced = hostile.status().replaced
    with ThreadPoolExecutor(8) as threads:
        futures = [
            threads.submit(hostile.fingerprint, marked("CRASH") if n == 7 else OTHERS[n % 3])
            for n in range(24)
        ]
        expected = [fingerprint(data, mode=Mode.FAST, anchored=True) for data in OTHERS]
        for number, future in enumerate(futures):
            if number == 7:
                assert isinstance(future.exception(), errors.DecoderCrashed)
            else:
                assert future.result() == expected[number % 3]
    assert hostile.status().replaced == replaced + 2  # only the second crash proves anything


def test_a_picture_on_which_the_decoder_hangs_is_given_up_after_its_time(
    hostile: DecodingPool,
) -> None:
    with DecodingPool(replace(LIMITS, item_timeout_s=1), workers=1) as pool:
        with pytest.raises(errors.DecodeTimeout) as caught:
            pool.fingerprint(marked("HANG"), name="x.jpg")
        assert caught.value.fields == {"name": "x.jpg", "limit_s": 1}
        assert pool.status().replaced == 1


def test_a_child_that_somebody_killed_costs_no_picture(hostile: DecodingPool) -> None:
    killed = child_ids(hostile)
    for pid in killed:
        os.kill(pid, signal.SIGKILL)
    wait_for(lambda: not any(map(is_alive, killed)))  # a picture may lose one child, not two
    assert hostile.fingerprint(PHOTO) == fingerprint(PHOTO, mode=Mode.FAST, anchored=True)
    with ThreadPoolExecutor(1) as threads:
        before = set(child_ids(hostile))
        slow = threads.submit(hostile.fingerprint, marked("SLOW"))
        wait_for(lambda: hostile.status().busy == 1)
        busy = next(c for c in hostile._children if c not in hostile._idle)
        assert busy._process is not None
        busy._process.kill()  # in the midst of a sound picture
        assert slow.result().pdq == fingerprint(PHOTO, mode=Mode.FAST, anchored=True).pdq
        assert set(child_ids(hostile)) != before


def test_an_own_mistake_is_an_unexpected_error_of_that_picture(hostile: DecodingPool) -> None:
    with pytest.raises(errors.Unexpected, match="LookupError"):
        hostile.fingerprint(marked("MISTAKE"))
    assert hostile.fingerprint(PHOTO).pdq is not None


@pytest.mark.skipif(sys.platform != "linux", reason="bounds are set on Linux")
def test_a_child_cannot_leave_a_trace_on_the_disk(
    hostile: DecodingPool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    with DecodingPool(LIMITS, workers=1) as pool:
        with pytest.raises(errors.Unexpected, match="OSError"):
            pool.fingerprint(marked("WRITE"))
        limits = Path(f"/proc/{child_ids(pool)[0]}/limits").read_text()
    assert not (tmp_path / "trace").exists() or not (tmp_path / "trace").stat().st_size
    bounds = {line[:26].strip(): line[26:46].strip() for line in limits.splitlines()}
    assert (bounds["Max core file size"], bounds["Max file size"]) == ("0", "0")
    assert bounds["Max data size"] == "1000000000"


def test_a_child_learns_no_setting_and_no_secret(
    hostile: DecodingPool, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("EGIDE_PATCH_KEY", "EGIDE_STORE", "PGPASSWORD", "AWS_SECRET_ACCESS_KEY"):
        monkeypatch.setenv(name, "secret")
    with DecodingPool(LIMITS, workers=1) as pool:
        environment = Path(f"/proc/{child_ids(pool)[0]}/environ").read_bytes()
    assert b"secret" not in environment
    assert b"PATH=" in environment


SOUND = fingerprint_values(fingerprint(PHOTO, mode=Mode.FAST, anchored=True))


@pytest.mark.parametrize(
    "said",
    [
        "no JSON",
        "[]",
        "{}",
        "[" * 20_000,
        json.dumps({"done": {**SOUND, "frames": []}}),
        json.dumps({"done": {**SOUND, "frames": SOUND["frames"] * (LIMITS.max_frames + 1)}}),
        json.dumps({"done": {**SOUND, "frames": [{"variants": "00" * 255, "quality": 50}]}}),
        json.dumps({"done": {**SOUND, "frames": [{"variants": "00" * 256, "quality": 101}]}}),
        json.dumps({"done": {**SOUND, "frames": [{"variants": "00" * 256, "quality": "9"}]}}),
        json.dumps({"done": {**SOUND, "sha256": "00"}}),
        json.dumps({"done": {**SOUND, "md5": None}}),
        json.dumps({"done": {**SOUND, "anchored": ["00" * 32, "", 1]}}),
        json.dumps({"done": {**SOUND, "anchored": ["00" * 31, "00", 1]}}),
        json.dumps({"done": {**SOUND, "anchored": ["00" * 32 * 513, "00" * 513, 1]}}),
        json.dumps({"done": {**SOUND, "anchored": ["00" * 32, "00", "1"]}}),
        json.dumps({"done": {**SOUND, "anchored": ["00" * 32, "00"]}}),
        json.dumps({"done": {**SOUND, "size": [-1, 5]}}),
        json.dumps({"done": {**SOUND, "share": 0}}),
        json.dumps({"done": {**SOUND, "share": 1.5}}),
        json.dumps({"done": {**SOUND, "size": [1e400, 5]}}),
        json.dumps(
            {
                "done": {
                    **SOUND,
                    "regions": [
                        {**SOUND["frames"][0], "frame": 1, "at": [0, 0, 5, 5], "trimmed": True}
                    ],
                }
            }
        ),
        json.dumps({"failed": {"kind": "EgideError", "fields": {}}}),
        json.dumps({"failed": {"kind": "Any", "fields": {}}}),
        json.dumps({"failed": {"kind": "__builtins__", "fields": {}}}),
        json.dumps({"failed": {"kind": "NoSuchError", "fields": {}}}),
        json.dumps({"failed": {"kind": "DecodeFailed", "fields": []}}),
        json.dumps({"failed": {"kind": "DecodeFailed", "fields": {}}}),
        json.dumps({"failed": {"kind": "DecodeFailed", "fields": {"reason": ["x"]}}}),
        json.dumps({"mistake": 7}),
    ],
)
def test_an_answer_that_no_sound_child_gives_is_not_believed(said: str) -> None:
    with pytest.raises(BadAnswer):
        read_answer(said.encode(), name="x", limits=LIMITS)


def test_an_answer_of_the_most_that_a_picture_can_have_is_believed() -> None:
    query = AnchoredQuery(region_code(1) * 512, bytes(range(256)) * 2)
    frames = fingerprint(PHOTO, mode=Mode.FAST, anchored=True).frames * LIMITS.max_frames
    whole = Fingerprint(frames, sha256=bytes(32), sha1=bytes(20), md5=bytes(16), anchored=query)
    answer = pack_answer({"done": fingerprint_values(whole)})[LENGTH.size :]
    assert len(answer) <= max_answer_bytes(LIMITS)
    assert read_answer(answer, name="x", limits=LIMITS) == whole


def test_a_child_that_talks_nonsense_is_replaced(hostile: DecodingPool) -> None:
    endless = json.dumps({"done": SOUND}).ljust(max_answer_bytes(LIMITS) + 1)
    for said in ("nonsense", endless):
        with pytest.raises(errors.DecoderCrashed):
            hostile.fingerprint(marked("SAY " + said))
    assert hostile.fingerprint(PHOTO) == fingerprint(PHOTO, mode=Mode.FAST, anchored=True)


def test_threads_beyond_the_waiting_line_are_refused_at_once(hostile: DecodingPool) -> None:
    with (
        DecodingPool(LIMITS, workers=1, max_waiting=2) as pool,
        ThreadPoolExecutor(3) as threads,
    ):
        first = threads.submit(pool.fingerprint, marked("SLOW"))
        wait_for(lambda: pool.status().busy == 1)
        waiting = [threads.submit(pool.fingerprint, data) for data in OTHERS[:2]]
        wait_for(lambda: pool.status().waiting == 2)
        with pytest.raises(errors.Overloaded) as caught:
            pool.fingerprint(PHOTO)
        assert caught.value.fields == {"retry_after_s": 1}
        assert first.result().pdq is not None
        assert [future.result() for future in waiting] == [
            fingerprint(data, mode=Mode.FAST, anchored=True) for data in OTHERS[:2]
        ]
        assert pool.status().waiting == 0


def test_a_thread_waits_no_longer_than_a_picture_may_take(hostile: DecodingPool) -> None:
    limits = Limits(item_timeout_s=3)
    with DecodingPool(limits, workers=1) as pool, ThreadPoolExecutor(1) as threads:
        until = time.monotonic() + 1.5
        child = pool._take()
        refused = threads.submit(pool.fingerprint, PHOTO)
        assert isinstance(refused.exception(), errors.Overloaded)
        assert time.monotonic() > until
        assert pool.status().waiting == 0
        pool._give_back(child)


def test_closing_ends_children_and_refuses_who_waits(hostile: DecodingPool) -> None:
    pool = DecodingPool(LIMITS, workers=1).start()
    children = child_ids(pool)
    with ThreadPoolExecutor(2) as threads:
        busy = threads.submit(pool.fingerprint, marked("HANG"))
        wait_for(lambda: pool.status().busy == 1)
        waiting = threads.submit(pool.fingerprint, PHOTO)
        wait_for(lambda: pool.status().waiting == 1)
        pool.close()
        for future in (busy, waiting):
            assert isinstance(future.exception(), errors.NotReady)
    assert not any(is_alive(pid) for pid in children)
    with pytest.raises(errors.NotReady):
        pool.fingerprint(PHOTO)
    pool.close()  # again does nothing
    with pool:  # and it can be started again
        assert pool.fingerprint(PHOTO).pdq is not None


def test_children_that_do_not_start_are_an_error_not_a_wait(
    hostile: DecodingPool, monkeypatch: pytest.MonkeyPatch
) -> None:
    with DecodingPool(LIMITS, workers=1) as pool:
        monkeypatch.setattr(DecodingProcess, "command", (*HOSTILE, "never-ready"))
        with pytest.raises(errors.NotReady):
            DecodingPool(LIMITS, workers=1).start()
        os.kill(child_ids(pool)[0], signal.SIGKILL)
        with pytest.raises(errors.NotReady):
            pool.fingerprint(PHOTO)
        monkeypatch.setattr(DecodingProcess, "command", ("egide.no_such_module",))
        with pytest.raises(errors.NotReady):
            pool.fingerprint(PHOTO)
        monkeypatch.setattr(DecodingProcess, "command", HOSTILE)
        assert pool.fingerprint(PHOTO).pdq is not None  # it recovers by itself


def test_children_end_with_a_parent_that_is_killed(tmp_path: Path) -> None:
    script = (
        "import sys, time\n"
        "from egide.sandbox.decoding import DecodingPool\n"
        "from egide.sandbox.decoding_process import DecodingProcess\n"
        "import threading\n"
        f"sys.path.append({str(Path(__file__).parents[2] / 'support')!r})\n"
        f"DecodingProcess.command = {HOSTILE!r}\n"
        "pool = DecodingPool(workers=2).start()\n"
        f"hang = {marked('HANG')!r}\n"
        "threading.Thread(target=pool.fingerprint, args=(hang,), daemon=True).start()\n"
        "while not pool.status().busy: time.sleep(0.01)\n"
        "print(*(child._process.pid for child in pool._children), flush=True)\n"
        "time.sleep(600)\n"
    )
    with subprocess.Popen([sys.executable, "-c", script], stdout=subprocess.PIPE) as parent:
        assert parent.stdout is not None
        children = [int(pid) for pid in parent.stdout.readline().split()]
        assert len(children) == 2
        assert all(is_alive(pid) for pid in children)
        parent.kill()
    wait_for(lambda: not any(is_alive(pid) for pid in children))


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_to_the_whole_group_leaves_the_picture_in_hand(
    hostile: DecodingPool, number: signal.Signals
) -> None:
    children = child_ids(hostile)
    for pid in children:
        os.kill(pid, number)
    assert hostile.fingerprint(PHOTO) == fingerprint(PHOTO, mode=Mode.FAST, anchored=True)
    assert child_ids(hostile) == children


def test_many_threads_share_few_children(hostile: DecodingPool) -> None:
    expected = [fingerprint(data, mode=Mode.FAST, anchored=True) for data in OTHERS]
    with ThreadPoolExecutor(16) as threads:
        found = list(threads.map(lambda n: hostile.fingerprint(OTHERS[n % 3]), range(96)))
    assert found == [expected[number % 3] for number in range(96)]
    assert hostile.status().busy == hostile.status().waiting == 0
