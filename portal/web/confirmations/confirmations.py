"""What a merchant does to a plan's money: a form, then what it would change before and after, then the act, once.

A view says what is its own (`Act`): how the form is read into a confirmation, and which verb carries it out. The steps,
the one-use key, the figures that are sent along, and what happens when they changed meanwhile are the same for all.

    GET              the form
    POST check       the confirmation, in a dialog for htmx, as a page of its own without JavaScript
    POST edit        the form again, with what was typed
    POST confirm     the verb; 409 with a fresh confirmation when the figures are no longer what they were
"""

import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Final, Generic, NamedTuple, TypeVar

from flask import Response, flash, request, url_for
from markupsafe import Markup
from sqlalchemy import select
from sqlalchemy.orm import selectinload
from wtforms import Field, HiddenField, StringField

from portal import access
from portal.domain import money
from portal.domain.allocation import Part
from portal.errors import Busy, Invalid, NotFound, Refused, StillRunning
from portal.extensions import db
from portal.models import Allocation, Installment, Payment, Plan
from portal.models.payments.payments import RECEIVED
from portal.reports.plans.standing import PlanFigures, standing
from portal.services import idempotency
from portal.services.idempotency import KeyReused, RequestKey
from portal.services.payments.preconditions import REASON_MAX
from portal.web.forms import Form, Needed, OneLine, apply_faults
from portal.web.guards import me
from portal.web.labels import KEY, one_use_key
from portal.web.respond import go, is_htmx, page, two_shapes

CHANGED: Final = "Something changed in the meantime, and nothing was done. These are the figures as they are now."
USED: Final = "This button was used already, and nothing was done this time. Look at the figures and press again."
RUNNING: Final = "This is being carried out right now. Look at the plan in a moment."
BUSY: Final = "A payment of this plan is being checked with the bank. This can be done as soon as its outcome is known."
INCOMPLETE: Final = "Something was missing from what was sent. Nothing was done. Please press again."
FIGURES: Final = {
    "total": "Total",
    "credited": "Credited",
    "paid": "Paid",
    "refunded": "Refunded",
    "written_off": "Written off",
    "remaining": "Remaining",
}
"""Of a plan's standing, in the order in which they are shown."""


class ActionForm(Form):
    """What every one of these forms carries: the key and the figures are filled in with the confirmation."""

    key = HiddenField()
    shown = HiddenField()


class ReasonForm(ActionForm):
    """With a reason, which stands on the timeline."""

    reason = StringField("Reason", [Needed("Say why. It stands on the plan’s timeline."), OneLine(REASON_MAX)])

    def __iter__(self) -> Iterator[Field]:
        """The reason last, as on the page: the summary of mistakes reads from the top down."""
        yield from (found for found in super().__iter__() if found.name != "reason")
        yield self.reason


F = TypeVar("F", bound=ActionForm)


@dataclass(frozen=True, slots=True)
class Line:
    """One figure before and after, as people read it."""

    label: str
    before: str
    after: str


@dataclass(frozen=True, slots=True)
class Confirmation:
    """What somebody sees before it happens. `shown` is what is sent along, in minor units by the field's name."""

    title: str
    button: str
    shown: dict[str, int]
    figures: Sequence[Line] = ()
    parts: Sequence[Line] = ()
    parts_of: str = "Installment"
    parts_what: str = "Remaining"
    facts: Sequence[tuple[str, str]] = ()
    notes: Sequence[str] = ()
    danger: bool = True
    notice: str = ""


class Feedback(NamedTuple):
    """What to say afterwards. kind: success, warn or info."""

    text: str
    kind: str = "success"


@dataclass(frozen=True, slots=True)
class Books:
    """A plan's money as it is now: what forms say in their help, and what confirmations count from."""

    plan: Plan
    installments: list[Installment]
    payments: list[Payment]
    standing: PlanFigures

    def amount(self, minor: int) -> str:
        """ "SAR 33.34" """
        return money.show(minor, self.plan.currency)

    def open_parts(self) -> list[Part]:
        """What remains of each installment that is open, in order."""
        return [(row.id, row.remaining) for row in self.installments if row.remaining]

    def lines(self, parts: Sequence[Part], sign: int = -1) -> list[Line]:
        """What remains of the installments that `parts` change, before and after."""
        rows = {row.id: row for row in self.installments}
        return [
            Line(
                f"{rows[row_id].number} of {self.plan.num_installments}",
                self.amount(rows[row_id].remaining),
                self.amount(rows[row_id].remaining + sign * minor),
            )
            for row_id, minor in parts
        ]

    def figures(self, changes: Mapping[str, int], *, cancelling: bool = False) -> list[Line]:
        """The plan's figures before and after; of those that stay as they are only what is not zero."""
        void = {"credited": "Credited or void"} if cancelling or self.plan.cancelled_at is not None else {}
        return [
            Line(void.get(name, words), self.amount(before), self.amount(before + changes.get(name, 0)))
            for name, words in FIGURES.items()
            if (before := getattr(self.standing, name)) or changes.get(name) or name == "remaining"
        ]


