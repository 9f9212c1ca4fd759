"""Errors that services raise. Entry points render them as pages, fragments or problem documents.

    QistError
        Refused         the business says no: 409, or the status of a subclass
        NotFound, Forbidden, Invalid
        Busy            nothing was written
            Unsure      the outcome is unknown
        RepeatedRequest
            StillRunning, KeyReused, AnswerGone

Each of them wrote nothing, except Unsure.
"""

from dataclasses import dataclass
from typing import Any


class QistError(Exception):
    """The request was not carried out.

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


class Refused(QistError):
    """The business says no: the state of the plan, the payment or the account does not permit it."""


class NotFound(QistError):
    """The object does not exist, or belongs to another user; the two cases give the same response."""

    status = 404

    def __init__(self, message: str = "There is nothing here that you can see.") -> None:
        super().__init__("not_found", message)


class Forbidden(QistError):
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


class Invalid(QistError):
    """The input is not valid. `faults` holds every mistake, so that a form shows all of them at once."""

    status = 422

    def __init__(self, *faults: Fault, **facts: Any) -> None:
        super().__init__(faults[0].code, faults[0].message, **facts)
        self.faults = faults


class Busy(QistError):
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


class RepeatedRequest(QistError):
    """The key of this request was used before, and the first request has no result to hand back."""


class StillRunning(RepeatedRequest):
    """Another process is handling a request with the same key. Send it again after `retry_after` seconds."""

    retry_after = 1

    def __init__(self) -> None:
        super().__init__("still_running", "The same request is still being carried out. Ask again in a moment.")


class KeyReused(RepeatedRequest):
    """The same key was used with another body."""

    status = 422

    def __init__(self) -> None:
        super().__init__("idempotency_key_reused", "This key was already used for another request.")


class AnswerGone(RepeatedRequest):
    """The request was carried out by another version of Qist, whose stored result this version can't read."""

    def __init__(self) -> None:
        super().__init__("answer_gone", "This was carried out before, and its answer can't be shown again.")
