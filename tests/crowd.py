"""Several people who do something at the same moment."""

import threading
from collections.abc import Callable, Sequence
from typing import Any

from flask import Flask


def at_once(app: Flask, calls: Sequence[Callable[[], Any]]) -> list[Any]:
    """Each call in a thread and an app context of its own, all let go together.

    Returns what each returned, or the exception it raised, in order.
    """
    ready = threading.Barrier(len(calls))
    results: list[Any] = [None] * len(calls)

    def run(place: int, call: Callable[[], Any]) -> None:
        with app.app_context():
            ready.wait(timeout=30)
            try:
                results[place] = call()
            except Exception as error:
                results[place] = error

    threads = [threading.Thread(target=run, args=(place, call)) for place, call in enumerate(calls)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(timeout=60)
        assert not thread.is_alive(), "somebody hangs"
    return results
