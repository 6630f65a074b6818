"""What a command did not look at: said and counted; three commands exit by one rule."""

from __future__ import annotations

from pathlib import Path

import pytest

from commands import egide_in
from pictures import encoded, pictures


@pytest.fixture
def files(tmp_path: Path) -> Path:
    """A sound picture that no bank knows, a broken one, a link to a folder, an animation."""
    images = pictures(8)
    (tmp_path / "good.png").write_bytes(encoded(images[7]))
    (tmp_path / "broken.jpg").write_bytes(b"\xff\xd8\xff and no more")
    (tmp_path / "folder").mkdir()
    (tmp_path / "folder" / "good.png").write_bytes(encoded(images[7]))
    (tmp_path / "folder" / "link").symlink_to(tmp_path)
    frames = [image.resize((96, 96)) for image in images[1:6]]
    frames[0].save(tmp_path / "moving.gif", save_all=True, append_images=frames[1:])
    assert egide_in(tmp_path, "bank", "create", "helpline").code == 0
    assert egide_in(tmp_path, "bank", "add", "helpline", "good.png").code == 0
    (tmp_path / "good.png").write_bytes(encoded(images[0]))
    (tmp_path / "folder" / "good.png").write_bytes(encoded(images[0]))
    return tmp_path


@pytest.mark.parametrize("command", ["hash", "match", "audit"])
def test_one_rule_for_the_exit_code(files: Path, command: str) -> None:
    def code(*arguments: str) -> int:
        return egide_in(files, command, *arguments).code

    assert code("good.png") == 0
    assert code("good.png", "broken.jpg") == 1
    assert code("good.png", "broken.jpg", "--accept", "item", "--strict") == 0
    assert code("good.png", "broken.jpg", "--strict") == 3
    assert code("folder") == 1
    assert code("folder", "--accept", "listing") == 0
    assert code("broken.jpg") == 3
    assert code("good.png", "missing.jpg") == 3
    assert code("good.png", "--accept", "nonsense") == 2


@pytest.mark.parametrize("command", ["hash", "match"])
def test_what_was_not_looked_at_is_in_the_lines_and_in_a_sentence(
    files: Path, command: str
) -> None:
    arguments = ("good.png", "broken.jpg", "folder", "moving.gif", "--json")
    result = egide_in(files, command, *arguments, EGIDE_MAX_FRAMES="2")
    done = "fingerprinted" if command == "hash" else "compared"
    assert (
        f"Of 4 files 3 were {done}; 1 folder, 1 file and 3 frames of animations were not."
        in result.err
    )
    lines = {line.get("file") or line["query"]: line for line in result.lines()}
    assert lines["broken.jpg"]["error"]["kind"] == "item"
    assert lines["folder/link"]["error"]["kind"] == "listing"
    (gap,) = lines["moving.gif"]["not_looked_at"]
    assert (gap["kind"], gap["count"], gap["code"]) == ("frame", 3, "frames-skipped")
    assert "not_looked_at" not in lines["good.png"]
