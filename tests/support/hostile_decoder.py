"""A decoding process that misbehaves on marked files, to see what that costs."""

import os
import signal
import struct
import sys
import time
from typing import Any

from egide.domain.model import Fingerprint
from egide.sandbox import decoding_child

real = decoding_child.fingerprint


def answer(text: bytes) -> None:
    """Say something in place of an answer, and hang."""
    os.write(int(os.environ["ANSWERS"]), struct.pack(">I", len(text)) + text)
    time.sleep(600)


def hostile(content: bytes, **options: Any) -> Fingerprint:
    """Fingerprint, unless the file is marked."""
    word = content.rpartition(b"\0")[2]
    if word == b"CRASH":
        os.kill(os.getpid(), signal.SIGSEGV)
    if word == b"HANG":
        signal.pthread_sigmask(signal.SIG_BLOCK, signal.valid_signals())
        time.sleep(600)
    if word == b"SLOW":
        time.sleep(1)
    if word == b"BOMB":
        bytearray(10**12)
    if word == b"MISTAKE":
        raise LookupError
    if word == b"WRITE":
        with open("trace", "wb") as file:  # noqa: PTH123
            file.write(content)
    if word.startswith(b"SAY "):
        answer(word[4:])
    return real(content, **options)


if sys.argv[1:] == ["never-ready"]:
    sys.exit(1)
# `main` duplicates standard output first, so its copy has the next number.
probe = os.dup(1)
os.close(probe)
os.environ["ANSWERS"] = str(probe)
decoding_child.fingerprint = hostile
decoding_child.main()
