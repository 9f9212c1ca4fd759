"""The guards of the feed of events and of webhooks, with raw SQL that each of them refuses."""
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


def an_endpoint(**more: str) -> str:
    values = {"merchant_id": ":amal", "created_by": ":amal", "url": "'https://shop.example.com/'", "secret": "'x'",
              "created_at": "now()"} | more  # fmt: skip
    return f"INSERT INTO webhook_endpoints ({', '.join(values)}) VALUES ({', '.join(values.values())})"


def a_delivery(**more: str) -> str:
    values = {"endpoint_id": "(SELECT max(id) FROM webhook_endpoints)", "event_id": NEWEST, "state": "'waiting'",
              "next_try_at": "now()", "give_up_at": "now()", "created_at": "now()"} | more  # fmt: skip
    return f"INSERT INTO webhook_deliveries ({', '.join(values)}) VALUES ({', '.join(values.values())})"


def an_attempt(**more: str) -> str:
    values = {"delivery_id": "(SELECT max(id) FROM webhook_deliveries)", "started_at": "now()", "duration_ms": "1",
              "status": "200", "excerpt": "''"} | more  # fmt: skip
    return f"INSERT INTO webhook_attempts ({', '.join(values)}) VALUES ({', '.join(values.values())})"


DELIVERED = f"{an_endpoint()};{a_delivery()}"

WEBHOOK_GUARDS = [
    Guard("an endpoint of no web address", "ck_webhook_endpoints_url", an_endpoint(url="'ftp://shop'")),
    Guard("an endpoint that is off without a reason", "ck_webhook_endpoints_disabled",
          an_endpoint(disabled_at="now()")),
    Guard("an endpoint that is off for no known reason", "ck_webhook_endpoints_disabled_for",
          an_endpoint(disabled_at="now()", disabled_for="'moon'")),
    Guard("an endpoint with pauses below zero", "ck_webhook_endpoints_unreached", an_endpoint(unreached="-1")),
    Guard("a previous secret without an end", "ck_webhook_endpoints_old_secret", an_endpoint(old_secret="'x'")),
    Guard("two endpoints under one public id", "uq_webhook_endpoints_public_id",
          f"{an_endpoint()};{an_endpoint(public_id='(SELECT max(public_id::text)::uuid FROM webhook_endpoints)')}"),
    Guard("an event twice for one endpoint", "uq_webhook_deliveries_endpoint_id_event_id",
          f"{DELIVERED};{a_delivery()}"),
    Guard("a delivery in no state", "ck_webhook_deliveries_state",
          f"{an_endpoint()};{a_delivery(state=chr(39) + 'lost' + chr(39), ended_at='now()')}"),
    Guard("a delivery that waits and has ended", "ck_webhook_deliveries_ended",
          f"{an_endpoint()};{a_delivery(ended_at='now()')}"),
    Guard("more attempts before than attempts", "ck_webhook_deliveries_attempts",
          f"{an_endpoint()};{a_delivery(attempts_before='1')}"),
    Guard("an attempt before its start", "ck_webhook_attempts_duration_ms",
          f"{DELIVERED};{an_attempt(duration_ms='-1')}"),
    Guard("an attempt without an outcome", "ck_webhook_attempts_outcome", f"{DELIVERED};{an_attempt(status='NULL')}"),
]  # fmt: skip
