"""Bodies of the matching routes, for the OpenAPI document and for tests.

Answers are written without these models, for speed: a batch has ten thousand of them.
"""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field

from egide.domain.coverage import GapKind
from egide.domain.model import (
    DIGEST_SIGNALS,
    FILE_SIGNALS,
    MAX_ANCHORED_QUERY,
    Signal,
    Transform,
    Trust,
)
from egide.domain.origin import OriginKind
from egide.domain.policy import Action, Reason
from egide.server.api.schemas.common import NAME_PATTERN
from egide.server.http.kinds import MAX_BATCH_ANCHORED

_HEX_64 = r"^[0-9a-fA-F]{64}$"
_HEX_32 = r"^[0-9a-fA-F]{32}$"
MAX_BANKS = 100
"""Most names of banks in a request."""
EXAMPLE_PDQ = "f8f8f0cee0f4a84f06370a22038f63f0b36e2ed596621e1d33e6b39c4e9c9b22"


_FILE_HASHES = ("pdq", *(signal.value for signal in FILE_SIGNALS))
_HASHES = ("pdq", *(signal.value for signal in DIGEST_SIGNALS))


def _one_of(*names: str) -> ConfigDict:
    return ConfigDict(
        extra="forbid",
        json_schema_extra={
            "anyOf": [
                {
                    "required": [name],
                    "properties": {name: {"type": "array" if name == "anchored" else "string"}},
                }
                for name in names
            ]
        },
    )


class ComparedQuery(BaseModel):
    """The fingerprint of one picture: at least one of these, in hexadecimal digits."""

    model_config = _one_of(*_FILE_HASHES)

    pdq: str | None = Field(None, pattern=_HEX_64, examples=[EXAMPLE_PDQ])
    sha256: str | None = Field(None, pattern=_HEX_64)
    sha1: str | None = Field(None, pattern=r"^[0-9a-fA-F]{40}$")
    md5: str | None = Field(None, pattern=_HEX_32)


class FingerprintQuery(ComparedQuery):
    """The fingerprint of one picture or its address: at least one, in hexadecimal digits."""

    model_config = _one_of(*_HASHES, "anchored")

    url_sha256: str | None = Field(None, pattern=_HEX_64)
    url_md5: str | None = Field(None, pattern=_HEX_32)
    anchored: list[Annotated[str, Field(pattern=_HEX_64)]] | None = Field(
        None,
        min_length=1,
        max_length=MAX_ANCHORED_QUERY,
        description="Hashes of its regions, each as it is and mirrored: they find crops, and the "
        f"picture in collages. A request may have {MAX_BATCH_ANCHORED:,} of them.",
    )


class FingerprintsQuery(BaseModel):
    """Fingerprints to search for."""

    model_config = ConfigDict(
        extra="forbid", json_schema_extra={"examples": [{"fingerprints": [{"pdq": EXAMPLE_PDQ}]}]}
    )

    fingerprints: list[FingerprintQuery] = Field(min_length=1, max_length=10_000)
    banks: list[str] | None = Field(
        None, min_length=1, max_length=MAX_BANKS, description="Search only these."
    )


class UrlQuery(BaseModel):
    """A picture to fetch from an allowed host and to search for."""

    model_config = ConfigDict(extra="forbid")

    url: str = Field(max_length=2048, examples=["https://media.example.org/upload/1.jpg"])
    banks: list[str] | None = Field(None, min_length=1, max_length=MAX_BANKS)


class CompareQuery(BaseModel):
    """Two fingerprints, compared by what both have."""

    model_config = ConfigDict(extra="forbid")

    a: ComparedQuery
    b: ComparedQuery


class DecisionAnswer(BaseModel):
    """What to do, and why."""

    action: Action
    reasons: list[Reason]


class RectangleAnswer(BaseModel):
    """A part of a frame, in stored pixels from its top left corner."""

    left: int
    top: int
    width: int
    height: int


class AnchoredAnswer(BaseModel):
    """How much of an entry's picture was found by its anchored hashes."""

    met: int = Field(description="How many of the entry's anchored hashes were met.")
    registered: int = Field(description="How many it has.")


class SpanAnswer(BaseModel):
    """A part of a video's time, in milliseconds from its first frame."""

    start_ms: int
    end_ms: int


class VideoAnswer(BaseModel):
    """Where a video shows an entry, or a picture is like a frame of a registered video."""

    frames: int = Field(description="How many frames of what was asked agree, in time too.")
    query: SpanAnswer | None = Field(
        description="When they are seen in the video that was asked; null if it is a picture."
    )
    entry: SpanAnswer | None = Field(
        description="When they are seen in the registered video; null if a picture is registered."
    )
    speed: float = Field(description="How much faster it runs than the registered video.")
    agreeing_ms: int = Field(description="For how long they are seen; 0 if it is a picture.")
    whole: bool = Field(
        description="Whether they are most of both videos. Else only a part matched."
    )


class OriginAnswer(BaseModel):
    """Where an entry came from."""

    kind: OriginKind
    source: str = Field(description="As the entry has it.")
    added: datetime
    by: str | None = Field(description="The name of the key that added it, or of the partner.")
    through: str | None = Field(description="The list, case or folder that the sender named.")


