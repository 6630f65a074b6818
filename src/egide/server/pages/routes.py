"""All routes of the pages, and what there must be before the first is asked for."""

from __future__ import annotations

from contextlib import suppress
from typing import TYPE_CHECKING

from fastapi import APIRouter

from egide.errors import BankExists, BankMissing
from egide.server.pages.person import case, content, register
from egide.server.pages.site import assets
from egide.server.pages.staff import sign_in as staff
from egide.usecases.banks import create_bank

if TYPE_CHECKING:
    from egide.store import Store

_BANK_NOTE = "Registered by people themselves, or for them by the helpline, on the pages."


def pages_router() -> APIRouter:
    """Gather the routes of all pages; none stands in the API's document."""
    router = APIRouter(include_in_schema=False)
    for module in (assets, content, register, case, staff):
        router.include_router(module.router)
    return router


def ensure_bank(store: Store, name: str) -> None:
    """Make the bank that people register in, where there is none.

    Raises:
        BankNameInvalid: the setting `pages_bank` is no name of a bank.
        StoreError: it cannot be made.
    """
    try:
        store.banks.get(name)
    except BankMissing:
        with suppress(BankExists):  # another process has just made it
            create_bank(store, name, description=_BANK_NOTE)
