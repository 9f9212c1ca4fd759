"""The signatures of webhooks: Standard Webhooks 1.0, HMAC-SHA256 over id, timestamp and body."""

import base64
import hashlib
import hmac
import secrets
from collections.abc import Collection
from typing import Final

SCHEME: Final = "whsec_"
"""The beginning of a signing secret; base64 follows."""


def new_secret() -> str:
    """A new signing secret: 32 random bytes in base64 after `whsec_`."""
    return SCHEME + base64.b64encode(secrets.token_bytes(32)).decode()


def signature(secret: str, name: str, timestamp: int, body: bytes) -> str:
    """The signature of Standard Webhooks, version 1. `name` is the public id of the event, `timestamp` Unix seconds."""
    key = base64.b64decode(secret.removeprefix(SCHEME))
    signed = f"{name}.{timestamp}.".encode() + body
    return "v1," + base64.b64encode(hmac.digest(key, signed, hashlib.sha256)).decode()


def headers(name: str, timestamp: int, body: bytes, signing_secrets: Collection[str]) -> dict[bytes | str, bytes | str]:
    """The three headers of a signed request, with a signature by each of its secrets."""
    return {
        "webhook-id": name,
        "webhook-timestamp": str(timestamp),
        "webhook-signature": " ".join(signature(secret, name, timestamp, body) for secret in signing_secrets),
    }
