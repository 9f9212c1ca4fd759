"""Erasure of a person: what goes, what stays, what defers it, again after a restore, and the end of retention."""

import dataclasses
import json
import re
from datetime import timedelta

import pytest
import time_machine
from sqlalchemy import func, select, text

from portal.domain import clock, permissions
from portal.domain.permissions import GIVEN_TO_KEYS
from portal.errors import Invalid, NotFound, Refused
from portal.extensions import db
from portal.models import (
    ApiKey,
    Contact,
    Email,
    EmailChange,
    EmailProof,
    Erasure,
    Import,
    Invitation,
    Membership,
    Plan,
    PlanDraft,
    User,
)
from portal.reports.operations import checks
from portal.services.accounts import accounts, api_keys, password_resets, registrations, sessions, tokens
from portal.services.accounts import proofs as email_proofs
from portal.services.accounts.accounts import NewAccount
from portal.services.accounts.sessions import BadCredentials
from portal.services.accounts.tokens import BadToken
from portal.services.adjustments import credits
from portal.services.idempotency import RequestKey
from portal.services.mail import delivery
from portal.services.maintenance import retention
from portal.services.operations import account_deactivations, merchant_deactivations
from portal.services.payments import manual_payments, payment_methods
from portal.services.plans import drafts, invitations, plans
from portal.services.plans.plans import NewPlan
from portal.services.privacy import erasures
from portal.services.reminders import mutes
from portal.services.team import members
from portal.services.unit_of_work import unit_of_work
from tests.fixtures import agreements, operations, people, proofs
from tests.fixtures.concurrency import at_once
from tests.services.imports import spreadsheets

pytestmark = pytest.mark.usefixtures("context")

NAMES = re.compile(r"omar|Omar", re.I)


def erase(user_id):
    erasures.erase(user_id, password=people.PASSWORD)
    db.session.rollback()


def user_of(user_id):
    db.session.rollback()
    return db.session.get_one(User, user_id, populate_existing=True)


def a_life(amal, omar):
    """A closed plan of Omar's with everything around it. Returns its id."""
    request_key = RequestKey(amal, "POST /api/plans", "k1", "f")
    new = NewPlan("omar@example.com", 100_00, 2, people.today_of(amal), description="A cake for omar")
    plan_id = plans.open_plan(people.owner(amal), new, request_key=request_key).plan_id
    people.pay(people.installments_of(plan_id)[0].id, omar)
    credits.credit(plan_id, actor=people.owner(amal), amount=1_00, how="last", reason="Omar was unhappy")
    today = people.today_of(amal)
    manual_payments.record(
        plan_id, actor=people.owner(amal), amount=49_00, method="cash", received_on=today, reference="Omar's note"
    )
    payment_methods.save(omar, "card_ok")
    mutes.mute_customer(omar, actor=people.owner(amal))
    sessions.start(omar, "Omar's browser")
    tokens.start(omar)
    password_resets.make(omar)
    people.a_member("omar", amal, "manager")
    unit_of_work(members.tell_owners)(amal, omar, "joined")
    delivery.drain()
    return plan_id


def everything():
    """All rows of the database as text, with the names of their tables."""
    db.session.rollback()
    tables = db.session.scalars(text("SELECT tablename FROM pg_tables WHERE schemaname = 'public'")).all()
    for table in tables:
        for row in db.session.scalars(text(f"SELECT t::text FROM {table} AS t")):  # noqa: S608
            yield table, row


def test_no_table_names_the_person_afterwards_but_what_the_business_keeps(amal, omar):
    plan_id = a_life(amal, omar)
    assert {table for table, row in everything() if NAMES.search(row)} >= {
        "users", "plans", "texts", "emails", "user_sessions", "idempotency_keys",
    }  # fmt: skip
    erase(omar)
    left = [(table, row.replace("A cake for omar", "")) for table, row in everything()]
    assert [(table, row) for table, row in left if NAMES.search(row)] == []
    assert people.plan_of(plan_id).description == "A cake for omar"
    assert [check for check in checks.run() if check[1]] == []


