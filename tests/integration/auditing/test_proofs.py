"""Audits are attested, and whoever has the set, the report or one file can check it."""

from __future__ import annotations

import hashlib
import json
import shutil
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

import egide
from commands import egide_in
from egide.auditing.proof.leaves import Later
from egide.auditing.sources import folder as folders
from egide.errors import (
    AttestationExists,
    AttestationRefused,
    AttestationUnreadable,
    ItemNotIncluded,
    OutputMismatch,
)
from egide.security.signing import SigningKey
from pictures import encoded, pictures, write_tar

KEY = SigningKey.generate()


def audited(
    store: egide.Store, folder: Path, sources: list[str], name: str, **options: Any
) -> Path:
    for _ in egide.audit(sources, store, out=folder / name, **options):
        pass
    egide.write_report(folder / name)
    return folder / name


def purge_json(folder: Path, **changes: object) -> dict[str, object]:
    summary = json.loads((folder / "summary.json").read_text())
    named = ("store_id", "store_revision", "dataset_sha256")
    values: dict[str, object] = {
        "schema_version": 1,
        "egide_version": summary["egide_version"],
        "audit": {name: summary[name] for name in named},
        "mode": "copy",
        "trusts": ["confirmed"],
        "by_part": False,
        "removed_items": 2,
        "removed_with_them": 1,
        "left_items": {},
        "containers": [{"name": "private.tar"}],
        "started_at": summary["finished_at"],
        "finished_at": summary["finished_at"],
        "verified": True,
    }
    return values | changes


@dataclass
class Place:
    """A store, a set with copies of what it holds, the same set without them, and both audits."""

    folder: Path
    store: egide.Store
    audit: Path
    after: Path
    proof: Path

    @property
    def sets(self) -> tuple[list[str], list[str]]:
        names = ("secret-folder", "private.tar", "table.parquet")
        return tuple([str(self.folder / one / name) for name in names] for one in ("set", "clean"))  # type: ignore[return-value]

    def verify(self, proof: Path | None = None, **options: Any) -> egide.Verification:
        return egide.verify(proof or self.proof, key=KEY.public, **options)

    def codes(self, **options: Any) -> list[str]:
        return [each.code for each in self.verify(**options).problems]


def make_set(folder: Path, *, purged: bool) -> None:
    drawn = [image.reduce(2) for image in pictures(8)]
    (folder / "secret-folder" / "within").mkdir(parents=True)
    for number in (2, 3, 4):
        path = folder / "secret-folder" / "within" / f"{number}.png"
        path.write_bytes(encoded(drawn[number], "PNG"))
    (folder / "secret-folder" / "broken.jpg").write_bytes(b"\xff\xd8\xff\xe0 no picture")
    (folder / "secret-folder" / "notes.txt").write_text("no picture")
    members = {f"{number}.webp": encoded(drawn[number], "WEBP") for number in (4, 5, 6)}
    if not purged:
        (folder / "secret-folder" / "jane-doe.jpg").write_bytes(encoded(drawn[0]))
        members["jane.webp"] = encoded(drawn[1], "WEBP")
    write_tar(folder / "private.tar", members)
    rows = [{"bytes": encoded(drawn[7], "PNG"), "path": "7.png"}, {"bytes": None, "path": "8.png"}]
    pq.write_table(pa.table({"image": rows}), folder / "table.parquet")


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Place]:
    folder = tmp_path_factory.mktemp("proofs")
    for name in ("set", "clean"):
        make_set(folder / name, purged=name == "clean")
    for number, image in enumerate(pictures(2)):
        (folder / f"registered-{number}.png").write_bytes(encoded(image, "PNG"))
    with egide.open_store(f"sqlite:///{folder}/egide.db", create=True) as store:
        egide.create_bank(store, "helpline")
        files = sorted(folder.glob("registered-*"))
        assert all(each.entry for each in egide.register(store, "helpline", files))
        made = Place(folder, store, folder / "audit", folder / "after", folder / "proof.json")
        audited(store, folder, made.sets[0], "audit")
        audited(store, folder, made.sets[1], "after")
        (made.audit / "purge.json").write_text(json.dumps(purge_json(made.audit)))
        egide.attest(made.audit, made.after, key=KEY, out=made.proof)
        yield made


