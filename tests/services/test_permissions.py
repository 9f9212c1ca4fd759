"""Every act of a business refuses an actor without its permission, even if the entry point did not check it."""

import importlib
import inspect
import pkgutil
from collections.abc import Callable
from datetime import date
from typing import Any

import pytest
from sqlalchemy import text

from portal import services
from portal.domain import permissions
from portal.domain.permissions import OF_ROLE, ROLES, Actor, EmailUnproven, OwnPlan, Permission, Role
from portal.errors import Forbidden, NotFound
from portal.extensions import db
from portal.gateways import payment as gateway
from portal.services.accounts import accounts, api_keys, merchant_settings
from portal.services.accounts.merchant_settings import Settings
from portal.services.adjustments import cancellations, credits, metadata, proposals, reschedules, voids, write_offs
from portal.services.adjustments.reschedules import NewTerms, RescheduleProposed
from portal.services.agreements import disputes, withdrawals
from portal.services.books import chart, closing, letterheads
from portal.services.imports import contacts, imports, sending
from portal.services.mail import delivery as mails
from portal.services.maintenance import failed_jobs
from portal.services.merchants import first_steps, usual_terms
from portal.services.merchants.usual_terms import Terms
from portal.services.notices import settings as notices
from portal.services.operations import (
    acts,
    approvals,
    closings,
    lost_factors,
    merchant_deactivations,
    refund_releases,
)
from portal.services.payments import manual_payments, refunds, reversals
from portal.services.plans import customer_emails, drafts, invitations, pairs, plans, shop_reports
from portal.services.plans.pairs import Words
from portal.services.plans.plans import NewPlan
from portal.services.reminders import manual_reminders, mutes, settings
from portal.services.team import invitations as invitations_to_team
from portal.services.team import members
from portal.services.webhooks import endpoints, redelivery
from tests.fixtures import people, servers, webhooks
from tests.services.imports import spreadsheets

pytestmark = pytest.mark.usefixtures("context")

Ids = dict[str, Any]
Act = Callable[[Actor, Ids], object]
A_FILE = spreadsheets.a_file("buyer@example.com,Buyer,,90,3,2030-01-31,,")
NEW_PLAN = NewPlan("new@example.com", 100, 1, date(2020, 1, 1))
TERMS = Terms("Ten weeks", 10, "weekly", 25, 7)
SETTINGS = {"business_name": "X", "time_zone": "Asia/Riyadh", "grace_days": 1, "home_currency": "SAR"}

