"""Several people who do something at the same moment."""

import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any

from flask import Flask
from sqlalchemy import Connection, event

from portal.extensions import db


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


@contextmanager
def slowly(*writes: str, locks: bool = True, pause: float = 0.02) -> Iterator[None]:
    """Everybody thinks for a moment between reading and writing, so that a gap, if there is one, is wide.

    `writes` are the beginnings of the statements before which they think, once in a transaction, for `pause` seconds.
    The tests' own switch: without `locks`, FOR NO KEY UPDATE is dropped from every statement on its way out. Then the
    pause has to be long enough for all the others to have read as well, on a busy machine too. Inside an app context.
    """

    def change(
        connection: Connection, cursor: Any, statement: str, parameters: Any, context: Any, executemany: bool
    ) -> tuple[str, Any]:
        if statement.startswith(writes) and connection.info.get("thought") is not connection.get_transaction():
            connection.info["thought"] = connection.get_transaction()
            time.sleep(pause)
        return statement if locks else statement.replace(" FOR NO KEY UPDATE", ""), parameters

    event.listen(db.engine, "before_cursor_execute", change, retval=True)
    try:
        yield
    finally:
        event.remove(db.engine, "before_cursor_execute", change)
