"""Audits on a Ray cluster: the results are those of this machine, whatever is lost."""

from __future__ import annotations

import os
import secrets
import signal
import socket
import subprocess
import sys
import time
import warnings
from contextlib import ExitStack, suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

import egide
from audits import run, tables
from egide.auditing.executors import cluster as cluster_module
from egide.auditing.executors.base import Job, Setup
from egide.auditing.executors.cluster import RayExecutor, joined
from egide.auditing.executors.local import LocalExecutor
from egide.auditing.executors.station import Station, versions
from egide.auditing.sources import Shard
from egide.errors import ClusterDiffers, ClusterUnavailable, ClusterUnusable, WorkerFailed
from pictures import encoded, pictures, write_tar
from purging import compare_purges

if TYPE_CHECKING:
    from collections.abc import Iterator

    from egide.auditing.executors.cluster import Cluster

SUPPORT = Path(__file__).parents[2] / "support"
WITHOUT_GRAMMAR = SUPPORT / "without_grammar"
"""jsonschema, which Ray imports, builds a grammar of addresses for three seconds a process."""


def free_ports(count: int) -> list[str]:
    with ExitStack() as opened:
        sockets = [opened.enter_context(socket.socket()) for _ in range(count)]
        for each in sockets:
            each.bind(("127.0.0.1", 0))
        return [str(each.getsockname()[1]) for each in sockets]


class Node:
    """A Ray node of its own, which is killed at the end."""

    def __init__(self, folder: Path, *options: str) -> None:
        """Start it.

        Its agents have fixed ports: Ray's daemon ends if they take over 15 s to tell theirs.
        """
        names = ("metrics-export-port", "dashboard-agent-listen-port", "dashboard-agent-grpc-port")
        ports = dict(zip((*names, "runtime-env-agent-port"), free_ports(4), strict=True))
        chosen = [f"--{name}={port}" for name, port in ports.items()]
        chosen += ["--min-worker-port=0", "--max-worker-port=0", "--object-store-memory=100000000"]
        (folder / "tmp").mkdir(exist_ok=True)
        environment = {
            "RAY_AUTH_MODE": "disabled",
            "RAY_USAGE_STATS_ENABLED": "0",
            "PYTHONPATH": os.pathsep.join([str(WITHOUT_GRAMMAR), str(SUPPORT)]),
            "TMPDIR": str(folder / "tmp"),
        }
        command = ["-m", "ray.scripts.scripts", "start", "--block", "--disable-usage-stats"]
        self._process = subprocess.Popen(
            [sys.executable, *command, *chosen, *options],
            env={**os.environ, **environment}, start_new_session=True,
            stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
        )  # fmt: skip

    @property
    def runs(self) -> bool:
        return self._process.poll() is None

    def end(self) -> None:
        self._process.terminate()
        try:
            self._process.wait(20)
        except subprocess.TimeoutExpired:
            with suppress(ProcessLookupError):
                os.killpg(self._process.pid, signal.SIGKILL)
            self._process.wait()


@pytest.fixture(scope="session")
def ray() -> Iterator[Any]:
    """The module, or a skip that says what is not tested."""
    with warnings.catch_warnings(), pytest.MonkeyPatch.context() as patched:
        warnings.simplefilter("ignore")
        patched.setitem(sys.modules, "rfc3987_syntax", None)
        patched.setenv("RAY_AUTH_MODE", "disabled")
        yield pytest.importorskip("ray", reason="audits on a cluster need pip install ray")


@pytest.fixture(scope="session")
def head(ray: Any, tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[str, Path]]:
    """The address of a cluster of one node with two processors, and its folder."""
    folder = Path("/tmp") / f"egide-ray-{secrets.token_hex(4)}"  # sockets have short paths
    folder.mkdir()
    port, dashboard = free_ports(2)
    options = ["--head", "--num-cpus=2", "--include-dashboard=false", f"--port={port}"]
    node = Node(folder, *options, f"--dashboard-port={dashboard}", f"--temp-dir={folder}")
    until = time.monotonic() + 120
    while not list(folder.glob("session_*/sockets/raylet*")) and time.monotonic() < until:
        assert node.runs
        time.sleep(0.2)
    yield f"127.0.0.1:{port}", folder
    node.end()
    subprocess.run(["rm", "-rf", str(folder)], check=True)


