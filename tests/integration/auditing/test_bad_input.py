"""Bad input of every kind, through the command line: a code, a message, and no other item lost."""

from __future__ import annotations

import gzip
import os
import signal
import socket
import sqlite3
import subprocess
import sys
import tarfile
import time
import zipfile
from pathlib import Path
from typing import TYPE_CHECKING

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

import egide
from audits import run, tables
from commands import EGIDE, egide_in
from egide.auditing.executors.base import Job
from egide.auditing.sources import Item, Other, open_source, read_shard
from egide.auditing.sources.base import Shard
from egide.auditing.sources.tar_headers import MAX_NAME_BYTES
from egide.domain.model import DEFAULT_LIMITS
from egide.errors import SourceTruncated
from egide.live import snapshots
from pictures import encoded, pictures, write_tar

if TYPE_CHECKING:
    from collections.abc import Callable

PHOTO = encoded(pictures(8)[0], quality=80)
"""A copy of entry 1."""


def audited(
    store: egide.Store, tmp_path: Path, *sources: Path, **options: object
) -> tuple[set[str], dict[str, str]]:
    """Return the items that matched entry 1, and the code of each unreadable one."""
    names = [str(source) for source in sources]
    run(names, store, out=tmp_path / "out", **options)
    matches, unreadable = tables(tmp_path / "out")
    return (
        {str(m["item"]) for m in matches if m["entry"] == 1},
        {str(row["name"]): str(row["code"]) for row in unreadable},
    )


# --- folders ------------------------------------------------------------


def test_special_files_dangling_links_and_circles_cost_no_other(
    store: egide.Store, tmp_path: Path
) -> None:
    folder = tmp_path / "data"
    folder.mkdir()
    for name in ("p.jpg", "p.tar", "p.zip", "p.parquet"):
        os.mkfifo(folder / name)
    for name in ("gone.jpg", "gone.tar", "gone.zip", "gone.parquet"):
        (folder / name).symlink_to("nowhere")
    (folder / "endless.zip").symlink_to("/dev/zero")
    (folder / "self.zip").symlink_to("self.zip")
    (folder / "circle").symlink_to(".")
    with socket.socket(socket.AF_UNIX) as listener:
        here = Path.cwd()
        os.chdir(folder)  # a socket's path is short
        listener.bind("s.jpg")
        os.chdir(here)
    (folder / "photo.jpg").write_bytes(PHOTO)
    found, codes = audited(store, tmp_path, folder)
    assert found == {"photo.jpg"}
    assert codes == {
        **dict.fromkeys(["gone.jpg", "gone.tar", "gone.zip", "gone.parquet"], "file-missing"),
        "self.zip": "file-unreadable",
        "circle": "link-not-followed",
    }


@pytest.mark.parametrize("make", [os.mkfifo, lambda path: path.symlink_to("/dev/zero")])
def test_a_pipe_or_device_as_a_source_is_refused(
    store: egide.Store, tmp_path: Path, make: Callable[[Path], None]
) -> None:
    make(tmp_path / "source.tar")
    result = egide_in(tmp_path, "audit", "source.tar")
    assert (result.code, "[source-unreadable]" in result.err) == (3, True)
    assert "source.tar" in result.err
    assert "no regular file" in result.err


def test_folders_nested_deeper_than_a_path_reaches_are_walked_as_far_as_it_does(
    store: egide.Store, tmp_path: Path
) -> None:
    folder = tmp_path / "data"
    folder.mkdir()
    descriptor = os.open(folder, os.O_RDONLY)
    for depth in range(2_500):  # a path has 4,096 bytes
        os.mkdir("d", dir_fd=descriptor)
        below = os.open("d", os.O_RDONLY, dir_fd=descriptor)
        os.close(descriptor)
        descriptor = below
        if depth == 1500:
            photo = os.open("deep.jpg", os.O_CREAT | os.O_WRONLY, dir_fd=descriptor)
            os.write(photo, PHOTO)
            os.close(photo)
    os.close(descriptor)
    (folder / "photo.jpg").write_bytes(PHOTO)
    try:
        found, codes = audited(store, tmp_path, folder)
        registered = list(egide.register(store, "helpline", [folder]))
    finally:
        subprocess.run(["rm", "-rf", str(folder)], check=True)  # Python's own would recurse
    assert {name.rpartition("/")[2] for name in found} == {"photo.jpg", "deep.jpg"}
    assert list(codes.values()) == ["file-unreadable"]
    assert sorted(result.outcome for result in registered) == ["added", "failed", "known"]


