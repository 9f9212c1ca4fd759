"""Declare an endpoint once: its addresses, who may call it, what goes in and out. spectree documents it from that."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Final
from urllib.parse import urlencode

import msgspec
from flask import Blueprint, current_app, request
from spectree import Response, SpecTree
from spectree.model_adapter.msgspec_adapter import MsgspecModelAdapter
from spectree.models import Tag
from spectree.plugins.base import Context
from spectree.plugins.flask_plugin import FlaskPlugin
from werkzeug.routing import IntegerConverter, Rule

from portal.api import callers, parsing, rate_limits, schemas

View = Callable[..., Any]


class RowId(IntegerConverter):
    """A row's id in an address: ASCII digits, and no more of them than a BIGINT has."""

    regex = r"[0-9]{1,19}"


class Adapter(MsgspecModelAdapter):
    """Decimals are written as JSON numbers, to the last digit."""

    def __init__(self) -> None:
        super().__init__()
        self.encoder = msgspec.json.Encoder(decimal_format="number")


class Plugin(FlaskPlugin):
    """Requests are read by `parsing`; the document shows each endpoint under its first address only."""

    def request_validation(self, request: Any, query: Any, json: Any, form: Any, headers: Any, cookies: Any) -> None:
        request.context = Context(*parsing.read(query, json), None, None, None)

    def find_routes(self) -> Iterator[Rule]:
        aliases = {alias for known in declared.values() for alias in known.aliases}
        for rule in current_app.url_map.iter_rules():
            if rule.rule not in aliases:
                yield rule

    def parse_path(self, route: Any, path_parameter_descriptions: Any) -> tuple[str, list[dict[str, Any]]]:
        path, parameters = super().parse_path(route, path_parameter_descriptions)
        for parameter in parameters:
            parameter["schema"] = {"type": "integer", "format": "int64", "minimum": 1}
            parameter["description"] = "The id."
        return path, parameters


@dataclass(frozen=True, slots=True)
class Declared:
    """What the document says of an endpoint beyond its shapes."""

    signed_in: bool
    roles: Sequence[str]
    writes: bool
    repeatable: bool
    reads_body: bool
    pages: bool
    parameters: Sequence[str]
    limited: bool
    codes: dict[int, Sequence[str]]
    aliases: Sequence[str]


declared: Final[dict[str, Declared]] = {}
"""By operation id."""


def _name(model: Any) -> str:
    """A shape's own name; lists are named after what they hold."""
    for meta in getattr(model, "__metadata__", ()):
        if getattr(meta, "title", None):
            return str(meta.title)
    return "Fault" if model is schemas.FaultShape else str(model.__name__)


tree = SpecTree(
    backend=Plugin,
    model_adapter=Adapter(),  # type: ignore[arg-type]
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
    roles: Sequence[str] = (),
    writes: bool = False,
    only: str = "Your account can't do this.",
    refuses: dict[int, Sequence[str]] | None = None,
    limit: Callable[[View], View] | None = None,
) -> Callable[[View], View]:
    """Hang a view at an address and its aliases, each with and without the slash at its end.

    `ok` has the shape of each good status, `refuses` the codes of each status beyond those that every endpoint of its
    kind has. The fields of the view's `query` are the query parameters that the endpoint accepts. Any other parameter
    is 422 `unknown_parameter`; a view without `query` accepts none. A view that `writes` needs a token that may, counts
    as a write, and takes an Idempotency-Key with a POST.
    """

    def decorate(view: View) -> View:
        name = f"{bp.name.removeprefix('api_')}_{view.__name__}"
        declared[name] = Declared(
            signed_in=not anyone,
            roles=roles,
            writes=writes,
            repeatable=writes and method == "POST",
            reads_body="json" in view.__annotations__,
            pages="query" in view.__annotations__,
            parameters=tuple(parsing.parameter_names(view.__annotations__.get("query"))),
            limited=writes or limit is not None,
            codes=refuses or {},
            aliases=aliases,
        )
        response = Response(**{f"HTTP_{status}": shape for status, shape in ok.items()})
        found: View = tree.validate(resp=response, tags=(tag,), operation_id=name)(view)
        if limit:
            found = limit(found)
        if writes:
            found = rate_limits.writing(found)
        if not anyone:
            found = callers.signed_in(*roles, writes=writes, message=only)(found)
        for rule in (address, *aliases):
            bp.add_url_rule(rule, view.__name__, found, methods=[method], strict_slashes=False, merge_slashes=False)
        return found

    return decorate


def page_links(next_cursor: str | None) -> dict[str, str]:
    """The Link header (RFC 8288) of a list that goes on after this page."""
    if next_cursor is None:
        return {}
    asked = [(name, text) for name, text in request.args.items(multi=True) if name != "cursor"]
    return {"Link": f'<{request.base_url}?{urlencode([*asked, ("cursor", next_cursor)])}>; rel="next"'}
