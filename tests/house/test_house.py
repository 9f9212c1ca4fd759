"""Rules of the code base that import-linter can't check, mostly over the syntax tree."""

import ast
import re
from collections import Counter
from collections.abc import Iterator
from functools import cache
from pathlib import Path

import pytest
from flask import Flask

from portal.gateways.payment.simulated.cards import CARDS
from portal.jobs import tasks
from portal.jobs.schedule import SCHEDULE
from tests.house.sources import ROOT, each, name, nodes, tree

pytestmark = pytest.mark.xdist_group("house")  # its files share the worker that reads the code
PORTAL = ROOT / "portal"
SOURCES = sorted(PORTAL.rglob("*.py"))
TESTS = sorted([*(ROOT / "tests").rglob("*.py"), *(ROOT / "bench").rglob("*.py")])
TEMPLATES = sorted((ROOT / "templates").rglob("*.html"))
MAIL_TEXTS = sorted((ROOT / "templates").rglob("*.txt"))
SHEETS = sorted((ROOT / "static" / "css").rglob("*.css"))
MAIL_SHEETS = sorted((ROOT / "templates").rglob("*.css"))
SCRIPTS = sorted((ROOT / "static" / "js").glob("*.js"))
BELOW_ENTRY_POINTS = [
    path
    for path in SOURCES
    if path.relative_to(PORTAL).parts[0] in {"services", "reports", "models", "gateways"} or path.name == "queue.py"
]


@cache
def calls(path: Path) -> list[tuple[int, str]]:
    """Line and dotted name of every call in a file."""
    return [(node.lineno, ast.unparse(node.func)) for node in nodes(path) if isinstance(node, ast.Call)]


def imports(path: Path) -> Iterator[tuple[int, str, str]]:
    """Line, module and name of every `from module import name`."""
    for node in nodes(path):
        if isinstance(node, ast.ImportFrom):
            for alias in node.names:
                yield node.lineno, node.module or "", alias.name


@each(BELOW_ENTRY_POINTS)
def test_no_module_below_the_entry_points_reads_the_request(path: Path) -> None:
    reads = [
        line
        for line, module, imported in imports(path)
        if module.startswith("flask") and imported in {"request", "session", "g"}
    ]
    assert reads == []


@each(p for p in SOURCES if "services" not in p.parts)
def test_only_services_commit(path: Path) -> None:
    commits = [line for line, call in calls(path) if call.endswith("session.commit")]
    assert commits == []


def test_the_rule_above_finds_the_commit_of_the_unit_of_work() -> None:
    commits = [call for _, call in calls(PORTAL / "services" / "unit_of_work.py") if call.endswith("session.commit")]
    assert commits == ["db.session.commit"]


def writers_of_events(path: Path) -> Iterator[str]:
    """The expressions of a file that make an event or insert into its table."""
    for node in nodes(path):
        if isinstance(node, ast.Call):
            called, first = ast.unparse(node.func), ast.unparse(node.args[0]) if node.args else ""
            inserts = called.endswith("insert") and first.removeprefix("models.").startswith("Event")
            queues = called.endswith("add_row") and first == "'events'"
            if called in {"Event", "models.Event"} or inserts or queues:
                yield ast.unparse(node)
        if isinstance(node, ast.Constant) and isinstance(node.value, str):
            yield from re.findall(r"INSERT\s+INTO\s+events", node.value, re.I)


def test_only_services_events_writes_events() -> None:
    writers = {name(path): lines for path in SOURCES if (lines := list(writers_of_events(path)))}
    assert {path: len(lines) for path, lines in writers.items()} == {"portal/services/events.py": 2}


@each(p for p in SOURCES if p.name != "clock.py")
def test_only_the_clock_reads_the_time(path: Path) -> None:
    readers = {
        "date.today",
        "datetime.now",
        "datetime.utcnow",
        "datetime.today",
        "func.now",
        "func.current_date",
        "time.time",
    }
    reads = [
        (line, call) for line, call in calls(path) if any(call == name or call.endswith(f".{name}") for name in readers)
    ]
    assert reads == []


