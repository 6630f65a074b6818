"""A register elsewhere as what an audit searches: it keeps its banks, and is asked in bodies."""

from __future__ import annotations

import json
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from egide.auditing.summary import (
    AnchoredSummary,
    BankSummary,
    KeypointsSummary,
    MatcherSummary,
    Searched,
)
from egide.errors import KeypointsNotServed, OutputUnwritable, UsageError
from egide.files import written_whole
from egide.partners.matching import RemoteMatcher, wait
from egide.settings import matcher_patience
from egide.usecases.matcher import connect

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterable, Iterator, Sequence
    from datetime import datetime
    from pathlib import Path

    from egide.auditing.options import Options
    from egide.auditing.register import Tag
    from egide.auditing.summary import Totals
    from egide.domain.model import Fingerprint, Match, Signal
    from egide.errors import KeypointsError

_BEGUN = "matcher.json"
"""Beside the parts, and gone with those that are no longer needed: when an audit ends."""


class RemoteRegister:
    """A register that matches for others and keeps its banks."""

    def __init__(
        self,
        url: str,
        *,
        key_file: str | Path | None = None,
        on_wait: Callable[[float, str], None] = wait,
        on_keypoints_error: Callable[[KeypointsError], None] | None = None,
    ) -> None:
        """Use a register; nothing is asked yet.

        Args:
            url: of the register, without `/v1`: https, or this machine itself.
            key_file: holds the key for it; by default `EGIDE_MATCHER_KEY` does.
            on_wait: waits so many seconds, for a reason; it may tell somebody.
            on_keypoints_error: called where a thorough audit cannot search by keypoints that
                entries have; by default the error is raised.
        """
        self._url = url
        self._key_file = key_file
        self._on_wait = on_wait
        self._on_keypoints_error = on_keypoints_error

    @contextmanager
    def open(self, options: Options, as_of: datetime) -> Iterator[OpenRemote]:  # noqa: ARG002
        """Ask what is searched. The register itself leaves out what has expired.

        Raises:
            UsageError: a radius was given.
            KeypointsNotServed: see `on_keypoints_error`.
            MatcherError: the register cannot be asked; one of its kinds says why.
        """
        if options.radius_bits is not None:
            raise UsageError(
                reason="a radius cannot be asked of another register, which has its own: leave out "
                "--radius"
            )
        client = connect(self._url, banks=options.banks, key_file=self._key_file)
        matcher = RemoteMatcher(client, matcher_patience(), self._on_wait)
        if options.thorough and matcher.scope.keypoints:
            error = KeypointsNotServed(matcher=client.name)
            if self._on_keypoints_error is None:
                raise error
            self._on_keypoints_error(error)
        yield OpenRemote(self._url, matcher, options)


