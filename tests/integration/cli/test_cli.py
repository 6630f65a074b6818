"""The command line as its users meet it: output, exit codes, errors."""

from __future__ import annotations

import json
import os
import pty
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from commands import EGIDE, egide_apart, egide_in
from pictures import encoded, pictures
from store_samples import copy_store

if TYPE_CHECKING:
    import egide


@pytest.fixture(scope="module")
def once(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """What `folder` and `registered` copy."""
    made = tmp_path_factory.mktemp("once")
    (made / "photos").mkdir()
    for number, image in enumerate(pictures(8)[:4]):
        (made / "photos" / f"{number}.png").write_bytes(encoded(image, "PNG"))
    assert egide_in(made, "bank", "create", "helpline").code == 0
    assert egide_in(made, "bank", "add", "helpline", "photos/0.png", "photos/1.png").code == 0
    return made


@pytest.fixture
def folder(tmp_path: Path, once: Path) -> Path:
    """Four pictures in `photos`, of which two will be registered."""
    shutil.copytree(once / "photos", tmp_path / "photos")
    return tmp_path


@pytest.fixture
def registered(folder: Path, once: Path) -> Path:
    """The first two pictures are entries 1 and 2 of bank `helpline`."""
    copy_store(once / "egide.db", folder / "egide.db")
    return folder


def test_the_whole_story(registered: Path) -> None:
    copies = registered / "dataset"
    copies.mkdir()
    for number, image in enumerate(pictures(8)[:4]):
        (copies / f"{number}.jpg").write_bytes(encoded(image.reduce(2), quality=60))

    audit = egide_apart(registered, "audit", "dataset", "--out", "audit", "--lang", "fr")
    assert audit.code == 1
    assert "2 of 4 items match bank helpline at revision 2" in audit.out
    page = (registered / "audit" / "report.html").read_text("utf-8")
    assert '<html lang="fr"' in page

    assert egide_in(registered, "match", "dataset/1.jpg").code == 1
    assert egide_apart(registered, "bank", "withdraw", "helpline", 1, 2).code == 0
    again = egide_in(registered, "audit", "dataset", "--out", "audit")
    assert (again.code, "[nothing-to-compare]" in again.err) == (3, True)
    assert "helpline" in again.err
    assert egide_in(registered, "match", "dataset/1.jpg").code == 3


def test_hash_prints_json_lines(folder: Path) -> None:
    (folder / "photos" / "bad.jpg").write_text("no picture")
    result = egide_in(folder, "hash", "photos")
    first, *_, bad = result.lines()
    assert result.code == 1
    assert list(first) == ["file", "sha256", "sha1", "md5", "pdq", "quality", "width", "height"]
    assert len(first["pdq"]) == 64
    assert (first["width"], first["height"]) == (384, 256)
    assert bad["file"] == "photos/bad.jpg"
    assert bad["error"]["code"] == "not-an-image"
    assert egide_in(folder, "hash", "photos/bad.jpg").code == 3


@pytest.mark.parametrize("command", ["hash", "match", "audit"])
def test_what_is_no_picture_in_a_folder_is_counted_and_no_gap(
    registered: Path, command: str
) -> None:
    folder = registered / "mixed"
    folder.mkdir()
    (folder / "p.png").write_bytes(encoded(pictures(9)[8], "PNG"))
    (folder / "notes.txt").write_text("words")
    (folder / "empty").write_bytes(b"")
    mixed = egide_in(registered, command, "mixed")
    assert mixed.code == 0
    said = mixed.out if command == "audit" else mixed.err
    assert "Files that are not pictures: 2 (" in said
    assert "notes" not in said
    if command != "audit":  # which takes a text for a list of hashes
        assert egide_in(registered, command, "mixed/notes.txt").code == 3
    (folder / "p.png").unlink()
    assert egide_in(registered, command, "mixed").code == 3
    (folder / "p.jpg").write_text("claims to be one")
    (folder / "q.png").write_bytes(encoded(pictures(9)[8], "PNG"))
    assert egide_in(registered, command, "mixed").code == 1


def test_hash_has_two_modes(folder: Path) -> None:
    (folder / "big.jpg").write_bytes(encoded(pictures(1)[0].resize((2000, 1400))))
    exact, fast = (
        egide_in(folder, "hash", mode, "big.jpg").json() for mode in ("--exact", "--fast")
    )
    distance = (int(exact["pdq"], 16) ^ int(fast["pdq"], 16)).bit_count()
    assert distance <= 10


def test_match_answers_in_json_with_distance_and_transform(registered: Path) -> None:
    mirrored = pictures(8)[0].transpose(0)  # FLIP_LEFT_RIGHT
    (registered / "m.png").write_bytes(encoded(mirrored, "PNG"))
    result = egide_in(registered, "match", "--json", "m.png", "photos/3.png")
    found, other = result.lines()
    assert result.code == 1
    assert found["matches"][0]["transform"] == "flip-horizontal"
    assert found["matches"][0]["entry"] == 1
    assert found["matches"][0]["revision"] == 2
    assert found["action"] == "review"
    del other["anchored"]
    assert other == {
        "query": "photos/3.png", "matchable": True, "matches": [], "action": "allow",
    }  # fmt: skip


def test_match_says_what_a_served_register_would_answer(registered: Path) -> None:
    asked = egide_in(registered, "match", "photos/0.png")
    assert "at revision 2: review" in asked.out
    assert egide_in(registered, "bank", "confirm", "helpline", 1).code == 0
    assert "at revision 3: block" in egide_in(registered, "match", "photos/0.png").out
    wider = egide_in(registered, "match", "--json", "--radius", "40", "photos/0.png")
    assert "action" not in wider.json()


def test_match_takes_a_hash(registered: Path) -> None:
    value = egide_in(registered, "hash", "photos/0.png").json()["pdq"]
    assert egide_in(registered, "match", "--pdq", value).code == 1
    assert egide_in(registered, "match", "--pdq", "0" * 64).code == 0
    wrong = egide_in(registered, "match", "--pdq", "xyz")
    assert (wrong.code, "hash-invalid" in wrong.err) == (2, True)
    assert "xyz" not in wrong.err


def test_match_exits_with_3_when_a_file_cannot_be_compared(registered: Path) -> None:
    (registered / "bad.png").write_bytes(b"")
    result = egide_in(registered, "match", "bad.png")
    assert (result.code, "file-empty" in result.err) == (3, True)


def test_match_never_says_no_match_of_a_bank_that_is_disabled(registered: Path) -> None:
    for bank in ("other", "off"):
        egide_in(registered, "bank", "create", bank)
    egide_in(registered, "bank", "add", "off", "photos/2.png")
    egide_in(registered, "bank", "set", "off", "--disable")
    alone = egide_in(registered, "match", "photos/2.png", "--bank", "off")
    assert (alone.code, alone.out) == (3, "")
    assert "the bank off is disabled" in alone.err
    beside = egide_in(
        registered, "match", "photos/2.png", "--json", "--bank", "off", "--bank", "helpline"
    )
    assert (beside.code, beside.json()["disabled_banks"]) == (3, ["off"])
    assert egide_in(registered, "match", "photos/2.png").code == 0  # the others were compared


@pytest.mark.parametrize("command", [["match"], ["hash"], ["bank", "add", "helpline"]])
def test_an_address_is_told_what_to_do_and_stays_whole(
    registered: Path, command: list[str]
) -> None:
    address = "https://media.example.org//a.jpg"
    result = egide_in(registered, *command, "photos/0.png", address)
    assert (result.code, result.out) == (2, "")
    assert address in result.err
    assert "fetch it first" in result.err


def test_a_featureless_picture_is_not_matchable(registered: Path) -> None:
    from PIL import Image

    Image.new("RGB", (200, 200), "teal").save(registered / "flat.png")
    assert egide_in(registered, "match", "--json", "flat.png").json()["matchable"] is False
    added = egide_in(registered, "bank", "add", "--json", "helpline", "flat.png").json()
    assert added["matchable"] is False
    exact = egide_in(registered, "match", "--json", "flat.png").json()["matches"]
    assert [match["signal"] for match in exact] == ["sha256"]


def test_bank_add_says_what_became_of_each_file(registered: Path) -> None:
    result = egide_in(registered, "bank", "add", "--json", "helpline", "photos", "nothing.png")
    outcomes = [(line["entry"], line["outcome"]) for line in result.lines()]
    assert outcomes == [(1, "known"), (2, "known"), (3, "added"), (4, "added"), (None, "failed")]
    assert result.code == 1


def test_what_was_withdrawn_comes_back_only_on_request(registered: Path) -> None:
    withdrawn = egide_in(registered, "bank", "withdraw", "--json", "helpline", 1)
    assert withdrawn.json() == {"action": "withdrawn", "entries": 1, "revision": 3}
    assert egide_in(registered, "bank", "withdraw", "--json", "helpline", 1).json()["entries"] == 0
    refused = egide_in(registered, "bank", "add", "--json", "helpline", "photos/0.png")
    assert (refused.code, refused.json()["outcome"]) == (1, "refused")
    told = egide_in(registered, "bank", "add", "helpline", "photos/0.png", "photos/1.png")
    assert "entry 1, refused: withdrawn before; with --again" in told.err
    assert "1 of 2 files done, 1 refused; bank helpline at revision 3" in told.out
    assert egide_in(registered, "match", "photos/0.png").code == 0
    renewed = egide_in(registered, "bank", "add", "--again", "--json", "helpline", "photos/0.png")
    assert renewed.json()["outcome"] == "renewed"
    assert egide_in(registered, "match", "photos/0.png").code == 1


def test_a_false_positive_is_refused_for_good_and_says_so(registered: Path) -> None:
    egide_in(registered, "bank", "tombstone", "helpline", 1)
    told = egide_in(registered, "bank", "add", "--again", "helpline", "photos/0.png")
    assert (told.code, "judged to be a false positive before" in told.err) == (1, True)
    assert "--again" not in told.err


def test_import_of_what_was_withdrawn_is_refused_and_exits_with_1(registered: Path) -> None:
    value = egide_in(registered, "hash", "photos/2.png").json()["pdq"]
    (registered / "list.txt").write_text(value)
    assert egide_in(registered, "bank", "import", "helpline", "list.txt").code == 0
    egide_in(registered, "bank", "withdraw", "helpline", 3)
    again = egide_in(registered, "bank", "import", "helpline", "list.txt", "--json")
    assert (again.code, again.json()["refused"], again.json()["added"]) == (1, 1, 0)


@pytest.mark.parametrize("flags", [[], ["--json"]])
def test_a_source_is_withdrawn_only_with_a_word_of_consent(
    registered: Path, flags: list[str]
) -> None:
    withdraw = ("bank", "withdraw", "helpline", "--source", "local", *flags)
    asked = egide_in(registered, *withdraw, stdin="y\n")  # a pipe is nobody who agrees
    assert asked.code == 2
    assert "2 entries of source local in bank helpline" in asked.err + asked.out
    assert "confirmation-needed" in asked.err + asked.out
    assert egide_in(registered, "match", "photos/0.png").code == 1
    done = egide_in(registered, *withdraw, "--yes")
    assert done.code == 0
    assert "2 entries withdrawn" in done.out or done.json()["entries"] == 2
    assert "nothing-to-compare" in egide_in(registered, "match", "photos/0.png").err
    nothing = egide_in(registered, *withdraw)  # nothing left to ask about
    assert nothing.code == 0
    assert "0 entries withdrawn" in nothing.out or nothing.json()["entries"] == 0


@pytest.mark.parametrize(
    ("answer", "code"), [("y", 0), ("n", 2), pytest.param("", 2, marks=pytest.mark.slow)]
)
def test_on_a_terminal_withdrawing_a_source_asks(registered: Path, answer: str, code: int) -> None:
    terminal, other_end = pty.openpty()
    with subprocess.Popen(
        [*EGIDE, "bank", "withdraw", "helpline", "--source", "local"],
        cwd=registered, stdin=other_end, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
    ) as asking:  # fmt: skip
        os.write(terminal, f"{answer}\n".encode())
        _, said = asking.communicate(timeout=60)
    os.close(terminal)
    os.close(other_end)
    assert asking.returncode == code
    assert b"This erases 2 entries of source local in bank helpline, for good. Go on?" in said
    assert egide_in(registered, "match", "photos/0.png").code == (3 if answer == "y" else 1)


def test_import_reports_bad_lines_and_is_idempotent(registered: Path) -> None:
    value = egide_in(registered, "hash", "photos/2.png").json()["pdq"]
    (registered / "list.csv").write_text(
        "signal_type,signal_str,collab,category,tags\n"
        f"pdq,{value},c,POSITIVE_CLASS,a b\n"
        "pdq,not-hex,c,POSITIVE_CLASS,\n"
    )
    first = egide_in(registered, "bank", "import", "helpline", "list.csv", "--json")
    assert first.code == 1
    assert (first.json()["added"], first.json()["bad_lines"]) == (1, 1)
    assert first.json()["first_bad_lines"][0]["line"] == 3
    second = egide_in(registered, "bank", "import", "helpline", "list.csv")
    assert "0 added, 1 known" in second.out
    assert "line 3:" in second.err
    assert "not-hex" not in second.err
    assert egide_in(registered, "match", "photos/2.png").code == 1


def test_an_export_can_be_imported_elsewhere(registered: Path) -> None:
    exported = egide_in(registered, "bank", "export", "helpline")
    assert exported.code == 0
    other = {"EGIDE_STORE": f"sqlite:///{registered}/other.db"}
    egide_in(registered, "bank", "create", "copy", **other)
    result = egide_in(
        registered, "bank", "import", "copy", "-", "--json", stdin=exported.out, **other
    )
    assert (result.code, result.json()["added"]) == (0, 2)
    assert egide_in(registered, "match", "photos/0.png", **other).code == 1


def test_an_export_to_a_file_is_private(registered: Path) -> None:
    egide_in(registered, "bank", "export", "helpline", "--out", "list.csv")
    assert (registered / "list.csv").stat().st_mode & 0o077 == 0


def test_entries_can_be_listed_shown_and_judged(registered: Path) -> None:
    assert egide_in(registered, "bank", "confirm", "helpline", 1).code == 0
    assert egide_in(registered, "bank", "dispute", "helpline", 2).code == 0
    lines = egide_in(registered, "bank", "entries", "--json", "helpline").json()
    assert [(line["entry"], line["trust"]) for line in lines] == [(1, "confirmed"), (2, "disputed")]
    assert lines[0]["signals"] == ["pdq", "sha256", "md5", "pdq-anchored"]
    assert (
        egide_in(registered, "match", "--json", "photos/0.png").json()["matches"][0]["trust"]
        == "confirmed"
    )
    shown = egide_in(registered, "bank", "show", "--json", "helpline", 2).json()
    assert shown["trust"] == "disputed"
    bank = egide_in(registered, "bank", "show", "--json", "helpline").json()
    assert (bank["active"], bank["confirmed"]) == (2, 1)
    assert egide_in(registered, "bank", "tombstone", "helpline", 2).code == 0
    assert egide_in(registered, "match", "photos/1.png").code == 0


def test_entries_expire(registered: Path) -> None:
    egide_in(registered, "bank", "add", "helpline", "photos/2.png", "--expires", "2020-01-01")
    assert egide_in(registered, "match", "photos/2.png").code == 0
    assert egide_in(registered, "bank", "expire", "--json").json()["expired"] == 1
    assert egide_in(registered, "bank", "show", "--json", "helpline", 3).json()["signals"] == []


def test_banks_are_listed_and_changed(registered: Path) -> None:
    egide_in(registered, "bank", "set", "helpline", "--radius", 10, "--description", "d")
    (row,) = egide_in(registered, "bank", "list", "--json").json()
    assert (row["name"], row["radius_bits"], row["description"], row["active"]) == (
        "helpline",
        10,
        "d",
        2,
    )
    assert "helpline" in egide_in(registered, "bank", "list").out


def test_store_info_tells_the_revision(registered: Path) -> None:
    values = egide_in(registered, "store", "info", "--json").json()
    assert (values["revision"], values["banks"]) == (2, 1)
    assert egide_in(registered, "store", "upgrade").code == 0


def test_no_output_holds_a_fingerprint_unasked(registered: Path) -> None:
    value = egide_in(registered, "hash", "photos/0.png").json()
    secrets = [value["pdq"], value["sha256"], value["md5"]]
    for command in (
        ["bank", "entries", "helpline", "--json"], ["bank", "show", "helpline", "1", "--json"],
        ["match", "photos/0.png", "--json"], ["bank", "add", "helpline", "photos/0.png", "--json"],
    ):  # fmt: skip
        result = egide_in(registered, *command)
        assert not any(secret in result.out + result.err for secret in secrets), command


# --- exit codes and errors ------------------------------------------------------------


@pytest.mark.parametrize(
    ("arguments", "exit_code", "code"),
    [
        (["audit", "photos"], 3, "store-missing"),
        (["match", "photos/0.png", "--store", "egide.db"], 2, "usage"),
        (["match"], 2, "usage"),
        (["bank", "create", "bad name!"], 2, "bank-name-invalid"),
        (
            ["bank", "create", "b", "--store", "sqlite:///no/such/folder/x.db"],
            3,
            "store-unreadable",
        ),
    ],
)
def test_errors_have_a_code_and_an_exit_code(
    folder: Path, arguments: list[str], exit_code: int, code: str
) -> None:
    plain = egide_in(folder, *arguments)
    assert (plain.code, f"[{code}]" in plain.err) == (exit_code, True), plain.err
    machine = egide_in(folder, *arguments, "--json")
    assert machine.json()["error"]["code"] == code


@pytest.mark.parametrize(
    "arguments", [["audit"], ["nonsense"], ["audit", "x", "--radius", "64"], ["hash", "--no-such"]]
)
def test_wrong_usage_exits_with_2(folder: Path, arguments: list[str]) -> None:
    assert egide_in(folder, *arguments).code == 2


@pytest.mark.parametrize(
    ("files", "arguments"),
    [
        (20, ["audit", "photos"]),
        pytest.param(20, ["bank", "list"], marks=pytest.mark.slow),
        (20, ["match", "photos/0.png"]),
        pytest.param(80, ["audit", "photos", "--workers", "40"], marks=pytest.mark.slow),
    ],
)
def test_too_few_files_are_one_clear_error_with_its_remedy(
    registered: Path, files: int, arguments: list[str]
) -> None:
    limited = ["bash", "-c", f'ulimit -n {files}; exec "$@"', "limited", *EGIDE, *arguments]
    for options in ([], ["--json"]):
        done = subprocess.run(
            [*limited, *options], cwd=registered, capture_output=True, text=True, check=False
        )
        assert done.returncode == 3, done.stderr
        assert "Traceback" not in done.stderr
        said = json.loads(done.stdout)["error"]["message"] if options else done.stderr
        assert "ulimit -n" in said
        assert ("[too-many-files]" in said) == (not options)
        assert said.count("\n") <= 1


def test_errors_of_a_store_name_it_and_the_remedy(registered: Path) -> None:
    missing = egide_in(registered, "bank", "withdraw", "helpline", 99)
    assert (missing.code, "egide bank entries helpline" in missing.err) == (3, True)
    (registered / "text.db").write_text("this is no database, but long enough to be looked at" * 30)
    unreadable = egide_in(registered, "bank", "list", "--store", "sqlite:///text.db")
    assert (unreadable.code, "[store-unreadable]" in unreadable.err) == (3, True)


def test_a_source_that_is_missing_exits_with_3(registered: Path) -> None:
    result = egide_in(registered, "audit", "no-such-folder")
    assert (result.code, "no-such-folder" in result.err) == (3, True)


@pytest.mark.parametrize(
    "arguments", [("audit", ""), ("log", "show", "--after", 2**63)], ids=["no name", "no database"]
)
def test_what_would_read_the_whole_disk_or_no_database_counts_to_is_wrong_usage(
    registered: Path, arguments: tuple[object, ...]
) -> None:
    result = egide_in(registered, *arguments)
    assert (result.code, "[usage]" in result.err) == (2, True)


def test_an_audit_that_compared_nothing_exits_with_3(registered: Path) -> None:
    (registered / "empty").mkdir()
    empty = egide_in(registered, "audit", "empty")
    assert (empty.code, "nothing-compared" in empty.err) == (3, True)
    (registered / "empty" / "bad.jpg").write_text("no picture")
    assert egide_in(registered, "audit", "empty").code == 3


def test_a_damaged_snapshot_is_rebuilt(registered: Path) -> None:
    assert egide_in(registered, "match", "photos/0.png").code == 1
    snapshot = registered / "egide.db.snapshot"
    snapshot.write_bytes(snapshot.read_bytes()[:1000])
    assert egide_in(registered, "match", "photos/0.png").code == 1


def test_the_snapshot_is_private_and_goes_with_a_withdrawal(registered: Path) -> None:
    egide_in(registered, "match", "photos/0.png")
    snapshot = registered / "egide.db.snapshot"
    assert snapshot.stat().st_mode & 0o077 == 0
    egide_in(registered, "bank", "withdraw", "helpline", 1)
    assert not snapshot.exists()


def test_the_snapshot_can_stand_elsewhere(registered: Path) -> None:
    (registered / "index").mkdir()
    egide_in(registered, "match", "photos/0.png", EGIDE_SNAPSHOT_DIR=str(registered / "index"))
    assert not (registered / "egide.db.snapshot").exists()
    assert len(list((registered / "index").glob("*.snapshot"))) == 1
    wrong = egide_in(registered, "match", "photos/0.png", EGIDE_SNAPSHOT_DIR="/proc/no")
    assert (wrong.code, "EGIDE_SNAPSHOT_DIR" in wrong.err) == (3, True)


def test_limits_are_settings(folder: Path) -> None:
    small = egide_in(folder, "hash", "photos/0.png", EGIDE_MAX_PIXELS="100")
    assert small.json()["error"]["code"] == "image-too-large"
    wrong = egide_in(folder, "hash", "photos/0.png", EGIDE_MAX_PIXELS="many")
    assert (wrong.code, "EGIDE_MAX_PIXELS" in wrong.err or "EGIDE_MAX_PIXELS" in wrong.out) == (
        2,
        True,
    )


def test_hostile_file_names_are_shown_not_obeyed(folder: Path) -> None:
    name = "evil\x1b[2J\u202e.jpg"
    (folder / name).write_text("no picture")
    egide_in(folder, "bank", "create", "b")
    result = egide_in(folder, "bank", "add", "b", name)
    assert "\x1b" not in result.err
    assert "\u202e" not in result.err
    assert r"\x1b" in result.err


def test_ctrl_c_exits_with_130_and_the_next_run_goes_on(
    store: egide.Store, dataset: list[str], tmp_path: Path
) -> None:
    sources = dataset
    command = [*EGIDE, "audit", *sources, "--out", "out", "--workers", "1"]
    process = subprocess.Popen(
        command, cwd=tmp_path, stderr=subprocess.PIPE, stdout=subprocess.DEVNULL, text=True
    )
    deadline = time.monotonic() + 60
    while not (tmp_path / "out" / ".audit" / "plan.jsonl").exists():
        assert time.monotonic() < deadline
        time.sleep(0.01)
    process.send_signal(signal.SIGINT)
    _, err = process.communicate(timeout=60)
    assert process.returncode == 130, err
    assert "[interrupted]" in err
    assert "the same command" in err
    assert "Traceback" not in err
    assert egide_in(tmp_path, "audit", *sources, "--out", "out").code == 1


def test_started_in_the_background_it_still_ends_cleanly(
    store: egide.Store, dataset: list[str], tmp_path: Path
) -> None:
    # As a shell starts a background job: SIGINT is ignored, and stays so.
    command = [*EGIDE, "audit", *dataset, "--out", "out", "--workers", "1"]
    program = "trap '' INT; exec \"$@\""
    with subprocess.Popen(
        ["/bin/sh", "-c", program, "sh", *command],
        cwd=tmp_path, stderr=subprocess.PIPE, stdout=subprocess.DEVNULL, text=True,
    ) as process:  # fmt: skip
        deadline = time.monotonic() + 60
        while not (tmp_path / "out" / ".audit" / "plan.jsonl").exists():
            assert time.monotonic() < deadline
            time.sleep(0.01)
        process.send_signal(signal.SIGINT)
        process.send_signal(signal.SIGTERM)
        _, err = process.communicate(timeout=60)
    assert process.returncode == 130, err
    assert "[interrupted]" in err


# --- help and start ------------------------------------------------------------


def test_help_loads_nothing_heavy(tmp_path: Path) -> None:
    program = (
        "import sys, runpy\n"
        "sys.argv = ['egide', '--help']\n"
        "try:\n    runpy.run_module('egide.cli.main', run_name='__main__')\n"
        "except SystemExit:\n    pass\n"
        "heavy = {'numpy', 'PIL', 'pyarrow', 'sqlalchemy', 'alembic', 'jinja2', 'babel'}\n"
        "heavy |= {'fsspec', 'rich'}\n"
        "print(sorted(heavy & set(sys.modules)), file=sys.stderr)\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=True
    )
    assert done.stderr.strip().splitlines()[-1] == "[]"
    assert "Exit codes" in done.stdout


def test_importing_egide_loads_nothing_heavy() -> None:
    program = "import sys, egide; print('numpy' in sys.modules, egide.fingerprint is not None)"
    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=True
    )
    assert done.stdout.split() == ["False", "True"]


def test_version_is_printed(tmp_path: Path) -> None:
    from egide import __version__

    assert egide_apart(tmp_path, "--version").out.strip() == f"egide {__version__}"


@pytest.mark.parametrize("command", [["bank", "add", "helpline"], ["match"], ["hash"], ["audit"]])
def test_an_empty_name_is_not_the_folder_one_stands_in(
    registered: Path, command: list[str]
) -> None:
    """It is what a variable that is not set becomes."""
    told = egide_in(registered, *command, "")
    assert (told.code, "[usage]" in told.err) == (2, True)
