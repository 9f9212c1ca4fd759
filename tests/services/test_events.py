"""Events in the database: every payload is read back as it was written."""

import pytest
from flask.ctx import AppContext
from sqlalchemy import func, insert, select

from portal.domain import clock
from portal.domain.events import KINDS, CustomerMuted, InstallmentLate, Payload, PlanClosed, UnknownKind
from portal.extensions import db
from portal.models import Event
from portal.reports.plans import plans
from portal.services import events, texts
from portal.services.unit_of_work import unit_of_work
from tests.domain.event_examples import EXAMPLES
from tests.fixtures import people
from tests.fixtures.business import everything


@unit_of_work
def write(plan_id: int, payloads: list[Payload], by: int | None = None) -> None:
    for payload in payloads:
        events.record(payload, plan_id=plan_id, by=by)


@unit_of_work
def write_all(payloads: list[tuple[int, Payload]], by: int | None = None) -> int:
    return events.record_all(payloads, by=by)


@unit_of_work
def keep(plan_id: int, text: str) -> int | None:
    return texts.keep(plan_id, "reason", text)


def written(plan_id: int) -> list[Event]:
    """The plan's events after those of its opening."""
    db.session.rollback()
    query = select(Event).where(Event.plan_id == plan_id, Event.kind.not_in(("plan.opened", "invitation.created")))
    return list(db.session.scalars(query.order_by(Event.id).execution_options(populate_existing=True)))


@pytest.mark.parametrize("in_bulk", [False, True])
def test_every_payload_is_read_back_as_it_was_written(context: AppContext, amal: int, omar: int, in_bulk: bool) -> None:
    """The examples point to payment 1, installment 1 and text 1, which exist."""
    plan_id = people.a_plan(amal)
    first = people.installments_of(plan_id)[0]
    assert (people.pay(first.id, omar).id, first.id, keep(plan_id, "Too dear")) == (1, 1, 1)
    last = db.session.scalar(select(func.max(Event.id)))
    if in_bulk:
        assert write_all([(plan_id, payload) for payload in EXAMPLES], by=amal) == len(EXAMPLES)
    else:
        write(plan_id, EXAMPLES, by=amal)
    db.session.rollback()
    rows = db.session.scalars(select(Event).where(Event.id > last).order_by(Event.id)).all()
    assert [row.payload for row in rows] == EXAMPLES
    assert {(row.actor_id, row.plan_id) for row in rows} == {(amal, plan_id)}
    assert {row.reason for row in rows} == {"", "Too dear"}
    assert {type(payload) for payload in EXAMPLES} == set(KINDS.values())


def test_events_in_bulk_leave_out_one_that_exists(context: AppContext, amal: int) -> None:
    plan_id = people.a_plan(amal, count=2)
    one, two = people.installments_of(plan_id)
    late = [(plan_id, InstallmentLate(installment_id=row.id, amount=row.remaining)) for row in (one, two)]
    assert [write_all(late[:1]), write_all(late), write_all(late), write_all([])] == [1, 1, 0, 0]
    assert [row.payload for row in written(plan_id)] == [payload for _, payload in late]


def test_events_in_bulk_may_be_of_several_plans_and_kinds(context: AppContext, amal: int) -> None:
    first, second = people.a_plan(amal), people.a_plan(amal)
    assert write_all([(first, CustomerMuted()), (second, PlanClosed())], by=amal) == 2
    assert [row.payload for row in written(first) + written(second)] == [CustomerMuted(), PlanClosed()]


def test_the_timeline_leaves_out_the_kinds_of_a_newer_version(context: AppContext, amal: int) -> None:
    plan_id = people.a_plan(amal)
    db.session.execute(insert(Event).values(plan_id=plan_id, kind="plan.painted", created_at=clock.now()))
    db.session.commit()
    assert [row.kind for row in plans.timeline_of(plan_id, private=True)] == ["invitation.created", "plan.opened"]
    (newer,) = written(plan_id)
    with pytest.raises(UnknownKind):
        newer.payload  # noqa: B018


def test_every_event_of_the_sample_business_has_a_payload(context: AppContext) -> None:
    everything()
    rows = db.session.scalars(select(Event)).all()
    assert {type(row.payload) for row in rows} <= set(KINDS.values())
    assert db.session.scalar(select(func.count(Event.id)).where(Event.data.has_key("reason"))) == 0
