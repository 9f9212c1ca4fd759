"""The first steps on the dashboard of a new business."""

from portal.domain import clock
from portal.domain.permissions import Actor
from portal.extensions import db
from portal.models import Merchant
from portal.services.accounts import hats
from portal.services.unit_of_work import unit_of_work


@unit_of_work
def hide(actor: Actor) -> None:
    """Take the first steps off the dashboard, for every member. Again: nothing changes. Refuses: forbidden; busy."""
    merchant_id = actor.business("settings")
    merchant = db.session.get_one(Merchant, merchant_id, with_for_update={"key_share": True}, populate_existing=True)
    hats.confirm(actor, "settings")
    if merchant.first_steps_hidden_at is None:
        merchant.first_steps_hidden_at = clock.now()