@each(p for p in SOURCES if p.name != "cli.py" and p != PORTAL / "jobs" / "scheduler.py")
def test_no_function_imports_from_portal(path: Path) -> None:
    """Two files may: a command, and the scheduler with its metrics, load what only some runs need."""
    hidden = [
        inner.lineno
        for node in nodes(path)
        if isinstance(node, ast.FunctionDef)
        for inner in ast.walk(node)
        if isinstance(inner, ast.ImportFrom) and (inner.module or "").startswith("portal")
    ]
    assert hidden == []


def test_only_the_registry_imports_an_implementation_of_the_payment_gateway() -> None:
    """Also no other module names a token of the simulated gateway, but for the demo data, which needs its cards."""
    folder = PORTAL / "gateways" / "payment"
    folders = [path for path in folder.iterdir() if path.is_dir() and path.name != "__pycache__"]
    assert folders
    importers = set()
    for path in SOURCES:
        for node in nodes(path):
            names = [alias.name for alias in node.names] if isinstance(node, ast.Import) else []
            names = [node.module or ""] if isinstance(node, ast.ImportFrom) else names
            if isinstance(node, ast.ImportFrom):
                names += [f"{node.module}.{alias.name}" for alias in node.names]
            for name_of_module in names:
                for implementation in folders:
                    package = f"portal.gateways.payment.{implementation.name}"
                    if f"{name_of_module}.".startswith(f"{package}.") and implementation not in path.parents:
                        importers.add(name(path))
    assert importers == {"portal/gateways/payment/registry.py"}
    apart = [folder / "simulated", PORTAL / "local" / "demo_data.py"]
    sources = [path for path in [*SOURCES, *TEMPLATES, *SCRIPTS] if not {path, *path.parents} & set(apart)]
    tokens = "|".join(card.token for card in CARDS)
    assert [name(path) for path in sources if re.search(tokens, path.read_text())] == []


def test_no_module_has_a_generic_name() -> None:
    assert not {path.stem for path in SOURCES} & {"util", "utils", "helper", "helpers", "common", "misc"}


def test_no_entry_point_sorts_errors_on_a_ladder() -> None:
    """The kinds of errors say what they are: two handlers at most, and no two that do the same."""
    ladders = []
    for path in SOURCES:
        if {"web", "api"} & set(path.relative_to(PORTAL).parts):
            for node in nodes(path):
                if isinstance(node, ast.Try):
                    bodies = [
                        re.sub(rf"\b{each.name}\b", "error", "\n".join(map(ast.unparse, each.body)))
                        for each in node.handlers
                    ]
                    if len(bodies) > 2 or len(set(bodies)) < len(bodies):
                        ladders.append(f"{name(path)}:{node.lineno}")
    assert ladders == []


def test_every_enqueued_job_exists() -> None:
    enqueued = {
        node.args[0].value
        for path in SOURCES
        for node in nodes(path)
        if isinstance(node, ast.Call)
        and ast.unparse(node.func) == "queue.enqueue"
        and node.args
        and isinstance(node.args[0], ast.Constant)
    }
    assert enqueued
    assert all(callable(getattr(tasks, str(job), None)) for job in enqueued | {entry.job for entry in SCHEDULE})


@each(p for p in SOURCES if {"services", "reports"} & set(p.parts) or p.name in {"money.py", "schedule.py"})
def test_every_public_function_of_services_reports_and_rules_has_a_docstring(path: Path) -> None:
    undocumented = [
        node.name
        for node in tree(path).body
        if isinstance(node, ast.FunctionDef) and not node.name.startswith("_") and not ast.get_docstring(node)
    ]
    assert undocumented == []


@each([*SOURCES, *TESTS])
def test_docstrings_begin_with_a_noun_or_a_verb(path: Path) -> None:
    """STYLE.md: no sentence whose subject is "who", "what" or "nobody"."""
    riddles = re.findall(r'"""(?:What|Who|Whom|Whose|Whoever|Nobody)\b.*', path.read_text())
    assert riddles == []


@each(TEMPLATES)
def test_templates_have_nothing_that_the_policy_blocks(path: Path) -> None:
    text = path.read_text().replace("drawings[name] | safe", "")  # icons: a vendored file with a checked sha256
    assert not re.search(r"""\sstyle\s*=|\son[a-z]+\s*=\s*["']|<script>|javascript:|\|\s*safe\b""", text)


