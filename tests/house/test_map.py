"""The map of the repository: docs name files, folders and functions that exist, and the tree keeps its limits."""

import ast
import re
import tomllib
from collections import defaultdict
from collections.abc import Iterator, Mapping
from functools import cache
from pathlib import Path
from typing import Any, Final

import pytest

import portal
from tests.house.sources import ROOT, each, name, nodes, tree

pytestmark = pytest.mark.xdist_group("house")
PORTAL = ROOT / "portal"
MODULES = {
    ".".join(path.relative_to(ROOT).with_suffix("").parts).removesuffix(".__init__"): path
    for path in sorted(PORTAL.rglob("*.py"))
}
PAGES = [ROOT / "README.md", ROOT / "CONTRIBUTING.md", ROOT / "STYLE.md", *sorted((ROOT / "docs").glob("*.md"))]
ARCHITECTURE = (ROOT / "docs" / "architecture.md").read_text()

MAX_FILES: Final = 12
MAX_LINES: Final = 400
MADE_AT_RUN_TIME: Final = {".qist/", "secrets/"}
Graph = Mapping[str, set[str]]


def tree_of_portal() -> set[str]:
    """Every folder of portal/ and its top-level files, relative to portal/; folders end with a slash."""
    folders = {
        f"{path.relative_to(PORTAL).as_posix()}/"
        for path in PORTAL.rglob("*")
        if path.is_dir() and path.name != "__pycache__"
    }
    return folders | {path.name for path in PORTAL.glob("*.py") if path.name != "__init__.py"}


def entries(lines: list[str], indent: int) -> set[str]:
    """The paths that a map names. A line with `indent` spaces names a top-level entry, a deeper line its folders."""
    paths: set[str] = set()
    top = ""
    for line in lines:
        if entry := re.match(rf" {{{indent}}}(\w+/|\w+\.py)(?= |$)", line):
            top = entry[1]
            paths.add(top)
        elif nested := re.match(rf" {{{indent + 2},}}((?:\w+/ ?)+)", line):
            paths |= {top + folder for folder in nested[1].split()}
    return paths


def test_the_package_docstring_names_every_folder_and_top_level_file() -> None:
    assert portal.__doc__
    assert entries(portal.__doc__.splitlines(), 0) == tree_of_portal()


def test_the_layout_of_the_architecture_page_names_every_folder_and_top_level_file() -> None:
    layout = re.search(r"\n## Layout\n.*?\n```\n(.*?)\n```", ARCHITECTURE, re.S)
    assert layout
    inside = re.search(r"^portal/\n((?:  .*\n)+)", layout[1] + "\n", re.M)
    assert inside
    assert entries(inside[1].splitlines(), 2) - {"__init__.py"} == tree_of_portal()
    top = re.findall(r"^([\w.]+/?)(?: |$)", layout[1], re.M)
    assert [path for path in top if not (ROOT / path).exists()] == []


def test_the_layers_of_the_architecture_page_are_the_contract() -> None:
    contracts = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["importlinter"]["contracts"]
    layers = next(contract["layers"] for contract in contracts if contract.get("containers") == ["portal"])
    rows = re.findall(r"^\| \d \w[^|]*\| ([^|]*) \|", ARCHITECTURE, re.M)
    assert [set(re.findall(r"\w+", row)) for row in rows] == [set(re.findall(r"\w+", layer)) for layer in layers]


def test_the_glossary_has_at_most_ten_terms() -> None:
    glossary = ARCHITECTURE.split("## Glossary")[1]
    assert 1 <= len(re.findall(r"^\| (?!term|---)", glossary, re.M)) <= 10


def quoted(page: Path) -> Iterator[str]:
    """Every inline code of a page; of a table of pairs (not, but, why) the first column is left out."""
    text = re.sub(r"```.*?```", "", page.read_text(), flags=re.S)
    if page.name == "STYLE.md":
        text = re.sub(r"^\| (?:\\\||[^|])*\|", "|", text, flags=re.M)
    yield from re.findall(r"`([^`\n]+)`", text)


