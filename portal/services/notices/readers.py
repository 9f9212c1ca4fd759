"""The readers of a business's notices: its owners and managers, each as they chose."""

from datetime import date, timedelta
from typing import Any, Final, Literal

from sqlalchemy import func, select
from sqlalchemy.dialects.postgresql import insert

from portal.domain import clock
from portal.domain.permissions import Role
from portal.extensions import db
from portal.models import Membership, Merchant, NoticeSettings, PublicEvent, User
from portal.models.notices import Notice

ROLES: Final[tuple[Role, ...]] = ("owner", "manager")
"""The roles that are told."""
DIGEST_TIME: Final = timedelta(hours=8)
"""The local time of the daily digest."""
News = Literal[
    "accepted",
    "disputed",
    "upheld",
    "withdrawn",
    "lapsed",
    "stands",
    "void",
    "reschedule_accepted",
    "reschedule_declined",
    "reschedule_lapsed",
]
"""An event of a plan that a mail tells its business at once."""
NOTICE_OF: Final[dict[News, Notice]] = {
    "accepted": "accepted",
    "lapsed": "accepted",
    "reschedule_accepted": "accepted",
    "reschedule_declined": "accepted",
    "reschedule_lapsed": "accepted",
    "disputed": "disputed",
    "upheld": "disputed",
    "stands": "disputed",
    "void": "disputed",
    "withdrawn": "withdrawn",
}
"""The notice by which a member turns a piece of news off."""


def readers_of(merchant_id: int, notice: Notice, *, customer_id: int) -> list[int]:
    """The ids of the members to tell about a plan of this customer. A member who owes the plan is not told about it."""
    settings = NoticeSettings.user_id == Membership.user_id, NoticeSettings.merchant_id == Membership.merchant_id
    query = (
        select(Membership.user_id)
        .join(User, User.id == Membership.user_id)
        .outerjoin(NoticeSettings, settings[0] & settings[1])
        .where(
            Membership.merchant_id == merchant_id,
            Membership.role.in_(ROLES),
            Membership.user_id != customer_id,
            User.deactivated_at.is_(None),
            func.coalesce(NoticeSettings.off.contains([notice]), False).is_(False),
        )
        .order_by(Membership.user_id)
    )
    return list(db.session.scalars(query))


def wants(user_id: int, merchant_id: int, notice: Notice) -> bool:
    """The person is told about this kind of thing still, as of now."""
    member = db.session.get(Membership, (user_id, merchant_id), populate_existing=True)
    chosen = db.session.get(NoticeSettings, (user_id, merchant_id), populate_existing=True)
    return member is not None and member.role in ROLES and (chosen is None or notice not in chosen.off)


def begin(user_id: int, merchant_id: int, role: Role) -> None:
    """Inside the unit of work that gives a member this role: the first digest tells what happens from now on."""
    if role not in ROLES:
        return
    start = starting_now(merchant_id)
    row = insert(NoticeSettings).values(user_id=user_id, merchant_id=merchant_id, **start)
    db.session.flush()
    db.session.execute(row.on_conflict_do_update(index_elements=["user_id", "merchant_id"], set_=start))


def starting_now(merchant_id: int) -> dict[str, Any]:
    """The columns of settings whose first digest tells what happens from now on."""
    zone = db.session.get_one(Merchant, merchant_id).time_zone
    number = select(func.coalesce(func.max(PublicEvent.number), 0)).scalar_subquery()
    return {"told_number": number, "told_at": clock.now(), "next_day": next_day(zone)}


def next_day(zone: str) -> date:
    """The local day of the next 08:00 in this zone."""
    return clock.local_date(clock.now() + timedelta(days=1) - DIGEST_TIME, zone)
