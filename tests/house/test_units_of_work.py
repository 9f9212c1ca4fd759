"""Units of work, in the syntax trees: none calls another, and only their module ends a transaction."""

import ast
from collections.abc import Iterable
from functools import cache, cached_property
from pathlib import Path

import pytest

from tests.house.sources import nodes, tree

PORTAL = Path(__file__).parent.parent.parent / "portal"
Name = tuple[str, str]
"""A module and a function of it."""
ENDS_THE_TRANSACTION: Name = ("portal.services.unit_of_work", "end_reading")


class Calls:
    """The functions of the package, and the functions that each one names."""

    def __init__(self, paths: Iterable[Path]) -> None:
        self.functions: dict[Name, ast.FunctionDef] = {}
        self.imports: dict[str, dict[str, Name]] = {}
        self.named: dict[Name, set[Name]] = {}
        for path in paths:
            module = ".".join(("portal", *path.relative_to(PORTAL).with_suffix("").parts)).removesuffix(".__init__")
            self.imports[module] = {
                alias.asname or alias.name: (node.module or "", alias.name)
                for node in nodes(path)
                if isinstance(node, ast.ImportFrom)
                for alias in node.names
            }
            self.functions |= {
                (module, node.name): node for node in tree(path).body if isinstance(node, ast.FunctionDef)
            }

    @cached_property
    def units(self) -> set[Name]:
        """The functions under the decorator."""
        return {
            name
            for name, node in self.functions.items()
            if any(isinstance(each, ast.Name) and each.id == "unit_of_work" for each in node.decorator_list)
        }

    def of(self, name: Name) -> set[Name]:
        """The functions that this one names. A name that it binds itself is a variable."""
        if name not in self.named:
            self.named[name] = self._read(name)
        return self.named[name]

    def _read(self, name: Name) -> set[Name]:
        module, node = name[0], self.functions[name]
        bound = {each.arg for each in ast.walk(node) if isinstance(each, ast.arg)}
        bound |= {each.id for each in ast.walk(node) if isinstance(each, ast.Name) and isinstance(each.ctx, ast.Store)}
        called = set()
        for each in ast.walk(node):
            if isinstance(each, ast.Name) and each.id not in bound:
                called.add(self.imports[module].get(each.id, (module, each.id)))
            if isinstance(each, ast.Attribute) and isinstance(each.value, ast.Name) and each.value.id not in bound:
                source = self.imports[module].get(each.value.id)
                if source is not None:
                    called.add((f"{source[0]}.{source[1]}", each.attr))
        return (called & set(self.functions)) - {name}

    def nested(self, unit: Name) -> list[Name]:
        """The calls that a unit of work reaches and that must not run inside one."""
        seen, waiting = {unit}, [unit]
        reached = []
        while waiting:
            for name in self.of(waiting.pop()) - seen:
                seen.add(name)
                if name in self.units or name == ENDS_THE_TRANSACTION:
                    reached.append(name)
                else:
                    waiting.append(name)
        return reached


pytestmark = pytest.mark.xdist_group("house")


@cache
def calls() -> Calls:
    """Those of the whole package."""
    return Calls(PORTAL.rglob("*.py"))


def test_no_unit_of_work_reaches_another() -> None:
    units = calls().units
    assert len(units) > 100
    assert {unit: nested for unit in units if (nested := calls().nested(unit))} == {}


def test_the_search_finds_a_unit_of_work_through_another_function() -> None:
    everything = Calls([])
    everything.functions |= calls().functions
    everything.imports |= {module: dict(names) for module, names in calls().imports.items()}
    module = "portal.services.adjustments.credits"
    source = "@unit_of_work\ndef bad():\n    preconditions.helper()\n"
    everything.functions[module, "bad"] = ast.parse(source).body[0]  # type: ignore[assignment]
    inner = ast.parse("def helper():\n    end_reading()\n").body[0]
    everything.functions["portal.services.payments.preconditions", "helper"] = inner  # type: ignore[assignment]
    everything.imports["portal.services.payments.preconditions"]["end_reading"] = ENDS_THE_TRANSACTION
    assert everything.nested((module, "bad")) == [ENDS_THE_TRANSACTION]


def test_only_the_unit_of_work_rolls_back_in_services_and_reports() -> None:
    paths = [path for layer in ("services", "reports", "models") for path in (PORTAL / layer).rglob("*.py")]
    rolling_back = [path.name for path in paths if "session.rollback()" in path.read_text()]
    assert rolling_back == ["unit_of_work.py"]
