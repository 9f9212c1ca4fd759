"""The description of an action on a plan's money: its texts, its preview and the call that carries it out."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Generic, Literal, NamedTuple, TypeVar

from markupsafe import Markup

from portal.services.idempotency import RequestKey
from portal.web.confirmations.forms import ActionForm
from portal.web.confirmations.snapshot import Line, PlanSnapshot

F = TypeVar("F", bound=ActionForm)


def typed(text: str | None) -> Markup:
    """A text that a person typed, isolated from the direction and the language of the page."""
    return Markup("<bdi>%s</bdi>") % text if text else Markup("")


@dataclass(frozen=True, slots=True)
class Confirmation:
    """The page or dialog before the action. `shown` are the amounts sent along, in minor units by the field's name.

    `parts` are the remaining amounts of installments, or what is kept of payments.
    """

    title: str
    button: str
    shown: dict[str, int]
    figures: Sequence[Line] = ()
    parts: Sequence[Line] = ()
    parts_of: Literal["installments", "payments"] = "installments"
    facts: Sequence[tuple[str, str]] = ()
    notes: Sequence[str] = ()
    danger: bool = True
    notice: str = ""


class Feedback(NamedTuple):
    """The message after the action. kind: success, error, warn or info."""

    text: str
    kind: str = "success"


@dataclass(frozen=True, slots=True)
class Action(Generic[F]):
    """An action on a plan's money.

    `noun` names the template of its own fields; `title` and `about` head its page. `preview` computes the confirmation
    from the form; it raises Invalid for errors of fields and Refused for others. `carry_out` calls the service function
    and returns the message about its result. `why_not` returns the reason why the action is not possible now, or None.
    """

    noun: str
    title: str
    about: str
    preview: Callable[[F, PlanSnapshot], Confirmation]
    carry_out: Callable[[F, PlanSnapshot, RequestKey], Feedback]
    why_not: Callable[[PlanSnapshot], str | None]

    @property
    def fields(self) -> str:
        """The template of the form's own fields."""
        return f"confirmations/_{self.noun}_fields.html"
