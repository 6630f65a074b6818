"""Where nothing can listen: said with what to do about it."""

from __future__ import annotations

import errno
import os
import socket

import pytest

from egide import errors
from egide.server.running import _listen
from egide.server.settings import ServerSettings


@pytest.mark.parametrize(
    ("number", "kind", "code"),
    [
        (errno.EADDRINUSE, errors.AddressInUse, "address-in-use"),
        (errno.EACCES, errors.AddressDenied, "address-denied"),
        (errno.EPERM, errors.AddressDenied, "address-denied"),
        (errno.EADDRNOTAVAIL, errors.AddressUnknown, "address-unknown"),
        (errno.ENOBUFS, errors.AddressUnusable, "address-unusable"),
    ],
)
def test_why_nothing_can_listen_is_said(
    monkeypatch: pytest.MonkeyPatch, number: int, kind: type, code: str
) -> None:
    def refuse(*_: object, **__: object) -> None:
        raise OSError(number, os.strerror(number))

    monkeypatch.setattr(socket, "create_server", refuse)
    with pytest.raises(kind) as caught:
        _listen(ServerSettings(port=80))
    assert caught.value.code == code
    assert "setting" not in str(caught.value)


@pytest.mark.parametrize(
    "host", ["no.such.host.invalid", "203.0.113.7", "a" * 300, "1.2.3", "é" * 70]
)
def test_host_that_is_none_of_this_machine_is_said(host: str) -> None:
    with pytest.raises(errors.AddressUnknown, match="--host"):
        _listen(ServerSettings(host=host, port=0))


def test_port_that_another_process_has_is_said() -> None:
    with socket.create_server(("127.0.0.1", 0)) as other:
        port = other.getsockname()[1]
        with pytest.raises(errors.AddressInUse, match=str(port)):
            _listen(ServerSettings(port=port))
