"""After all that can be done, and done wrongly: nothing secret stands where it should not."""

import base64
import sqlite3
import time
from collections.abc import Iterator
from contextlib import closing
from hashlib import md5, sha256
from pathlib import Path

import pytest

import egide
from attacked import Answered, Target, form, target
from commands import egide_in
from egide import errors
from egide.domain.access import Role
from egide.domain.model import AnchoredQuery
from egide.hashing import fingerprint
from egide.partners.packed import Shape, pack, pack_anchored, pack_record
from egide.server.http.problems import answer
from egide.store.changing import ChangingStore
from pictures import encoded, pictures
from server_samples import serve
from store_samples import region_code

PASSWORD = "hunter2hunter2"
FILE_NAME = "ms-jane-doe-private.png"
NOTE = "jane-doe-was-here"
URL_SECRET = "sesame-open-91"


def spellings(value: bytes) -> set[str]:
    """How a value may stand in a text."""
    plain = base64.b64encode(value).decode().rstrip("=")
    url_safe = base64.urlsafe_b64encode(value).decode().rstrip("=")
    number = int.from_bytes(value)
    return {value.hex(), value.hex().upper(), plain, url_safe, str(number), repr(value)[2:-1]}


class Scenario:
    """Everything that a register is used for, and what is wrong with requests to it.

    Attributes:
        told: answers that must not hold secrets: errors, metrics, the log.
        secrets: texts by what they are.
    """

    def __init__(self, server: Target, picture: bytes) -> None:
        self.server = server
        self.picture = picture
        self.told: list[Answered] = []
        self.keys: dict[str, str] = {"admin": server.key}
        found = fingerprint(picture)
        assert found.pdq is not None
        assert found.sha256 is not None
        assert found.md5 is not None
        self.codes = {
            "picture's PDQ": found.pdq.code,
            "picture's SHA-256": found.sha256,
            "picture's MD5": found.md5,
            "PDQ": sha256(b"a PDQ").digest(),
            "SHA-256": sha256(b"a SHA-256").digest(),
            "MD5": md5(b"an MD5").digest(),
            "anchored": region_code(1),
        }

    def ask(self, method: str, path: str, body: object = b"", key: str = "admin", **rest: object):  # type: ignore[no-untyped-def]
        answered = self.server.ask(method, path, body, key=self.keys[key], **rest)  # type: ignore[arg-type]
        if answered.status >= 400:
            self.told.append(answered)
        assert answered.status != 500
        return answered

    def run(self) -> None:
        for role in (Role.MATCHER, Role.CURATOR, Role.MODERATOR, Role.PARTNER):
            wanted = {"name": f"k-{role}", "role": role, "holder": role}
            made = self.ask("POST", "/v1/keys", wanted)
            if role is Role.MATCHER:
                self.keys[role] = made.json()["token"]
            else:  # by the command line, as it takes two people here
                assert made.status == 403
                with egide.open_store(f"sqlite:///{self.server.folder / 'egide.db'}") as store:
                    self.keys[role] = store.keys.create(f"k-{role}", role, role)[1]
        assert self.ask("POST", "/v1/banks", {"name": "helpline"}).status == 201
        self.register()
        self.match()
        self.do_wrong()
        for entry in (1, 2):
            path = f"/v1/banks/helpline/entries/{entry}"
            assert self.ask("POST", f"{path}/withdraw", key="curator").status == 200
            self.ask("POST", f"{path}/confirm", key="moderator")
        self.ask("GET", "/v1/changes", key="partner")
        self.ask("POST", f"/v1/keys/k-{Role.MATCHER}/revoke")
        time.sleep(1)
        self.ask("GET", "/v1/status", key="matcher")
        self.told += [self.ask("GET", "/metrics"), self.ask("GET", "/v1/log?limit=1000")]

    def register(self) -> None:
        hexes = {name: value.hex() for name, value in self.codes.items()}
        listed = {"pdq": [hexes["PDQ"]], "sha256": hexes["SHA-256"], "md5": hexes["MD5"],
                  "anchored": [hexes["anchored"]], "note": NOTE, "source": "case-17"}  # fmt: skip
        path = "/v1/banks/helpline/entries"
        assert self.ask("POST", path, {"entries": [listed]}, key="curator").status == 201
        body, kind = form((f'name="file"; filename="{FILE_NAME}"', self.picture),
                          ('name="note"', NOTE.encode()))  # fmt: skip
        assert self.ask("POST", path, body, key="curator", content_type=kind).status == 201
        repeated = (("Idempotency-Key", "abc"),)
        for again in (False, True):
            said = {"entries": [listed], "again": again}
            self.ask("POST", path, said, key="curator", headers=repeated)
        hook = {"name": "hook", "url": f"https://127.0.0.1/x?token={URL_SECRET}",
                "events": ["decision.review"]}  # fmt: skip
        self.ask("POST", "/v1/webhooks", hook)

    def match(self) -> None:
        body, kind = form((f'name="file"; filename="{FILE_NAME}"', self.picture))
        assert self.ask("POST", "/v1/match", body, key="matcher", content_type=kind).status == 200
        files = form(*[(f'name="file"; filename="{FILE_NAME}"', data)
                       for data in (self.picture, b"x", b"")])  # fmt: skip
        self.ask("POST", "/v1/match/files", files[0], key="matcher", content_type=files[1])
        for name, value in self.codes.items():
            signal = name.rpartition(" ")[2].replace("-", "").lower()
            asked = {"fingerprints": [{signal: value.hex()}]}
            self.ask("POST", "/v1/match/fingerprints", asked, key="matcher")
            query = f"signal_type=pdq&signal={value.hex()}"
            self.ask("GET", f"/hma/m/lookup?{query}", key="matcher")
            self.ask("GET", f"/hma/m/raw_lookup?{query}", key="matcher")
            self.ask("POST", "/hma/c/bank/helpline/signal", {"pdq": value.hex()}, key="admin")
        self.ask("POST", "/hma/h/hash", body, key="curator", content_type=kind)
        for packed in self.packed():
            kind = "application/octet-stream"
            asked = self.ask("POST", "/v1/match/packed", packed, key="matcher", content_type=kind)
            assert asked.status == 200
            self.ask("POST", "/v1/match/packed", packed[:-1], key="matcher", content_type=kind)

    def packed(self) -> Iterator[bytes]:
        digests = [self.codes["SHA-256"], bytes(20), self.codes["MD5"], bytes(32), bytes(16)]
        yield pack(Shape.CODE, [pack_record(self.codes["PDQ"], digests)])
        yield pack(Shape.ANCHORED, [pack_anchored(AnchoredQuery.of([self.codes["anchored"]] * 2))])

    def do_wrong(self) -> None:
        secret_url = f"https://media.example.org/{FILE_NAME}?token={URL_SECRET}"
        for name, value in self.codes.items():
            digits = value.hex()
            for path in (f"/v1/{digits}", f"/v1/banks/{digits}", f"/v1/status?q={digits}",
                         f"/v1/banks/helpline/entries/{digits}", f"/hma/{digits}",
                         f"/v1/changes?since={digits}", f"/{FILE_NAME}"):  # fmt: skip
                self.ask("GET", path)
            for body in (
                {"fingerprints": [{"pdq": digits + "0"}]},
                {"fingerprints": [{digits: digits}]},
                {"fingerprints": [digits]},
                {digits: digits},
                {"entries": [{"pdq": [digits + "0"], "note": NOTE, digits: 1}]},
                {"entries": [{"sha256": "0f" * 32, "anchored": [digits, "0f" * 31 + "00"]}]},
                {"entries": [{"sha256": "0f" * 32, "anchored": [digits[1:]]}]},
                {"a": {"pdq": digits[:-1]}, "b": {"md5": digits}},
                {"name": digits + "!", "url": secret_url},
                {"url": secret_url},
                [digits],
                digits.encode(),
            ):
                for path in ("/v1/match", "/v1/match/fingerprints", "/v1/compare",
                             "/v1/banks/helpline/entries", "/v1/feedback", "/v1/keys",
                             "/hma/m/compare", "/hma/c/bank/helpline/signal"):  # fmt: skip
                    self.ask("POST", path, body)
            headers = (
                (f"X-{name[:1]}", digits),
                ("Egide-Approval", digits),
                ("User-Agent", digits),
            )
            self.ask("GET", "/v1/banks/helpline/export", headers=headers)
            self.server.raw(f"GET /{digits} {digits}\r\n\r\n".encode())
        damaged = form((f'name="file"; filename="{FILE_NAME}"', self.picture[:-500]))
        for path in ("/v1/match", "/v1/banks/helpline/entries", "/hma/h/hash"):
            self.ask("POST", path, damaged[0], content_type=damaged[1])
        self.ask("GET", f"/hma/h/hash?url={secret_url}")
        for key in list(self.keys.values()):
            self.server.ask("GET", f"/v1/status?key={key}", key="x")
            self.server.ask("GET", f"/v1/{key}", key=key[:-1])


