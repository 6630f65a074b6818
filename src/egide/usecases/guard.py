"""The one door for people's own pipelines: leave out of a stream of samples what matches a bank.

- What could not be looked at, wholly or in part, is left out too, unless the caller wants it.
- Matching is that of `egide.usecases.check`: its banks, its vetoes, its refusal to compare with
  nothing.
- No bad sample ends the stream. What does is said before the first sample is read, but for a bank
  that disappears, or loses its last entry, while the store is followed.
- Nothing is logged, and no message has the name of a file.
"""

from __future__ import annotations

import os
from collections.abc import Iterable
from contextlib import ExitStack
from itertools import islice
from time import monotonic
from typing import TYPE_CHECKING, Any, Generic, TypeVar

from egide.compiled import count_codes, count_picture
from egide.domain.coverage import Gap
from egide.domain.model import DEFAULT_LIMITS, BankKind, Limits, Mode, Signal, Trust
from egide.errors import KeypointsError, SnapshotError, StoreError, UsageError, ValueMissing
from egide.live.keypoints import can_search_keypoints
from egide.live.searching import HeldSearch, open_store
from egide.matching import scope_of
from egide.usecases.check import Check
from egide.usecases.guard_summary import GuardSummary, Tally
from egide.usecases.samples import Looked, look_at, pictures_in

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from egide.domain.model import Fingerprint, Match
    from egide.store import Store
    from egide.usecases.check import Answer

Sample = TypeVar("Sample")

_SHARED = (
    "an open store stays in its process: give the guard the store's address, such as "
    "sqlite:///egide.db, and each process opens it by itself"
)

BATCH_SAMPLES = 128
"""Read ahead and searched at once. The first batches are smaller, so that the first sample is there
soon. Searching 64 at once costs 2 % more of the whole by NumPy, 256 cost 1 % less."""
BATCH_BYTES = 64 * 1024 * 1024
"""Nothing more is read ahead once the samples of a batch take so much memory."""


