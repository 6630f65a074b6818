"""Settings of a served register: from the environment, then from a TOML file.

docs/reference/settings.md lists them all. A setting `name` is `EGIDE_NAME` in the environment and
`name` in the file.
"""

from __future__ import annotations

import json
import os
import tomllib
from ipaddress import IPv4Network, IPv6Network
from pathlib import Path
from typing import Annotated, Any, Literal, Self

from pydantic import (
    AfterValidator,
    BeforeValidator,
    Field,
    PositiveFloat,
    PositiveInt,
    ValidationError,
)
from pydantic_settings import BaseSettings, NoDecode, SettingsConfigDict

from egide.domain.access import Role
from egide.domain.cases import CaseRules
from egide.domain.model import Limits
from egide.errors import SettingInvalid
from egide.net.guard import FetchPolicy
from egide.settings import DEFAULT_STORE, DEFAULT_STORE_TIMEOUT_S, PREFIX, limits_from_environment
from egide.usecases.check import StaleAnswers

CONFIG_VARIABLE = f"{PREFIX}CONFIG"
MIB = 1024 * 1024
_LIMITS = Limits(
    max_file_bytes=32 * MIB,
    max_pixels=50_000_000,
    max_scaled_pixels=210_000_000,
    max_frames=256,
    item_timeout_s=20.0,
    worker_memory_bytes=1024 * MIB,
    max_video_s=3600.0,
    video_timeout_s=60.0,
)
"""Stricter than for an audit, whose owner chose the files: a stranger's WebP of 34 bytes may claim
178 megapixels, take 3 GB, and hold a decoder for a minute."""


_DIVIDED = ("decoders", "max_connections", "max_connections_per_address", "max_waiting")
"""Settings of a server that its workers divide. They share one count of all other limits."""


def _listed(value: object) -> object:
    """Split a value of the environment at its commas."""
    if isinstance(value, str):
        return tuple(part.strip() for part in value.split(",") if part.strip())
    return value


def _named(value: object) -> object:
    """Read a value of the environment as JSON."""
    if isinstance(value, str):
        try:
            return json.loads(value)
        except ValueError:
            raise ValueError("names of keys and public names, as JSON") from None
    return value


def _shown(name: str) -> str:
    """Strip a name to be shown on pages; refuse unprintable ones."""
    text = name.strip()
    if not text or not text.isprintable():
        raise ValueError("a name that cannot be shown")
    return text


PublicName = Annotated[str, Field(max_length=60), AfterValidator(_shown)]
Partners = Annotated[dict[str, PublicName], NoDecode, BeforeValidator(_named)]
Hosts = Annotated[tuple[str, ...], NoDecode, BeforeValidator(_listed)]
Languages = Annotated[
    tuple[Literal["en", "fr"], ...], NoDecode, BeforeValidator(_listed), Field(min_length=1)
]
Ports = Annotated[
    tuple[Annotated[int, Field(ge=1, le=65535)], ...],
    NoDecode,
    BeforeValidator(_listed),
    Field(min_length=1),
]
Networks = Annotated[tuple[IPv4Network | IPv6Network, ...], NoDecode, BeforeValidator(_listed)]


