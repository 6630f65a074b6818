"""A video's fingerprint: which frames it is of, when they are seen, and what was not looked at."""

import io
import itertools
import struct
import sys
from dataclasses import replace

import pytest

from egide.domain.coverage import gaps_within
from egide.domain.model import DEFAULT_LIMITS, Mode
from egide.domain.video import MAX_VIDEO_FRAMES
from egide.errors import DecodeTimeout, FormatUnsupported, ItemError, VideoTooLarge, VideoUnreadable
from egide.hashing import fingerprint
from egide.hashing.video import evenly
from videos import av, clip, encoded, moving, plain

B_FRAMES = {"preset": "veryfast", "g": "20", "bf": "3"}
QUICK = {"deadline": "realtime", "cpu-used": "8"}
FORMATS = [
    {"options": B_FRAMES},
    {"codec": "mpeg4", "kind": "avi"},
    {"codec": "libvpx-vp9", "kind": "webm", "options": QUICK},
    {"codec": "libsvtav1", "kind": "mp4", "options": {"preset": "11"}},
    {"codec": "prores_ks", "kind": "mov", "pixel_format": "yuv422p10le"},
    {"codec": "qtrle", "kind": "mov", "pixel_format": "rgb24"},
    {"codec": "mjpeg", "kind": "matroska", "pixel_format": "yuvj420p"},
    {"codec": "mpeg2video", "kind": "mpegts", "rate": 25},
]


@pytest.fixture(scope="module")
def plain_mp4():
    return clip(options=B_FRAMES, container_options={"movflags": "faststart"})


def bits(one, other):
    return (int.from_bytes(one.code) ^ int.from_bytes(other.code)).bit_count()


def image(picture):
    return av.VideoFrame.from_ndarray(picture.copy(), format="rgb24").to_image()


@pytest.mark.parametrize("how", FORMATS, ids=lambda how: how.get("codec", "libx264"))
def test_each_half_second_has_the_frame_that_is_shown_then(how):
    rate = how.get("rate", 10)
    stills = [fingerprint(image(picture)).pdq for picture in moving(0, 2 * rate)]
    data = clip(**how)
    for mode in Mode:
        made = fingerprint(data, mode=mode, anchored=mode is Mode.EXACT)
        assert (made.video.starts, made.video.duration_ms) == ((0, 500, 1000, 1500), 2000)
        assert (made.width, made.height, made.frames_skipped) == (160, 120, 0)
        assert (made.share_read, made.anchored is not None) == (1.0, mode is Mode.EXACT)
        for number, frame in enumerate(made.frames):
            expected = number * rate // 2
            apart = [bits(frame, still) for still in stills]
            assert abs(apart.index(min(apart)) - expected) <= 2
            assert apart[expected] <= 31


def test_brightness_is_stretched_to_the_whole_range():
    picture = next(moving(0, 1)) // 4 + 90
    still = fingerprint(image(picture))
    (frame,) = fingerprint(encoded([picture], codec="ffv1", kind="matroska")).frames
    assert abs(frame.quality - still.pdq.quality) <= 1 < still.pdq.quality < 100


def test_like_neighbours_are_one_frame_and_what_shows_nothing_is_left_out():
    still = [next(moving(1, 1))] * 10
    data = encoded([*plain(0, 10), *still, *plain(0, 10), *still, *moving(2, 5), *still])
    track = fingerprint(data).video
    assert (track.starts, track.ends) == ((1000, 4000, 4500), (4000, 4500, 5500))
    assert track.duration_ms == 5500


def test_of_a_video_without_detail_one_frame_is_kept():
    made = fingerprint(encoded([*plain(0, 10), *plain(90, 10)]))
    assert (len(made.frames), made.matchable, made.video.duration_ms) == (1, False, 2000)


def test_times_are_those_of_the_frames_and_begin_with_the_first():
    shown = [next(moving(seed, 1)) for seed in range(4)]
    for start in (0, 317):
        times = [start + time for time in (0, 30, 101, 160)]
        made = fingerprint(encoded(shown, kind="matroska", times=times))
        assert made.video.starts == (0, 500, 1500)
        stills = [fingerprint(encoded([picture], kind="matroska")).pdq for picture in shown]
        order = [min(range(4), key=lambda k: bits(frame, stills[k])) for frame in made.frames]
        assert order == [0, 1, 2]


def test_pixels_are_as_stored_whatever_the_rotation(plain_mp4):
    at = plain_mp4.index(b"tkhd") + 44
    turned = struct.pack(">9i", 0, 1 << 16, 0, -(1 << 16), 0, 0, 0, 0, 1 << 30)
    data = plain_mp4[:at] + turned + plain_mp4[at + 36 :]
    assert av.open(io.BytesIO(data)).streams.video[0].width == 160
    assert fingerprint(data).frames == fingerprint(plain_mp4).frames


