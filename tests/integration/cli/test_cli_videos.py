"""`egide hash` prints when a video's frames are seen."""

from commands import egide_in
from videos import clip


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