def test_nothing_secret_is_logged_or_told(tmp_path: Path) -> None:
    image = pictures(1)[0]
    picture = encoded(image, "PNG")
    with target(
        tmp_path, EGIDE_LOG_LEVEL="debug", EGIDE_HMA_ENABLED="true",
        EGIDE_MAX_FAILURES_PER_MINUTE="100000", EGIDE_FETCH_HOSTS="media.example.org",
        EGIDE_WEBHOOK_NETWORKS="127.0.0.0/8", EGIDE_SYNC_NETWORKS="127.0.0.0/8",
        EGIDE_SYNC_INTERVAL_S="0.2",
    ) as server:  # fmt: skip
        scenario = Scenario(server, picture)
        scenario.run()
        follow(scenario, tmp_path)
        time.sleep(1.5)  # for what is delivered to webhooks, and flushed
        assert server.end() == 0
    assert egide_in(tmp_path, "log", "export", "--out", "log.jsonl").code == 0
    where = {
        "log of the server": server.log.read_text("utf-8"),
        "log of the register": (tmp_path / "log.jsonl").read_text("utf-8"),
        # The name of a bank that is none is told again, whatever it is.
        "answers": "\n".join(
            one.body.decode() + str(one.headers)
            for one in scenario.told
            if b"No bank" not in one.body
        ),
    }

    assert len(scenario.told) > 400
    assert len(where["log of the server"].splitlines()) > 500
    assert len(where["log of the register"].splitlines()) > 15
    secrets = {name: spellings(value) for name, value in scenario.codes.items()}
    secrets |= {f"key {name}": {key, key[-43:]} for name, key in scenario.keys.items()}
    secrets |= {"file name": {FILE_NAME}, "note": {NOTE}, "URL": {URL_SECRET}}
    for place, text in where.items():
        for name, values in secrets.items():
            assert not [value for value in values if value in text], (place, name)


