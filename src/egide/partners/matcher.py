"""Client of a register that matches for others and keeps its bank: `egide audit --matcher`.

An answer comes from another organisation and may be damaged or hostile. It is used only if all of
it is as API v1 promises: the counts, the banks, the distances, and nothing more.
"""

from __future__ import annotations

import json
import re
from contextlib import suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING
from urllib.parse import urlencode

from egide.domain.model import (
    DIGEST_SIGNALS,
    MAX_ANCHORED,
    MAX_RADIUS_BITS,
    AnchoredEvidence,
    BankKind,
    Match,
    Signal,
    Transform,
    Trust,
)
from egide.errors import (
    FetchRefused,
    FetchTooLarge,
    MatcherError,
    MatcherInvalid,
    MatcherKeyInvalid,
    MatcherRefused,
)
from egide.matching.anchored import NEAR_BITS
from egide.net.answers import AnswerInvalidError, Node, read_json
from egide.net.connect import read_answer, request
from egide.net.deadline import Deadline
from egide.net.guard import check_url
from egide.partners.client import KEY
from egide.partners.packed import Shape

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping
    from datetime import datetime
    from email.message import Message

    from egide.net.guard import FetchPolicy

MAX_ANSWER_BYTES = 64 * 1024 * 1024
_STORE_ID = re.compile(r"[A-Za-z0-9_-]{1,64}")
_BANK = re.compile(r"[A-Za-z0-9._-]{1,64}")
_CODE = re.compile(r"[a-z0-9-]{1,64}")
_MAX_BANKS = 10_000
_MAX_PROBLEM_BYTES = 64 * 1024
_MAX_MATCHES = 1000
_ITEMS_OF_MATCH = 12
_SHORTEST_WAIT_S = 1
_LONGEST_WAIT_S = 7 * 86_400
_BANK_FIELDS = frozenset({"name", "kind", "radius_bits", "entries", "anchored"})
_SCOPE_FIELDS = frozenset(
    {
        "store_id",
        "revision",
        "revision_at",
        "banks",
        "disabled_banks",
        "signals",
        "keypoints",
        "max_records",
        "max_anchored_records",
        "per_second",
        "per_day",
    }
)
_ANSWER_FIELDS = frozenset(
    {"count", "store_id", "revision", "stale", "banks", "disabled_banks", "matches"}
)
_MATCH_FIELDS = frozenset(
    {"query", "bank", "entry", "signal", "distance", "transform", "trust", "anchored"}
)
_SIGNALS_OF = {
    Shape.DIGESTS: frozenset(DIGEST_SIGNALS),
    Shape.CODE: frozenset({Signal.PDQ, *DIGEST_SIGNALS}),
    Shape.VARIANTS: frozenset({Signal.PDQ, *DIGEST_SIGNALS}),
    Shape.ANCHORED: frozenset({Signal.ANCHORED}),
}


@dataclass(frozen=True, slots=True)
class MatcherBank:
    """A bank that the register searches.

    Attributes:
        entries: active ones; `anchored` of them have anchored hashes.
    """

    name: str
    kind: BankKind
    radius_bits: int
    entries: int
    anchored: int


@dataclass(frozen=True, slots=True)
class MatcherScope:
    """What a register searches for a key, and how much the key may ask.

    Attributes:
        revision_at: when the store came to `revision`.
        disabled: requested banks that are not searched.
        signals: the kinds of fingerprint that the banks hold.
        keypoints: whether entries have keypoints, which are not served.
        max_records, max_anchored_records: of one body.
        per_second, per_day: records that the key may ask about.
    """

    store_id: str
    revision: int
    revision_at: datetime
    banks: tuple[MatcherBank, ...]
    disabled: tuple[str, ...]
    signals: frozenset[Signal]
    keypoints: bool
    max_records: int
    max_anchored_records: int
    per_second: int
    per_day: int


@dataclass(frozen=True, slots=True)
class MatcherAnswer:
    """What the records of one body match.

    Attributes:
        matches: for each record, of frame 0 and without a rectangle, in the register's order.
        stale: whether the register has not heard its store for too long.
    """

    revision: int
    stale: bool
    matches: list[list[Match]]


class MatcherAsksToWaitError(Exception):
    """The register answers, and cannot or does not want to do so now.

    Attributes:
        wait_s: as it says; None if it does not.
        reason: its error's code, or its status.
    """

    def __init__(self, reason: str, wait_s: float | None) -> None:
        super().__init__(reason)
        self.reason = reason
        self.wait_s = wait_s