def test_names_that_look_like_marks_urls_or_commands_are_only_names(
    store: egide.Store, tmp_path: Path
) -> None:
    folder = tmp_path / "data"
    folder.mkdir()
    names = ["link:a.jpg", "unlisted:13:b.jpg", "c::d.jpg", "new\nline.jpg", "\x1b[2J.jpg"]
    for name in names:
        (folder / name).write_bytes(PHOTO)
    Path(os.fsdecode(bytes(folder) + b"/\xff.jpg")).write_bytes(PHOTO)
    write_tar(folder / "zip::memory:.tar", {"e.jpg": PHOTO})
    found, codes = audited(store, tmp_path, folder)
    assert found == {*names, "\\udcff.jpg", "e.jpg"}
    assert codes == {}


def test_a_folder_that_changes_during_the_audit_costs_only_what_is_gone(
    store: egide.Store, tmp_path: Path
) -> None:
    folder = tmp_path / "data"
    folder.mkdir()
    for number in range(4):
        (folder / f"{number}.jpg").write_bytes(PHOTO)
    first = write_tar(tmp_path / "first.tar", {"x.jpg": PHOTO})
    audit = egide.audit([first, folder], store, out=tmp_path / "out")
    findings = iter(audit)
    next(findings)  # all is planned, and the tar is read
    # The worker may have read the folder by now: both outcomes are right.
    (folder / "2.jpg").unlink()
    list(findings)
    matches, unreadable = tables(tmp_path / "out")
    assert {m["item"] for m in matches} >= {"x.jpg", "0.jpg", "1.jpg", "3.jpg"}
    assert [row["code"] for row in unreadable] in ([], ["file-missing"])


# --- archives and tables ------------------------------------------------------------


def test_a_header_that_claims_gigabytes_does_not_fill_memory(
    store: egide.Store, tmp_path: Path
) -> None:
    long_name = tarfile.TarInfo("header")
    long_name.type, long_name.size = tarfile.XHDTYPE, MAX_NAME_BYTES + 1
    photo = tarfile.TarInfo("photo.jpg")
    photo.size = len(PHOTO)
    with gzip.open(tmp_path / "a.tar.gz", "wb", 1) as archive:
        archive.write(photo.tobuf() + PHOTO + bytes(-len(PHOTO) % 512))
        archive.write(long_name.tobuf() + b"a" * (MAX_NAME_BYTES + 512))
    found, codes = audited(store, tmp_path, tmp_path / "a.tar.gz")
    assert found == {"photo.jpg"}
    assert list(codes.values()) == ["source-truncated"]


def _tar_header(kind: bytes, text: bytes = b"", **changed: int) -> bytes:
    member = tarfile.TarInfo("header")
    member.type, member.size = kind, len(text)
    block = bytearray(member.tobuf(tarfile.GNU_FORMAT))
    for place, value in changed.items():
        block[int(place.removeprefix("at_"))] = value
    block[148:156] = b" " * 8
    block[148:156] = b"%06o\0 " % sum(block)
    return bytes(block) + text + bytes(-len(text) % 512)


def _record(name: str, value: str) -> bytes:
    sizes = range(len(name) + len(value), len(name) + len(value) + 10)
    texts = (f"{size} {name}={value}\n" for size in sizes)
    return next(text.encode() for size, text in zip(sizes, texts, strict=True) if len(text) == size)


_SPARSE = _record("GNU.sparse.major", "1") + _record("GNU.sparse.minor", "0")


