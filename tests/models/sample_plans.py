"""Sample plans, payments and refunds, written by the services, for tests that break them in SQL."""

from typing import Any

from portal.extensions import db
from portal.models import IdempotencyKey, Installment, Invitation, LedgerEntry, Plan, User
from portal.services.accounts import sessions
from portal.services.adjustments import cancellations
from portal.services.payments import refunds
from portal.services.plans import plans
from portal.services.plans.plans import NewPlan
from tests.fixtures import people, servers


@servers.made_once
def sample_plans() -> dict[str, Any]:
    """Create five plans of one merchant and more, and return their ids by name.

    - `plan`: 100.00 SAR in three installments. The first is paid (`paid`, by `payment`), the second (`open`) has a
      declined payment (`declined`), and `third` is open.
    - `flight_plan`: two installments. `flight` is a payment in flight for the first (`held`), the second is `free`.
    - `done_plan`: one paid installment (`done`).
    - `late_plan`: two unpaid installments.
    - `invited_plan`: a plan of an invited customer, with an invitation.
    - `void_plan`: cancelled. `back_plan`: with a succeeded refund (`given`) and a refund in flight (`refund`).
    """
    amal, badr, omar = people.amal(), people.badr(), people.omar()
    plan, flight_plan = people.a_plan(amal), people.a_plan(amal, total=50_00, count=2)
    done_plan, late_plan = people.a_plan(amal, total=10_00, count=1), people.a_plan(amal, count=2, first=-40)
    first, second, third = people.installments_of(plan)
    held, free = people.installments_of(flight_plan)
    ids = {"amal": amal, "badr": badr, "omar": omar, "plan": plan, "flight_plan": flight_plan, "done_plan": done_plan}
    ids |= {"late_plan": late_plan, "paid": first.id, "open": second.id, "third": third.id, "held": held.id}
    ids |= {"free": free.id, "done": people.installments_of(done_plan)[0].id}
    ids["payment"] = people.pay(ids["paid"], omar).id
    ids["declined"] = people.pay(ids["open"], omar, "card_declined").id
    ids["flight"] = people.pay(ids["held"], omar, "card_lost_charged").id
    people.pay(ids["done"], omar)
    void_plan, back_plan = people.a_plan(amal, total=30_00, count=1), people.a_plan(amal, total=40_00, count=2)
    cancellations.cancel(void_plan, actor=people.owner(amal), reason="Sold out")
    people.pay(people.installments_of(back_plan)[0].id, omar, "card_refund_lost_done")
    people.pay(people.installments_of(back_plan)[1].id, omar)
    ids["given"] = refunds.refund(back_plan, actor=people.owner(amal), amount=5_00, reason="Broken").refund_ids[0]
    ids["refund"] = refunds.refund(back_plan, actor=people.owner(amal), amount=20_00, reason="Broken").refund_ids[-1]
    ids |= {"void_plan": void_plan, "void": people.installments_of(void_plan)[0].id, "back_plan": back_plan}
    new = NewPlan("nadia@example.com", 20_00, 2, people.today_of(amal))
    ids["invited_plan"] = plans.open_plan(people.owner(amal), new).plan_id
    ids["late"] = people.installments_of(late_plan)[0].id
    sessions.start(omar)
    now = db.session.scalar(db.select(db.func.clock_timestamp()))
    key = IdempotencyKey(user_id=omar, scope="s", key="k", fingerprint="f", state="running", created_at=now)
    db.session.add(key)
    ids["entry"] = db.session.scalar(db.select(LedgerEntry.id).where(LedgerEntry.plan_id == plan).limit(1))
    ids["invited"] = db.session.scalar(db.select(User.id).where(User.has_email("nadia@example.com")))
    ids["invitation"] = db.session.scalar(db.select(Invitation.id).where(Invitation.kind == "customer"))
    db.session.commit()
    assert db.session.scalar(db.select(db.func.count(Installment.id))) == 13
    assert db.session.get_one(Plan, done_plan).state == "completed"
    db.session.rollback()
    return ids
