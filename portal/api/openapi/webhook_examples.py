"""Examples of the schemas of webhooks."""

from typing import Any, Final

_SIGNING: Final = {"secret": "whsec_C2FVsBQIhrscChlQIMV+b5sSYspob7oD2Y7mQx0iXQk="}
_ENDPOINT: Final[dict[str, Any]] = {
    "id": "we_7d1f0b4c5a6e4f0d9b8a7c6d5e4f3a2b",
    "url": "https://shop.example.com/webhooks",
    "types": ["payment.succeeded"],
    "enabled": True,
    "disabled_for": None,
    "created_at": "2026-08-23T04:12:34.309931Z",
    "failing_since": None,
    "old_secret_until": None,
}
_ATTEMPT: Final = {"started_at": "2026-08-30T09:15:04Z", "duration_ms": 180, "status": 200, "problem": None}

WEBHOOKS: Final[dict[str, Any]] = {
    "NewEndpoint": {"url": "https://shop.example.com/webhooks", "types": ["payment.succeeded"]},
    "ChangedEndpoint": {"enabled": True},
    "WebhookEndpoint": _ENDPOINT,
    "EndpointWithSecret": {**_ENDPOINT, **_SIGNING},
    "NewSecret": {"id": _ENDPOINT["id"], **_SIGNING, "old_secret_until": "2026-08-24T04:12:34.309931Z"},
    "QueuedDelivery": {"event": "evt_5f0c1d7be93a40c8a1c2d3e4f5061728"},
    "WebhookAttemptMade": {**_ATTEMPT, "response": "ok"},
    "WebhookSent": {
        "event": "evt_5f0c1d7be93a40c8a1c2d3e4f5061728",
        "type": "payment.succeeded",
        "state": "delivered",
        "created_at": "2026-08-30T09:15:02.120044Z",
        "next_try_at": None,
        "ended_at": "2026-08-30T09:15:04.520101Z",
        "attempts": [{**_ATTEMPT, "response": "ok"}],
    },
}
"""By schema."""
