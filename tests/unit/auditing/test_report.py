"""The report page: what it says, what it never says, and what hostile names cannot do to it."""

from __future__ import annotations

import json
import re
import shlex
import unicodedata
from dataclasses import asdict
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given
from hypothesis import strategies as st

import report_samples as samples
from egide.auditing.purge.chosen import Rules, choose, of_audit
from egide.auditing.report.before import Earlier
from egide.auditing.report.page import MAX_GAP_ROWS, MAX_MATCH_ROWS
from egide.auditing.report.report import render_report, write_report
from egide.auditing.report.todo import Fates
from egide.auditing.rows import GapRow, MatchRow, gap_schema, match_schema
from egide.domain.model import Trust
from egide.errors import OutputMismatch, OutputUnreadable, OutputUnwritable, UsageError
from egide.text.visible import MAX_NAME_CHARS, visible_name

VOID_ELEMENTS = {"meta", "br"}
CSS = Path(__file__).parents[3] / "src/egide/auditing/report/assets/report.css"


class Outline(HTMLParser):
    """The elements of a page with their attributes, and the text outside of its style."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.elements: list[tuple[str, dict[str, str | None]]] = []
        self.words: list[str] = []
        self._open: list[str] = []
        self.feed(html)
        self.close()
        assert self._open == []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.elements.append((tag, dict(attrs)))
        if tag not in VOID_ELEMENTS:
            self._open.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.elements.append((tag, dict(attrs)))

    def handle_endtag(self, tag: str) -> None:
        assert self._open.pop() == tag

    def handle_data(self, data: str) -> None:
        if self._open and self._open[-1] != "style":
            self.words.append(data)

    @property
    def text(self) -> str:
        return "".join(self.words)

    def tags(self, name: str) -> list[dict[str, str | None]]:
        return [attributes for tag, attributes in self.elements if tag == name]


def render(
    rows: list[MatchRow] | None = None,
    broken: list[GapRow] | None = None,
    /,
    *,
    lang: str = "en",
    folder: str = "audit/",
    earlier: Earlier | None = None,
    **changes: Any,
) -> str:
    return render_report(
        samples.summary(**changes),
        samples.matches() if rows is None else rows,
        samples.gap_rows() if broken is None else broken,
        lang=lang,
        generated=samples.GENERATED,
        folder=folder,
        earlier=earlier,
    )


def first_sentence(html: str) -> str:
    found = re.search(r'<p class="result">(.*?)</p>', html)
    assert found
    return found[1].replace("\u202f", " ")


NOTHING: dict[str, Any] = {
    **dict.fromkeys(("matched_items", "matches", "not_matchable", "vetoed_items"), 0),
    "distances": {},
    "gaps": [],
}
PREFIX = samples.gap("listing", "source-unreadable", 1, "private")
OTHER_GAPS = [
    samples.gap("column", "column-missing", 2),
    samples.gap("frame", "frames-skipped", 7),
    samples.gap("pixels", "pixels-missing", 1),
]
TWO_BANKS = [{"name": name, "radius_bits": 31, "entries": 5} for name in ("helpline", "partner")]
SIX_BANKS = [{"name": f"b{n}", "radius_bits": 31, "entries": 5} for n in range(6)]


@pytest.mark.parametrize(
    ("changes", "english", "french"),
    [
        (
            {"store_revision": 7, "vetoed_items": 0},
            (
                "12 of 10,000 items match bank helpline at revision 7: 9,962 were compared; 38"
                " items were not; 5 could be compared for exact copies only."
            ),
            (
                "12 éléments sur 10 000 correspondent à la banque helpline à la révision 7 : 9 962"
                " ont été comparés ; 38 éléments ne l’ont pas été ; pour 5, seules les copies"
                " exactes ont pu être recherchées."
            ),
        ),
        (
            NOTHING | {"store_revision": 7},
            (
                "No match to bank helpline at revision 7 in 10,000 items; everything found was"
                " compared."
            ),
            (
                "Aucune correspondance avec la banque helpline à la révision 7, parmi 10 000"
                " éléments ; tout ce qui a été trouvé a été comparé."
            ),
        ),
        (
            NOTHING | {"matched_items": 1, "banks": TWO_BANKS, "store_revision": 8},
            (
                "1 item of 10,000 matches banks helpline and partner at revision 8; everything"
                " found was compared."
            ),
            (
                "1 élément sur 10 000 correspond aux banques helpline et partner à la révision 8 ;"
                " tout ce qui a été trouvé a été comparé."
            ),
        ),
        (
            NOTHING | {"banks": SIX_BANKS, "store_revision": 8, "gaps": [PREFIX]},
            (
                "No match to any of 6 banks at revision 8 in 10,000 items: 9,962 were compared;"
                " 1 folder (private) was not."
            ),
            (
                "Aucune correspondance avec les 6 banques à la révision 8, parmi 10 000 éléments :"
                " 9 962 ont été comparés ; 1 dossier (private) ne l’a pas été."
            ),
        ),
        (
            NOTHING | {"store_revision": 8, "hashed": 1, "gaps": [PREFIX, *OTHER_GAPS]},
            (
                "No match to bank helpline at revision 8 in 10,000 items: 1 was compared;"
                " 1 folder (private), 2 columns, 7 frames of animations and a part of one cut"
                " picture were not."
            ),
            (
                "Aucune correspondance avec la banque helpline à la révision 8, parmi 10 000"
                " éléments : 1 a été comparé ; 1 dossier (private), 2 colonnes, 7 images"
                " d’animations et une partie d’une image tronquée ne l’ont pas été."
            ),
        ),
        (
            NOTHING | {"items": 0, "store_revision": 8, "gaps": [PREFIX]},
            (
                "No item was found: nothing was compared with bank helpline at revision 8;"
                " 1 folder (private) was not looked at."
            ),
            (
                "Aucun élément trouvé : rien n’a été comparé avec la banque helpline à la révision"
                " 8 ; on n’a pas examiné 1 dossier (private)."
            ),
        ),
        (
            NOTHING | {"banks": [], "not_compared": "no-bank", "store_revision": 8},
            (
                "10,000 items read, and nothing to compare them with: the store has no enabled"
                " bank at revision 8."
            ),
            (
                "10 000 éléments lus, mais rien à quoi les comparer : le registre n’a aucune banque"
                " active à la révision 8."
            ),
        ),
        (
            NOTHING | {"items": 0, "store_revision": 8},
            "No item was found: nothing was compared with bank helpline at revision 8.",
            (
                "Aucun élément trouvé : rien n’a été comparé avec la banque helpline à la révision"
                " 8."
            ),
        ),
    ],
)
def test_result_is_one_sentence_with_bank_and_revision(
    changes: dict[str, Any], english: str, french: str
) -> None:
    assert first_sentence(render([], [], **changes)) == english
    found = first_sentence(render([], [], lang="fr", **changes))
    assert found.replace("\u00a0", " ") == french


@pytest.mark.parametrize("lang", ["en", "fr"])
def test_a_dataset_is_never_called_clean(lang: str) -> None:
    text = Outline(render([], [], lang=lang, **NOTHING)).text
    assert not re.search(r"\b(clean|safe|propres?|saine?s?)\b", text, re.IGNORECASE)


@pytest.mark.parametrize("lang", ["en", "fr"])
@pytest.mark.parametrize("changes", [{}, NOTHING | {"banks": TWO_BANKS, "resumed": True}])
def test_page_is_structured_for_every_reader(lang: str, changes: dict[str, Any]) -> None:
    page = Outline(render(lang=lang, **changes))
    assert page.tags("html") == [{"lang": lang}]
    assert len(page.tags("h1")) == 1
    assert len(page.tags("caption")) == len(page.tags("table")) > 0
    assert all("scope" in attributes for attributes in page.tags("th"))
    ids = [attributes["id"] for _, attributes in page.elements if "id" in attributes]
    assert len(ids) == len(set(ids))
    named = [a["aria-labelledby"] for _, a in page.elements if "aria-labelledby" in a]
    linked = [str(a["href"]).removeprefix("#") for a in page.tags("a")]
    assert {part for name in named for part in str(name).split()} | set(linked) <= set(ids)


def test_page_needs_nothing_but_itself() -> None:
    html = render()
    page = Outline(html)
    policy = [a["content"] for a in page.tags("meta") if "http-equiv" in a]
    assert policy == [
        "default-src 'none'; style-src 'unsafe-inline'; base-uri 'none'; form-action 'none'"
    ]
    tags = {tag for tag, _ in page.elements}
    assert tags.isdisjoint({"script", "link", "img", "image", "iframe", "object", "use", "font"})
    for _, attributes in page.elements:
        assert attributes.keys().isdisjoint({"src", "srcset", "style", "xlink:href"})
        assert str(attributes.get("href", "#")).startswith("#")
        assert not [name for name in attributes if name.startswith("on")]
    assert not re.search(r"url\(|@import|@font-face|https?:", html)


def test_page_shows_no_digest_of_an_item() -> None:
    assert "ab" * 8 not in render([samples.match()])


@pytest.mark.parametrize("lang", ["en", "fr"])
def test_hostile_names_stay_text(lang: str) -> None:
    names = samples.HOSTILE_NAMES
    html = render(
        [samples.match(name, shard=name, key=name, bank=name, transform=name) for name in names],
        [GapRow(name, name, name, name, name, 1) for name in names],
        lang=lang,
        banks=[{"name": name, "radius_bits": 31, "entries": 1} for name in names],
        sources=[{"name": name, "kind": name, "shards": 1, "items": 1} for name in names],
        gaps=[samples.gap("listing", name, 1, name) for name in names],
        others=dict.fromkeys(names, 1),
        versions={name: name for name in names},
        store_id=names[3],
        kernel=names[1],
        dataset_sha256=names[2],
        egide_version=names[0],
    )
    html.encode("utf-8")
    plain = Outline(render(lang=lang))
    page = Outline(html)
    assert {tag for tag, _ in page.elements} <= {tag for tag, _ in plain.elements}
    attributes = {name for _, found in page.elements for name in found}
    assert attributes <= {name for _, found in plain.elements for name in found}
    hidden = {c for c in html if unicodedata.category(c) in {"Cc", "Cf", "Cs", "Zl", "Zp"}}
    assert hidden <= {"\n"}
    assert "<script>alert(1)</script><img src=x onerror=alert(2)>.jpg" in page.text
    assert "harmless\\u202egpj.exe" in page.text
    assert "two\\x0alines\\x09and\\x00nul.png" in page.text
    assert "surrogate\\udcff.jpg" in page.text
    assert "{{ 7 * 7 }}{% raw %}.png" in page.text
    assert "x" * (MAX_NAME_CHARS + 1) not in page.text


@given(st.text(st.characters(), max_size=30))
def test_any_name_can_be_written_and_read(name: str) -> None:
    shown = str(visible_name(name))
    shown.encode("utf-8")
    assert not [c for c in shown if unicodedata.category(c) in {"Cc", "Cf", "Cs"}]
    if "\\" not in name:
        back = re.sub(
            r"\\(?:x(..)|u(....)|U(........))",
            lambda escape: chr(int(escape[1] or escape[2] or escape[3], 16)),
            shown,
        )
        assert back == name


def test_an_escape_differs_from_a_name_that_spells_it() -> None:
    real = visible_name("a\u202eb")
    spelled = visible_name(r"a\u202eb")
    assert str(real) == str(spelled)
    assert [piece.escaped for piece in real.pieces] == [False, True, False]
    assert [piece.escaped for piece in spelled.pieces] == [False]


def test_long_name_is_cut_and_says_so() -> None:
    page = Outline(render([samples.match("é" * (MAX_NAME_CHARS + 1500))]))
    assert "é" * MAX_NAME_CHARS + "… and 1,500 more characters" in page.text


def test_rows_beyond_the_limit_are_counted_not_listed() -> None:
    rows = [samples.match(f"item-{n}.jpg", distance=n % 32) for n in range(MAX_MATCH_ROWS + 500)]
    broken = [
        GapRow("item", f"broken-{n}.jpg", "s", "file-empty", "empty", 1)
        for n in range(MAX_GAP_ROWS + 50)
    ]
    text = Outline(
        render(
            rows,
            broken,
            matches=len(rows),
            distances={str(n): sum(row.distance == n for row in rows) for n in range(32)},
        )
    ).text
    assert len(re.findall(r"item-\d+\.jpg", text)) == MAX_MATCH_ROWS
    assert len(re.findall(r"broken-\d+\.jpg", text)) == MAX_GAP_ROWS
    assert "The first 1,000 of 1,500 matches" in text
    assert "500 more matches are in the file matches.parquet" in text
    assert "The first 200 things that were not compared" in text
    assert "All of them are in the file not_compared.parquet" in text
    assert "0\u00a0→\u00a047; 1\u00a0→\u00a047" in text
    assert re.search(r"unverified\s+1,500\s", text)


def test_each_match_says_how_and_how_far_to_trust_it() -> None:
    rows = [
        samples.match("a.jpg", signal="sha256", distance=0, trust="confirmed"),
        samples.match("b.jpg", transform="rotate-90", distance=1, trust="disputed"),
        samples.match("c.jpg", transform="from-the-future", trust="from-the-future"),
        samples.match("d.gif", key="000123", offset=4096, frame=2),
        samples.match("e.jpg", rectangle=[300, 0, 600, 800]),
        samples.by_anchored(5),
        samples.by_keypoints(1),
    ]
    html = render(rows, matches=7)
    cells = [
        " ".join(Outline(row).text.split())
        for row in re.findall(r"<tr.*?</tr>", html, re.DOTALL)
        if "dataset/#00003" in row and "broken" not in row
    ]
    assert cells == [
        "a.jpg dataset/#00003 – helpline 17 0 bits same file confirmed",
        "b.jpg dataset/#00003 – helpline 17 1 bit the whole picture turned 90° clockwise disputed",
        (
            "c.jpg dataset/#00003 – helpline 17 4 bits the whole picture"
            " from-the-future from-the-future"
        ),
        (
            "d.gif dataset/#00003 000123 offset 4,096 frame 2, counted from 0"
            " helpline 17 4 bits the whole picture as registered unverified"
        ),
        "e.jpg dataset/#00003 – helpline 17 4 bits a part of the picture as registered unverified",
        (
            "people/crop.jpg dataset/#00003 – helpline 17 22 bits a part of the picture"
            " 5 of 64 anchored hashes unverified"
        ),
        (
            "people/collage_0001.jpg dataset/#00003 – helpline 42,001 61 points"
            " keypoints mirrored left to right unverified"
        ),
    ]


def test_an_override_of_the_radius_shows_in_the_banks_and_the_command() -> None:
    text = Outline(render(radius_bits=12, mode="exact", banks=TWO_BANKS)).text
    assert "the radius was set to 12 bits for all banks" in text
    assert "31 bits" not in text
    assert "--exact --thorough --radius 12" in text


def test_english_messages_are_marked_as_such_on_the_french_page() -> None:
    html = render(lang="fr")
    assert re.search(r'<td[^>]* lang="en"[^>]*><bdi>Cannot decode', html)


def relative_luminance(colour: str) -> float:
    digits = colour if len(colour) == 6 else "".join(2 * digit for digit in colour)
    channels = [int(digits[i : i + 2], 16) / 255 for i in (0, 2, 4)]
    linear = [c / 12.92 if c <= 0.04045 else ((c + 0.055) / 1.055) ** 2.4 for c in channels]
    return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]


def contrast(one: str, other: str) -> float:
    light, dark = sorted(map(relative_luminance, (one, other)), reverse=True)
    return (light + 0.05) / (dark + 0.05)


@pytest.mark.parametrize("scheme", [0, 1], ids=["light", "dark"])
def test_text_stands_out_as_wcag_aa_asks(scheme: int) -> None:
    root = CSS.read_text(encoding="utf-8").split(":root")[1 + scheme]
    colours = dict(re.findall(r"--(\w+): #(\w+);", root.split("}")[0]))
    for text in ("ink", "soft", "mark"):
        for ground in ("page", "panel"):
            assert contrast(colours[text], colours[ground]) >= 4.5


def write_results(folder: Path, rows: list[MatchRow], **changes: Any) -> None:
    summary = samples.summary(**changes)
    (folder / "summary.json").write_text(json.dumps(summary), encoding="utf-8")
    table = pa.Table.from_pylist([asdict(row) for row in rows], schema=match_schema())
    pq.write_table(table, folder / "matches.parquet")
    broken = [asdict(row) for row in samples.gap_rows()]
    table = pa.Table.from_pylist(broken, schema=gap_schema())
    pq.write_table(table, folder / "not_compared.parquet")


def test_page_is_written_from_the_results(tmp_path: Path) -> None:
    write_results(tmp_path, samples.matches())
    assert write_report(tmp_path, lang="fr") == tmp_path / "report.html"
    html = (tmp_path / "report.html").read_text(encoding="utf-8")
    rendered = render(lang="fr", folder=f"{tmp_path}/")
    cut = "<footer>"
    assert html.split(cut)[0] == rendered.split(cut)[0]
    assert "ab" * 32 not in html
    names = {path.name for path in tmp_path.iterdir()}
    assert names == {"summary.json", "matches.parquet", "not_compared.parquet", "report.html"}


def test_page_is_replaced_whole_or_not_at_all(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write_results(tmp_path, [])
    (tmp_path / "report.html").write_text("before")

    def full_disk(_descriptor: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("os.fsync", full_disk)
    with pytest.raises(OutputUnwritable, match=r"report\.html: No space left on device"):
        write_report(tmp_path)
    assert (tmp_path / "report.html").read_text() == "before"
    assert not list(tmp_path.glob(".*"))


def test_page_that_cannot_be_put_in_place_is_an_error_with_its_name(tmp_path: Path) -> None:
    write_results(tmp_path, [])
    (tmp_path / "report.html").mkdir()
    with pytest.raises(OutputUnwritable, match=r"report\.html"):
        write_report(tmp_path)
    assert not list(tmp_path.glob(".*"))


@pytest.mark.parametrize("name", ["summary.json", "matches.parquet", "not_compared.parquet"])
@pytest.mark.parametrize("damage", ["missing", "cut", "empty"])
def test_damaged_results_are_named(tmp_path: Path, name: str, damage: str) -> None:
    write_results(tmp_path, samples.matches())
    path = tmp_path / name
    if damage == "missing":
        path.unlink()
    else:
        path.write_bytes(path.read_bytes()[: 40 if damage == "cut" else 0])
    with pytest.raises(OutputUnreadable, match=re.escape(name)):
        write_report(tmp_path)
    assert not (tmp_path / "report.html").exists()


def test_results_of_another_schema_are_refused(tmp_path: Path) -> None:
    write_results(tmp_path, [], schema_version=4)
    with pytest.raises(OutputMismatch, match="summary schema 4"):
        write_report(tmp_path)


def test_an_unknown_language_writes_nothing(tmp_path: Path) -> None:
    write_results(tmp_path, [])
    with pytest.raises(UsageError, match="'xx'"):
        write_report(tmp_path, lang="xx")
    assert not (tmp_path / "report.html").exists()


def todo(*rows: MatchRow, **options: Any) -> tuple[list[str], list[str]]:
    """The headings of what to do now, and the commands."""
    html = render(list(rows), [], **({"matches": len(rows)} | options))
    section = html[html.index('id="todo"') : html.index('id="meaning"')].split('id="before"')[0]
    commands = re.findall(r"<code>(.*?)</code>", section)
    return re.findall(r"<h3>(.*?)</h3>", section), [Outline(one).text for one in commands]


PART = {"rectangle": [0, 0, 9, 9]}
WAYS = (
    *({"signal": "sha256"}, {}, {"rectangle": [0, 0, 9, 9]}, {"signal": "pdq-anchored"}),
    *({"signal": "patches"}, {"signal": "url_sha256"}),
)
OUT, REVIEW, GAPS, SAID, PROVE, AGAIN = (
    "Take out what may be taken out",
    "Have a person decide on the rest",
    "Close the gaps",
    "What may be said, and what may not",
    "Prove it to others",
    "Look again",
)


@pytest.mark.parametrize(
    ("rows", "changes", "headings"),
    [
        ([samples.match(trust="confirmed")], {}, [OUT, GAPS, PROVE, AGAIN]),
        ([samples.match(trust="confirmed", **PART)], {"gaps": []}, [REVIEW, PROVE, AGAIN]),
        ([samples.match(), samples.match("b", trust="disputed")], {}, [REVIEW, GAPS, PROVE, AGAIN]),
        (
            # One reason is enough: an item may match several entries.
            [samples.match(), samples.match(trust="confirmed"), samples.match("b")],
            {"gaps": []},
            [OUT, REVIEW, PROVE, AGAIN],
        ),
        ([], NOTHING, [SAID, PROVE, AGAIN]),
        ([], NOTHING | {"not_compared": "no-bank", "banks": []}, [SAID, AGAIN]),
    ],
)
def test_what_to_do_follows_from_what_was_found(
    rows: list[MatchRow], changes: dict[str, Any], headings: list[str]
) -> None:
    found, commands = todo(*rows, **changes)
    assert found == headings
    assert any(one.startswith("egide purge") for one in commands) == (OUT in headings)
    assert any("--accept item" in one for one in commands) == (GAPS in headings)


def test_commands_name_the_folder_as_a_shell_takes_it() -> None:
    folder = "it's an audit; rm/"
    _, commands = todo(samples.match(trust="confirmed"), folder=folder, earlier=samples.earlier())
    words = [shlex.split(command) for command in commands]
    assert ["egide", "purge", folder, "--to", "purged-again/"] in words
    assert ["egide", "attest", folder, "after-again/"] in [one[:4] for one in words]


def test_commands_fit_a_register_elsewhere() -> None:
    matcher = {"address": "https://register.example", "first_revision": 5, "last_revision": 5}
    rows = [samples.match(trust=trust, item=trust) for trust in ("confirmed", "unverified")]
    headings, commands = todo(*rows, matcher=matcher)
    assert REVIEW in headings
    assert not any(" bank " in one for one in commands)
    audits = [one for one in commands if one.startswith("egide audit")]
    assert all("--matcher https://register.example --matcher-key" in one for one in audits)
    purges = [one for one in commands if one.startswith("egide purge")]
    assert all("--without-store" in one for one in purges)


def test_what_is_verified_is_the_report_that_was_written() -> None:
    for row, folder in (("confirmed", "after/"), ("unverified", "audit/")):
        _, commands = todo(samples.match(trust=row))
        assert f"egide verify proof.json --key signing.pub --report {folder}report.html" in commands


def test_a_list_is_purged_by_a_manifest() -> None:
    lists = [{"name": "hashes.csv", "kind": "hashlist", "shards": 1, "items": 9}]
    _, commands = todo(samples.match(trust="confirmed"), sources=lists)
    purges = [one for one in commands if "purge" in one.split()]
    assert purges == ["egide purge audit/ --manifest drop.jsonl"]


def test_nothing_may_be_said_where_nothing_was_compared() -> None:
    changes = NOTHING | {"not_compared": "no-bank", "banks": []}
    assert "<blockquote>" in render([], [], **NOTHING)
    assert "<blockquote>" not in render([], [], **changes)


def test_both_audits_stand_side_by_side_with_what_was_taken_out(tmp_path: Path) -> None:
    before, after = tmp_path / "audit", tmp_path / "after"
    before.mkdir()
    after.mkdir()
    write_results(before, samples.matches())
    write_results(after, [], **samples.after())
    (before / "purge.json").write_text(json.dumps(samples.purge_json()))
    html = write_report(after, before=before).read_text(encoding="utf-8")
    text = Outline(html).text
    for shown in (
        *("Before and after", "4 items", "6 files or rows that belong to them"),
        *("only a part of the picture was recognised", "into a copy"),
        *(samples.summary()["dataset_sha256"], samples.after()["dataset_sha256"]),
        *("12 of 10,000 items match", "8 of 9,996 items match", "9,996"),
    ):
        assert shown in text
    assert f"egide attest {before}/ {after}/ --key" in text
    (before / "purge.json").unlink()
    html = write_report(after, before=before).read_text(encoding="utf-8")
    assert "nothing says what was taken out" in Outline(html).text


@pytest.mark.parametrize(
    ("changes", "error"),
    [
        ({"audit": samples.purge_json()["audit"] | {"store_revision": 1}}, OutputMismatch),
        ({"audit": samples.purge_json()["audit"] | {"dataset_sha256": "00"}}, OutputMismatch),
        ({"schema_version": 2}, OutputMismatch),
        ({"removed_items": "many"}, OutputUnreadable),
        ({"left_items": ["by-part"]}, OutputUnreadable),
        ({"finished_at": "soon"}, OutputUnreadable),
        ({"containers": None}, OutputUnreadable),
    ],
)
def test_the_purge_of_another_audit_or_a_damaged_one_is_refused(
    tmp_path: Path, changes: dict[str, Any], error: type[Exception]
) -> None:
    write_results(tmp_path, [])
    (tmp_path / "purge.json").write_text(json.dumps(samples.purge_json(**changes)))
    with pytest.raises(error, match="purge\\.json"):
        write_report(tmp_path, before=tmp_path)
    assert not (tmp_path / "report.html").exists()


@given(
    st.lists(
        st.tuples(st.integers(0, 5), st.sampled_from(list(Trust)), st.sampled_from(WAYS)),
        max_size=12,
    )
)
def test_the_report_promises_what_the_purge_does(
    found: list[tuple[int, Trust, dict[str, Any]]],
) -> None:
    rows = [
        samples.match(str(item), trust=trust.value, **way)
        for item, trust, way in sorted(found, key=lambda one: one[0])
    ]
    fates = Fates()
    for row in rows:
        fates.add(row)
    fates.finish()
    chosen = choose(rows, Rules(), of_audit)
    assert fates.leaving == sum(len(doomed) for doomed in chosen.doomed.values())
    assert fates.staying == chosen.left
