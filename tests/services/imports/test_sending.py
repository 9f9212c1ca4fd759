"""Sending of imported plans: nothing reaches a customer before it, and it keeps to the daily bounds of strangers."""

import threading
from datetime import date, timedelta

import pytest
from flask import Flask
from sqlalchemy import func, select, text

from portal.domain import permissions
from portal.errors import Forbidden, NotFound, Refused
from portal.extensions import db
from portal.models import Customer, Email, Installment, Membership, Plan, PlanDraft, User
from portal.reports.plans import imports as reports
from portal.reports.plans.imports import Progress
from portal.services import mail_limits
from portal.services.imports import imports, sending
from portal.services.operations import approvals, merchant_deactivations
from portal.services.plans import drafts, lateness, pairs
from portal.services.reminders import reminders
from tests.fixtures import operations, people
from tests.services.imports import spreadsheets
from tests.services.imports.spreadsheets import a_file
from tests.services.imports.test_imports import count


def progress(import_id: int) -> Progress:
    db.session.rollback()
    return reports.progress_of([import_id])[import_id]


def a_day_passes() -> None:
    db.session.rollback()
    db.session.execute(text("UPDATE emails SET created_at = created_at - interval '25 hours'"))
    db.session.execute(text("UPDATE plan_drafts SET tried_at = tried_at - interval '25 hours'"))
    db.session.commit()


def mails(kind: str) -> int:
    db.session.rollback()
    return db.session.scalar(select(func.count()).select_from(Email).where(Email.kind == kind)) or 0


def test_nothing_of_an_unsent_plan_is_late_reminded_or_asked(context: object) -> None:
    amal, _omar = people.amal(), people.omar()
    actor = people.owner(amal)
    spreadsheets.imported(
        actor, a_file("omar@example.com,,,900,3,2020-01-31,Sofa,", "x@example.com,,,9,3,2020-01-31,,")
    )
    drafts.open_all()
    lateness.mark_late_installments()
    reminders.send_overdue_reminders()
    assert (count(Email), count(Plan), count(Customer)) == (0, 0, 0)


def test_sent_plans_are_made_and_their_customers_told_once(context: object) -> None:
    amal, omar = people.amal(), people.omar()
    actor = people.owner(amal)
    import_id = spreadsheets.imported(
        actor,
        a_file(
            'omar@example.com,Omar Haddad,+966501234567,"1,200",4,2020-01-31,Sofa,A-1',
            "nadia@example.com,نادية,,900,3,2030-01-31,Desk,A-2",
        ),
    )
    assert sending.send(import_id, actor=actor) == 2
    assert sending.send(import_id, actor=actor) == 0
    drafts.open_all()
    drafts.open_all()
    assert (count(PlanDraft), count(Plan), mails("plan_made"), mails("invitation"), mails("reminder")) == (
        0,
        2,
        1,
        1,
        0,
    )
    sofa, desk = db.session.scalars(select(Plan).order_by(Plan.id))
    assert (sofa.import_id, sofa.external_id, sofa.total, sofa.customer_id) == (import_id, "A-1", 1200_00, omar)
    assert (desk.import_id, desk.description) == (import_id, "Desk")
    assert db.session.get_one(Customer, (amal, omar)).name == "Omar Haddad"
    assert db.session.get_one(Customer, (amal, desk.customer_id)).name == "نادية"
    assert progress(import_id).made == 2


def test_past_dates_make_no_backlog_of_mail(context: object) -> None:
    actor = people.owner(people.amal())
    import_id = spreadsheets.imported(actor, a_file("x@example.com,,,900,9,2020-01-31,Sofa,"))
    sending.send(import_id, actor=actor)
    drafts.open_all()
    reminders.send_overdue_reminders()
    reminders.send_due_soon_reminders()
    late = db.session.scalar(
        select(func.count()).select_from(Installment).where(Installment.due_date < date(2026, 1, 1))
    )
    assert late == 9
    assert mails("invitation") == 1 and mails("reminder") <= 1


