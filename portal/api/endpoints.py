"""Declarations of endpoints: address, permission, request and response schemas. spectree documents each from these."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Final
from urllib.parse import urlencode

import msgspec
from flask import Blueprint, current_app, request
from spectree import Response, SpecTree
from spectree.model_adapter.msgspec_adapter import MsgspecModelAdapter
from spectree.model_adapter.protocol import SchemaMode
from spectree.models import Tag
from spectree.plugins.base import Context
from spectree.plugins.flask_plugin import FlaskPlugin
from werkzeug.routing import IntegerConverter, Rule

from portal.api import callers, parsing, rate_limits, schemas
from portal.domain.permissions import Permission
from portal.reports.tallies import Count

View = Callable[..., Any]


ROW_ID: Final = {"type": "integer", "format": "int64", "minimum": 1}
PUBLIC_IDS: Final = {
    "endpoint_name": {"type": "string", "pattern": "^we_[0-9a-f]{32}$"},
    "event_name": {"type": "string", "pattern": "^evt_[0-9a-f]{32}$"},
}
"""The schemas of random public ids in addresses, by the name of the argument."""


class RowId(IntegerConverter):
    """A row's id in an address: at most 19 ASCII digits, as many as a BIGINT has."""

    regex = r"[0-9]{1,19}"


class Adapter(MsgspecModelAdapter):
    """Writes decimals as exact JSON numbers."""

    def __init__(self) -> None:
        super().__init__()
        self.encoder = msgspec.json.Encoder(decimal_format="number")


class Plugin(FlaskPlugin):
    """Reads requests with `parsing`, and documents each endpoint under its first address only."""

    def request_validation(self, request: Any, query: Any, json: Any, form: Any, headers: Any, cookies: Any) -> None:
        request.context = Context(*parsing.read(query, json), None, None, None)

    def find_routes(self) -> Iterator[Rule]:
        aliases = {alias for declaration in declared.values() for alias in declaration.aliases}
        for rule in current_app.url_map.iter_rules():
            if rule.rule not in aliases:
                yield rule

    def parse_path(self, route: Any, path_parameter_descriptions: Any) -> tuple[str, list[dict[str, Any]]]:
        path, parameters = super().parse_path(route, path_parameter_descriptions)
        for parameter in parameters:
            parameter["schema"] = PUBLIC_IDS.get(parameter["name"], ROW_ID)
            parameter["description"] = "The id."
        return path, parameters


@dataclass(frozen=True, slots=True)
class Declared:
    """The facts about an endpoint that the document needs besides its schemas."""

    signed_in: bool
    unproven: bool
    needs: Permission | None
    writes: bool
    repeatable: bool
    reads_body: bool
    takes_body: bool
    pages: bool
    counts: bool
    parameters: Sequence[str]
    limited: bool
    codes: dict[int, Sequence[str]]
    aliases: Sequence[str]


declared: Final[dict[str, Declared]] = {}
"""The endpoints by operation id."""


def _name(model: Any) -> str:
    """The component name of a schema."""
    for meta in getattr(model, "__metadata__", ()):
        if getattr(meta, "title", None):
            return str(meta.title)
    return "Fault" if model is schemas.FaultShape else str(model.__name__)


class LateSpecTree(SpecTree):
    """Makes the schemas when the document is asked for: they would be an eighth of a process's start."""

    def __init__(self, **kwargs: Any) -> None:
        self.waiting: dict[str, tuple[Any, SchemaMode]] = {}
        super().__init__(**kwargs)

    def _add_model(self, model: Any, mode: SchemaMode = "validation") -> str:
        name = self.naming_strategy(model)
        self.waiting[name] = model, mode
        return name

    def _generate_spec(self) -> dict[str, Any]:
        for model, mode in self.waiting.values():
            super()._add_model(model, mode)
        return super()._generate_spec()


tree = LateSpecTree(
    backend=Plugin,
    model_adapter=Adapter(),
    mode="strict",
    naming_strategy=_name,
    nested_naming_strategy=lambda _parent, child: "Fault" if child == "FaultShape" else child,
    page_templates={},
    validation_error_model=schemas.Problem,
    before=lambda *_: None,
    after=lambda *_: None,
    title="Qist",
    version="1.0.0",
)


def endpoint(
    bp: Blueprint,
    method: str,
    address: str,
    *aliases: str,
    ok: dict[int, Any],
    tag: Tag,
    anyone: bool = False,
    unproven: bool = False,
    needs: Permission | None = None,
    writes: bool = False,
    secret: bool = False,
    forbidden: str = "",
    refuses: dict[int, Sequence[str]] | None = None,
    limit: Callable[[View], View] | None = None,
) -> Callable[[View], View]:
    """Register a view at an address and its aliases, each with and without a trailing slash.

    `ok` has the schema of each success status. `refuses` has, by status, the error codes besides those common to all
    endpoints of the kind. `needs` is the permission of the caller (domain/permissions.py). The fields of the view's
    `query` are the accepted query parameters. Any other parameter is 422 `unknown_parameter`, and a view without
    `query` accepts none. A view that `writes` requires a token with write access and counts towards the write limit. If
    its method is POST, it accepts an Idempotency-Key, unless its answer is a `secret`. Accounts whose email is not
    proven get 403 `email_unproven`, unless the endpoint is open to them (`unproven`). `forbidden` is what the refusal
    of other callers is about.
    """

    def decorate(view: View) -> View:
        name = f"{bp.name.removeprefix('api_')}_{view.__name__}"
        query = view.__annotations__.get("query", msgspec.Struct)
        declared[name] = Declared(
            signed_in=not anyone,
            unproven=unproven,
            needs=needs,
            writes=writes,
            repeatable=writes and method == "POST" and not secret,
            reads_body="json" in view.__annotations__,
            takes_body="json" in view.__annotations__ or method != "GET",
            pages=issubclass(query, schemas.PageQuery),
            counts=issubclass(query, schemas.ListQuery),
            parameters=tuple(parsing.parameter_names(query)),
            limited=writes or limit is not None,
            codes=refuses or {},
            aliases=aliases,
        )
        response = Response(**{f"HTTP_{status}": schema for status, schema in ok.items()})
        wrapped: View = tree.validate(resp=response, tags=(tag,), operation_id=name)(view)
        if limit:
            wrapped = limit(wrapped)
        if writes:
            wrapped = rate_limits.writing(wrapped)
        if not anyone:
            wrapped = callers.signed_in(needs, writes=writes, unproven=unproven, forbidden=forbidden)(wrapped)
        for rule in (address, *aliases):
            bp.add_url_rule(rule, view.__name__, wrapped, methods=[method], strict_slashes=False, merge_slashes=False)
        return wrapped

    return decorate


def list_headers(query: schemas.ListQuery, count: Callable[[], Count], next_cursor: str | None) -> dict[str, str]:
    """The headers of a list: the next page (Link, RFC 8288, on PUBLIC_URL), and if it was asked for X-Total-Count.

    `count` is called only then. There is no Link on the last page.
    """
    headers = {}
    if next_cursor is not None:
        filters = [(name, text) for name, text in request.args.items(multi=True) if name != "cursor"]
        address = current_app.config["QIST"].public_url.rstrip("/") + request.path
        headers["Link"] = f'<{address}?{urlencode([*filters, ("cursor", next_cursor)])}>; rel="next"'
    if query.include is not None and "total" in query.include.split(","):
        total = count()
        headers["X-Total-Count"] = f"{total.number}+" if total.more else str(total.number)
    return headers
