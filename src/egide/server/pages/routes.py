"""All routes of the pages, and the bank that they need."""

from __future__ import annotations

from typing import TYPE_CHECKING

from fastapi import APIRouter

from egide.server.pages.person import case, content, register
from egide.server.pages.site import assets
from egide.server.pages.staff import sign_in as staff
from egide.usecases.banks import ensure_bank_of_people

if TYPE_CHECKING:
    from egide.store import Store

_BANK_NOTE = "Registered by people themselves, or for them by the helpline, on the pages."


def pages_router() -> APIRouter:
    """Collect the routes of all pages; the API's document omits them."""
    router = APIRouter(include_in_schema=False)
    for module in (assets, content, register, case, staff):
        router.include_router(module.router)
    return router


def ensure_bank(store: Store, name: str) -> None:
    """Make the bank that people register in, if it does not exist.

    Raises:
        BankNameInvalid: the setting `pages_bank` is not a valid bank name.
        StoreError: the bank cannot be made.
    """
    ensure_bank_of_people(store, name, _BANK_NOTE)
