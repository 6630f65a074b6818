"""Client for another register's API v1: read its changes, send it feedback.

An answer comes from another organisation and may be damaged or hostile. It is used only if all of
it conforms to API v1.
"""

from __future__ import annotations

import hashlib
import json
import re
from datetime import UTC
from typing import TYPE_CHECKING, Any
from urllib.parse import urlencode

from egide.domain.model import (
    DIGEST_SIGNALS,
    MAX_ANCHORED,
    PDQ_BYTES,
    SIGNAL_BYTES,
    AnchoredHashes,
    BankKind,
    Signal,
    State,
    Trust,
)
from egide.domain.partners import RemoteChanges, RemoteEntry, RemoteFeedback, RemoteVideo
from egide.domain.video import MAX_VIDEO_FRAMES, VIDEO_VERSION, Track
from egide.errors import (
    AnchoredInvalid,
    FetchError,
    FetchRefused,
    FetchTimeout,
    FetchTooLarge,
    SettingInvalid,
    SyncError,
    UpstreamRefused,
    VideoInvalid,
)
from egide.net.answers import AnswerInvalidError, Node, read_json
from egide.net.connect import read_answer, request
from egide.net.deadline import Deadline
from egide.net.guard import FetchPolicy, check_url

if TYPE_CHECKING:
    from collections.abc import Sequence

    from egide.net.addresses import Network

MAX_PAGE = 1000
"""Most entries in one request for changes."""
MAX_CODES = 1024
"""Most PDQ codes of one entry; an animation has at most `Limits.max_frames`, 512 by default."""
MAX_ANSWER_BYTES = 32 * 1024 * 1024
_ITEMS_AROUND = 64
_ITEMS_OF_ENTRY = MAX_CODES + MAX_ANCHORED + 32
_ITEMS_OF_VIDEOS = 3 * (100_000 + MAX_VIDEO_FRAMES)
# Codes and times: a page ends with the video that has its 100,000th code.
KEY = re.compile(r"[!-~]{1,512}")
"""The form of another register's key."""
_STORE_ID = re.compile(r"[A-Za-z0-9_-]{1,64}")
_BANK = re.compile(r"[A-Za-z0-9._-]{1,64}")
_STATES = frozenset(State)
_KINDS = frozenset(BankKind)
_TRUSTS = frozenset(Trust)
_DONE = frozenset({200, 201, 202, 204})


def partner_policy(
    url: str, *, allowed_networks: tuple[Network, ...] = (), allow_http: bool = False, **bounds: Any
) -> FetchPolicy:
    """Return the policy to fetch from one partner's register; also validates a new partner's URL.

    A URL of this machine itself is allowed, even without encryption: nothing leaves the machine.

    Args:
        url: of the register, without `/v1`.
        allowed_networks: private networks, in addition to the public internet.
        allow_http: also without encryption, which shows the key to everyone on the way.
        bounds: further fields of the policy; by default 30 s and 32 MiB.

    Raises:
        FetchRefused: the URL cannot be a register's.
    """
    return FetchPolicy.for_url(
        url,
        allowed_networks=allowed_networks,
        allow_http=allow_http,
        allow_loopback=True,
        **{"timeout_s": 30.0, "max_bytes": MAX_ANSWER_BYTES, **bounds},
    )


