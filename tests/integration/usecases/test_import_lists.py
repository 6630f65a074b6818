"""Importing lists: what is counted, what ends at its source, and what every digest does after."""

import io
import json
from collections.abc import Iterator
from hashlib import sha256
from pathlib import Path

import pytest

import egide
from egide.domain.model import (
    DIGEST_SIGNALS,
    SIGNAL_BYTES,
    URL_SIGNALS,
    BankKind,
    Fingerprint,
    Registration,
    Signal,
    State,
)
from egide.store import Store
from egide.store.changing import ChangingStore
from store_samples import code, region_code

PDQ, MD5 = region_code(1), code(9)[:16]


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    with egide.open_store(f"sqlite:///{tmp_path}/s.db", create=True) as opened:
        ChangingStore.of(opened).banks.create("partners")
        yield opened


def _import(store: Store, text: str, source: str = "stopncii") -> egide.ImportReport:
    stream = io.BytesIO(text.encode())
    return egide.import_hashes(store, "partners", stream, name="list", source=source)


def _stopncii(pdq: str, md5: str) -> str:
    records = [
        {"signalType": "ImagePDQ", "hashValue": PDQ.hex(), "hashStatus": pdq, "caseNumbers": {}},
        {"signalType": "VideoMD5", "hashValue": MD5.hex(), "hashStatus": md5, "caseNumbers": {}},
        {"signalType": "VideoTMK", "hashValue": "x", "hashStatus": "Active", "caseNumbers": {}},
    ]
    return json.dumps({"count": 3, "hashRecords": records})


def test_what_its_source_has_withdrawn_is_withdrawn_and_nobody_elses(store: Store) -> None:
    first = _import(store, _stopncii("Active", "Active"))
    assert (first.added, first.not_taken, first.bad_lines) == (2, {"TMK+PDQF": 1}, 0)
    other = _import(store, f"pdq {PDQ.hex()}\n", source="somebody else")
    then = _import(store, _stopncii("Withdrawn", "Active"))
    assert (then.ended, then.withdrawn, then.known) == (1, 1, 1)
    assert then.revision == other.revision + 1
    states = [entry.state for entry in store.entries.list("partners")]
    assert states == [State.WITHDRAWN, State.ACTIVE, State.ACTIVE]
    again = _import(store, _stopncii("Withdrawn", "Active"))
    assert (again.withdrawn, again.revision) == (0, then.revision)
    back = _import(store, _stopncii("Active", "Active"))
    assert back.refused == 1  # only with the person's word


def test_the_last_word_of_a_list_on_a_hash_counts(store: Store) -> None:
    head, line = "md5,status\n", f"{MD5.hex()},"
    assert _import(store, f"{head}{line}active\n{line}deleted\n").withdrawn == 1
    other = f"{code(8)[:16].hex()},"
    report = _import(store, f"{head}{other}deleted\n{other}active\n")
    assert (report.added, report.withdrawn) == (1, 0)


def test_a_list_that_is_cut_says_so_and_what_came_before_is_in(store: Store) -> None:
    report = _import(store, json.dumps([{"md5": MD5.hex()}, {"md5": MD5.hex()}])[:-9])
    assert report.added == 1
    assert report.cut.startswith("after record 1")
    assert not report.is_whole


@pytest.mark.parametrize("signal", DIGEST_SIGNALS)
def test_every_digest_goes_through_a_list_and_back_and_matches_until_withdrawn(
    store: Store, signal: Signal, tmp_path: Path
) -> None:
    digest = code(7)[: SIGNAL_BYTES[signal]]
    fields = {signal.value: digest}
    registration = Registration(pdqs=(), source="one", **fields)  # type: ignore[arg-type]
    ChangingStore.of(store).entries.register("partners", [registration])
    out = io.StringIO(newline="")
    assert egide.export_hashes(store, "partners", out) == 1
    report = egide.import_hashes(
        store, "partners", io.BytesIO(out.getvalue().encode()), name="list"
    )
    assert (report.known, report.added, report.kinds) == (1, 0, {signal.value: 1})
    asked = digest if signal not in URL_SIGNALS else (digest,)
    query = Fingerprint((), **{signal.value: asked})  # type: ignore[arg-type]
    ((match,),) = egide.match(store, [query])
    assert (match.signal, match.distance) == (signal, 0)
    ChangingStore.of(store).entries.withdraw("partners", [1])
    assert egide.check(store, [query]).answers[0].matches == ()


def test_an_address_is_kept_as_a_digest_alone(store: Store, tmp_path: Path) -> None:
    address = "https://Example.com/picture-of-a-person.jpg#x"
    assert _import(store, address + "\n").added == 1
    (entry,) = store.entries.list("partners")
    canonical = b"https://example.com/picture-of-a-person.jpg"
    assert entry.url_sha256 == sha256(canonical).digest()
    assert not any(b"picture-of-a-person" in file.read_bytes() for file in tmp_path.iterdir())


def test_a_list_goes_into_a_bank_of_the_kind_that_it_says(store: Store) -> None:
    for name in ("harmless", "again"):
        ChangingStore.of(store).banks.create(name, kind=BankKind.NEGATIVE)
    said = f"md5 {'ab' * 16} NEGATIVE_CLASS\n{'cd' * 16} POSITIVE_CLASS\n{'ef' * 16}\n"
    record = f'[{{"type": "md5", "value": "{"12" * 16}", "status": "NON_MALICIOUS"}}]'
    for text, taken, left in ((said, 2, 1), (record, 1, 0)):
        report = egide.import_hashes(store, "harmless", io.BytesIO(text.encode()), name="list")
        assert (report.added, report.bad_lines) == (taken, left)
    written = io.StringIO()
    egide.export_hashes(store, "harmless", written)
    assert written.getvalue().count("NEGATIVE_CLASS") == 3
    back = written.getvalue().encode()
    positive = egide.import_hashes(store, "partners", io.BytesIO(back), name="list")
    assert (positive.added, positive.bad_lines) == (0, 3)
    assert egide.import_hashes(store, "again", io.BytesIO(back), name="list").added == 3
