"""Every error that Egide raises on purpose.

One root, `EgideError`. Each subclass has a stable `code`, and its docstring is its message: the
fields in braces are the keyword arguments of the constructor. Messages name the thing that is
wrong and the remedy. They are shown to the person at the terminal and stored in audit reports,
never written to a log. `docs/reference/errors.md` lists all codes; a test keeps it complete.
"""

from __future__ import annotations

from typing import Any, ClassVar


class EgideError(Exception):
    """Something went wrong: {reason}."""

    code: ClassVar[str] = "error"

    def __init__(self, **fields: object) -> None:
        self.fields = fields
        super().__init__((self.__doc__ or "").strip().format(**fields))

    def __reduce__(self) -> tuple[Any, ...]:
        """Pickle by fields, so that an error crosses from a worker process unchanged."""
        return _rebuild, (type(self), self.fields)

    @property
    def message(self) -> str:
        """The sentence for the person who reads it."""
        return str(self)


def _rebuild(kind: type[EgideError], fields: dict[str, object]) -> EgideError:
    return kind(**fields)


class UsageError(EgideError):
    """{reason}."""

    code = "usage"


class ConfirmationNeeded(EgideError):
    """This would erase {what}, for good. Nothing was erased: add --yes to do it."""

    code = "confirmation-needed"


# --- the machine: what every command needs ----------------------------------------------------


class TooManyFiles(EgideError):
    """No more files can be opened: raise the limit with `ulimit -n 1024`, or use fewer --workers, then run the command again."""

    code = "too-many-files"


class TooManyProcesses(EgideError):
    """No more processes or threads can be started: raise the limit with `ulimit -u`, or use fewer --workers, then run the command again."""

    code = "too-many-processes"


class OutOfMemory(EgideError):
    """There is not enough memory: raise the limit with `ulimit -v`, close other programs, or use fewer --workers, then run the command again."""

    code = "out-of-memory"


# --- one item: a picture that cannot be fingerprinted costs a row, never the run -------------


class ItemError(EgideError):
    """Cannot use {name}: {reason}."""

    code = "item-error"


class FileMissing(ItemError):
    """No file {name}: check the path."""

    code = "file-missing"


class FileUnreadable(ItemError):
    """Cannot read {name}: {reason}. Check its permissions and the disk."""

    code = "file-unreadable"


class FileEmpty(ItemError):
    """{name} is empty (0 bytes): fetch or copy it again."""

    code = "file-empty"


class FileTooLarge(ItemError):
    """{name} has {size} bytes, over the limit of {limit}: raise EGIDE_MAX_FILE_BYTES to read it."""

    code = "file-too-large"


class NotAnImage(ItemError):
    """{name} is not an image in a known format."""

    code = "not-an-image"


class FormatUnsupported(ItemError):
    """{name} is {format}, which needs an extra: pip install 'egide[{extra}]'."""

    code = "format-unsupported"


class DecodeFailed(ItemError):
    """Cannot decode {name}: {reason}. The file is damaged; fetch or save it again."""

    code = "decode-failed"


class ImageTruncated(ItemError):
    """{name} ends before its picture does: fetch or copy it again."""

    code = "image-truncated"


class ImageTooLarge(ItemError):
    """{name} is {width}×{height} pixels, over the limit of {limit}: raise EGIDE_MAX_PIXELS to read it."""

    code = "image-too-large"


class ImageTooSmall(ItemError):
    """{name} is {width}×{height} pixels; a fingerprint needs at least 5×5."""

    code = "image-too-small"


class ValueMissing(ItemError):
    """{name} has no image bytes: {reason}."""

    code = "value-missing"


class LinkNotFollowed(ItemError):
    """{name} is a link, which is not followed: name its target as a source of its own."""

    code = "link-not-followed"


class ArchiveNotOpened(ItemError):
    """{name} is an archive inside an archive: unpack it, then name it as a source of its own."""

    code = "archive-not-opened"


class MemberEncrypted(ItemError):
    """{name} is encrypted: unpack it with its password first."""

    code = "member-encrypted"


class DecoderCrashed(ItemError):
    """The decoder crashed on {name}: the file is damaged or hostile; examine it in isolation."""

    code = "decoder-crashed"


class DecodeTimeout(ItemError):
    """Decoding {name} took over {limit_s} s: raise EGIDE_ITEM_TIMEOUT_S if the file is sound."""

    code = "decode-timeout"


# --- a source of items: a folder, an archive, a table ---------------------------------------


class SourceError(EgideError):
    """Cannot read {name}: {reason}."""

    code = "source-error"


class SourceMissing(SourceError):
    """No source {name}: check the path or address."""

    code = "source-missing"


class SourceUnreadable(SourceError):
    """Cannot read {name}: {reason}."""

    code = "source-unreadable"