class Guard(Generic[Sample]):
    """The samples of an iterable that match no bank, in order. Iterate over it as often as needed.

    Each iteration searches the store as it is when the first sample is asked for. A sample is
    bytes, a path or a Pillow image, or a mapping or sequence that holds some of these, as
    Hugging Face's datasets, webdataset and torchvision give them; `get` tells where. A sample is
    yielded as it came, the same object. One that holds several pictures passes if all of them do.

    Up to `BATCH_SAMPLES` samples are read ahead. Pictures are decoded in this process, within
    `limits`, but for the time and the memory of a worker, which no decoder here is held to.

    Args:
        iterable: of samples, also an endless one. An error that it raises is passed on, after the
            samples before it.
        store: the address of a store, as for `egide.open_store`; or an open store, which stays
            open. Only a guard with an address can go to other processes, each of which opens the
            store by itself.
        get: called with a sample, returns its picture, or what holds it. By default, and in what
            it returns, pictures are looked for as `egide.usecases.samples.pictures_in` says. To
            pickle the guard, take a function with a name or `operator.itemgetter`, no lambda.
        banks: names; None for all enabled ones. A disabled one is never searched.
        trusts: leave out only what matches entries of these; None for all of them, so also what
            would go to review. What a negative bank vetoes passes.
        radius_bits: 0–63 instead of each bank's own.
        mode: how pixels are read, see `egide.Mode`.
        thorough: also find edited copies by anchored hashes, and by keypoints if entries have them.
        on_keypoints_error: called with an error that prevents this; the guard continues without
            keypoints. By default the error is raised.
        keep_unread: yield what could not be looked at; it is counted all the same.
        on_match: called with each sample that is left out for matches, and with these.
        on_gap: called with a sample, and with each thing in it that could not be looked at. A
            message names the sample by its number in the iteration, from 0.
        on_end: called with the summary at the end of each iteration, however it ends; in a worker
            of a data loader, since `summary` is that of one process.
        follow_s: look at the store's revision every so many seconds, and go on with its present
            state if it changed; 0 for each batch. None keeps the state of the beginning. If the
            store cannot be read then, the last known state is searched and the summary says so.
        limits: on what one file may ask of this machine.

    Raises:
        UsageError: an argument is invalid, or an open store would go to another process.
        StoreError, BankMissing, RadiusInvalid, KeypointsError: from iterating, before any sample is
            read.
        NothingToCompare: from iterating: no searched bank holds an entry that can match.
    """

    def __init__(
        self,
        iterable: Iterable[Sample],
        store: str | Store,
        *,
        get: Callable[[Sample], object] | None = None,
        banks: Sequence[str] | None = None,
        trusts: Iterable[Trust] | None = None,
        radius_bits: int | None = None,
        mode: Mode = Mode.FAST,
        thorough: bool = False,
        on_keypoints_error: Callable[[KeypointsError], None] | None = None,
        keep_unread: bool = False,
        on_match: Callable[[Sample, Sequence[Match]], None] | None = None,
        on_gap: Callable[[Sample, Gap], None] | None = None,
        on_end: Callable[[GuardSummary], None] | None = None,
        follow_s: float | None = None,
        limits: Limits = DEFAULT_LIMITS,
    ) -> None:
        if isinstance(iterable, str | bytes) or not isinstance(iterable, Iterable):
            raise UsageError(reason="a guard takes an iterable of samples, even for a single one")
        if isinstance(banks, str):
            raise UsageError(reason="banks= is a list of names, even for a single one")
        if follow_s is not None and not follow_s >= 0:
            raise UsageError(reason="follow_s= is a number of seconds, at least 0")
        if mode not in {*Mode}:
            raise UsageError(reason=f"mode= is one of {', '.join(Mode)}")
        if radius_bits is not None and type(radius_bits) is not int:
            raise UsageError(reason="radius_bits= is a whole number of bits")
        if not isinstance(limits, Limits):
            raise UsageError(reason="limits= is an egide.Limits")
        self._iterable = iterable
        self._store = store
        self._opened_in = os.getpid()
        self._get = get
        self._banks = None if banks is None else tuple(banks)
        self._trusts = None if trusts is None else _chosen(trusts)
        self._radius_bits = radius_bits
        self._mode = Mode(mode)
        self._thorough = thorough
        self._on_keypoints_error = on_keypoints_error
        self._keep_unread = bool(keep_unread)
        self._on_match = on_match
        self._on_gap = on_gap
        self._on_end = on_end
        self._follow_s = follow_s
        self._limits = limits
        self._tally = Tally(keep_unread=self._keep_unread)

    @property
    def summary(self) -> GuardSummary:
        """What has come of the samples of the latest iteration in this process, until now."""
        return self._tally.summary()

    def __getstate__(self) -> dict[str, Any]:
        """What goes to another process.

        Raises:
            UsageError: the store is an open one.
        """
        if not isinstance(self._store, str):
            raise UsageError(reason=_SHARED)
        return self.__dict__.copy()

    def __iter__(self) -> Iterator[Sample]:
        """Read the iterable once through."""
        tally = self._tally = Tally(keep_unread=self._keep_unread)
        with ExitStack() as stack:
            if (on_end := self._on_end) is not None:
                stack.callback(lambda: on_end(tally.summary()))
            search = stack.enter_context(self._search(self._open(stack)))
            asking = _Asking(search, self._banks, self._radius_bits, follow_s=self._follow_s)
            asking.ask((), tally)
            samples = iter(self._iterable)
            if samples is not self._iterable and hasattr(samples, "close"):
                stack.callback(samples.close)  # nobody else can
            for batch in self._batches(samples, asking):
                yield from self._passing(batch, asking, tally)

    def _open(self, stack: ExitStack) -> Store:
        if isinstance(self._store, str):
            return stack.enter_context(open_store(self._store))
        if self._opened_in != os.getpid():
            raise UsageError(reason=_SHARED)
        return self._store

    def _search(self, store: Store) -> HeldSearch:
        keypoints = self._thorough and can_search_keypoints(
            store, banks=self._banks, on_error=self._on_keypoints_error
        )
        return HeldSearch(
            store,
            keypoints=keypoints,
            banks=self._banks,
            on_keypoints_error=self._on_keypoints_error,
        )

    def _batches(
        self, samples: Iterator[Sample], asking: _Asking
    ) -> Iterator[list[tuple[Sample, Looked]]]:
        """Read ahead; an error of the iterable comes after what was read before it."""
        most, number = 1, 0
        failed: Exception | None = None
        while failed is None:
            asking.follow()
            settings = self._settings(asking)
            batch: list[tuple[Sample, Looked]] = []
            size = 0
            while len(batch) < most and size < BATCH_BYTES:
                try:
                    sample = next(samples)
                except Exception as error:  # noqa: BLE001 - the caller's own, raised below
                    failed = error
                    break
                looked = self._look(sample, f"sample {number}", settings)
                batch.append((sample, looked))
                size += looked.size
                number += 1
            yield batch
            most = min(2 * most, BATCH_SAMPLES)
        if not isinstance(failed, StopIteration):
            raise failed

    def _settings(self, asking: _Asking) -> dict[str, Any]:
        """How to fingerprint: what no bank holds is not computed."""
        return {
            "mode": self._mode,
            "limits": self._limits,
            "md5": Signal.MD5 in asking.held,
            "sha1": Signal.SHA1 in asking.held,
            "anchored": self._thorough and self._radius_bits is None,
            "keypoints": asking.search.searches_keypoints,
        }

    def _look(self, sample: Sample, name: str, settings: dict[str, Any]) -> Looked:
        if settings["anchored"]:
            count_picture()
        try:
            found = pictures_in(sample if self._get is None else self._get(sample))
        except Exception as error:  # noqa: BLE001 - one sample must not end the pipeline
            reason = f"looking for it failed, {type(error).__name__}"
            return Looked((), (Gap.of(name, ValueMissing(name=name, reason=reason)),))
        return look_at(name, found, **settings)

    def _passing(
        self, batch: Sequence[tuple[Sample, Looked]], asking: _Asking, tally: Tally
    ) -> Iterator[Sample]:
        prints = [print_ for _, looked in batch for print_ in looked.prints]
        answers = iter(asking.ask(prints, tally))
        for sample, looked in batch:
            given = list(islice(answers, len(looked.prints)))
            matches = [match for answer in given for match in answer.matches]
            against = [
                match for match in matches if self._trusts is None or match.trust in self._trusts
            ]
            passes = not against and (self._keep_unread or not looked.gaps)
            tally.add(looked, given, against=bool(against), passes=passes)
            if self._on_gap is not None:
                for gap in looked.gaps:
                    self._on_gap(sample, gap)
            if against and self._on_match is not None:
                self._on_match(sample, against)
            if passes:
                yield sample


