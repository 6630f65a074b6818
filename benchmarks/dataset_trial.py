"""From matches to a set with proof, as a new user would: 50,000 items on an S3 on the loopback.

Edited copies of photographs are packed into tars and put into a bucket. Some originals are
registered. Then come the commands of docs/dataset/audit.md, one after the other: audit by two
workers, of which one is killed, an interruption, resuming, purge, the audit after it, a proof and
what is refused of it, a bank that grows, and `--again`. Every command, its answer and its time are
printed, and kept with `--transcript`.
"""

from __future__ import annotations

import argparse
import contextlib
import io
import json
import mmap
import os
import random
import re
import shlex
import signal
import subprocess
import sys
import tarfile
import tempfile
import time
from collections.abc import Callable, Iterator, MutableMapping
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any

from PIL import Image, ImageEnhance, ImageOps

from drawings import drawings
from fake_s3 import BUCKET, FakeS3, serving
from machine import CORPUS, machine_line

EGIDE = Path(sys.executable).with_name("egide")
SEED = 15
REGISTERED = 20
UNCONFIRMED = 4
"""Of the registered ones; nothing may be purged by these alone."""
LATER = 3
"""Originals that are registered after the first audit."""
EVERY = 100
"""One item in so many is a copy of a registered original; of a small set one in a few more."""
PLANTED = 60
"""At least so many copies."""
SIDE = 384
SHOWN_LINES = 14


