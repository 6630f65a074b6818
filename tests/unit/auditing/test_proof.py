"""Proofs: what is signed is what is said, and each change of it is found."""

from __future__ import annotations

import base64
import copy
import json
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

import egide
from commands import egide_in
from egide.auditing.proof.attested import ALL_COMPARED, Counts, Matched, Register
from egide.auditing.proof.envelope import PAYLOAD_TYPE, Envelope, pre_authentication_encoding
from egide.auditing.proof.statement import OtherSchema, contradictions, parse_statement
from egide.auditing.proof.strict import MAX_PROOF_BYTES, NotStrict, load_strict
from egide.auditing.summary import BankSummary
from egide.errors import AttestationUnreadable, AttestationVersion
from egide.security.signing import PublicKey, SigningKey
from proof_samples import facts, only, purged, sign, statement

KEY, OTHER_KEY = SigningKey.generate(), SigningKey.generate()


def problems(path: Path, key: PublicKey | None = None) -> list[str]:
    """The codes of what does not hold; that of the error if it cannot be read at all."""
    try:
        found = egide.verify(path, key=key or KEY.public)
    except AttestationUnreadable as error:
        return [error.code]
    assert found.holds == (not found.problems)
    return [each.code for each in found.problems]


@pytest.fixture
def proof(tmp_path: Path) -> Path:
    return sign(tmp_path / "proof.json", statement(), KEY)


def test_what_is_signed_is_read_back_and_holds(proof: Path) -> None:
    found = egide.verify(proof, key=KEY.public, expected=["EGIDE_NO_MATCH:helpline@5"])
    assert found.holds
    assert found.signed_by == KEY.public.key_id
    assert found.checked == ["signature", "counts"]
    assert found.statement == statement()


def test_the_encoding_that_is_signed_is_that_of_dsse() -> None:
    # Source: secure-systems-lab/dsse, protocol.md, Test Vectors.
    encoded = pre_authentication_encoding("http://example.com/HelloWorld", b"hello world")
    assert encoded == b"DSSEv1 29 http://example.com/HelloWorld 11 hello world"


def test_without_a_key_or_with_another_nobody_vouches(proof: Path) -> None:
    assert [each.code for each in egide.verify(proof, key=None).problems] == ["signature-unchecked"]
    assert problems(proof, OTHER_KEY.public) == ["signature-missing"]


