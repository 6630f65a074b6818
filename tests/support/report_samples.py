"""An invented audit for the tests of the report page."""

from __future__ import annotations

import random
from collections import Counter
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

from egide.auditing.report.before import Earlier, Removed
from egide.auditing.rows import GapRow, MatchRow
from egide.domain.model import TRANSFORMS

GENERATED = datetime(2026, 12, 1, 9, 5, tzinfo=UTC)

HOSTILE_NAMES = (
    "<script>alert(1)</script><img src=x onerror=alert(2)>.jpg",
    "harmless\u202egpj.exe",
    "two\nlines\tand\x00nul.png",
    "surrogate\udcff.jpg",
    '" onmouseover="alert(3)" x="',
    "{{ 7 * 7 }}{% raw %}.png",
    "</style></title></table>",
    "x" * 5000,
    "",
    "صورة شخصية.jpg",
    r"a\u202eb.jpg",
)


def summary(**changes: Any) -> dict[str, Any]:
    """The figures of an audit of 10,000 items with 12 matched ones, changed as asked."""
    figures: dict[str, Any] = {
        "schema_version": 5,
        "egide_version": "0.1.0",
        "items": 10_000,
        "hashed": 9_962,
        "unreadable": 38,
        "not_matchable": 5,
        "matched_items": 12,
        "vetoed_items": 0,
        "matches": 17,
        "gaps": [
            gap("item", "decode-failed", 30),
            gap("item", "file-empty", 7),
            gap("item", "from-the-future", 1),
        ],
        "ways": {"file": 2, "whole": 10, "part": 2, "anchored": 1, "patches": 2, "address": 1},
        "anchored": {"searched": True, "entries": 47_020, "items_without": 21},
        "patches": {
            "searched": True,
            "code": None,
            "pictures": 1_200,
            "damaged": 0,
            "not_enough_detail": 3,
        },
        "radius_bits": None,
        "banks": [{"name": "helpline", "radius_bits": 31, "entries": 48_210}],
        "banks_disabled": [],
        "not_compared": None,
        "store_id": "3f1b7c52-6f0e-4f4e-9d0a-2f6f5a6f6c11",
        "store_revision": 48_231,
        "store_revision_at": "2026-11-21T17:42:10+00:00",
        "kernel": "numpy",
        "matcher": None,
        "mode": "fast",
        "workers": 2,
        "seconds": 761.9,
        "scan_seconds": 754.3,
        "items_per_s": 13.257,
        "started_at": "2026-12-01T08:50:12Z",
        "finished_at": "2026-12-01T09:02:46Z",
        "sources": [
            {"name": "dataset/", "kind": "folder", "shards": 12, "items": 6_000},
            {"name": "shard-000.tar", "kind": "tar", "shards": 1, "items": 3_000},
            {"name": "train.parquet", "kind": "parquet", "shards": 1, "items": 1_000},
        ],
        "dataset_sha256": "9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08",
        "columns": {"taken": {"image.bytes": 1_000}, "empty": ["caption"], "left": ["width"]},
        "others": {".json": 6_000, ".txt": 12, "": 3},
        "bytes": 4_321_000_000,
        "versions": {"python": "3.11.9", "pillow": "13.0.0", "numpy": "2.4.6"},
        "distances": {"0": 4, "2": 3, "4": 2, "8": 1, "14": 1, "22": 1, "28": 1, "30": 1},
        "throughput": samples(754.3, 10_000),
        "scanned_items": 10_000,
        "resumed": False,
        "limits": {
            "max_file_bytes": 268_435_456,
            "max_pixels": 200_000_000,
            "max_frames": 32,
            "item_timeout_s": 60.0,
        },
    }
    return figures | changes


def after(**changes: Any) -> dict[str, Any]:
    """The audit after a purge of `summary()`, at a later revision, changed as asked."""
    purged: dict[str, Any] = {
        "items": 9_996,
        "hashed": 9_958,
        "matched_items": 8,
        "matches": 12,
        "store_revision": 48_300,
        "dataset_sha256": "60303ae22b998861bce3b28f33eec1be758a213c86c93c076dbe9f558c11c752",
    }
    return summary(**(purged | changes))


def purge_json(**changes: Any) -> dict[str, Any]:
    """The content of a `purge.json` of `summary()`, changed as asked."""
    audited = summary()
    values: dict[str, Any] = {
        "schema_version": 1,
        "egide_version": "0.1.0",
        "audit": {name: audited[name] for name in ("store_id", "store_revision", "dataset_sha256")},
        "mode": "copy",
        "trusts": ["confirmed"],
        "by_part": False,
        "removed_items": 4,
        "removed_with_them": 6,
        "left_items": {"unverified": 5, "by-part": 3},
        "containers": [
            {
                "name": "shard-000.tar",
                "kind": "tar",
                "items_before": 3_000,
                "items_removed": 4,
                "sha256_before": "ab" * 32,
                "sha256_after": "cd" * 32,
            }
        ],
        "started_at": "2026-12-01T10:00:00+00:00",
        "finished_at": "2026-12-01T10:01:30+00:00",
        "verified": True,
    }
    return values | changes


