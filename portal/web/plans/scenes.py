"""The plan of a timeline's events: amounts in its currency, and payments with the installments that they are for."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, NamedTuple

from portal.domain import events, money
from portal.models import Plan
from portal.web.labels import numbers_words

OfPayments = events.PaymentSucceeded | events.PaymentRecorded | events.PaymentDeclined
PaymentFacts = OfPayments | events.PaymentWon | events.PaymentReversed | events.PaymentVoided


class Variants(NamedTuple):
    """A sentence about a payment: alone, with its installments, with the part that had been written off, with both."""

    alone: Any
    with_installments: Any
    with_recovered: Any = ""
    with_both: Any = ""


@dataclass(frozen=True, slots=True)
class Scene:
    """The plan of the events, the number of each installment by id, and the numbers that each payment is for."""

    plan: Plan
    numbers: Mapping[int, int]
    paid: Mapping[int, list[int]]

    def amount(self, minor: int) -> str:
        """An amount of the plan in words."""
        return money.show(minor, self.plan.currency)

    def payment(self, variants: Variants, payment: PaymentFacts, recovered: int = 0) -> str:
        """The sentence about a payment. A payment that is not among those shown has no installments.

        `recovered` is the part that had been written off, in minor units.
        """
        number = self.numbers.get(getattr(payment, "installment_id", None) or 0)
        numbers = [number] if number else sorted(self.paid.get(payment.payment_id, []))
        if recovered:
            variant = variants.with_both if numbers else variants.with_recovered
        else:
            variant = variants.with_installments if numbers else variants.alone
        return str(
            variant
            % {
                "amount": self.amount(payment.amount),
                "installments": numbers_words(numbers) if numbers else "",
                "recovered": self.amount(recovered),
            }
        )
