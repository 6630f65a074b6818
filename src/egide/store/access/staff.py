"""Accounts of a helpline's workers.

Of a password the store keeps only the Argon2id hash. The secret of the one-time codes is stored in
plain because checking needs it, as signing needs a webhook's secret.
"""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any

import sqlalchemy as sa

from egide.domain.names import NAME, check_name, folded
from egide.domain.staff import Credentials, Staff
from egide.domain.times import moment
from egide.errors import StaffExists, StaffMissing
from egide.security.one_time_codes import STEPS_APART
from egide.store.access.sessions import end_all
from egide.store.log import log
from egide.store.tables.cases import staff

if TYPE_CHECKING:
    from egide.store.database.interface import Database

_COLUMNS = (staff.c.id, staff.c.name, staff.c.created, staff.c.disabled)


class StaffAccounts:
    """The accounts of a store. Changes are logged under `actor`."""

    def __init__(self, database: Database, actor: str) -> None:
        self._database = database
        self._actor = actor

    def create(self, name: str, password_hash: str, totp_secret: bytes) -> Staff:
        """Make an account.

        Args:
            name: to sign in with; stored in small letters.
            password_hash: from `egide.security.passwords`.
            totp_secret: for the app that makes codes.

        Raises:
            NameInvalid, StaffExists: the name is invalid or taken.
        """
        name = folded(name)
        check_name(name)
        with self._database.write() as connection:
            if _find(connection, staff.c.name == name) is not None:
                raise StaffExists(staff=name)
            at = int(time.time())
            connection.execute(
                sa.insert(staff).values(
                    name=name, password_hash=password_hash, totp_secret=totp_secret, created=at
                )
            )
            self._log(connection, at, "staff-add", name)
            return _one(connection, name)

    def credentials(self, name: str) -> Credentials | None:
        """The credentials of an account, or None if no account has that name."""
        if not NAME.fullmatch(folded(name)):  # PostgreSQL takes no NUL
            return None
        with self._database.read() as connection:
            row = connection.execute(
                sa.select(
                    *_COLUMNS, staff.c.password_hash, staff.c.totp_secret, staff.c.last_step
                ).where(staff.c.name == folded(name))
            ).one_or_none()
        if row is None:
            return None
        return Credentials(_staff_of(row), row.password_hash, bytes(row.totp_secret), row.last_step)

    def find(self, staff_id: int) -> Staff | None:
        """The member with that number, or None if there is no such account (any more)."""
        with self._database.read() as connection:
            return _find(connection, staff.c.id == staff_id)

    def list(self) -> list[Staff]:
        """All accounts, including disabled ones, oldest first."""
        with self._database.read() as connection:
            rows = connection.execute(sa.select(*_COLUMNS).order_by(staff.c.id))
            return [_staff_of(row) for row in rows]

    def signed_in(self, checked: Credentials, step: int) -> bool:
        """Record a sign-in with a code, if the code may still be used.

        Args:
            checked: the credentials that the password and code were checked against.
            step: of the code.

        Returns:
            False if another sign-in has used that code or a later one, or the account was
            disabled, renewed or removed meanwhile; nothing is written then.
        """
        with self._database.write() as connection:
            taken = connection.execute(
                sa.update(staff)
                .where(staff.c.id == checked.staff.id)
                .where(staff.c.password_hash == checked.password_hash)
                .where(staff.c.disabled.is_(None))
                .where(
                    sa.or_(
                        staff.c.last_step.is_(None),
                        staff.c.last_step < step,
                        # As in `accepted_step`: the clock was ahead then.
                        staff.c.last_step > step + 2 * STEPS_APART,
                    )
                )
                .values(last_step=step)
            ).rowcount
            if taken:
                log.append(
                    connection,
                    at=int(time.time()),
                    actor=checked.staff.actor,
                    action="staff-sign-in",
                )
        return bool(taken)

    def stands(self, staff_id: int) -> bool:
        """Whether an account is open and was not renewed since its last sign-in."""
        with self._database.read() as connection:
            open_ = sa.select(staff.c.id).where(
                staff.c.id == staff_id, staff.c.disabled.is_(None), staff.c.last_step.is_not(None)
            )
            return connection.execute(open_).scalar() is not None

    def reset(self, name: str, password_hash: str, totp_secret: bytes) -> Staff:
        """Give an account a new password and secret, and end its sessions.

        A disabled account stays disabled.

        Raises:
            StaffMissing: no account has that name.
        """
        return self._change(
            name,
            "staff-reset",
            {"password_hash": password_hash, "totp_secret": totp_secret, "last_step": None},
        )

    def disable(self, name: str) -> Staff:
        """Disable an account and end its sessions; a disabled account stays as it is.

        Raises:
            StaffMissing: no account has that name.
        """
        return self._change(name, "staff-disable", {"disabled": int(time.time())}, only=False)

    def enable(self, name: str) -> Staff:
        """Enable a disabled account; an open account stays as it is.

        Raises:
            StaffMissing: no account has that name.
        """
        return self._change(name, "staff-enable", {"disabled": None}, only=True)

    def remove(self, name: str) -> Staff:
        """Delete an account and its sessions; its log records stay.

        Returns:
            the account before its removal.

        Raises:
            StaffMissing: no account has that name.
        """
        with self._database.write() as connection:
            member = _one(connection, name)
            end_all(connection, "staff", member.id)
            connection.execute(sa.delete(staff).where(staff.c.id == member.id))
            self._log(connection, int(time.time()), "staff-remove", member.name)
        return member

    def _change(
        self, name: str, action: str, values: dict[str, Any], *, only: bool | None = None
    ) -> Staff:
        """Change an account and end its sessions; `only` if it is disabled, or is not."""
        with self._database.write() as connection:
            member = _one(connection, name)
            if only is not None and only is not (member.disabled is not None):
                return member
            connection.execute(sa.update(staff).where(staff.c.id == member.id).values(**values))
            end_all(connection, "staff", member.id)
            self._log(connection, int(time.time()), action, member.name)
            return _one(connection, name)

    def _log(self, connection: sa.Connection, at: int, action: str, name: str) -> None:
        log.append(connection, at=at, actor=self._actor, action=action, detail={"staff": name})


def _find(connection: sa.Connection, which: sa.ColumnElement[bool]) -> Staff | None:
    row = connection.execute(sa.select(*_COLUMNS).where(which)).one_or_none()
    return None if row is None else _staff_of(row)


def _one(connection: sa.Connection, name: str) -> Staff:
    name = folded(name)
    found = _find(connection, staff.c.name == name) if NAME.fullmatch(name) else None
    if found is None:
        raise StaffMissing(staff=name)
    return found


def _staff_of(row: Any) -> Staff:
    return Staff(
        id=row.id,
        name=row.name,
        created=moment(row.created),
        disabled=None if row.disabled is None else moment(row.disabled),
    )