def test_mails_to_owners_and_operators_that_name_the_person_go_with_their_objections(app, amal, omar):
    olga = operations.olga()
    people.a_member("omar", amal, "owner")
    merchant_deactivations.deactivate(amal, actor=olga, reason="Spam")
    objector = permissions.member(omar, amal, "owner", "deactivated")
    merchant_deactivations.object_to(objector, text="Omar never wrote to strangers")
    merchant_deactivations.reactivate(amal, actor=olga, reason="A mistake")
    account_deactivations.deactivate(omar, actor=olga, reason="omar asked for it")
    account_deactivations.reactivate(omar, actor=olga, reason="omar is back")
    with agreements.acceptance(app, "required"):
        plan_id = people.a_plan(people.badr(), total=10_000, count=1)
        agreements.accept(plan_id)
    people.pay(people.installments_of(plan_id)[0].id, omar)
    delivery.drain()
    assert {kind for kind, subject in named()} >= {"plan_news", "operator_act"}
    erase(omar)
    assert named() == []
    left = [(table, row) for table, row in everything() if NAMES.search(row)]
    assert {table for table, _ in left} <= {"acceptances"}


def named():
    """Kind and subject of each mail that names Omar."""
    db.session.rollback()
    mails = db.session.execute(select(Email.kind, Email.subject, Email.body)).all()
    return [(kind, subject) for kind, subject, body in mails if NAMES.search(f"{subject} {body}")]


@pytest.mark.parametrize("typed", ["\u03a3.Omar@xn--bcher-kva.example", "\u03a3.OMAR@B\u00dcCHER.example"])
def test_drafts_of_businesses_for_the_person_go_however_the_email_was_typed(app, typed):
    omar = accounts.register(NewAccount("customer", "omar", "\u03a3.omar@b\u00fccher.example", people.PASSWORD))
    dana = operations.a_draft_merchant(app)
    for email in (typed, "\u03c3.omar@b\u00fccher.example"):
        drafts.save(operations.owner(dana), NewPlan(email, 100_00, 3, people.today_of(dana)))
    erase(omar)
    kept = db.session.scalars(select(PlanDraft.customer_email)).all()
    assert kept == ["\u03c3.omar@b\u00fccher.example"], "another mailbox"


@pytest.mark.parametrize("typed", ["\u03a3.Omar@xn--bcher-kva.example", "\u03a3.OMAR@B\u00dcCHER.example"])
def test_what_businesses_imported_about_the_person_goes(app, typed):
    omar = accounts.register(NewAccount("customer", "omar", "\u03a3.omar@b\u00fccher.example", people.PASSWORD))
    amal = people.owner(people.amal())
    plan, other = f"{typed},Omar,,90,3,2030-01-31,A gift for Omar,O-1", "x@example.com,X,,90,3,2030-01-31,,"
    spreadsheets.imported(amal, spreadsheets.a_file(plan, other))
    for line in (plan.replace("O-1", "O-2"), other):
        spreadsheets.upload(amal, spreadsheets.a_file(line))
    db.session.rollback()
    erase(omar)
    assert db.session.scalars(select(PlanDraft.customer_email)).all() == ["x@example.com"]
    assert db.session.scalars(select(Contact.email)).all() == ["x@example.com"]
    (kept,) = db.session.scalars(select(Import.content).where(Import.content.is_not(None)))
    assert "x@example.com" in kept


def test_proofs_of_registrations_that_are_gone_are_erased_with_the_email(app, omar):
    with proofs.confirming(app):
        squatter = accounts.register(NewAccount("customer", "squatter", "omar@example.com", people.PASSWORD))
        email_proofs.ask(squatter, email_proofs.Asker("192.0.2.66"))
        registrations.leave(squatter)
    erase(omar)
    assert db.session.scalar(select(func.count(EmailProof.id))) == 0


def test_the_account_becomes_a_tombstone_that_nobody_signs_in_to(amal, omar):
    plan_id = a_life(amal, omar)
    session, pair, reset = sessions.start(omar), tokens.start(omar), password_resets.make(omar)
    erase(omar)
    user = user_of(omar)
    assert re.fullmatch(r"erased-[0-9a-f]{32}@erased\.invalid", user.email)
    assert (user.username, user.password_hash, user.is_active) == (None, None, False)
    assert sessions.find(session) is None and password_resets.find(reset) is None
    for act, token in ((tokens.find, pair.access), (tokens.refresh, pair.refresh)):
        with pytest.raises(BadToken):
            act(token)
    for login in ("omar", "omar@example.com", user.email):
        with pytest.raises(BadCredentials):
            sessions.authenticate(login, people.PASSWORD)
        password_resets.ask(login)
    with pytest.raises(Refused) as refused:
        invitations.mail_again(plan_id, actor=people.owner(amal))
    assert refused.value.code == "erased"
    assert db.session.scalar(select(func.count(Email.id)).where(Email.to_user_id == omar)) == 0
    with pytest.raises(NotFound):
        erasures.erase(omar, password=people.PASSWORD)


