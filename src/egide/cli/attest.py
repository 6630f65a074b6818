"""`egide attest` and `egide inclusion`: make a signed proof of audits, and of one file in them."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from egide.cli.progress import show_progress
from egide.cli.signing_key import PassphraseFileOption, read_signing_key
from egide.cli.terminal import JsonOption, examples, print_json, say
from egide.errors import FileUnreadable, HashInvalid, UsageError

if TYPE_CHECKING:
    from egide.text.wording import Wording

_SHA256_BYTES = 32

AuditArgument = Annotated[
    Path, typer.Argument(metavar="AUDIT", help="The folder of `egide audit --out`.")
]
AfterArgument = Annotated[
    Path | None,
    typer.Argument(metavar="AFTER", help="The folder of the audit of what was purged of it."),
]
OutOption = Annotated[
    Path, typer.Option("--out", metavar="FILE", help="The new file; none is replaced.")
]


def add_to(app: typer.Typer) -> None:
    """Register the commands."""
    app.command(
        "attest",
        epilog=examples(
            "egide attest audit/ --key signing.key --out proof.json",
            "egide attest audit/ after/ --key signing.key --out proof.json",
        ),
    )(attest)
    app.command(
        "inclusion",
        epilog=examples(
            "egide inclusion proof.json audit/ after/ --item photo.jpg --out inclusion.json",
        ),
    )(inclusion)


def attest(
    audit: AuditArgument,
    key: Annotated[
        Path, typer.Option("--key", metavar="FILE", help="The private key of `egide key signing`.")
    ],
    out: OutOption,
    after: AfterArgument = None,
    purge: Annotated[
        Path | None,
        typer.Option(
            "--purge",
            metavar="FILE",
            help="purge.json, or its folder; by default it is looked for in AUDIT.",
        ),
    ] = None,
    passphrase_file: PassphraseFileOption = None,
    json: JsonOption = False,
) -> None:
    """Sign what an audit found, so that others can check it offline.

    With AFTER, the proof speaks of the set that is left, and of the one before it. It says what
    was compared with which banks at which revision, what matched, and what was not compared. It
    names no file. A proof that says "no match" does not say that the set is free of such images.
    """
    import egide

    signing_key = read_signing_key(key, passphrase_file)
    with show_progress(quiet=json) as on_progress:
        statement = egide.attest(
            audit, after, key=signing_key, out=out, purge=purge, on_progress=on_progress
        )
    if json:
        print_json({"proof": str(out), "statement": statement.to_json()})
        return
    attested = statement.attested
    if attested.before is not None:
        say(f"Before: {attested.before.sentence['en']}")
    say(attested.audit.sentence["en"])
    say(f"Signed by {signing_key.public.key_id}.")
    say(f"Proof: {out}")


def inclusion(
    proof: Annotated[Path, typer.Argument(metavar="PROOF", help="Of `egide attest`.")],
    audit: AuditArgument,
    out: OutOption,
    after: AfterArgument = None,
    item: Annotated[
        Path | None, typer.Option("--item", metavar="FILE", help="The file to look for.")
    ] = None,
    sha256: Annotated[
        str | None, typer.Option("--sha256", metavar="HEX", help="Its SHA-256 instead.")
    ] = None,
    json: JsonOption = False,
) -> None:
    """Show somebody who has a file that it stood in an attested set.

    The new file says whether it was compared, and whether it is gone from the set that is left.
    Give it with the proof to that person alone: it tells who has another file whether that stands
    beside this one. No key is needed.
    """
    import egide
    from egide.auditing.report.sentence import report_wording

    name, digest = item_digest(item, sha256)
    with show_progress(quiet=json) as on_progress:
        found = egide.include(
            proof, audit, after, sha256=digest, name=name, out=out, on_progress=on_progress
        )
    if json:
        print_json({"inclusion": str(out), "compared": found.compared, "gone": found.gone})
        return
    gone = None if after is None else found.gone
    wording = report_wording("en")
    say(inclusion_words(item, compared=found.compared, gone=gone, wording=wording))
    say(f"Inclusion: {out}")


def inclusion_words(
    item: Path | None, *, compared: bool, gone: bool | None, wording: Wording
) -> str:
    """What an inclusion says of a file; `gone` is None where one audit was attested alone."""
    name = wording.text("proof.the_file") if item is None else str(item)
    key = "proof.stood_compared" if compared else "proof.stood_not_compared"
    said = wording.text(key, name=name)
    if gone is not None:
        said += " " + wording.text("proof.gone" if gone else "proof.left")
    return said


def item_digest(item: Path | None, sha256: str | None) -> tuple[str, bytes]:
    """Return the name and SHA-256 of the file that is asked about.

    Raises:
        UsageError: there is not exactly one.
        HashInvalid: the digest is none.
        FileUnreadable: the file cannot be read.
    """
    import hashlib

    if (item is None) == (sha256 is None):
        raise UsageError(reason="name one file with --item, or its digest with --sha256")
    if item is None:
        try:
            digest = bytes.fromhex(sha256 or "")
        except ValueError:
            digest = b""
        if len(digest) != _SHA256_BYTES:
            raise HashInvalid(signal="sha256", digits=2 * _SHA256_BYTES)
        return "the file", digest
    try:
        with item.open("rb") as stream:
            return str(item), hashlib.file_digest(stream, "sha256").digest()
    except OSError as error:
        reason = (error.strerror or "it cannot be read").lower()
        raise FileUnreadable(name=item, reason=reason) from error
