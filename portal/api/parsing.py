"""Strict parsing of query parameters and JSON bodies. It reports all faults at once.

Amounts and whole numbers are read from the text of the JSON, never through a float. So 0.1 is exact, and 1e3, NaN and
non-ASCII digits are refused. A schema's fields may be of `Amount`, `Day`, `whole()` and the types that msgspec reads.
Texts with NUL are refused, because PostgreSQL cannot store them.
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
"""Decimal text, as it was sent. money.parse checks the digits of its currency."""
Day = Annotated[Any, _DAY]
"""A local date, ISO 8601."""

_DECIMAL: Final = re.compile(r"[0-9]{1,16}(?:\.[0-9]{1,3})?")
_DIGITS: Final = re.compile(r"[0-9]{1,19}")

STATE_NAMES: Final = ("status", "state")
"""The two names of the filter by state. A list that declares either of them accepts both."""

_rules: dict[type, Callable[[Values], list[Fault]]] = {}


class _BadValue(Exception):
    """A field's value cannot be read as its type."""

    def __init__(self, code: str, message: str, path: str = "") -> None:
        super().__init__(message)
        self.code = code
        self.message = message
        self.path = path


def whole(least: int, most: int) -> Meta:
    """A whole number from `least` to `most`, or its digits as a string: `Annotated[Any, whole(1, 60)]`."""
    number = {"type": "integer", "minimum": least, "maximum": most}
    return Meta(extra_json_schema={"oneOf": [number, {"type": "string", "pattern": "^[0-9]{1,19}$"}]})


def further_faults(schema: type[S]) -> Callable[[Callable[[Values], list[Fault]]], Callable[[Values], list[Fault]]]:
    """Register a rule for bodies of this schema. If parsing finds a fault, the rule adds the other faults."""

    def register(rule: Callable[[Values], list[Fault]]) -> Callable[[Values], list[Fault]]:
        _rules[schema] = rule
        return rule

    return register


def read(parameters: type[msgspec.Struct] | None, fields: type[msgspec.Struct] | None) -> tuple[Any, Any]:
    """The request's query parameters and JSON object, as instances of their schemas. None: the part is not expected.

    An endpoint without a schema for its parameters accepts none. An absent body counts as {}.
    Refuses: not_json, unreadable; Invalid with the faults of both parts.
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
def parameter_names(schema: type[msgspec.Struct] | None) -> dict[str, str]:
    """The accepted query parameters, each with the name of its field."""
    fields = schema.__struct_fields__ if schema else ()
    return {name: field for field in fields for name in ((field, *STATE_NAMES) if field in STATE_NAMES else (field,))}


def unknown_parameter(name: str, known: Iterable[str]) -> Fault:
    """The fault of a query parameter that is not among the `known` ones."""
    names = ", ".join(known)
    known_names = f"Known here: {names}." if names else "No parameter is known here."
    return Fault(f"?{_escape(name)}", "unknown_parameter", f"This parameter is not known. {known_names}")


def _query(schema: type[msgspec.Struct] | None) -> tuple[Values, list[Fault]]:
    """The values of the request's query parameters by field, and the faults under the names that were sent."""
    known = parameter_names(schema)
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
    if schema:
        values, field_faults = _fields(schema, {field: msgspec.json.encode(text) for field, (_, text) in sent.items()})
        for fault in field_faults:
            name, _ = sent.get(fault.field, (fault.field, ""))
            faults.append(Fault(f"?{name}", fault.code, fault.message))
    return values, faults


def _body(schema: type[msgspec.Struct]) -> tuple[Values, list[Fault]]:
    data = request.get_data()
    sent = _decode(data) if data else {}
    values, faults = _fields(schema, sent)
    faults += [
        Fault(_escape(name), "unknown_field", "This field is not known here.")
        for name in sent
        if name not in schema.__struct_fields__
    ]
    if faults and schema in _rules:
        named = {fault.field for fault in faults}
        faults += [fault for fault in _rules[schema](values) if fault.field not in named]
    return values, faults


def _decode(data: bytes) -> Mapping[str, bytes]:
    """The fields of the JSON object in the body, as raw JSON text."""
    charset = request.mimetype_params.get("charset", "utf-8").lower()
    if request.mimetype != "application/json" or charset not in ("utf-8", "utf8"):
        raise NotJson()
    try:
        data.decode()
        fields = msgspec.json.decode(data, type=dict[str, msgspec.Raw])
    except msgspec.ValidationError:
        if data.lstrip()[:1] == b"{":  # a number outside the range of a double
            raise Unreadable("The body is not JSON that can be read.") from None
        raise Invalid(Fault("", "not_an_object", "Send one JSON object: {...}.")) from None
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        raise Unreadable("The body is not JSON that can be read.") from None
    return {name: bytes(raw) for name, raw in fields.items()}


