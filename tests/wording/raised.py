"""The codes of refusals and faults that the source raises, read from its syntax trees.

A code, a situation and a field are literals, or names that the function or its callers set to literals.
"""

import ast
from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Final

from tests.house.sources import nodes, tree

PORTAL: Final = Path(__file__).parents[2] / "portal"
ROOTS: Final = {"QistError", "Refused", "TooMany"}
"""The classes whose first argument is the code."""
CODED: Final = {"NotFound": "not_found", "Forbidden": "forbidden", "Busy": "busy"}
"""The refusals whose only argument is `about`, with their codes."""

Texts = frozenset[str] | None
"""The strings that an expression may be; None where no literal decides."""
Scope = tuple[ast.FunctionDef | ast.ClassDef, ...]
"""The functions and classes around a call, the innermost last."""


@dataclass(frozen=True, slots=True)
class Raised:
    """A refusal or fault in the source. `texts` are the strings in its arguments."""

    place: str
    is_fault: bool
    codes: Texts
    abouts: Texts
    fields: Texts
    texts: tuple[str, ...]


@cache
def raised() -> list[Raised]:
    """Every refusal and fault that portal/ makes, apart from the definitions in errors.py."""
    errors = []
    for path, call, scope in _calls():
        kind = _kind(call, scope)
        if kind is None or path.name == "errors.py":
            continue
        keywords = {keyword.arg: keyword.value for keyword in call.keywords}
        code: ast.expr = ast.Constant(CODED[kind]) if kind in CODED else call.args[kind == "Fault"]
        about = call.args[0] if kind in CODED and call.args else keywords.get("about", ast.Constant(""))
        constants = [node.value for node in ast.walk(call) if isinstance(node, ast.Constant)]
        errors.append(
            Raised(
                place=f"{path.relative_to(PORTAL)}:{call.lineno}",
                is_fault=kind == "Fault",
                codes=_texts(code, scope),
                abouts=_texts(about, scope),
                fields=_texts(call.args[0], scope) if kind == "Fault" else None,
                texts=tuple(value for value in constants if isinstance(value, str)),
            )
        )
    return errors


def _kind(call: ast.Call, scope: Scope) -> str | None:
    """The class whose arguments a call takes: Fault, QistError, or one of CODED. None for any other call."""
    name = _name(call.func)
    if name == "Fault":
        return name
    if name == "__init__":
        classes = [part for part in scope if isinstance(part, ast.ClassDef)]
        return _base(_name(classes[-1].bases[0])) if classes and classes[-1].bases else None
    has_init = name in _classes() and any(_name(part) == "__init__" for part in _classes()[name].body)
    return None if has_init and name not in ROOTS and name not in CODED else _base(name)


def _base(name: str | None, depth: int = 3) -> str | None:
    """QistError, Refused or one of CODED, if the class of this name derives from it."""
    if name in ROOTS or name in CODED:
        return name
    bases = _classes()[name].bases if name in _classes() and name != "Invalid" and depth else []
    return next((base for part in bases if (base := _base(_name(part), depth - 1))), None)


def _texts(node: ast.AST, scope: Scope, seen: frozenset[str] = frozenset()) -> Texts:
    if isinstance(node, ast.Constant) and isinstance(node.value, str):
        return frozenset({node.value})
    if isinstance(node, ast.IfExp):
        values = [node.body, node.orelse]
    elif isinstance(node, ast.Name):
        values = [value for part in scope for value in _values_of(node.id, part)]
    else:
        return None
    parts = [_texts(value, scope, seen) for value in values]
    if isinstance(node, ast.Name):
        for function in {part.name for part in scope} - seen:
            for argument, caller in _arguments().get((function, node.id), []):
                parts.append(_texts(argument, caller, seen | {part.name for part in scope}))
    known = [part for part in parts if part is not None]
    return frozenset().union(*known) if known else None


def _values_of(name: str, function: ast.FunctionDef | ast.ClassDef) -> Iterator[ast.expr]:
    """The expressions that a function assigns to a name, and the default value of a parameter."""
    yield from _assigned(function).get(name, [])
    if isinstance(function, ast.FunctionDef):
        for parameter, default in zip(function.args.kwonlyargs, function.args.kw_defaults, strict=True):
            if parameter.arg == name and default is not None:
                yield default


@cache
def _assigned(function: ast.FunctionDef | ast.ClassDef) -> dict[str | None, list[ast.expr]]:
    """The expressions that a function assigns, by the name."""
    values: dict[str | None, list[ast.expr]] = defaultdict(list)
    for node in ast.walk(function):
        for target in node.targets if isinstance(node, ast.Assign) else []:
            values[_name(target)].append(node.value)
    return dict(values)


@cache
def _calls() -> list[tuple[Path, ast.Call, Scope]]:
    """Every call in portal/."""
    return [(path, call, scope) for path in sorted(PORTAL.rglob("*.py")) for call, scope in _calls_in(tree(path), ())]


@cache
def _arguments() -> dict[tuple[str, str], list[tuple[ast.expr, Scope]]]:
    """The arguments that calls pass by keyword, by the function's name and the keyword."""
    arguments: dict[tuple[str, str], list[tuple[ast.expr, Scope]]] = defaultdict(list)
    for _, call, scope in _calls():
        for keyword in call.keywords:
            arguments[_name(call.func) or "", keyword.arg or ""].append((keyword.value, scope))
    return dict(arguments)


def _calls_in(node: ast.AST, scope: Scope) -> Iterator[tuple[ast.Call, Scope]]:
    for child in ast.iter_child_nodes(node):
        if isinstance(child, ast.Call):
            yield child, scope
        yield from _calls_in(child, (*scope, child) if isinstance(child, ast.FunctionDef | ast.ClassDef) else scope)


@cache
def _classes() -> dict[str, ast.ClassDef]:
    files = PORTAL.rglob("*.py")
    return {part.name: part for path in files for part in nodes(path) if isinstance(part, ast.ClassDef)}


def _name(node: ast.AST) -> str | None:
    if isinstance(node, ast.Name):
        return node.id
    return node.attr if isinstance(node, ast.Attribute) else getattr(node, "name", None)
