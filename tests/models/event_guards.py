"""The guards of the feed of events, with raw SQL that each of them refuses."""
# ruff: noqa: S608 (SQL from constants)

from tests.models.guard_inserts import Guard

NEWEST = "(SELECT max(event_id) FROM public_events)"
OLDEST = "(SELECT min(event_id) FROM public_events)"
AGAIN = (
    "INSERT INTO public_events (event_id, merchant_id, plan_id, type) "
    f"SELECT event_id, merchant_id, plan_id, type FROM public_events WHERE event_id = {NEWEST}"
)

EVENT_GUARDS = [
    Guard("an event published twice", "pk_public_events", AGAIN),
    Guard("two events under one public id", "uq_public_events_public_id",
          f"UPDATE public_events SET public_id = (SELECT public_id FROM public_events WHERE event_id = {OLDEST}) "
          f"WHERE event_id = {NEWEST}"),
    Guard("two events in one place of the feed", "uq_public_events_number",
          f"UPDATE public_events SET number = 7 WHERE event_id IN ({OLDEST}, {NEWEST})"),
    Guard("a place before the first", "ck_public_events_number",
          f"UPDATE public_events SET number = 0 WHERE event_id = {NEWEST}"),
]  # fmt: skip
