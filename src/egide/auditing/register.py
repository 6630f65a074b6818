"""What a dataset is compared with: a register, here or elsewhere, as an audit sees it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Protocol, TypeVar

from egide.auditing.scan import Lookup

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Iterator, Sequence
    from contextlib import AbstractContextManager
    from datetime import datetime
    from pathlib import Path

    from egide.auditing.options import Options
    from egide.auditing.summary import Searched, Totals
    from egide.domain.model import Fingerprint, Match, Signal

Tag = TypeVar("Tag")


class RemoteLookup(Lookup, Protocol):
    """A register elsewhere: it is asked about many parts at a time."""

    def answers(
        self, groups: Iterable[tuple[Tag, Sequence[Fingerprint]]]
    ) -> Iterator[tuple[Tag, list[list[Match]]]]:
        """Match groups of fingerprints; yield each tag with what was found, in their order."""
        ...


class OpenRegister(Protocol):
    """One state of a register, held until the end of an audit."""

    @property
    def held(self) -> Collection[Signal]:
        """The signals of which the searched banks hold any."""
        ...

    @property
    def keypoints(self) -> bool:
        """Whether items are searched by keypoints, which are not kept."""
        ...

    @property
    def lookup(self) -> RemoteLookup | None:
        """What compares rows for this process; None if the workers compare them."""
        ...

    def begin(self, parts: Path) -> None:
        """Go on where an earlier run was interrupted, whose parts are in this folder."""
        ...

    def identity(self) -> list[Any]:
        """Plain values that identify what is searched: a part of another state is another part."""
        ...

    def state(self) -> dict[str, Any]:
        """Plain values by which a later state can tell what has changed, see `since`."""
        ...

    def since(self, state: dict[str, Any]) -> dict[str, Any] | None:
        """Tell what is new or changed since an earlier state, as workers need it.

        Args:
            state: of the same register, with the same options, as `state` gave it.

        Returns:
            what only can match an item that nothing matched then; None if that cannot be told.
        """
        ...

    def worker_settings(self) -> dict[str, Any]:
        """What a worker needs to compare rows, see `egide.auditing.executors.worker`."""
        ...

    @property
    def inherit(self) -> tuple[int, ...]:
        """The file descriptors that workers need."""
        ...

    def searched(self, totals: Totals) -> Searched:
        """What was searched, for the summary."""
        ...


class Register(Protocol):
    """A register that audits can be made against."""

    def open(self, options: Options, as_of: datetime) -> AbstractContextManager[OpenRegister]:
        """Hold its present state.

        Args:
            options: which banks, and how they are searched.
            as_of: entries that have expired by then do not match.

        Raises:
            BankMissing, RadiusInvalid: an option is invalid.
        """
        ...
