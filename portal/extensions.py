"""Flask-SQLAlchemy, created unbound; job_app.py binds it. web_extensions.py holds the extensions of requests."""

import re
import time
from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, Final, cast
from weakref import WeakKeyDictionary

import psycopg
from flask_sqlalchemy import SQLAlchemy
from flask_sqlalchemy.session import Session as FlaskSession
from psycopg import ClientCursor, Column, Cursor, ServerCursor
from psycopg.pq import ExecStatus, TransactionStatus
from sqlalchemy import Connection, Engine, ExceptionContext, MetaData, TextClause, event
from sqlalchemy.exc import DBAPIError, DisconnectionError
from sqlalchemy.orm import DeclarativeBase

from portal.write_queue import Queue, can_write, computed_columns, place_of, reaches_others, state_of

PING_AFTER: Final = 5.0
"""Seconds in the pool after which a connection is asked for a sign of life before it is used again."""

PREPARE_AFTER: Final = 2
"""Runs of a statement on a connection before it is prepared."""
MAX_PREPARED: Final = 400
"""Prepared statements of a connection."""
LONG_VALUE: Final = 10_000
"""Characters of a value with which a statement is not prepared."""

_CHANGES: Final = re.compile(r"\b(INSERT|UPDATE|DELETE|MERGE|TRUNCATE|CREATE|ALTER|DROP|LOCK|SET)\b", re.IGNORECASE)
"""The words of SQL that change something."""

_beginnings: Final[WeakKeyDictionary[Any, str]] = WeakKeyDictionary()
"""By psycopg's connection: the statements that begin its transaction, until they are sent with the first statement."""

_UNKNOWN: Final = {"compile_state_plugin": "unknown"}

_QUEUE: Final = "queue"
_KNOWN: Final = "known"

_ENDED_BY_SERVER: Final = "57P0"
"""The beginning of PostgreSQL's error codes of a connection that it ends: admin_shutdown, crash_shutdown and more."""


class Base(DeclarativeBase):
    metadata = MetaData(
        naming_convention={
            "ix": "ix_%(table_name)s_%(column_0_N_name)s",
            "uq": "uq_%(table_name)s_%(column_0_N_name)s",
            "ck": "ck_%(table_name)s_%(constraint_name)s",
            "fk": "fk_%(table_name)s_%(column_0_N_name)s",
            "pk": "pk_%(table_name)s",
        }
    )


class LazyCursor(Cursor[Any]):
    """A cursor whose description is made as far as it is read.

    SQLAlchemy reads it once for each statement that it compiles, and afterwards only asks whether there is one.
    """

    @property
    def description(self) -> Any:
        result = self.pgresult
        has_rows = result is not None and (result.nfields > 0 or result.status == ExecStatus.TUPLES_OK)
        return _Description(self, result.nfields) if result is not None and has_rows else None


class _Description(Sequence[Column]):
    def __init__(self, cursor: LazyCursor, length: int) -> None:
        self._cursor, self._length = cursor, length

    def __len__(self) -> int:
        return self._length

    def __getitem__(self, place: Any) -> Any:
        if isinstance(place, slice):
            return [self[each] for each in range(*place.indices(self._length))]
        if not -self._length <= place < self._length:
            raise IndexError(place)
        return Column(self._cursor, place % self._length)


class KeepingConnection(psycopg.Connection[Any]):
    """A connection that keeps its prepared statements when a transaction is refused.

    psycopg forgets them all at each rollback, because the transaction may have made a table. Those of this pool make
    none. After an error of the database they are forgotten: a statement whose table has changed is planned anew.
    """

    def rollback(self) -> None:
        status = self.pgconn.transaction_status
        if status == TransactionStatus.IDLE:
            return
        if status == TransactionStatus.INTRANS:
            with self.lock:
                if self.pgconn.exec_(b"ROLLBACK").status == ExecStatus.COMMAND_OK:
                    return
        super().rollback()


class WriteOutsideUnitOfWork(RuntimeError):
    """A write was about to commit by itself, because no transaction is open. Nothing was changed."""


