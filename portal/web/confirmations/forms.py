"""Forms of actions on a plan's money, and the hidden fields that a confirmation sends along."""

import re
from collections.abc import Iterator
from typing import Final

from markupsafe import Markup
from wtforms import Field, HiddenField, StringField

from portal.web.forms import Form, Needed, OneLine
from portal.web.labels import KEY
from portal.wording.lazy import lazy_gettext as _l

AMOUNT_DIGITS: Final = r"[0-9]{1,16}"


class ActionForm(Form):
    """The confirmation fills in the one-use key and the amounts that it shows, in minor units."""

    key = HiddenField()
    shown = HiddenField()


class ReasonForm(ActionForm):
    """With a reason, which the plan's timeline shows."""

    reason = StringField(_l("Reason"), [Needed(_l("Say why. It stands on the plan’s timeline.")), OneLine()])

    def __iter__(self) -> Iterator[Field]:
        """The reason last, as on the page: the error summary lists fields in the page's order."""
        yield from (field for field in super().__iter__() if field.name != "reason")
        yield self.reason


def shown_amount(field: Field) -> int:
    """The amount that a confirmation showed, in minor units. Call it after `is_complete`."""
    return int(field.data)


def is_complete(form: ActionForm) -> bool:
    """Whether the key and the amounts of a confirmation are well formed."""
    amounts = [field.data for field in form if isinstance(field, HiddenField) and field.name.startswith("shown")]
    return bool(re.fullmatch(KEY, form.key.data or "")) and all(
        re.fullmatch(AMOUNT_DIGITS, text or "") for text in amounts
    )


def hidden_fields(form: ActionForm) -> Markup:
    """The form's values as hidden fields, for the confirmation."""
    field_html = Markup('<input type="hidden" name="{}" value="{}">')
    return Markup("\n").join(
        field_html.format(field.name, field.data or "") for field in form if field.name != "csrf_token"
    )
