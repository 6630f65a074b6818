"""Rewrite one file: pick how by its kind, write what stays, and read it back."""

from __future__ import annotations

from collections import Counter
from contextlib import contextmanager, suppress
from typing import IO, TYPE_CHECKING, Protocol

from egide.auditing.purge import arrow, listing, parquet
from egide.auditing.purge.checking import check, check_tar
from egide.auditing.purge.journal import spooled
from egide.auditing.purge.packing import check_packed, pack, packing_of, unpack
from egide.auditing.purge.plan import Cut
from egide.auditing.purge.samples import LISTINGS
from egide.auditing.purge.splice import Splice, digest_of
from egide.auditing.purge.tar import cut_tar, members_of
from egide.auditing.purge.zip import cut_zip
from egide.errors import ContainerNotVerified, ContainerUnsupported
from egide.media.containers import HEAD_BYTES, Kind, is_tar, kind_of

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from egide.auditing.purge.plan import TableCut, Work
    from egide.auditing.purge.tar import TarMember
    from egide.auditing.results import KeptItems
    from egide.domain.model import Limits

    _TableWork = Callable[[IO[bytes], IO[bytes], frozenset[int], str], None]


class Rewriting(Protocol):
    """How one file is written without what goes."""

    @property
    def cut(self) -> Cut:
        """What goes."""
        ...

    @property
    def rows(self) -> frozenset[int] | None:
        """The rows of a table that go; None of what is no table."""
        ...

    @property
    def followed(self) -> bool:
        """Whether `check_written` may run, in another thread, while `write` does."""
        ...

    def check_audit(self, audited: KeptItems) -> tuple[int, str]:
        """Compare the file with its audit; return how many items it has, and its SHA-256.

        Raises:
            ContainerChanged, ContainerMissing.
        """
        ...

    def write(self, into: IO[bytes]) -> None:
        """Write what stays."""
        ...

    def check_written(self, written: IO[bytes]) -> str:
        """Read it back; return its SHA-256.

        Raises:
            ContainerNotVerified: it is not what stays.
        """
        ...


class _Base:
    """What all kinds share."""

    rows: frozenset[int] | None = None
    followed = False

    def __init__(self, work: Work, stream: IO[bytes], limits: Limits, cut: Cut) -> None:
        self.work = work
        self.stream = stream
        self.limits = limits
        self.cut = cut

    def check_audit(self, audited: KeptItems) -> tuple[int, str]:
        return check(self.work, audited, self.limits), digest_of(self.stream)


class _Spliced(_Base):
    """Made of pieces of the original: a copy, a tar, a zip."""

    followed = True

    def __init__(
        self,
        work: Work,
        stream: IO[bytes],
        limits: Limits,
        cut: Cut,
        splice: Splice,
        members: list[TarMember] | None = None,
    ) -> None:
        super().__init__(work, stream, limits, cut)
        self._splice = splice
        self._members = members

    def check_audit(self, audited: KeptItems) -> tuple[int, str]:
        if self._members is not None:
            return check_tar(self.work, self.stream, self._members, audited, self.limits)
        return super().check_audit(audited)

    def write(self, into: IO[bytes]) -> None:
        self._splice.write(self.stream, into)

    def check_written(self, written: IO[bytes]) -> str:
        return self._splice.compare(self.stream, written, self.work.name)


class _Packed(_Base):
    """A packed tar: its pieces are those of what was unpacked."""

    def __init__(
        self,
        work: Work,
        stream: IO[bytes],
        limits: Limits,
        cut: Cut,
        unpacked: tuple[IO[bytes], Splice],
    ) -> None:
        super().__init__(work, stream, limits, cut)
        self._plain, self._splice = unpacked
        self._digest = ""

    def write(self, into: IO[bytes]) -> None:
        self.stream.seek(0)
        head = self.stream.read(HEAD_BYTES)
        self._digest = pack(self._splice.chunks(self._plain), into, head)
        into.flush()

    def check_written(self, written: IO[bytes]) -> str:
        check_packed(written, self.work.name, self._digest)
        return digest_of(written)


class _Table(_Base):
    """A table in Parquet or Arrow."""

    def __init__(
        self,
        work: Work,
        stream: IO[bytes],
        limits: Limits,
        found: TableCut,
        how: tuple[_TableWork, _TableWork],
    ) -> None:
        super().__init__(work, stream, limits, found.cut)
        self.rows = self._gone = found.rows
        self._write, self._check = how

    def write(self, into: IO[bytes]) -> None:
        self._write(self.stream, into, self._gone, self.work.name)
        into.flush()

    def check_written(self, written: IO[bytes]) -> str:
        self._check(self.stream, written, self._gone, self.work.name)
        return digest_of(written)