ON_A_PLAN: dict[str, tuple[Permission, Act]] = {
    "credit": (
        "credit",
        lambda actor, ids: credits.credit(ids["plan"], actor=actor, amount=1, how="last", reason="Sorry"),
    ),
    "reschedule": (
        "credit",
        lambda actor, ids: reschedules.reschedule(
            ids["plan"], actor=actor, terms=NewTerms("shift", days=1), reason="Salary"
        ),
    ),
    "write off": ("write_off", lambda actor, ids: write_offs.write_off(ids["plan"], actor=actor, reason="Gone")),
    "cancel": ("cancel", lambda actor, ids: cancellations.cancel(ids["plan"], actor=actor, reason="Sold out")),
    "cancel and refund": (
        "refund",
        lambda actor, ids: cancellations.cancel(ids["plan"], actor=actor, reason="Sold out", refund=1),
    ),
    "refund": ("refund", lambda actor, ids: refunds.refund(ids["plan"], actor=actor, amount=1, reason="Scratched")),
    "ask about a bounce": ("void", lambda actor, ids: reversals.ask_gateway(ids["bounced"], actor=actor)),
    "void": ("void", lambda actor, ids: voids.void(ids["cash"], actor=actor, reason="Written down twice")),
    "record a payment": (
        "record_payment",
        lambda actor, ids: manual_payments.record(
            ids["plan"], actor=actor, amount=1, method="cash", received_on=ids["today"]
        ),
    ),
    "take a proposal back": ("credit", lambda actor, ids: proposals.withdraw(*ids["asked"], actor=actor)),
    "renew the pay link": ("invite", lambda actor, ids: invitations.renew_pay_link(ids["invited"], actor=actor)),
    "mail the link again": ("invite", lambda actor, ids: invitations.mail_again(ids["invited"], actor=actor)),
    "revoke a link": ("invite", lambda actor, ids: invitations.revoke(ids["invited"], "customer", actor=actor)),
    "remind": ("remind", lambda actor, ids: manual_reminders.send_now(ids["plan"], actor=actor)),
    "mute a plan": ("remind", lambda actor, ids: mutes.mute_plan(ids["plan"], actor=actor)),
    "unmute a plan": ("remind", lambda actor, ids: mutes.unmute_plan(ids["plan"], actor=actor)),
    "describe a customer": ("note", lambda actor, ids: pairs.describe(ids["omar"], Words(name="Omar"), actor=actor)),
    "change a plan's metadata": ("note", lambda actor, ids: metadata.change_plan(ids["plan"], {"a": "b"}, actor=actor)),
    "change a payment's metadata": (
        "note",
        lambda actor, ids: metadata.change_payment(ids["cash"], {"a": "b"}, actor=actor),
    ),
    "change a refund's metadata": (
        "note",
        lambda actor, ids: metadata.change_refund(ids["refund"], {"a": "b"}, actor=actor),
    ),
    "mute a customer": ("remind", lambda actor, ids: mutes.mute_customer(ids["omar"], actor=actor)),
    "unmute a customer": ("remind", lambda actor, ids: mutes.unmute_customer(ids["omar"], actor=actor)),
    "answer a dispute": ("cancel", lambda actor, ids: disputes.answer(ids["disputed"], actor=actor, text="A cake")),
    "mark as delivered": ("create_plans", lambda actor, ids: withdrawals.mark_delivered(ids["plan"], actor=actor)),
    "correct the customer's email": (
        "create_plans",
        lambda actor, ids: customer_emails.correct(ids["invited"], "right@example.com", actor=actor),
    ),
}
OF_A_BUSINESS: dict[str, tuple[Permission, Act]] = {
    "remind customers": ("remind", lambda actor, ids: manual_reminders.send_to([ids["omar"]], actor=actor)),
    "open a plan": (
        "create_plans",
        lambda actor, ids: plans.open_plan(actor, NEW_PLAN, past_dates=True),
    ),
    "make a key": ("keys", lambda actor, ids: api_keys.create(actor, name="Till")),
    "make an endpoint": ("keys", lambda actor, ids: endpoints.create(actor, url="https://shop.example.com/")),
    "change an endpoint": ("keys", lambda actor, ids: endpoints.change(ids["endpoint"], actor=actor, enabled=False)),
    "rotate a secret": ("keys", lambda actor, ids: endpoints.rotate(ids["endpoint"], actor=actor)),
    "delete an endpoint": ("keys", lambda actor, ids: endpoints.delete(ids["endpoint"], actor=actor)),
    "send a webhook again": (
        "keys",
        lambda actor, ids: redelivery.send_again(ids["endpoint"], ids["sent_event"], actor=actor),
    ),
    "revoke a key": ("keys", lambda actor, ids: api_keys.revoke(ids["key"], actor=actor)),
    "settings": ("settings", lambda actor, ids: accounts.update_merchant(actor, Settings(**SETTINGS))),  # type: ignore[arg-type]
    "invite to the team": (
        "team",
        lambda actor, ids: invitations_to_team.invite(actor, email="new@example.com", role="viewer"),
    ),
    "send an invitation again": (
        "team",
        lambda actor, ids: invitations_to_team.send_again(ids["team_invitation"], actor=actor),
    ),
    "revoke an invitation": (
        "team",
        lambda actor, ids: invitations_to_team.revoke(ids["team_invitation"], actor=actor),
    ),
    "change a role": (
        "team",
        lambda actor, ids: members.change(ids["badr"], actor=actor, role="manager", refund_limit=100),
    ),
    "remove a member": ("team", lambda actor, ids: members.remove(ids["badr"], actor=actor, revoke_keys=True)),
    "hand over": ("team", lambda actor, ids: members.hand_over(ids["badr"], actor=actor)),
    "close the books": ("own", lambda actor, ids: closing.close(actor, until=date(2020, 1, 1))),
    "name an account": (
        "own",
        lambda actor, ids: chart.rename(actor, "cash", code="1", name="", export_name="assets:till"),
    ),
    "letterhead": ("settings", lambda actor, ids: letterheads.change(actor, letterheads.Words(tax_number="3"))),
    "settings with the letterhead": (
        "settings",
        lambda actor, ids: letterheads.change_merchant(
            actor,
            merchant_settings.Settings(**SETTINGS),
            letterheads.Words(),  # type: ignore[arg-type]
        ),
    ),
    "close the business": ("own", lambda actor, ids: closings.start(actor, shown_plans=5)),
    "hide the first steps": ("settings", lambda actor, ids: first_steps.hide(actor)),
    "add usual terms": ("settings", lambda actor, ids: usual_terms.add(actor, TERMS)),
    "change usual terms": ("settings", lambda actor, ids: usual_terms.change(ids["terms"], actor=actor, terms=TERMS)),
    "move usual terms": ("settings", lambda actor, ids: usual_terms.move(ids["terms"], actor=actor, by=1)),
    "remove usual terms": ("settings", lambda actor, ids: usual_terms.remove(ids["terms"], actor=actor)),
    "upload a file": (
        "create_plans",
        lambda actor, ids: imports.upload(actor, kind="plans", file_name="x.csv", content=A_FILE),
    ),
    "match columns": ("create_plans", lambda actor, ids: imports.match(ids["waiting"], ids["matching"], actor=actor)),
    "carry out an import": (
        "create_plans",
        lambda actor, ids: imports.carry_out(ids["waiting"], actor=actor, shown=ids["shown"]),
    ),
    "discard an import": ("create_plans", lambda actor, ids: imports.discard(ids["import"], actor=actor)),
    "describe a person without a plan": (
        "note",
        lambda actor, ids: contacts.describe(ids["contact"], Words(name="Zoe"), actor=actor),
    ),
    "remove a person without a plan": ("note", lambda actor, ids: contacts.remove(ids["contact"], actor=actor)),
    "send an import": ("create_plans", lambda actor, ids: sending.send(ids["import"], actor=actor)),
    "notices": ("settings", lambda actor, ids: notices.choose(actor, on=[], at_once=False)),
    "reminder settings": ("settings", lambda actor, ids: settings.update(actor, days=[1], sending_hour=9)),
}
ACTS = ON_A_PLAN | OF_A_BUSINESS
IN_OTHER_STANDINGS: dict[str, tuple[Permission, Act]] = {
    "save a draft": ("create_plans", lambda actor, ids: drafts.save(actor, NEW_PLAN)),
    "discard a draft": ("create_plans", lambda actor, ids: drafts.discard(1, actor=actor)),
    "reopen the business": ("own", lambda actor, ids: closings.stop(actor)),
    "object": ("own", lambda actor, ids: merchant_deactivations.object_to(actor, text="Why")),
}
"""Acts that a live business does not know. tests/services/operations has those who may."""
OF_OPERATORS: dict[str, Act] = {
    "decide a dispute": lambda actor, ids: disputes.decide(ids["disputed"], actor=actor, decision="void"),
    "decline a business": lambda actor, ids: approvals.decline(ids["amal"], actor=actor, reason="Why not"),
    "release a refund": lambda actor, ids: refund_releases.release(1, actor=actor),
    "withhold a refund": lambda actor, ids: refund_releases.withhold(1, actor=actor, reason="Why not"),
    "send a dead mail again": lambda actor, ids: mails.resend(1, actor=actor),
    "start a failed job again": lambda actor, ids: failed_jobs.retry("x", actor=actor),
    "clear a failed job": lambda actor, ids: failed_jobs.clear("x", actor=actor),
    "record an act on jobs": lambda actor, ids: acts.record_job("jobs_cleared", actor=actor),
    "clear all failed jobs": lambda actor, ids: failed_jobs.clear_all(actor=actor),
    "clear a report": lambda actor, ids: shop_reports.clear(1, actor=actor),
    "remove lost factors": lambda actor, ids: lost_factors.ask(ids["omar"], actor=actor, reason="Why not"),
}
TABLES = (
    *("plans", "ledger_entries", "events", "payments", "refunds", "invitations", "emails", "mutes", "api_keys"),
    *("memberships", "team_invitations", "disputes", "plan_drafts", "operator_acts", "webhook_endpoints"),
    *("webhook_deliveries", "usual_terms", "imports", "contacts"),
)