class Session(FlaskSession):
    """The session: reads commit by themselves, and writes need a transaction that `start_transaction` opened.

    A read outside a transaction is one round trip: no BEGIN before it and no ROLLBACK after it. When its connection
    turns out to be dead, it runs once more on another one.
    """

    driver: Any = None
    """psycopg's connection, while the session has one."""

    def get_bind(self, *args: Any, **kwargs: Any) -> Engine | Connection:
        bind = super().get_bind(*args, **kwargs)
        return _autocommit_engines[bind] if isinstance(bind, Engine) else bind

    def start_again(self) -> None:
        """Forget what was read and changed, as `rollback` does. A connection without a transaction stays."""
        if self.new or self.dirty or self.deleted or self.queue or self.driver is None or self.has_transaction:
            self.rollback()
        else:
            self.expire_all()

    def start_transaction(self, limits: str = "") -> None:
        """Open a transaction, with these SET LOCAL statements. The session has none open.

        They are sent together with the first statement. When the connection turns out to be dead then, that statement
        runs once more on another connection: nothing happened on the first.
        """
        _beginnings[_driver(self)] = f"BEGIN; {limits}"
        self.info.pop(_KNOWN, None)

    @property
    def known(self) -> dict[Any, Any]:
        """Facts that a request has read and may need again. They are forgotten when a transaction opens."""
        known: dict[Any, Any] = {} if self.has_transaction else self.info.setdefault(_KNOWN, {})
        return known

    @property
    def has_transaction(self) -> bool:
        """Whether the session's connection has an open transaction, or begins one with its next statement."""
        driver = _driver(self)
        return driver in _beginnings or driver.info.transaction_status != TransactionStatus.IDLE

    def execute(self, statement: Any, params: Any = None, **options: Any) -> Any:
        if is_plain(statement) and not any(options.values()):
            return self._run(self._execute_plain, statement, params, {})
        return self._run(super().execute, statement, params, options)

    def scalar(self, statement: Any, params: Any = None, **options: Any) -> Any:
        return self._run(super().scalar, statement, params, options)

    def scalars(self, statement: Any, params: Any = None, **options: Any) -> Any:
        return self._run(super().scalars, statement, params, options)

    def _execute_plain(self, statement: Any, params: Any) -> Any:
        return self.connection().execute(statement, params)

    def _run(self, run: Callable[..., Any], statement: Any, params: Any, options: dict[str, Any]) -> Any:
        """Run a statement behind the queue. A read, or the first statement of a transaction, runs again on a new
        connection if its own is dead.

        The event do_orm_execute can do the same, and costs a second preparation of each statement.
        """
        if self.queue and self.autoflush:
            self.flush()
        driver = _driver(self)
        begin = _beginnings.get(driver)
        if begin is None:
            if driver.info.transaction_status != TransactionStatus.IDLE:
                return run(statement, params, **options)
            if not is_read(statement):
                self.refuse_write(f"{type(statement).__name__} outside a unit of work")
        elif self._new:
            return run(statement, params, **options)
        try:
            return run(statement, params, **options)
        except DBAPIError as error:
            if not error.connection_invalidated:
                raise
            self.rollback()  # gives the dead connection back
            if begin is not None:
                _beginnings[_driver(self)] = begin
            return run(statement, params, **options)

    def refuse_write(self, what: str) -> None:
        """Raise WriteOutsideUnitOfWork: no transaction is open."""
        raise WriteOutsideUnitOfWork(what)

    @property
    def queue(self) -> Queue:
        """The writes of this unit of work that go out with its next statement or its commit."""
        queue: Queue = self.info.setdefault(_QUEUE, Queue())
        return queue

    def write_queue(self, returning: str = "") -> Any:
        """Write the queue and the changed rows in one statement. Returns the value of the query `returning`, if any.

        New and deleted rows, and changes of many rows, are written by the ORM before. Rows whose change reaches other
        tables by a foreign key follow in a statement of their own.
        """
        self.dispatch.before_flush(self, None, None)
        rows = list(self.dirty)  # keeps them alive
        changed = sorted(map(state_of, rows), key=place_of)
        if self.new or self.deleted or not can_write(changed):
            super().flush()
            changed = []
        reaching = [state for state in changed if reaches_others(state)]
        value = self.queue.write(self.connection(), [state for state in changed if state not in reaching], returning)
        if reaching:
            self.queue.write(self.connection(), reaching)
        for state in changed:
            state._commit_all(state.dict, self.identity_map)
            if computed := computed_columns(state.mapper):
                self.expire(state.obj(), computed)
        return value

    def flush(self, objects: Sequence[Any] | None = None) -> None:
        if objects is None and not self._flushing and (self.queue or self.dirty):
            self.write_queue()
        super().flush(objects)

    def commit(self) -> None:
        if self.queue:
            self.flush()
        super().commit()

    def rollback(self) -> None:
        self.queue.clear()
        super().rollback()


_autocommit_engines: Final[dict[Engine, Engine]] = {}
"""The engine on the same pool, of each engine, whose statements commit by themselves where no BEGIN was sent.

There is one for each: a session takes a connection for every engine that it is given, and only the first of them would
have the transaction. So `watch_connections` makes it before any thread can ask for it.
"""


def _driver(session: Session) -> Any:
    """psycopg's connection of the session."""
    return session.driver or session.connection().connection.dbapi_connection