def test_a_selection_is_sent_alone(context: object) -> None:
    amal, badr = people.amal(), people.badr()
    actor = people.owner(amal)
    import_id = spreadsheets.imported(actor, spreadsheets.plans_of(4))
    foreign = spreadsheets.imported(people.owner(badr), a_file("z@example.com,,,9,3,2030-01-31,,"))
    ids = list(db.session.scalars(select(PlanDraft.id).where(PlanDraft.import_id == import_id).order_by(PlanDraft.id)))
    theirs = list(db.session.scalars(select(PlanDraft.id).where(PlanDraft.import_id == foreign)))
    db.session.rollback()
    assert sending.send(import_id, actor=actor, draft_ids=[*ids[:2], *theirs]) == 2
    drafts.open_all()
    assert (progress(import_id).made, progress(import_id).unsent, progress(foreign).unsent) == (2, 2, 1)


def test_a_new_business_sends_twenty_invitations_a_day(context: object) -> None:
    amal, _omar = people.amal(), people.omar()
    actor = people.owner(amal)
    lines = [f"buyer-{n}@example.com,,,900,3,2030-01-31,,{n}" for n in range(45)]
    import_id = spreadsheets.imported(actor, a_file(*lines, "omar@example.com,,,900,3,2030-01-31,,o"))
    assert mail_limits.invitations_left(amal) == 20
    sending.send(import_id, actor=actor)
    drafts.open_all()
    assert (mails("invitation"), mails("plan_made")) == (20, 1)
    far = progress(import_id)
    assert (far.made, far.tomorrow, far.queued, far.refused) == (21, 25, 0, 0)
    assert mail_limits.invitations_left(amal) == 0
    assert drafts.open_all() == 0
    assert sending.send(import_id, actor=actor) == 0
    drafts.open_all()
    assert mails("invitation") == 20
    a_day_passes()
    drafts.open_all()
    assert (mails("invitation"), progress(import_id).tomorrow) == (40, 5)
    a_day_passes()
    drafts.open_all()
    assert (mails("invitation"), progress(import_id)) == (45, Progress(made=46))
    made = list(db.session.scalars(select(Plan.external_id).order_by(Plan.id)))
    assert [number for number in made if number != "o"] == [str(n) for n in range(45)]


def test_waiting_drafts_cost_no_transaction_each(app: Flask, context: object) -> None:
    amal = people.amal()
    actor = people.owner(amal)
    import_id = spreadsheets.imported(actor, spreadsheets.plans_of(300))
    sending.send(import_id, actor=actor)
    drafts.open_all()
    far = progress(import_id)
    assert (far.made, far.tomorrow) == (20, 280)
    a_draft = select(func.count(func.distinct(PlanDraft.tried_at))).where(PlanDraft.fault == "plan_limit")
    assert (db.session.scalar(a_draft) or 0) <= 2


def test_what_cant_be_made_says_why_and_can_be_sent_again(context: object) -> None:
    amal, omar = people.amal(), people.omar()
    people.a_plan(amal)
    actor = people.owner(amal)
    import_id = spreadsheets.imported(
        actor, a_file("omar@example.com,,,900,3,2030-01-31,,", "x@example.com,,,9,3,2030-01-31,,")
    )
    pairs.block(amal, user_id=omar)
    sending.send(import_id, actor=actor)
    drafts.open_all()
    draft = db.session.scalars(select(PlanDraft)).one()
    assert (draft.fault, progress(import_id).refused, progress(import_id).made) == ("blocked", 1, 1)
    db.session.rollback()
    pairs.allow(amal, user_id=omar)
    assert sending.send(import_id, actor=actor) == 1
    drafts.open_all()
    assert progress(import_id) == Progress(made=2)


def test_plans_of_a_sender_who_left_wait_until_another_sends_them(context: object) -> None:
    amal = people.amal()
    nour = people.a_member("nour", amal, "manager")
    import_id = spreadsheets.imported(permissions.member(nour, amal, "manager"), spreadsheets.plans_of(1))
    sending.send(import_id, actor=permissions.member(nour, amal, "manager"))
    db.session.execute(db.delete(Membership).where(Membership.user_id == nour))
    db.session.commit()
    drafts.open_all()
    assert db.session.scalars(select(PlanDraft.fault)).one() == "forbidden"
    db.session.rollback()
    assert sending.send(import_id, actor=people.owner(amal)) == 1
    drafts.open_all()
    assert progress(import_id).made == 1