class MatcherClient:
    """Client of one register. It keeps no connection, so it needs no closing.

    Args:
        url: of the register, without `/v1`; it may have a path.
        key: for that register, with the role `matcher`. No message and no `repr` shows it.
        policy: what may be reached; `egide.partners.client.partner_policy` makes it.
        banks: names of the banks to search; None for all that the key reaches.

    Raises:
        FetchRefused: the policy forbids the URL.
        MatcherKeyInvalid: the key is empty or has spaces in it.
    """

    def __init__(
        self, url: str, key: str, policy: FetchPolicy, banks: Collection[str] | None = None
    ) -> None:
        base = check_url(url, policy)
        if "?" in url or "#" in url:
            raise FetchRefused(reason="a register's URL has no query")
        self.name = base.authority
        if not KEY.fullmatch(key):
            raise MatcherKeyInvalid(matcher=self.name, reason="it is empty or has spaces in it")
        self._url = url.rstrip("/")
        self._key = key
        self._policy = policy
        self._query = "" if banks is None else "?" + urlencode([("bank", one) for one in banks])

    def __repr__(self) -> str:
        return f"MatcherClient({self.name!r})"

    def scope(self) -> MatcherScope:
        """Ask what is searched.

        Raises:
            MatcherAsksToWaitError, FetchError: it may succeed later.
            MatcherError: it cannot be used; one of its kinds says why.
        """
        try:
            body = self._ask("GET", "/v1/match/banks", None)
        except FetchTooLarge:
            raise self._invalid("it is too large") from None
        try:
            return _scope(read_json(body, max_items=_MAX_BANKS * len(_BANK_FIELDS)))
        except AnswerInvalidError as error:
            raise self._invalid(str(error)) from None

    def match(self, shape: Shape, body: bytes, count: int, scope: MatcherScope) -> MatcherAnswer:
        """Ask about the records of a body.

        Args:
            shape: of the records.
            body: from `egide.partners.packed.pack`.
            count: of the records.
            scope: what the answer has to keep to.

        Raises:
            FetchTooLarge: more matches come than an answer may have: ask about less at a time.
            MatcherAsksToWaitError, FetchError: it may succeed later.
            MatcherError: it cannot be used; one of its kinds says why.
        """
        said = self._ask("POST", "/v1/match/packed", body)
        try:
            most = _ITEMS_OF_MATCH * _MAX_MATCHES * count + _MAX_BANKS
            return _answer(read_json(said, max_items=most), shape, count, scope)
        except AnswerInvalidError as error:
            raise self._invalid(str(error)) from None

    def _ask(self, method: str, path: str, body: bytes | None) -> bytes:
        deadline = Deadline.after(self._policy.timeout_s)
        headers = {"Accept": "application/json", "Authorization": f"Bearer {self._key}"}
        if body is not None:
            headers["Content-Type"] = "application/octet-stream"
        target = check_url(self._url + path + self._query, self._policy)
        with request(
            method, target, self._policy, deadline, headers=headers, body=body
        ) as response:
            if response.status == 200:
                if response.headers.get_content_type() != "application/json":
                    raise self._invalid("no JSON")
                return read_answer(response, min(self._policy.max_bytes, MAX_ANSWER_BYTES))
            status, wait_s = response.status, _wait_s(response.headers)
            problem = None
            with suppress(FetchTooLarge):
                problem = _code_of(read_answer(response, _MAX_PROBLEM_BYTES))
        if status in {401, 403}:
            raise MatcherRefused(matcher=self.name, status=status)
        if problem == "batch-too-large":
            raise FetchTooLarge(limit=self._policy.max_bytes)
        if status == 429 or status >= 500:
            raise MatcherAsksToWaitError(problem or f"status {status}", wait_s)
        # A redirect is not followed: it would receive the key.
        reasons = {
            "bank-missing": "it has no bank of that name that the key reaches",
            "path-missing": "it takes no audits; its Egide may be older",
        }
        told = f"{status}, {problem}" if problem else str(status)
        reason = reasons.get(problem or "", f"it answered with status {told}")
        raise MatcherError(matcher=self.name, reason=reason)

    def _invalid(self, reason: str) -> MatcherInvalid:
        return MatcherInvalid(matcher=self.name, reason=reason)


def _wait_s(headers: Message) -> float | None:
    text = headers.get("Retry-After", "").strip()
    if not (text.isascii() and text.isdigit() and len(text) < 9):
        return None
    # To ask again at once, for as long as it says so, would have no end.
    return min(max(int(text), _SHORTEST_WAIT_S), _LONGEST_WAIT_S)


