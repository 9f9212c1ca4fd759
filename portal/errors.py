"""When the business says no. Each door turns these into its own page, fragment or problem document."""

from dataclasses import dataclass
from typing import Any


class Refused(Exception):
    """A verb refused, and nothing was written.

    `code` is stable and for machines, `message` is a sentence for the person who asked, `facts` are plain values that a
    door may show (fresh amounts, the payment in flight ...). `status` is the HTTP status that fits.
    """

    status = 409

    def __init__(self, code: str, message: str, **facts: Any) -> None:
        super().__init__(message)
        self.code = code
        self.message = message
        self.facts = facts


class NotFound(Refused):
    """Not there, or not yours: the same answer."""

    status = 404

    def __init__(self, message: str = "There is nothing here that you can see.") -> None:
        super().__init__("not_found", message)


class Forbidden(Refused):
    """Your role can't do this."""

    status = 403

    def __init__(self, message: str = "Your account can't do this.") -> None:
        super().__init__("forbidden", message)


@dataclass(frozen=True, slots=True)
class Fault:
    """One thing that is wrong with what was sent: the field's name ("" for the whole), a code, a sentence."""

    field: str
    code: str
    message: str


class Invalid(Refused):
    """What was sent can't be used. Holds every fault, so that a form can show all of them at once."""

    status = 422

    def __init__(self, *faults: Fault, **facts: Any) -> None:
        super().__init__(faults[0].code, faults[0].message, **facts)
        self.faults = faults


class Busy(Refused):
    """Too much at once, or the database is away for a moment. Safe to send again after `retry_after` seconds."""

    status = 503
    retry_after = 2

    def __init__(self, message: str = "The system is busy. Nothing was changed. Please try again.") -> None:
        super().__init__("busy", message)


class Unsure(Busy):
    """The connection broke during the commit: it may have happened. The same key may be sent again, never a new one."""

    def __init__(self) -> None:
        super().__init__(
            "The answer was lost, so it is not certain whether this went through. Nothing happens twice: look again."
        )
        self.code = "outcome_unknown"


class StillRunning(Refused):
    """The same request is being carried out right now by somebody else. Ask again after `retry_after` seconds."""

    retry_after = 1

    def __init__(self) -> None:
        super().__init__("still_running", "The same request is still being carried out. Ask again in a moment.")
