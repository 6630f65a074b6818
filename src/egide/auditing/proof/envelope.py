"""The signed envelope of a proof: DSSE 1.0, with Ed25519 signatures.

Source: secure-systems-lab/dsse, protocol.md and envelope.md.
"""

from __future__ import annotations

import base64
import binascii
import json
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Self

from egide.auditing.proof.strict import NotStrict, load_strict
from egide.errors import Mismatch, SignatureMissing, SignatureWrong

if TYPE_CHECKING:
    from egide.security.signing import PublicKey, SigningKey

PAYLOAD_TYPE = "application/vnd.in-toto+json"
_SIGNATURE_BYTES = 64
_MAX_SIGNATURES = 16
_URL_SAFE = str.maketrans("-_", "+/")


@dataclass(frozen=True, slots=True)
class Signature:
    """One signature; `key_id` is a hint that nothing vouches for, and may be empty."""

    key_id: str
    value: bytes


@dataclass(frozen=True, slots=True)
class Envelope:
    """Signed bytes, with their type."""

    payload: bytes
    payload_type: str
    signatures: tuple[Signature, ...]

    @classmethod
    def sign(cls, payload: bytes, key: SigningKey) -> Self:
        """Sign a statement."""
        value = key.sign(pre_authentication_encoding(PAYLOAD_TYPE, payload))
        return cls(payload, PAYLOAD_TYPE, (Signature(key.public.key_id, value),))

    @classmethod
    def parse(cls, data: bytes) -> Self:
        """Read an envelope from its JSON.

        Raises:
            NotStrict: it is not an envelope; the message says why.
        """
        values = load_strict(data)
        _refuse_others(values, {"payload", "payloadType", "signatures"})
        payload_type, signatures = values.get("payloadType"), values.get("signatures")
        if not isinstance(payload_type, str):
            raise NotStrict("no-field", field="payloadType")
        if payload_type != PAYLOAD_TYPE:
            raise NotStrict("other-value", field="payloadType", expected=PAYLOAD_TYPE)
        if not isinstance(signatures, list) or len(signatures) > _MAX_SIGNATURES:
            raise NotStrict("no-signatures", limit=_MAX_SIGNATURES)
        payload = _decoded(values.get("payload"), "payload")
        return cls(payload, payload_type, tuple(_signature(each) for each in signatures))

    def to_json(self) -> dict[str, Any]:
        """Return the envelope as plain values."""
        return {
            "payload": base64.b64encode(self.payload).decode("ascii"),
            "payloadType": self.payload_type,
            "signatures": [
                {"keyid": each.key_id, "sig": base64.b64encode(each.value).decode("ascii")}
                for each in self.signatures
            ],
        }

    def serialize(self) -> bytes:
        """Return the JSON of the envelope."""
        return json.dumps(self.to_json(), indent=1).encode("ascii") + b"\n"

    def check(self, key: PublicKey) -> Mismatch | None:
        """Check that a key signed the payload; None if it did.

        A signature that names another key is not tried.
        """
        theirs = [each for each in self.signatures if each.key_id in {"", key.key_id}]
        message = pre_authentication_encoding(self.payload_type, self.payload)
        if any(key.signed(each.value, message) for each in theirs):
            return None
        kind = SignatureWrong if theirs else SignatureMissing
        return kind(key=key.key_id)


def pre_authentication_encoding(payload_type: str, payload: bytes) -> bytes:
    """Return the bytes that are signed: the payload with its type, each with its length."""
    kind = payload_type.encode()
    return b"DSSEv1 %d %b %d %b" % (len(kind), kind, len(payload), payload)


def _signature(values: Any) -> Signature:
    if not isinstance(values, dict) or not isinstance(key_id := values.get("keyid", ""), str):
        raise NotStrict("no-signature")
    _refuse_others(values, {"keyid", "sig"})
    value = _decoded(values.get("sig"), "sig")
    if len(value) != _SIGNATURE_BYTES:
        raise NotStrict("other-signature")
    return Signature(key_id, value)


def _refuse_others(values: dict[str, Any], known: set[str]) -> None:
    """Refuse what no signature covers."""
    if not values.keys() <= known:
        raise NotStrict("unsigned-fields")


def _decoded(text: Any, what: str) -> bytes:
    """Decode standard or URL-safe Base64 that has exactly one spelling."""
    if not isinstance(text, str):
        raise NotStrict("no-field", field=what)
    standard = text if "+" in text or "/" in text else text.translate(_URL_SAFE)
    try:
        data = base64.b64decode(standard, validate=True)
    except (binascii.Error, ValueError) as error:
        raise NotStrict("not-base64", field=what) from error
    if base64.b64encode(data).decode("ascii") != standard:
        raise NotStrict("not-base64", field=what)
    return data
