"""Videos on the command line: hashed, registered, matched, and found by a still in a set."""

from itertools import chain, islice

from PIL import Image

from commands import egide_in
from videos import clip, encoded, moving


def test_a_video_is_printed_with_its_times_and_as_vpdq(tmp_path):
    (tmp_path / "a.mp4").write_bytes(clip())
    (line,) = egide_in(tmp_path, "hash", "a.mp4").lines()
    assert (line["duration_s"], line["width"], len(line["frames"])) == (2.0, 160, 4)
    assert (line["frames"][1]["start_s"], line["frames"][1]["end_s"]) == (0.5, 1.0)
    told = egide_in(tmp_path, "hash", "a.mp4", "--format", "vpdq")
    frame = line["frames"][3]
    assert told.out.splitlines()[3] == f"3,{frame['quality']},{frame['pdq']},1.500"
    assert egide_in(tmp_path, "hash", "a.mp4", "a.mp4", "--format", "vpdq").code == 2
    (in_folder,) = egide_in(tmp_path, "hash", ".").lines()
    assert in_folder["frames"] == line["frames"]


def test_seconds_of_a_registered_video_are_found_in_others_and_in_a_still(tmp_path):
    (tmp_path / "a.mp4").write_bytes(clip(seconds=6))
    seen = [*islice(moving(0, 60), 20, 60)]
    (tmp_path / "b.mp4").write_bytes(encoded(chain(moving(1, 30), seen)))
    (tmp_path / "set").mkdir()
    Image.fromarray(seen[0]).save(tmp_path / "set" / "still.jpg")
    egide_in(tmp_path, "bank", "create", "helpline")
    egide_in(tmp_path, "bank", "add", "helpline", "a.mp4")
    told = egide_in(tmp_path, "match", "b.mp4")
    assert "0:02–0:06 of the registered video is seen at 0:03–0:07; 8 frames agree" in told.out
    assert told.code == 1
    told = egide_in(tmp_path, "match", "set/still.jpg")
    assert "like a frame of the registered video, seen at 0:02–0:02.5" in told.out
    told = egide_in(tmp_path, "audit", "set", "--out", "out")
    assert "Found in a part of a picture only: 1 match." in told.out + told.err
    page = (tmp_path / "out" / "report.html").read_text()
    assert "a still of a registered video, seen there at 2.0 to 2.5 s" in page
