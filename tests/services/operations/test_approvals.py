"""Businesses that wait for approval: their plans are drafts, which reach nobody before an operator approves."""

import pytest
from flask import Flask
from sqlalchemy import func, text

from portal.domain import permissions
from portal.errors import Forbidden, Invalid, NotFound, Refused
from portal.extensions import db
from portal.models import Email, Event, Invitation, LedgerEntry, Membership, Plan, PlanDraft, User
from portal.services.accounts import accounts
from portal.services.accounts.accounts import NewAccount
from portal.services.operations import approvals, closings, merchant_deactivations
from portal.services.plans import drafts, plans
from portal.services.plans.plans import NewPlan
from portal.services.team import invitations as team
from tests.fixtures import operations, people, proofs

pytestmark = pytest.mark.usefixtures("context")


def new_plan(email: str = "omar@example.com", merchant_id: int = 0) -> NewPlan:
    return NewPlan(email, 100_00, 3, people.today_of(merchant_id), description="Roses")


def counts() -> dict[str, int]:
    """The rows that a plan would make."""
    db.session.rollback()
    tables = (Plan, User, Invitation, Event, LedgerEntry)
    return {table.__name__: db.session.scalar(db.select(func.count()).select_from(table)) or 0 for table in tables}


def draft_count() -> int:
    db.session.rollback()
    return db.session.scalar(db.select(func.count()).select_from(PlanDraft)) or 0


@pytest.mark.parametrize("mode", ["approval", "open", "closed"])
def test_the_setting_decides_whether_a_new_business_is_approved(app: Flask, mode: str) -> None:
    with operations.registration(app, mode):  # type: ignore[arg-type]
        if mode == "closed":
            with pytest.raises(Invalid) as refused:
                people.a_merchant("dana")
            assert [(fault.field, fault.code) for fault in refused.value.faults] == [("role", "merchants_closed")]
            people.a_customer("omar")
            return
        dana = people.a_merchant("dana")
    assert operations.merchant_of(dana).standing == ("draft" if mode == "approval" else "live")


def test_a_draft_reaches_nobody_and_makes_no_rows(app: Flask) -> None:
    dana = operations.a_draft_merchant(app)
    people.omar()
    before = counts()
    for email in ("omar@example.com", "nadia@example.com"):
        drafts.save(operations.owner(dana), new_plan(email, dana))
        with pytest.raises(Refused, match="merchant_draft"):
            plans.open_plan(operations.owner(dana), new_plan(email, dana))
    assert counts() == before
    assert operations.states_of("invitation") == []
    drafts.open_all()
    assert (counts(), draft_count()) == (before, 2)


def test_a_draft_business_invites_no_colleague(app: Flask) -> None:
    dana, olga = operations.a_draft_merchant(app), operations.olga()
    for act in (lambda: None, lambda: closings.start(operations.owner(dana), shown_plans=0)):
        act()
        with pytest.raises(Refused) as refused:
            team.invite(operations.owner(dana), email="stranger@example.com", role="viewer")
        assert (refused.value.code, refused.value.about) == ("merchant_draft", "team")
    closings.stop(operations.owner(dana))
    assert operations.states_of("team_invitation") == []
    approvals.approve(dana, actor=olga)
    team.invite(operations.owner(dana), email="stranger@example.com", role="viewer")
    assert operations.states_of("team_invitation") == ["waiting"]


def test_an_approval_makes_plans_of_the_drafts_with_their_schedules(app: Flask) -> None:
    dana, olga = operations.a_draft_merchant(app), operations.olga()
    omar = people.omar()
    for email in ("omar@example.com", "nadia@example.com"):
        drafts.save(operations.owner(dana), new_plan(email, dana))
    db.session.execute(
        text("UPDATE plan_drafts SET start_date = start_date - 9, created_at = now() - interval '9 days'")
    )
    db.session.commit()
    start = db.session.scalars(db.select(PlanDraft.start_date)).first()
    approvals.approve(dana, actor=olga)
    assert operations.acts() == [("merchant_approved", olga.user_id, None)]
    drafts.open_all()
    db.session.rollback()
    made_plans = list(db.session.scalars(db.select(Plan).order_by(Plan.id)))
    assert {(plan.merchant_id, plan.total, plan.start_date, plan.description) for plan in made_plans} == {
        (dana, 100_00, start, "Roses")
    }
    assert omar in {plan.customer_id for plan in made_plans}
    assert len(operations.states_of("invitation")) == 1
    assert draft_count() == 0
    assert drafts.open_all() == 0
    assert {event.actor_id for event in db.session.scalars(db.select(Event).where(Event.kind == "plan.created"))} <= {
        dana
    }


def test_a_draft_that_can_not_become_a_plan_says_why_and_is_tried_again(app: Flask) -> None:
    dana = operations.a_draft_merchant(app)
    drafts.save(operations.owner(dana), new_plan("dana@example.com", dana))
    approvals.approve(dana, actor=None)
    assert drafts.open_all() == 1
    draft = db.session.scalars(db.select(PlanDraft).execution_options(populate_existing=True)).one()
    assert draft.fault == "not_a_customer" and draft.tried_at is not None
    assert drafts.open_all() == 0
    db.session.execute(text("UPDATE plan_drafts SET tried_at = now() - interval '2 hours'"))
    db.session.commit()
    assert drafts.open_all() == 1
    drafts.discard(draft.id, actor=operations.owner(dana))
    assert draft_count() == 0


