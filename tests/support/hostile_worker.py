"""A worker whose decoder crashes or hangs on marked items, to see what that costs."""

import os
import signal
import time
from typing import Any

from egide.auditing import reading
from egide.auditing.executors import worker
from egide.domain.model import Fingerprint
from egide.errors import ItemError

real = reading.fingerprint_or_error


def hostile(content: bytes, **options: Any) -> Fingerprint | ItemError:
    """Fingerprint, unless the item is marked."""
    if content.endswith(b"CRASH-THE-DECODER"):
        os.kill(os.getpid(), signal.SIGSEGV)
    if content.endswith(b"HANG-THE-DECODER"):
        time.sleep(600)
    return real(content, **options)


reading.fingerprint_or_error = hostile
worker.main()
