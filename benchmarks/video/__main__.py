"""How many edited copies of drawn clips are found, and how many strangers: `python -m video`.

Clips are registered in a store of their own. Of some, every edit is looked for, as a file like any
other; and every clip is looked for among the others, which it must not match. The rule of vPDQ and
MD5 stand beside Egide in the same table.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
import time
from collections import Counter

import egide
from egide.store.changing import ChangingStore
from egide.usecases.register import registration_of
from machine import machine_line
from video.clips import CLIPS, clip, encode
from video.edits import EDITS, edited
from video.peers import vpdq_hashes, vpdq_matches

_BANK = "clips"
NEAR_S = 1.5
"""So far from the truth a told time may lie."""


def main() -> int:
    """Print the table; exit with 1 if a stranger matched."""
    parser = argparse.ArgumentParser(prog="python -m video", description=__doc__)
    parser.add_argument("--clips", type=int, default=CLIPS, help="clips to register")
    parser.add_argument("--edited", type=int, default=10, help="of how many each edit is made")
    chosen = parser.parse_args()
    print(machine_line())
    with tempfile.TemporaryDirectory() as folder:
        store = egide.open_store(f"sqlite:///{folder}/egide.db", create=True)
        changing = ChangingStore.of(store)
        changing.banks.create(_BANK)
        prints = []
        registrations = []
        for number in range(chosen.clips):
            made = egide.fingerprint(encode(clip(number)), name="a clip", anchored=True)
            prints.append(made)
            registrations.append(registration_of(made, source=f"clip {number}"))
        outcomes = changing.entries.register(_BANK, registrations, outcomes=True).outcomes
        number_of = {outcome.entry: number for number, outcome in enumerate(outcomes)}
        _edits(store, prints, number_of, chosen.edited)
        return _strangers(store, prints, number_of)


def _edits(
    store: egide.Store, prints: list[egide.Fingerprint], number_of: dict[int, int], count: int
) -> None:
    found: Counter[str] = Counter()
    placed: Counter[str] = Counter()
    by_vpdq: Counter[str] = Counter()
    spent_s = 0.0
    asked = range(1, count + 1)
    others = [clip(len(prints) + other) for other in range(12)]
    known = {number: vpdq_hashes(prints[number]) for number in asked}
    for name in EDITS:
        for number in asked:
            made = edited(name, clip(number), others)
            query = egide.fingerprint(made.data, name=name, mode=egide.Mode.FAST, anchored=True)
            start = time.process_time()
            (matches,) = egide.match(store, [query])
            spent_s += time.process_time() - start
            own = [match for match in matches if number_of[match.entry] == number]
            found[name] += bool(own)
            there = own[0].video.entry if own and own[0].video else None
            placed[name] += there is not None and (
                abs(there.start_ms / 1000 - made.clip[0]) <= NEAR_S
                and abs(there.end_ms / 1000 - made.clip[1]) <= NEAR_S
            )
            by_vpdq[name] += vpdq_matches(vpdq_hashes(query), known[number])
    print("| edit | found | its seconds | vPDQ's rule |\n|---|---|---|---|")
    for name in EDITS:
        print(f"| {name} | {found[name]}/{count} | {placed[name]} | {by_vpdq[name]} |")
    every = count * len(EDITS)
    share, peer = (100 * some.total() / every for some in (found, by_vpdq))
    print(f"| **all** | {share:.1f} % | {100 * placed.total() / every:.1f} % | {peer:.1f} % |")
    print(f"MD5 finds none: every edit is another file. {1000 * spent_s / every:.0f} ms a search.")


def _strangers(
    store: egide.Store, prints: list[egide.Fingerprint], number_of: dict[int, int]
) -> int:
    answers = egide.match(store, prints)
    false = sum(
        number_of[match.entry] != number
        for number, matches in enumerate(answers)
        for match in matches
    )
    pairs = len(prints) * (len(prints) - 1)
    print(f"Strangers: {false} false matches in {pairs} pairs of clips.")
    return int(false > 0)


if __name__ == "__main__":
    sys.exit(main())