def test_drafts_wait_while_their_business_is_deactivated(app: Flask) -> None:
    dana = operations.a_draft_merchant(app)
    drafts.save(operations.owner(dana), new_plan("nadia@example.com", dana))
    merchant_deactivations.deactivate(dana, actor=None, reason="Spam")
    approvals.approve(dana, actor=None)
    assert (drafts.open_all(), draft_count()) == (0, 1)


def test_a_declined_business_keeps_its_drafts_and_can_be_approved_later(app: Flask) -> None:
    dana, olga = operations.a_draft_merchant(app), operations.olga()
    drafts.save(operations.owner(dana), new_plan("nadia@example.com", dana))
    approvals.decline(dana, actor=olga, reason="Who are you?")
    with pytest.raises(Refused, match="already_declined"):
        approvals.decline(dana, actor=olga, reason="Again")
    assert operations.merchant_of(dana).standing == "draft" and draft_count() == 1
    assert operations.mails_to(dana) == ["merchant_declined"]
    approvals.approve(dana, actor=olga)
    with pytest.raises(Refused, match="already_approved"):
        approvals.approve(dana, actor=olga)
    with pytest.raises(Refused, match="already_approved"):
        approvals.decline(dana, actor=olga, reason="Too late")
    assert operations.merchant_of(dana).standing == "live"


def test_only_operators_who_do_not_belong_to_the_business_decide(app: Flask) -> None:
    dana, olga = operations.a_draft_merchant(app), operations.olga()
    for actor in (operations.owner(dana), permissions.customer(dana)):
        with pytest.raises(Forbidden):
            approvals.approve(dana, actor=actor)
        with pytest.raises(Forbidden):
            approvals.decline(dana, actor=actor, reason="No")
    with pytest.raises(NotFound):
        approvals.approve(2**40, actor=olga)
    db.session.add(Membership(user_id=olga.user_id, merchant_id=dana, role="viewer", created_at=db.func.now()))
    db.session.commit()
    for act in (
        lambda: approvals.approve(dana, actor=olga),
        lambda: approvals.decline(dana, actor=olga, reason="No"),
    ):
        with pytest.raises(Refused, match="own_business"):
            act()
    assert operations.merchant_of(dana).standing == "draft" and operations.acts() == []


def test_operators_are_told_once_a_day_that_businesses_wait(app: Flask) -> None:
    olga = operations.olga()
    for name in ("dana", "dalia", "dora"):
        operations.a_draft_merchant(app, name)
    assert operations.mails_to(olga.user_id) == ["merchants_waiting"]


def test_a_draft_has_the_faults_of_a_plan(app: Flask) -> None:
    dana = operations.a_draft_merchant(app)
    with pytest.raises(Invalid) as refused:
        drafts.save(operations.owner(dana), NewPlan("no email", 0, 0, people.today_of(dana)))
    assert {fault.field for fault in refused.value.faults} == {"customer_email", "total_amount", "num_installments"}
    with pytest.raises(Refused, match="merchant_live"):
        drafts.save(people.owner(people.amal()), new_plan("omar@example.com", dana))


def test_drafts_have_a_limit_and_belong_to_their_business(app: Flask, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(drafts, "LIMIT", 1)
    dana = operations.a_draft_merchant(app)
    saved = drafts.save(operations.owner(dana), new_plan("nadia@example.com", dana))
    with pytest.raises(Refused, match="too_many_drafts"):
        drafts.save(operations.owner(dana), new_plan("nadia@example.com", dana))
    with pytest.raises(NotFound):
        drafts.discard(saved.draft.id, actor=people.owner(people.amal()))
    with pytest.raises(Forbidden):
        drafts.discard(saved.draft.id, actor=permissions.member(dana, dana, "viewer"))
    assert draft_count() == 1


def test_demo_merchants_need_no_approval(app: Flask) -> None:
    with operations.registration(app, "approval"):
        new = NewAccount("merchant", "demo", "demo@example.com", people.PASSWORD, "Demo", "SAR", "UTC", is_demo=True)
        demo = accounts.register(new)
    assert operations.merchant_of(demo).standing == "live"
    assert db.session.scalars(db.select(Email)).all() == []


def test_a_business_waits_from_the_proof_of_its_owners_email_on(app: Flask) -> None:
    olga = operations.olga()
    with proofs.confirming(app):
        dana = operations.a_draft_merchant(app)
    assert operations.mails_to(olga.user_id) == []
    with pytest.raises(Refused, match="unproven_owner"):
        approvals.approve(dana, actor=olga)
    with pytest.raises(Refused, match="unproven_owner"):
        approvals.approve(dana, actor=None)
    assert operations.merchant_of(dana).standing == "draft" and operations.acts() == []
    proofs.prove(dana)
    assert operations.mails_to(olga.user_id) == ["merchants_waiting"]
    approvals.approve(dana, actor=olga)
    assert operations.merchant_of(dana).standing == "live"