@event.listens_for(Session, "before_flush")
def _refuse_flush(session: Session, *rest: Any) -> None:
    if not session.has_transaction:
        session.refuse_write("a flush outside a unit of work")


@event.listens_for(Session, "after_begin")
def _note_driver(session: Session, transaction: Any, connection: Connection) -> None:
    session.driver = connection.connection.dbapi_connection


@event.listens_for(Session, "after_transaction_end")
def _forget_driver(session: Session, transaction: Any) -> None:
    session.driver = None


def is_read(statement: Any) -> bool:
    """Whether the statement changes and locks nothing."""
    if isinstance(statement, TextClause):
        return not _CHANGES.search(statement.text)
    return statement.is_select and getattr(statement, "_for_update_arg", None) is None


def is_plain(statement: Any) -> bool:
    """Whether the statement is of tables and their columns alone, which the connection runs without the ORM."""
    return "compile_state_plugin" not in getattr(statement, "_propagate_attrs", _UNKNOWN)


def has_long_value(parameters: Any) -> bool:
    """Whether a statement has a very long value, such as an array of ids: it is planned for this value each time.

    The plan of a prepared statement, which is for any value, would take the array for ten ids.
    """
    values = parameters.values() if isinstance(parameters, Mapping) else parameters
    return any(isinstance(value, str) and len(value) >= LONG_VALUE for value in values)


def set_up_connection(connection: Any, _record: Any) -> None:
    """Set the session's time zone, and keep PostgreSQL from compiling statements to machine code.

    It estimates the functions of the search so high that it compiled a statement of each new plan, for up to seconds.
    Startup options would do, but PgBouncer as Debian ships it refuses them.

    Statements are prepared when they run for the third time. Pages and endpoints have more of them than the hundred
    that psycopg counts unless told otherwise, so most would never be prepared.
    """
    connection.prepare_threshold, connection.prepared_max = PREPARE_AFTER, MAX_PREPARED
    connection.autocommit = True
    connection.execute("SET TIME ZONE 'UTC'; SET jit = off")
    connection.autocommit = False


def watch_connections(engine: Engine) -> None:
    """Ask a connection that lay in the pool for PING_AFTER seconds for a sign of life, and replace a dead one.

    A connection that the server ends is dead, even if psycopg has not noticed the closed socket yet. Call it for every
    engine before its first use.
    """
    _autocommit_engines[engine] = engine.execution_options(isolation_level="AUTOCOMMIT")

    @event.listens_for(engine, "do_connect")
    def connect(dialect: Any, record: Any, arguments: Any, options: Any) -> KeepingConnection:
        return KeepingConnection.connect(*arguments, **options)

    @event.listens_for(engine, "handle_error")
    def ended(context: ExceptionContext) -> None:
        if str(getattr(context.original_exception, "sqlstate", None)).startswith(_ENDED_BY_SERVER):
            context.is_disconnect = True

    @event.listens_for(engine, "do_execute")
    def begin(cursor: Any, statement: str, parameters: Any, context: Any) -> bool:
        limits = _beginnings.pop(cursor.connection, None)
        if limits is None:
            if not has_long_value(parameters) or isinstance(cursor, ServerCursor):
                return False
            cursor.execute(statement, parameters, prepare=False)
            return True
        if isinstance(cursor, ServerCursor):
            cursor.connection.execute(limits)
            return False
        bound = ClientCursor(cursor.connection).mogrify(statement, parameters)  # also for its %% without parameters
        cursor.execute(f"{limits}; {bound}", prepare=False)
        while cursor.nextset():  # the last result is the statement's
            pass
        return True

    @event.listens_for(engine, "do_executemany")
    @event.listens_for(engine, "do_execute_no_params")
    def begin_alone(cursor: Any, *rest: Any) -> None:
        limits = _beginnings.pop(cursor.connection, None)
        if limits is not None:
            cursor.connection.execute(limits)

    @event.listens_for(engine, "checkin")
    def note(dbapi_connection: Any, record: Any) -> None:
        if dbapi_connection is not None:  # None: the connection was dead
            _beginnings.pop(dbapi_connection, None)
        record.info["idle_since"] = time.monotonic()

    @event.listens_for(engine, "checkout")
    def ping(dbapi_connection: Any, record: Any, proxy: Any) -> None:
        idle_since = record.info.get("idle_since")
        if idle_since is not None and time.monotonic() - idle_since > PING_AFTER:
            try:
                engine.dialect.do_ping(dbapi_connection)
            except engine.dialect.loaded_dbapi.Error as error:
                raise DisconnectionError() from error


db = SQLAlchemy(model_class=Base, session_options={"class_": Session})


def session() -> Session:
    """The session of this context, with the methods that `db.session` does not pass on."""
    return cast(Session, db.session())


if TYPE_CHECKING:
    Model = Base
else:
    Model = db.Model
