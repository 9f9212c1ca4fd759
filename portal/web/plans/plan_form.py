"""The form for a new plan: what was typed, what is wrong with it, and the schedule it would make."""

import re
from dataclasses import dataclass
from datetime import date
from typing import Any

from wtforms import HiddenField, SelectField, StringField
from wtforms.validators import Regexp

from portal.domain import clock, money, schedule
from portal.domain.schedule import Row
from portal.errors import Fault
from portal.models import Merchant
from portal.services.plans.plans import DESCRIPTION_MAX, NewPlan, plan_faults
from portal.web.forms import Form
from portal.web.labels import INTERVALS, KEY, one_use_key

ENOUGH = "Enter a total to see the schedule."


class PlanForm(Form):
    """Text as it was typed; `read` makes values of it in the merchant's currency and calendar."""

    key = HiddenField(default=one_use_key, validators=[Regexp(rf"\A{KEY}\Z")])
    customer_email = StringField("Customer’s email")
    total_amount = StringField("Total")
    num_installments = StringField("Number of installments", default="4")
    interval = SelectField("How often", choices=[(value, text.capitalize()) for value, text in INTERVALS.items()])
    start_date = StringField("First payment is due on")
    description = StringField("What was bought")

    def __init__(self, **values: Any) -> None:
        values.setdefault("interval", "monthly")
        super().__init__(**values)
        self.interval.validate_choice = False

    def renew_key(self, why: str) -> None:
        """The key can't be used (any more): the next submit is another plan."""
        self.key.data, self.key.errors = one_use_key(), ()
        self.form_errors.append(why)


@dataclass(frozen=True, slots=True)
class Preview:
    """A schedule in minor units of `currency`, or, while something is missing, hints instead of it."""

    currency: str
    total: int = 0
    rows: tuple[Row, ...] = ()
    hints: tuple[str, ...] = ()
    description: str = ""
    business_name: str = ""


def read(form: PlanForm, merchant: Merchant) -> tuple[NewPlan, list[Fault]]:
    """What was typed, as values, and everything wrong with it apart from the customer's email.

    Where a value can't be read its fault says why, and the plan holds one in its place that no plan can have.
    """
    faults: list[Fault] = []
    today = clock.today(merchant.time_zone)
    total, count, first = 0, 0, date.min
    try:
        total = money.parse(form.total_amount.data or "", merchant.home_currency)
    except money.BadAmount as error:
        faults.append(Fault("total_amount", "bad_total", str(error)))
    typed = (form.num_installments.data or "").strip()
    if re.fullmatch(r"[0-9]{1,9}", typed):
        count = int(typed)
    else:
        message = f"Choose 1 to {schedule.MAX_INSTALLMENTS} installments."
        faults.append(Fault("num_installments", "bad_count", message))
    try:
        first = schedule.read_date((form.start_date.data or "").strip())
    except ValueError:
        faults.append(Fault("start_date", "bad_date", "Choose a date."))
    plan = NewPlan(
        customer_email=(form.customer_email.data or "").strip(),
        total=total,
        num_installments=count,
        start_date=first,
        interval=form.interval.data,
        description=form.description.data or "",
    )
    return plan, without_repeats(faults + plan_faults(plan, today))


def without_repeats(faults: list[Fault]) -> list[Fault]:
    """The first fault of each field: what was typed can't be read, so what else is wrong with it doesn't matter."""
    return list({fault.field: fault for fault in reversed(faults)}.values())[::-1]


def preview_of(form: PlanForm, merchant: Merchant) -> Preview:
    """The schedule that saving would make now."""
    plan, faults = read(form, merchant)
    described = plan.description.strip() if len(plan.description) <= DESCRIPTION_MAX else ""
    faults = [fault for fault in faults if fault.field != "description"]
    if faults:
        missing = not (form.total_amount.data or "").strip()
        hints = [ENOUGH] if missing else []
        hints += [fault.message for fault in faults if not (missing and fault.field == "total_amount")]
        return Preview(merchant.home_currency, hints=tuple(dict.fromkeys(hints)), business_name=merchant.business_name)
    rows = schedule.build(plan.total, plan.num_installments, plan.interval, plan.start_date)
    return Preview(merchant.home_currency, plan.total, tuple(rows), (), described, merchant.business_name)
