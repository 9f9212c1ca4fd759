"""bench/results.md and bench/results.svg: the tables of one run, and a plot of each request over the sizes."""

import math
import os
import platform
import subprocess
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final
from xml.sax.saxutils import escape

FOLDER: Final = Path(__file__).parent


@dataclass(slots=True)
class Row:
    """One request at one size: answers a second, milliseconds of one connection, CPU milliseconds of an answer."""

    name: str
    rate: float
    alone: float
    p99: float
    python: float
    postgres: float
    refused: int = 0


@dataclass(slots=True)
class Size:
    """All that was measured on one installation. `notes` are further figures, by name, as text."""

    installments: int
    rows: list[Row] = field(default_factory=list)
    notes: dict[str, str] = field(default_factory=dict)


def machine(postgres: str) -> str:
    """The processor, its cores, the versions and the commit."""
    cpu = platform.processor() or platform.machine()
    info = Path("/proc/cpuinfo")
    if info.exists():
        names = [
            line.split(":", 1)[1].strip() for line in info.read_text().splitlines() if line.startswith("model name")
        ]
        cpu = names[0] if names else cpu
    commit = subprocess.run(
        ["git", "describe", "--always", "--dirty"], capture_output=True, text=True, cwd=FOLDER, check=False
    ).stdout.strip()
    versions = f"Python {platform.python_version()}, PostgreSQL {postgres}, commit {commit or '?'}"
    return f"{cpu}, {os.cpu_count()} cores, {versions}"


def write(sizes: Sequence[Size], about: str, day: str, folder: Path = FOLDER) -> None:
    """Write both files."""
    lines = [
        "# Results of the benchmarks",
        "",
        f"`make bench` on {day}: {about}. Three web processes of one thread, durable commits, all on this machine, the",
        "client included. Figures of one run; only their ratios are comparable. [README.md](README.md) explains them.",
    ]
    for size in sizes:
        lines += ["", f"## {size.installments:,} installments", "", *_table(size), ""]
        lines += [f"- {name}: {text}" for name, text in size.notes.items()]
    if len(sizes) > 1:
        lines += ["", "## Over the sizes", "", *_growth(sizes), "", "![Milliseconds over the sizes](results.svg)"]
    (folder / "results.md").write_text("\n".join(lines) + "\n")
    (folder / "results.svg").write_text(_plot(sizes))


def _table(size: Size) -> list[str]:
    whole = size.rows[0].rate or 1
    lines = [
        "| request | a second | part of /healthz | ms alone | ms, 99th of 100 | CPU ms Python | CPU ms PostgreSQL |",
        "|---|---:|---:|---:|---:|---:|---:|",
    ]
    for row in size.rows:
        refused = f" ({row.refused} refused)" if row.refused else ""
        lines.append(
            f"| {row.name}{refused} | {row.rate:,.0f} | {row.rate / whole:.3f} | {row.alone:.1f} | {row.p99:.1f} | "
            f"{row.python:.2f} | {row.postgres:.2f} |"
        )
    return lines


def _growth(sizes: Sequence[Size]) -> list[str]:
    """Milliseconds of one connection at each size, and the last over the first."""
    lines = [
        "| request, ms alone | " + " | ".join(f"{size.installments:,}" for size in sizes) + " | last / first |",
        "|---|" + "---:|" * (len(sizes) + 1),
    ]
    for name, values in _series(sizes).items():
        cells = " | ".join(f"{value:.1f}" for value in values)
        lines.append(f"| {name} | {cells} | {values[-1] / (values[0] or 1):.2f} |")
    return lines


def _series(sizes: Sequence[Size]) -> dict[str, list[float]]:
    found = {row.name: [row.alone] for row in sizes[0].rows}
    for size in sizes[1:]:
        for row in size.rows:
            found[row.name].append(row.alone)
    return found


WIDTH, HEIGHT, COLUMNS, GAP = 210, 110, 4, 20


def _plot(sizes: Sequence[Size]) -> str:
    """A small chart for each request: milliseconds (from 0) over installments (logarithmic)."""
    series = _series(sizes)
    rows = math.ceil(len(series) / COLUMNS)
    width, height = COLUMNS * (WIDTH + GAP) + GAP, rows * (HEIGHT + 2 * GAP) + GAP
    logs = [math.log10(size.installments) for size in sizes]
    span = (logs[-1] - logs[0]) or 1
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {height}" font-family="sans-serif" '
        'font-size="11">',
        f'<rect width="{width}" height="{height}" fill="#fff"/>',
    ]
    for place, (name, values) in enumerate(series.items()):
        left = GAP + place % COLUMNS * (WIDTH + GAP)
        top = GAP + place // COLUMNS * (HEIGHT + 2 * GAP)
        most = max(values) * 1.15 or 1
        points = [
            (left + 15 + (at - logs[0]) / span * (WIDTH - 50), top + HEIGHT - value / most * (HEIGHT - 20))
            for at, value in zip(logs, values, strict=True)
        ]
        parts += [
            f'<text x="{left}" y="{top + 4}" font-weight="bold">{escape(name)}</text>',
            f'<path d="M{left} {top + 12}V{top + HEIGHT}H{left + WIDTH}" fill="none" stroke="#999"/>',
            f'<polyline points="{" ".join(f"{x:.1f},{y:.1f}" for x, y in points)}" fill="none" stroke="#0a5" '
            'stroke-width="2"/>',
        ]
        for (x, y), value, size in zip(points, values, sizes, strict=True):
            label = (
                f"{size.installments // 1_000_000} M"
                if size.installments >= 10**6
                else f"{size.installments // 1000} k"
            )
            parts += [
                f'<circle cx="{x:.1f}" cy="{y:.1f}" r="3" fill="#0a5"/>',
                f'<text x="{x:.1f}" y="{y - 6:.1f}" text-anchor="middle">{value:.1f}</text>',
                f'<text x="{x:.1f}" y="{top + HEIGHT + 12}" text-anchor="middle" fill="#666">{label}</text>',
            ]
    return "\n".join([*parts, "</svg>"]) + "\n"
