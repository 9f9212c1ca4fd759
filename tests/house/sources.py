"""Files of the project for rules about them: one test over many files, and each file's syntax tree, parsed once."""

import ast
from collections.abc import Callable, Iterable
from functools import cache
from pathlib import Path

ROOT = Path(__file__).parents[2]


def name(path: Path) -> str:
    return str(path.relative_to(ROOT))


def each(paths: Iterable[Path]) -> Callable[[Callable[[Path], None]], Callable[[], None]]:
    """For a test of one file: run it for every one of `paths`, and fail with the list of those that break the rule."""
    files = list(paths)

    def decorate(rule: Callable[[Path], None]) -> Callable[[], None]:
        def test() -> None:
            assert files, "no file to look at"
            faults = []
            for path in files:
                try:
                    rule(path)
                except AssertionError as fault:
                    faults.append(f"{name(path)}: {fault}")
            assert not faults, "\n".join(faults)

        test.__name__, test.__doc__, test.__module__ = rule.__name__, rule.__doc__, rule.__module__
        return test

    return decorate


@cache
def tree(path: Path) -> ast.Module:
    """The syntax tree of a file. Callers don't change it."""
    return ast.parse(path.read_text())


@cache
def nodes(path: Path) -> tuple[ast.AST, ...]:
    """Every node of a file's syntax tree, in the order of `ast.walk`."""
    return tuple(ast.walk(tree(path)))
