"""Sending of imported plans: the drafts become plans, and their customers are told, within the daily bounds.

`send` marks them. The job open_drafts makes the plans (services/plans/drafts.py): as many customers without an account
as the business may invite in a day, and the others on the following days.
"""

from collections.abc import Collection

from sqlalchemy import select, update

from portal.domain import clock
from portal.domain.permissions import Actor
from portal.errors import NotFound, Refused
from portal.extensions import db
from portal.models import Import, PlanDraft
from portal.services.accounts import hats
from portal.services.plans import drafts
from portal.services.unit_of_work import after_commit, unit_of_work


@unit_of_work
def send(import_id: int, *, actor: Actor, draft_ids: Collection[int] | None = None) -> int:
    """Send the drafts of an import, or these of them. A draft that could not become a plan is tried again at once.

    A draft that waits for its turn keeps it. Returns how many were marked: 0 for those that were sent before.
    Refuses: forbidden; not_found; import_not_carried_out; busy.
    """
    merchant_id = actor.business("create_plans")
    visible = select(Import).where(Import.id == import_id, Import.visible_to(merchant_id, actor.user_id))
    row = db.session.scalar(visible.with_for_update(read=True).execution_options(populate_existing=True))
    if row is None:
        raise NotFound()
    hats.confirm(actor, "create_plans")
    if row.carried_out_at is None:
        raise Refused("import_not_carried_out")
    stopped = PlanDraft.fault.is_not(None) & PlanDraft.fault.not_in(drafts.OF_A_DAY)
    mine = update(PlanDraft).where(PlanDraft.import_id == import_id, PlanDraft.sent_at.is_(None) | stopped)
    if draft_ids is not None:
        mine = mine.where(PlanDraft.id.in_(draft_ids))
    marks = {"sent_at": clock.now(), "created_by": actor.user_id, "tried_at": None, "fault": None}
    sent = db.session.execute(mine.values(marks).returning(PlanDraft.id)).all()
    after_commit(drafts.enqueue_open)
    return len(sent)
