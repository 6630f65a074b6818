"""What all tests can ask for."""

import signal
import threading

from postgres import postgres_server, postgres_store_url, postgres_url, shared_postgres_store

__all__ = ["postgres_server", "postgres_store_url", "postgres_url", "shared_postgres_store"]

# A shell starts its background jobs with SIGINT ignored, and every program they start ignores it
# too; tests that interrupt one would wait for nothing.
if (
    signal.getsignal(signal.SIGINT) is signal.SIG_IGN
    and threading.current_thread() is threading.main_thread()
):
    signal.signal(signal.SIGINT, signal.default_int_handler)