class RegisterClient:
    """Client for one register. It keeps no connection, so it needs no closing.

    Args:
        url: of the register, without `/v1`; it may have a path.
        key: for that register, with the role `partner`. No message and no `repr` shows it.
        policy: what may be reached; `partner_policy` makes it.
        name: of the register in errors; its host by default.

    Raises:
        FetchRefused: the policy forbids the URL.
        SettingInvalid: the key is empty or contains invalid characters.
    """

    def __init__(self, url: str, key: str, policy: FetchPolicy, *, name: str = "") -> None:
        base = check_url(url, policy)
        if "?" in url or "#" in url:
            raise FetchRefused(reason="a register's URL has no query")
        if not KEY.fullmatch(key):
            raise SettingInvalid(name="key", reason="it is empty or has spaces in it")
        self.name = name or base.host
        self._url = url.rstrip("/")
        self._key = key
        self._policy = policy

    def __repr__(self) -> str:
        return f"RegisterClient({self.name!r})"

    def changes(
        self,
        since: int,
        after: int | None = None,
        limit: int = MAX_PAGE,
        bank: str | None = None,
        only_ended: bool = False,
    ) -> RemoteChanges:
        """Ask for the next page of changes after a position.

        Args:
            since: the last known revision; 0 for the start.
            after: the last known entry of revision `since`; None if all of them are known.
            limit: most entries in the page, 1 to `MAX_PAGE`.
            bank: the only bank to ask for.
            only_ended: leave out active entries.

        Raises:
            UpstreamRefused: the register rejects the key.
            SyncError: the register cannot be reached, or its answer is invalid.
        """
        query: dict[str, str | int] = {"since": since, "limit": limit}
        if after is not None:
            query["after"] = after
        if bank is not None:
            query["bank"] = bank
        if only_ended:
            query["only"] = "ended"
        body = self._get(f"/v1/changes?{urlencode(query)}")
        try:
            page = _changes(
                read_json(
                    body, max_items=_ITEMS_AROUND + limit * _ITEMS_OF_ENTRY + _ITEMS_OF_VIDEOS
                ),
                limit,
            )
            _require_progress(page, (since, after))
            if any(bank not in {None, entry.bank} for entry in page.entries):
                raise AnswerInvalidError("entries of another bank")
            if only_ended and any(entry.state is State.ACTIVE for entry in page.entries):
                raise AnswerInvalidError("active entries")
        except AnswerInvalidError as error:
            raise self._invalid(error) from None
        return page

    def send_feedback(self, feedback: Sequence[RemoteFeedback]) -> None:
        """Tell the register what became of matches. Sending the same again counts once.

        Raises:
            UpstreamRefused: the register rejects the key.
            SyncError: the register cannot be reached, or did not accept all of it.
        """
        body = json.dumps(
            {
                "feedback": [
                    {
                        "entry": said.entry,
                        "bank": said.bank,
                        "kind": said.kind,
                        "at": said.at.astimezone(UTC).isoformat().replace("+00:00", "Z"),
                    }
                    for said in feedback
                ]
            }
        ).encode("ascii")
        # Derived from the body: a repetition after a lost answer counts once.
        once = hashlib.sha256(body).hexdigest()
        headers = {"Content-Type": "application/json", "Idempotency-Key": once}
        self._ask("POST", "/v1/feedback", headers, body)

    def _get(self, path: str) -> bytes:
        return self._ask("GET", path, {}, None)

    def _ask(self, method: str, path: str, headers: dict[str, str], body: bytes | None) -> bytes:
        deadline = Deadline.after(self._policy.timeout_s)
        headers |= {"Accept": "application/json", "Authorization": f"Bearer {self._key}"}
        try:
            target = check_url(self._url + path, self._policy)
            with request(
                method, target, self._policy, deadline, headers=headers, body=body
            ) as response:
                if response.status in {401, 403}:
                    raise UpstreamRefused(upstream=self.name, status=response.status)
                # A redirect is not followed: it would receive the key.
                if response.status not in ({200} if body is None else _DONE):
                    raise SyncError(
                        upstream=self.name, reason=f"it answered with status {response.status}"
                    )
                if body is not None:
                    return b""
                if response.headers.get_content_type() != "application/json":
                    raise self._invalid(AnswerInvalidError("no JSON"))
                return read_answer(response, min(self._policy.max_bytes, MAX_ANSWER_BYTES))
        except FetchTimeout as error:
            raise SyncError(upstream=self.name, reason="it did not answer in time") from error
        except FetchTooLarge as error:
            raise SyncError(upstream=self.name, reason="its answer is too large") from error
        except FetchError as error:
            raise SyncError(upstream=self.name, reason=str(error.fields["reason"])) from error

    def _invalid(self, error: AnswerInvalidError) -> SyncError:
        return SyncError(upstream=self.name, reason=f"its answer is not as promised ({error})")


def _changes(root: Node, limit: int) -> RemoteChanges:
    following = root.get("next")
    return RemoteChanges(
        entries=tuple(map(_entry, root.get("entries").items(limit))),
        next_since=following.get("since").integer(0),
        next_after=following.get("after").integer(0),
        revision=root.get("revision").integer(0),
        store_id=root.get("store_id").text(_STORE_ID),
        more=root.get("more").boolean(),
    )


