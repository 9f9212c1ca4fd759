"""docs/api-acts.md has a row for each act of a page and each endpoint of the API, with the endpoint's permission."""

import re
from pathlib import Path

from flask import Flask

from portal.api.endpoints import declared
from tests.matrix.statuses import API

PAGE = Path(__file__).parents[2] / "docs" / "api-acts.md"
WITHOUT_A_PERMISSION = {"the plan's customer", "both parties", "signed in", "anyone"}
"""In place of a permission, if the endpoint looks at the object or at the token."""
OPERATIONS_OF_THE_DOCS = {"GET /api/openapi.json", "GET /api/docs/"}


def rows(columns: int) -> list[list[str]]:
    """The cells of every row of the tables with so many columns, without their heads."""
    found = []
    for line in PAGE.read_text().splitlines():
        cells = [cell.strip() for cell in line.strip("|").split("|")]
        if line.startswith("|") and len(cells) == columns and cells[0] != "act" and set(cells[0]) != {"-"}:
            found.append(cells)
    return found


def plain(route: str) -> str:
    """A route with `{}` in place of its arguments."""
    return re.sub(r"<[^>]+>|\{[^}]*\}", "{}", route)


def routes(app: Flask) -> dict[str, str]:
    """The endpoint of each route: method and address."""
    return {
        plain(f"{method} {rule.rule}"): rule.endpoint
        for rule in app.url_map.iter_rules()
        for method in (rule.methods or set()) - {"HEAD", "OPTIONS"}
        if rule.endpoint != "static"
    }


def test_every_act_of_a_page_has_a_row(app: Flask) -> None:
    known, api = routes(app), {plain(route) for route in API}
    pages = [plain(cells[1]) for cells in [*rows(4), *rows(3)] if cells[1]]
    assert [page for page in pages if page not in known] == []
    acts = {route for route in known if route.startswith("POST ") and route not in api}
    assert acts - set(pages) == set()
    only = [plain(cells[1]) for cells in rows(3)]
    assert set(only) & {plain(cells[1]) for cells in rows(4)} == set() and len(only) == len(set(only))


def test_every_endpoint_has_a_row_with_its_permission(app: Flask) -> None:
    known = routes(app)
    listed = {plain(cells[2]): cells[3] for cells in rows(4)}
    aliases = {plain(alias) for one in declared.values() for alias in one.aliases} | {"/swagger/"}
    api = {plain(route) for route in API}
    assert set(listed) == {route for route in api if route.partition(" ")[2] not in aliases}
    wrong = {}
    for route, permission in listed.items():
        if route in OPERATIONS_OF_THE_DOCS:
            continue
        operation = declared[known[route].removeprefix("api_").replace(".", "_")]
        needed = "read" if operation.needs in ("view", "export") else operation.needs
        fits = permission in WITHOUT_A_PERMISSION if needed is None else permission == needed
        if not fits or (permission == "anyone") is operation.signed_in:
            wrong[route] = (permission, operation.needs)
    assert wrong == {}


def test_one_endpoint_has_one_permission() -> None:
    found: dict[str, set[str]] = {}
    for cells in rows(4):
        found.setdefault(plain(cells[2]), set()).add(cells[3])
    assert {route: names for route, names in found.items() if len(names) > 1} == {}