@each(p for p in TEMPLATES if p.name.startswith("_"))
def test_a_fragment_never_extends_a_page(path: Path) -> None:
    assert "{% extends" not in path.read_text()


def test_every_endpoint_is_noun_and_action(app: Flask) -> None:
    invalid = [
        rule.endpoint
        for rule in app.url_map.iter_rules()
        if rule.endpoint != "static" and not re.fullmatch(r"[a-z_]+(\.[a-z_]+)+", rule.endpoint)
    ]
    assert invalid == []


def test_only_the_demo_data_changes_the_clock():
    modules = {path.name for path in (ROOT / "portal").rglob("*.py") if "clock.pretend(" in path.read_text()}
    assert modules == {"demo_data.py"}


def test_only_the_command_line_imports_the_demo_data():
    """Other modules use User.is_demo and Settings.demo_logins_work."""
    pattern = re.compile(r"^\s*(from portal\.local import .*\bdemo_data\b|import portal\.local\.demo_data\b)", re.M)
    assert {path.name for path in (ROOT / "portal").rglob("*.py") if pattern.search(path.read_text())} == {"cli.py"}


def test_tests_of_one_group_share_a_worker(request: pytest.FixtureRequest, worker_id: str) -> None:
    """Otherwise each worker would start a live system. pytest 9.2 drops the marks of pytest-xdist 3.8."""
    assert worker_id == "master" or request.node.nodeid.endswith("@house")


@each([*TEMPLATES, *MAIL_TEXTS, *SHEETS, *MAIL_SHEETS, *SCRIPTS])
def test_lines_have_at_most_120_columns(path: Path) -> None:
    assert [number for number, line in enumerate(path.read_text().splitlines(), 1) if len(line) > 120] == []


@each([*SHEETS, *MAIL_SHEETS])
def test_a_style_sheet_has_one_declaration_per_line(path: Path) -> None:
    text = re.sub(r"/\*.*?\*/", "", path.read_text(), flags=re.S)
    assert [line for line in text.splitlines() if line.count(";") > 1 or re.search(r"\{\s*\S|\S\s*\}", line)] == []


def test_every_style_sheet_is_imported_once() -> None:
    imports = re.findall(r'@import "([^"]+)"', (ROOT / "static/css/qist.css").read_text())
    apart = {"qist.css", "api-docs.css"}
    assert sorted(imports) == sorted({str(path.relative_to(ROOT / "static/css")) for path in SHEETS} - apart)


def test_a_folder_of_style_sheets_holds_at_most_twelve() -> None:
    assert max(Counter(path.parent for path in SHEETS).values()) <= 12


def test_every_css_class_is_used() -> None:
    """A class is used if its name occurs, or if a template appends an expression to the beginning of its name."""
    css = re.sub(r"/\*.*?\*/|\"[^\"]*\"", "", "\n".join(path.read_text() for path in SHEETS), flags=re.S)
    classes = set(re.findall(r"\.([a-z][\w-]*)", css))
    pages = "\n".join(path.read_text() for path in [*TEMPLATES, *SCRIPTS] if path.parent.name != "mail")
    words = set(re.findall(r"[\w-]+", pages))
    words |= {word for path in (PORTAL / "web").rglob("*.py") for word in re.findall(r"\w+", path.read_text())}
    starts = set(re.findall(r"([\w-]+-)\{\{", pages))
    unused = {
        word
        for word in classes - words
        if not any(word.startswith(start) and word.removeprefix(start) in words for start in starts)
    }
    assert unused == set()


def test_every_macro_is_used() -> None:
    pages = "\n".join(path.read_text() for path in (ROOT / "templates").rglob("*.*"))
    code = re.sub(r"\{#.*?#\}|\{% (from|import) .*?%\}", "", pages, flags=re.S)
    macros = re.findall(r"\{%-? macro (\w+)\(", code)
    assert macros
    calls = Counter(re.findall(r"(?<!macro )(?<!\| )\b(\w+)\(", code))
    assert [macro for macro in macros if not calls[macro]] == []
