"""The cases of a served register: those of the bank that people register in, under its rules."""

from __future__ import annotations

from typing import TYPE_CHECKING

from egide.domain.cases import CaseRules
from egide.usecases.casework import Casework

if TYPE_CHECKING:
    from egide.server.service import Service


def casework_of(service: Service) -> Casework:
    """What can be done with the cases of a service."""
    settings = service.settings
    rules = CaseRules(
        max_images=settings.case_max_images, lifetime_days=settings.case_lifetime_days
    )
    return Casework(service.store, settings.pages_bank, rules)
