"""`qist listen`: forwards the events of an installation, signed as webhooks, to a server on this machine.

The feed is polled with an API key, so the installation needs no way to reach this machine. The file of the state has
the cursor and the signing secret, and is written after each event: a run that was stopped, or killed, goes on where it
was. An event whose request was under way at a kill is sent again under the same id.
"""

import base64
import fcntl
import json
import os
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import IO, Final, Self
from urllib.parse import urlsplit

from portal.domain import clock
from portal.gateways import webhook_addresses, webhook_signatures, webhooks
from portal.gateways.event_feed import EventFeed, FeedError, FeedEvent, FeedPage, is_this_machine

MAX_ANSWERS: Final = 3
"""Answers other than 2xx after which an event is left out."""
LONGEST_PAUSE_SECONDS: Final = 30
LOOPBACK: Final = ("127.0.0.1", "::1")
MODE: Final = 0o600
"""The mode of the file: it holds a secret."""

Say = Callable[[str], None]
Pause = Callable[[float], None]

NO_EVENTS: Final = {
    "bad_address": "The installation's address must be https://... (http:// only on this machine).",
    "bad_key": "The installation does not take this API key.",
    "bad_cursor": "The installation does not know the place in this state file. Remove it to begin anew.",
    "refused": "The installation refuses.",
    "no_connection": "The installation can't be reached.",
    "busy": "The installation is busy.",
    "broken_answer": "The answer is not one of Qist's API.",
}
NO_ANSWER: Final = {
    "refused_address": "an address that is not of this machine",
    "no_address": "no such name",
    "no_connection": "no connection",
    "bad_certificate": "a bad certificate",
    "timeout": "no answer in time",
    "broken_answer": "a broken answer",
}


class ListeningError(Exception):
    """Nothing more is forwarded. The message is one line, for the terminal."""


@dataclass(slots=True)
class State:
    """The place in the feed. `sent` are the public ids that were forwarded of the page after `cursor`."""

    source: str
    secret: str
    cursor: str | None = None
    sent: list[str] = field(default_factory=list)


