"""The registry of events: every payload survives JSON, and holds ids, codes and figures only."""

import json
from dataclasses import MISSING, FrozenInstanceError, fields
from typing import Literal, get_args, get_origin, get_type_hints

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from portal.domain import events
from portal.domain.events import EVENT_TYPES, KINDS, Payload
from tests.domain.event_examples import EXAMPLES

PAYLOADS = list(KINDS.values())
CODES = {"code", "last4"}
"""Fields whose values the gateway chooses. Every other text of a payload is a Literal."""


def is_plain(kind: object, name: str) -> bool:
    """An id, a figure, a flag, a code, or several numbers."""
    if get_origin(kind) is Literal:
        return True
    if kind is str:
        return name in CODES
    parts = [part for part in get_args(kind) if part not in (type(None), ...)]
    return kind in (int, bool) if not parts else all(is_plain(part, name) for part in parts)


def hints(payload: type[Payload]) -> dict[str, object]:
    resolved = get_type_hints(payload)
    return {field.name: resolved[field.name] for field in fields(payload)}


@pytest.mark.parametrize("payload", PAYLOADS, ids=lambda payload: payload.kind)
@settings(deadline=None)
@given(data=st.data())
def test_a_payload_is_the_same_after_json(payload: type[Payload], data: st.DataObject) -> None:
    made = data.draw(st.builds(payload, **{name: st.from_type(hint) for name, hint in hints(payload).items()}))
    assert events.read(made.kind, json.loads(json.dumps(events.facts(made)))) == made


@pytest.mark.parametrize("payload", PAYLOADS, ids=lambda payload: payload.kind)
def test_a_payload_holds_ids_codes_and_figures_only(payload: type[Payload]) -> None:
    assert [name for name, hint in hints(payload).items() if not is_plain(hint, name)] == []


@pytest.mark.parametrize("payload", PAYLOADS, ids=lambda payload: payload.kind)
def test_a_payload_is_frozen_and_documented(payload: type[Payload]) -> None:
    values = {field.name: 1 for field in fields(payload) if field.default is MISSING}
    with pytest.raises(FrozenInstanceError):
        payload(**values).anything = 1  # type: ignore[attr-defined]
    assert payload.__doc__ and not payload.__doc__.startswith(payload.__name__)
    assert len(payload.kind) <= 40 and payload.kind.count(".") == 1


def test_facts_leave_out_defaults_so_that_a_later_field_reads_older_rows() -> None:
    payment = events.PaymentSucceeded(payment_id=1, amount=50_00)
    assert events.facts(payment) == {"payment_id": 1, "amount": 50_00}
    assert events.read("payment.succeeded", {"payment_id": 1, "amount": 50_00}) == payment


@pytest.mark.parametrize("stored", [{}, {"amount": "5", "installments": 1}, {"amount": 5.5, "installments": 1}])
def test_values_of_other_types_are_refused(stored: dict[str, object]) -> None:
    with pytest.raises(msgspec.ValidationError):
        events.read("plan.opened", stored)


def test_an_unknown_kind_is_refused() -> None:
    with pytest.raises(events.UnknownKind):
        events.read("plan.painted", {})


def test_a_kind_has_one_payload() -> None:
    with pytest.raises(TypeError, match=r"plan\.opened"):
        type("Again", (Payload,), {}, kind="plan.opened", public="plan.created")
    assert KINDS["plan.opened"] is events.PlanOpened


@pytest.mark.parametrize("both", [{}, {"public": "plan.created", "internal": "its own"}], ids=["neither", "both"])
def test_a_kind_is_for_outsiders_or_internal_for_a_reason(both: dict[str, str]) -> None:
    with pytest.raises(TypeError, match=r"plan\.painted"):
        type("Painted", (Payload,), {}, kind="plan.painted", **both)
    assert "plan.painted" not in KINDS


def test_each_public_type_has_a_kind_and_each_other_kind_a_reason() -> None:
    assert {payload.public for payload in PAYLOADS if not payload.internal} == set(EVENT_TYPES)
    assert all(payload.public is None for payload in PAYLOADS if payload.internal)


def test_each_public_payload_has_the_id_of_its_object() -> None:
    for payload in EXAMPLES:
        if payload.public is not None:
            about, object_id = events.object_of(payload, plan_id=10, customer_id=20)
            assert object_id == {"plan": 10, "customer": 20}.get(about, getattr(payload, f"{about}_id", None))
            assert about in ("plan", "customer") or f"{about}_id" in {field.name for field in fields(payload)}