class SourceUnsupported(SourceError):
    """{name} is no folder, image, tar, tar.gz, zip, Parquet file or hash list: {reason}."""

    code = "source-unsupported"


class SourceTruncated(SourceError):
    """{name} ends too early or is damaged after {items} items: {reason}. Fetch or copy it again."""

    code = "source-truncated"


class SourceExpands(SourceError):
    """{name} is read no further after {items} items: it expands to over {limit} bytes, far beyond its size. Raise EGIDE_MAX_EXPANSION if it is sound."""

    code = "source-expands"


class ColumnMissing(SourceError):
    """{name} has no image column{wanted}; its columns are {columns}. Name one with --column."""

    code = "column-missing"


class ProtocolUnsupported(SourceError):
    """{name} needs an extra to be read: pip install 'egide[{extra}]'."""

    code = "protocol-unsupported"


# --- the store --------------------------------------------------------------------------------


class StoreError(EgideError):
    """The store {store} cannot be used: {reason}."""

    code = "store-error"


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
    """The database {store} is not empty: restore into a new one, which Egide fills by itself."""

    code = "store-not-empty"


class PostgresqlUnavailable(StoreError):
    """A store on PostgreSQL needs an extra: pip install 'egide[postgresql]'."""

    code = "postgresql-unavailable"


class BackupExists(StoreError):
    """{name} exists already: a backup replaces no file. Name another."""

    code = "backup-exists"


class BackupUnwritable(StoreError):
    """Cannot write the backup to {name}: {reason}. Nothing is left of it."""

    code = "backup-unwritable"


class BackupIncomplete(StoreError):
    """The copy of {store} is not complete ({reason}): it was undone. Try again, and report it if it stays so."""

    code = "backup-incomplete"


class BankMissing(EgideError):
    """No bank {bank}: list banks with `egide bank list`, or create it with `egide bank create`."""

    code = "bank-missing"


class BankExists(EgideError):
    """A bank {bank} exists already: choose another name."""

    code = "bank-exists"


class BankNameInvalid(EgideError):
    """{bank} is no bank name: use 1 to 64 letters, digits, dots, hyphens or underscores."""

    code = "bank-name-invalid"


class RadiusInvalid(EgideError):
    """A radius of {radius} bits is not possible: choose 0 to 63."""

    code = "radius-invalid"


class EntryMissing(EgideError):
    """No entry {entry} in bank {bank}: list entries with `egide bank entries {bank}`."""

    code = "entry-missing"


class StateConflict(EgideError):
    """Entry {entry} is {state}, so it cannot be {action}."""

    code = "state-conflict"


# --- patches: keypoints and their key ---------------------------------------------------------


class PatchesError(EgideError):
    """Patches cannot be used: {reason}."""

    code = "patches-error"


class PatchesUnavailable(PatchesError):
    """Patches need an extra: pip install 'egide[patches]'."""

    code = "patches-unavailable"


class PatchKeyMissing(PatchesError):
    """No patch key: set EGIDE_PATCH_KEY or EGIDE_PATCH_KEY_FILE, or make one with `egide key patches`."""

    code = "patch-key-missing"


class PatchKeyInvalid(PatchesError):
    """The patch key in {name} cannot be used: {reason}."""

    code = "patch-key-invalid"


class PatchKeyWrong(PatchesError):
    """The patches in {store} were sealed with another patch key: set the one they were registered with, or, if it is lost, erase them with `egide bank drop-patches`."""

    code = "patch-key-wrong"


class PatchKeyExists(PatchesError):
    """{name} exists already: a patch key is never replaced, since what it sealed would be lost."""

    code = "patch-key-exists"


class PatchesDamaged(PatchesError):
    """The patches of entry {entry} are damaged: register its picture again with --patches."""

    code = "patches-damaged"


# --- hash lists -------------------------------------------------------------------------------


class LineError(ItemError):
    """Line {line}: {reason}."""

    code = "line-invalid"


class SchemaTooNew(EgideError):
    """{name} has hash-list schema {found}; this Egide reads up to {expected}: upgrade Egide."""

    code = "schema-too-new"


class HashInvalid(EgideError):
    """Not a {signal} value: expected {digits} hexadecimal digits."""

    code = "hash-invalid"


# --- snapshot and search --------------------------------------------------------------------


class SnapshotError(EgideError):
    """The search snapshot {name} cannot be used: {reason}."""

    code = "snapshot-error"


class SnapshotMissing(SnapshotError):
    """No search snapshot {name}: it is built from the store; run the command again."""

    code = "snapshot-missing"


class SnapshotDamaged(SnapshotError):
    """The search snapshot {name} is damaged: {reason}. Delete it; it is rebuilt from the store."""

    code = "snapshot-damaged"


class SnapshotVersion(SnapshotError):
    """The search snapshot {name} has format {found}; this Egide reads {expected}. Delete it."""

    code = "snapshot-version"