def places(values: Any, place: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    inner = values.items() if isinstance(values, dict) else enumerate(values)
    for name, each in inner:
        yield (*place, name)
        if isinstance(each, dict | list):
            yield from places(each, (*place, name))


def changed(value: Any) -> Any:
    if isinstance(value, bool) or value is None:
        return not value
    if isinstance(value, int | float):
        return value + 1
    if isinstance(value, str):
        return value + "x"
    return [] if value else ["x"]


def test_no_field_can_be_changed(tmp_path: Path) -> None:
    proof = sign(tmp_path / "proof.json", statement(only()), KEY)
    envelope = Envelope.parse(proof.read_bytes())
    said = json.loads(envelope.payload)
    for place in places(said):
        values = copy.deepcopy(said)
        inner = values
        for step in place[:-1]:
            inner = inner[step]
        inner[place[-1]] = changed(inner[place[-1]])
        proof.write_bytes(replace(envelope, payload=json.dumps(values).encode()).serialize())
        assert "signature-wrong" in problems(proof), place


def test_no_byte_can_be_changed(proof: Path) -> None:
    data = proof.read_bytes()
    for at in [*range(0, len(data), 131), *range(len(data) - 260, len(data) - 1, 5)]:
        forged = bytearray(data)
        forged[at] ^= 1
        proof.write_bytes(forged)
        assert problems(proof), at


def _with(**changes: Any) -> Callable[[dict[str, Any]], None]:
    return lambda values: values.update(changes)


ENVELOPES: dict[str, tuple[Callable[[dict[str, Any]], None], str]] = {
    "no signature": (_with(signatures=[]), "signature-missing"),
    "no list of them": (_with(signatures={}), "attestation-unreadable"),
    "too many": (lambda it: it.update(signatures=it["signatures"] * 17), "attestation-unreadable"),
    "unknown key": (lambda it: it["signatures"][0].update(keyid="ab"), "signature-missing"),
    "null key": (lambda it: it["signatures"][0].update(keyid=None), "attestation-unreadable"),
    "short": (lambda it: it["signatures"][0].update(sig="AAAA"), "attestation-unreadable"),
    "another type": (_with(payloadType="application/json"), "attestation-unreadable"),
    "no payload": (_with(payload=None), "attestation-unreadable"),
    "two spellings": (lambda it: it.update(payload=it["payload"] + "\n"), "attestation-unreadable"),
    "one field more": (_with(note="trust me"), "attestation-unreadable"),
}  # fmt: skip


@pytest.mark.parametrize("kind", ENVELOPES)
def test_an_envelope_that_is_none_is_refused(proof: Path, kind: str) -> None:
    change, code = ENVELOPES[kind]
    values = json.loads(proof.read_bytes())
    change(values)
    proof.write_text(json.dumps(values))
    assert problems(proof) == [code]


def test_one_of_several_signatures_is_enough_and_a_hint_may_be_missing(proof: Path) -> None:
    ours = Envelope.parse(proof.read_bytes())
    theirs = Envelope.sign(ours.payload, OTHER_KEY)
    both = replace(ours, signatures=theirs.signatures + ours.signatures)
    proof.write_bytes(both.serialize())
    assert problems(proof) == problems(proof, OTHER_KEY.public) == []
    unnamed = replace(ours, signatures=tuple(replace(s, key_id="") for s in both.signatures))
    proof.write_bytes(unnamed.serialize())
    assert problems(proof) == problems(proof, OTHER_KEY.public) == []
    urlsafe = json.loads(unnamed.serialize())
    urlsafe["payload"] = base64.urlsafe_b64encode(ours.payload).decode()
    proof.write_text(json.dumps(urlsafe))
    assert problems(proof) == []


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        (b"\xff\xfe{}", "UTF-8"),
        (b"[]", "object"),
        (b"", "not JSON"),
        (b'{"a": 1, "a": 1}', "twice"),
        (b'{"a": {"b": [{"c": 1, "c": 2}]}}', "twice"),
        (b'{"a": 9223372036854775808}', "too large"),
        (b'{"a": ' + b"9" * 5000 + b"}", "too large"),
        (b'{"a": 1e999}', "too large"),
        (b'{"a": NaN}', "too large"),
        (b'{"a": ' + b"[" * 40 + b"]" * 40 + b"}", "too deep"),
        (b'{"a": ' + b"[" * 100_000 + b"]" * 100_000 + b"}", "too deep"),
        (b'{"a": ' * 100_000 + b"1" + b"}" * 100_000, "too deep"),
    ],
)
def test_json_that_can_be_read_in_two_ways_or_without_end_is_refused(
    tmp_path: Path, text: bytes, reason: str
) -> None:
    with pytest.raises(NotStrict, match=reason):
        load_strict(text)
    (tmp_path / "proof.json").write_bytes(text)
    assert problems(tmp_path / "proof.json") == ["attestation-unreadable"]
    forged = Envelope.sign(text, KEY).serialize()  # and within a good signature
    (tmp_path / "proof.json").write_bytes(forged)
    assert problems(tmp_path / "proof.json") == ["statement-wrong"]


def test_a_file_that_is_too_large_or_not_there_is_said(tmp_path: Path) -> None:
    (tmp_path / "large.json").write_bytes(b" " * (MAX_PROOF_BYTES + 1))
    assert problems(tmp_path / "large.json") == ["attestation-unreadable"]
    assert problems(tmp_path / "none.json") == ["attestation-unreadable"]
    assert problems(tmp_path) == ["attestation-unreadable"]


@pytest.mark.parametrize("schema", [0, 2, None, True, "1"])
def test_another_schema_is_named(tmp_path: Path, schema: object) -> None:
    values = statement().to_json()
    values["predicate"]["egide"]["schema_version"] = schema
    with pytest.raises(OtherSchema):
        parse_statement(json.dumps(values).encode())
    with pytest.raises(AttestationVersion):
        egide.verify(sign(tmp_path / "proof.json", values, KEY), key=KEY.public)


def test_what_is_added_within_a_schema_is_ignored(tmp_path: Path) -> None:
    values = statement().to_json()
    values["predicate"]["egide"]["audit"]["new"] = {"field": 1}
    values["predicate"]["note"] = values["note"] = "as in-toto allows"
    assert problems(sign(tmp_path / "proof.json", values, KEY)) == []