@pytest.mark.parametrize("kind", ["mp4", "webm", "mpegts", "avi"])
def test_of_a_cut_video_is_compared_what_is_there(kind):
    codecs = {"webm": "libvpx", "avi": "mpeg4"}
    how = {"codec": codecs[kind], "kind": kind} if kind in codecs else {"kind": kind}
    if kind == "mp4":
        how["container_options"] = {"movflags": "faststart"}
    data = clip(seconds=4, **how)
    for part in range(0, 20, 3):
        cut = data[: len(data) * part // 20]
        try:
            made = fingerprint(cut)
        except ItemError:
            assert part < 18
            continue
        if kind != "mpegts":  # which declares nothing
            assert made.frames_skipped or made.video.duration_ms >= 3500


def test_a_damaged_part_costs_no_other(plain_mp4):
    data = bytearray(encoded(moving(0, 40), options={"preset": "ultrafast", "g": "5"}))
    start = data.index(b"mdat") + 8
    middle = start + (len(data) - start) * 2 // 5
    data[middle : middle + 1500] = b"\xa7" * 1500
    made = fingerprint(bytes(data))
    assert made.video.duration_ms == 4000
    assert made.video.starts[0] == 0
    assert made.video.starts[-1] == 3500


@pytest.mark.parametrize(
    ("limits", "setting"),
    [
        ({"max_video_pixels": 160 * 120 - 1}, "EGIDE_MAX_VIDEO_PIXELS"),
        ({"max_video_bytes": 100}, "EGIDE_MAX_VIDEO_BYTES"),
    ],
)
def test_what_is_over_a_limit_is_refused(limits, setting, plain_mp4):
    with pytest.raises(VideoTooLarge, match=setting):
        fingerprint(plain_mp4, limits=replace(DEFAULT_LIMITS, **limits))


def test_what_is_beyond_the_limit_on_length_is_counted(plain_mp4):
    made = fingerprint(plain_mp4, limits=replace(DEFAULT_LIMITS, max_video_s=1))
    assert (len(made.frames), made.frames_skipped, made.share_read) == (2, 2, 0.5)
    (gap,) = gaps_within("a video", made)
    assert (gap.code, gap.count) == ("video-skipped", made.frames_skipped)


def test_a_video_of_which_no_frame_comes_in_time_is_refused(plain_mp4):
    with pytest.raises(DecodeTimeout, match="EGIDE_VIDEO_TIMEOUT_S"):
        fingerprint(plain_mp4, limits=replace(DEFAULT_LIMITS, video_timeout_s=1e-9))


def test_a_second_track_is_counted():
    file = io.BytesIO()
    with av.open(file, "w", format="matroska") as container:
        tracks = [container.add_stream("mpeg4", rate=10) for _ in range(2)]
        for stream in tracks:
            stream.width, stream.height, stream.pix_fmt = 160, 120, "yuv420p"
        for picture in moving(0, 20):
            for stream in tracks:
                frame = av.VideoFrame.from_ndarray(picture.copy(), format="rgb24")
                container.mux(stream.encode(frame))
        for stream in tracks:
            container.mux(stream.encode(None))
    made = fingerprint(file.getvalue())
    assert (len(made.frames), made.frames_skipped) == (4, 4)


def test_sound_alone_is_no_video():
    file = io.BytesIO()
    with av.open(file, "w", format="mp4") as container:
        stream = container.add_stream("aac", rate=8000, layout="mono")
        frame = av.AudioFrame(format="fltp", layout="mono", samples=1024)
        frame.sample_rate = 8000
        frame.pts = 0
        frame.planes[0].update(bytes(4096))
        container.mux(stream.encode(frame))
        container.mux(stream.encode(None))
    with pytest.raises(VideoUnreadable, match="only sound"):
        fingerprint(file.getvalue())


def test_a_path_is_read_piece_by_piece_and_has_its_digests(tmp_path, plain_mp4):
    path = tmp_path / "a.bin"  # first bytes count, not names
    path.write_bytes(plain_mp4)
    made = fingerprint(path, limits=replace(DEFAULT_LIMITS, max_file_bytes=10))
    assert made == fingerprint(plain_mp4)
    assert None not in {made.sha256, made.sha1, made.md5}


def test_without_the_extra_the_error_names_it(monkeypatch, plain_mp4):
    monkeypatch.setitem(sys.modules, "av", None)
    with pytest.raises(FormatUnsupported, match=r"egide\[video\]"):
        fingerprint(plain_mp4)


def test_of_too_many_frames_some_are_kept_evenly():
    assert list(evenly(3, 5)) == [0, 1, 2]
    kept = evenly(3 * MAX_VIDEO_FRAMES, MAX_VIDEO_FRAMES)
    assert (len(kept), kept[0], kept[-1]) == (MAX_VIDEO_FRAMES, 0, 3 * MAX_VIDEO_FRAMES - 1)
    assert {after - before for before, after in itertools.pairwise(kept)} <= {3, 4}
