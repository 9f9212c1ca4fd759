"""Strict parsing of query parameters and JSON bodies. It reports all faults at once.

Amounts and whole numbers are read from the text of the JSON, never through a float. So 0.1 is exact, and 1e3, NaN and
non-ASCII digits are refused. A schema's fields may be of `Amount`, `Day`, `whole()` and the types that msgspec reads.
Texts with NUL are refused, because PostgreSQL cannot store them.
"""

import functools
import re
from collections.abc import Callable, Iterable, Mapping
from datetime import UTC, date, datetime
from types import NoneType, UnionType
from typing import Annotated, Any, Final, Literal, TypeVar, Union, get_args, get_origin

import msgspec
from flask import request
from msgspec import Meta

from portal.api.json_faults import BOM, NotJson, Unreadable, repeated_names, wrong_type
from portal.domain import schedule
from portal.errors import Fault, Invalid, pointer_token

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

_DAY_OR_INSTANT = Meta(
    extra_json_schema={"anyOf": [{"type": "string", "format": "date-time"}, {"type": "string", "format": "date"}]},
    description="RFC 3339 with an offset, such as 2026-08-31T09:00:00Z, or a day, as a whole.",
    examples=["2026-08-31T09:00:00Z"],
)
_PAIRS = Meta(
    extra_json_schema={"type": "string", "pattern": "^[^:]{1,40}:.{0,500}$"},
    description="A name and its text: `branch:Olaya`. `metadata[branch]=Olaya` is the same, and may stand several "
    "times with different names: all of them have to match.",
    examples=["branch:Olaya"],
)

_SIGNED = Meta(extra_json_schema={"oneOf": [{"type": "integer"}, {"type": "string", "pattern": "^-?[0-9]{1,19}$"}]})

Amount = Annotated[Any, _AMOUNT]
"""Decimal text, as it was sent. money.parse checks the digits of its currency."""
Day = Annotated[Any, _DAY]
"""A local date, ISO 8601."""
DayOrInstant = Annotated[Any, _DAY_OR_INSTANT]
"""A `date`, or an aware `datetime`."""
Pairs = Annotated[Any, _PAIRS]
"""Names with texts, of a query parameter alone: `name:text` or `parameter[name]=text`."""
SignedWhole = Annotated[Any, _SIGNED]
"""A whole number, also below zero, or its digits as a string. The service checks its range."""

_DECIMAL: Final = re.compile(r"[0-9]{1,16}(?:\.[0-9]{1,3})?")
_PAIR: Final = re.compile(r"([^\[\]]+)\[(.*)\]", re.DOTALL)
_INSTANT: Final = re.compile(
    r"[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9]{2}:[0-9]{2}:[0-9]{2}(?:\.[0-9]{1,6})?(?:Z|[+-][0-9]{2}:[0-9]{2})"
)
_DIGITS: Final = re.compile(r"-?[0-9]{1,19}")
_READING: Final = ("GET", "HEAD")
STATE_NAMES: Final = ("status", "state")
"""The two names of the filter by state. A list that declares either of them accepts both."""

_rules: dict[type, Callable[[Values], list[Fault]]] = {}


class _NoFields(msgspec.Struct):
    """The body of an endpoint that has no fields."""


class _BadValue(Exception):
    """A field's value cannot be read as its type. Each fault's field is the path below the field, or ""."""

    def __init__(self, *faults: Fault) -> None:
        super().__init__(faults[0].code)
        self.faults = faults


def whole(least: int, most: int) -> Meta:
    """A whole number from `least` to `most`, or its digits as a string: `Annotated[Any, whole(1, 60)]`."""
    number = {"type": "integer", "minimum": least, "maximum": most}
    return Meta(extra_json_schema={"oneOf": [number, {"type": "string", "pattern": "^[0-9]{1,19}$"}]})


def further_faults(schema: type[S]) -> Callable[[Callable[[Values], list[Fault]]], Callable[[Values], list[Fault]]]:
    """Register a rule for bodies of this schema. If parsing finds a fault, the rule adds the other faults.

    It gets the fields that could be read, and None for those that were not sent and are None then.
    """

    def register(rule: Callable[[Values], list[Fault]]) -> Callable[[Values], list[Fault]]:
        _rules[schema] = rule
        return rule

    return register


