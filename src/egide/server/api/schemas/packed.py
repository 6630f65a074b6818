"""Answers to audits elsewhere, for the OpenAPI document and for tests."""

from __future__ import annotations

from datetime import datetime

from pydantic import BaseModel, Field

from egide.domain.model import BankKind, Signal, Transform, Trust
from egide.server.api.schemas.matching import AnchoredAnswer


class SearchedBank(BaseModel):
    """A bank that is searched."""

    name: str
    kind: BankKind
    radius_bits: int
    entries: int = Field(description="Active entries.")
    anchored: int = Field(description="How many of them have anchored hashes.")


class SearchedBanks(BaseModel):
    """What a match is compared with, and how much a key may ask."""

    store_id: str
    revision: int
    revision_at: datetime
    banks: list[SearchedBank]
    disabled_banks: list[str] = Field(description="Requested banks that are not searched.")
    signals: list[Signal] = Field(
        description="The kinds of fingerprint that their entries hold; no other can match. "
        "Anchored hashes are counted with each bank."
    )
    keypoints: bool = Field(
        description="Whether entries have keypoints, which nobody can ask for over the network."
    )
    max_records: int = Field(description="Most records of a body of `/match/packed`.")
    max_anchored_records: int = Field(description="Most of anchored hashes.")
    per_second: int = Field(description="The key's rate, in records.")
    per_day: int = Field(description="The key's quota, in records.")


class PackedMatch(BaseModel):
    """One entry that a record matches."""

    query: int = Field(description="The record's position in the body, from 0.")
    bank: str
    entry: int
    signal: Signal
    distance: int = Field(description="As in the answers of `/match`.")
    transform: Transform | None
    trust: Trust
    anchored: AnchoredAnswer | None


class PackedResponse(BaseModel):
    """What the records of a body match."""

    count: int = Field(description="How many records were read and searched for.")
    store_id: str
    revision: int = Field(description="The register's revision that was searched.")
    stale: bool = Field(description="As in the answers of `/match`.")
    banks: list[str] = Field(description="Those that were searched.")
    disabled_banks: list[str]
    matches: list[PackedMatch] = Field(
        description="In the order of the records; with entries of negative banks too."
    )