class SnapshotNotRemoved(SnapshotError):
    """Done, but the search snapshot {name} cannot be removed: {reason}. Delete it: it still holds erased fingerprints."""

    code = "snapshot-not-removed"


class SnapshotUnwritable(SnapshotError):
    """Cannot write the search snapshot {name}: {reason}. Name another folder with EGIDE_SNAPSHOT_DIR."""

    code = "snapshot-unwritable"


class NothingToCompare(EgideError):
    """Nothing was compared: {reason}. Enable a bank, name another, or register something first."""

    code = "nothing-to-compare"


# --- a served register ------------------------------------------------------------------------


class ServerUnavailable(EgideError):
    """Serving needs an extra: pip install 'egide[server]'."""

    code = "server-unavailable"


class Unauthorized(EgideError):
    """No valid key: send `Authorization: Bearer KEY` with a key that is neither expired nor revoked."""

    code = "unauthorized"


class Forbidden(EgideError):
    """A key of role {role} may not do this: it needs the permission {permission}."""

    code = "forbidden"


class RateLimited(EgideError):
    """Too many requests with this key: try again in {retry_after_s} s."""

    code = "rate-limited"


class QuotaExceeded(EgideError):
    """The key's quota of {quota} fingerprints a day is used up: try again in {retry_after_s} s, or ask for a greater one."""

    code = "quota-exceeded"


class KeyMissing(EgideError):
    """No key {key}: list keys with `egide key list`."""

    code = "key-missing"


class KeyExists(EgideError):
    """A key {key} exists already: choose another name."""

    code = "key-exists"


class NameInvalid(EgideError):
    """{name} cannot be a name: use 1 to 64 letters, digits, dots, hyphens or underscores, and neither `local` nor `egide`."""

    code = "name-invalid"


class ApprovalNeeded(EgideError):
    """{action} needs a second person: approval {approval} awaits a decision; repeat the request with it afterwards."""

    code = "approval-needed"


class ApprovalInvalid(EgideError):
    """Approval {approval} does not serve here: {reason}."""

    code = "approval-invalid"


class IdempotencyConflict(EgideError):
    """This idempotency key was used for another request: use a new one for each."""

    code = "idempotency-conflict"


class IdempotencyBusy(EgideError):
    """The first request with this idempotency key is still running: try again in a second."""

    code = "idempotency-busy"


class BodyTooLarge(EgideError):
    """The request's body is over the limit of {limit} bytes."""

    code = "body-too-large"


class BatchTooLarge(EgideError):
    """{count} items are over the limit of {limit} a request: send them in several."""

    code = "batch-too-large"


class RequestInvalid(EgideError):
    """The request cannot be understood: {reason}."""

    code = "request-invalid"


class PathMissing(EgideError):
    """There is nothing at this path: /openapi.json lists what there is."""

    code = "path-missing"


class MethodNotAllowed(EgideError):
    """This path does not take this method; it takes {allowed}."""

    code = "method-not-allowed"


class RequestTimeout(EgideError):
    """The request's body did not arrive within {limit_s} s."""

    code = "request-timeout"


class Overloaded(EgideError):
    """Too much is being done at once: try again in {retry_after_s} s."""

    code = "overloaded"


class NotReady(EgideError):
    """The register is not ready: {reason}."""

    code = "not-ready"


class RegisterStale(EgideError):
    """The register is stale: its store has been silent for {stalled_s} s. Ask again once it is back."""

    code = "register-stale"


class SettingInvalid(EgideError):
    """The setting {name} cannot be used: {reason}."""

    code = "setting-invalid"


class AddressUnusable(EgideError):
    """Nothing can listen at {host}:{port}: {reason}."""

    code = "address-unusable"


class AddressInUse(AddressUnusable):
    """Another process listens at {host}:{port}: end it, or choose another port with --port."""

    code = "address-in-use"


class AddressDenied(AddressUnusable):
    """This user may not listen at {host}:{port}: choose a port from 1024 on with --port, and put a proxy before it."""

    code = "address-denied"


class AddressUnknown(AddressUnusable):
    """This machine has no address {host}: name one of its own with --host, or 127.0.0.1."""

    code = "address-unknown"


# --- reaching out -----------------------------------------------------------------------------


class FetchError(EgideError):
    """Cannot fetch the URL: {reason}."""

    code = "fetch-failed"


class FetchDisabled(FetchError):
    """Fetching by URL is off: post the file, or allow hosts with EGIDE_FETCH_HOSTS."""

    code = "fetch-disabled"


class FetchRefused(FetchError):
    """The URL may not be fetched: {reason}."""

    code = "fetch-refused"


class FetchTooLarge(FetchError):
    """What the URL gives is over the limit of {limit} bytes."""

    code = "fetch-too-large"


