"""Refusals: the exceptions that services raise. Entry points render them as pages, fragments or problem documents."""

from dataclasses import dataclass
from typing import Any


class Refused(Exception):
    """A service refused and wrote nothing.

    `code` is stable and meant for programs. `message` is a sentence for the person who sent the request. `facts` are
    plain values that an entry point may show, such as current amounts or the id of the payment in flight. `status` is
    the matching HTTP status (RFC 9110).
    """

    status = 409

    def __init__(self, code: str, message: str, **facts: Any) -> None:
        super().__init__(message)
        self.code = code
        self.message = message
        self.facts = facts


class NotFound(Refused):
    """The object does not exist, or belongs to another user; the two cases give the same response."""

    status = 404

    def __init__(self, message: str = "There is nothing here that you can see.") -> None:
        super().__init__("not_found", message)


class Forbidden(Refused):
    """The user's role does not permit this."""

    status = 403

    def __init__(self, message: str = "Your account can't do this.") -> None:
        super().__init__("forbidden", message)


@dataclass(frozen=True, slots=True)
class Fault:
    """One mistake in the input: the field's name ("" for the whole input), a code and a sentence."""

    field: str
    code: str
    message: str


class Invalid(Refused):
    """The input is not valid. `faults` holds every mistake, so that a form shows all of them at once."""

    status = 422

    def __init__(self, *faults: Fault, **facts: Any) -> None:
        super().__init__(faults[0].code, faults[0].message, **facts)
        self.faults = faults


class Busy(Refused):
    """The system is overloaded or the database is unavailable; nothing was written.

    The request may be sent again after `retry_after` seconds.
    """

    status = 503
    retry_after = 2

    def __init__(self, message: str = "The system is busy. Nothing was changed. Please try again.") -> None:
        super().__init__("busy", message)


class Unsure(Busy):
    """The connection broke during the commit, so the outcome is unknown. Only the same key may be sent again."""

    def __init__(self) -> None:
        super().__init__(
            "The answer was lost, so it is not certain whether this went through. Nothing happens twice: look again."
        )
        self.code = "outcome_unknown"


class StillRunning(Refused):
    """Another process is handling a request with the same key. Send it again after `retry_after` seconds."""

    retry_after = 1

    def __init__(self) -> None:
        super().__init__("still_running", "The same request is still being carried out. Ask again in a moment.")
