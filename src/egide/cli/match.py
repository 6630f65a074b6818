"""`egide match`: is this picture in a bank?"""

from __future__ import annotations

from collections import Counter
from dataclasses import asdict
from typing import TYPE_CHECKING, Annotated, Any

import typer

from egide.cli.coverage import (
    AcceptOption,
    StrictOption,
    error_values,
    exit_code,
    fingerprinted,
    gap_values,
    others_sentence,
    warn_of_gaps,
)
from egide.cli.terminal import (
    DEFAULT_STORE,
    MATCH_COLUMNS,
    BanksOption,
    JsonOption,
    RadiusOption,
    StoreOption,
    counted,
    examples,
    match_cells,
    print_json,
    print_table,
    say,
    warn,
)
from egide.cli.timeline import video_sentence
from egide.domain.coverage import Gap, gaps_within
from egide.errors import UsageError

if TYPE_CHECKING:
    from collections.abc import Mapping

    from egide.domain.model import Fingerprint, Match
    from egide.domain.origin import Origin
    from egide.errors import KeypointsError
    from egide.usecases.check import Answer, Checked


_SHOWN_HINDRANCES = 20


def add_to(app: typer.Typer) -> None:
    """Register the command."""
    app.command(
        "match",
        epilog=examples(
            "egide match suspicious.png",
            "egide match --json --bank helpline uploads/*.jpg",
            "egide match --no-patches uploads/",
            "egide match --pdq f8f8f0cee0f4a84f06370a22038f63f0b36e2ed596621e1d33e6b39c4e9c9b22",
        ),
    )(match)


def match(
    files: Annotated[
        list[str] | None, typer.Argument(metavar="FILES", help="Pictures, or folders of them.")
    ] = None,
    pdq: Annotated[
        list[str] | None,
        typer.Option("--pdq", metavar="HEX", help="A PDQ hash instead of a file; repeat for more."),
    ] = None,
    store: StoreOption = DEFAULT_STORE,
    bank: BanksOption = None,
    radius: RadiusOption = None,
    keypoints: Annotated[
        bool,
        typer.Option(
            "--patches/--no-patches", help="Also search by keypoints, if entries have them."
        ),
    ] = True,
    strict: StrictOption = False,
    accept: AcceptOption = None,
    json: JsonOption = False,
) -> None:
    """Search the banks for pictures or PDQ hashes.

    Mirrored and rotated copies are found too (not from a --pdq, which has only one orientation),
    copies within a border, a collage or a screenshot, and by anchored hashes crops and other parts
    of a picture (not with --radius, which asks for distances alone). Entries registered with
    --patches are also found in copies that were written on or changed in part.
    Exits with 0 if everything was compared and nothing matched, 1 if something matched or was left
    out, 3 if a named file could not be opened, if nothing could be compared, or if nothing matched
    and a bank or the keypoints were not searched.
    """
    import egide
    from egide.live.keypoints import can_search_keypoints

    if not (files or pdq):
        raise UsageError(reason="name a file, or give a hash with --pdq")
    hindrances: list[KeypointsError] = []
    with egide.open_store(store) as opened:
        thorough = keypoints and can_search_keypoints(
            opened, banks=bank, on_error=hindrances.append
        )
        made: list[tuple[str, Fingerprint | Gap]] = []
        others: Counter[str] = Counter()
        for name, outcome in fingerprinted(
            files or [], keypoints=thorough, anchored=radius is None
        ):
            if isinstance(outcome, Gap | egide.Fingerprint):
                made.append((name, outcome))
            else:
                others[outcome.suffix] += 1
        queries = [*made, *_of_hashes(pdq or [])]
        good = [outcome for _, outcome in queries if not isinstance(outcome, Gap)]
        checked = egide.check(
            opened, good, banks=bank, radius_bits=radius, on_keypoints_error=hindrances.append
        )
        matched_entries = {match.entry for one in checked.answers for match in one.matches}
        origins = opened.entries.origins(matched_entries)
    answers = iter(checked.answers)
    matched = 0
    gaps: list[Gap] = []
    for place, (name, outcome) in enumerate(queries):
        if isinstance(outcome, Gap):
            gaps.append(outcome)
            _print_error(name, outcome, json)
            continue
        gaps += gaps_within(name, outcome)
        answer = next(answers)
        matched += bool(answer.matches)
        if not checked.nothing_to_compare:
            asked = radius is None and place < len(made)
            _print_result(name, outcome, answer, checked, origins, hindrances, json, anchored=asked)
    checked.require_compared()
    for name in checked.disabled:
        warn(f"Not searched: the bank {name} is disabled")
    for hindrance in hindrances[:_SHOWN_HINDRANCES]:
        warn(f"Not searched by keypoints: {hindrance} [{hindrance.code}]")
    warn_of_gaps(len(good), [(gap.kind, gap.count) for gap in gaps], "compared")
    if others:
        warn(others_sentence(others))
    raise typer.Exit(
        exit_code(
            [gap.kind for gap in gaps],
            matched=bool(matched),
            nothing_compared=not matched and bool(hindrances or checked.disabled or not good),
            strict=strict,
            accepted=accept,
        )
    )


