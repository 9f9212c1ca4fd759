"""The form of a new plan: its values, its faults and the schedule it would create."""

import re
from dataclasses import dataclass
from datetime import date
from typing import Any

from wtforms import HiddenField, SelectField, StringField
from wtforms.validators import Regexp

from portal.domain import clock, money, schedule, typed_text
from portal.domain.schedule import Row
from portal.errors import Fault
from portal.models import Merchant
from portal.services.plans.plans import NewPlan, plan_faults
from portal.web.forms import Form, choices
from portal.web.labels import KEY, one_use_key
from portal.wording.labels import INTERVAL_CHOICES
from portal.wording.lazy import lazy_gettext as _l
from portal.wording.refusals import fault_sentence

NO_TOTAL = _l("Enter a total to see the schedule.")


class PlanForm(Form):
    """Fields hold the typed text. `read` turns it into values in the merchant's currency and calendar."""

    key = HiddenField(default=one_use_key, validators=[Regexp(rf"\A{KEY}\Z")])
    customer_email = StringField(_l("Customer’s email"))
    total_amount = StringField(_l("Total"))
    num_installments = StringField(_l("Number of installments"), default="4")
    interval = SelectField(_l("How often"), choices=choices(INTERVAL_CHOICES.items()))
    start_date = StringField(_l("First payment is due on"))
    description = StringField(_l("What was bought"))

    def __init__(self, **values: Any) -> None:
        values.setdefault("interval", "monthly")
        super().__init__(**values)
        self.interval.validate_choice = False

    def renew_key(self, message: str) -> None:
        """Replace a used or malformed one-use key and say so: the next submit creates another plan."""
        self.key.data, self.key.errors = one_use_key(), ()
        self.form_errors.append(str(message))


@dataclass(frozen=True, slots=True)
class Preview:
    """A schedule, or hints while a value is missing. Amounts are minor units of `currency`."""

    currency: str
    total: int = 0
    rows: tuple[Row, ...] = ()
    hints: tuple[str, ...] = ()
    description: str = ""
    business_name: str = ""


def read(form: PlanForm, merchant: Merchant) -> tuple[NewPlan, list[Fault]]:
    """The typed values and all their faults except those of the customer's email.

    Returns: a plan in minor units and local dates. An unreadable value has a fault and is 0 or date.min in the plan.
    """
    faults: list[Fault] = []
    today = clock.today(merchant.time_zone)
    total, count, first = 0, 0, date.min
    try:
        total = money.parse(form.total_amount.data or "", merchant.home_currency)
    except money.BadAmount as error:
        faults.append(Fault("total_amount", "bad_total", about=error.about, **error.facts))
    typed = (form.num_installments.data or "").strip()
    if re.fullmatch(r"[0-9]{1,9}", typed):
        count = int(typed)
    else:
        faults.append(Fault("num_installments", "bad_count", limit=schedule.MAX_INSTALLMENTS))
    try:
        first = schedule.read_date((form.start_date.data or "").strip())
    except ValueError:
        faults.append(Fault("start_date", "bad_date"))
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
    """The first fault of each field. An unreadable value's other faults are noise."""
    return list({fault.field: fault for fault in reversed(faults)}.values())[::-1]


def preview_of(form: PlanForm, merchant: Merchant) -> Preview:
    """The schedule that saving would create now."""
    plan, faults = read(form, merchant)
    described = "" if any(fault.field == "description" for fault in faults) else typed_text.read(plan.description)
    faults = [fault for fault in faults if fault.field != "description"]
    if faults:
        missing = not (form.total_amount.data or "").strip()
        hints = [str(NO_TOTAL)] if missing else []
        hints += [fault_sentence(fault) for fault in faults if not (missing and fault.field == "total_amount")]
        return Preview(merchant.home_currency, hints=tuple(dict.fromkeys(hints)), business_name=merchant.business_name)
    rows = schedule.build(plan.total, plan.num_installments, plan.interval, plan.start_date)
    return Preview(merchant.home_currency, plan.total, tuple(rows), (), described, merchant.business_name)
