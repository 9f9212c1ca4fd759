"""The rest of the page after a payment: the remaining amount, the next one, saving the card, automatic payment."""

from collections.abc import Sequence
from dataclasses import dataclass

from portal.models import Installment, Payment, Plan
from portal.reports.payments import offered_methods, shop_dues
from portal.reports.plans.figures import plan_figures
from portal.services.dues.presses import Press
from portal.web.method_labels import Method, methods_of


@dataclass(frozen=True, slots=True)
class After:
    """`owed` is in minor units of the plan's currency. `is_over`: everything of the plan is paid.

    `saved` is the saved card that paid, else the first one; None without one, and while automatic payment is on.
    `card` is the token of the card that paid, if it can be saved.
    """

    owed: int
    next: Installment | None
    is_over: bool
    states: Sequence[str]
    saved: Method | None
    card: str | None


@dataclass(frozen=True, slots=True)
class AfterPress:
    """The next steps after everything due to a shop is paid.

    `card` is the token of the card that paid, if it can be saved, and `payment` one of its payments. `saved` is the
    card that can pay the rest of `plans` automatically: active ones without automatic payment.
    """

    payment: Payment
    card: str | None
    saved: Method | None
    plans: Sequence[Plan]


def after_press(press: Press) -> AfterPress | None:
    """For the payer of all parts of a press; None while a part is not paid, and when its plans are over."""
    plans = [part.plan for part in press.parts if part.plan.state == "active"]
    payment = next((part.payment for part in press.parts if part.payment is not None), None)
    if payment is None or not press.is_whole or not plans:
        return None
    card, saved = _cards(payment)
    return AfterPress(payment, card, saved, [plan for plan in plans if plan.automatic_method_id is None])


def after(payment: Payment, plan: Plan) -> After | None:
    """For the payer of a payment that succeeded; None for others, and for a plan that closed without being all paid."""
    if payment.state != "succeeded" or payment.is_recorded:
        return None
    is_active = plan.state == "active"
    is_over = plan.state == "completed" and all(row.status == "paid" for row in plan.installments)
    if not is_active and not is_over:
        return None
    card, saved = _cards(payment) if is_active else (None, None)
    return After(
        owed=plan_figures(plan.id).owed if is_active else 0,
        next=shop_dues.next_due(payment.customer_id, [plan.id]) if is_active else None,
        is_over=is_over,
        states=[row.status for row in plan.installments],
        saved=saved if plan.automatic_method_id is None else None,
        card=card,
    )


def _cards(payment: Payment) -> tuple[str | None, Method | None]:
    """The token of the card that paid, if it can be saved, and the saved card that paid, else the first one."""
    methods = [method for method in methods_of(payment.customer_id) if method.saved]
    used = next((method for method in methods if method.token == payment.method), None)
    may_save = not methods and offered_methods.find(payment.method) is not None
    return payment.method if may_save else None, used or next(iter(methods), None)