def earlier(**changes: Any) -> Earlier:
    """`summary()` as the audit before, with a purge between, changed as asked."""
    removed = Removed(
        mode="copy",
        trusts=("confirmed",),
        by_part=False,
        items=4,
        with_them=6,
        left=Counter({"unverified": 5, "by-part": 3}),
        containers=1,
        verified=True,
        finished_at="2026-12-01T10:01:30+00:00",
    )
    return Earlier("audit/", summary(), replace(removed, **changes))


def gap(kind: str, code: str, count: int, name: str = "a/b.jpg") -> dict[str, Any]:
    """What was not looked at for one reason."""
    message = f"Cannot read {name}: something."
    return {"kind": kind, "code": code, "count": count, "name": name, "message": message}


def samples(seconds: float, items: int, count: int = 150) -> list[list[float]]:
    """An uneven progress of `items` in `seconds`."""
    dice = random.Random(7)
    weights = [dice.uniform(0.6, 1.3) for _ in range(count)]
    done, rows = 0.0, [[0.0, 0]]
    for index, weight in enumerate(weights, 1):
        done += weight
        rows.append([seconds * index / count, int(items * done / sum(weights))])
    return rows


def match(item: str = "cats/0001.jpg", **changes: Any) -> MatchRow:
    """One match, changed as asked."""
    row = MatchRow(
        item=item,
        shard="dataset/#00003",
        key=None,
        offset=None,
        entry=17,
        bank="helpline",
        tier=0,
        signal="pdq",
        distance=4,
        transform="identity",
        frame=0,
        trust="unverified",
        width=1200,
        height=800,
        rectangle=None,
        anchored_met=None,
        anchored_registered=None,
        inliers=None,
        coverage=None,
        agreement=None,
        matrix=None,
        polygon=None,
        sha256="ab" * 32,
    )
    return replace(row, **changes)


def matches() -> list[MatchRow]:
    """The seventeen matches of `summary()`, in every transform, trust and way."""
    distances = [0, 0, 0, 0, 2, 2, 2, 4, 4, 8, 14, 22, 28, 30]
    trusts = ["confirmed", "unverified", "unverified", "disputed"]
    whole_or_part = [
        match(
            f"people/portrait_{index:04}.jpg",
            shard=f"shard-{index % 3:03}.tar",
            key=f"{index:08}" if index % 2 else None,
            offset=None if index % 2 else 512 * 3001 * index,
            entry=41_000 + index,
            signal="sha256" if index < 2 else "pdq",
            distance=distance,
            transform=TRANSFORMS[index % 8 if index > 1 else 0].value,
            frame=3 if index == 9 else 0,
            trust=trusts[index % 4],
            rectangle=[120, 40, 640, 700] if index > 11 else None,
            video_ms=[4000, 4500] if index == 12 else None,
        )
        for index, distance in enumerate(distances)
    ]
    return [*whole_or_part, by_anchored(5), by_keypoints(1), by_keypoints(2)]


def by_anchored(met: int) -> MatchRow:
    """One match by anchored hashes."""
    return match(
        "people/crop.jpg",
        tier=1,
        signal="pdq-anchored",
        distance=22,
        transform=None,
        anchored_met=met,
        anchored_registered=64,
    )


def by_keypoints(number: int) -> MatchRow:
    """One match by keypoints, tilted and cut off at the right edge of the item."""
    return match(
        f"people/collage_{number:04}.jpg",
        entry=42_000 + number,
        tier=1,
        signal="patches",
        distance=None,
        transform="flip-horizontal",
        inliers=60 + number,
        coverage=0.71,
        agreement=0.93,
        matrix=[-0.8, 0.1, 1100.0, 0.1, 0.8, 60.0],
        polygon=[1100, 60, 1200, 70, 1200, 600, 420, 640, 380, 120],
    )


def gap_rows() -> list[GapRow]:
    """The 38 gaps of `summary()`."""
    rows = []
    for index in range(38):
        item = f"people/broken_{index:04}.jpg"
        code, message = "decode-failed", f"Cannot decode {item}: broken data stream."
        if index >= 30:
            code, message = "file-empty", f"{item} is empty (0 bytes): fetch or copy it again."
        if index == 37:
            code, message = "from-the-future", "Something else."
        rows.append(GapRow("item", item, "dataset/#00003", code, message, 1))
    return rows
