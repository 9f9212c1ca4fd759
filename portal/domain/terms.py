"""The facts of a plan's terms. portal/wording/terms.py words them; the acceptance keeps the text."""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import date
from typing import Final

from portal.domain.money import Money

VERSION: Final = "2026-11"
"""The version of the wording. It changes with each change of a sentence's meaning."""


@dataclass(frozen=True, slots=True)
class TermsFacts:
    """A plan as its terms tell it. Dates are local dates of the plan's time zone.

    With `deposit` the first payment of the schedule is a deposit, due at once.
    """

    business: str
    customer_email: str
    plan_id: int
    description: str
    total: Money
    schedule: tuple[tuple[date, Money], ...]
    grace_days: int
    withdrawal_days: int
    deposit: bool = False


@dataclass(frozen=True, slots=True)
class NewDaysFacts:
    """Other days for the rest of a plan: what is to pay before and after, on local dates of the plan's time zone."""

    business: str
    customer_email: str
    plan_id: int
    description: str
    before: tuple[tuple[date, Money], ...]
    after: tuple[tuple[date, Money], ...]
    grace_days: int


@dataclass(frozen=True, slots=True)
class Consenting:
    """From where a customer agrees to other days: as Accepting, with the words of the change."""

    address: str
    language: str
    word: Callable[[NewDaysFacts], str]


@dataclass(frozen=True, slots=True)
class Accepting:
    """From where a customer accepts: the IP address, the language of the page, and the words of its terms."""

    address: str
    language: str
    word: Callable[[TermsFacts], str]