class OpenRemote:
    """What one audit searches at a register.

    Other than a snapshot, the register may change meanwhile: the summary names both revisions.
    """

    keypoints = False
    inherit: tuple[int, ...] = ()

    def __init__(self, url: str, matcher: RemoteMatcher, options: Options) -> None:
        """Search at a register that has said what it searches."""
        self._url, self._matcher, self._options = url, matcher, options
        self._first = self._last = matcher.scope.revision
        self._first_at = matcher.scope.revision_at.isoformat()
        self._begun: Path | None = None

    @property
    def held(self) -> Collection[Signal]:
        """The signals of which the searched banks hold any."""
        return self._matcher.scope.signals

    @property
    def lookup(self) -> OpenRemote:
        """This: the workers reach no network."""
        return self

    def match(self, fingerprints: Sequence[Fingerprint]) -> list[list[Match]]:
        """Match some fingerprints by themselves."""
        ((_, found),) = self.answers([(None, fingerprints)])
        return found

    def find(self, signal: Signal, values: Sequence[bytes]) -> Collection[int]:  # noqa: ARG002
        """All positions: each row is asked about by all that it has."""
        return range(len(values))

    def answers(
        self, groups: Iterable[tuple[Tag, Sequence[Fingerprint]]]
    ) -> Iterator[tuple[Tag, list[list[Match]]]]:
        """Match groups of fingerprints; at their end, check that the banks are still the same.

        Raises:
            MatcherError: one of its kinds; what was yielded stands.
        """
        for tag, found in self._matcher.answers(groups):
            first, last = self._matcher.revisions or (self._first, self._last)
            if first < self._first or last > self._last:
                self._first, self._last = min(first, self._first), max(last, self._last)
                self._note()
            yield tag, found
        self._matcher.confirm()

    def state(self) -> dict[str, Any]:
        """Which register it is: one elsewhere tells nobody what of it has changed."""
        return {"store_id": self._matcher.scope.store_id}

    def since(self, state: dict[str, Any]) -> dict[str, Any] | None:  # noqa: ARG002
        """Nothing that could be told: all that is kept is asked about again."""
        return None

    def begin(self, parts: Path) -> None:
        """Go on where an audit of this register was interrupted; else begin at its revision.

        Raises:
            OutputUnwritable: the folder cannot be written.
        """
        self._begun = parts / _BEGUN
        try:
            begun = json.loads(self._begun.read_text("utf-8"))
            if begun["searched"] == self._searches():
                first, last, at = int(begun["first"]), int(begun["last"]), str(begun["first_at"])
                self._first, self._last, self._first_at = first, max(last, self._last), at
        except (OSError, ValueError, KeyError, TypeError):
            pass  # it begins now
        self._note()

    def _note(self) -> None:
        assert self._begun is not None  # an audit begins before it asks
        values = {
            "searched": self._searches(),
            "first": self._first,
            "first_at": self._first_at,
            "last": self._last,
        }
        try:
            with written_whole(self._begun) as stream:
                stream.write(json.dumps(values).encode())
        except OSError as error:
            folder = self._begun.parent.parent.parent
            raise OutputUnwritable(name=folder, reason=error.strerror) from error

    def _searches(self) -> list[Any]:
        scope = self._matcher.scope
        banks = sorted([bank.name, bank.kind.value, bank.radius_bits] for bank in scope.banks)
        return [self._url, scope.store_id, banks, sorted(scope.disabled), sorted(scope.signals)]

    def identity(self) -> list[Any]:
        """What is searched, and the revision at which the audit began."""
        return [*self._searches(), self._first]

    def worker_settings(self) -> dict[str, Any]:
        """Nothing: no worker compares."""
        return {}

    def searched(self, totals: Totals) -> Searched:
        """What was searched, for the summary."""
        scope, thorough = self._matcher.scope, self._options.thorough
        missed = KeypointsNotServed.code if thorough and scope.keypoints else None
        return Searched(
            anchored=AnchoredSummary(
                searched=self._options.searches_anchored,
                entries=sum(bank.anchored for bank in scope.banks),
                items_without=totals.without_anchored,
            ),
            patches=KeypointsSummary(
                searched=thorough and missed is None,
                code=missed,
                pictures=0,
                damaged=0,
                not_enough_detail=totals.not_enough_detail,
            ),
            banks=[
                BankSummary(name=bank.name, radius_bits=bank.radius_bits, entries=bank.entries)
                for bank in scope.banks
            ],
            banks_disabled=list(scope.disabled),
            not_compared=self._not_compared(totals),
            store_id=scope.store_id,
            store_revision=self._first,
            store_revision_at=self._first_at,
            kernel="remote",
            matcher=MatcherSummary(self._url, self._first, self._last),
        )

    def _not_compared(self, totals: Totals) -> str | None:
        """Why no entry was compared; None if some were."""
        scope = self._matcher.scope
        if not scope.banks:
            return "bank-disabled" if scope.disabled else "no-bank"
        if not any(bank.entries for bank in scope.banks):
            return "bank-empty"
        return None if totals.hashed else "no-picture"