def _fields(schema: type[S], sent: Mapping[str, bytes]) -> tuple[Values, list[Fault]]:
    values: Values = {}
    faults = []
    for name, required, read in _readers(schema):
        raw = sent.get(name)
        if raw is None:
            if required:
                faults.append(Fault(name, "required", "This field is required."))
            continue
        try:
            values[name] = read(raw)
        except _BadValue as bad:
            faults.append(Fault(name + bad.path, bad.code, bad.message))
    return values, faults


@functools.cache
def _readers(schema: type[msgspec.Struct]) -> list[tuple[str, bool, Callable[[bytes], Any]]]:
    return [(field.name, field.required, _reader(field.type)) for field in msgspec.structs.fields(schema)]


def _reader(kind: Any) -> Callable[[bytes], Any]:
    """The function that reads a field of this type from its raw JSON text."""
    base, metas, nullable = _unwrap(kind)
    if base is not Any:
        return lambda raw: _by_msgspec(raw, kind)
    if _AMOUNT in metas:
        return lambda raw: None if nullable and raw == b"null" else _amount(raw)
    if _DAY in metas:
        return lambda raw: None if nullable and raw == b"null" else _day(raw)
    bounds = next(meta.extra_json_schema["oneOf"][0] for meta in metas if meta.extra_json_schema)
    least, most = bounds["minimum"], bounds["maximum"]
    return lambda raw: None if nullable and raw == b"null" else _whole(raw, least, most)


def _unwrap(kind: Any) -> tuple[Any, list[Meta], bool]:
    """The bare type, its annotations, and whether it allows null."""
    if get_origin(kind) is Annotated:
        inner, *outer_metas = get_args(kind)
        base, metas, nullable = _unwrap(inner)
        return base, metas + outer_metas, nullable
    options = get_args(kind) if get_origin(kind) in (Union, UnionType) else ()
    if NoneType in options and len(options) == 2:
        base, metas, _ = _unwrap(next(option for option in options if option is not NoneType))
        return base, metas, True
    return kind, [], False


def _amount(raw: bytes) -> str:
    return _text_of_number(raw, _DECIMAL, "bad_amount", "Send an amount in digits, like 1200.00 or 1200.")


def _text_of_number(raw: bytes, pattern: re.Pattern[str], code: str, message: str) -> str:
    """The text of a JSON number, or of a JSON string that holds a number."""
    if raw[:1] == b'"':
        try:
            text = msgspec.json.decode(raw, type=str)
        except msgspec.DecodeError:
            raise Unreadable("The body is not JSON that can be read.") from None
    else:
        text = raw.decode().strip()
    if not pattern.fullmatch(text):
        raise _BadValue(code, message)
    return text


def _whole(raw: bytes, least: int, most: int) -> int:
    message = f"Send a whole number from {least} to {most}."
    number = int(_text_of_number(raw, _DIGITS, "bad_number", message))
    if not least <= number <= most:
        raise _BadValue("bad_number", message)
    return number


def _day(raw: bytes) -> date:
    text = _by_msgspec(raw, str)
    try:
        return schedule.read_date(text)
    except ValueError:
        raise _BadValue("bad_date", "Send a date like 2026-08-31.") from None


def _by_msgspec(raw: bytes, kind: Any) -> Any:
    try:
        value = msgspec.json.decode(raw, type=kind)
    except msgspec.ValidationError as error:
        message, _, path = str(error).partition(" - at `$")
        path = re.sub(r"\[[^\]]*\]", "", path.removesuffix("`")).replace(".", "/")
        raise _BadValue("wrong_type", f"{message.replace('`', '')}.", path) from None
    except (msgspec.DecodeError, RecursionError):
        raise Unreadable("The body is not JSON that can be read.") from None
    if _holds_nul(value):
        raise _BadValue("bad_text", "Send text without NUL characters.")
    return value


def _holds_nul(value: Any) -> bool:
    if isinstance(value, str):
        return "\x00" in value
    return isinstance(value, dict) and any(_holds_nul(part) for pair in value.items() for part in pair)


def _escape(name: str) -> str:
    """A name as a token of a JSON pointer (RFC 6901), cut to 100 characters because the caller chose it."""
    return name[:100].replace("~", "~0").replace("/", "~1")