def read(parameters: type[msgspec.Struct] | None, fields: type[msgspec.Struct] | None) -> tuple[Any, Any]:
    """The request's query parameters and JSON object, as instances of their schemas. None: the part is not expected.

    An endpoint without a schema for its parameters accepts none, and without one for its body no fields, unless it
    only reads: the body of a GET means nothing. An absent body counts as {}.
    Refuses: not_json, unreadable; Invalid with the faults of both parts.
    """
    query, faults = _query(parameters)
    body, body_faults = _body(fields or _NoFields) if fields or request.method not in _READING else ({}, [])
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
    return {
        name: field
        for field in fields
        for name in ((field, *STATE_NAMES) if field in STATE_NAMES else (field.rstrip("_"),))
    }


def unknown_parameter(name: str, known: Iterable[str]) -> Fault:
    """The fault of a query parameter that is not among the `known` ones."""
    return Fault(f"?{pointer_token(name)}", "unknown_parameter", names=tuple(known))


def _query(schema: type[msgspec.Struct] | None) -> tuple[Values, list[Fault]]:
    """The values of the request's query parameters by field, and the faults under the names that were sent."""
    known = parameter_names(schema)
    sent: dict[str, tuple[str, str]] = {}
    pairs: dict[str, dict[str, str]] = {}
    faults = []
    for name, texts in request.args.lists():
        if (match := _PAIR.fullmatch(name)) and match[1] in _pair_names(schema):
            if len(texts) > 1:
                faults.append(Fault(f"?{pointer_token(name)}", "repeated"))
            pairs.setdefault(match[1], {})[match[2]] = texts[0]
            continue
        if name not in known:
            faults.append(unknown_parameter(name, known))
            continue
        if len(texts) > 1:
            faults.append(Fault(f"?{name}", "repeated"))
        first_name, first_text = sent.setdefault(known[name], (name, texts[0]))
        if first_text != texts[0]:
            faults.append(Fault(f"?{name}", "conflicting_parameters", other=first_name))
    values: Values = {}
    if schema:
        texts_by_field: dict[str, Any] = {field: text for field, (_, text) in sent.items()}
        for field, named in pairs.items():
            texts_by_field[field] = named if field not in sent else _with_pair(named, sent[field][1])
        values, field_faults = _fields(
            schema, {field: msgspec.json.encode(value) for field, value in texts_by_field.items()}
        )
        for fault in field_faults:
            name, _ = sent.get(fault.field, (fault.field, ""))
            faults.append(fault.at(f"?{name}"))
    return values, faults


@functools.cache
def _pair_names(schema: type[msgspec.Struct] | None) -> frozenset[str]:
    """The parameters of this schema that are Pairs."""
    fields = msgspec.structs.fields(schema) if schema else ()
    return frozenset(field.name for field in fields if _PAIRS in _unwrap(field.type)[1])


def _with_pair(named: dict[str, str], text: str) -> dict[str, str]:
    """The pairs together with the one of `name:text`. Another text for a name that is there already counts as bad."""
    name, colon, value = text.partition(":")
    return {**named, name: value} if colon and named.get(name, value) == value else {**named, "": text}


def _body(schema: type[msgspec.Struct]) -> tuple[Values, list[Fault]]:
    data = request.get_data().removeprefix(BOM)
    sent = _decode(data) if data else {}
    values, faults = _fields(schema, sent)
    faults += [Fault(pointer, "repeated", about="field") for pointer in repeated_names(data)]
    faults += [Fault(pointer_token(name), "unknown_field") for name in sent if name not in schema.__struct_fields__]
    if faults and schema in _rules:
        named = {fault.field for fault in faults}
        absent = {
            field.name: None
            for field in msgspec.structs.fields(schema)
            if field.default is None and field.name not in sent
        }
        faults += [fault for fault in _rules[schema](absent | values) if fault.field not in named]
    return values, faults


