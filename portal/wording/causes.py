"""The words of causes of the system, and of the reasons that people typed."""

from typing import Protocol

from flask_babel import gettext as _

from portal.domain.events import CancelCause, Cause


class Reasoned(Protocol):
    """A row with a reason: "" without one, None for an erased text."""

    @property
    def reason(self) -> str | None: ...
    @property
    def cause(self) -> Cause | None: ...


def causes() -> dict[Cause | CancelCause, str]:
    """The words of each cause."""
    return {
        "overcharged": str(_("More came in than was still owed")),
        "taken_back": str(_("The bank took the payment back")),
        "lapsed": str(_("It was not accepted in time")),
        "withdrawn": str(_("The customer withdrew")),
        "void": str(_("The operator decided that it is not the customer’s")),
    }


def reason_words(row: Reasoned) -> str:
    """The words of the cause, or the typed text. An erased text is "(erased)". "" without a reason."""
    return causes()[row.cause] if row.cause is not None else typed_words(row.reason)


def typed_words(text: str | None) -> str:
    """A typed text. An erased one (None) is "(erased)"."""
    return str(_("(erased)")) if text is None else text
