"""Amounts at this door are decimal text; behind it they are minor units of the plan's currency."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Final

from portal.domain import money
from portal.errors import Fault, Invalid, Refused
from portal.services.payments import preconditions

FACTS: Final = ("remaining", "refundable", "reversible")
"""What a refusal says in minor units."""


def read(currency: str, *others: Fault, reason: str | None = None, **amounts: str | None) -> dict[str, int | None]:
    """The amounts that were sent, by field, in minor units.

    Raises Invalid with every fault: theirs, the reason's, and the others that are known already.
    """
    found: dict[str, int | None] = {}
    faults = []
    for field, text in amounts.items():
        try:
            found[field] = None if text is None else money.parse(text, currency)
        except money.BadAmount as bad:
            faults.append(Fault(field, "bad_amount", str(bad)))
    if reason is not None:
        faults += reason_faults({"reason": reason})
    if faults := [*faults, *others]:
        raise Invalid(*faults)
    return found


def reason_faults(values: dict[str, object]) -> list[Fault]:
    """What is wrong with the reason, if there is one."""
    if "reason" in values:
        try:
            preconditions.reason_of(str(values["reason"]))
        except Invalid as invalid:
            return list(invalid.faults)
    return []


@contextmanager
def in_terms_of_the_api(currency: str) -> Iterator[None]:
    """What a verb refuses, with amounts as decimal text; a payment method is something that was sent."""
    try:
        yield
    except Refused as refused:
        if refused.code == "unknown_method":
            raise Invalid(Fault("payment_method", refused.code, refused.message)) from None
        for fact in FACTS:
            if fact in refused.facts:
                refused.facts[fact] = money.plain(refused.facts[fact], currency)
        raise
