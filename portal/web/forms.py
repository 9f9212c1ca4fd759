"""What all forms share. Fields check shape only; whether the business agrees is for the verbs to say."""

import re
from collections.abc import Iterable, Mapping
from typing import Any

from flask import request
from flask_wtf import FlaskForm
from wtforms import Field, IntegerField
from wtforms.fields.choices import SelectChoice  # type: ignore[attr-defined]
from wtforms.validators import StopValidation

from portal.domain import money
from portal.errors import Fault, Invalid

UNUSABLE = "This holds a character that can't be used. Please type it again."


class Form(FlaskForm):  # type: ignore[misc]
    """A form that reads urlencoded and multipart text fields only: never files, never a JSON body."""

    class Meta(FlaskForm.Meta):  # type: ignore[misc]
        def wrap_formdata(self, form: FlaskForm, formdata: Any) -> Any:
            if formdata is None or isinstance(formdata, Mapping):
                return formdata
            return request.form if request.method == "POST" else None

    def validate(self, extra_validators: Mapping[str, Any] | None = None) -> bool:
        """Also refuses NUL, which no text in the database can hold."""
        right = bool(super().validate(extra_validators))
        for field in self:
            if isinstance(field.data, str) and "\x00" in field.data:
                field.errors = [UNUSABLE]
                right = False
        return right


class WholeField(IntegerField):
    """A whole number in ASCII digits; what was typed is kept."""

    def process_formdata(self, valuelist: list[str]) -> None:
        self.data = None
        text = valuelist[0].strip() if valuelist else ""
        if re.fullmatch(r"[0-9]{1,9}", text):
            self.data = int(text)
        elif text:
            raise ValueError("Enter a whole number in digits.")


class Needed:
    """Something has to be typed; blanks alone are nothing. The message asks for it in words."""

    def __init__(self, message: str) -> None:
        self.message = message
        self.field_flags = {"required": True}

    def __call__(self, form: Any, field: Field) -> None:
        if field.errors:
            raise StopValidation()
        if field.data is None or (isinstance(field.data, str) and not field.data.strip()):
            raise StopValidation(self.message)


class OneLine:
    """Text that fits on one line of at most `longest` characters."""

    def __init__(self, longest: int) -> None:
        self.longest = longest
        self.field_flags = {"maxlength": longest}

    def __call__(self, form: Any, field: Field) -> None:
        text = (field.data or "").strip()
        if len(text) > self.longest:
            raise StopValidation(f"Use at most {self.longest} characters; these are {len(text)}.")
        if not text.isprintable():
            raise StopValidation("Write it on one line, in letters that can be seen.")


def read_amount(field: Field, currency: str) -> int:
    """What was typed, in minor units of `currency`. Raises Invalid on the field when it is no amount, or zero."""
    try:
        minor = money.parse(field.data or "", currency)
    except money.BadAmount as error:
        raise Invalid(Fault(field.name, "bad_amount", str(error))) from error
    if not minor:
        raise Invalid(Fault(field.name, "bad_amount", "Enter more than zero."))
    return minor


def choices(pairs: Iterable[tuple[str, str]]) -> list[Any]:
    """What a select or radio field offers, from (value, words)."""
    return [SelectChoice(value, words) for value, words in pairs]


def apply_faults(form: FlaskForm, invalid: Invalid, **renamed: str) -> None:
    """Put each fault beside the field of its name (or the one it is renamed to); what has no field, above the form."""
    for fault in invalid.faults:
        name = renamed.get(fault.field, fault.field)
        if name in form:
            field = form[name]
            field.errors = [*field.errors, fault.message]
        else:
            form.form_errors.append(fault.message)
