"""Turn fingerprints and files into answers, in a thread, for all matching routes."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

import pydantic_core
from starlette.responses import Response

from egide.domain.coverage import gaps_within
from egide.errors import ItemError
from egide.usecases.check import Check, origins

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator, Mapping, Sequence

    from egide.domain.access import Key
    from egide.domain.model import Fingerprint, Match
    from egide.domain.origin import Origin
    from egide.domain.policy import Decision
    from egide.server.service import Service
    from egide.usecases.check import Checked


class Json(Response):
    """A JSON answer; it writes a batch of ten thousand in 10 ms, a third of `json.dumps`."""

    media_type = "application/json"

    def render(self, content: Any) -> bytes:
        """Return the body."""
        return pydantic_core.to_json(content)


def checking(service: Service, key: Key, banks: Collection[str] | None) -> Check:
    """Settle which banks a key's query searches, before the key is charged.

    Args:
        service: that answers.
        key: of the caller.
        banks: to search; None for all that the key reaches.

    Raises:
        BankMissing, RegisterStale, NotReady, StoreError: see `Check.within`.
    """
    return Check.within(
        service.live,
        reach=key.banks,
        banks=banks,
        stale_after_s=service.settings.stale_after_s,
        stale_answers=service.settings.stale_answers,
        block_by_part=service.settings.block_by_part,
    )


def ask(
    service: Service, key: Key, check: Check, fingerprints: Sequence[Fingerprint]
) -> tuple[Checked, list[Decision]]:
    """Search and decide; count the decisions, and tell webhooks.

    Raises:
        RegisterStale, NotReady: nothing can be answered at present.
    """
    checked = check.ask(fingerprints)
    # The caller chooses no radius here, so every answer has a decision.
    decisions = [answer.decision for answer in checked.answers if answer.decision is not None]
    service.decided(key, decisions)
    return checked, decisions


def answer_fingerprints(
    service: Service,
    key: Key,
    fingerprints: Sequence[Fingerprint],
    banks: Collection[str] | None,
) -> dict[str, Any]:
    """Charge the key, search and decide.

    Args:
        service: that answers.
        key: of the caller; it is charged for each fingerprint.
        fingerprints: the queries.
        banks: to search; None for all that the key reaches.

    Returns:
        the fields of `BatchResponse`.

    Raises:
        BankMissing, RegisterStale, NotReady, StoreError: see `Check.within`.
        RateLimited, QuotaExceeded: the key's rate or quota is used up.
    """
    check = checking(service, key, banks)
    service.allowances.spend(key, len(fingerprints))
    return _several(service, key, *ask(service, key, check, fingerprints))


def answer_file(service: Service, key: Key, check: Check, data: bytes) -> dict[str, Any]:
    """Charge the key, decode, search and decide for one picture, which is not kept.

    Args:
        service: that answers.
        key: of the caller; it is charged.
        check: from `checking`.
        data: of the file.

    Returns:
        the fields of `MatchResponse`.

    Raises:
        ItemError: the file cannot be used.
        Overloaded: too many pictures wait for a decoder.
        RegisterStale: stale queries are refused.
        RateLimited, QuotaExceeded: the key's rate or quota is used up.
    """
    service.allowances.spend(key, 1)
    fingerprint = service.decoding.fingerprint(data)
    checked, (decision,) = ask(service, key, check, [fingerprint])
    found = origins(service.store, key, _named([decision]))
    answer = _answer(fingerprint.matchable, decision, found)
    return answer | _not_read(fingerprint) | _searched(checked)


def answer_files(
    service: Service, key: Key, files: Sequence[bytes], banks: Collection[str] | None
) -> dict[str, Any]:
    """Answer for several pictures; an unusable one does not affect the others.

    Args and raises as `answer_fingerprints`; the error of one file takes the place of its answer.

    Returns:
        the fields of `FilesResponse`.
    """
    check = checking(service, key, banks)
    service.allowances.spend(key, len(files))
    with ThreadPoolExecutor(service.settings.decoders) as threads:
        read = list(threads.map(lambda data: _decode(service, data), files))
    usable = [one for one in read if not isinstance(one, ItemError)]
    answers = _several(service, key, *ask(service, key, check, usable))
    found = (
        answer | _not_read(one) for answer, one in zip(answers["results"], usable, strict=True)
    )
    return answers | {
        "results": [
            {"problem": {"code": one.code, "detail": one.message}}
            if isinstance(one, ItemError)
            else next(found)
            for one in read
        ]
    }


def _decode(service: Service, data: bytes) -> Fingerprint | ItemError:
    try:
        return service.decoding.fingerprint(data)
    except ItemError as error:
        return error


def _several(
    service: Service, key: Key, checked: Checked, decisions: Sequence[Decision]
) -> dict[str, Any]:
    found = origins(service.store, key, _named(decisions))
    return {
        "results": [
            _answer(answer.matchable, decision, found)
            for answer, decision in zip(checked.answers, decisions, strict=True)
        ]
    } | _searched(checked)


def _searched(checked: Checked) -> dict[str, Any]:
    """The fields of `SearchedAnswer`: what was searched, and what was not."""
    return {
        "revision": checked.revision,
        "age_s": round(checked.age_s, 3),
        "stale": checked.stale,
        "nothing_to_compare": checked.nothing_to_compare,
        "disabled_banks": checked.disabled,
    }


def _answer(matchable: bool, decision: Decision, found: Mapping[int, Origin]) -> dict[str, Any]:
    return {
        "decision": {"action": decision.action, "reasons": decision.reasons},
        "matches": [_shown(match) | _traced(match, found) for match in decision.matches],
        "vetoed": [_shown(match) | _traced(match, found) for match in decision.vetoed],
        "vetoed_by": [_shown(match) | _traced(match, found) for match in decision.vetoed_by],
        "matchable": matchable,
    }


def _not_read(fingerprint: Fingerprint) -> dict[str, Any]:
    """What of a picture was not looked at, if anything."""
    gaps = gaps_within("the picture", fingerprint)
    if not gaps:
        return {}
    return {
        "not_looked_at": [
            {"kind": gap.kind, "count": gap.count, "code": gap.code, "message": gap.message}
            for gap in gaps
        ]
    }


def _named(decisions: Sequence[Decision]) -> Iterator[Match]:
    """All matches that the answers name."""
    for decision in decisions:
        yield from (*decision.matches, *decision.vetoed, *decision.vetoed_by)


def _traced(match: Match, found: Mapping[int, Origin]) -> dict[str, Any]:
    """The field `origin`, for keys that may see it."""
    origin = found.get(match.entry)
    if origin is None:
        return {}
    added = origin.added.isoformat().replace("+00:00", "Z")
    return {"origin": {**asdict(origin), "added": added}}


def _shown(match: Match) -> dict[str, Any]:
    part, anchored = match.rectangle, match.anchored
    return {
        "bank": match.bank,
        "entry": match.entry,
        "signal": match.signal,
        "distance": match.distance,
        "transform": match.transform,
        "trust": match.trust,
        "frame": match.frame,
        "rectangle": None
        if part is None
        else {"left": part.left, "top": part.top, "width": part.width, "height": part.height},
        "anchored": None
        if anchored is None
        else {"met": anchored.met, "registered": anchored.registered},
        "video": None if match.video is None else asdict(match.video),
    }
