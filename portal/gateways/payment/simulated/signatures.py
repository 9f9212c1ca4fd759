"""Signatures of the simulated gateway's callbacks. docs/test-cards.md describes them."""

import hashlib
import hmac
import re
from typing import Final

from portal.domain import clock

HEADER: Final = "Qist-Signature"
MAX_AGE: Final = 300
"""Lifetime of a signature in seconds. An intercepted callback that is sent again later is refused."""
_SIGNATURE: Final = re.compile(r"t=([0-9]{1,12}),v1=([0-9a-f]{64})")


def sign(secret: str, body: bytes) -> str:
    """The signature of a callback at this instant: "t=<Unix seconds>,v1=<hex HMAC-SHA256 of '<t>.<body>'>"."""
    at = int(clock.now().timestamp())
    return f"t={at},v1={_mac(secret, at, body)}"


def is_signed(secret: str, body: bytes, signature: str) -> bool:
    """Whether the signature is of this body and at most MAX_AGE old."""
    match = _SIGNATURE.fullmatch(signature)
    if match is None:
        return False
    at = int(match[1])
    is_ours = hmac.compare_digest(_mac(secret, at, body), match[2])
    return is_ours and abs(clock.now().timestamp() - at) <= MAX_AGE


def _mac(secret: str, at: int, body: bytes) -> str:
    key = hmac.digest(secret.encode(), b"gateway callbacks", "sha256")
    return hmac.new(key, b"%d.%s" % (at, body), hashlib.sha256).hexdigest()
