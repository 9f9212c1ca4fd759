"""Amounts: decimal text in requests and responses, minor units of the plan's currency in the services."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any, Final

from portal.domain import money
from portal.errors import Fault, Invalid, Refused
from portal.services.payments import preconditions
from portal.services.text_faults import OwnData, own_data_faults

AMOUNT_FACTS: Final = ("remaining", "refundable", "voidable", "allowance")
"""The facts of refusals that are minor units."""


def read(currency: str, *others: Fault, reason: str | None = None, **amounts: str | None) -> dict[str, int | None]:
    """The amounts of a request by field, in minor units.

    Refuses: Invalid with the faults of the amounts and of the reason, and the `others` that the caller has found.
    """
    minor_units: dict[str, int | None] = {}
    faults = []
    for field, text in amounts.items():
        try:
            minor_units[field] = None if text is None else money.parse(text, currency)
        except money.BadAmount as bad:
            faults.append(Fault(field, "bad_amount", about=bad.about, **bad.facts))
    if reason is not None:
        faults += reason_faults({"reason": reason})
    if faults := [*faults, *others]:
        raise Invalid(*faults)
    return minor_units


def reason_faults(values: dict[str, object]) -> list[Fault]:
    """The faults of the field `reason`, if it was sent."""
    if "reason" in values:
        try:
            preconditions.reason_of(str(values["reason"]))
        except Invalid as invalid:
            return list(invalid.faults)
    return []


def reason_and_own_data_faults(values: dict[str, Any]) -> list[Fault]:
    """The faults of the reason, external_id and metadata, of those that were sent."""
    return reason_faults(values) + own_data_faults(OwnData(values.get("external_id"), values.get("metadata", {})))


@contextmanager
def refusals_as_decimals(currency: str | Callable[[], str]) -> Iterator[None]:
    """Re-raise a service's refusals with amounts as decimal text, and unknown_method as a fault of its field.

    A currency that is not known yet is read by the function that is given instead, for a refusal with amounts only.
    """
    try:
        yield
    except Refused as refused:
        if refused.code == "unknown_method":
            raise Invalid(Fault("payment_method", "unknown_method")) from None
        for fact in AMOUNT_FACTS:
            if fact in refused.facts:
                code = currency if isinstance(currency, str) else currency()
                refused.facts[fact] = money.plain(refused.facts[fact], code)
        raise
