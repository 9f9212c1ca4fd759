"""Sends prepared requests over HTTP with wrk, or with threads of this process where wrk is missing."""

import http.client
import json
import shutil
import subprocess
import threading
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

CONNECTIONS: Final = 6
DONE: Final = """
done = function(summary, latency, requests)
    io.write(string.format('\\nRESULT {"requests": %d, "seconds": %f, "refused": %d, "p50": %f, "p99": %f}\\n',
        summary.requests, summary.duration / 1e6,
        summary.errors.status + summary.errors.connect + summary.errors.read + summary.errors.timeout,
        latency:percentile(50) / 1000, latency:percentile(99) / 1000))
end
"""


@dataclass(frozen=True, slots=True)
class Request:
    """A request. `body` is JSON text or a form."""

    method: str
    path: str
    headers: Mapping[str, str] = field(default_factory=dict)
    body: str | None = None


@dataclass(frozen=True, slots=True)
class Round:
    """One round: answers, seconds, answers of 400 and above, and latencies in milliseconds."""

    requests: int
    seconds: float
    refused: int
    p50: float
    p99: float

    @property
    def rate(self) -> float:
        return self.requests / (self.seconds or 1)


def send(url: str, requests: Sequence[Request], seconds: float, folder: Path, connections: int = CONNECTIONS) -> Round:
    """Send these requests in turn, and again from the first, over so many connections."""
    if shutil.which("wrk") is None:
        return _send_from_here(url, requests, seconds, connections)
    script = folder / "requests.lua"
    script.write_text(_script(requests))
    command = ["wrk", "-t1", f"-c{connections}", f"-d{max(1, round(seconds))}s", "-s", str(script), url]
    printed = subprocess.run(command, capture_output=True, text=True, check=True).stdout
    return Round(**json.loads(printed.split("RESULT ")[1]))


def _script(requests: Sequence[Request]) -> str:
    lines = ["local made, number = {}, 0", "init = function(args)"]
    for request in requests:
        headers = ", ".join(f"[{_lua(name)}] = {_lua(value)}" for name, value in request.headers.items())
        body = "nil" if request.body is None else _lua(request.body)
        target = f"{_lua(request.method)}, {_lua(request.path)}"
        lines.append(f"  made[#made + 1] = wrk.format({target}, {{{headers}}}, {body})")
    lines += ["end", "request = function()", "  number = number + 1", "  return made[(number - 1) % #made + 1]", "end"]
    return "\n".join(lines) + DONE


def _lua(text: str) -> str:
    return json.dumps(text, ensure_ascii=False)


def _send_from_here(url: str, requests: Sequence[Request], seconds: float, connections: int) -> Round:
    """The same with Python's client: slower than wrk, so its rates are only comparable with one another."""
    took: list[float] = []
    refused: list[int] = []
    turn = iter(range(10**9))
    stop = time.perf_counter() + seconds

    def work() -> None:
        connection = http.client.HTTPConnection(url.removeprefix("http://"))
        while time.perf_counter() < stop:
            request = requests[next(turn) % len(requests)]
            began = time.perf_counter()
            connection.request(request.method, request.path, request.body, dict(request.headers))
            response = connection.getresponse()
            response.read()
            took.append(time.perf_counter() - began)
            refused.extend([response.status] * (response.status >= 400))
        connection.close()

    began = time.perf_counter()
    threads = [threading.Thread(target=work) for _ in range(connections)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    ordered = sorted(took)
    p50, p99 = (1000 * ordered[min(len(ordered) - 1, int(len(ordered) * part))] for part in (0.5, 0.99))
    return Round(len(took), time.perf_counter() - began, len(refused), p50, p99)