LIES: dict[str, Callable[[dict[str, Any]], Any]] = {
    "subject": lambda it: it["subject"][0]["digest"].update(egideDatasetV1="00" * 32),
    "another name": lambda it: it["subject"][0].update(name="laion-5b"),
    "more of it": lambda it: it["subject"][0].update(uri="https://set.example/"),
    "two subjects": lambda it: it["subject"].append(it["subject"][0]),
    "property": lambda it: it["predicate"]["properties"].append(ALL_COMPARED),
    "no matches": lambda it: it["predicate"]["egide"]["before"]["counts"].update(matches=0),
    "items": lambda it: it["predicate"]["egide"]["audit"]["counts"].update(items=11),
    "gap": lambda it: it["predicate"]["egide"]["audit"]["gaps"].pop(0),
    "gap of nothing": lambda it: it["predicate"]["egide"]["audit"]["gaps"][1].update(count=0),
    "kind": lambda it: it["predicate"]["egide"]["audit"]["gaps"][1].update(kind="other"),
    "sentence": lambda it: it["predicate"]["egide"]["audit"]["sentence"].update(en="It is clean."),
    "language": lambda it: it["predicate"]["egide"]["audit"]["sentence"].pop("fr"),
    "register": lambda it: it["predicate"]["egide"]["audit"]["register"].update(store_id="b"),
    "revision": lambda it: it["predicate"]["egide"]["before"]["register"].update(revision=9),
    "no before": lambda it: it["predicate"]["egide"].update(before=None),
    "no change": lambda it: it["predicate"]["egide"].update(change=None),
    "gone": lambda it: it["predicate"]["egide"]["audit"]["outcomes"].update(gone=1),
    "a digest": lambda it: it["predicate"]["egide"]["audit"]["files"].update({"a.html": "AB" * 32}),
    "no time": lambda it: it["predicate"]["egide"]["audit"].update(finished_at="soon"),
    "times": lambda it: it["predicate"]["egide"]["audit"].update(started_at="2026-11-30T08:00:30Z"),
    "earlier last revision": lambda it: it["predicate"]["egide"]["audit"]["register"].update(
        matcher={"address": "https://r.example", "first_revision": 5, "last_revision": 4}
    ),
    "another sentence": lambda it: it["predicate"]["egide"]["audit"]["register"].update(
        matcher={"address": "https://r.example", "first_revision": 5, "last_revision": 5}
    ),
    "more gone than there was": lambda it: it["predicate"]["egide"]["change"].update(gone=99),
    "more taken out": lambda it: it["predicate"]["egide"]["purge"].update(removed_items=4),
    "purge in no time": lambda it: it["predicate"]["egide"]["purge"].update(
        finished_at="2101-01-01"
    ),
    "purge without a file": lambda it: it["predicate"]["egide"]["purge"].update(sha256="zz"),
    "no such way": lambda it: it["predicate"]["egide"]["before"]["counts"]["matched"][0].update(
        way="by heart"
    ),
    "no such radius": lambda it: it["predicate"]["egide"]["audit"]["register"]["banks"][0].update(
        radius_bits=64
    ),
    "compared": lambda it: it["predicate"]["egide"]["audit"]["outcomes"].update(compared=13),
}


@pytest.mark.parametrize("lie", LIES)
def test_a_signer_cannot_contradict_themselves(tmp_path: Path, lie: str) -> None:
    values = json.loads(statement().serialize())
    LIES[lie](values)
    assert set(problems(sign(tmp_path / "proof.json", values, KEY))) == {"counts-contradict"}


@pytest.mark.parametrize(
    ("place", "value"),
    [
        (("_type",), "https://in-toto.io/Statement/v0.1"),
        (("predicateType",), "https://example.org/other/v1"),
        (("predicate", "verifier", "id"), "urn:other"),
        (("predicate", "timeCreated"), 5),
        (("predicate", "egide", "audit", "counts", "items"), -1),
        (("predicate", "egide", "audit", "counts", "items"), True),
        (("predicate", "egide", "audit", "counts", "items"), 12.0),
        (("predicate", "egide", "audit", "counts", "matched"), {}),
        (("predicate", "egide", "audit", "register", "banks"), ["helpline"]),
        (("predicate", "egide", "audit", "files"), {"a": 1}),
        (("predicate", "egide", "audit", "dataset", "root"), "\ud800"),
        (("predicate", "egide", "audit", "dataset"), None),
        (("predicate", "egide"), []),
        (("predicate",), "x"),
    ],
)
def test_a_field_of_another_type_is_named(
    tmp_path: Path, place: tuple[str, ...], value: object
) -> None:
    values = json.loads(statement().serialize())
    inner = values
    for step in place[:-1]:
        inner = inner[step]
    inner[place[-1]] = value
    assert problems(sign(tmp_path / "proof.json", values, KEY)) == ["statement-wrong"]


