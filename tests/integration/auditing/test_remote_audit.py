"""`egide audit --matcher`: what it writes is what an audit with the register's own store writes."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pytest

import egide
from audits import tables
from commands import egide_in
from egide.domain.access import Key, Role
from egide.domain.model import BankKind, Registration
from egide.store.changing import ChangingStore
from net_peer import answering, ok, serving
from pictures import encoded, pictures, write_tar
from server_samples import Served, at_address, serve

RECORDS = 16
SHARDS = 4
DRAWN = pictures(8)


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    with serve(tmp_path_factory.mktemp("served"), max_batch=RECORDS) as running:
        store = ChangingStore.of(running.service.store)
        store.banks.create("helpline")
        store.banks.create("harmless", kind=BankKind.NEGATIVE)
        prints = [egide.fingerprint(encoded(one, "PNG"), anchored=True) for one in DRAWN[:3]]
        store.entries.register("helpline", [
            Registration(
                tuple(frame.code for frame in one.frames), sha256=one.sha256, md5=one.md5,
                anchored=one.anchored.registered() if one.anchored else None,
            ) for one in prints
        ])  # fmt: skip
        store.entries.register("harmless", [Registration((prints[2].frames[0].code,))])
        store.entries.confirm("helpline", [1])
        running.wait_for(running.service.store.revision())
        yield running


@pytest.fixture(scope="module")
def address(served: Served) -> Iterator[str]:
    with at_address(served) as address:
        yield address


@pytest.fixture(scope="module")
def dataset(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Shards smaller than a body, a broken picture, a crop, a blank one, and a list of hashes."""
    folder = tmp_path_factory.mktemp("dataset")
    for number in range(SHARDS):
        members = {
            f"{number}-{at}.jpg": encoded(one) for at, one in enumerate(DRAWN[number : number + 4])
        }
        members[f"{number}-mirrored.png"] = encoded(DRAWN[number % 3].rotate(180), "PNG")
        members[f"{number}-broken.jpg"] = encoded(DRAWN[0])[:200]
        if not number:
            members["crop.png"] = encoded(DRAWN[1].crop((90, 60, 420, 330)), "PNG")
            members["blank.png"] = encoded(DRAWN[1].convert("L").point(lambda _: 9), "PNG")
            members["notes.txt"] = b"no picture"
        write_tar(folder / f"{number}.tar", members)
    known = egide.fingerprint(encoded(DRAWN[0], "PNG"))
    assert known.sha256 is not None
    rows = [
        f"{bytes([at]).hex() * 32},{known.pdq.code.hex() if at == 7 else ''}" for at in range(20)
    ]  # type: ignore[union-attr]
    rows[3] = f"{known.sha256.hex()},"
    (folder / "list.csv").write_text("sha256,pdq\n" + "\n".join(rows) + "\n")
    return folder


def audit(folder: Path, address: str, token: str, *arguments: object, **environment: str) -> Any:
    return egide_in(
        folder, "audit", *arguments, "--matcher", address, EGIDE_MATCHER_KEY=token, **environment
    )


def told(summary: dict[str, Any]) -> dict[str, Any]:
    of_the_run = {
        "seconds", "started_at", "finished_at", "throughput", "scanned_items", "scan_seconds",
        "items_per_s", "resumed", "kernel", "workers", "matcher", "sentence",
    }  # fmt: skip
    return {name: value for name, value in summary.items() if name not in of_the_run}


@pytest.mark.parametrize("options", [(), ("--thorough", "--bank", "helpline")])
def test_register_and_its_store_give_the_same_audit(
    served: Served, address: str, dataset: Path, tmp_path: Path, options: tuple[str, ...]
) -> None:
    token = served.key(Role.MATCHER, f"same{len(options)}")[1]
    store = str(served.service.store.url)
    there = audit(tmp_path, address, token, dataset, "--out", "there", *options)
    here = egide_in(tmp_path, "audit", dataset, "--out", "here", "--store", store, *options)

    assert there.code == here.code == 1
    assert tables(tmp_path / "there") == tables(tmp_path / "here")
    vetoed = [
        pq.read_table(tmp_path / each / "vetoed.parquet").to_pylist() for each in ("there", "here")
    ]
    assert vetoed[0] == vetoed[1]
    assert bool(vetoed[0]) == (not options)
    summaries = [
        json.loads((tmp_path / each / "summary.json").read_text()) for each in ("there", "here")
    ]
    assert told(summaries[0]) == told(summaries[1])
    assert summaries[0]["matches"] > 5
    revision = summaries[0]["store_revision"]
    assert summaries[0]["matcher"] == {
        "address": address, "first_revision": revision, "last_revision": revision,
    }  # fmt: skip
    assert f"the register at {address} compared them" in summaries[0]["sentence"]
    assert (tmp_path / "there" / "report.html").exists()


