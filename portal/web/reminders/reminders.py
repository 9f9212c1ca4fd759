"""The merchant's button that sends a reminder now."""

from flask import flash, url_for
from flask.typing import ResponseReturnValue
from flask_babel import gettext as _

from portal import access
from portal.errors import NotFound, Refused
from portal.services.reminders import manual_reminders
from portal.web import rate_limits
from portal.web.authorization import my_actor, needs
from portal.web.reminders.blueprint import bp as bp
from portal.web.respond import go
from portal.wording.refusals import sentence


@bp.post("/plans/<int:plan_id>/reminders")
@rate_limits.writing
@needs("remind")
def create(plan_id: int) -> ResponseReturnValue:
    """Remind the plan's customer now."""
    access.our_plan(my_actor(), plan_id)
    try:
        manual_reminders.send_now(plan_id, actor=my_actor())
    except NotFound:
        raise
    except Refused as refused:
        flash(sentence(refused), "warn")
    else:
        flash(_("The reminder is on its way."), "success")
    return go(url_for("plans.show", plan_id=plan_id))
