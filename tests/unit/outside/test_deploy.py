"""The files that a register is deployed with say what is so."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

from egide.server.settings import ServerSettings

ROOT = Path(__file__).parents[3]
DEPLOY = ROOT / "deploy"
SETTING = re.compile(r"^# (?=[a-z_]+ = )", re.MULTILINE)
DIFFERS_BY_PLACE = {"public_url", "decoders", "pages_logo", "pages_helplines"}


@pytest.fixture(autouse=True)
def no_settings(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in list(os.environ):
        if name.startswith("EGIDE_"):
            monkeypatch.delenv(name)


def _environment() -> dict[str, str]:
    lines = (DEPLOY / "environment").read_text("utf-8").splitlines()
    set_here = [line.partition("=") for line in lines if line and not line.startswith("#")]
    return {name: value for name, _, value in set_here}


def test_example_changes_nothing_as_it_stands() -> None:
    assert ServerSettings.load(DEPLOY / "egide.toml") == ServerSettings()


def test_example_names_every_setting_with_its_default(tmp_path: Path) -> None:
    text = SETTING.sub("", (DEPLOY / "egide.toml").read_text("utf-8"))
    assert set(tomllib.loads(text)) == set(ServerSettings.model_fields)
    config = tmp_path / "egide.toml"
    config.write_text(text, "utf-8")
    written = ServerSettings.load(config).model_dump(exclude=DIFFERS_BY_PLACE)
    assert written == ServerSettings().model_dump(exclude=DIFFERS_BY_PLACE)


def test_example_environment_is_accepted(monkeypatch: pytest.MonkeyPatch) -> None:
    described = (ROOT / "docs" / "reference" / "settings.md").read_text("utf-8")
    for name, value in _environment().items():
        assert f"`{name}`" in described
        monkeypatch.setenv(name, value)
    settings = ServerSettings.load(DEPLOY / "egide.toml")
    assert settings.store == "sqlite:////var/lib/egide/egide.db"
    assert settings.limits.max_pixels == int(_environment()["EGIDE_MAX_PIXELS"])


def test_unit_is_accepted_by_systemd(tmp_path: Path) -> None:
    analyze = shutil.which("systemd-analyze")
    if analyze is None:
        pytest.skip("systemd is not installed: the unit was not checked")
    text = (DEPLOY / "egide.service").read_text("utf-8")
    assert text.count("/opt/egide/bin/egide") == 1
    unit = tmp_path / "egide.service"
    # The programme has to exist; where it is installed here is another matter.
    unit.write_text(text.replace("/opt/egide/bin/egide", sys.executable), "utf-8")
    done = subprocess.run(
        [analyze, "verify", unit], capture_output=True, text=True, timeout=60, check=False
    )
    assert (done.returncode, done.stdout + done.stderr) == (0, "")


def test_container_and_unit_run_commands_that_exist() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["project"]
    container = (DEPLOY / "Containerfile").read_text("utf-8")
    (extras,) = re.findall(r"'\.\[([a-z0-9,]+)\]'", container)
    assert set(extras.split(",")) <= set(project["optional-dependencies"])
    assert {"server", "postgresql"} <= set(extras.split(","))
    assert "egide" in project["scripts"]