def test_who_may_send(context: object) -> None:
    amal, badr = people.amal(), people.badr()
    nour = people.a_member("nour", amal, "collector")
    actor = people.owner(amal)
    waiting = spreadsheets.upload(actor, spreadsheets.plans_of(1))
    import_id = spreadsheets.imported(actor, spreadsheets.plans_of(1))
    with pytest.raises(NotFound):
        sending.send(import_id, actor=people.owner(badr))
    with pytest.raises(Forbidden):
        sending.send(import_id, actor=permissions.member(nour, amal, "collector"))
    with pytest.raises(Refused, match="import_not_carried_out"):
        sending.send(waiting, actor=actor)
    assert progress(import_id).unsent == 1


def test_two_jobs_at_once_make_each_plan_once(app: Flask, database: str) -> None:
    with app.app_context():
        amal = people.amal()
        import_id = spreadsheets.imported(people.owner(amal), spreadsheets.plans_of(15))
        sending.send(import_id, actor=people.owner(amal))

    def run() -> None:
        with app.app_context():
            drafts.open_all()

    jobs = [threading.Thread(target=run) for _ in range(3)]
    for job in jobs:
        job.start()
    for job in jobs:
        job.join()
    with app.app_context():
        drafts.open_all()
        assert (count(Plan), mails("invitation"), count(PlanDraft)) == (15, 15, 0)


def test_a_discard_stops_what_waits_and_keeps_what_was_made(context: object) -> None:
    actor = people.owner(people.amal())
    import_id = spreadsheets.imported(actor, spreadsheets.plans_of(25))
    sending.send(import_id, actor=actor)
    drafts.open_all()
    assert imports.discard(import_id, actor=actor) == 5
    a_day_passes()
    drafts.open_all()
    assert (count(Plan), mails("invitation"), count(User)) == (20, 20, 21)


def test_sent_plans_of_a_waiting_business_follow_its_approval(app: Flask, context: object) -> None:
    dana = operations.a_draft_merchant(app)
    import_id = spreadsheets.imported(operations.owner(dana), spreadsheets.plans_of(3))
    ids = list(db.session.scalars(select(PlanDraft.id).order_by(PlanDraft.id)))
    db.session.rollback()
    sending.send(import_id, actor=operations.owner(dana), draft_ids=ids[:2])
    drafts.open_all()
    assert count(Plan) == 0
    approvals.approve(dana, actor=operations.olga())
    drafts.open_all()
    assert (count(Plan), progress(import_id).unsent) == (2, 1)


def test_a_deactivated_business_sends_nothing(context: object) -> None:
    amal = people.amal()
    import_id = spreadsheets.imported(people.owner(amal), spreadsheets.plans_of(2))
    sending.send(import_id, actor=people.owner(amal))
    merchant_deactivations.deactivate(amal, actor=operations.olga(), reason="Fraud")
    drafts.open_all()
    assert (count(Plan), progress(import_id).queued) == (0, 2)
    with pytest.raises(Forbidden):
        sending.send(import_id, actor=operations.owner(amal))


def test_deposits_are_due_on_the_day_of_the_import(context: object) -> None:
    amal = people.amal()
    first = people.today_of(amal) + timedelta(days=40)
    header = "Email,Total,Deposit,Installments,First due date"
    import_id = spreadsheets.imported(people.owner(amal), a_file(f"x@example.com,900,300,2,{first}", header=header))
    sending.send(import_id, actor=people.owner(amal))
    drafts.open_all()
    rows = db.session.execute(select(Installment.due_date, Installment.amount).order_by(Installment.number)).all()
    assert [tuple(row) for row in rows][:2] == [(people.today_of(amal), 300_00), (first, 300_00)]