@pytest.fixture
def ids(context: object) -> Ids:
    return objects()


@servers.made_once
def objects() -> Ids:
    amal, omar, sara = people.amal(), people.omar(), people.sara()
    nour = permissions.member(people.a_member("nour", amal, "owner"), amal, "owner")
    waiting, imported = spreadsheets.upload(nour, A_FILE), spreadsheets.imported(nour, A_FILE)
    shown, matching = imports.digest(spreadsheets.row_of(waiting)), spreadsheets.matched(waiting)
    db.session.rollback()
    spreadsheets.imported(nour, b"Email,Name\nzoe@example.com,Zo", "customers")
    badr = people.a_member("badr-the-viewer", amal, "viewer")
    plan_id = people.a_plan(amal, first=-3)
    payment_id = people.pay(people.installments_of(plan_id)[0].id, omar).id
    gateway.active().bounce(people.payment_of(payment_id).gateway_key or "")
    cash = manual_payments.record(
        plan_id, actor=people.owner(amal), amount=100, method="cash", received_on=people.today_of(amal)
    )
    back = refunds.refund(
        plan_id, actor=people.owner(amal), amount=1, reason="Scratched", payment_id=cash.payment_id
    ).refund_ids
    api_keys.create(people.owner(amal), name="Shop")
    invitations_to_team.invite(people.owner(amal), email="colleague@example.com", role="viewer")
    endpoint, sent_event = webhooks.a_sent_event(people.owner(amal))
    asked = people.a_plan(amal, first=9)
    proposal = reschedules.reschedule(
        asked, actor=people.owner(amal), terms=NewTerms("shift", days=-1), reason="Please"
    )
    assert isinstance(proposal, RescheduleProposed)
    db.session.execute(text("DELETE FROM emails WHERE kind = 'reschedule_proposed'"))  # Omar's mailbox has room again
    db.session.commit()
    disputed = people.a_plan(amal)
    disputes.dispute(disputed, customer_id=omar)
    return {
        "disputed": disputed,
        "waiting": waiting,
        "shown": shown,
        "matching": matching,
        "import": imported,
        "contact": db.session.scalar(text("SELECT max(id) FROM contacts")),
        "asked": (asked, proposal.proposal.id),
        "terms": usual_terms.add(people.owner(amal), Terms("Three months", 3, "monthly", None, 30)),
        "endpoint": endpoint,
        "sent_event": sent_event,
        "badr": badr,
        "team_invitation": db.session.scalar(text("SELECT max(id) FROM team_invitations")),
        "amal": amal,
        "omar": omar,
        "sara": sara,
        "plan": plan_id,
        "today": people.today_of(amal),
        "cash": cash.payment_id,
        "refund": back[0],
        "bounced": payment_id,
        "invited": people.a_plan(amal, "invited@example.com"),
        "key": db.session.scalar(text("SELECT max(id) FROM api_keys")),
    }


