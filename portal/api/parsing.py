"""Read what was sent: strictly, from its text, and with every fault at once.

A number is never a float here: amounts and whole numbers are read from the text of the JSON, so 0.1 is 0.1, and 1e3,
NaN and other scripts' digits are refused. `Amount`, `Day` and `whole()` are the kinds a shape may use besides what
msgspec reads by itself; texts hold no NUL, which no column could keep.
"""

import functools
import re
from collections.abc import Callable, Iterable, Mapping
from datetime import date
from types import NoneType, UnionType
from typing import Annotated, Any, Final, TypeVar, Union, get_args, get_origin

import msgspec
from flask import request
from msgspec import Meta

from portal.api.problems import NotJson, Unreadable
from portal.domain import schedule
from portal.errors import Fault, Invalid

S = TypeVar("S", bound=msgspec.Struct)
Values = dict[str, Any]

_AMOUNT = Meta(
    extra_json_schema={
        "oneOf": [
            {"type": "string", "pattern": r"^[0-9]{1,16}(\.[0-9]{1,3})?$"},
            {"type": "number", "exclusiveMinimum": 0},
        ]
    },
)
_DAY = Meta(extra_json_schema={"type": "string", "format": "date", "pattern": "^[0-9]{4}-[0-9]{2}-[0-9]{2}$"})

Amount = Annotated[Any, _AMOUNT]
"""Decimal text, as it was sent: its currency's digits are looked at by money.parse."""
Day = Annotated[Any, _DAY]
"""A date."""

_DECIMAL: Final = re.compile(r"[0-9]{1,16}(?:\.[0-9]{1,3})?")
_DIGITS: Final = re.compile(r"[0-9]{1,19}")

STATE_NAMES: Final = ("status", "state")
"""The filter by state has two names. A list that declares either of them accepts both."""

_rules: dict[type, Callable[[Values], list[Fault]]] = {}


class _Wrong(Exception):
    """What was sent for a field can't be read as its kind."""

    def __init__(self, code: str, message: str, path: str = "") -> None:
        super().__init__(message)
        self.code = code
        self.message = message
        self.path = path


def whole(least: int, most: int) -> Meta:
    """The kind of a whole number from `least` to `most`: `Annotated[Any, whole(1, 60)]`. Digit strings count too."""
    number = {"type": "integer", "minimum": least, "maximum": most}
    return Meta(extra_json_schema={"oneOf": [number, {"type": "string", "pattern": "^[0-9]{1,19}$"}]})


def also(shape: type[S]) -> Callable[[Callable[[Values], list[Fault]]], Callable[[Values], list[Fault]]]:
    """When a body of this shape has a fault, the decorated function says what else is wrong with it."""

    def remember(rule: Callable[[Values], list[Fault]]) -> Callable[[Values], list[Fault]]:
        _rules[shape] = rule
        return rule

    return remember


def read(parameters: type[msgspec.Struct] | None, fields: type[msgspec.Struct] | None) -> tuple[Any, Any]:
    """The request's query parameters and its JSON object, in their shapes. None is the shape of an absent part.

    An endpoint without a shape for its parameters accepts no parameter. An absent body counts as {}.
    Raises NotJson, Unreadable, Invalid with the faults of both parts.
    """
    query, faults = _query(parameters)
    body, body_faults = _body(fields) if fields else ({}, [])
    faults += body_faults
    if any(fault.code == "unknown_parameter" for fault in faults):
        raise Invalid(*faults, known=list(parameter_names(parameters)))
    if faults:
        raise Invalid(*faults)
    return parameters and parameters(**query), fields and fields(**body)


@functools.cache
def parameter_names(shape: type[msgspec.Struct] | None) -> dict[str, str]:
    """The names of all accepted query parameters, each with the name of the field that it fills."""
    fields = shape.__struct_fields__ if shape else ()
    return {name: field for field in fields for name in ((field, *STATE_NAMES) if field in STATE_NAMES else (field,))}


def unknown_parameter(name: str, known: Iterable[str]) -> Fault:
    """The fault of a query parameter that is not one of the known ones."""
    names = ", ".join(known)
    known_names = f"Known here: {names}." if names else "No parameter is known here."
    return Fault(f"?{_escape(name)}", "unknown_parameter", f"This parameter is not known. {known_names}")


def _query(shape: type[msgspec.Struct] | None) -> tuple[Values, list[Fault]]:
    """The values of the request's query parameters by field, and the faults by the name that was sent."""
    known = parameter_names(shape)
    sent: dict[str, tuple[str, str]] = {}
    faults = []
    for name, texts in request.args.lists():
        if name not in known:
            faults.append(unknown_parameter(name, known))
            continue
        if len(texts) > 1:
            faults.append(Fault(f"?{name}", "repeated", "Send this parameter once."))
        first_name, first_text = sent.setdefault(known[name], (name, texts[0]))
        if first_text != texts[0]:
            message = f"This is the same filter as {first_name}: send one of the two."
            faults.append(Fault(f"?{name}", "conflicting_parameters", message))
    values: Values = {}
    if shape:
        values, field_faults = _fields(shape, {field: msgspec.json.encode(text) for field, (_, text) in sent.items()})
        for fault in field_faults:
            name, _ = sent.get(fault.field, (fault.field, ""))
            faults.append(Fault(f"?{name}", fault.code, fault.message))
    return values, faults