def follow(scenario: Scenario, folder: Path) -> None:
    """Let the register follow itself as if it were a partner's, well and badly."""
    keys = {"good": scenario.keys["partner"], "bad": "egide_" + "a" * 12 + "_" + "A" * 43}
    with egide.open_store(f"sqlite:///{folder / 'egide.db'}") as store:
        for name, key in keys.items():
            file = folder / f"{name}.key"
            file.write_text(key)
            file.chmod(0o600)
            ChangingStore.of(store).banks.create(f"from-{name}")
            store.upstreams.add(
                name, f"http://127.0.0.1:{scenario.server.port}", str(file),
                remote_bank="helpline", bank=f"from-{name}",
            )  # fmt: skip
        end = time.monotonic() + 20
        while any(one.last_try is None for one in store.upstreams.list()):
            assert time.monotonic() < end, "it does not follow"
            time.sleep(0.1)
    scenario.told.append(scenario.ask("GET", "/v1/upstreams"))


def test_note_is_not_kept_with_an_answer_that_may_be_repeated(tmp_path: Path) -> None:
    """It would outlive its erasure by a day."""
    with serve(tmp_path) as served:
        admin = served.as_role(Role.ADMIN)
        ChangingStore.of(served.service.store).banks.create("helpline")
        entries = {"entries": [{"sha256": "0f" * 32, "note": NOTE}]}
        served.client.post("/v1/banks/helpline/entries", json=entries, headers=admin)
        path, repeated = "/v1/banks/helpline/entries/1", admin | {"Idempotency-Key": "abc"}
        first = served.client.post(f"{path}/confirm", headers=repeated)
        served.client.post(f"{path}/withdraw", headers=admin)
        second = served.client.post(f"{path}/confirm", headers=repeated)

    assert first.json()["note"] == NOTE
    assert second.headers["Idempotent-Replayed"] == "true"
    assert second.json() == first.json() | {"note": ""}
    with closing(sqlite3.connect(tmp_path / "egide.db")) as database:
        assert NOTE not in "\n".join(database.iterdump())


def subclasses(kind: type[errors.EgideError]) -> list[type[errors.EgideError]]:
    return [kind, *(one for sub in kind.__subclasses__() for one in subclasses(sub))]


@pytest.mark.parametrize("kind", subclasses(errors.EgideError), ids=lambda kind: kind.code)
def test_error_of_the_store_or_of_this_machine_tells_clients_nothing(
    kind: type[errors.EgideError],
) -> None:
    """Where the store is, its password with it, stands in the messages for the terminal."""
    secret = f"postgresql+psycopg://egide:{PASSWORD}@db.internal/egide"
    fields = dict.fromkeys(
        ("store", "name", "reason", "found", "expected", "bank", "entry", "upstream", "webhook",
         "limit", "limit_s", "size", "width", "height", "format", "extra", "items", "wanted",
         "columns", "seq", "staff", "state", "action", "key", "quota", "role", "permission",
         "count", "allowed", "line", "signal", "digits", "radius", "remedy", "status", "host",
         "port", "what", "share", "skipped", "ones", "worker", "how", "matcher", "tries",
         "wait_s", "field", "property", "node", "other", "theirs", "ours", "setting"), secret
    )  # fmt: skip
    error = kind(**fields, approval=1, retry_after_s=1, stalled_s=1)
    if not issubclass(kind, errors.StoreError) and error.status < 500:
        return
    if issubclass(kind, errors.Overloaded | errors.NotReady | errors.FetchError):
        return  # made by routes, of words of their own

    told = answer(error)

    assert told.status_code >= 500
    assert PASSWORD.encode() not in bytes(told.body)
    assert b"db.internal" not in bytes(told.body)
    assert PASSWORD not in str(told.headers)
