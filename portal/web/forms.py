"""Base class, fields and validators of forms. They check the shape of values; services check business rules."""

import re
from collections.abc import Iterable, Mapping
from typing import Any, Final

from flask import g, request
from flask_babel import get_domain
from flask_babel import gettext as _
from flask_wtf import FlaskForm
from wtforms import Field, IntegerField
from wtforms.fields.choices import SelectChoice  # type: ignore[attr-defined]
from wtforms.validators import StopValidation

from portal.domain import money, typed_text
from portal.errors import Fault, Invalid, Refused
from portal.services.text_faults import text_faults
from portal.wording.lazy import lazy_gettext as _l
from portal.wording.refusals import fault_sentence, sentence

UNUSABLE: Final = _l("This holds a character that can't be used. Please type it again.")
WTFORMS_MESSAGES: Final = (_l("Invalid input."), _l("Not a valid choice."))
"""Messages of WTForms itself that a form may show."""


class Form(FlaskForm):  # type: ignore[misc]
    """A form that reads text fields of urlencoded and multipart bodies. It reads no files and no JSON.

    On a page that brings a form back (web/kept_forms.py) it has the fields that were kept.
    """

    class Meta(FlaskForm.Meta):  # type: ignore[misc]
        def wrap_formdata(self, form: FlaskForm, formdata: Any) -> Any:
            if formdata is None or isinstance(formdata, Mapping):
                return formdata
            return request.form if request.method == "POST" else g.get("kept_fields")

        def get_translations(self, form: FlaskForm) -> Any:
            """Messages of WTForms come from the same catalogues as all others."""
            return get_domain().get_translations()

    def validate(self, extra_validators: Mapping[str, Any] | None = None) -> bool:
        """Also refuses NUL, which PostgreSQL can't store in text."""
        valid = bool(super().validate(extra_validators))
        for field in self:
            if isinstance(field.data, str) and "\x00" in field.data:
                field.errors = [str(UNUSABLE)]
                valid = False
        return valid


class WholeField(IntegerField):
    """A whole number of up to nine ASCII digits. The form shows an invalid text again."""

    def process_formdata(self, valuelist: list[str]) -> None:
        self.data = None
        text = valuelist[0].strip() if valuelist else ""
        if re.fullmatch(r"[0-9]{1,9}", text):
            self.data = int(text)
        elif text:
            raise ValueError(_("Enter a whole number in digits."))


class Needed:
    """The field is required, and blanks alone count as empty."""

    def __init__(self, message: str) -> None:
        self.message = message
        self.field_flags = {"required": True}

    def __call__(self, form: Any, field: Field) -> None:
        if field.errors:
            raise StopValidation()
        if field.data is None or (isinstance(field.data, str) and not field.data.strip()):
            raise StopValidation(str(self.message))


class OneLine:
    """A typed text (domain/typed_text.py). The field's data becomes the text as it is stored."""

    def __call__(self, form: Any, field: Field) -> None:
        if faults := text_faults(field.name, field.data or ""):
            raise StopValidation(fault_sentence(faults[0]))
        field.data = typed_text.read(field.data or "")


def read_amount(field: Field, currency: str) -> int:
    """The field's amount in minor units of `currency`. Raises Invalid on the field for a bad amount or zero."""
    try:
        minor = money.parse_typed(field.data or "", currency)
    except money.BadAmount as error:
        raise Invalid(Fault(field.name, "bad_amount", about=error.about, **error.facts)) from error
    if not minor:
        raise Invalid(Fault(field.name, "bad_amount", about="zero_in_form"))
    return minor


def read_limit(field: Field, currency: str) -> int | None:
    """The field's amount in minor units of `currency`, zero included; None if it is empty. Raises Invalid on it."""
    try:
        return money.parse_typed(field.data, currency) if (field.data or "").strip() else None
    except money.BadAmount as error:
        raise Invalid(Fault(field.name, "bad_amount", about=error.about, **error.facts)) from error


def choices(pairs: Iterable[tuple[str, str]], **attributes: Mapping[str, str]) -> list[Any]:
    """Choices of a select or radio field, from pairs of value and label, with the attributes that values have."""
    return [
        SelectChoice(
            value,
            label,
            {name.replace("_", "-"): values[value] for name, values in attributes.items() if value in values},
        )
        for value, label in pairs
    ]


def has_fault(error: Invalid | Refused, code: str) -> bool:
    """Whether one of the faults has this code."""
    return isinstance(error, Invalid) and any(fault.code == code for fault in error.faults)


def apply_faults(form: FlaskForm, error: Invalid | Refused, **renamed: str) -> None:
    """Add each fault to the field of its name, or of the name in `renamed`; without such a field, to the form.

    A refusal is about the whole form.
    """
    if isinstance(error, Refused):
        form.form_errors.append(sentence(error))
        return
    for fault in error.faults:
        name = renamed.get(fault.field, fault.field)
        if name in form:
            field = form[name]
            field.errors = [*field.errors, fault_sentence(fault)]
        else:
            form.form_errors.append(fault_sentence(fault))
