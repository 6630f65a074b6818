"""Hostile visitors of the pages: what they send, and the cases and accounts that they are after."""

from __future__ import annotations

import re
import time
from hashlib import sha256
from typing import Any

from httpx2 import Response

from case_samples import app_code
from egide.domain.cases import Case, new_number
from egide.security.one_time_codes import STEP_S
from egide.security.proof_of_work import leading_zero_bits
from egide.usecases.staff import NewAccount, Staffing
from page_visits import ORIGIN, Visitor
from server_samples import Served

PIN = "a kettle of 9 herons"
WRONG_PIN = "a murder of 7 crows"
_SHOWN_NUMBER = re.compile(r"\b\d{4} \d{4} \d{4}\b")


class Hostile(Visitor):
    """Somebody at an address of their own, with scripts of their own."""

    def __init__(self, served: Served, lang: str = "en", address: str = "203.0.113.5") -> None:
        super().__init__(served, lang)
        self.served = served
        self.client = served.another_client(
            base_url=ORIGIN,
            follow_redirects=False,
            client=(address, 40_000),
            raise_server_exceptions=False,
        )

    def token(self) -> str:
        """The token of whatever cookie there is."""
        token: str = self.get("form-token").json()["csrf"]
        return token

    def raw(self, path: str, body: bytes, **headers: str) -> Response:
        """Post bytes as they are, to a path after the language."""
        given = {name.replace("_", "-"): value for name, value in headers.items()}
        return self.client.post(f"/{self.lang}/{path}", content=body, headers=given)

    def proof(self) -> dict[str, Any]:
        """A proof of work, done."""
        challenge = self.post_json("register/challenge", {}).json()["challenge"]
        return {"challenge": challenge, "nonce": solve(challenge)}

    def form(self, *numbers: int, **changes: Any) -> dict[str, Any]:
        """What the images page sends."""
        images = [sent_image(number) for number in numbers or (1,)]
        return self.proof() | {"adult": True, "pin": PIN, "images": images} | changes

    def register(self, *numbers: int) -> str:
        """Register images; return the number of the case, which is signed in to then."""
        answer = self.post_json("register/submit", self.form(*numbers))
        assert answer.status_code == 201, answer.text
        found = _SHOWN_NUMBER.search(self.get("case/card").text)
        assert found
        return found[0].replace(" ", "")

    def sign_in(self, number: str, pin: str = PIN) -> Response:
        """Try a number and a PIN."""
        return self.post("case", {"number": number, "pin": pin})

    def sign_in_as(self, account: NewAccount, step: int = 0) -> Response:
        """Sign in as a member of staff, with the code of now or of some steps later."""
        fields = {"name": account.staff.name, "password": account.password}
        return self.post("staff/sign-in", fields | {"code": code_of(account, step)})


def solve(challenge: str) -> int:
    """Do the work of a challenge."""
    bits = int(challenge.split(".")[1])
    nonce = 0
    while leading_zero_bits(sha256(f"{challenge}:{nonce}".encode()).digest()) < bits:
        nonce += 1
    return nonce


def sent_image(number: int) -> dict[str, Any]:
    """The fingerprints of a made-up picture as a script sends them."""
    pdq = sha256(b"pdq of %d" % number).hexdigest()
    digest = sha256(b"file %d" % number).hexdigest()
    return {"kind": "still", "pdq": pdq, "quality": 90, "sha256": digest}


def case_of(served: Served, number: str) -> Case:
    """The case of a number."""
    found = served.service.store.cases.find("helpline", number)
    assert found is not None
    return served.service.casework.get(found[0])


def number_of_nobody(served: Served) -> str:
    """A number that no case has."""
    while served.service.store.cases.find("helpline", number := new_number()):
        pass
    return number


def account(served: Served, name: str) -> NewAccount:
    """Make an account for a member of staff."""
    return Staffing(served.service.store).create(name)


def code_of(account: NewAccount, step: int = 0) -> str:
    """The code that the app of an account shows now, or some steps later."""
    return app_code(account.uri, time.time() + step * STEP_S)
