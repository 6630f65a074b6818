"""What the store tests run in processes of their own."""

from hashlib import sha256
from multiprocessing.synchronize import Barrier, Event

from egide.domain.model import Registration
from egide.store.changing import ChangingStore as Store


def registration(number: int, source: str = "local") -> Registration:
    return Registration(
        pdqs=(sha256(b"%d" % number).digest(),),
        sha256=sha256(b"file %d" % number).digest(),
        source=source,
        note=f"note of {number}",
    )


def create_and_register(url: str, source: str, calls: int, ready: Barrier) -> None:
    """Create the store at the same time as another process, then register picture by picture."""
    ready.wait()
    with Store.open(url, create=True) as store:
        ready.wait()
        if source == "a":
            store.banks.create("helpline")
        ready.wait()
        for number in range(calls):
            store.entries.register("helpline", [registration(number, source)])


def write_and_wait(url: str, writing: Event, finish: Event) -> None:
    """Hold a write transaction open until told to finish."""

    def slow() -> "list[Registration]":
        writing.set()
        finish.wait(30)
        return [registration(77)]

    with Store.open(url) as store:
        store.entries.register("helpline", (made for call in (slow,) for made in call()))


def die_in_mid_registration(url: str, writing: Event) -> None:
    """Write a lot, then wait to be killed."""

    def forever() -> "object":
        for number in range(20_000):
            yield registration(number)
        writing.set()
        while True:
            writing.wait(30)

    with Store.open(url) as store:
        store.entries.register("helpline", forever())  # type: ignore[arg-type]


def withdraw_later(url: str, bank: str, entry: int, go: Event) -> None:
    """Withdraw an entry once told to."""
    with Store.open(url) as store:
        go.wait(30)
        store.entries.withdraw(bank, [entry])