def test_two_audits_are_attested_and_all_of_it_can_be_checked(place: Place) -> None:
    found = place.verify(
        audit=place.audit, after=place.after, report=place.after / "report.html",
        dataset=place.sets[1], expected=["EGIDE_NO_MATCH:helpline@2"],
    )  # fmt: skip
    assert [str(each) for each in found.problems] == []
    assert found.checked == ["signature", "counts", "audit", "purge", "report", "dataset"]
    assert found.unchecked == []
    assert found.statement is not None
    attested = found.statement.attested
    assert attested.before is not None
    assert attested.purge is not None
    assert attested.before.counts.matched_items == 2
    assert {(each.trust, each.way) for each in attested.before.counts.matched} == {
        ("unverified", "whole")
    }
    assert "2 of 10 items match bank helpline" in attested.before.sentence["en"]
    assert attested.audit.sentence["en"].startswith("No match to bank helpline at revision 2")
    change = attested.change
    assert change is not None
    assert (change.kept, change.gone, change.new) == (8, 2, 0)
    assert attested.before.outcomes.gone == 2
    assert attested.audit.outcomes.compared == 7
    assert attested.audit.dataset.containers == 3
    assert {gap.kind for gap in attested.audit.gaps} == {"item", "row"}


def test_a_purge_that_is_said_elsewhere_is_checked_there(place: Place, tmp_path: Path) -> None:
    elsewhere = tmp_path / "audit"
    shutil.copytree(place.audit, elsewhere)
    said = (elsewhere / "purge.json").rename(tmp_path / "purge.json")
    folders = {"audit": elsewhere, "after": place.after}
    assert place.verify(**folders).unchecked == ["purge", "report", "dataset"]
    found = place.verify(purge=said)  # without any folder: the proof has what it is compared with
    assert (found.holds, found.checked[2:], found.unchecked[0]) == (True, ["purge"], "audit")
    said.write_text(json.dumps(purge_json(place.audit, removed_items=1)))
    assert place.codes(**folders, purge=said) == ["file-differs"]
    egide.attest(place.audit, key=KEY, out=tmp_path / "found.json")
    alone = place.verify(tmp_path / "found.json", purge=said)
    assert [each.code for each in alone.problems] == ["file-not-attested"]


def test_a_proof_names_no_file_folder_or_container(place: Place) -> None:
    text = json.dumps(place.verify().statement.to_json())  # type: ignore[union-attr]
    for name in ("jane", "secret", "private", "within", "broken", ".png", str(place.folder)):
        assert name not in text


def test_the_audit_alone_is_attested_with_its_matches(place: Place, tmp_path: Path) -> None:
    said = egide.attest(place.audit, key=KEY, out=tmp_path / "found.json")
    assert said.attested.audit.counts.matches == 2
    assert said.attested.properties() == []
    proof = tmp_path / "found.json"
    assert place.verify(proof, audit=place.audit, dataset=place.sets[0]).holds
    wrong = place.verify(proof, audit=place.audit, after=place.after)
    assert [each.code for each in wrong.problems] == ["audit-differs"]
    with pytest.raises(AttestationExists):
        egide.attest(place.audit, key=KEY, out=proof)


@pytest.mark.parametrize(
    "name",
    ["summary.json", "matches.parquet", "vetoed.parquet", "not_compared.parquet", "report.html"],
)
def test_a_result_file_that_was_changed_is_named(place: Place, tmp_path: Path, name: str) -> None:
    shutil.copytree(place.after, tmp_path / "after")
    path = tmp_path / "after" / name
    if name.endswith(".parquet"):
        table = pq.read_table(path)
        pq.write_table(table.replace_schema_metadata({"by": "another"}), path)
    else:
        text = path.read_text()
        path.write_text(text.replace('"hashed": 7', '"hashed": 8') + " ")
    found = place.verify(audit=place.audit, after=tmp_path / "after")
    said = [str(each) for each in found.problems]
    assert any("file that was attested" in each and name in each for each in said), said
    if name == "summary.json":
        assert any("counts.hashed differs" in each for each in said), said
    report = place.verify(report=path)
    assert [each.code for each in report.problems] == ["file-differs"]