def _of_hashes(values: list[str]) -> list[tuple[str, Fingerprint | Gap]]:
    import egide
    from egide.hashlist import parse_hex

    return [
        (
            f"--pdq {number}",
            egide.Fingerprint((egide.Pdq(parse_hex(value, egide.Signal.PDQ), None),)),
        )
        for number, value in enumerate(values, 1)
    ]


def _print_error(name: str, gap: Gap, json: bool) -> None:
    if json:
        print_json({"query": name, "error": error_values(gap)})
    else:
        warn(f"{gap.message} [{gap.code}]")


def _print_result(
    name: str,
    query: Fingerprint,
    answer: Answer,
    checked: Checked,
    origins: Mapping[int, Origin],
    hindrances: list[KeypointsError],
    json: bool,
    *,
    anchored: bool,
) -> None:
    matches = answer.matches
    action = answer.decision.action if answer.decision is not None else None
    without = anchored and query.anchored is None
    enough = None if query.keypoints is None else query.keypoints.straight.searchable
    if json:
        rows = [
            {**asdict(match), "tier": match.tier, "origin": _origin_values(origins, match)}
            for match in matches
        ]
        values: dict[str, Any] = {"query": name, "matchable": answer.matchable, "matches": rows}
        if action is not None:
            values["action"] = action.value
        if answer.vetoed:
            for name_, some in (("vetoed", answer.vetoed), ("vetoed_by", answer.vetoed_by)):
                values[name_] = [{**asdict(match), "tier": match.tier} for match in some]
        if checked.disabled:
            values["disabled_banks"] = checked.disabled
        if anchored:
            values["anchored"] = "not-enough-detail" if without else "searched"
        if hindrances:
            values["patches"] = hindrances[0].code
        elif enough is not None:
            values["patches"] = "searched" if enough else "not-enough-detail"
        if left_out := gaps_within(name, query):
            values["not_looked_at"] = [gap_values(gap) for gap in left_out]
        print_json(values)
        return
    for gap in gaps_within(name, query):
        warn(f"{gap.message} [{gap.code}]")
    if answer.vetoed:
        by = ", ".join(f"entry {veto.entry} of {veto.bank}" for veto in answer.vetoed_by)
        vetoed = counted(len(answer.vetoed), "match", "matches")
        say(f"{name}: {vetoed} vetoed, as harmless by {by}")
    if not matches:
        details = [
            *(
                ["not matchable: too little detail, only identical files match"]
                * (not answer.matchable)
            ),
            *(["not enough detail to search by anchored hashes"] * (without and answer.matchable)),
            *(["not enough detail to search by keypoints"] * (enough is False)),
        ]
        say(f"{name}: no match" + (f" ({'; '.join(details)})" if details else ""))
        return
    print_table(
        f"{name}: {counted(len(matches), 'match', 'matches')} "
        f"at revision {checked.revision}" + (f": {action.value}" if action else ""),
        (*MATCH_COLUMNS, ("source", "left"), ("added", "left")),
        ([*match_cells(match), *_origin_cells(origins, match)] for match in matches),
    )
    for match in matches:
        if (why := explanation(match, query)) is not None:
            for line in why.splitlines():
                say(line)


def _origin_values(origins: Mapping[int, Origin], match: Match) -> dict[str, Any] | None:
    """Where an entry came from; None if it was erased since it was searched."""
    origin = origins.get(match.entry)
    return None if origin is None else {**asdict(origin), "added": origin.added.isoformat()}


def _origin_cells(origins: Mapping[int, Origin], match: Match) -> list[str]:
    origin = origins.get(match.entry)
    return ["–", "–"] if origin is None else [origin.source, f"{origin.added:%Y-%m-%d}"]


def explanation(match: Match, query: Fingerprint) -> str | None:
    """Say in which part of the query an entry was found; None if in the whole query."""
    if (video := video_sentence(match, query)) is not None:
        return video
    size = f"of {query.width}×{query.height} pixels"
    if match.rectangle is not None:
        part = match.rectangle
        return (
            f"Entry {match.entry}: found in the rectangle {part.width}×{part.height} "
            f"at ({part.left}, {part.top}) {size}."
        )
    if match.anchored is not None:
        return (
            f"Entry {match.entry}: found in a part of the picture, by {match.anchored.met} of its "
            f"{match.anchored.registered} anchored hashes."
        )
    if (evidence := match.evidence) is None:
        return None
    a, b, _, c, d, _ = evidence.matrix
    scale = abs(a * d - b * c) ** 0.5
    mirrored = ", mirrored" if a * d - b * c < 0 else ""
    corners = " ".join(f"({x}, {y})" for x, y in evidence.polygon)
    return (
        f"Entry {match.entry}: {evidence.inliers} keypoints agree that it is shown at "
        f"{scale:.0%} of its size{mirrored}, within {corners} {size}; they cover "
        f"{evidence.coverage:.0%} of what is visible of it, and {evidence.agreement:.0%} of its "
        f"brightness pattern agrees."
    )