class MatchAnswer(BaseModel):
    """One entry that the picture matches."""

    bank: str
    entry: int
    signal: Signal
    distance: int | None = Field(
        description="In bits of 256; 0 for an exact digest, the smallest one of anchored hashes."
    )
    transform: Transform | None = Field(
        description="The transformation from the registered picture to this one; null for "
        "`pdq-anchored`."
    )
    trust: Trust
    frame: int = Field(description="Of an animation; 0 for a still picture.")
    rectangle: RectangleAnswer | None = Field(
        description="The part of the frame that matched; null for all of it, and for "
        "`pdq-anchored`, which does not tell where."
    )
    anchored: AnchoredAnswer | None = Field(description="For `pdq-anchored` only.")
    video: VideoAnswer | None = Field(
        description="If this is a video or the entry is one, and its frames match by `pdq`."
    )
    origin: OriginAnswer | None = Field(
        None, description="For keys that may read entries; others' answers do not have it."
    )


class NotLookedAt(BaseModel):
    """A part of a picture that was not looked at: `no match` says nothing about it."""

    kind: Literal[GapKind.FRAME, GapKind.PIXELS]
    count: int = Field(description="How many frames; of missing pixels 1.")
    code: str
    message: str = Field(description="Why, and the remedy.")


class Answer(BaseModel):
    """The answer for one picture."""

    decision: DecisionAnswer
    matches: list[MatchAnswer] = Field(description="Those that stand, nearest first.")
    vetoed: list[MatchAnswer] = Field(description="Matches that `vetoed_by` takes away.")
    vetoed_by: list[MatchAnswer] = Field(description="Matches in negative banks.")
    matchable: bool = Field(
        description="False if the picture has too little detail: only identical files match."
    )
    not_looked_at: list[NotLookedAt] = Field(
        [], description="Frames and missing pixels of a file; absent if it was read in full."
    )


class SearchedAnswer(BaseModel):
    """What was searched for an answer, and what was not."""

    revision: int = Field(description="The register's revision that was searched.")
    age_s: float = Field(description="How many seconds of the register's changes may be missing.")
    stale: bool = Field(
        description="Whether the store has been silent for longer than `stale_after_s`: new "
        "entries and withdrawals may be missing."
    )
    nothing_to_compare: bool = Field(
        description="Whether no searched bank holds an entry that can match. Then nothing was "
        "compared, and `allow` means nothing."
    )
    disabled_banks: list[str] = Field(
        description="Requested banks, by name or by the key's scope, that were not searched "
        "because they are disabled."
    )


class MatchResponse(Answer, SearchedAnswer):
    """The answer for one picture, with what was searched."""


class BatchResponse(SearchedAnswer):
    """One answer for each fingerprint, in order."""

    results: list[Answer]


class FileProblem(BaseModel):
    """Why one file of several could not be used."""

    code: str
    detail: str


class FileAnswer(BaseModel):
    """One file's answer, or its problem."""

    decision: DecisionAnswer | None = None
    matches: list[MatchAnswer] | None = None
    vetoed: list[MatchAnswer] | None = None
    vetoed_by: list[MatchAnswer] | None = None
    matchable: bool | None = None
    not_looked_at: list[NotLookedAt] = []
    problem: FileProblem | None = None


class FilesResponse(SearchedAnswer):
    """One answer for each file, in order."""

    results: list[FileAnswer]


class CompareResponse(BaseModel):
    """The distance between two pictures."""

    distance: int | None = Field(description="Of their PDQ, in bits of 256; null if unknown.")
    transform: Transform | None = Field(
        description="The transformation from `a` to `b` at this distance; null if unknown."
    )
    same_file: bool | None = Field(description="By digest; null if they share no kind of digest.")
    within_default_radius: bool | None


class BankStatus(BaseModel):
    """A bank that the key reaches."""

    name: str
    entries: int = Field(description="Active entries.")
    radius_bits: int
    enabled: bool


class StatusResponse(BaseModel):
    """What the register is, and how current its answers are."""

    store_id: str
    revision: int = Field(description="The revision that is searched.")
    age_s: float = Field(description="Since the index was last known to be current.")
    stale: bool = Field(description="As in the answers of `/match`.")
    ready: bool
    banks: list[BankStatus]
    version: str


def body_of(
    json: type[BaseModel] | None,
    *,
    files: int | None = None,
    min_files: int = 1,
    banks: bool = True,
) -> dict[str, Any]:
    """Describe a body that a route reads by itself, for `openapi_extra`.

    Args:
        json: the model of a JSON body, if allowed.
        files: the most parts named `file` in a form, if a form is allowed.
        min_files: the fewest such parts.
        banks: whether a form may name a bank.
    """
    content: dict[str, Any] = {}
    if json is not None:
        schema = json.model_json_schema(ref_template="#/components/schemas/{model}")
        schema.pop("$defs", None)
        content["application/json"] = {"schema": schema}
    if files is not None:
        one = {"type": "string", "format": "binary"}
        several = {"type": "array", "items": one, "minItems": min_files, "maxItems": files}
        fields: dict[str, Any] = {"file": one if files == 1 else several}
        if banks:
            fields["bank"] = {"type": "string", "pattern": NAME_PATTERN}
        content["multipart/form-data"] = {
            "schema": {
                "type": "object",
                "required": ["file"],
                "properties": fields,
                "additionalProperties": False,
            }
        }
    return {"requestBody": {"required": True, "content": content}}