def state() -> list[Any]:
    """The rows that acts write."""
    db.session.rollback()
    rows = [db.session.execute(text(f"SELECT t::text FROM {table} AS t ORDER BY 1")).all() for table in TABLES]  # noqa: S608
    return [*rows, db.session.execute(text("SELECT m::text FROM merchants AS m ORDER BY 1")).all()]


def functions_of(acts: Any) -> set[Any]:
    """The service functions that these acts call."""
    return {getattr(act.__globals__[names[0]], names[1]) for act in acts if (names := act.__code__.co_names)}


def test_every_unit_of_work_of_an_actor_is_tested() -> None:
    modules = [
        importlib.import_module(module.name) for module in pkgutil.walk_packages(services.__path__, "portal.services.")
    ]
    units = {
        function
        for module in modules
        for name, function in vars(module).items()
        if hasattr(function, "__wrapped__") and not name.startswith("_") and inspect.isfunction(function)
        if any(parameter.annotation is Actor for parameter in inspect.signature(function).parameters.values())
    }
    tested = [act for _, act in (ACTS | IN_OTHER_STANDINGS).values()]
    missing = units - functions_of(tested) - functions_of(OF_OPERATORS.values())
    assert len(units) > 20
    assert {f"{function.__module__}.{function.__name__}" for function in missing} == set()


