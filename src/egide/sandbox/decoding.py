"""Compute fingerprints in child processes, for many threads at once.

A server must not decode hostile files in its own process. Each picture goes to one of a few
children over a pipe. A child that crashes, hangs or exhausts its memory is replaced at once, and
only its picture is refused. The reasons are in docs/decisions/0013-decoding.md.
"""

from __future__ import annotations

import threading
import time
from collections import deque
from concurrent.futures import Future
from concurrent.futures import TimeoutError as FutureTimeout
from contextlib import suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING, Self

from egide.compiled import count_picture
from egide.domain.model import DEFAULT_LIMITS
from egide.errors import DecoderCrashed, DecodeTimeout, EgideError, NotReady, Overloaded
from egide.media.read import check_size
from egide.media.video import video_kind
from egide.sandbox.decoding_process import ChildDied, ChildSilent, DecodingProcess

if TYPE_CHECKING:
    from types import TracebackType

    from egide.domain.model import Fingerprint, Limits

START_TIMEOUT_S = 60.0
"""A child loads in half a second, but needs longer on a machine that is busy or short of memory."""
MAX_WAITING = 64
RETRY_AFTER_S = 1
_ATTEMPTS = 2
# A child may have been killed from outside or for lack of memory while its picture is sound. So a
# picture is blamed only for its second crash.


@dataclass(frozen=True, slots=True)
class PoolStatus:
    """The load of a pool.

    Attributes:
        workers: the number of children.
        busy: children that are working on a picture.
        waiting: threads that wait for a child.
        replaced: children that died or were killed, and were replaced, since the start.
    """

    workers: int
    busy: int
    waiting: int
    replaced: int


class DecodingPool:
    """Child processes that compute fingerprints; shared by any number of threads.

    Use it as a context manager, or call `start` and `close`.
    """

    def __init__(
        self,
        limits: Limits = DEFAULT_LIMITS,
        workers: int = 2,
        *,
        max_waiting: int = MAX_WAITING,
    ) -> None:
        """Prepare a pool; no child runs before `start`.

        Args:
            limits: for each picture; `worker_memory_bytes` bounds each child.
            workers: number of children, at least 1.
            max_waiting: threads that may wait for a child; further threads are refused.
        """
        self._limits = limits
        self._max_waiting = max_waiting
        self._children = tuple(DecodingProcess(limits) for _ in range(workers))
        self._lock = threading.Lock()
        self._idle: list[DecodingProcess] = []
        self._line: deque[Future[DecodingProcess]] = deque()
        self._replaced = 0
        self._closed = True

    def start(self) -> Self:
        """Start the children; return when each has loaded and fingerprinted a drawing.

        Raises:
            NotReady: a child does not start.
        """
        until = time.monotonic() + START_TIMEOUT_S
        try:
            for child in self._children:
                child.start()
            for child in self._children:
                child.await_ready(until)
        except (ChildDied, ChildSilent) as error:
            for child in self._children:
                child.end()
            raise _no_child() from error
        with self._lock:
            self._closed = False
            self._idle = list(self._children)
        return self

    def close(self) -> None:
        """End all children, even busy ones; refuse the waiting threads."""
        with self._lock:
            self._closed = True
            waiting, idle = list(self._line), self._idle
            self._line.clear()
            self._idle = []
        for place in waiting:
            if place.set_running_or_notify_cancel():
                place.set_exception(_stopped())
        for child in idle:
            child.end()
        for child in self._children:
            child.kill()  # a busy child is then ended by its thread

    def __enter__(self) -> Self:
        return self.start()

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.close()

    def status(self) -> PoolStatus:
        """The present load of the pool."""
        with self._lock:
            busy = 0 if self._closed else len(self._children) - len(self._idle)
            return PoolStatus(len(self._children), busy, len(self._line), self._replaced)

    def fingerprint(
        self,
        data: bytes,
        *,
        exact: bool = False,
        as_stored: bool = False,
        name: str = "the upload",
    ) -> Fingerprint:
        """Compute the fingerprint of one image or video file in a child.

        Threads are served in order of arrival.

        Args:
            data: the file.
            exact: compute the reference's hash, bit for bit, for registering; else the fast one.
            as_stored: also hash as HMA does, see `egide.fingerprint`.
            name: the picture's name in error messages; the child does not receive it.

        Returns:
            the fingerprint as from `egide.fingerprint`, with anchored hashes, without keypoints.

        Raises:
            ItemError: anything that is wrong with the picture, such as DecoderCrashed: it crashed
                two children; DecodeTimeout: it took over `limits.item_timeout_s`, a video over
                `limits.video_timeout_s`.
            Overloaded: too many threads wait, or this one waited for too long.
            NotReady: the pool is closed, or children do not start.
        """
        check_size(len(data), name=name, limits=self._limits)
        is_video = video_kind(data) is not None
        timeout_s = self._limits.video_timeout_s if is_video else self._limits.item_timeout_s
        count_picture()
        for _ in range(_ATTEMPTS):
            child = self._take()
            try:
                answer = child.ask(
                    data, exact=exact, as_stored=as_stored, name=name, timeout_s=timeout_s
                )
            except ChildSilent as error:
                self._replace(child)
                raise DecodeTimeout(name=name, limit_s=timeout_s) from error
            except ChildDied:
                self._replace(child)
            except BaseException:
                self._replace(child)  # it may have read only a part of a message
                raise
            else:
                self._give_back(child)
                if isinstance(answer, EgideError):
                    raise answer
                return answer
        if self._closed:
            raise _stopped()
        raise DecoderCrashed(name=name)

    def _take(self) -> DecodingProcess:
        """Return a ready child for the caller's use alone."""
        until = time.monotonic() + START_TIMEOUT_S
        for _ in range(len(self._children) + 1):
            child = self._next(self._limits.item_timeout_s)
            try:
                child.await_ready(until)
            except (ChildDied, ChildSilent):
                self._replace(child)
            else:
                return child
        raise _no_child()

    def _next(self, wait_s: float) -> DecodingProcess:
        with self._lock:
            if self._closed:
                raise _stopped()
            if self._idle:
                return self._idle.pop()
            if len(self._line) >= self._max_waiting:
                raise Overloaded(retry_after_s=RETRY_AFTER_S)
            place: Future[DecodingProcess] = Future()
            self._line.append(place)
        try:
            return place.result(wait_s)
        except FutureTimeout as error:
            if place.cancel():
                with self._lock:
                    if place in self._line:
                        self._line.remove(place)
                raise Overloaded(retry_after_s=RETRY_AFTER_S) from error
            return place.result()  # a child became free at the last moment

    def _give_back(self, child: DecodingProcess, *, loads: bool = False) -> None:
        """Give a child to the longest waiting thread, else keep it idle; `loads`: used last."""
        with self._lock:
            if not self._closed:
                while self._line:
                    place = self._line.popleft()
                    if place.set_running_or_notify_cancel():
                        place.set_result(child)
                        return
                self._idle.insert(0 if loads else len(self._idle), child)
                return
        child.end()

    def _replace(self, child: DecodingProcess) -> None:
        with self._lock:
            self._replaced += not self._closed
        with suppress(ChildDied):  # the next thread that takes it tries again
            child.start()
        self._give_back(child, loads=True)


def _no_child() -> NotReady:
    return NotReady(reason="its decoding processes do not start")


def _stopped() -> NotReady:
    return NotReady(reason="it is stopping")