def _code_of(body: bytes) -> str | None:
    """The code of a problem; what else stands there is a stranger's text, and is not shown."""
    try:
        code = json.loads(body)["code"]
    except (ValueError, TypeError, KeyError, RecursionError):
        return None
    return code if isinstance(code, str) and _CODE.fullmatch(code) else None


def _scope(root: Node) -> MatcherScope:
    root.require_only(_SCOPE_FIELDS)
    scope = MatcherScope(
        store_id=root.get("store_id").text(_STORE_ID),
        revision=root.get("revision").integer(0),
        revision_at=root.get("revision_at").moment(),
        banks=tuple(_bank(node) for node in root.get("banks").items(_MAX_BANKS)),
        disabled=tuple(node.text(_BANK) for node in root.get("disabled_banks").items(_MAX_BANKS)),
        signals=frozenset(
            Signal(node.one_of(frozenset(Signal))) for node in root.get("signals").items(20)
        ),
        keypoints=root.get("keypoints").boolean(),
        max_records=root.get("max_records").integer(1),
        max_anchored_records=root.get("max_anchored_records").integer(1),
        per_second=root.get("per_second").integer(1),
        per_day=root.get("per_day").integer(1),
    )
    searched = scope.signals or scope.keypoints or any(bank.anchored for bank in scope.banks)
    if not searched and any(bank.entries for bank in scope.banks):
        # Nothing would be asked, and all would count as compared.
        raise root.get("signals").error()
    return scope


def _bank(node: Node) -> MatcherBank:
    node.require_only(_BANK_FIELDS)
    entries = node.get("entries").integer(0)
    return MatcherBank(
        name=node.get("name").text(_BANK),
        kind=BankKind(node.get("kind").one_of(frozenset(BankKind))),
        radius_bits=node.get("radius_bits").integer(0, MAX_RADIUS_BITS),
        entries=entries,
        anchored=node.get("anchored").integer(0),
    )


def _answer(root: Node, shape: Shape, count: int, scope: MatcherScope) -> MatcherAnswer:
    root.require_only(_ANSWER_FIELDS)
    if root.get("count").integer(0) != count:
        raise AnswerInvalidError("the count of records")
    if root.get("store_id").text(_STORE_ID) != scope.store_id:
        raise AnswerInvalidError("another store")
    for field, expected in (
        ("banks", [bank.name for bank in scope.banks]),
        ("disabled_banks", scope.disabled),
    ):
        named = [node.text(_BANK) for node in root.get(field).items(_MAX_BANKS)]
        if sorted(named) != sorted(expected):
            raise AnswerInvalidError(f"{field}: others than at the beginning")
    revision = root.get("revision").integer(0)
    matches: list[list[Match]] = [[] for _ in range(count)]
    known: set[tuple[int, int]] = set()
    last = 0
    banks = {bank.name: bank for bank in scope.banks}
    for node in root.get("matches").items(count * _MAX_MATCHES):
        node.require_only(_MATCH_FIELDS)
        query = node.get("query").integer(last, count - 1)
        last = query
        match = _match(node, shape, banks, revision)
        if (query, match.entry) in known or len(matches[query]) >= _MAX_MATCHES:
            raise AnswerInvalidError("matches: repeated, or too many")
        known.add((query, match.entry))
        matches[query].append(match)
    return MatcherAnswer(revision, root.get("stale").boolean(), matches)


def _match(node: Node, shape: Shape, banks: Mapping[str, MatcherBank], revision: int) -> Match:
    bank = banks[node.get("bank").one_of(banks)]
    signal = Signal(node.get("signal").one_of(_SIGNALS_OF[shape]))
    anchored, transform, most = None, None, 0
    if signal is Signal.ANCHORED:
        if not node.get("transform").missing:
            raise node.get("transform").error()
        evidence = node.get("anchored")
        registered = evidence.get("registered").integer(1, MAX_ANCHORED)
        anchored = AnchoredEvidence(evidence.get("met").integer(0, registered), registered)
        most = NEAR_BITS
    else:
        if not node.get("anchored").missing:
            raise node.get("anchored").error()
        whole = signal is Signal.PDQ and shape is Shape.VARIANTS
        known = frozenset(Transform) if whole else frozenset({Transform.IDENTITY})
        transform = Transform(node.get("transform").one_of(known))
        most = bank.radius_bits if signal is Signal.PDQ else 0
    return Match(
        entry=node.get("entry").integer(1),
        bank=bank.name,
        signal=signal,
        distance=node.get("distance").integer(0, most),
        transform=transform,
        trust=Trust(node.get("trust").one_of(frozenset(Trust))),
        frame=0,
        revision=revision,
        anchored=anchored,
        kind=bank.kind,
    )
