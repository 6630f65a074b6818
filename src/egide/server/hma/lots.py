"""Which banks take part in a look-up: those whose share includes its lot.

HMA draws by lot at each look-up, so the same picture is found today and not tomorrow. Here the lot
is made of what is looked up: a bank of share 0.5 is searched for half of all pictures, and for the
same half each time.
"""

from __future__ import annotations

from hashlib import blake2b
from threading import Lock
from typing import TYPE_CHECKING

from egide.errors import StoreError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from egide.domain.access import Key
    from egide.domain.model import Bank, Fingerprint
    from egide.server.service import Service

_BYTES = 8


class Lots:
    """The banks of a register and their shares, read again once the register has changed."""

    def __init__(self, service: Service) -> None:
        self._service = service
        self._banks: list[Bank] = []
        self._revision = -1
        self._lock = Lock()

    def chosen(
        self, key: Key, names: Sequence[str] | None, lot: float
    ) -> tuple[Sequence[str] | None, int]:
        """Choose banks for a look-up.

        Args:
            key: of the caller.
            names: of the requested banks; None for all that the key reaches.
            lot: of the look-up, see `lot_of`.

        Returns:
            the names of the banks to search, None for all; and how many were left out.
        """
        banks = self._read()
        left_out = {bank.name for bank in banks if bank.enabled and not lot < bank.enabled_ratio}
        if names is None:
            names = key.banks
            if not left_out:
                return names, 0
            if names is None:
                names = [bank.name for bank in banks if bank.enabled]
        chosen = [name for name in names if name not in left_out]
        return chosen, len(names) - len(chosen)

    def _read(self) -> list[Bank]:
        revision = self._service.live.revision
        with self._lock:
            if revision != self._revision:
                try:
                    self._banks = self._service.store.banks.list()
                except StoreError:
                    return self._banks  # answers go on while the store is silent
                self._revision = revision
            return self._banks


def lot_of(fingerprint: Fingerprint, seed: str | None) -> float:
    """The lot of a look-up, 0 to below 1: of the seed if there is one, else of the picture."""
    pdq = fingerprint.pdq
    seen = fingerprint.md5 if pdq is None or not pdq.matchable else pdq.code
    drawn = blake2b(seen or b"" if seed is None else seed.encode(), digest_size=_BYTES).digest()
    return int.from_bytes(drawn) / (1 << 8 * _BYTES)
