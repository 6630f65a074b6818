"""A large tar is cut into runs of members, which together read as the whole does."""

from __future__ import annotations

import io
import random
import tarfile
from dataclasses import replace
from typing import TYPE_CHECKING

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from egide.auditing.sources import Item, Shard, open_source, read_shard, tar_runs
from egide.domain.model import DEFAULT_LIMITS
from egide.errors import SourceError, SourceTruncated
from pictures import write_tar

if TYPE_CHECKING:
    from pathlib import Path

SIGNATURE = b"\x89PNG\r\n\x1a\n"
FORMATS = (tarfile.USTAR_FORMAT, tarfile.GNU_FORMAT, tarfile.PAX_FORMAT)
EMPTY_TYPES = (
    *(tarfile.DIRTYPE, tarfile.SYMTYPE, tarfile.LNKTYPE, tarfile.CHRTYPE, tarfile.FIFOTYPE),
)


def archive(dice: random.Random) -> bytes:
    """An archive of any format and members; every other one damaged, cut, doubled or unended."""
    kind, out = dice.choice(FORMATS), io.BytesIO()
    pax = kind == tarfile.PAX_FORMAT
    for_all = {"comment": "x"} if pax and dice.random() < 0.1 else None
    with tarfile.open(fileobj=out, mode="w", format=kind, pax_headers=for_all) as written:
        for number in range(dice.randrange(16)):
            member, content = drawn_member(dice, number, kind)
            written.addfile(member, io.BytesIO(content))
    data = out.getvalue()
    match dice.randrange(8):
        case 0:
            at, length = dice.randrange(len(data)), dice.choice([1, 8, 600])
            return data[:at] + dice.randbytes(length) + data[at + length :]
        case 1:
            return data[: dice.randrange(len(data))]
        case 2:
            return data * 2
        case 3:
            bare = data.rstrip(b"\0")
            return bare + bytes(-len(bare) % 512 + dice.choice([0, 512, 600, 1024]))
        case _:
            return data


def drawn_member(dice: random.Random, number: int, kind: int) -> tuple[tarfile.TarInfo, bytes]:
    name = f"{number}" + dice.choice([".png", ".txt", ".json", "é.png"])
    if dice.random() < 0.2:
        name = "d" * dice.choice([10, 90, 99]) + "/" + name
    if kind != tarfile.USTAR_FORMAT and dice.random() < 0.1:
        name = "e/" * dice.choice([60, 200]) + name
    member, drawn = tarfile.TarInfo(name), dice.random()
    if kind == tarfile.PAX_FORMAT and dice.random() < 0.2:
        key = dice.choice(["comment", "mtime", "SCHILY.xattr.user", "hdrcharset", "size2"])
        member.pax_headers = {key: dice.choice(["a\nb", "1.5", "7 x=3"])}
    if drawn < 0.1:
        member.type, member.linkname = dice.choice(EMPTY_TYPES), "x" * dice.choice([1, 99])
        return member, b""
    if drawn < 0.13:
        member.type = tarfile.AREGTYPE
    elif drawn > 0.97:
        member.type = dice.choice([tarfile.CONTTYPE, b"Z", b"V"])
    content = SIGNATURE + dice.randbytes(dice.choice([0, 5, 504, 505, 2000, 9000]))
    if dice.random() < 0.05:
        content = archive(dice)[:20_000]
    member.size = len(content)
    return member, content


def outcome(shards: list[Shard]) -> tuple[list[object], list[object]]:
    found: list[object] = []
    errors: list[object] = []
    for shard in shards:
        try:
            for read in read_shard(shard, DEFAULT_LIMITS):
                found += [read, read.content if isinstance(read, Item) else None]
        except SourceError as error:
            errors.append((error.code, error.fields))
    return [repr(one) for one in found], errors


@settings(deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(seed=st.integers(0, 2**32))
def test_runs_read_as_the_whole_does_and_only_of_a_sound_archive(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, seed: int
) -> None:
    dice = random.Random(seed)
    path = tmp_path / "s.tar"
    path.write_bytes(archive(dice))
    monkeypatch.setattr(tar_runs, "RUN_BYTES", dice.choice([1024, 4096, 20_000]))
    shards = list(open_source(str(path)).shards())
    size = path.stat().st_size
    whole = replace(shards[0], name=str(path), start=0, stop=0, weight=size, share=1)
    found, errors = outcome([whole])
    assert outcome(shards) == (found, errors)
    assert sum(shard.weight for shard in shards) == size
    if errors:
        assert shards == [whole]


def cut(path: Path, monkeypatch: pytest.MonkeyPatch) -> list[Shard]:
    monkeypatch.setattr(tar_runs, "RUN_BYTES", 4096)
    return list(open_source(str(path)).shards())


def test_a_sound_archive_is_cut_between_its_members(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    files = {f"{n}.png": SIGNATURE + bytes(2000) for n in range(20)}
    path = write_tar(tmp_path / "s.tar", files)
    shards = cut(path, monkeypatch)
    assert len(shards) > 5
    assert [shard.name for shard in shards[:2]] == [f"{path}#0", f"{path}#1"]
    for shard in shards:
        first = next(iter(read_shard(shard, DEFAULT_LIMITS)))
        assert isinstance(first, Item)
        assert first.offset == shard.start + 512


def test_an_archive_that_changed_since_it_was_cut_is_said_to_be_damaged(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = write_tar(tmp_path / "s.tar", {f"{n}.png": SIGNATURE + bytes(2000) for n in range(20)})
    shards = cut(path, monkeypatch)
    write_tar(path, {f"{n}.png": SIGNATURE + bytes(3000) for n in range(20)})
    for shard in shards[:-1]:
        with pytest.raises(SourceError):
            list(read_shard(shard, DEFAULT_LIMITS))
    path.write_bytes(path.read_bytes()[: shards[3].start])
    with pytest.raises(SourceTruncated):
        list(read_shard(replace(shards[2], start=0), DEFAULT_LIMITS))


def test_textual_headers_before_a_name_of_digits_are_read(tmp_path: Path) -> None:
    """As WebDataset writes them: a time with a fraction stands in such a header."""
    path = tmp_path / "s.tar"
    with tarfile.open(path, "w") as written:
        member = tarfile.TarInfo("000001.png")
        member.mtime, member.size = 1.5, len(SIGNATURE)
        written.addfile(member, io.BytesIO(SIGNATURE))
    (shard,) = open_source(str(path)).shards()
    assert [one.name for one in read_shard(shard, DEFAULT_LIMITS) if isinstance(one, Item)] == [
        "000001.png"
    ]