@dataclass(frozen=True, slots=True)
class Action(Generic[F]):
    """One act on a plan.

    `noun` names the template of its own fields; `title` and `about` head its page. `preview` reads what was typed and
    says what would happen; it raises Invalid (beside the fields) or Refused (above them). `carry_out` calls the service
    and returns the sentence for afterwards. `why_not`: the reason why the action can't be done at all.
    """

    noun: str
    title: str
    about: str
    preview: Callable[[F, Books], Confirmation]
    carry_out: Callable[[F, Books, RequestKey], Feedback]
    why_not: Callable[[Books], str | None]

    @property
    def fields(self) -> str:
        """The template of the form's own fields."""
        return f"confirmations/_{self.noun}_fields.html"


def books_of(plan_id: int) -> Books:
    """The plan's money, if this merchant made it. Raises NotFound."""
    plan = access.my_plan(me(), plan_id)
    installments = db.session.scalars(
        select(Installment).where(Installment.plan_id == plan_id).order_by(Installment.number)
    )
    payments = db.session.scalars(
        Payment.of_plan(plan_id)
        .where(Payment.state.in_(RECEIVED))
        .options(selectinload(Payment.allocations).joinedload(Allocation.installment))
    )
    return Books(plan, list(installments), list(payments), standing(plan_id))


def ask(act: Action[F], form: F, books: Books) -> Response:
    """The form."""
    return _page(act, form, books, 200)


def answer(act: Action[F], form: F, books: Books) -> Response:
    """One of the three steps that a form can take."""
    step = request.form.get("step", "check")
    if step == "edit":
        return _page(act, form, books, 200)
    if not form.validate():
        _find_more_faults(act, form, books)
        return _page(act, form, books, 422)
    if step != "confirm":
        return _check(act, form, books, 200)
    if not _is_whole(form):
        return _check(act, form, books, 422, INCOMPLETE)
    return _carry_out(act, form, books)


def figure(field: Field) -> int:
    """A figure that was sent along, in minor units. `carry_out` can count on it."""
    return int(field.data)


def _find_more_faults(act: Action[F], form: F, books: Books) -> None:
    """What else is wrong, so that everything is said at once."""
    try:
        act.preview(form, books)
    except Invalid as invalid:
        more = [fault for fault in invalid.faults if fault.field in form and not form[fault.field].errors]
        if more:
            apply_faults(form, Invalid(*more))
    except Refused:
        pass


def _carry_out(act: Action[F], form: F, books: Books) -> Response:
    plan_id = books.plan.id
    sent = [(field.name, field.data) for field in form if field.name not in ("key", "csrf_token")]
    request_key = RequestKey(me().id, f"POST {request.path}", form.key.data or "", idempotency.fingerprint(*sent))
    try:
        told = act.carry_out(form, books, request_key)
    except Invalid as invalid:
        apply_faults(form, invalid)
        return _page(act, form, books_of(plan_id), invalid.status)
    except KeyReused as reused:
        return _check(act, form, books_of(plan_id), reused.status, USED)
    except StillRunning as running:
        return _check(act, form, books_of(plan_id), running.status, RUNNING)
    except (Busy, NotFound):
        raise
    except Refused as refused:
        if refused.code == "amount_changed":
            return _check(act, form, books_of(plan_id), refused.status, CHANGED)
        form.form_errors.append(refused.message)
        return _page(act, form, books_of(plan_id), refused.status)
    flash(*told)
    return go(url_for("plans.show", plan_id=plan_id))


def _check(act: Action[F], form: F, books: Books, status: int, notice: str = "") -> Response:
    """What would happen, as things are now; or the form, with the reason why it can't."""
    try:
        if (why := act.why_not(books)) is not None:
            raise Refused("not_now", why)
        confirmation = act.preview(form, books)
    except Refused as refused:
        if isinstance(refused, Invalid):
            apply_faults(form, refused)
        else:
            form.form_errors.append(refused.message)
        if notice:
            form.form_errors.insert(0, notice)
        return _page(act, form, books, status if notice else refused.status)
    form.key.data = one_use_key()
    for name, minor in confirmation.shown.items():
        form[name].data = str(minor)
    return _page(act, form, books, status, replace(confirmation, notice=notice))


def _page(act: Action[F], form: F, books: Books, status: int, confirmation: Confirmation | None = None) -> Response:
    context = {
        "form": form,
        "books": books,
        "plan": books.plan,
        "why_not": act.why_not(books),
        "confirmation": confirmation,
        "fields": act.fields,
        "title": act.title,
        "about": act.about,
        "action": request.path,
        "in_dialog": is_htmx(),
        "sent_again": sent_again,
        "wrong": bool(form.errors or form.form_errors),
    }
    return two_shapes(page("confirmations/_action.html" if is_htmx() else "confirmations/page.html", status, **context))


def sent_again(form: ActionForm) -> Markup:
    """What was typed and shown, as hidden fields for the confirmation."""
    fields = Markup('<input type="hidden" name="{}" value="{}">')
    return Markup("\n").join(
        fields.format(field.name, field.data or "") for field in form if field.name != "csrf_token"
    )


def _is_whole(form: ActionForm) -> bool:
    figures = [field.data for field in form if isinstance(field, HiddenField) and field.name.startswith("shown")]
    return bool(re.fullmatch(KEY, form.key.data or "")) and all(
        re.fullmatch(r"[0-9]{1,16}", text or "") for text in figures
    )
