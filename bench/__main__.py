"""`make bench`: run the benchmark `requests`, the named ones (`make bench ARGS="scan mails"`), or `ARGS=all`."""

import importlib
import pkgutil
import sys

import bench


def main(arguments: list[str]) -> int:
    names = [module.name for module in pkgutil.iter_modules(bench.__path__) if not module.name.startswith("_")]
    if arguments == ["all"]:
        arguments = names
    unknown = set(arguments) - set(names)
    if unknown:
        print(f"no benchmark is called {', '.join(sorted(unknown))}; there are: {', '.join(names)}", file=sys.stderr)
        return 2
    for name in arguments or ["requests"]:
        print(f"== {name}", flush=True)
        importlib.import_module(f"bench.{name}").main()
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