def _entry(node: Node) -> RemoteEntry:
    state = State(node.get("state").one_of(_STATES))
    kind = node.optional("bank_kind")  # a register of before negative banks has none
    quality, expires = node.get("quality"), node.get("expires")
    pdqs, digests = _fingerprint(node.get("fingerprint"))
    anchored, anchored_refused = _anchored(node.get("fingerprint"))
    video = _video(node.get("fingerprint"), pdqs)
    if state is State.ACTIVE and not (pdqs or digests):
        raise node.get("fingerprint").error()
    if state in {State.WITHDRAWN, State.EXPIRED}:
        # If a register sends them nevertheless, the withdrawal must still take effect here.
        pdqs, digests, video = (), {}, None
        anchored, anchored_refused = None, False
    return RemoteEntry(
        id=node.get("id").integer(1),
        bank=node.get("bank").text(_BANK),
        revision=node.get("revision").integer(1),
        state=state,
        trust=Trust(node.get("trust").one_of(_TRUSTS)),
        pdqs=pdqs,
        sha256=digests.get(Signal.SHA256),
        sha1=digests.get(Signal.SHA1),
        md5=digests.get(Signal.MD5),
        url_sha256=digests.get(Signal.URL_SHA256),
        url_md5=digests.get(Signal.URL_MD5),
        quality=None if quality.missing else quality.integer(0, 100),
        added=node.get("added").moment(),
        changed=node.get("changed").moment(),
        expires=None if expires.missing else expires.moment(),
        anchored=anchored,
        anchored_refused=anchored_refused,
        video=video,
        kind=BankKind.POSITIVE if kind is None else BankKind(kind.one_of(_KINDS)),
    )


def _fingerprint(node: Node) -> tuple[tuple[bytes, ...], dict[Signal, bytes]]:
    if node.missing:
        return (), {}
    pdqs = [code.hexadecimal(PDQ_BYTES) for code in node.get("pdq").items(MAX_CODES)]
    digests = {}
    for signal in DIGEST_SIGNALS:
        # A register that is older than the others has these two alone.
        always = signal in {Signal.SHA256, Signal.MD5}
        digest = node.get(signal.value) if always else node.optional(signal.value)
        if digest is not None and not digest.missing:
            digests[signal] = digest.hexadecimal(SIGNAL_BYTES[signal])
    return tuple(pdqs), digests


def _anchored(fingerprint: Node) -> tuple[AnchoredHashes | None, bool]:
    """The anchored hashes of an entry, if it has any, and whether they were refused."""
    given = None if fingerprint.missing else fingerprint.optional("anchored")
    if given is None:  # the register is of before them
        return None, False
    codes = [code.hexadecimal(PDQ_BYTES) for code in given.items(MAX_ANCHORED)]
    if not codes:
        return None, False
    try:
        return AnchoredHashes.of(codes), False
    except AnchoredInvalid:
        return None, True


def _video(fingerprint: Node, pdqs: tuple[bytes, ...]) -> RemoteVideo | None:
    """The frames of an entry that is a video of a version that this Egide knows."""
    given = None if fingerprint.missing else fingerprint.optional("video")
    if given is None or given.get("version").integer(0) != VIDEO_VERSION:
        return None
    codes, starts, ends = (given.optional(name) for name in ("pdq", "starts_ms", "ends_ms"))
    if starts is None or ends is None:
        raise given.error()
    if codes is not None:
        pdqs = tuple(code.hexadecimal(PDQ_BYTES) for code in codes.items(MAX_VIDEO_FRAMES))
    seen, gone = (
        tuple(time.integer(0) for time in some.items(MAX_VIDEO_FRAMES)) for some in (starts, ends)
    )
    try:
        track = Track(seen, gone, given.get("duration_ms").integer(0))
    except VideoInvalid:
        raise given.error() from None
    if len(track) != len(pdqs):
        raise given.error()
    return RemoteVideo(pdqs, track)


def _require_progress(page: RemoteChanges, asked: tuple[int, int | None]) -> None:
    """Refuse a page that repeats entries, goes back, or would be requested for ever."""
    since, after = asked
    start = (since, after or 0)
    # Without `after`, all of revision `since` is known.
    last = (since, float("inf") if after is None else after)
    for entry in page.entries:
        if (entry.revision, entry.id) <= last:
            raise AnswerInvalidError("entries out of order")
        last = (entry.revision, entry.id)
    end = (page.next_since, page.next_after)
    if end < start or (page.entries and end < last) or (page.more and end == start):
        raise AnswerInvalidError("next")