@pytest.mark.parametrize("name", OF_OPERATORS)
def test_an_act_of_an_operator_refuses_everybody_else_and_changes_nothing(ids: Ids, name: str) -> None:
    before = state()
    members_of_amal = [permissions.member(ids["sara"], ids["amal"], role) for role in ROLES]
    for actor in (*members_of_amal, permissions.customer(ids["omar"])):
        with pytest.raises(Forbidden) as refused:
            OF_OPERATORS[name](actor, ids)
        assert refused.value.code == "forbidden"
    assert state() == before


@pytest.mark.parametrize("name", ACTS | IN_OTHER_STANDINGS)
def test_an_act_refuses_every_role_without_its_permission_and_changes_nothing(ids: Ids, name: str) -> None:
    permission, act = (ACTS | IN_OTHER_STANDINGS)[name]
    without: list[Role] = [role for role in ROLES if permission not in OF_ROLE[role]]
    assert "viewer" in without
    before = state()
    for role in without:
        with pytest.raises(Forbidden) as refused:
            act(permissions.member(ids["sara"], ids["amal"], role), ids)
        assert refused.value.code == "forbidden"
    for actor in (permissions.customer(ids["omar"]), permissions.operator(ids["sara"])):
        with pytest.raises(Forbidden):
            act(actor, ids)
    assert state() == before


@pytest.mark.parametrize("name", ACTS | IN_OTHER_STANDINGS)
def test_an_act_refuses_a_person_whose_email_is_not_proven(ids: Ids, name: str) -> None:
    """Also with a hat and its permissions, which no entry point gives such a person."""
    before = state()
    nour = db.session.scalar(text("SELECT id FROM users WHERE username = 'nour'"))
    for actor in (
        permissions.unproven(nour),
        Actor(nour, ids["amal"], frozenset(permissions.PERMISSIONS), is_proven=False),
    ):
        with pytest.raises(EmailUnproven) as refused:
            (ACTS | IN_OTHER_STANDINGS)[name][1](actor, ids)
        assert (refused.value.code, refused.value.status) == ("email_unproven", 403)
    assert state() == before


@pytest.mark.parametrize("name", ACTS)
def test_the_permission_alone_is_enough(ids: Ids, name: str) -> None:
    """The act needs no other permission, except that a cancellation with a refund needs both."""
    permission, act = ACTS[name]
    needed = {permission, *(["cancel"] if name == "cancel and refund" else [])}
    nour = db.session.scalar(text("SELECT id FROM users WHERE username = 'nour'"))
    act(Actor(nour, ids["amal"], frozenset(needed)), ids)


@pytest.mark.parametrize("name", ON_A_PLAN)
def test_a_member_who_owes_the_plan_can_not_act_on_it(ids: Ids, name: str) -> None:
    ids = ids | {"invited": ids["plan"]}
    before = state()
    with pytest.raises(OwnPlan):
        ON_A_PLAN[name][1](permissions.member(ids["omar"], ids["amal"], "manager"), ids)
    assert state() == before


@pytest.mark.parametrize("name", ON_A_PLAN)
def test_another_business_can_not_act_on_the_plan(ids: Ids, name: str) -> None:
    badr = people.badr()
    before = state()
    with pytest.raises(NotFound):
        ON_A_PLAN[name][1](people.owner(badr), ids)
    assert state() == before


def test_what_a_member_did_names_the_person_and_not_the_business(ids: Ids) -> None:
    sara = people.a_member("sara", ids["amal"], "manager")
    credits.credit(
        ids["plan"], actor=permissions.member(sara, ids["amal"], "manager"), amount=1, how="last", reason="Sorry"
    )
    db.session.rollback()
    last = "SELECT {} FROM {} WHERE {} = (SELECT max({}) FROM {})"
    assert db.session.scalar(text(last.format("actor_id", "events", "id", "id", "events"))) == sara
    assert db.session.scalar(text(last.format("created_by", "ledger_entries", "id", "id", "ledger_entries"))) == sara