def test_username_and_email_are_free_again_for_another_person(amal, omar):
    a_life(amal, omar)
    erase(omar)
    again = accounts.register(NewAccount("customer", "omar", "omar@example.com", people.PASSWORD))
    assert again != omar
    db.session.rollback()
    assert db.session.scalar(select(func.count(Plan.id)).where(Plan.customer_id == again)) == 0
    people.a_plan(amal)
    db.session.rollback()
    assert db.session.scalar(select(func.count(Plan.id)).where(Plan.customer_id == again)) == 1


def test_mails_to_owners_about_keys_of_the_person_go(amal, omar):
    people.a_member("omar", amal, "owner")
    api_keys.create(permissions.member(omar, amal, "owner"), name="Till")
    delivery.drain()
    told = select(Email.to_user_id).where(Email.kind == "api_key_made")
    assert set(db.session.scalars(told)) == {amal, omar}
    erase(omar)
    assert db.session.scalars(told).all() == []


def test_keys_and_memberships_of_the_person_end(amal, omar):
    people.a_member("omar", amal, "owner")
    token = api_keys.create(permissions.member(omar, amal, "owner"), name="Till", given=GIVEN_TO_KEYS)
    erase(omar)
    with pytest.raises(BadToken):
        api_keys.find(token)
    assert db.session.scalars(select(ApiKey.revoked_at)).one() is not None
    assert db.session.get(Membership, (omar, amal)) is None


def test_links_of_plans_end(amal):
    opened = plans.open_plan(people.owner(amal), NewPlan("nadia@example.com", 60_00, 1, people.today_of(amal)))
    token = people.token_of(opened.plan_id)
    nadia = proofs.claim(token)
    people.pay(people.installments_of(opened.plan_id)[0].id, nadia)
    erase(nadia)
    assert invitations.find(token) is None
    open_links = Invitation.revoked_at.is_(None), Invitation.claimed_at.is_(None)
    assert db.session.scalar(select(func.count(Invitation.id)).where(*open_links)) == 0


class TestDeferred:
    def abouts(self, user_id):
        db.session.rollback()
        reasons = erasures.deferrals(user_id)
        if reasons:
            with pytest.raises(Refused) as refused:
                erase(user_id)
            assert (refused.value.code, refused.value.about) == ("erasure_deferred", reasons[0].about)
            assert user_of(user_id).erased_at is None
        return [reason.about for reason in reasons]

    def test_while_a_plan_is_open(self, amal, omar):
        plan_id = people.a_plan(amal, total=10_00, count=1)
        assert self.abouts(omar) == ["open_plans"]
        people.pay(people.installments_of(plan_id)[0].id, omar)
        assert self.abouts(omar) == []

    def test_while_a_payment_has_no_outcome(self, amal, omar):
        plan_id = people.a_plan(amal, total=10_00, count=1)
        people.pay(people.installments_of(plan_id)[0].id, omar, "card_lost_charged")
        assert self.abouts(omar) == ["open_plans", "in_flight"]

    def test_while_they_are_a_last_owner(self, amal):
        assert self.abouts(amal) == ["last_owner"]
        people.a_member("sara", amal, "owner")
        assert self.abouts(amal) == []

    def test_no_longer_once_their_business_is_closed(self, amal):
        closed = "UPDATE merchants SET closing_at = now(), closed_at = now() WHERE id = :id"
        db.session.execute(text(closed), {"id": amal})
        db.session.commit()
        assert self.abouts(amal) == []
        erase(amal)
        assert db.session.get_one(Membership, (amal, amal)).role == "owner"

    def test_while_the_old_address_may_undo_a_change_of_the_email(self, omar):
        now = clock.now()
        change = EmailChange(user_id=omar, old_email="old@example.com", new_email="omar@example.com", created_at=now)
        change.expires_at = now + timedelta(hours=72)
        db.session.add(change)
        db.session.commit()
        assert self.abouts(omar) == ["email_changed"]
        with time_machine.travel(now + timedelta(hours=72, seconds=1)):
            assert self.abouts(omar) == []

    def test_for_an_operator(self, context):
        assert self.abouts(people.an_operator()) == ["operator"]

    def test_again_when_the_bank_takes_a_payment_back(self, amal, omar):
        plan_id = people.a_plan(amal, total=10_00, count=1)
        payment = people.pay(people.installments_of(plan_id)[0].id, omar)
        people.bounce(payment.id)
        assert self.abouts(omar) == ["open_plans"]

    def test_a_wrong_password_erases_nothing(self, omar):
        with pytest.raises(Invalid) as refused:
            erasures.erase(omar, password="seven green boots")
        assert refused.value.code == "wrong_password"
        assert user_of(omar).erased_at is None

    def test_a_new_plan_at_the_same_moment_never_belongs_to_an_erased_person(self, app, amal, omar):
        new = NewPlan("omar@example.com", 10_00, 1, people.today_of(amal))
        at_once(app, [lambda: erase(omar), lambda: plans.open_plan(people.owner(amal), new)])
        db.session.rollback()
        owed = select(func.count(Plan.id)).where(Plan.customer_id == omar)
        assert user_of(omar).erased_at is None or db.session.scalar(owed) == 0