def test_properties_say_no_more_than_the_facts() -> None:
    said = purged().properties()
    assert said == ["EGIDE_NO_MATCH:helpline@5"]  # two items were not compared; a bank is empty
    whole = facts(gaps=(), counts=Counts(12, 12, 0, 0, 0, 0, 0, 1, {}, ()))
    assert replace(purged(), audit=whole).properties() == [ALL_COMPARED, *said]
    disabled = replace(whole, register=replace(whole.register, banks_disabled=("partners",)))
    assert replace(purged(), audit=disabled).properties() == said
    nothing = replace(whole, not_compared="bank-empty")
    assert replace(purged(), audit=nothing).properties() == []
    matched = replace(
        whole, counts=Counts(12, 12, 0, 0, 1, 0, 1, 1, {}, (Matched("confirmed", "file", 1),))
    )
    assert replace(purged(), audit=matched).properties() == [ALL_COMPARED]
    two = Register("s", 7, "", (BankSummary("a", 31, 1), BankSummary("b", 31, 2)), (), None)
    both = replace(purged(), audit=replace(whole, register=two)).properties()
    assert both == [ALL_COMPARED, "EGIDE_NO_MATCH:a@7", "EGIDE_NO_MATCH:b@7"]


def test_the_sentence_is_the_known_one_and_names_nothing_of_the_dataset() -> None:
    said = facts().sentence
    assert said["en"].startswith("No match to banks helpline and empty")
    assert "at revision 5 in 12 items" in said["en"]
    assert said["fr"].startswith("Aucune correspondance")
    assert contradictions(purged()) == []


def test_a_property_that_is_asked_for_has_to_be_there(proof: Path) -> None:
    found = egide.verify(proof, key=KEY.public, expected=[ALL_COMPARED])
    assert [each.code for each in found.problems] == ["property-missing"]
    assert PAYLOAD_TYPE in proof.read_text()


def test_in_french_every_line_is_french_and_says_what_was_not_checked(tmp_path: Path) -> None:
    values = json.loads(statement().serialize())
    LIES["no time"](values)
    sign(tmp_path / "proof.json", values, KEY)
    (tmp_path / "key.pub").write_text(KEY.public.pem())
    (tmp_path / "none.json").write_bytes(b"[]")
    asked = ("verify", "proof.json", "--key", "key.pub", "--lang", "fr", "--expect", "CLEAN")
    said = egide_in(tmp_path, *asked)
    times = "dans audit, une date manque, ou la fin précède le début"
    assert (said.code, said.err.splitlines()) == (
        1,
        [
            f"La preuve se contredit\u00a0: {times}. [counts-contradict]",
            "La preuve n’a pas la propriété CLEAN. [property-missing]",
        ],
    )
    before, after = (facts.sentence["fr"] for _, facts in reversed(purged().audits()))
    unchecked = "les dossiers des audits, ce que la purge dit d’elle-même, le rapport et le jeu de"
    assert said.out.splitlines() == [
        f"La preuve dit, du jeu de données d’avant\u00a0: {before}",
        f"La preuve dit\u00a0: {after}",
        "  EGIDE_NO_MATCH:helpline@5",
        "Retirés entre les deux\u00a0: 3 éléments.",
        "Vérifié, et conforme\u00a0: la signature.",
        f"Non vérifié, faute d’avoir été nommé\u00a0: {unchecked} données.",
        f"Signature de {KEY.public.key_id}.",
    ]
    unread = egide_in(tmp_path, "verify", "none.json", "--without-key", "--lang", "fr")
    assert unread.err == (
        "egide: none.json n’est pas une preuve lisible\u00a0: le JSON n’est pas un objet. "
        "[attestation-unreadable]\n"
    )


def test_what_is_shown_is_said_by_the_figures_not_by_whoever_signed(tmp_path: Path) -> None:
    values = json.loads(statement().serialize())
    audit = values["predicate"]["egide"]["audit"]
    audit["method"]["egide_version"] = "9.0"  # whose words cannot be checked here
    audit["sentence"]["en"] = "This set is clean."
    sign(tmp_path / "proof.json", values, KEY)
    said = egide_in(tmp_path, "verify", "proof.json", "--without-key")
    assert (said.code, "clean" in said.out) == (0, False)
    assert purged().audit.sentence["en"] in said.out
