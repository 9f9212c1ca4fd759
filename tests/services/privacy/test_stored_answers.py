"""Stored answers of businesses about an erased person: a repeated request has one effect and names nobody."""

import json
import re
import threading
from typing import Any

import pytest
from flask import Flask
from sqlalchemy import create_engine, func, select, text

from portal.domain import clock
from portal.extensions import db
from portal.models import IdempotencyKey, Payment, PlanDraft, User
from portal.services import row_facts
from portal.services.adjustments import credits, proposals, reschedules, write_offs
from portal.services.idempotency import RequestKey
from portal.services.payments import manual_payments, refunds
from portal.services.plans import drafts, plan_lock
from portal.services.plans.plans import NewPlan, PlanFound
from portal.services.privacy import erasures
from portal.services.text_faults import OwnData
from portal.services.unit_of_work import unit_of_work
from tests.fixtures import operations, people
from tests.fixtures.concurrency import at_once

WORDS = "From Omar Fulan"
NAMES = re.compile("omar", re.I)


def stored() -> str:
    db.session.rollback()
    return json.dumps(list(db.session.scalars(select(IdempotencyKey.result))))


def erase(user_id: int) -> None:
    """The erasure after the restore of a backup, which nothing defers."""
    db.session.rollback()
    user = db.session.get_one(User, user_id)
    assert erasures.erase_again(user_id, user.created_at, clock.now()) == "erased"


def key_of(user_id: int, name: str) -> RequestKey:
    return RequestKey(user_id, f"POST {name}", "k", "f")


def record(amal: int, plan_id: int, **given: Any) -> Any:
    return manual_payments.record(
        plan_id,
        actor=people.owner(amal),
        amount=10_00,
        method="cash",
        received_on=people.today_of(amal),
        reference=WORDS,
        own=OwnData(metadata={"reason": "Branch 7"}),
        request_key=key_of(amal, f"payments of {plan_id}"),
        **given,
    )


def test_a_repeated_request_gets_no_text_about_the_person_and_has_no_second_effect(amal: int, omar: int) -> None:
    sara = people.sara()
    plan_id, other = people.a_plan(amal), people.a_plan(amal, "sara@example.com")
    for each in (plan_id, other):
        assert record(amal, each).payment.reference == WORDS
    erase(omar)
    again, kept = record(amal, plan_id), record(amal, other)
    assert again.replayed and kept.replayed
    assert (again.payment.reference, again.payment.notes) == (None, {"reason": "Branch 7"})
    assert kept.payment.reference == WORDS, f"of {sara}"
    assert db.session.scalar(select(func.count(Payment.id))) == 2


@pytest.mark.parametrize("act", ["refund", "credit", "write_off", "ask", "decline"])
def test_no_stored_answer_names_the_person_afterwards(amal: int, omar: int, act: str) -> None:
    plan_id, actor, key = people.a_plan(amal, first=9), people.owner(amal), key_of(amal, act)
    parts = people.installments_of(plan_id)
    terms = reschedules.NewTerms("shift", days=-1)
    match act:
        case "refund":
            people.pay(parts[0].id, omar)
            refunds.refund(plan_id, actor=actor, amount=1_00, reason=WORDS, request_key=key)
        case "credit":
            credits.credit(plan_id, actor=actor, amount=1_00, how="last", reason=WORDS, request_key=key)
        case "write_off":
            write_offs.write_off(plan_id, actor=actor, reason=WORDS, request_key=key)
        case "ask":
            reschedules.reschedule(plan_id, actor=actor, terms=terms, reason=WORDS, request_key=key)
        case "decline":
            asked = reschedules.reschedule(plan_id, actor=actor, terms=terms, reason=WORDS)
            proposals.withdraw(plan_id, asked.proposal.id, actor=actor, request_key=key)  # type: ignore[union-attr]
    assert NAMES.search(stored())
    erase(omar)
    assert not NAMES.search(stored())


def test_the_answer_of_an_act_on_the_plan_that_commits_during_the_erasure_names_nobody(
    app: Flask, amal: int, omar: int
) -> None:
    plan_id, owner = people.a_plan(amal), people.owner(amal)
    asked, waited = threading.Event(), []

    @unit_of_work
    def act(*, request_key: RequestKey) -> PlanFound:
        plan_lock.lock(plan_id, owner, "credit")
        found = PlanFound(row_facts.changed_plan(plan_id))
        asked.set()
        waited.append(somebody_waits())
        return found

    at_once(app, [lambda: act(request_key=key_of(amal, "act")), lambda: asked.wait(10) and erase(omar)])
    assert waited == [True]
    assert "PlanFound" in stored() and not NAMES.search(stored())


def somebody_waits() -> bool:
    """Whether a transaction waits for a lock within some seconds."""
    query = "SELECT 1 FROM pg_stat_activity WHERE datname = current_database() AND wait_event_type = 'Lock'"
    engine = create_engine(db.engine.url, isolation_level="AUTOCOMMIT")
    with engine.connect() as other:
        found = any(other.scalar(text(query)) or other.scalar(text("SELECT pg_sleep(0.02)")) for _ in range(100))
    engine.dispose()
    return found


@pytest.mark.parametrize("typed", ["omar@example.com", "Omar@EXAMPLE.com"])
def test_a_repeated_draft_for_the_person_names_nobody(app: Flask, omar: int, typed: str) -> None:
    dana = operations.a_draft_merchant(app)

    def save(email: str) -> Any:
        new = NewPlan(email, 100_00, 3, people.today_of(dana), description="A cake for Omar", notes={"for": "Omar"})
        return drafts.save(operations.owner(dana), new, request_key=key_of(dana, email))

    saved, other = save(typed), save("omar.2@example.com")
    erase(omar)
    again = save(typed)
    assert again.replayed and again.draft.id == saved.draft.id
    assert again.draft.customer_email.endswith("@erased.invalid")
    assert (again.draft.description, again.draft.notes, again.draft.total) == ("", {}, 100_00)
    assert save("omar.2@example.com") == other
    assert db.session.scalars(select(PlanDraft.customer_email)).all() == ["omar.2@example.com"]