def _decode(data: bytes) -> Mapping[str, bytes]:
    """The fields of the JSON object in the body, as raw JSON text."""
    charset = request.mimetype_params.get("charset", "utf-8").lower()
    is_plain = request.headers.get("Content-Encoding", "identity").strip().lower() == "identity"
    if request.mimetype != "application/json" or charset not in ("utf-8", "utf8") or not is_plain:
        raise NotJson()
    try:
        data.decode()
        fields = msgspec.json.decode(data, type=dict[str, msgspec.Raw])
    except msgspec.ValidationError:
        if data.lstrip()[:1] == b"{":  # a number outside the range of a double
            raise Unreadable() from None
        raise Invalid(Fault("", "not_an_object")) from None
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        raise Unreadable() from None
    return {name: bytes(raw) for name, raw in fields.items()}


def _fields(schema: type[S], sent: Mapping[str, bytes]) -> tuple[Values, list[Fault]]:
    values: Values = {}
    faults = []
    for name, required, read in _readers(schema):
        raw = sent.get(name)
        if raw is None:
            if required:
                faults.append(Fault(name, "required", about="api"))
            continue
        try:
            values[name] = read(raw)
        except _BadValue as bad:
            faults += [fault.at(name + fault.field) for fault in bad.faults]
    return values, faults


@functools.cache
def _readers(schema: type[msgspec.Struct]) -> list[tuple[str, bool, Callable[[bytes], Any]]]:
    return [(field.name, field.required, _reader(field.type)) for field in msgspec.structs.fields(schema)]


def _reader(kind: Any) -> Callable[[bytes], Any]:
    """The function that reads a field of this type from its raw JSON text."""
    base, metas, nullable = _unwrap(kind)
    if get_origin(base) is list:
        (item,) = get_args(base)
        is_schema = isinstance(item, type) and issubclass(item, msgspec.Struct)
        read_item = functools.partial(_object, schema=item) if is_schema else _reader(item)
        most = next((meta.max_length for meta in metas if meta.max_length), None)
        return lambda raw: None if nullable and raw == b"null" else _items(raw, read_item, most)
    if get_origin(base) is dict:
        return lambda raw: None if nullable and raw == b"null" else _named(raw, get_args(base)[1])
    if base is not Any:
        sizes = [meta.extra_json_schema for meta in metas if meta.extra_json_schema]
        limit = next((size["maxLength"] for size in sizes if "maxLength" in size), None)
        example = next((str(meta.examples[0]) for meta in metas if meta.pattern and meta.examples), "")
        return lambda raw: _by_msgspec(raw, kind, limit, example)
    if _AMOUNT in metas:
        return lambda raw: None if nullable and raw == b"null" else _amount(raw)
    if _DAY in metas:
        return lambda raw: None if nullable and raw == b"null" else _day(raw)
    if _DAY_OR_INSTANT in metas:
        return _day_or_instant
    if _PAIRS in metas:
        return _pairs
    bounds = next(meta.extra_json_schema["oneOf"][0] for meta in metas if meta.extra_json_schema)
    lowest, highest = bounds.get("minimum"), bounds.get("maximum")
    return lambda raw: None if nullable and raw == b"null" else _whole(raw, lowest, highest)


def _items(raw: bytes, read: Callable[[bytes], Any], limit: int | None) -> list[Any]:
    """The values of a list, with the faults of all of them. With a `limit` there are 1 to that many."""
    parts = _by_msgspec(raw, list[msgspec.Raw])
    if limit is not None and not 1 <= len(parts) <= limit:
        raise _BadValue(Fault("", "bad_length", limit=limit))
    values, faults = [], []
    for place, part in enumerate(parts):
        try:
            values.append(read(bytes(part)))
        except _BadValue as bad:
            faults += [fault.at(f"/{place}{fault.field}") for fault in bad.faults]
    if faults:
        raise _BadValue(*faults)
    return values


def _object(raw: bytes, schema: type[msgspec.Struct]) -> msgspec.Struct:
    """An object of this schema, with the faults of all its fields."""
    sent = _by_msgspec(raw, dict[str, msgspec.Raw])
    values, faults = _fields(schema, {name: bytes(part) for name, part in sent.items()})
    faults += [Fault(pointer_token(name), "unknown_field") for name in sent if name not in schema.__struct_fields__]
    if faults:
        raise _BadValue(*(fault.at(f"/{fault.field}") for fault in faults))
    return schema(**values)


