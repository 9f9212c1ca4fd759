"""Modules of other packages that load with their package, though no process of Qist uses them: 2 MB in a web server.

Their code runs when a name of theirs is first asked for (PEP 562). What is imported from them by name is not deferred.
"""

import sys
import threading
from collections.abc import Sequence
from importlib.abc import Loader, MetaPathFinder
from importlib.machinery import ModuleSpec, PathFinder
from types import ModuleType
from typing import Any, Final

POSTGRESQL: Final = "sqlalchemy.dialects.postgresql"
MODULES: Final = (
    *("redis.asyncio", "limits.aio", "structlog.threadlocal", "structlog.twisted"),
    *(f"{POSTGRESQL}.asyncpg", f"{POSTGRESQL}.pg8000", f"{POSTGRESQL}.psycopg2", f"{POSTGRESQL}.psycopg2cffi"),
)

_lock: Final = threading.RLock()


class _Finder(MetaPathFinder):
    def find_spec(
        self, fullname: str, path: Sequence[str] | None, target: ModuleType | None = None
    ) -> ModuleSpec | None:
        spec = PathFinder.find_spec(fullname, path) if fullname in MODULES else None
        if spec is not None and spec.loader is not None:
            spec.loader = _Loader(spec.loader)
        return spec


class _Loader(Loader):
    def __init__(self, loader: Loader) -> None:
        self._loader = loader
        self._has_begun = False

    def create_module(self, spec: ModuleSpec) -> ModuleType | None:
        return self._loader.create_module(spec)

    def exec_module(self, module: ModuleType) -> None:
        def load(name: str) -> Any:
            """Python calls this for a name that the module lacks."""
            with _lock:
                if not self._has_begun and (name == "__all__" or not name.startswith("__")):
                    self._has_begun = True
                    self._loader.exec_module(module)
                try:
                    return vars(module)[name]
                except KeyError:
                    raise AttributeError(f"module {module.__name__!r} has no attribute {name!r}") from None

        vars(module)["__getattr__"] = load


def install() -> None:
    """Defer MODULES in this process. A module that is loaded already stays as it is."""
    sys.meta_path.insert(0, _Finder())
