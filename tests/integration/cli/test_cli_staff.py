"""Accounts of a helpline's workers, as whoever runs the register meets them."""

from __future__ import annotations

import re
import time
from pathlib import Path

import numpy as np
import pytest

import egide as library
from case_samples import app_code
from commands import egide_in
from egide.cli.staff import qr_code
from egide.cli.terminal import draw
from egide.usecases.staff import Staffing

HERE = "192.0.2.1"


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    with library.open_store(f"sqlite:///{tmp_path}/egide.db", create=True):
        return tmp_path


def opens(folder: Path, name: str, password: str, uri: str) -> bool:
    code = app_code(uri, time.time())
    with library.open_store(f"sqlite:///{folder}/egide.db") as store:
        try:
            return Staffing(store).sign_in(name, password, code, origin=HERE).name == name
        except library.EgideError:
            return False


def test_password_and_uri_are_printed_once_and_open_the_account(folder: Path) -> None:
    done = egide_in(folder, "staff", "add", "amina", "--issuer", "Helpline")
    assert done.code == 0
    found = re.fullmatch(r"password ((?:\w{4}-){3}\w{4})\n(otpauth://totp/\S+)\n", done.out)
    assert found is not None
    assert "once" in done.err
    assert found[1] not in done.err  # a terminal may keep what errors say
    assert "issuer=Helpline" in found[2]
    assert opens(folder, "amina", found[1], found[2])
    later = egide_in(folder, "staff", "list", "--json").out
    assert found[1] not in later
    assert found[2] not in later


def test_first_account_makes_the_store(tmp_path: Path) -> None:
    assert egide_in(tmp_path, "staff", "add", "amina").code == 0
    assert (tmp_path / "egide.db").exists()


def test_machines_get_json(folder: Path) -> None:
    made = egide_in(folder, "staff", "add", "Amina", "--json").json()
    assert (made["name"], made["state"], made["disabled"]) == ("amina", "enabled", None)
    assert opens(folder, "amina", made["password"], made["uri"])
    (listed,) = egide_in(folder, "staff", "list", "--json").json()
    assert listed == {key: made[key] for key in ("name", "created", "disabled", "state")}


def test_reset_replaces_both_and_says_so_of_a_disabled_account(folder: Path) -> None:
    old = egide_in(folder, "staff", "add", "amina", "--json").json()
    new = egide_in(folder, "staff", "reset", "amina", "--json").json()
    assert not opens(folder, "amina", old["password"], old["uri"])
    assert opens(folder, "amina", new["password"], new["uri"])
    egide_in(folder, "staff", "disable", "amina")
    assert "still disabled" in egide_in(folder, "staff", "reset", "amina").err


def test_disabled_account_is_listed_as_such_and_opens_nothing(folder: Path) -> None:
    made = egide_in(folder, "staff", "add", "amina", "--json").json()
    done = egide_in(folder, "staff", "disable", "amina")
    assert (done.code, done.out) == (0, "Account amina is disabled and signed out.\n")
    assert "disabled" in egide_in(folder, "staff", "list").out
    assert not opens(folder, "amina", made["password"], made["uri"])
    assert egide_in(folder, "staff", "enable", "amina", "--json").json()["state"] == "enabled"
    assert opens(folder, "amina", made["password"], made["uri"])


def test_removed_account_is_gone_and_its_name_free(folder: Path) -> None:
    egide_in(folder, "staff", "add", "amina")
    assert egide_in(folder, "staff", "remove", "amina").code == 0
    assert egide_in(folder, "staff", "list").out.startswith("No accounts yet")
    assert egide_in(folder, "staff", "add", "amina").code == 0


@pytest.mark.parametrize("act", ["reset", "disable"])
def test_unknown_account_is_an_error_with_its_code(folder: Path, act: str) -> None:
    done = egide_in(folder, "staff", act, "nobody", "--json")
    assert done.code == 3
    assert done.json()["error"]["code"] == "staff-missing"


def test_name_that_is_taken_or_none_is_refused(folder: Path) -> None:
    egide_in(folder, "staff", "add", "amina")
    taken = egide_in(folder, "staff", "add", "AMINA", "--json")
    assert (taken.code, taken.json()["error"]["code"]) == (3, "staff-exists")
    wrong = egide_in(folder, "staff", "add", "a b", "--json")
    assert (wrong.code, wrong.json()["error"]["code"]) == (2, "name-invalid")


def test_qr_code_fits_a_small_terminal_and_reads_back(capsys: pytest.CaptureFixture[str]) -> None:
    cv2 = pytest.importorskip("cv2")
    uri = f"otpauth://totp/Helpline:amina.of.the.helpline?secret={'A' * 32}&issuer=Helpline"
    draw(qr_code(uri))
    lines = capsys.readouterr().err.splitlines()
    assert len(lines) <= 24
    # White on black, whatever the terminal's own colours are.
    assert all(line.startswith("\x1b[97;40m") and line.endswith("\x1b[0m") for line in lines)
    drawn = [line.removeprefix("\x1b[97;40m").removesuffix("\x1b[0m") for line in lines]
    light = {"█": (1, 1), "▀": (1, 0), "▄": (0, 1), " ": (0, 0), "\u00a0": (0, 0)}
    rows = [[light[char][half] for char in line] for line in drawn for half in (0, 1)]
    size = len(rows[0])
    pixels = np.kron(np.array(rows[:size], np.uint8) * 255, np.ones((8, 8), np.uint8))
    read, *_ = cv2.QRCodeDetector().detectAndDecode(pixels)
    assert read == uri