@pytest.fixture
def here(head: tuple[str, Path]) -> Iterator[Cluster]:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        with joined(head[0], processes=2) as found:
            yield found


def files(out: Path) -> dict[str, bytes]:
    """All files of an audit that are to be the same, wherever it was run."""
    found = [*(out / ".audit" / "parts").iterdir(), *(out / "fingerprints").iterdir()]
    return {path.name: path.read_bytes() for path in found}


def many_shards(folder: Path, count: int) -> list[str]:
    images = [encoded(image, quality=80) for image in pictures(8)]
    return [
        str(
            write_tar(
                folder / f"secret-{n}.tar", {f"{n}-{i}.jpg": im for i, im in enumerate(images)}
            )
        )
        for n in range(count)
    ]


def test_results_are_those_of_this_machine_and_nothing_stays_on_the_nodes(
    here: Cluster, head: tuple[str, Path], store: egide.Store, dataset: list[str], tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:  # fmt: skip
    monkeypatch.chdir(tmp_path)
    names = [str(Path(name).relative_to(tmp_path)) for name in dataset]
    write_tar(tmp_path / "secret.tar", {"secret.jpg": encoded(pictures(8)[0])})
    names.append("secret.tar")
    local = run(names, store, out="local", workers=2).summary
    there = run(names, store, out="there", workers=2, executor=here.executor).summary
    assert local is not None
    assert there is not None
    assert tables(Path("local")) == tables(Path("there"))
    assert files(Path("local")) == files(Path("there"))
    assert local.dataset_sha256 == there.dataset_sha256
    folder = head[1]
    assert [path for path in (folder / "tmp").iterdir() if "egide" in path.name] == []
    logs = b"".join(path.read_bytes() for path in folder.glob("session_*/logs/**/*.*"))
    assert logs
    assert b"secret" not in logs


def test_a_purge_there_is_that_of_this_machine(
    here: Cluster, head: tuple[str, Path], store: egide.Store, tmp_path: Path
) -> None:
    egide.confirm(store, "helpline", [1, 2, 3])
    compare_purges(store, tmp_path, here.executor)
    assert [path for path in (head[1] / "tmp").iterdir() if "egide" in path.name] == []


@pytest.mark.slow
def test_a_lost_worker_costs_nothing(here: Cluster, store: egide.Store, tmp_path: Path) -> None:
    sources = many_shards(tmp_path, 6)
    run(sources, store, out=tmp_path / "local", workers=2)
    made: list[RayExecutor] = []
    killed: list[int] = []

    def executor(setup: Setup) -> RayExecutor:
        made.append(here.executor(setup))
        return made[0]

    def kill(progress: egide.Progress) -> None:
        busy = [seat for executor in made for seat in executor._seats if seat.job and seat.pid]
        if busy and not killed and progress.shards_done:
            killed.append(busy[0].pid)
            os.kill(busy[0].pid, signal.SIGKILL)

    run(sources, store, out=tmp_path / "there", workers=2, executor=executor, on_progress=kill)
    assert killed
    assert files(tmp_path / "local") == files(tmp_path / "there")


@pytest.mark.slow
def test_an_interrupted_audit_goes_on_there(
    here: Cluster, store: egide.Store, tmp_path: Path
) -> None:
    sources = many_shards(tmp_path, 4)
    whole = run(sources, store, out=tmp_path / "local", workers=1)
    running = iter(egide.audit(sources, store, out=tmp_path / "out", executor=here.executor))
    next(running)
    running.close()  # type: ignore[attr-defined]
    again = run(sources, store, out=tmp_path / "out", executor=here.executor)
    assert again.summary is not None
    assert whole.summary is not None
    assert again.summary.scanned_items < whole.summary.scanned_items
    assert files(tmp_path / "local") == files(tmp_path / "out")


def test_decoders_that_crash_there_are_blamed_as_here(
    here: Cluster, store: egide.Store, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    photo = encoded(pictures(8)[0], quality=80)
    bad = {"a.jpg": photo, "b.jpg": photo + b"CRASH-THE-DECODER", "c.jpg": photo}
    source = str(write_tar(tmp_path / "a.tar", bad))

    class HostileStation(Station):
        def open(self, *arguments: Any) -> dict[str, Any]:
            sys.path.append(str(SUPPORT))
            LocalExecutor.module = "hostile_worker"
            return super().open(*arguments)

    monkeypatch.setattr(cluster_module, "Station", HostileStation)
    run([source], store, out=tmp_path / "out", executor=here.executor)
    matches, gaps = tables(tmp_path / "out")
    assert {row["item"] for row in matches} == {"a.jpg", "c.jpg"}
    assert [(row["name"], row["code"]) for row in gaps] == [("b.jpg", "decoder-crashed")]


def test_a_node_with_another_version_is_refused(
    here: Cluster, store: egide.Store, dataset: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(cluster_module, "versions", lambda: versions() | {"pillow": "1.0"})
    with pytest.raises(ClusterDiffers, match=r"pillow .* and this machine has pillow 1\.0"):
        run(dataset, store, executor=here.executor)


@pytest.mark.slow
def test_a_lost_node_costs_nothing(
    head: tuple[str, Path], here: Cluster, store: egide.Store, tmp_path: Path
) -> None:
    sources = many_shards(tmp_path, 12)
    run(sources, store, out=tmp_path / "local", workers=2)
    second = Node(head[1], f"--address={head[0]}", "--num-cpus=2")
    until = time.monotonic() + 120
    while here.processors < 4 and time.monotonic() < until:
        time.sleep(0.2)
    lost: list[bool] = []

    def lose(progress: egide.Progress) -> None:
        if progress.shards_done >= 2 and not lost:
            lost.append(True)
            second.end()

    run(sources, store, out=tmp_path / "there", workers=4, executor=here.executor, on_progress=lose)
    assert lost
    assert files(tmp_path / "local") == files(tmp_path / "there")


# --- without a cluster ---------------------------------------------------------------------------


def test_ray_that_is_not_installed_is_asked_for(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "ray", None)
    with pytest.raises(ClusterUnavailable, match=r"pip install 'egide\[ray\]'"):
        joined("local", processes=1).__enter__()


def test_a_client_address_is_refused_with_the_remedy(ray: Any) -> None:
    with pytest.raises(ClusterUnusable, match="on a machine of the cluster"):
        joined("ray://head:10001", processes=1).__enter__()


def test_an_address_where_nothing_answers_is_said_at_once(ray: Any) -> None:
    with pytest.raises(ClusterUnusable, match="nothing answers"):
        joined("127.0.0.1:1", processes=1).__enter__()


def test_a_file_that_a_node_does_not_have_is_said(tmp_path: Path) -> None:
    shard = Shard("tar", str(tmp_path / "absent.tar"), "absent.tar")
    answer = Station().begin(Job("0" * 32, shard).line(), {}, exists=True)
    assert answer["failed"]["kind"] == "SourceNotShared"
    assert answer["failed"]["fields"]["name"] == "absent.tar"


@pytest.mark.parametrize("name", ["../../evil", "f" * 32 + ".0.parquet", "x.parquet"])
def test_a_node_cannot_write_what_it_was_not_asked_for(tmp_path: Path, name: str) -> None:
    folders = {"parts": str(tmp_path), "fingerprints": str(tmp_path)}
    setup = Setup({"work": folders, "search": None}, workers=1, item_timeout_s=1.0)
    executor = RayExecutor(cluster_module.Cluster(None, "c"), setup)
    job = Job("0" * 32, Shard("tar", "a.tar", "a.tar"), kept_id="1" * 32)
    with pytest.raises(WorkerFailed, match="not asked for"):
        executor._write(job, [("parts", name, b"")])
    assert list(tmp_path.iterdir()) == []