class FetchTimeout(FetchError):
    """The URL did not answer in full within {limit_s} s."""

    code = "fetch-timeout"


class WebhookMissing(EgideError):
    """No webhook {webhook}: list webhooks with `egide webhook list`."""

    code = "webhook-missing"


class WebhookExists(EgideError):
    """A webhook {webhook} exists already: choose another name."""

    code = "webhook-exists"


class WebhookRefused(EgideError):
    """That cannot be a webhook's URL: {reason}."""

    code = "webhook-refused"


# --- partner registers ------------------------------------------------------------------------


class SyncError(EgideError):
    """Cannot follow {upstream}: {reason}."""

    code = "sync-failed"


class UpstreamMissing(EgideError):
    """No partner register {upstream}: list them with `egide sync list`."""

    code = "upstream-missing"


class UpstreamExists(EgideError):
    """A partner register {upstream} exists already: choose another name."""

    code = "upstream-exists"


class UpstreamChanged(SyncError):
    """{upstream} is another register than before: if that is right, remove it and add it again."""

    code = "upstream-changed"


class UpstreamBusy(SyncError):
    """{upstream} is being followed by another process at this moment: it goes on there."""

    code = "upstream-busy"


class UpstreamKeyInvalid(SyncError):
    """The key for {upstream} in {name} cannot be used: {reason}."""

    code = "upstream-key-invalid"


class UpstreamRefused(SyncError):
    """{upstream} refused the key ({status}): ask for a new one and put it into the key file."""

    code = "upstream-refused"


# --- the log ----------------------------------------------------------------------------------


class LogBroken(EgideError):
    """The log was tampered with at record {seq}: {reason}."""

    code = "log-broken"


# --- cases and pages --------------------------------------------------------------------------


class CaseNumberInvalid(EgideError):
    """That is no case number: it has 12 digits, and one of them is mistyped or missing."""

    code = "case-number-invalid"


class PinRefused(EgideError):
    """The PIN cannot be taken ({reason}): choose one of 6 to 64 characters that is hard to guess."""

    code = "pin-refused"


class CaseNotFound(EgideError):
    """Case number and PIN do not fit together: check both."""

    code = "case-not-found"


class TooManyAttempts(EgideError):
    """Too many attempts to sign in: try again in {retry_after_s} s."""

    code = "too-many-attempts"


class CaseEnded(EgideError):
    """The case has ended ({state}): open a new one."""

    code = "case-ended"


class CaseFull(EgideError):
    """A case holds at most {limit} images: open another one for the rest."""

    code = "case-full"


class CaseChanged(EgideError):
    """Another case was opened in another window meanwhile: sign in to this one again."""

    code = "case-changed"


class ImageMissing(EgideError):
    """The case has no such image: open the case again to see those that it has."""

    code = "image-missing"


class SubmissionConflict(EgideError):
    """This was sent before with other content or another PIN: begin again with a new form."""

    code = "submission-conflict"


class ProofInvalid(EgideError):
    """The proof of work is not right: open the form again."""

    code = "proof-invalid"


class ProofExpired(EgideError):
    """The proof of work is too old: open the form again."""

    code = "proof-expired"


class FormExpired(EgideError):
    """The form was open for too long, or in another window: nothing was changed; open it again."""

    code = "form-expired"


class SignInNeeded(EgideError):
    """This needs somebody who has signed in."""

    code = "sign-in-needed"


class StaffMissing(EgideError):
    """No account {staff}: list accounts with `egide staff list`."""

    code = "staff-missing"


class StaffExists(EgideError):
    """An account {staff} exists already: choose another name."""

    code = "staff-exists"


class StaffRefused(EgideError):
    """Name, password and code do not fit together: check them; a code works once, for half a minute."""

    code = "staff-refused"


# --- audit ------------------------------------------------------------------------------------


class AuditError(EgideError):
    """The audit stopped: {reason}."""

    code = "audit-error"


class OutputUnwritable(AuditError):
    """Cannot write to {name}: {reason}. Free space or fix permissions, then run the same command again to go on."""

    code = "output-unwritable"


class OutputUnreadable(AuditError):
    """Cannot read {name}: {reason}. Run the audit again with --fresh to replace it."""

    code = "output-unreadable"


class OutputMismatch(AuditError):
    """{name} holds another audit ({reason}): choose another --out, or add --fresh to replace it."""

    code = "output-mismatch"


class OutputBusy(AuditError):
    """Another audit is writing to {name}: wait for it, or choose another --out."""

    code = "output-busy"


class WorkerFailed(AuditError):
    """A worker stopped while reading {name}: {reason}."""

    code = "worker-failed"


class Unexpected(EgideError):
    """The command stopped at something unexpected: {reason}. If it stays so, report it."""

    code = "unexpected"


class Interrupted(EgideError):
    """Interrupted: {remedy}."""

    code = "interrupted"