class TestAgain:
    """The list of erasures, run on a database from before them."""

    def listed(self):
        return [(row.user_id, row.created_at, row.erased_at) for row in erasures.listed()]

    def test_an_account_of_an_older_backup_is_erased_whatever_is_open(self, amal, omar):
        people.a_plan(amal)
        created_at, erased_at = user_of(omar).created_at, clock.now() + timedelta(hours=1)
        assert erasures.erase_again(omar, created_at, erased_at) == "erased"
        assert user_of(omar).erased_at == erased_at
        assert self.listed() == [(omar, created_at, erased_at)]
        assert erasures.erase_again(omar, created_at, erased_at) == "erased_before"

    def test_another_person_with_the_same_id_stays(self, omar):
        before = user_of(omar).created_at - timedelta(seconds=1)
        assert erasures.erase_again(omar, before, clock.now()) == "unknown"
        assert erasures.erase_again(10**9, before, clock.now()) == "unknown"
        assert user_of(omar).username == "omar"

    def test_the_only_owner_stays_the_owner_without_a_name(self, amal):
        assert erasures.erase_again(amal, user_of(amal).created_at, clock.now()) == "still_owner"
        assert db.session.get_one(Membership, (amal, amal)).role == "owner"
        assert user_of(amal).username is None

    def test_the_command_line_lists_and_erases_again(self, app, amal, omar, tmp_path):
        erase(omar)
        file = tmp_path / "erasures.jsonl"
        runner = app.test_cli_runner()
        from portal.cli import erase_again, list_erasures

        assert runner.invoke(list_erasures, ["--export", str(file)]).exit_code == 0
        (line,) = file.read_text().splitlines()
        assert set(json.loads(line)) == {"user_id", "created_at", "erased_at", "email_hash"}
        assert runner.invoke(list_erasures).output.strip() == line
        result = runner.invoke(erase_again, [str(file)])
        assert (result.exit_code, result.output.strip()) == (0, f"{omar}: erased_before")
        file.write_text("{}\n")
        assert runner.invoke(erase_again, [str(file)]).exit_code == 1


def test_what_stayed_goes_when_the_years_of_retention_have_passed(app, amal, omar, monkeypatch):
    monkeypatch.setitem(app.config, "QIST", dataclasses.replace(app.config["QIST"], retention_years=2))
    plan_id = a_life(amal, omar)
    erase(omar)
    sara = people.sara()
    kept = people.a_plan(amal, "sara@example.com", total=10_00, count=1)
    people.pay(people.installments_of(kept)[0].id, sara)
    for days, description in ((2 * 366 - 1, "A cake for omar"), (2 * 366 + 1, "")):
        with time_machine.travel(clock.now() + timedelta(days=days)):
            retention.purge_expired()
            assert people.plan_of(plan_id).description == description
    assert people.plan_of(kept).description == "A cake"
    assert [check for check in checks.run() if check[1]] == []
    assert db.session.scalar(select(func.count(Erasure.user_id))) == 1


def test_the_acceptance_of_an_erased_person_goes_with_the_years_of_retention(app, amal, omar):
    plan_id = people.a_plan(amal, total=10_00, count=1)
    people.pay(people.installments_of(plan_id)[0].id, omar)
    accepted = (
        "INSERT INTO acceptances (plan_id, user_id, way, accepted_at, version, language, terms) "
        "SELECT id, customer_id, 'button', accepted_at, '1', 'en', 'for omar@example.com' FROM plans WHERE id = :id"
    )
    db.session.execute(text("UPDATE plans SET accepted_at = coalesce(accepted_at, created_at)"))
    db.session.execute(text(accepted), {"id": plan_id})
    db.session.commit()
    erase(omar)
    kept = "SELECT count(*) FROM acceptances"
    assert db.session.scalar(text(kept)) == 1
    with time_machine.travel(clock.now() + timedelta(days=10 * 366 + 1)):
        retention.purge_expired()
        assert db.session.scalar(text(kept)) == 0
    db.session.rollback()
    assert [check for check in checks.run() if check[1]] == []