def _body(shape: type[msgspec.Struct]) -> tuple[Values, list[Fault]]:
    data = request.get_data()
    sent = _decode(data) if data else {}
    values, faults = _fields(shape, sent)
    faults += [
        Fault(_escape(name), "unknown_field", "This field is not known here.")
        for name in sent
        if name not in shape.__struct_fields__
    ]
    if faults and shape in _rules:
        named = {fault.field for fault in faults}
        faults += [fault for fault in _rules[shape](values) if fault.field not in named]
    return values, faults


def _decode(data: bytes) -> Mapping[str, bytes]:
    """The fields of a JSON object, each still in its text."""
    charset = request.mimetype_params.get("charset", "utf-8").lower()
    if request.mimetype != "application/json" or charset not in ("utf-8", "utf8"):
        raise NotJson()
    try:
        data.decode()
        found = msgspec.json.decode(data, type=dict[str, msgspec.Raw])
    except msgspec.ValidationError:
        if data.lstrip()[:1] == b"{":  # a number that no machine holds
            raise Unreadable("The body is not JSON that can be read.") from None
        raise Invalid(Fault("", "not_an_object", "Send one JSON object: {...}.")) from None
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        raise Unreadable("The body is not JSON that can be read.") from None
    return {name: bytes(raw) for name, raw in found.items()}


def _fields(shape: type[S], sent: Mapping[str, bytes]) -> tuple[Values, list[Fault]]:
    values: Values = {}
    faults = []
    for name, required, read in _readers(shape):
        raw = sent.get(name)
        if raw is None:
            if required:
                faults.append(Fault(name, "required", "This field is required."))
            continue
        try:
            values[name] = read(raw)
        except _Wrong as wrong:
            faults.append(Fault(name + wrong.path, wrong.code, wrong.message))
    return values, faults


@functools.cache
def _readers(shape: type[msgspec.Struct]) -> list[tuple[str, bool, Callable[[bytes], Any]]]:
    return [(field.name, field.required, _reader(field.type)) for field in msgspec.structs.fields(shape)]


def _reader(kind: Any) -> Callable[[bytes], Any]:
    """How a field of this type is read from its text."""
    base, metas, nullable = _look_into(kind)
    if base is not Any:
        return lambda raw: _by_msgspec(raw, kind)
    if _AMOUNT in metas:
        return lambda raw: None if nullable and raw == b"null" else _amount(raw)
    if _DAY in metas:
        return lambda raw: None if nullable and raw == b"null" else _day(raw)
    bounds = next(meta.extra_json_schema["oneOf"][0] for meta in metas if meta.extra_json_schema)
    least, most = bounds["minimum"], bounds["maximum"]
    return lambda raw: None if nullable and raw == b"null" else _whole(raw, least, most)


def _look_into(kind: Any) -> tuple[Any, list[Meta], bool]:
    """A type without its annotations, those, and whether null is allowed."""
    if get_origin(kind) is Annotated:
        inner, *metas = get_args(kind)
        base, found, nullable = _look_into(inner)
        return base, found + metas, nullable
    options = get_args(kind) if get_origin(kind) in (Union, UnionType) else ()
    if NoneType in options and len(options) == 2:
        base, found, _ = _look_into(next(option for option in options if option is not NoneType))
        return base, found, True
    return kind, [], False


def _amount(raw: bytes) -> str:
    return _text_of_number(raw, _DECIMAL, "bad_amount", "Send an amount in digits, like 1200.00 or 1200.")


def _text_of_number(raw: bytes, pattern: re.Pattern[str], code: str, message: str) -> str:
    """The digits of a JSON number, or of a text that holds nothing else."""
    if raw[:1] == b'"':
        try:
            text = msgspec.json.decode(raw, type=str)
        except msgspec.DecodeError:
            raise Unreadable("The body is not JSON that can be read.") from None
    else:
        text = raw.decode().strip()
    if not pattern.fullmatch(text):
        raise _Wrong(code, message)
    return text


def _whole(raw: bytes, least: int, most: int) -> int:
    message = f"Send a whole number from {least} to {most}."
    number = int(_text_of_number(raw, _DIGITS, "bad_number", message))
    if not least <= number <= most:
        raise _Wrong("bad_number", message)
    return number


def _day(raw: bytes) -> date:
    text = _by_msgspec(raw, str)
    try:
        return schedule.read_date(text)
    except ValueError:
        raise _Wrong("bad_date", "Send a date like 2026-08-31.") from None


def _by_msgspec(raw: bytes, kind: Any) -> Any:
    try:
        value = msgspec.json.decode(raw, type=kind)
    except msgspec.ValidationError as error:
        message, _, path = str(error).partition(" - at `$")
        path = re.sub(r"\[[^\]]*\]", "", path.removesuffix("`")).replace(".", "/")
        raise _Wrong("wrong_type", f"{message.replace('`', '')}.", path) from None
    except (msgspec.DecodeError, RecursionError):
        raise Unreadable("The body is not JSON that can be read.") from None
    if _holds_nul(value):
        raise _Wrong("bad_text", "Send text without NUL characters.")
    return value


def _holds_nul(value: Any) -> bool:
    if isinstance(value, str):
        return "\x00" in value
    return isinstance(value, dict) and any(_holds_nul(part) for pair in value.items() for part in pair)


def _escape(name: str) -> str:
    """RFC 6901: a name inside a JSON pointer; long ones are cut, since they are the caller's own words."""
    return name[:100].replace("~", "~0").replace("/", "~1")