def main() -> None:
    """Run the trial; exit with 1 if a step did not do what it promises."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--items", type=int, default=50_000)
    parser.add_argument("--shards", type=int, default=50)
    parser.add_argument("--local", action="store_true", help="two local processes instead of Ray")
    parser.add_argument("--folder", type=Path, help="where to work; a temporary one by default")
    parser.add_argument("--transcript", type=Path)
    options = parser.parse_args()
    with contextlib.ExitStack() as stack:
        folder = options.folder or Path(stack.enter_context(tempfile.TemporaryDirectory()))
        folder.mkdir(parents=True, exist_ok=True)
        trial = Trial(
            folder, workers=["--workers", "2", *([] if options.local else ["--ray", "local"])]
        )
        trial.say(machine_line())
        with trial.step("make the set"):
            made = make_set(folder, options.items, options.shards)
        trial.say(f"{made.items:,} items in {options.shards} tars, {made.bytes / 1e6:,.0f} MB")
        server = stack.enter_context(serving(FakeS3(Bucket(folder / "bucket"))))
        trial.url, trial.enough = server.url, options.shards
        try:
            walk(trial, made)
        finally:
            trial.end(options.transcript)


def walk(trial: Trial, made: Made) -> None:
    """Do all that the issue asks for, in its order."""
    first, later = made.registered[:REGISTERED], made.registered[REGISTERED:]
    names = [f"s3://{BUCKET}/set/{name}" for name in made.shards]
    remote = ["--endpoint-url", trial.url]
    with trial.step("register"):
        trial.egide("bank", "create", "helpline")
        added = trial.egide("bank", "add", "helpline", *map(str, first), "--json")
        numbers = [str(json.loads(line)["entry"]) for line in added.splitlines()]
        trial.egide("bank", "confirm", "helpline", *numbers[UNCONFIRMED:])
    audit = ["audit", *names, "--out", "audit", *trial.workers, *remote]
    with trial.step("audit, one worker killed, then interrupted"):
        trial.egide(*audit, code={130}, meanwhile=partial(disturb, trial))
    with trial.step("audit, resumed"):
        trial.egide(*audit, code={1})
    summary = trial.summary("audit")
    trial.check("all items were seen", summary["items"] == made.items)
    trial.check("nothing was left out", not summary["gaps"])
    trial.check("it was resumed", bool(summary["resumed"]))
    trial.check_found(made)
    target = f"s3://{BUCKET}/purged/"
    with trial.step("purge, dry run"):
        trial.egide("purge", "audit", "--to", target, *remote, code={0, 1})
    with trial.step("purge"):
        trial.egide("purge", "audit", "--to", target, "--yes", *remote, code={0, 1})
    removed = json.loads((trial.folder / "audit" / "purge.json").read_text())
    trial.say(f"removed: {removed['removed_items']:,}, with them {removed['removed_with_them']:,}")
    with trial.step("audit after the purge"):
        trial.egide("audit", target, "--out", "after", *trial.workers, *remote, code={0, 1})
    after = trial.summary("after")
    left = trial.leaving("after")
    trial.check("the purge left none that it may take", left == 0, left)
    trial.check("no other item went", after["items"] == made.items - removed["removed_items"])
    with trial.step("report, attest, verify"):
        trial.egide("report", "after", "--before", "audit")
        public = trial.egide("key", "signing", "--out", "signing.key")
        (trial.folder / "signing.pub").write_text(public)
        trial.egide("attest", "audit", "after", "--key", "signing.key", "--out", "proof.json")
        proof = ["verify", "proof.json", "--key", "signing.pub"]
        trial.egide(*proof, "--report", "after/report.html")
        trial.egide(*proof, "--audit", "audit", "--after", "after")
    with trial.step("what is refused"):
        refuse(trial)
    with trial.step("the bank grows; again"):
        added = trial.egide("bank", "add", "helpline", *map(str, later), "--json")
        grown = [str(json.loads(line)["entry"]) for line in added.splitlines()]
        trial.egide("bank", "confirm", "helpline", *grown)
        trial.egide("audit", "--again", "after", *trial.workers, *remote, code={1})
    found = trial.leaving("after")
    trial.check("the new entries are found in the set that is left", found > 0, found)


def refuse(trial: Trial) -> None:
    """Tamper with the proof and the report, and use a wrong key."""
    proof = json.loads((trial.folder / "proof.json").read_text())
    for name, value in list(proof.items()):
        if isinstance(value, str) and len(value) > 4:
            middle = len(value) // 2
            other = "A" if value[middle] != "A" else "B"
            changed = {**proof, name: value[:middle] + other + value[middle + 1 :]}
            trial.write("tampered.json", json.dumps(changed))
            trial.egide("verify", "tampered.json", "--key", "signing.pub", code={1, 2, 3})
    other = trial.egide("key", "signing", "--out", "other.key")
    trial.write("other.pub", other)
    trial.egide("verify", "proof.json", "--key", "other.pub", code={1, 3})
    page = (trial.folder / "after" / "report.html").read_text(encoding="utf-8")
    trial.write("received.html", page.replace("</h1>", " </h1>", 1))
    trial.egide(
        *("verify", "proof.json", "--key", "signing.pub", "--report", "received.html"), code={1}
    )


def disturb(trial: Trial, process: subprocess.Popen[str]) -> None:
    """Once some parts are written, kill a worker; once more are, interrupt the audit."""
    killed = False
    parts = trial.folder / "audit" / ".audit" / "parts"
    while process.poll() is None:
        done = sum(1 for _ in parts.glob("*")) if parts.exists() else 0
        if not killed and done >= 2 and (worker := worker_of(process.pid)) is not None:
            os.kill(worker, signal.SIGKILL)
            trial.say(f"  (killed worker {worker} after {done} part files)")
            killed = True
        elif killed and done >= max(4, trial.enough):
            os.kill(process.pid, signal.SIGINT)
            trial.say(f"  (interrupted after {done} part files)")
            return
        time.sleep(0.05)


def worker_of(pid: int) -> int | None:
    """A process below this one that scans: a local worker, or a busy one of Ray."""
    for child in descendants(pid):
        with contextlib.suppress(OSError):
            line = Path(f"/proc/{child}/cmdline").read_bytes().replace(b"\0", b" ")
            if b"executors.worker" in line or (line.startswith(b"ray::") and b"IDLE" not in line):
                return child
    return None


def descendants(pid: int) -> Iterator[int]:
    """All processes below one, the latest first."""
    with contextlib.suppress(OSError):
        children = Path(f"/proc/{pid}/task/{pid}/children").read_text().split()
        for child in reversed(children):
            yield from descendants(int(child))
            yield int(child)


@dataclass
class Trial:
    """Runs commands, and remembers what they said and how long they took."""

    folder: Path
    workers: list[str]
    url: str = ""
    enough: int = 0
    lines: list[str] = field(default_factory=list)
    times: list[tuple[str, float]] = field(default_factory=list)
    failed: list[str] = field(default_factory=list)

    def say(self, line: str) -> None:
        """Print a line, and keep it."""
        print(line, flush=True)
        self.lines.append(line)

    @contextlib.contextmanager
    def step(self, name: str) -> Iterator[None]:
        """Time a step."""
        self.say(f"\n== {name}")
        began = time.monotonic()
        yield
        self.times.append((name, time.monotonic() - began))

    def egide(
        self,
        *arguments: str,
        code: set[int] | None = None,
        meanwhile: Callable[[subprocess.Popen[str]], None] | None = None,
    ) -> str:
        """Run a command in the folder; return what it printed."""
        self.say(f"$ egide {shown(arguments)}")
        began = time.monotonic()
        process = subprocess.Popen(
            [str(EGIDE), *arguments],
            cwd=self.folder,
            env=self._environment(),
            stdout=subprocess.PIPE,
            stderr=None if arguments[0] == "key" or "--json" in arguments else subprocess.STDOUT,
            text=True,
        )
        if meanwhile is not None:
            meanwhile(process)
        output, _ = process.communicate()
        lines = output.splitlines()
        cut = len(lines) - SHOWN_LINES
        for line in (
            [*lines[: SHOWN_LINES // 2], f"… {cut} lines …", *lines[-SHOWN_LINES // 2 :]]
            if cut > 0
            else lines
        ):
            self.say(f"  {line}"[:240])
        seconds = time.monotonic() - began
        self.say(f"  [exit {process.returncode}, {seconds:.1f} s]")
        if process.returncode not in (code or {0}):
            self.failed.append(f"egide {arguments[0]}: exit {process.returncode}")
        return output

    def _environment(self) -> dict[str, str]:
        keys = {"AWS_ACCESS_KEY_ID": "trial", "AWS_SECRET_ACCESS_KEY": "trial"}
        own = {name: value for name, value in os.environ.items() if not name.startswith("EGIDE_")}
        return (
            own | keys | {"EGIDE_STORE": f"sqlite:///{self.folder}/register.db", "COLUMNS": "120"}
        )

    def write(self, name: str, text: str) -> None:
        """Write a file in the folder."""
        (self.folder / name).write_text(text, encoding="utf-8")

    def summary(self, name: str) -> dict[str, Any]:
        """What an audit found."""
        found: dict[str, Any] = json.loads((self.folder / name / "summary.json").read_text())
        self.say(found["sentence"])
        return found

    def leaving(self, name: str) -> int:
        """Items of an audit that a purge may take."""
        return len({row.item for row in self._matches(name) if _may_go(row)})

    def check_found(self, made: Made) -> None:
        """Compare what was found with what was put in; heavy edits may escape."""
        found = {row.item for row in self._matches("audit")}
        light = [name for name, edit in made.planted.items() if edit not in {"crop", "later"}]
        missed = [name for name in light if name not in found]
        self.say(f"planted copies found: {len(light) - len(missed)} of {len(light)}, crops aside")
        self.check("nearly all planted copies were found", len(missed) <= len(light) // 20)

    def _matches(self, name: str) -> list[Any]:
        from egide.auditing.results import Results

        return list(Results.open(self.folder / name).matches())

    def check(self, promise: str, holds: bool, found: object = "") -> None:
        """Say whether a promise holds."""
        self.say(f"{'holds' if holds else 'FAILS'}: {promise} {found}".rstrip())
        if not holds:
            self.failed.append(promise)

    def end(self, transcript: Path | None) -> None:
        """Print the times and what failed, and write the transcript."""
        self.say("\n== times")
        for name, seconds in self.times:
            self.say(f"{seconds:9.1f} s  {name}")
        self.say(f"failed: {', '.join(self.failed)}" if self.failed else "all held")
        if transcript is not None:
            transcript.write_text("\n".join(self.lines) + "\n", encoding="utf-8")
        if self.failed:
            sys.exit(1)


def _may_go(row: Any) -> bool:
    return row.trust == "confirmed" and row.way in {"file", "whole", "address"}


def shown(arguments: tuple[str, ...]) -> str:
    """A command as it is typed; long lists shortened."""
    texts = [shlex.quote(argument) for argument in arguments]
    many = [at for at, text in enumerate(texts) if re.search(r"\d+\.(tar|jpg)$", text)]
    if len(many) > 3:
        texts[many[1] : many[-1]] = ["…"]
    return " ".join(texts)


class Bucket(MutableMapping[str, Any]):
    """A bucket's objects as files on disk, mapped and not read into memory."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def __getitem__(self, key: str) -> Any:
        path = self._folder / key
        if not path.is_file():
            raise KeyError(key)
        if not path.stat().st_size:
            return b""
        with path.open("rb") as stream:
            return mmap.mmap(stream.fileno(), 0, access=mmap.ACCESS_READ)

    def __setitem__(self, key: str, content: Any) -> None:
        path = self._folder / key
        path.parent.mkdir(parents=True, exist_ok=True)
        part = path.with_name(f".{path.name}.part")
        part.write_bytes(content)
        part.rename(path)

    def __delitem__(self, key: str) -> None:
        path = self._folder / key
        if not path.is_file():
            raise KeyError(key)
        path.unlink()

    def __contains__(self, key: object) -> bool:
        return (self._folder / str(key)).is_file()

    def __iter__(self) -> Iterator[str]:
        for path in sorted(self._folder.rglob("*")):
            if path.is_file() and not path.name.startswith("."):
                yield path.relative_to(self._folder).as_posix()

    def __len__(self) -> int:
        return sum(1 for _ in self)


