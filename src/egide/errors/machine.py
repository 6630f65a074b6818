"""How Egide is called, and what it needs of the machine that it runs on."""

from __future__ import annotations

from egide.errors.base import Exit, Failed, Invalid


class UsageError(Invalid):
    """{reason}."""

    code = "usage"
    page_words = "unreadable"


class ConfirmationNeeded(Invalid):
    """This would erase {what} for good. Nothing was erased: add --yes to do it."""

    code = "confirmation-needed"


class SettingInvalid(Failed):
    """The setting {name} cannot be used: {reason}."""

    code = "setting-invalid"


class TooManyFiles(Failed):
    """No more files can be opened: raise the limit with `ulimit -n 1024`, or use fewer --workers, then run the command again."""

    code = "too-many-files"


class TooManyProcesses(Failed):
    """No more processes or threads can be started: raise the limit with `ulimit -u`, or use fewer --workers, then run the command again."""

    code = "too-many-processes"


class OutOfMemory(Failed):
    """There is not enough memory: raise the limit with `ulimit -v`, close other programs, or use fewer --workers, then run the command again."""

    code = "out-of-memory"


class ServerUnavailable(Failed):
    """Serving needs an extra: pip install 'egide[server]'."""

    code = "server-unavailable"


class WorkerEnded(Failed):
    """Worker {worker} of the server ended by itself, with {how}."""

    code = "worker-ended"


class AddressUnusable(Failed):
    """Egide cannot listen at {host}:{port}: {reason}."""

    code = "address-unusable"


class AddressInUse(AddressUnusable):
    """Another process listens at {host}:{port}: end it, or choose another port with --port."""

    code = "address-in-use"


class AddressDenied(AddressUnusable):
    """This user may not listen at {host}:{port}: choose a port from 1024 on with --port, and put a proxy before it."""

    code = "address-denied"


class AddressUnknown(AddressUnusable):
    """This machine has no address {host}: name one of its own with --host, or 127.0.0.1."""

    code = "address-unknown"


class Unexpected(Failed):
    """The command stopped at something unexpected: {reason}. If it stays so, report it."""

    code = "unexpected"


class Interrupted(Failed):
    """Interrupted: {remedy}."""

    code = "interrupted"
    exit = Exit.INTERRUPTED  # as shells say that Ctrl-C ended a command
