from __future__ import annotations

from ipaddress import ip_network
from pathlib import Path

import pytest

from egide.domain.access import Role
from egide.errors import SettingInvalid, UsageError
from egide.server.settings import ServerSettings


@pytest.fixture(autouse=True)
def no_settings(monkeypatch: pytest.MonkeyPatch) -> None:
    import os

    for name in list(os.environ):
        if name.startswith("EGIDE_"):
            monkeypatch.delenv(name)


def _file(folder: Path, text: str) -> Path:
    path = folder / "egide.toml"
    path.write_text(text, "utf-8")
    return path


def test_option_comes_before_environment_before_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    config = _file(tmp_path, 'host = "192.0.2.1"\nport = 1\nworkers = 7\n')
    monkeypatch.setenv("EGIDE_PORT", "2")
    monkeypatch.setenv("EGIDE_WORKERS", "5")
    settings = ServerSettings.load(config, workers=3, host=None)
    assert (settings.host, settings.port, settings.workers) == ("192.0.2.1", 2, 3)


def test_file_is_named_by_the_environment(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("EGIDE_CONFIG", str(_file(tmp_path, "port = 4\n")))
    assert ServerSettings.load().port == 4


def test_lists_are_separated_by_commas_in_the_environment(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("EGIDE_FETCH_HOSTS", "media.example.org, *.example.net")
    config = _file(tmp_path, 'hma_networks = ["10.0.0.0/8", "fd00::/8"]\nhma_role = "curator"\n')
    settings = ServerSettings.load(config)
    assert settings.fetch_hosts == ("media.example.org", "*.example.net")
    assert settings.hma_networks == (ip_network("10.0.0.0/8"), ip_network("fd00::/8"))
    assert settings.hma_role is Role.CURATOR


@pytest.mark.parametrize(
    ("text", "name"),
    [
        ("prot = 8000", "prot"),
        ("port = 70000", "port"),
        ('port = "high"', "port"),
        ('hma_role = "king"', "hma_role"),
        ('metrics_networks = ["10.0.0.1/8"]', "metrics_networks"),
        ("body_timeout_s = 0", "body_timeout_s"),
        ("max_batch = 10001", "max_batch"),
        ('fetch_hosts = ["https://example.org/"]', "fetch_hosts"),
        ("not toml", "EGIDE_CONFIG"),
    ],
)
def test_wrong_file_is_an_error_that_names_the_setting(
    text: str, name: str, tmp_path: Path
) -> None:
    with pytest.raises(SettingInvalid) as caught:
        ServerSettings.load(_file(tmp_path, text))
    assert str(caught.value.fields["name"]).lower().endswith(name.lower())


def test_absent_file_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(SettingInvalid, match="no such file"):
        ServerSettings.load(tmp_path / "none.toml")


def test_error_never_shows_the_value(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("EGIDE_PORT", "secret")
    with pytest.raises(SettingInvalid) as caught:
        ServerSettings.load()
    assert "secret" not in caught.value.message


def test_wrong_limit_on_pictures_stops_the_start(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("EGIDE_MAX_PIXELS", "many")
    with pytest.raises(UsageError, match="EGIDE_MAX_PIXELS"):
        ServerSettings.load()