@each(PAGES)
def test_every_path_in_a_page_exists(page: Path) -> None:
    """A path is relative to the repository, to portal/ or to the page. Names in <> stand for any name."""
    bases = (ROOT, PORTAL, page.parent)
    roots = {path.name for base in bases for path in base.iterdir() if path.is_dir()}
    missing = []
    for text in quoted(page):
        if re.search(r":\d", text):  # an address with a port, or an image with a version
            continue
        for path in re.findall(r"[\w.<>/-]+", text):
            is_file = re.fullmatch(r"[\w/.-]*\w\.(py|md|html|txt|sql|toml|yaml|lock|css|js)", path) is not None
            is_path = "/" in path.rstrip("/") and path.split("/")[0] in roots
            if "<" in path or not (is_file or is_path or re.fullmatch(r"\w+/", path)):
                continue
            if not any((base / path).exists() for base in bases) and path not in MADE_AT_RUN_TIME:
                missing.append(path)
    assert missing == []


@cache
def definitions() -> dict[str, set[str]]:
    """The names that modules define at the top level, by the module's last name, and methods by their class."""
    defined = defaultdict(set)
    for path in [*PORTAL.rglob("*.py"), *(ROOT / "migrations").rglob("*.py")]:
        for node in tree(path).body:
            if isinstance(node, ast.FunctionDef | ast.ClassDef):
                defined[path.stem].add(node.name)
            if isinstance(node, ast.ClassDef):
                defined[node.name] |= {part.name for part in node.body if isinstance(part, ast.FunctionDef)}
            targets = node.targets if isinstance(node, ast.Assign) else []
            targets = [node.target] if isinstance(node, ast.AnnAssign) else targets
            defined[path.stem] |= {target.id for target in targets if isinstance(target, ast.Name)}
    return defined


@cache
def literals() -> set[str]:
    """Every string of the application and of its SQL, such as log events and kinds of events."""
    strings: set[str] = set()
    for path in PORTAL.rglob("*.py"):
        for node in nodes(path):
            if isinstance(node, ast.Constant) and isinstance(node.value, str):
                strings.add(node.value)
    return strings


@cache
def endpoints() -> set[str]:
    """The names of all views of pages."""
    return {
        f"{blueprint[1]}.{view}"
        for path in (PORTAL / "web").rglob("*.py")
        for blueprint in re.finditer(r'Blueprint\(\s*"(\w+)"', path.read_text())
        for view in re.findall(r"^def (\w+)", path.read_text(), re.M)
    }


@cache
def tables() -> str:
    """The SQL of all tables."""
    return "\n".join(path.read_text() for path in (ROOT / "migrations" / "tables").glob("*.sql"))


@each(PAGES)
def test_every_dotted_name_in_a_page_exists(page: Path) -> None:
    """`module.name` is a definition, `table.column` stands in the SQL, and any other is a string of the application."""
    unknown = []
    for text in quoted(page):
        dotted = re.fullmatch(r"(?:\w+\.)*([A-Za-z_]+)\.([A-Za-z_]+)(\(.*\))?", text)
        if dotted is None or text in MODULES or re.search(r"\.(py|md|lock|toml|css|html|txt|yaml)$|example", text):
            continue
        module, attribute = dotted[1], dotted[2]
        in_sql = re.search(rf"CREATE TABLE {module}\b.*?\b{attribute}\b", tables(), re.S)
        if not (attribute in definitions()[module] or text in literals() or text in endpoints() or in_sql):
            unknown.append(text)
    assert unknown == []


def anchors(page: Path) -> set[str]:
    headings = re.findall(r"^#+ (.*)$", page.read_text(), re.M)
    return {re.sub(r"[^\w -]", "", heading.lower()).replace(" ", "-") for heading in headings}


@each(PAGES)
def test_every_link_between_pages_leads_to_a_heading(page: Path) -> None:
    broken = []
    for target in re.findall(r"\]\(([^)\s]+)\)", page.read_text()):
        if "://" in target:
            continue
        path, _, anchor = target.partition("#")
        file = (page.parent / path).resolve() if path else page
        if not file.exists() or (anchor and anchor not in anchors(file)):
            broken.append(target)
    assert broken == []