def test_kept_fingerprints_of_another_set_are_found(place: Place, tmp_path: Path) -> None:
    found = place.verify(audit=place.after, after=place.audit)
    assert {each.code for each in found.problems} == {"file-differs", "audit-differs"}
    assert any("dataset.root" in str(each) for each in found.problems)


CHANGES = {
    "a byte": lambda at: (at / "secret-folder/within/2.png").write_bytes(b"\x89PNG\r\n\x1a\nx"),
    "one less": lambda at: (at / "secret-folder/within/2.png").unlink(),
    "one more": lambda at: (at / "secret-folder/within/9.png").write_bytes(b"\x89PNG\r\n\x1a\n"),
    "two swapped": lambda at: (at / "secret-folder/within/2.png").rename(
        at / "secret-folder/within/5.png"
    ),
    "an undecodable one": lambda at: (at / "secret-folder/broken.jpg").write_bytes(
        b"\xff\xd8\xff\xe0 nor is this"
    ),
    "a tar": lambda at: write_tar(at / "private.tar", {"4.webp": b"RIFF....WEBP"}),
}


@pytest.mark.parametrize("change", CHANGES)
def test_a_set_that_is_another_is_found_without_decoding(
    place: Place, tmp_path: Path, change: str
) -> None:
    shutil.copytree(place.folder / "clean", tmp_path / "moved")
    sources = [str(tmp_path / "moved" / Path(name).name) for name in place.sets[1]]
    (tmp_path / "moved" / "secret-folder" / "notes.txt").unlink()  # it is not a picture
    assert place.codes(dataset=sources) == []
    CHANGES[change](tmp_path / "moved")
    assert place.codes(dataset=sources) == ["dataset-differs"]


