"""What an audit was asked for: all that its result depends on but the dataset and the register."""

from __future__ import annotations

import hashlib
import json
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

from egide._version import __version__
from egide.auditing.sources import endpoints
from egide.domain.model import Limits, Mode
from egide.errors import UsageError

if TYPE_CHECKING:
    from collections.abc import Collection

    from egide.domain.model import Signal


@dataclass(frozen=True, slots=True)
class Options:
    """The options of one audit, see `egide.audit`.

    Attributes:
        sources: addresses, as given.
        banks: names, sorted; None for all enabled ones.
    """

    sources: tuple[str, ...]
    columns: tuple[str, ...]
    banks: tuple[str, ...] | None
    radius_bits: int | None
    mode: Mode
    limits: Limits
    thorough: bool

    def __post_init__(self) -> None:
        """Refuse what cannot be meant.

        Raises:
            UsageError: there is no source, or one has no name.
        """
        if not self.sources:
            raise UsageError(reason="name at least one source to audit")
        if "" in self.sources:  # e.g. from an unset variable; fsspec would list the whole disk
            raise UsageError(reason="a source has no name: name a path or an address")

    @property
    def searches_anchored(self) -> bool:
        """Whether they were asked for; with a radius of the caller's they are not searched."""
        return self.thorough and self.radius_bits is None

    def reading(self, digests: Collection[Signal], *, keypoints: bool) -> dict[str, Any]:
        """All that the fingerprints of a shard depend on, as plain values that name their files.

        Args:
            digests: computed of each file besides SHA-256.
            keypoints: whether keypoints are computed, which are not kept.
        """
        return {
            "version of Egide": __version__,
            "mode": self.mode.value,
            "limits": asdict(self.limits),
            "digests": sorted(signal.value for signal in digests),
            "keypoints": keypoints,
            "anchored hashes": self.searches_anchored,
            "endpoints": endpoints(self.sources),
        }

    def part_salt(self, register: list[Any]) -> str:
        """Digest all that the result of a shard depends on, to name its parts.

        Args:
            register: what identifies the searched state of the register.
        """
        values = [
            __version__,
            register,
            self.banks,
            self.radius_bits,
            self.mode.value,
            asdict(self.limits),
            self.searches_anchored,
            endpoints(self.sources),
        ]
        return salt_of(values)

    def to_json(self) -> dict[str, Any]:
        """Return the options as plain values."""
        return asdict(self) | {"mode": self.mode.value}

    @classmethod
    def from_json(cls, values: dict[str, Any]) -> Options:
        """Make options from the values of `to_json`.

        Raises:
            KeyError, TypeError, ValueError: they are none.
        """
        banks = values["banks"]
        return cls(
            sources=tuple(map(str, values["sources"])),
            columns=tuple(map(str, values["columns"])),
            banks=None if banks is None else tuple(map(str, banks)),
            radius_bits=values["radius_bits"],
            mode=Mode(values["mode"]),
            limits=Limits(**values["limits"]),
            thorough=bool(values["thorough"]),
        )


def salt_of(values: object) -> str:
    """Digest plain values, to name files by them."""
    return hashlib.sha256(json.dumps(values).encode()).hexdigest()
