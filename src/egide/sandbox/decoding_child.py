"""The main program of a decoding process.

Uploads are decoded here and not in the server's process: a decoder that crashes, hangs or exhausts
memory costs only its picture. The protocol is in `egide.sandbox.decoding_messages`. An invalid
picture gets an error as its answer and does not end the process.
"""

from __future__ import annotations

import os
import signal
import sys
from typing import TYPE_CHECKING, Any

from egide.compiled import ANCHORED, prepare_compiled
from egide.domain.model import Mode
from egide.errors import DecodeFailed, ItemError
from egide.hashing.fingerprint import fingerprint, warm_up
from egide.sandbox.decoding_messages import REQUEST, fingerprint_values, pack_answer, read_settings
from egide.sandbox.limits import end_with_parent, limit_memory, write_no_files

if TYPE_CHECKING:
    from typing import BinaryIO

    from egide.domain.model import Limits


def main() -> None:
    """Answer requests from standard input until it ends."""
    # The parent decides when to end: Ctrl-C and systemd's SIGTERM reach the whole group at once,
    # but pictures in progress must be finished.
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, signal.SIG_IGN)
    answers = os.fdopen(os.dup(1), "wb")
    os.dup2(2, 1)  # a library's output must not look like an answer
    requests = sys.stdin.buffer
    parent, limits = read_settings(requests)
    end_with_parent(parent)
    limit_memory(limits.worker_memory_bytes)
    write_no_files()
    warm_up()
    _answer(answers, {"ready": True})
    while len(header := requests.read(REQUEST.size)) == REQUEST.size:
        exact, as_stored, is_compiled, size = REQUEST.unpack(header)
        if is_compiled:
            prepare_compiled(ANCHORED)  # from what the parent has written: a child writes no files
        data = requests.read(size)
        if len(data) < size:
            return
        values = _fingerprint(data, limits, exact=exact, as_stored=as_stored)
        del data  # free it while waiting for the next picture
        _answer(answers, values)


def _fingerprint(data: bytes, limits: Limits, *, exact: bool, as_stored: bool) -> dict[str, Any]:
    mode = Mode.EXACT if exact else Mode.FAST
    try:
        made = fingerprint(
            data, name="", mode=mode, limits=limits, anchored=True, as_stored=as_stored
        )
        return {"done": fingerprint_values(made)}
    except ItemError as error:
        return _failed(error)
    except MemoryError:
        return _failed(DecodeFailed(name="", reason="it needs more memory than it may have"))
    except Exception as error:  # noqa: BLE001 - a defect of ours must reach the parent
        return {"mistake": type(error).__name__}


def _failed(error: ItemError) -> dict[str, Any]:
    fields = {
        name: value if isinstance(value, int) else str(value)
        for name, value in error.fields.items()
    }
    return {"failed": {"kind": type(error).__name__, "fields": fields}}


def _answer(stream: BinaryIO, values: dict[str, Any]) -> None:
    stream.write(pack_answer(values))
    stream.flush()


if __name__ == "__main__":
    main()
