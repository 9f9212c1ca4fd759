"""The steps of an action on a plan's money: a form, a confirmation with amounts before and after, then the action once.

A view describes its own part as an `Action`. The steps, the one-use key, the amounts that are sent along and the check
that they are unchanged are the same for all actions.

    GET              the form
    POST check       the confirmation: a dialog for htmx, a page without JavaScript
    POST edit        the form again, with its values
    POST confirm     the action; 409 with a new confirmation when the amounts have changed
"""

from dataclasses import replace
from typing import Final

from flask import Response, flash, request, url_for

from portal.errors import Invalid, Refused, RepeatedRequest
from portal.web.authorization import me
from portal.web.confirmations.actions import Action, Confirmation, F
from portal.web.confirmations.amounts import owed_amounts, refundable_amounts
from portal.web.confirmations.forms import hidden_fields, is_complete
from portal.web.confirmations.snapshot import PlanSnapshot, snapshot_of
from portal.web.forms import apply_faults
from portal.web.labels import one_use_key
from portal.web.one_use_keys import NotDone, carry_out, request_key
from portal.web.respond import fragment_or_page, go, is_htmx
from portal.wording.lazy import lazy_gettext as _l

CHANGED: Final = _l("Something changed in the meantime, and nothing was done. These are the figures as they are now.")
USED: Final = _l("This button was used already, and nothing was done this time. Look at the figures and press again.")
RUNNING: Final = _l("This is being carried out right now. Look at the plan in a moment.")
BUSY: Final = _l(
    "A payment of this plan is being checked with the bank. This can be done as soon as its outcome is known."
)
WORDS: Final = {"idempotency_key_reused": USED, "still_running": RUNNING, "amount_changed": CHANGED}
INCOMPLETE: Final = _l("Something was missing from what was sent. Nothing was done. Please press again.")


def show_form(action: Action[F], form: F, snapshot: PlanSnapshot) -> Response:
    """The form."""
    return _page(action, form, snapshot, 200)


def submit(action: Action[F], form: F, snapshot: PlanSnapshot) -> Response:
    """The response to one of the three POST steps."""
    step = request.form.get("step", "check")
    if step == "edit":
        return _page(action, form, snapshot, 200)
    if not form.validate():
        _add_faults_of_preview(action, form, snapshot)
        return _page(action, form, snapshot, 422)
    if step != "confirm":
        return _confirm_page(action, form, snapshot, 200)
    if not is_complete(form):
        return _confirm_page(action, form, snapshot, 422, INCOMPLETE)
    return _carry_out(action, form, snapshot)


def _add_faults_of_preview(action: Action[F], form: F, snapshot: PlanSnapshot) -> None:
    """Add the preview's faults of fields without an error, so that the page shows all errors at once."""
    try:
        action.preview(form, snapshot)
    except Invalid as invalid:
        faults = [fault for fault in invalid.faults if fault.field in form and not form[fault.field].errors]
        if faults:
            apply_faults(form, Invalid(*faults))
    except Refused:
        pass


def _carry_out(action: Action[F], form: F, snapshot: PlanSnapshot) -> Response:
    plan_id = snapshot.plan.id
    values = [(field.name, field.data) for field in form if field.name not in ("key", "csrf_token")]
    key = request_key(me().id, f"POST {request.path}", form.key.data, *values)
    done = carry_out(lambda: action.carry_out(form, snapshot, key), WORDS)
    if isinstance(done, NotDone):
        return _not_done(action, form, snapshot_of(plan_id), done)
    flash(*done)
    return go(url_for("plans.show", plan_id=plan_id))


def _not_done(action: Action[F], form: F, snapshot: PlanSnapshot, not_done: NotDone) -> Response:
    """The form with its errors; or a new confirmation, after which the merchant may press again."""
    error = not_done.error
    if isinstance(error, RepeatedRequest) or error.code == "amount_changed":
        return _confirm_page(action, form, snapshot, error.status, not_done.message)
    if isinstance(error, Invalid):
        apply_faults(form, error)
    else:
        form.form_errors.append(not_done.message)
    return _page(action, form, snapshot, error.status)


def _confirm_page(action: Action[F], form: F, snapshot: PlanSnapshot, status: int, notice: str = "") -> Response:
    """The confirmation with a new key; or the form with the reason why the action is not possible."""
    if (why := action.why_not(snapshot)) is not None:
        form.form_errors.append(why)
        return _form_again(action, form, snapshot, status if notice else Refused.status, notice)
    try:
        confirmation = action.preview(form, snapshot)
    except (Invalid, Refused) as error:
        apply_faults(form, error)
        return _form_again(action, form, snapshot, status if notice else error.status, notice)
    form.key.data = one_use_key()
    for name, minor in confirmation.shown.items():
        form[name].data = str(minor)
    return _page(action, form, snapshot, status, replace(confirmation, notice=notice))


def _form_again(action: Action[F], form: F, snapshot: PlanSnapshot, status: int, notice: str) -> Response:
    """The form with its errors, the notice first."""
    if notice:
        form.form_errors.insert(0, notice)
    return _page(action, form, snapshot, status)


def _page(
    action: Action[F], form: F, snapshot: PlanSnapshot, status: int, confirmation: Confirmation | None = None
) -> Response:
    return fragment_or_page(
        "confirmations/_action.html",
        "confirmations/page.html",
        status,
        form=form,
        snapshot=snapshot,
        plan=snapshot.plan,
        why_not=action.why_not(snapshot),
        confirmation=confirmation,
        fields=action.fields,
        title=action.title,
        about=action.about,
        action=request.path,
        in_dialog=is_htmx(),
        hidden_fields=hidden_fields,
        owed_amounts=owed_amounts,
        refundable_amounts=refundable_amounts,
        has_faults=bool(form.errors or form.form_errors),
    )
