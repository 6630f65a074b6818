"""The store, its banks and entries, its log."""

from __future__ import annotations

from egide.errors.base import Conflict, Failed, Invalid, Missing, Unavailable


class StoreError(Unavailable):
    """The store {store} cannot be used: {reason}."""

    code = "store-error"
    told = "The store of the register cannot be used at present: try again in some seconds."
    page_words = "busy"


class StoreMissing(StoreError):
    """No store at {store}: create one with `egide bank create NAME`, or name another with --store."""

    code = "store-missing"


class StoreUnreadable(StoreError):
    """The store {store} cannot be read: {reason}. Check the path, its permissions and the file."""

    code = "store-unreadable"


class StoreLocked(StoreError):
    """The store {store} is locked by another process: wait for it to finish, then try again."""

    code = "store-locked"


class StoreReadOnly(StoreError):
    """The store {store} is read-only here: check the permissions of the file and its folder."""

    code = "store-read-only"


class StoreFull(StoreError):
    """No space left for the store {store} ({reason}): make room, then try again; nothing was changed."""

    code = "store-full"


class StoreTooOld(StoreError):
    """The store {store} has schema {found}; this Egide needs {expected}: run `egide store upgrade`."""

    code = "store-too-old"


class StoreTooNew(StoreError):
    """The store {store} was written by a newer Egide (schema {found}): upgrade Egide."""

    code = "store-too-new"


class StoreForeign(StoreError):
    """The database {store} holds other tables and no Egide store: name another with --store."""

    code = "store-foreign"


class StoreNotEmpty(StoreError):
    """The database {store} is not empty: restore into an empty one, which Egide fills by itself."""

    code = "store-not-empty"


class PostgresqlUnavailable(StoreError):
    """A store on PostgreSQL needs an extra: pip install 'egide[postgresql]'."""

    code = "postgresql-unavailable"


class BackupExists(StoreError):
    """{name} exists already, and a backup replaces no file: name another."""

    code = "backup-exists"


class BackupUnwritable(StoreError):
    """Cannot write the backup to {name}: {reason}. Nothing is left of it."""

    code = "backup-unwritable"


class BackupIncomplete(StoreError):
    """The copy of {store} is not complete ({reason}), and was undone: try again. If it stays so, report it."""

    code = "backup-incomplete"


class BankMissing(Missing):
    """No bank {bank}: list banks with `egide bank list`, or create it with `egide bank create`."""

    code = "bank-missing"


class BankExists(Conflict):
    """A bank {bank} exists already: choose another name."""

    code = "bank-exists"


class BankInUse(Conflict):
    """The bank {bank} cannot be deleted: it holds {reason}."""

    code = "bank-in-use"


class BankNotKept(Conflict):
    """The bank {bank} is not renamed: only banks that programs keep through HMA are."""

    code = "bank-not-kept"


class BankNameInvalid(Invalid):
    """{bank} cannot be a bank's name: use 1 to 64 letters, digits, dots, hyphens or underscores."""

    code = "bank-name-invalid"


class RadiusInvalid(Invalid):
    """A radius of {radius} bits is not possible: choose 0 to 63."""

    code = "radius-invalid"


class EntryMissing(Missing):
    """No entry {entry} in bank {bank}: list entries with `egide bank entries {bank}`."""

    code = "entry-missing"


class StateConflict(Conflict):
    """Entry {entry} is {state}, so it cannot be {action}."""

    code = "state-conflict"


class LogBroken(Failed):
    """The log was tampered with at record {seq}: {reason}."""

    code = "log-broken"
