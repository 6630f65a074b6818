"""`egide verify`: check a proof offline, and name each thing that does not hold."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from egide.cli.attest import inclusion_words, item_digest
from egide.cli.progress import show_progress
from egide.cli.report import Language
from egide.cli.terminal import (
    Exit,
    JsonOption,
    examples,
    on_command_line,
    print_json,
    refuse,
    say,
    warn,
)
from egide.errors import AttestationUnreadable, SignatureUnchecked, UsageError

if TYPE_CHECKING:
    import egide
    from egide.errors import Mismatch
    from egide.text.wording import Wording


def add_to(app: typer.Typer) -> None:
    """Register the command."""
    app.command(
        "verify",
        epilog=examples(
            "egide verify proof.json --key signing.pub",
            "egide verify proof.json --key signing.pub --report report.html --dataset clean/",
            "egide verify proof.json --key signing.pub --item photo.jpg --inclusion inclusion.json",
        ),
    )(verify)


def verify(
    context: typer.Context,
    proof: Annotated[Path, typer.Argument(metavar="PROOF", help="Of `egide attest`.")],
    key: Annotated[
        Path | None,
        typer.Option("--key", metavar="FILE", help="The signer's public key, from the signer."),
    ] = None,
    without_key: Annotated[
        bool,
        typer.Option("--without-key", help="Accept that nobody is known to have signed it."),
    ] = False,
    audit: Annotated[
        Path | None, typer.Option("--audit", metavar="FOLDER", help="Compare the audit's folder.")
    ] = None,
    after: Annotated[
        Path | None,
        typer.Option("--after", metavar="FOLDER", help="… and that of the audit after the purge."),
    ] = None,
    purge: Annotated[
        Path | None,
        typer.Option(
            "--purge",
            metavar="FILE",
            help="Compare purge.json, or its folder; by default it is looked for in --audit.",
        ),
    ] = None,
    report: Annotated[
        Path | None, typer.Option("--report", metavar="FILE", help="Compare a report.html.")
    ] = None,
    dataset: Annotated[
        list[str] | None,
        typer.Option(
            "--dataset",
            metavar="SOURCE",
            help="Read the set again; repeat for more, in the order of the audit.",
        ),
    ] = None,
    column: Annotated[
        list[str] | None,
        typer.Option("--column", metavar="NAME", help="Image column that the audit was given."),
    ] = None,
    item: Annotated[
        Path | None, typer.Option("--item", metavar="FILE", help="Did this file stand in the set?")
    ] = None,
    sha256: Annotated[
        str | None, typer.Option("--sha256", metavar="HEX", help="The file's SHA-256 instead.")
    ] = None,
    inclusion: Annotated[
        Path | None,
        typer.Option("--inclusion", metavar="FILE", help="Of `egide inclusion` for that file."),
    ] = None,
    expected: Annotated[
        list[str] | None,
        typer.Option("--expect", metavar="PROPERTY", help="Fail unless the proof has it."),
    ] = None,
    lang: Annotated[
        Language, typer.Option("--lang", help="Language of what is printed.")
    ] = Language.EN,
    json: JsonOption = False,
) -> None:
    """Check a proof of an audit, and name each thing that does not hold.

    Exits with 0 if all that was checked holds, 1 if something does not, 3 if it could not be
    checked, or if no key was named: then anybody may have signed it. That a proof holds does not
    mean that nothing matched: read what it says, or name what it has to say with --expect.
    """
    import egide
    from egide.auditing.proof.strict import words_of
    from egide.auditing.report.sentence import report_wording
    from egide.security.signing import PublicKey
    from egide.settings import limits_from_environment

    if json:
        refuse({"--lang": on_command_line(context, "lang")}, "{} is not for --json, which has all")
    if key is not None and without_key:
        raise UsageError(reason="--without-key goes without --key")
    asked = item is not None or sha256 is not None
    wording = report_wording(lang.value)
    try:
        with show_progress(quiet=json) as on_progress:
            found = egide.verify(
                proof,
                key=None if key is None else PublicKey.read(key),
                audit=audit,
                after=after,
                purge=purge,
                report=report,
                dataset=dataset or (),
                columns=column or (),
                item=item_digest(item, sha256) if asked else None,
                inclusion=inclusion,
                expected=expected or (),
                limits=limits_from_environment(),
                on_progress=on_progress,
            )
    except AttestationUnreadable as error:
        if json:
            raise
        warn(f"egide: {words_of(error, wording)} [{error.code}]")
        raise typer.Exit(error.exit) from error
    problems = [
        each
        for each in found.problems
        if not (without_key and isinstance(each, SignatureUnchecked))
    ]
    if json:
        print_json(_values(found, problems))
    else:
        _print(found, problems, item, wording)
    if problems:
        failed = all(problem.exit is Exit.FAILED for problem in problems)
        raise typer.Exit(Exit.FAILED if failed else Exit.FOUND)


def _values(found: egide.Verification, problems: list[Any]) -> dict[str, Any]:
    return {
        "holds": not problems,
        "signed_by": found.signed_by,
        "checked": found.checked,
        "not_checked": found.unchecked,
        "problems": [{"code": each.code, "message": str(each)} for each in problems],
        "inclusion": None
        if found.inclusion is None
        else {"compared": found.inclusion.compared, "gone": found.inclusion.gone},
        "statement": None if found.statement is None else found.statement.to_json(),
    }


def _print(
    found: egide.Verification, problems: list[Mismatch], item: Path | None, wording: Wording
) -> None:
    from egide.auditing.proof.statement import sentences
    from egide.auditing.proof.strict import words_of

    for problem in problems:
        warn(f"{words_of(problem, wording)} [{problem.code}]")
    if found.statement is not None:
        attested = found.statement.attested
        says = "proof.says" if found.signed_by else "proof.nobody_says"
        if attested.before is not None:
            sentence = sentences(attested.before)[wording.lang]
            say(wording.text(f"{says}_before", sentence=sentence))
        # Not the sentence that stands there: another version's cannot be checked, and may say more.
        say(wording.text(says, sentence=sentences(attested.audit)[wording.lang]))
        for each in attested.properties():
            say(f"  {each}")
        if attested.purge is not None:
            say(wording.plural("proof.taken_out", attested.purge.removed_items))
    if found.statement is not None and (shown := found.inclusion) is not None:
        alone = found.statement.attested.before is None
        gone = None if alone else shown.gone
        say(inclusion_words(item, compared=shown.compared, gone=gone, wording=wording))
    for key, names in (("checked", found.checked), ("not_checked", found.unchecked)):
        if names:
            parts = [wording.text(f"proof.part.{each}") for each in names]
            say(wording.text(f"proof.{key}", parts=wording.listed(parts)))
    if found.signed_by:
        say(wording.text("proof.signed_by", key=found.signed_by))