def own_files(folder: Path, *suffixes: str) -> list[Path]:
    """Files of this repository under a folder: no vendored ones, no caches."""
    paths = (path for path in folder.rglob("*") if path.suffix in suffixes and path.is_file())
    return sorted(path for path in paths if not {"vendor", "__pycache__"} & set(path.parts))


@each([PORTAL / "services", PORTAL / "web", ROOT / "templates", ROOT / "tests"])
def test_a_folder_holds_at_most_twelve_files(folder: Path) -> None:
    """Package files (`__init__.py`) do not count."""
    count: dict[str, int] = defaultdict(int)
    for path in own_files(folder, ".py", ".html", ".txt", ".css"):
        if path.name != "__init__.py":
            count[name(path.parent)] += 1
    assert {path: files for path, files in count.items() if files > MAX_FILES} == {}


def test_a_file_has_at_most_400_lines() -> None:
    folders = [ROOT / part for part in ("portal", "templates", "static", "migrations", "tests", "bench", "docs")]
    files = [path for folder in folders for path in own_files(folder, ".py", ".html", ".css", ".js", ".sql", ".md")]
    files += [*ROOT.glob("*.py"), *ROOT.glob("*.md")]
    long = {name(path): lines for path in files if (lines := len(path.read_text().splitlines())) > MAX_LINES}
    assert long == {}


@cache
def imports() -> Graph:
    """Which module of portal imports which, inside functions too; imports for type checkers alone are left out."""
    graph: dict[str, set[str]] = {module: set() for module in MODULES}
    for module, path in MODULES.items():
        for_types = {
            id(inner)
            for node in nodes(path)
            if isinstance(node, ast.If) and ast.unparse(node.test) == "TYPE_CHECKING"
            for statement in node.body
            for inner in ast.walk(statement)
        }
        for node in nodes(path):
            if id(node) not in for_types:
                graph[module] |= set(_imported(node)) - {module}
    return graph


def _imported(node: Any) -> Iterator[str]:
    if isinstance(node, ast.Import):
        yield from (alias.name for alias in node.names if alias.name in MODULES)
    if isinstance(node, ast.ImportFrom) and node.module in MODULES:
        for alias in node.names:
            submodule = f"{node.module}.{alias.name}"
            yield submodule if submodule in MODULES else node.module


def cycles(graph: Graph) -> set[frozenset[str]]:
    """The strongly connected components of more than one node (Tarjan 1972)."""
    number: dict[str, int] = {}
    low: dict[str, int] = {}
    stack: list[str] = []
    components: set[frozenset[str]] = set()

    def visit(node: str) -> None:
        number[node] = low[node] = len(number)
        stack.append(node)
        for target in graph.get(node, ()):
            if target not in number:
                visit(target)
                low[node] = min(low[node], low[target])
            elif target in stack:
                low[node] = min(low[node], number[target])
        if low[node] == number[node]:
            at = stack.index(node)
            component, stack[at:] = frozenset(stack[at:]), []
            if len(component) > 1:
                components.add(component)

    for node in graph:
        if node not in number:
            visit(node)
    return components


def test_a_cycle_is_recognised() -> None:
    assert cycles({"a": {"b"}, "b": {"c"}, "c": {"a", "d"}, "d": set()}) == {frozenset("abc")}
    assert cycles({"a": {"b", "c"}, "b": {"d"}, "c": {"d"}, "d": set()}) == set()


def test_files_import_one_another_without_a_cycle() -> None:
    assert cycles(imports()) == set()


@pytest.mark.parametrize("container", ["services", "web", "api"])
def test_folders_import_one_another_without_a_cycle(container: str) -> None:
    """The nodes are the folders and the files directly in portal/<container>/."""
    prefix = f"portal.{container}."
    graph: dict[str, set[str]] = defaultdict(set)
    for module, targets in imports().items():
        for target in targets:
            if module.startswith(prefix) and target.startswith(prefix):
                source, sink = (path.removeprefix(prefix).split(".")[0] for path in (module, target))
                if source != sink:
                    graph[source].add(sink)
    assert cycles(graph) == set()