def test_the_digest_does_not_depend_on_how_the_set_is_cut(
    place: Place, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(folders, "RUN_FILES", 2)
    assert place.codes(dataset=place.sets[1]) == []
    assert place.codes(dataset=place.sets[1][::-1]) == ["dataset-differs"]


def shown(place: Place, folder: Path, data: bytes, name: str) -> egide.Verification:
    digest = hashlib.sha256(data).digest()
    out = folder / f"{name}.inclusion.json"
    egide.include(place.proof, place.audit, place.after, sha256=digest, name=name, out=out)
    return place.verify(item=(name, digest), inclusion=out)


def test_each_file_is_shown_to_have_stood_in_the_set(place: Place, tmp_path: Path) -> None:
    drawn = [image.reduce(2) for image in pictures(8)]
    files = {path.name: path.read_bytes() for path in (place.folder / "set").rglob("*.??g")}
    files |= {f"{number}.webp": encoded(drawn[number], "WEBP") for number in (1, 4, 5, 6)}
    assert len(files) == 9
    for name, data in files.items():
        found = shown(place, tmp_path, data, name)
        assert found.holds, (name, found.problems)
        assert found.inclusion is not None
        assert found.inclusion.gone == (name in {"jane-doe.jpg", "1.webp"})
        assert found.inclusion.compared == (name != "broken.jpg")
    with pytest.raises(ItemNotIncluded):
        shown(place, tmp_path, b"another file", "another.jpg")


def test_an_inclusion_holds_for_its_file_and_fields_alone(place: Place, tmp_path: Path) -> None:
    data = (place.folder / "set" / "secret-folder" / "jane-doe.jpg").read_bytes()
    assert shown(place, tmp_path, data, "it").holds
    path, digest = tmp_path / "it.inclusion.json", hashlib.sha256(data).digest()
    said = json.loads(path.read_text())
    other = place.verify(item=("other", bytes(32)), inclusion=path)
    assert [each.code for each in other.problems] == ["inclusion-wrong"]
    for name, value in said.items():
        if isinstance(value, list):
            changed: object = value[:-1] if value else ["00" * 32]
        elif isinstance(value, bool):
            changed = not value
        else:
            changed = value + 1 if isinstance(value, int) else "00" * 32
        path.write_text(json.dumps(said | {name: changed}))
        if name == "schema_version":
            with pytest.raises(AttestationUnreadable):
                place.verify(item=("it", digest), inclusion=path)
            continue
        found = place.verify(item=("it", digest), inclusion=path)
        assert [each.code for each in found.problems] == ["inclusion-wrong"], name
        assert found.inclusion is None
    path.write_text(json.dumps(said | {"leaf_path": ["zz"] * 65}))
    assert not place.verify(item=("it", digest), inclusion=path).holds


def edited(folder: Path, to: Path, **changes: Any) -> Path:
    """Copy an audit, with other figures in its summary."""
    shutil.copytree(folder, to)
    values = json.loads((to / "summary.json").read_text())
    for name, value in changes.items():
        values[name] = value | values[name] | value if isinstance(value, dict) else value
    (to / "summary.json").write_text(json.dumps(values))
    return to


APART: dict[str, tuple[dict[str, Any], str]] = {
    "register": ({"store_id": "another"}, "another register"),
    "revision": ({"store_revision": 1}, "earlier revision"),
    "time": ({"started_at": "2001-01-01T00:00:00+00:00"}, "before the first ended"),
    "bank": ({"banks": []}, "left out the bank helpline"),
    "radius": (
        {"banks": [{"name": "helpline", "radius_bits": 3, "entries": 2}]},
        "smaller radius",
    ),
}


@pytest.mark.parametrize("kind", APART)
def test_audits_that_do_not_belong_together_are_not_attested(
    place: Place, tmp_path: Path, kind: str
) -> None:
    changes, reason = APART[kind]
    other = edited(place.after, tmp_path / "other", **changes)
    with pytest.raises(AttestationRefused, match=reason):
        egide.attest(place.audit, other, key=KEY, out=tmp_path / "proof.json")
    assert not (tmp_path / "proof.json").exists()


def test_a_weaker_search_the_second_time_is_not_attested(place: Place, tmp_path: Path) -> None:
    thorough = edited(place.audit, tmp_path / "thorough", anchored={"searched": True})
    with pytest.raises(AttestationRefused, match="thorough"):
        egide.attest(thorough, place.after, key=KEY, out=tmp_path / "proof.json")


PURGES: dict[str, tuple[dict[str, object], str]] = {
    "another audit": (
        {"audit": {"store_id": "x", "store_revision": 3, "dataset_sha256": "y"}},
        "of another audit",
    ),
    "not verified": ({"verified": False}, "not verified"),
    "another schema": ({"schema_version": 2}, "another version"),
    "more taken out": ({"removed_items": 3}, "took out 3 items, and 2 are gone"),
    "later": ({"finished_at": "2101-01-01T00:00:00+00:00"}, "before the purge ended"),
    "no time": ({"finished_at": "soon"}, "no time"),
    "no count": ({"removed_items": None}, "removed_items"),
}


@pytest.mark.parametrize("kind", PURGES)
def test_a_purge_of_something_else_is_not_attested(place: Place, tmp_path: Path, kind: str) -> None:
    changes, reason = PURGES[kind]
    (tmp_path / "purge.json").write_text(json.dumps(purge_json(place.audit, **changes)))
    with pytest.raises(AttestationRefused, match=reason):
        egide.attest(place.audit, place.after, key=KEY, out=tmp_path / "proof.json", purge=tmp_path)


def test_a_set_with_new_files_is_not_what_a_purge_left(place: Place, tmp_path: Path) -> None:
    shutil.copytree(place.folder / "clean", tmp_path / "clean")
    (tmp_path / "clean" / "new.png").write_bytes(b"\x89PNG\r\n\x1a\n new")
    later = audited(place.store, tmp_path, [str(tmp_path / "clean")], "later")
    with pytest.raises(AttestationRefused, match="the first did not have: 1"):
        egide.attest(place.audit, later, key=KEY, out=tmp_path / "proof.json")


def test_what_is_no_finished_audit_is_not_attested(place: Place, tmp_path: Path) -> None:
    for folder in (tmp_path, edited(place.audit, tmp_path / "old", egide_version="0.0.1")):
        with pytest.raises(OutputMismatch):
            egide.attest(folder, key=KEY, out=tmp_path / "proof.json")


def test_copies_are_counted_one_by_one() -> None:
    a, b, c = (hashlib.sha256(name).digest() for name in (b"a", b"b", b"c"))
    later = Later([a, a, c])
    change = later.change([a, b, b])
    assert (change.kept, change.gone, change.new) == (1, 2, 2)
    assert [later.has(each) for each in (a, b, c)] == [True, False, True]
    empty = Later([])
    assert not empty.has(a)
    assert empty.change([a]).gone == 1


def test_the_commands_make_and_check_a_proof(place: Place, tmp_path: Path) -> None:
    def run(*arguments: object, **environment: str) -> Any:
        return egide_in(tmp_path, *arguments, **environment)

    made = run("key", "signing", "--out", "s.key", EGIDE_SIGNING_PASSPHRASE="a long passphrase")
    assert made.code == 0, made.err
    (tmp_path / "s.pub").write_text(made.out)
    assert "ENCRYPTED" in (tmp_path / "s.key").read_text()
    attest = ("attest", place.audit, place.after, "--key", "s.key", "--out", "proof.json")
    locked = run(*attest)
    assert (locked.code, "[signing-key-locked]" in locked.err) == (3, True)
    (tmp_path / "passphrase").write_text("a long passphrase\n")
    (tmp_path / "passphrase").chmod(0o600)
    again = run("key", "signing", "--public-of", "s.key", "--passphrase-file", "passphrase")
    assert again.out == made.out
    done = run(*attest, "--passphrase-file", "passphrase")
    assert done.code == 0, done.err
    assert "No match to bank helpline" in done.out
    assert run(*attest, "--passphrase-file", "passphrase").code == 3  # it replaces no proof

    verify = ("verify", "proof.json", "--key", "s.pub")
    found = run(*verify, "--json").json()
    assert found["holds"]
    assert found["checked"] == ["signature", "counts"]
    french = run(*verify, "--lang", "fr", "--report", place.after / "report.html")
    assert "Aucune correspondance" in french.out
    assert french.code == 0
    nobody = run("verify", "proof.json")
    assert (nobody.code, "[signature-unchecked]" in nobody.err) == (3, True)
    assert run("verify", "proof.json", "--without-key").code == 0
    assert run(*verify, "--expect", "EGIDE_ALL_COMPARED").code == 1
    assert run(*verify, "--dataset", place.folder / "set").code == 1
    lost = run(*verify, "--report", "report.html")
    assert (lost.code, "[file-unreadable]" in lost.err) == (3, True)
    private = run("verify", "proof.json", "--key", "s.key")
    assert (private.code, "[signing-key-invalid]" in private.err) == (3, True)

    photo = place.folder / "set" / "secret-folder" / "jane-doe.jpg"
    folders = ("proof.json", place.audit, place.after)
    one = run("inclusion", *folders, "--item", photo, "--out", "it.json")
    assert "stood in the audited set and was compared. No file" in one.out, one.err
    shown = run(*verify, "--item", photo, "--inclusion", "it.json")
    assert (shown.code, "No file of the set that is left" in shown.out) == (0, True)
    digest = hashlib.sha256(photo.read_bytes()).hexdigest()
    assert run(*verify, "--sha256", digest, "--inclusion", "it.json").code == 0
    assert run(*verify, "--sha256", "00" * 32, "--inclusion", "it.json").code == 1
    assert run(*verify, "--item", photo).code == 2
    assert run("inclusion", *folders, "--sha256", "0", "--out", "x").code == 2
    lost = run("inclusion", *folders, "--sha256", "00" * 32, "--out", "x")
    assert (lost.code, "[item-not-included]" in lost.err) == (3, True)