def test_one_folder_may_hold_an_audit_elsewhere_and_then_one_here(
    served: Served, address: str, dataset: Path, tmp_path: Path
) -> None:
    pytest.importorskip("cryptography")
    from egide.security.signing import SigningKey

    token, tar = served.key(Role.MATCHER, "moved")[1], dataset / "0.tar"
    audit(tmp_path, address, token, tar, "--out", "out")
    key = SigningKey.generate()
    proof = egide.attest(tmp_path / "out", key=key, out=tmp_path / "proof.json")
    matcher = proof.attested.audit.register.matcher
    assert matcher is not None
    assert matcher.address == address
    assert f"the register at {address} compared them" in proof.attested.audit.sentence["en"]
    assert egide.verify(tmp_path / "proof.json", key=key.public, audit=tmp_path / "out").holds

    store = ("--store", served.service.store.url)
    here = egide_in(tmp_path, "audit", tar, "--out", "out", *store)
    assert (here.code, here.err) == (1, "")  # the same store, so the same results
    fewer = egide_in(tmp_path, "audit", tar, "--out", "out", *store, "--bank", "harmless")
    assert "out are replaced. They were of another audit: banks" in fewer.err
    both = audit(tmp_path, address, token, tar, *store)
    assert (both.code, "--store is not asked" in both.err) == (2, True)


def used(served: Served, key: Key) -> int:
    """How many records a key has asked about today."""
    served.service.allowances.flush()
    return served.service.store.keys.use(key.id, int(time.time()) // 86_400, 0)


def test_an_audit_that_ends_early_goes_on_with_what_is_missing(
    served: Served, address: str, dataset: Path, tmp_path: Path
) -> None:
    store = ChangingStore.of(served.service.store)
    first = store.revision()
    _, few = served.key(Role.MATCHER, "few", per_day=4 * RECORDS + 2)
    key, rest = served.key(Role.MATCHER, "rest")
    tars = [dataset / f"{number}.tar" for number in range(SHARDS)]

    interrupted = audit(tmp_path, address, few, *tars, "--out", "out")
    store.banks.update("helpline", description="another revision")
    served.wait_for(first + 1)
    resumed = audit(tmp_path, address, rest, *tars, "--out", "out", "--json").json()
    asked = used(served, key)
    again = audit(tmp_path, address, rest, *tars, "--out", "out", "--json").json()

    assert interrupted.code == 3
    assert "matcher-busy" in interrupted.err
    assert "quota-exceeded" in interrupted.err
    assert resumed["matcher"] == {
        "address": address, "first_revision": first, "last_revision": first + 1,
    }  # fmt: skip
    assert f"went from revision {first} to {first + 1}" in resumed["sentence"]
    assert resumed["resumed"]
    # The bank may have grown since an audit that ended: the next one asks about everything.
    assert used(served, key) - asked > asked
    assert again["matcher"]["first_revision"] == first + 1
    assert again["matches"] == resumed["matches"]


def test_pictures_and_network_may_be_on_different_machines(
    served: Served, address: str, dataset: Path, tmp_path: Path
) -> None:
    token = served.key(Role.MATCHER, "apart")[1]
    kept = egide_in(tmp_path, "hash", "--fast", dataset / "0.tar", "--out", "set.parquet")
    there = audit(tmp_path, address, token, "set.parquet", "--out", "there")
    store = str(served.service.store.url)
    here = egide_in(tmp_path, "audit", "set.parquet", "--out", "here", "--store", store)

    assert (kept.code, there.code, here.code) == (1, 1, 1)
    assert tables(tmp_path / "there") == tables(tmp_path / "here")
    assert tables(tmp_path / "there")[0]


def test_wrong_ways_to_ask_are_said(served: Served, address: str, tmp_path: Path) -> None:
    token = served.key(Role.MATCHER, "wrong")[1]
    (tmp_path / "a.png").write_bytes(encoded(DRAWN[0], "PNG"))
    open_key = tmp_path / "open.key"
    open_key.write_text(token)
    open_key.chmod(0o644)
    for arguments, environment, code, status in (
        (("--radius", "9"), {}, "usage", 2),
        ((), {"EGIDE_MATCHER_KEY": ""}, "matcher-key-invalid", 3),
        (("--matcher-key", open_key), {}, "matcher-key-invalid", 3),
        (("--bank", "absent"), {}, "matcher-failed", 3),
        ((), {"EGIDE_MATCHER_TRIES": "none"}, "usage", 2),
    ):
        answer = egide_in(tmp_path, "audit", "a.png", "--matcher", address, *arguments,
                          **{"EGIDE_MATCHER_KEY": token} | environment)  # fmt: skip
        assert (answer.code, code in answer.err) == (status, True), answer.err
        assert token not in answer.err + answer.out
    for url in (
        "http://192.0.2.1",
        "https://192.168.0.1",
        "register.example",
        "https://a.b/?key=1",
    ):
        answer = audit(tmp_path, url, token, "a.png", EGIDE_MATCHER_TRIES="1")
        assert answer.code == 3, url
        assert "matcher-failed" in answer.err, url
    assert egide_in(tmp_path, "audit", "a.png", "--matcher-key", open_key).code == 2


def test_a_register_that_lies_ends_the_audit_with_its_code(tmp_path: Path) -> None:
    (tmp_path / "a.png").write_bytes(encoded(DRAWN[0], "PNG"))
    lie = ok(b'{"matches": []}', b"Content-Type: application/json")
    with serving(answering(lie)) as peer:
        answer = audit(tmp_path, peer.url(), "key", "a.png", "--out", "out")
    assert answer.code == 3
    assert "matcher-invalid" in answer.err
    assert not (tmp_path / "out" / "summary.json").exists()
