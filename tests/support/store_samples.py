"""Registrations of nothing in particular, each its own."""

import shutil
import sqlite3
from contextlib import closing
from dataclasses import replace
from hashlib import sha256
from pathlib import Path
from uuid import uuid4

import sqlalchemy as sa

from egide.domain.model import AnchoredHashes, Registration
from egide.domain.video import Track


def code(number: int) -> bytes:
    """32 bytes that look like a PDQ or a SHA-256."""
    return sha256(b"%d" % number).digest()


def region_code(number: int) -> bytes:
    """32 bytes of which half of the bits are ones, as of every hash of a region."""
    half = sha256(b"region %d" % number).digest()[:16]
    return half + bytes(255 - byte for byte in half)


def anchored(number: int, count: int = 3) -> AnchoredHashes:
    """The anchored hashes of picture `number`."""
    return AnchoredHashes.of(region_code(100 * number + each) for each in range(count))


def picture(number: int, **fields: object) -> Registration:
    """A registration with all fingerprints; `fields` are of `Registration`."""
    one = Registration(
        pdqs=(code(number), code(-number - 1)),
        sha256=code(10**6 + number),
        md5=code(2 * 10**6 + number)[:16],
        sha1=code(3 * 10**6 + number)[:20],
        url_sha256=code(4 * 10**6 + number),
        url_md5=code(5 * 10**6 + number)[:16],
        quality=90,
        note=f"note {number}",
        anchored=anchored(number),
    )
    return replace(one, **fields)  # type: ignore[arg-type]


def film(number: int, frames: int = 5) -> Registration:
    """A registered video: the first code comes again at its end."""
    codes = [code(1000 * number + at) for at in range(frames - 1)]
    starts = tuple(range(0, 500 * frames, 500))
    return Registration(
        pdqs=(*codes, codes[0]),
        sha256=code(6 * 10**6 + number),
        video=Track(starts, tuple(start + 500 for start in starts), 500 * frames + 1000),
    )


def copy_store(source: Path, target: Path) -> None:
    """Copy the SQLite file of a store that is closed; the copy has an id of its own."""
    shutil.copy(source, target)
    with closing(sqlite3.connect(target, isolation_level=None)) as connection:
        connection.execute("UPDATE store_meta SET store_id = ?", (str(uuid4()),))


def migrated_to(url: str, revision: str) -> None:
    """Make the tables of an older version in an empty database."""
    from alembic import command
    from alembic.config import Config

    engine = sa.create_engine(url)
    with engine.begin() as connection:
        config = Config()
        config.set_main_option("script_location", "egide.store:migrations")
        config.attributes["connection"] = connection
        command.upgrade(config, revision)
    engine.dispose()
