"""`egide key signing`: the key that signs proofs; and how its passphrase is asked for."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from egide.cli.terminal import JsonOption, ask_secret, examples, print_json, refuse, say, warn
from egide.errors import SigningKeyInvalid, UsageError

if TYPE_CHECKING:
    from egide.security.signing import PublicKey, SigningKey

PassphraseFileOption = Annotated[
    Path | None,
    typer.Option(
        "--passphrase-file",
        metavar="FILE",
        help="Holds the key's passphrase; by default EGIDE_SIGNING_PASSPHRASE, or it is asked for.",
    ),
]


def add_to(app: typer.Typer) -> None:
    """Register the command among those for keys."""
    app.command(
        "signing",
        epilog=examples(
            "egide key signing --out signing.key > signing.pub",
            "egide key signing --out signing.key --passphrase > signing.pub",
            "egide key signing --public-of signing.key > signing.pub",
        ),
    )(signing)


def signing(
    out: Annotated[
        Path | None,
        typer.Option("--out", metavar="FILE", help="Write the new private key here."),
    ] = None,
    public_of: Annotated[
        Path | None,
        typer.Option(
            "--public-of", metavar="FILE", help="Make no key: print the public key of this one."
        ),
    ] = None,
    passphrase: Annotated[
        bool, typer.Option("--passphrase", help="Ask for a passphrase that encrypts the new key.")
    ] = False,
    passphrase_file: PassphraseFileOption = None,
    json: JsonOption = False,
) -> None:
    """Make the key that signs proofs of audits, and print its public half.

    The private key is a new PEM file that only you can read, as `openssl genpkey -algorithm
    ed25519` makes one; Egide uses those too. The public key goes to standard output: publish it
    where people know that it is yours. Nothing else tells them whose signature it is.
    """
    from egide.security.signing import SigningKey

    if (out is None) == (public_of is None):
        raise UsageError(reason="name a new file with --out, or a key with --public-of")
    if public_of is not None:
        refuse({"--passphrase": passphrase}, "{} is for a new key")
        public = read_signing_key(public_of, passphrase_file).public
        _print(public, None, json=json)
        return
    assert out is not None  # one of the two is given
    key = SigningKey.generate()
    key.write(out, _new_passphrase(passphrase_file, ask=passphrase))
    _print(key.public, out, json=json)


def _print(public: PublicKey, out: Path | None, *, json: bool) -> None:
    if json:
        file = {} if out is None else {"file": str(out)}
        print_json({**file, "key_id": public.key_id, "public_key": public.pem()})
        return
    for line in public.pem().splitlines():
        say(line)
    warn(f"Signing key {public.key_id}")
    if out is not None:
        warn(f"Its private half is in {out}, readable by you alone: keep it secret, and a copy.")
        warn("Publish the public key where people know that it is yours.")


def read_signing_key(path: Path, passphrase_file: Path | None) -> SigningKey:
    """Read a signing key, and ask for its passphrase if it has one.

    Raises:
        SigningKeyInvalid, SigningKeyLocked, SigningUnavailable: see `SigningKey.read`.
    """
    from egide.security.signing import SigningKey

    def asked() -> str | None:
        given = _given_passphrase(passphrase_file)
        return ask_secret("Passphrase of the signing key: ") if given is None else given

    return SigningKey.read(path, asked)


def _given_passphrase(file: Path | None) -> str | None:
    """The passphrase from a file or the environment; None if there is none."""
    from egide.security.sealing import read_key_file
    from egide.security.signing import PASSPHRASE_VARIABLE

    if file is None:
        return os.environ.get(PASSPHRASE_VARIABLE) or None
    try:
        return read_key_file(file).rstrip("\r\n")
    except OSError as error:
        reason = (error.strerror or "it cannot be read").lower()
        raise SigningKeyInvalid(name=file, reason=reason) from error


def _new_passphrase(file: Path | None, *, ask: bool) -> str | None:
    given = _given_passphrase(file)
    if given is not None or not ask:
        return given
    first = ask_secret("Passphrase for the new key: ")
    if first is None:
        reason = "there is no terminal to ask for a passphrase on: use --passphrase-file"
        raise UsageError(reason=reason)
    if first != ask_secret("The same again: "):
        raise UsageError(reason="the two passphrases differ: nothing was made")
    return first