class StateFile:
    """A state in a file of mode 600, which one process has at a time."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._lock: IO[str] | None = None

    def __enter__(self) -> Self:
        """Raises ListeningError: the file can't be written, or another process has it."""
        try:
            descriptor = os.open(self.path.with_name(f"{self.path.name}.lock"), os.O_CREAT | os.O_RDWR, MODE)
            self._lock = os.fdopen(descriptor, "r+")
            fcntl.flock(self._lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise ListeningError(f"{self.path}: another qist listen is using it; name another --state") from None
        except OSError as error:
            raise ListeningError(f"{self.path}: {error.strerror}") from None
        return self

    def __exit__(self, *_: object) -> None:
        if self._lock is not None:
            self._lock.close()

    def read(self) -> State | None:
        """The state; None without a file. Raises ListeningError: it is not a state."""
        try:
            return State(**json.loads(self.path.read_text()))
        except FileNotFoundError:
            return None
        except OSError as error:
            raise ListeningError(f"{self.path}: {error.strerror}") from None
        except (ValueError, TypeError):
            raise ListeningError(f"{self.path}: not a state of qist listen; remove it, or name another") from None

    def write(self, state: State) -> None:
        """Replace the file whole. Raises ListeningError."""
        part = self.path.with_name(f"{self.path.name}.part")
        try:
            with os.fdopen(os.open(part, os.O_CREAT | os.O_WRONLY | os.O_TRUNC, MODE), "w") as file:
                json.dump(asdict(state), file)
            part.replace(self.path)
        except OSError as error:
            raise ListeningError(f"{self.path}: {error.strerror}") from None


@dataclass(frozen=True, slots=True)
class Options:
    """`secret` signs (None: the state's own). `every`: seconds between two looks. `from_start`: also past events."""

    target: str
    types: str | None = None
    plan: int | None = None
    secret: str | None = None
    every: float = 2.0
    from_start: bool = False


def check_target(url: str) -> str:
    """The address to which events are forwarded. Raises ListeningError: it is not of this machine."""
    try:
        checked = webhook_addresses.check_url(url, allow_loopback=True)
    except webhook_addresses.BadUrl:
        checked = ""
    if not checked or not is_this_machine(urlsplit(checked).hostname or ""):
        raise ListeningError(f"{url} is not an address of this machine, such as http://127.0.0.1:9000/hooks")
    return checked


def check_secret(secret: str | None) -> str | None:
    """A signing secret that was given. Raises ListeningError: it is not base64 after `whsec_`."""
    if not secret:
        return None
    try:
        scheme = webhook_signatures.SCHEME
        if secret.startswith(scheme) and base64.b64decode(secret.removeprefix(scheme), validate=True):
            return secret
    except ValueError:
        pass
    raise ListeningError("WEBHOOK_SECRET is not a signing secret: whsec_ and base64")


def listen(feed: EventFeed, file: StateFile, options: Options, say: Say, pause: Pause = time.sleep) -> None:
    """Forward events until the process is stopped. Raises ListeningError."""
    target = check_target(options.target)
    state = _begin(feed, file, options, say)
    secret = options.secret or state.secret
    say("Signing secret: " + (secret if options.secret is None else "that of WEBHOOK_SECRET"))
    say(f"Forwarding to {target}. Ctrl-C stops it.")
    while True:
        page = _patiently(lambda: feed.page(state.cursor), say, pause)
        for event in page.events:
            if event.name in state.sent:
                continue
            line = _forward(event, target, secret, say, pause)
            state.sent.append(event.name)
            file.write(state)
            say(line)
        if page.cursor is not None and page.cursor != state.cursor:
            state.cursor, state.sent = page.cursor, []
            file.write(state)
        if not page.events:
            pause(options.every)


def _begin(feed: EventFeed, file: StateFile, options: Options, say: Say) -> State:
    """The state of the file, or a new one: behind the newest event, or before the first."""
    try:
        business = feed.business()
        source = f"{feed.address} {business.id} {options.types or ''} {options.plan or ''}".strip()
        state = file.read()
        if state is None:
            state = State(source, webhook_signatures.new_secret(), None if options.from_start else feed.end())
            file.write(state)
    except FeedError as error:
        raise ListeningError(_sentence(error)) from None
    if state.source != source:
        raise ListeningError(f"{file.path}: it belongs to another installation, business or filter; name another")
    say(f"Events of {business.business_name} at {feed.address}")
    return state


def _patiently(act: Callable[[], FeedPage], say: Say, pause: Pause) -> FeedPage:
    """The page. After a failure that may pass, wait and ask again."""
    seconds = 1
    while True:
        try:
            return act()
        except FeedError as error:
            if error.is_final:
                raise ListeningError(_sentence(error)) from None
            seconds = min(seconds * 2, LONGEST_PAUSE_SECONDS)
            wait = max(seconds, error.wait_seconds)
            say(f"{_sentence(error)} Again in {wait} s.")
            pause(wait)


def _forward(event: FeedEvent, target: str, secret: str, say: Say, pause: Pause) -> str:
    """Send an event until it is taken, or until MAX_ANSWERS other answers. Without an answer it is sent for ever.

    Returns the line that says how it ended.
    """
    request = webhooks.Request(target, event.name, event.body, (secret,))
    answers, seconds = 0, 1
    while True:
        reply = webhooks.send(request, allow_loopback=True, resolve=lambda host, port: list(LOOPBACK))
        line = f"{clock.now():%H:%M:%S}  {event.type:<25} {event.name}"
        if reply.status is None:
            outcome = NO_ANSWER[reply.problem or "no_connection"]
        else:
            outcome, answers = str(reply.status), answers + 1
        if reply.succeeded:
            return f"{line}  {outcome}  {reply.duration_ms} ms"
        if answers >= MAX_ANSWERS:
            return f"{line}  {outcome}  left out after {answers} answers"
        seconds = min(seconds * 2, LONGEST_PAUSE_SECONDS)
        say(f"{line}  {outcome}  again in {seconds} s")
        pause(seconds)


def _sentence(error: FeedError) -> str:
    return " ".join(filter(None, (NO_EVENTS[error.code], error.detail)))


def read_key(file: Path | None, text: str | None) -> str:
    """The API key of a file, or this text. Raises ListeningError without one."""
    if file is None:
        if not text:
            raise ListeningError("No API key: set QIST_API_KEY, or name a file with --key-file")
        return text.strip()
    with suppress(UnicodeDecodeError):
        try:
            return file.read_text().strip()
        except OSError as error:
            raise ListeningError(f"{file}: {error.strerror}") from None
    raise ListeningError(f"{file}: not a text")