class _Asking:
    """What one iteration asks of the store.

    Attributes:
        search: of the state that is searched.
        held: the signals of which the searched banks have any.
    """

    def __init__(
        self,
        search: HeldSearch,
        banks: Sequence[str] | None,
        radius_bits: int | None,
        *,
        follow_s: float | None,
    ) -> None:
        """Settle which banks to search.

        Raises:
            BankMissing: there is no bank of that name.
        """
        self.search = search
        self._banks = banks
        self._follow_s = follow_s
        self._looked_at_s = monotonic()
        self._hindered: str | None = None
        self._check = Check.within(search, banks=banks, radius_bits=radius_bits)
        self._look_up_signals()

    def _look_up_signals(self) -> None:
        snapshot = self.search.snapshot
        count_codes(snapshot.code_count)
        searched = scope_of(snapshot.banks, self._banks).searched
        self._positive = [bank.name for bank in searched if bank.kind is BankKind.POSITIVE]
        self.held = snapshot.signals_held(searched)

    def follow(self) -> None:
        """Go on to the store's present state, if it is time to look at it.

        Raises:
            BankMissing: a requested bank is there no more.
        """
        now_s = monotonic()
        if self._follow_s is None or now_s - self._looked_at_s < self._follow_s:
            return
        self._looked_at_s, before = now_s, self.search.snapshot
        try:
            self.search.renew()
            self._hindered = None
        except (StoreError, SnapshotError, KeypointsError) as error:
            self._hindered = error.code
        if self.search.snapshot is not before:
            self._look_up_signals()

    def ask(self, fingerprints: Sequence[Fingerprint], tally: Tally) -> tuple[Answer, ...]:
        """Match fingerprints.

        Raises:
            NothingToCompare: no searched bank holds an entry that can match.
            BankMissing, RadiusInvalid: an argument is invalid.
        """
        checked = self._check.ask(fingerprints)
        checked.require_compared()
        tally.searched(self._positive, checked.disabled, checked.revision, self._hindered)
        return checked.answers


def _chosen(trusts: Iterable[Trust]) -> frozenset[Trust]:
    chosen = [*trusts]
    if isinstance(trusts, str) or not chosen or not {*chosen} <= {*Trust}:
        raise UsageError(reason=f"trusts= is a list of {', '.join(Trust)}")
    return frozenset(map(Trust, chosen))
