"""Forms with a one-use key: sent twice, they are carried out once. What stands in the way is sorted here, once."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TypeVar

from portal.errors import Invalid, Refused, RepeatedRequest
from portal.services import idempotency
from portal.services.idempotency import RequestKey
from portal.wording.refusals import sentence

R = TypeVar("R")


@dataclass(frozen=True, slots=True)
class NotDone:
    """The error for which the form's request was not carried out, and the page's sentence about it."""

    error: Refused | Invalid | RepeatedRequest
    message: str

    @property
    def status(self) -> int:
        return self.error.status


def request_key(user_id: int, scope: str, key: str | None, *values: object) -> RequestKey:
    """The request of a form. `key` is its one-use key, and `values` are the others that it sends."""
    return RequestKey(user_id, scope, key or "", idempotency.fingerprint(*values))


def carry_out(act: Callable[[], R], words: Mapping[str, object]) -> R | NotDone:
    """Call a service function. Returns its result, or the refusal that belongs on the form's own page.

    `words` has the page's own sentences by code; other refusals keep their message. An object that is not found, a
    role that is not permitted and a busy system have pages of their own (error_pages.py).
    """
    try:
        return act()
    except (Refused, Invalid, RepeatedRequest) as error:
        return NotDone(error, str(words[error.code]) if error.code in words else sentence(error))
