"""Proofs of an audit: the key that signs them, making one, and what does not hold in one."""

from __future__ import annotations

from egide.errors.base import Exit, Failed, Missing


class SigningUnavailable(Failed):
    """Signing and verifying proofs needs an extra: pip install 'egide[proof]'."""

    code = "signing-unavailable"


class SigningKeyInvalid(Failed):
    """The key in {name} cannot be used: {reason}."""

    code = "signing-key-invalid"


class SigningKeyLocked(SigningKeyInvalid):
    """The key in {name} has a passphrase: name a file with --passphrase-file, set EGIDE_SIGNING_PASSPHRASE, or run the command on a terminal, which asks for it."""

    code = "signing-key-locked"


class SigningKeyExists(Failed):
    """{name} exists already, and a signing key is never replaced: name another file."""

    code = "signing-key-exists"


class AttestationExists(Failed):
    """{name} exists already, and a proof replaces no file: name another."""

    code = "attestation-exists"


class AttestationRefused(Failed):
    """These audits cannot be attested: {reason}."""

    code = "attestation-refused"


class AttestationUnreadable(Failed):
    """{name} is not a proof that can be read: {reason}."""

    code = "attestation-unreadable"


class AttestationVersion(AttestationUnreadable):
    """{name} has proof schema {found}; this Egide reads {expected}: verify it with the version of Egide that made it, or a later one."""

    code = "attestation-version"


class ItemNotIncluded(Missing):
    """The audited set has no file with the bytes of {name}."""

    code = "item-not-included"


class Mismatch(Failed):
    """The proof does not hold: {reason}."""

    code = "proof-mismatch"
    exit = Exit.FOUND  # the check was done, and this is its answer


class SignatureUnchecked(Mismatch):
    """The signature was not checked against a known key: name the signer's public key with --key."""

    code = "signature-unchecked"
    exit = Exit.FAILED  # anybody may have signed it


class SignatureMissing(Mismatch):
    """No signature of the proof is by the key {key}."""

    code = "signature-missing"


class SignatureWrong(Mismatch):
    """The signature by the key {key} does not fit the content: the proof was changed after it was signed."""

    code = "signature-wrong"


class StatementWrong(Mismatch):
    """The signed content is not a proof of an audit: {reason}."""

    code = "statement-wrong"


class CountsContradict(Mismatch):
    """The proof contradicts itself: {reason}."""

    code = "counts-contradict"


class FileDiffers(Mismatch):
    """{name} is not the file that was attested: its SHA-256 differs."""

    code = "file-differs"


class FileNotAttested(Mismatch):
    """The proof says nothing about {name}: it was not there when the audit was attested."""

    code = "file-not-attested"


class AuditDiffers(Mismatch):
    """{name} is not the audit that was attested: {field} differs."""

    code = "audit-differs"


class DatasetDiffers(Mismatch):
    """The dataset is not the one that was attested: {reason}."""

    code = "dataset-differs"


class InclusionWrong(Mismatch):
    """{name} does not show that the file stood in the audited set: {reason}."""

    code = "inclusion-wrong"


class PropertyMissing(Mismatch):
    """The proof does not have the property {property}."""

    code = "property-missing"