def _unwrap(kind: Any) -> tuple[Any, list[Meta], bool]:
    """The bare type, its annotations, and whether it allows null."""
    if get_origin(kind) is Annotated:
        inner, *outer_metas = get_args(kind)
        base, metas, nullable = _unwrap(inner)
        return base, metas + outer_metas, nullable
    options = get_args(kind) if get_origin(kind) in (Union, UnionType) else ()
    values = [option for option in options if option not in (NoneType, msgspec.UnsetType)]
    if NoneType in options and len(values) == 1:
        base, metas, _ = _unwrap(values[0])
        return base, metas, True
    return kind, [], False


def _amount(raw: bytes) -> str:
    return _text_of_number(raw, _DECIMAL, Fault("", "bad_amount", about="api"))


def _text_of_number(raw: bytes, pattern: re.Pattern[str], fault: Fault) -> str:
    """The text of a JSON number, or of a JSON string that holds a number. Another text is the fault."""
    if raw[:1] == b'"':
        try:
            text = msgspec.json.decode(raw, type=str)
        except msgspec.DecodeError:
            raise Unreadable() from None
    else:
        text = raw.decode().strip()
    if not pattern.fullmatch(text):
        raise _BadValue(fault)
    return text


def _whole(raw: bytes, least: int | None, most: int | None) -> int:
    if least is None or most is None:
        return int(_text_of_number(raw, _DIGITS, Fault("", "wrong_type", about="int")))
    fault = Fault("", "bad_number", least=least, most=most)
    number = int(_text_of_number(raw, _DIGITS, fault))
    if not least <= number <= most:
        raise _BadValue(fault)
    return number


def _day(raw: bytes) -> date:
    text = _by_msgspec(raw, str)
    try:
        return schedule.read_date(text)
    except ValueError:
        raise _BadValue(Fault("", "bad_date", about="api")) from None


def _day_or_instant(raw: bytes) -> date | datetime:
    text = _by_msgspec(raw, str)
    try:
        is_instant = _INSTANT.fullmatch(text)
        moment = datetime.fromisoformat(text) if is_instant else schedule.read_date(text)
        if not schedule.FIRST_DATE <= date(moment.year, moment.month, moment.day) <= schedule.LAST_DATE:
            raise ValueError
        return moment.astimezone(UTC) if isinstance(moment, datetime) else moment
    except ValueError:
        raise _BadValue(Fault("", "bad_instant")) from None


def _pairs(raw: bytes) -> dict[str, str]:
    """The names with their texts, from `name:text` or from an object."""
    sent = _by_msgspec(raw, str | dict[str, str])
    pairs = dict([sent.split(":", 1)]) if isinstance(sent, str) and ":" in sent else sent
    if not isinstance(pairs, dict) or not all(0 < len(name) <= 40 and len(text) <= 500 for name, text in pairs.items()):
        raise _BadValue(Fault("", "bad_pair"))
    return pairs


def _named(raw: bytes, kind: Any) -> dict[str, Any]:
    """An object of values of this type, with the faults of all of them."""
    values, faults = {}, []
    for name, part in _by_msgspec(raw, dict[str, msgspec.Raw]).items():
        try:
            values[name] = _by_msgspec(bytes(part), kind)
        except _BadValue as bad:
            faults += [fault.at(f"/{pointer_token(name)}") for fault in bad.faults]
    if faults:
        raise _BadValue(*faults)
    return values


def _by_msgspec(raw: bytes, kind: Any, limit: int | None = None, example: str = "") -> Any:
    """The value of this type. `limit` is the true length of a text, `example` one of the wanted pattern."""
    try:
        value = msgspec.json.decode(raw, type=kind)
    except msgspec.ValidationError as error:
        choices = get_args(_unwrap(kind)[0]) if get_origin(_unwrap(kind)[0]) is Literal else ()
        raise _BadValue(wrong_type(error, limit, choices, example)) from None
    except (msgspec.DecodeError, RecursionError):
        raise Unreadable() from None
    if _holds_nul(value):
        raise _BadValue(Fault("", "bad_text"))
    return value


def _holds_nul(value: Any) -> bool:
    if isinstance(value, str):
        return "\x00" in value
    return isinstance(value, dict) and any(_holds_nul(part) for pair in value.items() for part in pair)
