"""The parent's side of one decoding process: ask, wait for a limited time, kill."""

from __future__ import annotations

import os
import select
import sys
import time
from contextlib import suppress
from typing import TYPE_CHECKING, ClassVar

from egide.compiled import ANCHORED, compiled_module
from egide.errors import EgideError
from egide.sandbox.decoding_messages import (
    LENGTH,
    REQUEST,
    BadAnswer,
    is_ready,
    max_answer_bytes,
    pack_settings,
    read_answer,
)
from egide.sandbox.starting import start

if TYPE_CHECKING:
    from subprocess import Popen

    from egide.domain.model import Fingerprint, Limits

_PIPE_BYTES = 1 << 20
# Room for a picture of 2 megapixels, which the parent's thread then writes at once; a pipe of
# 64 KiB would wake the thread for every piece. Linux allows any process a megabyte.
_READ_BYTES = 1 << 16


class ChildDied(Exception):
    """The child ended, or broke the protocol."""


class ChildSilent(Exception):
    """The child did not answer in time."""


class DecodingProcess:
    """A slot for one child, which is restarted after it died.

    Only one thread at a time, the owner, uses it; other threads may only call `kill`.
    """

    command: ClassVar[tuple[str, ...]] = ("egide.sandbox.decoding_child",)
    """The module, and its arguments."""

    def __init__(self, limits: Limits) -> None:
        """Prepare a slot; nothing runs before `start`.

        Args:
            limits: for each picture.
        """
        self._limits = limits
        self._ready = False
        self._process: Popen[bytes] | None = None
        self._requests = self._answers = -1

    def start(self) -> None:
        """End the child, if there is one, and start another, which loads in the background.

        Raises:
            ChildDied: this machine can start no more processes.
        """
        self.end()
        try:
            self._process = start(*self.command)
        except (OSError, EgideError) as error:
            raise ChildDied from error
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._requests = self._process.stdin.fileno()
        self._answers = self._process.stdout.fileno()
        _widen(self._requests)
        for descriptor in (self._requests, self._answers):
            os.set_blocking(descriptor, False)
        with suppress(BrokenPipeError):  # `await_ready` notices that it ended
            os.write(self._requests, pack_settings(os.getpid(), self._limits))

    def await_ready(self, until: float) -> None:
        """Wait until the child has loaded.

        Args:
            until: a time of `time.monotonic()`.

        Raises:
            ChildDied, ChildSilent: the child did not load.
        """
        if self._process is None or self._process.poll() is not None:
            raise ChildDied
        if not self._ready:
            if not is_ready(self._receive(until)):
                raise ChildDied
            self._ready = True

    def ask(
        self, data: bytes, *, exact: bool, as_stored: bool, name: str, timeout_s: float
    ) -> Fingerprint | EgideError:
        """Send one picture; return its fingerprint, or the error to raise instead.

        Raises:
            ChildDied, ChildSilent: the child can no longer be used.
        """
        until = time.monotonic() + timeout_s
        fast = compiled_module(ANCHORED) is not None
        self._send(REQUEST.pack(exact, as_stored, fast, len(data)), until)
        self._send(data, until)
        try:
            return read_answer(self._receive(until), name=name, limits=self._limits)
        except BadAnswer as error:
            raise ChildDied from error

    def kill(self) -> None:
        """Kill the child from any thread; its owner then gets ChildDied."""
        process = self._process
        if process is not None:
            process.kill()
            process.wait()

    def end(self) -> None:
        """Kill the child and close its pipes; a second call does nothing."""
        self.kill()
        # Not in `kill`: while a thread still reads a closed descriptor, its number may be reused
        # for another file.
        process, self._process, self._ready = self._process, None, False
        if process is not None:
            for stream in (process.stdin, process.stdout):
                assert stream is not None
                stream.close()

    def _send(self, data: bytes, until: float) -> None:
        left = memoryview(data)
        while left:
            try:
                left = left[os.write(self._requests, left) :]
            except BlockingIOError:
                self._await(select.POLLOUT, self._requests, until)
            except OSError as error:
                raise ChildDied from error

    def _receive(self, until: float) -> bytes:
        (size,) = LENGTH.unpack(self._read(LENGTH.size, until))
        if size > max_answer_bytes(self._limits):
            raise ChildDied
        return self._read(size, until)

    def _read(self, size: int, until: float) -> bytes:
        received = bytearray()
        while len(received) < size:
            try:
                piece = os.read(self._answers, min(size - len(received), _READ_BYTES))
            except BlockingIOError:
                self._await(select.POLLIN, self._answers, until)
                continue
            except OSError as error:
                raise ChildDied from error
            if not piece:
                raise ChildDied
            received += piece
        return bytes(received)

    def _await(self, event: int, descriptor: int, until: float) -> None:
        # `select.select` takes no descriptor over 1023, and a server has many.
        poll = select.poll()
        poll.register(descriptor, event)
        left_s = until - time.monotonic()
        if left_s <= 0 or not poll.poll(left_s * 1000):
            raise ChildSilent


def _widen(descriptor: int) -> None:
    if sys.platform == "linux":
        import fcntl

        with suppress(OSError):  # the user's limit for all pipes; narrow ones are slower
            fcntl.fcntl(descriptor, fcntl.F_SETPIPE_SZ, _PIPE_BYTES)
