"""Errors that services raise. Entry points render them as pages, fragments or problem documents.

    QistError
        Refused         the business says no: 409, or the status of a subclass
            TooMany     as many as a period allows
        NotFound, Forbidden, Invalid
        Busy            nothing was written
            Unsure      the outcome is unknown
        RepeatedRequest
            StillRunning, KeyReused, AnswerGone

Each of them wrote nothing, except Unsure.

A refusal holds a code and facts, no sentence. `portal.wording.refusals` words it in the reader's language.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from portal.domain.money import Money


class QistError(Exception):
    """The request was not carried out.

    `code` is stable and meant for programs. `facts` are plain values that an entry point may show, such as current
    amounts in minor units or the id of the payment in flight. `about` names the situation where one code has several
    sentences, and `limit` is the figure that the sentence states; neither is shown to programs. `status` is the
    matching HTTP status (RFC 9110).
    """

    status = 409

    def __init__(self, code: str, *, about: str = "", limit: int | Money | None = None, **facts: Any) -> None:
        super().__init__(f"{code} ({about})" if about else code)
        self.code = code
        self.about = about
        self.limit = limit
        self.facts = facts


class Refused(QistError):
    """The business says no: the state of the plan, the payment or the account does not permit it."""


class TooMany(Refused):
    """As many of these as a period allows. More may be asked for after `retry_after` seconds."""

    status = 429
    retry_after = 3600


class NotFound(QistError):
    """The object does not exist, or belongs to another user; the two cases give the same response."""

    status = 404

    def __init__(self, about: str = "") -> None:
        super().__init__("not_found", about=about)


class Forbidden(QistError):
    """The user's role does not permit this."""

    status = 403

    def __init__(self, about: str = "") -> None:
        super().__init__("forbidden", about=about)


@dataclass(frozen=True, slots=True, init=False)
class Fault:
    """One mistake in the input: the field's name ("" for the whole input), a code, and what its sentence states.

    `about` names the situation where one code has several sentences and the field does not decide between them.
    `facts` fill the sentence's placeholders.
    """

    field: str
    code: str
    about: str
    facts: Mapping[str, Any]

    def __init__(self, field: str, code: str, *, about: str = "", **facts: Any) -> None:
        for name, value in (("field", field), ("code", code), ("about", about or field), ("facts", facts)):
            object.__setattr__(self, name, value)

    def at(self, field: str) -> "Fault":
        """The same fault under another field's name."""
        return Fault(field, self.code, about=self.about, **self.facts)


def pointer_token(name: str) -> str:
    """A name as a token of a JSON pointer (RFC 6901), cut to 100 characters because the caller chose it."""
    return name[:100].replace("~", "~0").replace("/", "~1")


class Invalid(QistError):
    """The input is not valid. `faults` holds every mistake, so that a form shows all of them at once."""

    status = 422

    def __init__(self, *faults: Fault, **facts: Any) -> None:
        super().__init__(faults[0].code, **facts)
        self.faults = faults


class Busy(QistError):
    """The system is overloaded or the database is unavailable; nothing was written.

    The request may be sent again after `retry_after` seconds.
    """

    status = 503
    retry_after = 2

    def __init__(self, about: str = "") -> None:
        super().__init__("busy", about=about)


class Unsure(Busy):
    """The connection broke during the commit, so the outcome is unknown. Only the same key may be sent again."""

    def __init__(self) -> None:
        super().__init__()
        self.code = "outcome_unknown"


class RepeatedRequest(QistError):
    """The key of this request was used before, and the first request has no result to hand back."""


class StillRunning(RepeatedRequest):
    """Another process is handling a request with the same key. Send it again after `retry_after` seconds."""

    retry_after = 1

    def __init__(self) -> None:
        super().__init__("still_running")


class KeyReused(RepeatedRequest):
    """The same key was used with another body."""

    status = 422

    def __init__(self) -> None:
        super().__init__("idempotency_key_reused")


class AnswerGone(RepeatedRequest):
    """The request was carried out by another version of Qist, whose stored result this version can't read."""

    def __init__(self) -> None:
        super().__init__("answer_gone")