@dataclass(frozen=True)
class Made:
    """What was put into the set.

    Attributes:
        registered: files of the originals, those that are registered later at the end.
        planted: the edit of each item that is a copy of one of them; `later` if that is registered
            later.
    """

    shards: list[str]
    items: int
    bytes: int
    registered: list[Path]
    planted: dict[str, str]


def make_set(folder: Path, items: int, shards: int) -> Made:
    """Pack edited copies of photographs into tars, with a caption beside each."""
    originals = originals_in(folder / "originals")
    registered, others = originals[: REGISTERED + LATER], originals[REGISTERED + LATER :]
    (folder / "bucket" / "set").mkdir(parents=True)
    names = [f"shard-{number:04}.tar" for number in range(shards)]
    spans = [range(at * items // shards, (at + 1) * items // shards) for at in range(shards)]
    planted: dict[str, str] = {}
    every = max(2, min(EVERY, items // PLANTED))
    with ProcessPoolExecutor(2) as pool:
        write = partial(write_shard, folder / "bucket" / "set", registered, others, every)
        for found in pool.map(write, names, spans):
            planted |= found
    size = sum((folder / "bucket" / "set" / name).stat().st_size for name in names)
    return Made(names, items, size, registered, planted)


def originals_in(folder: Path) -> list[Path]:
    """Photographs of the corpus, or drawings where there is none, of at most `SIDE` pixels."""
    folder.mkdir(parents=True, exist_ok=True)
    photos = sorted((CORPUS / "photos").glob("*.jpg"))
    pictures: Iterator[Image.Image] = (
        (Image.open(path) for path in photos)
        if photos
        else (drawn for _, drawn in drawings(200, size=(SIDE, 256)))
    )
    paths = []
    for number, picture in enumerate(pictures):
        picture.thumbnail((SIDE, SIDE))
        paths.append(folder / f"{number:04}.jpg")
        picture.convert("RGB").save(paths[-1], quality=92)
    random.Random(SEED).shuffle(paths)
    return paths


def write_shard(
    folder: Path, registered: list[Path], others: list[Path], every: int, name: str, span: range
) -> dict[str, str]:
    """Write one tar; return the edits of the copies of registered originals in it."""
    planted = {}
    with tarfile.open(folder / name, "w") as archive:
        for number in span:
            dice = random.Random(SEED * 1_000_003 + number)
            is_copy = number % every == every // 2
            path = registered[number // every % len(registered)] if is_copy else dice.choice(others)
            edit = dice.choice(sorted(EDITS))
            with Image.open(path) as picture:
                content, suffix = EDITS[edit](picture.convert("RGB"), dice)
            item = f"{number:08}.{suffix}"
            if is_copy:
                is_later = path in registered[REGISTERED:]
                planted[item] = "later" if is_later else edit
            add(archive, item, content)
            add(archive, f"{number:08}.json", json.dumps({"caption": edit}).encode())
    return planted


def add(archive: tarfile.TarFile, name: str, content: bytes) -> None:
    """Add a file to a tar."""
    member = tarfile.TarInfo(name)
    member.size = len(content)
    archive.addfile(member, io.BytesIO(content))


def _saved(picture: Image.Image, dice: random.Random, kind: str = "JPEG") -> tuple[bytes, str]:
    stream = io.BytesIO()
    options = {"quality": dice.randint(60, 95)} if kind != "PNG" else {}
    picture.save(stream, kind, **options)
    return stream.getvalue(), {"JPEG": "jpg", "PNG": "png", "WEBP": "webp"}[kind]


def _resized(picture: Image.Image, dice: random.Random) -> tuple[bytes, str]:
    scale = dice.uniform(0.5, 0.95)
    size = (int(picture.width * scale), int(picture.height * scale))
    return _saved(picture.resize(size), dice)


def _cropped(picture: Image.Image, dice: random.Random) -> tuple[bytes, str]:
    left, top = (int(side * dice.uniform(0.1, 0.3)) for side in picture.size)
    right, bottom = (int(side * dice.uniform(0.7, 0.9)) for side in picture.size)
    return _saved(picture.crop((left, top, right, bottom)), dice)


EDITS: dict[str, Callable[[Image.Image, random.Random], tuple[bytes, str]]] = {
    "recompressed": _saved,
    "resized": _resized,
    "mirrored": lambda picture, dice: _saved(ImageOps.mirror(picture), dice),
    "turned": lambda picture, dice: _saved(picture.transpose(Image.Transpose.ROTATE_90), dice),
    "brighter": lambda picture, dice: _saved(
        ImageEnhance.Brightness(picture).enhance(dice.uniform(0.85, 1.15)), dice
    ),
    "webp": lambda picture, dice: _saved(picture, dice, "WEBP"),
    "png": lambda picture, dice: _saved(picture, dice, "PNG"),
    "crop": _cropped,
}


if __name__ == "__main__":
    main()