class _Listing(_Base):
    """A listing of a folder's files, in CSV or JSON lines."""

    def __init__(self, work: Work, stream: IO[bytes], limits: Limits) -> None:
        self._names = {name for _, some in work.listed for name in some}
        self._name = work.url.rpartition("/")[2]
        gone = sum(line is None for line in listing.lines_kept(stream, self._names, self._name))
        cut = Cut(frozenset(), Counter({"listed-row": gone}))
        super().__init__(work, stream, limits, cut)

    def _kept(self) -> Iterator[bytes]:
        lines = listing.lines_kept(self.stream, self._names, self._name)
        return (line for line in lines if line is not None)

    def write(self, into: IO[bytes]) -> None:
        into.writelines(self._kept())
        into.flush()

    def check_written(self, written: IO[bytes]) -> str:
        written.seek(0)
        for line in self._kept():
            if written.read(len(line)) != line:
                raise ContainerNotVerified(name=self.work.name, reason="a line differs")
        if written.read(1):
            raise ContainerNotVerified(name=self.work.name, reason="of another length")
        return digest_of(written)


def copying(work: Work, stream: IO[bytes], limits: Limits) -> Rewriting:
    """A copy: nothing goes."""
    splice = Splice()
    splice.keep(0, stream.seek(0, 2))
    members = None
    stream.seek(0)
    if is_tar(stream.read(HEAD_BYTES)):
        with suppress(ContainerUnsupported):  # the audit said so, and the copy is as damaged
            members = members_of(stream, work.name)
    return _Spliced(work, stream, limits, Cut(frozenset()), splice, members)


@contextmanager
def rewriting(work: Work, stream: IO[bytes], limits: Limits, spool: Path) -> Iterator[Rewriting]:
    """Find what goes from a file, and yield how it is written without.

    Args:
        work: the file.
        stream: of it, on this machine.
        limits: on unpacking.
        spool: a private folder for what is unpacked.

    Raises:
        ContainerUnsupported: such a file cannot be rewritten.
    """
    stream.seek(0)
    head = stream.read(HEAD_BYTES)
    kind = kind_of(head) or _by_shard(work)
    base = work.url.rpartition("/")[2]
    if not work.changes:
        yield copying(work, stream, limits)
    elif not work.doomed and base in LISTINGS and not base.endswith(".parquet"):
        yield _Listing(work, stream, limits)
    elif kind is Kind.TAR:
        members = members_of(stream, work.name)
        yield _Spliced(work, stream, limits, *cut_tar(stream, members, work.doomed), members)
    elif kind is Kind.PACKED:
        with spooled(spool) as plain:
            limit = max(limits.max_expansion * work.weight, limits.expansion_floor_bytes)
            unpack(stream, plain, work.name, limit, spool)
            plain.seek(0)
            if not is_tar(plain.read(HEAD_BYTES)):
                reason = f"a single file packed by {packing_of(head)}: take it out by hand"
                raise ContainerUnsupported(name=work.name, reason=reason)
            members = members_of(plain, work.name)
            cut, splice = cut_tar(plain, members, work.doomed)
            yield _Packed(work, stream, limits, cut, (plain, splice))
    elif kind is Kind.ZIP:
        yield _Spliced(work, stream, limits, *cut_zip(stream, work.doomed, work.name))
    elif kind is Kind.PARQUET:
        found = parquet.cut_parquet(stream, work, limits)
        how = parquet.write_parquet, parquet.check_parquet
        yield _Table(work, stream, limits, found, how)
    elif kind is Kind.ARROW:
        found = arrow.cut_arrow(stream, work, limits)
        yield _Table(work, stream, limits, found, (arrow.write_arrow, arrow.check_arrow))
    elif kind is Kind.RECORDS:
        reason = "TFRecord: write the records anew without those that matches.parquet names"
        raise ContainerUnsupported(name=work.name, reason=reason)
    else:
        reason = "a list in text: --manifest writes what to drop from it"
        raise ContainerUnsupported(name=work.name, reason=reason)


def _by_shard(work: Work) -> Kind | None:
    try:
        return Kind(work.kind)
    except ValueError:
        return None