@pytest.mark.parametrize(
    "headers",
    [
        _tar_header(tarfile.XHDTYPE, b"1" * MAX_NAME_BYTES),
        _tar_header(tarfile.XHDTYPE, b"2 " * (MAX_NAME_BYTES // 2 - 1) + b"="),
        _tar_header(tarfile.XGLTYPE, b"".join(_record(f"k{n}", "") for n in range(2000))),
        _tar_header(tarfile.GNUTYPE_LONGNAME, b"name\0") * 5000,
        _tar_header(tarfile.XHDTYPE, _record("a", "b")) * 5000,
        _tar_header(tarfile.GNUTYPE_SPARSE, at_482=1) + (bytes(504) + b"\1" + bytes(7)) * 20_000,
        _tar_header(tarfile.XHDTYPE, _SPARSE + _record("GNU.sparse.realsize", "1"))
        + _tar_header(tarfile.REGTYPE)
        + b"9999999\n" * 1_000_000,
        _tar_header(tarfile.XHDTYPE, _SPARSE + _record("GNU.sparse.realsize", "-9999999"))
        + _tar_header(tarfile.REGTYPE)
        + b"0\n".ljust(512, b"\0"),
    ],
    ids=["number", "overlap", "global", "names", "records", "map", "map of text", "negative"],
)
def test_headers_of_a_tar_cost_no_more_than_their_length(headers: bytes, tmp_path: Path) -> None:
    photo = tarfile.TarInfo("photo.jpg")
    photo.size = len(PHOTO)
    content = photo.tobuf() + PHOTO + bytes(-len(PHOTO) % 512)
    (tmp_path / "a.tar").write_bytes(content + headers + content + bytes(1024))
    (shard,) = open_source(str(tmp_path / "a.tar")).shards()
    began = time.process_time()
    found: list[Item | Other] = []
    with pytest.raises(SourceTruncated):
        found.extend(read_shard(shard, DEFAULT_LIMITS))
    assert time.process_time() - began < 3
    assert len(found) == 1


def test_a_member_with_damaged_lzma_costs_only_itself(store: egide.Store, tmp_path: Path) -> None:
    with zipfile.ZipFile(tmp_path / "a.zip", "w") as archive:
        archive.writestr("bad.jpg", PHOTO, zipfile.ZIP_LZMA)
        archive.writestr("good.jpg", PHOTO)
    content = bytearray((tmp_path / "a.zip").read_bytes())
    start = content.index(b"bad.jpg") + len(b"bad.jpg") + 9  # after the filter's own header
    content[start : start + 40] = b"\xff" * 40
    (tmp_path / "a.zip").write_bytes(content)
    found, codes = audited(store, tmp_path, tmp_path / "a.zip")
    assert found == {"good.jpg"}
    assert codes == {"bad.jpg": "decode-failed"}


def test_a_member_without_a_name_costs_no_other(store: egide.Store, tmp_path: Path) -> None:
    with zipfile.ZipFile(tmp_path / "a.zip", "w") as archive:
        archive.writestr("a.jpg", PHOTO)
        archive.writestr("b.jpg", PHOTO)
    # A name ends at its first NUL.
    content = (tmp_path / "a.zip").read_bytes().replace(b"a.jpg", b"\0.jpg")
    (tmp_path / "a.zip").write_bytes(content)
    found, codes = audited(store, tmp_path, tmp_path / "a.zip")
    assert "b.jpg" in found
    assert codes == {}


def test_a_parquet_file_with_damaged_names_is_a_row(store: egide.Store, tmp_path: Path) -> None:
    pq.write_table(pa.table({"picture": [PHOTO]}), tmp_path / "a.parquet", store_schema=False)
    content = (tmp_path / "a.parquet").read_bytes().replace(b"picture", b"pict\xffre")
    (tmp_path / "a.parquet").write_bytes(content)
    write_tar(tmp_path / "good.tar", {"good.jpg": PHOTO})
    found, codes = audited(store, tmp_path, tmp_path / "a.parquet", tmp_path / "good.tar")
    assert found == {"good.jpg"}
    assert list(codes.values()) == ["source-unreadable"]


def test_a_zip_without_permission_is_a_row(store: egide.Store, tmp_path: Path) -> None:
    write_tar(tmp_path / "good.tar", {"good.jpg": PHOTO})
    with zipfile.ZipFile(tmp_path / "a.zip", "w") as archive:
        archive.writestr("a.jpg", PHOTO)
    (tmp_path / "a.zip").chmod(0)
    if os.access(tmp_path / "a.zip", os.R_OK):
        pytest.skip("root reads every file")
    found, codes = audited(store, tmp_path, tmp_path / "a.zip", tmp_path / "good.tar")
    assert found == {"good.jpg"}
    assert list(codes.values()) == ["source-unreadable"]


@pytest.mark.parametrize(
    "column",
    [  # Of these kinds, and of more, see test_tables.py; here one goes all the way.
        pytest.param(pa.array([PHOTO], pa.large_binary()), id="large", marks=pytest.mark.slow),
        pytest.param(pa.array([PHOTO], pa.binary_view()), id="view", marks=pytest.mark.slow),
        pytest.param(
            pa.array([PHOTO], pa.binary()).dictionary_encode(),
            id="dictionary",
            marks=pytest.mark.slow,
        ),
        pytest.param(
            pa.array([[PHOTO]], pa.list_(pa.binary(), 1)), id="fixed list", marks=pytest.mark.slow
        ),
        pytest.param(pa.array([*[None] * 50, PHOTO], pa.binary()), id="nulls first"),
    ],
)
def test_a_binary_column_of_any_kind_is_read(
    store: egide.Store, tmp_path: Path, column: pa.Array
) -> None:
    pq.write_table(pa.table({"image": column}), tmp_path / "a.parquet")
    found, codes = audited(store, tmp_path, tmp_path / "a.parquet")
    assert found == {f"row {len(column) - 1}"}
    assert set(codes.values()) <= {"value-missing"}


def test_an_image_column_is_found_though_it_begins_with_something_else(
    store: egide.Store, tmp_path: Path
) -> None:
    table = pa.table({"image": [b"unknown"] * 20 + [PHOTO]})
    pq.write_table(table, tmp_path / "a.parquet", row_group_size=20)
    found, _ = audited(store, tmp_path, tmp_path / "a.parquet")
    assert found == {"row 20"}


def test_a_hash_list_in_one_endless_line_is_one_bad_line(
    store: egide.Store, tmp_path: Path
) -> None:
    with (tmp_path / "a.csv").open("wb") as stream:
        stream.write(b"signal_type,signal_str\npdq,")
        for _ in range(20):
            stream.write(b"a" * (1 << 20))
        stream.write(b"\nmd5," + b"0f" * 16 + b"\n")
    _, codes = audited(store, tmp_path, tmp_path / "a.csv")
    assert codes == {"line 2": "line-invalid"}


# --- pictures ------------------------------------------------------------


@pytest.mark.slow
def test_a_picture_that_needs_too_much_memory_costs_only_itself(
    store: egide.Store, tmp_path: Path
) -> None:
    folder = tmp_path / "data"
    folder.mkdir()
    (folder / "a.jpg").write_bytes(PHOTO)
    large = pictures(8)[1].resize((12_000, 12_000))
    (folder / "b.png").write_bytes(encoded(large, "PNG", compress_level=1))
    (folder / "c.jpg").write_bytes(PHOTO)
    limits = egide.Limits(worker_memory_bytes=400_000_000)
    found, codes = audited(store, tmp_path, folder, limits=limits)
    assert found == {"a.jpg", "c.jpg"}
    assert set(codes) == {"b.png"}
    assert codes["b.png"] in {"decode-failed", "decoder-crashed"}


@pytest.mark.usefixtures("workers_apart")
def test_a_worker_killed_from_outside_costs_no_item(store: egide.Store, tmp_path: Path) -> None:
    sources = [
        write_tar(tmp_path / f"{n}.tar", {f"{i}.jpg": PHOTO for i in range(40)}) for n in range(3)
    ]
    killed: list[int] = []

    def kill_one(progress: egide.Progress) -> None:
        if progress.phase == "scanning" and progress.items and not killed:
            for worker in children_of(os.getpid()):
                os.kill(worker, signal.SIGKILL)
                killed.append(worker)

    found, codes = audited(store, tmp_path, *sources, on_progress=kill_one)
    assert killed
    assert codes == {}
    assert found == {f"{i}.jpg" for i in range(40)}


def test_an_item_is_blamed_at_its_second_crash_and_its_shard_ends_at_the_third() -> None:
    job = Job("id", Shard("tar", "a.tar", "a.tar"))
    job.blame(7, "DecoderCrashed")
    assert (job.poisoned, job.stop_at) == ({}, None)
    job.blame(7, "DecoderCrashed")
    assert (job.poisoned, job.stop_at) == ({7: "DecoderCrashed"}, None)
    job.blame(7, "DecoderCrashed")
    assert job.stop_at == 7


def children_of(parent: int) -> list[int]:
    path = Path(f"/proc/{parent}/task")
    return [
        int(child)
        for task in path.iterdir()
        for child in (task / "children").read_text().split()
        if b"egide.auditing.executors.worker" in Path(f"/proc/{child}/cmdline").read_bytes()
    ]


# --- stopping ------------------------------------------------------------


@pytest.mark.parametrize(
    "stop",
    [
        pytest.param(signal.SIGTERM, marks=pytest.mark.slow),
        pytest.param(signal.SIGHUP, marks=pytest.mark.slow),
        signal.SIGKILL,
    ],
)
def test_workers_end_with_their_parent_in_the_midst_of_an_item(
    store: egide.Store, tmp_path: Path, stop: signal.Signals
) -> None:
    write_tar(tmp_path / "a.tar", {"0.jpg": PHOTO + b"HANG-THE-DECODER"})
    program = (
        "import sys\n"
        "from egide.auditing.executors.local import LocalExecutor\n"
        "from egide.cli.main import main\n"
        f"sys.path.append({str(Path(__file__).parents[2] / 'support')!r})\n"
        "LocalExecutor.module = 'hostile_worker'\n"
        "main()"
    )
    (tmp_path / "tmp").mkdir()
    process = subprocess.Popen(
        [sys.executable, "-c", program, "audit", "a.tar", "--workers", "1"],
        cwd=tmp_path, env={**os.environ, "TMPDIR": str(tmp_path / "tmp")},
        stderr=subprocess.PIPE, stdout=subprocess.DEVNULL, text=True,
    )  # fmt: skip
    workers: list[int] = []
    deadline = time.monotonic() + 30
    while not workers and time.monotonic() < deadline:
        task = Path(f"/proc/{process.pid}/task/{process.pid}/children")
        workers = [int(child) for child in task.read_text().split()]
        time.sleep(0.05)
    assert workers
    time.sleep(1)
    process.send_signal(stop)
    _, err = process.communicate(timeout=30)
    if stop is signal.SIGKILL:
        assert process.returncode == -signal.SIGKILL
    else:
        assert (process.returncode, "[interrupted]" in err) == (130, True)
        assert list((tmp_path / "tmp").iterdir()) == []
    assert "Traceback" not in err
    deadline = time.monotonic() + 20
    while any(is_running(worker) for worker in workers):
        assert time.monotonic() < deadline, "a worker outlives its parent"
        time.sleep(0.05)


def is_running(process: int) -> bool:
    try:
        return ") Z " not in Path(f"/proc/{process}/stat").read_text()
    except (FileNotFoundError, ProcessLookupError):
        return False


def test_a_failure_never_exits_as_if_something_had_matched(
    store: egide.Store, tmp_path: Path
) -> None:
    (tmp_path / "photo.jpg").write_bytes(PHOTO)
    with Path("/dev/full").open("w") as full:
        done = subprocess.run(
            [*EGIDE, "hash", "photo.jpg"],
            cwd=tmp_path, stdout=full, stderr=subprocess.PIPE, text=True, check=False,
        )  # fmt: skip
    assert (done.returncode, "[output-unwritable]" in done.stderr) == (3, True)
    assert "Traceback" not in done.stderr


# --- the store, its snapshot, and where results go ------------------------------------------


@pytest.mark.parametrize(
    "closed",
    [
        *(pytest.param(one, marks=pytest.mark.slow) for one in ("<&-", ">&-", "2>&-")),
        "<&- >&- 2>&-",
    ],
)
def test_a_closed_stream_is_none_that_a_command_ends_at(closed: str, tmp_path: Path) -> None:
    (tmp_path / "a.jpg").write_bytes(PHOTO)
    closing = ["bash", "-c", f'exec "$@" {closed}', "closing", *EGIDE, "hash", "a.jpg"]
    assert subprocess.run(closing, cwd=tmp_path, capture_output=True, check=False).returncode == 0


def test_a_store_locked_by_another_process_is_told(store: egide.Store, tmp_path: Path) -> None:
    (tmp_path / "photo.jpg").write_bytes(PHOTO)
    holder = sqlite3.connect(tmp_path / "egide.db", isolation_level=None)
    holder.execute("BEGIN IMMEDIATE")
    try:
        result = egide_in(tmp_path, "bank", "add", "helpline", "photo.jpg")
        assert (result.code, "[store-locked]" in result.err) == (3, True)
        assert "egide.db" in result.err
        assert egide_in(tmp_path, "match", "photo.jpg").code == 1  # reading goes on
    finally:
        holder.close()


def test_a_store_on_a_full_disk_is_told_and_nothing_is_changed(small_disk: Path) -> None:
    url = f"sqlite:///{small_disk}/egide.db"
    assert egide_in(small_disk, "bank", "create", "b", "--store", url).code == 0
    lines = "\n".join(f"{n:064x}" for n in range(1, 20_000))
    result = egide_in(small_disk, "bank", "import", "b", "-", "--store", url, stdin=lines)
    assert (result.code, "[store-full]" in result.err) == (3, True)
    assert egide_in(small_disk, "bank", "show", "b", "--json", "--store", url).json()["active"] == 0


def test_an_export_that_does_not_fit_leaves_the_old_one(
    store: egide.Store, tmp_path: Path, small_disk: Path
) -> None:
    (small_disk / "list.csv").write_text("old")
    (small_disk / "filler").write_bytes(bytes(os.statvfs(small_disk).f_bavail * 4096))
    result = egide_in(tmp_path, "bank", "export", "helpline", "--out", small_disk / "list.csv")
    assert (result.code, "[output-unwritable]" in result.err) == (3, True)
    assert (small_disk / "list.csv").read_text() == "old"
    assert {path.name for path in small_disk.iterdir()} == {"list.csv", "filler"}


def test_an_out_folder_that_cannot_be_made_is_told(store: egide.Store, tmp_path: Path) -> None:
    (tmp_path / "photo.jpg").write_bytes(PHOTO)
    (tmp_path / "out").write_text("a file stands here")
    result = egide_in(tmp_path, "audit", "photo.jpg", "--out", "out")
    assert (result.code, "[output-unwritable]" in result.err) == (3, True)
    assert "out" in result.err


def test_a_withdrawal_while_the_snapshot_is_built_leaves_no_erased_fingerprint(
    store: egide.Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    code = store.entries.get("helpline", 1).pdqs[0]
    build = snapshots.build_snapshot
    calls = []

    def build_late(*arguments: object, **options: object) -> None:
        calls.append(1)
        if len(calls) == 1:  # after the entries were read, before the file stands
            options["entries"] = iter(list(options["entries"]))  # type: ignore[call-overload]
            egide.withdraw(store, "helpline", [1])
        build(*arguments, **options)  # type: ignore[arg-type]

    monkeypatch.setattr(snapshots, "build_snapshot", build_late)
    with snapshots.open_snapshot(store) as snapshot:
        assert snapshot.revision == store.revision()
        assert code not in snapshot.path.read_bytes()
