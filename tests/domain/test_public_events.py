"""Events for outsiders: each kind of the registry has a public type, or is internal with a reason."""

from dataclasses import fields

from portal.domain import public_events
from portal.domain.events import KINDS
from portal.domain.public_events import EVENT_TYPES, INTERNAL, PUBLIC
from tests.domain.event_examples import EXAMPLES


def test_each_kind_is_public_or_internal() -> None:
    assert set(PUBLIC) | set(INTERNAL) == set(KINDS)
    assert set(PUBLIC) & set(INTERNAL) == set()
    assert all(INTERNAL.values())


def test_each_public_type_has_a_kind() -> None:
    assert {public.type for public in PUBLIC.values()} == set(EVENT_TYPES)
    assert all(public_events.type_of(kind) is None for kind in (*INTERNAL, "plan.painted"))


def test_each_public_payload_has_the_id_of_its_object() -> None:
    for payload in EXAMPLES:
        if payload.kind in PUBLIC:
            about, object_id = public_events.object_of(payload, plan_id=10, customer_id=20)
            assert object_id == {"plan": 10, "customer": 20}.get(about, getattr(payload, f"{about}_id", None))
            assert about in ("plan", "customer") or f"{about}_id" in {field.name for field in fields(payload)}