class ServerSettings(BaseSettings):
    """How a register is served; every field is described in docs/reference/settings.md."""

    model_config = SettingsConfigDict(
        env_prefix=PREFIX, extra="forbid", frozen=True, env_ignore_empty=True
    )

    store: str = DEFAULT_STORE
    store_timeout_s: Annotated[float, Field(ge=1)] = DEFAULT_STORE_TIMEOUT_S
    host: str = "127.0.0.1"
    port: Annotated[int, Field(ge=0, le=65535)] = 8000
    public_url: str | None = None
    workers: PositiveInt = 1
    decoders: PositiveInt = os.cpu_count() or 1

    max_body_bytes: PositiveInt = 16 * MIB
    max_small_body_bytes: Annotated[int, Field(ge=4096)] = 64 * 1024
    max_upload_bytes: PositiveInt = 64 * MIB
    max_buffered_bytes: PositiveInt = 512 * MIB
    header_timeout_s: PositiveFloat = 15.0
    body_timeout_s: PositiveFloat = 30.0
    keep_alive_s: PositiveInt = 30
    write_timeout_s: PositiveFloat = 20.0
    answer_timeout_s: PositiveFloat = 600.0
    max_batch: Annotated[int, Field(ge=1, le=10_000)] = 10_000
    max_batch_files: PositiveInt = 32
    max_requests: PositiveInt = 256
    keys_share: Annotated[float, Field(ge=0, le=0.4)] = 0.25
    leaving_share: Annotated[float, Field(ge=0, le=0.4)] = 0.125
    max_requests_per_address: PositiveInt = 8
    max_requests_per_key: PositiveInt = 16
    max_connections: PositiveInt = 1024
    max_connections_per_address: PositiveInt = 128
    max_waiting: PositiveInt = 128
    max_requests_per_second: PositiveInt = 1000
    max_failures_per_minute: PositiveInt = 30

    ready_max_age_s: PositiveFloat = 10.0
    stale_after_s: PositiveFloat = 30.0
    stale_answers: StaleAnswers = StaleAnswers.REVIEW
    block_by_part: bool = False
    forget_after_s: PositiveFloat = 900.0
    idempotency_ttl_s: PositiveFloat = 86_400.0
    bulk_limit: PositiveInt = 1000
    graceful_timeout_s: PositiveInt = 30

    fetch_hosts: Hosts = ()
    fetch_networks: Networks = ()
    fetch_ports: Ports = (443, 80)
    fetch_allow_http: bool = False
    fetch_timeout_s: PositiveFloat = 10.0
    webhook_networks: Networks = ()
    sync_interval_s: PositiveFloat = 2.0
    sync_networks: Networks = ()

    hma_enabled: bool = False
    hma_networks: Networks = ()
    hma_role: Role = Role.MATCHER
    hma_at_root: bool = False
    hma_own_hash: bool = False

    pages: bool = False
    pages_bank: str = "helpline"
    pages_languages: Languages = ("en", "fr")
    pages_name: Annotated[str, Field(min_length=1, max_length=60)] = "Egide"
    pages_contact: Annotated[str, Field(max_length=200)] = ""
    pages_colour: str = "#2c5f6b"
    pages_logo: Path | None = None
    pages_helplines: Path | None = None
    pages_partners: Partners = Field(default_factory=dict)
    pages_exit_url: Annotated[str, Field(pattern=r"^https://[^\s/?#@]+(/\S*)?$")] = (
        "https://www.wikipedia.org/"
    )
    case_lifetime_days: Annotated[int, Field(ge=61, le=3650)] = 730
    case_max_images: Annotated[int, Field(ge=1, le=1000)] = 100
    cases_per_hour: PositiveInt = 5
    case_proof_bits: Annotated[int, Field(ge=0, le=30)] = 18
    trusted_proxies: Networks = ()

    metrics_networks: Networks = ()
    log_format: Literal["json", "text"] = "json"
    log_level: Literal["debug", "info", "warning", "error"] = "info"

    @classmethod
    def load(cls, config: Path | None = None, **given: Any) -> Self:
        """Read the settings.

        Args:
            config: a TOML file; by default the one that EGIDE_CONFIG names, if any.
            given: settings that override the environment; None values are ignored.

        Raises:
            SettingInvalid: it names the setting or the file.
            UsageError: a limit on pictures is not a positive number.
        """
        named = os.environ.get(CONFIG_VARIABLE)
        path = config or (Path(named) if named else None)
        values = {} if path is None else _read_toml(path)
        unknown = sorted(set(values) - set(cls.model_fields))
        if unknown:
            raise SettingInvalid(name=unknown[0], reason=f"{path} sets it, but it does not exist")
        present = {name.upper() for name in os.environ if os.environ[name]}
        from_file = {
            name: value
            for name, value in values.items()
            if f"{PREFIX}{name.upper()}" not in present
        }
        chosen = from_file | {name: value for name, value in given.items() if value is not None}
        try:
            settings = cls(**chosen)
        except ValidationError as error:
            first = error.errors(include_url=False, include_context=False, include_input=False)[0]
            name = str(first["loc"][0]) if first["loc"] else "?"
            raise SettingInvalid(name=name, reason=first["msg"].lower()) from None
        settings.check()
        return settings

    def check(self) -> None:
        """Check now what would otherwise fail later.

        Raises:
            SettingInvalid, UsageError: see `fetch_policy` and `limits`; or there are more workers
                than what is divided among them.
        """
        _ = self.fetch_policy, self.limits
        for name in _DIVIDED:
            most = getattr(self, name)
            if self.workers > most and (name != "decoders" or name in self.model_fields_set):
                reason = f"{name} is {most}, and each of {self.workers} workers needs one"
                raise SettingInvalid(name="workers", reason=reason)

    def of_worker(self, worker: int) -> Self:
        """The settings of one of the workers, which has its part of what is divided."""
        parts = {}
        for name in _DIVIDED:
            part, rest = divmod(max(getattr(self, name), self.workers), self.workers)
            parts[name] = part + (worker < rest)
        return self.model_copy(update=parts)

    @property
    def limits(self) -> Limits:
        """The limits on decoding one picture, from the environment.

        Raises:
            UsageError: a value is not a positive number.
        """
        return limits_from_environment(defaults=_LIMITS)

    @property
    def case_rules(self) -> CaseRules:
        """The rules of cases: their lifetime and number of images."""
        return CaseRules(max_images=self.case_max_images, lifetime_days=self.case_lifetime_days)

    @property
    def fetch_policy(self) -> FetchPolicy:
        """Which URLs may be fetched, and how much of them.

        Raises:
            SettingInvalid: an item of `fetch_hosts` is not a host.
        """
        try:
            return FetchPolicy(
                self.fetch_hosts,
                allowed_networks=self.fetch_networks,
                ports=self.fetch_ports,
                schemes=("https", "http") if self.fetch_allow_http else ("https",),
                max_bytes=self.max_upload_bytes,
                timeout_s=self.fetch_timeout_s,
            )
        except SettingInvalid as error:
            raise SettingInvalid(name="fetch_hosts", reason=error.fields["reason"]) from error


def _read_toml(path: Path) -> dict[str, Any]:
    try:
        with path.open("rb") as file:
            return tomllib.load(file)
    except OSError as error:
        reason = f"{path} cannot be read: {(error.strerror or '').lower()}"
        raise SettingInvalid(name=CONFIG_VARIABLE, reason=reason) from error
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise SettingInvalid(name=CONFIG_VARIABLE, reason=f"{path} is no TOML: {error}") from error
