"""PostgreSQL: connections and advisory locks."""

from __future__ import annotations

from typing import Any

from sqlalchemy import URL, Connection, Engine, create_engine, event, text

# Classes of advisory locks (the first key; the second identifies the object). Arbitrary, but unique in the database.
PROJECT = 0x4C53_0001
TABLES = 0x4C53_0002

# Detect an unreachable server after half a minute instead of TCP's default of hours.
PATIENCE: dict[str, Any] = {
    "connect_timeout": 10,
    "keepalives_idle": 10,
    "keepalives_interval": 5,
    "keepalives_count": 4,
    "tcp_user_timeout": 30_000,
}
# The same on the server, so that a dead or frozen client's transaction releases its locks.
_LIMITS = {
    "idle_in_transaction_session_timeout": 20_000,
    "lock_timeout": 30_000,
    "tcp_keepalives_idle": 10,
    "tcp_keepalives_interval": 5,
    "tcp_keepalives_count": 4,
    "tcp_user_timeout": 30_000,
}


def address(url: URL) -> URL:
    """The URL with the psycopg driver, whichever driver it names."""
    return url.set(drivername="postgresql+psycopg")


def engine(url: URL) -> Engine:
    """An engine whose reads use a snapshot; with the option `writes`, READ COMMITTED, as waiting for locks requires."""
    # Query parameters contain texts of tasks, which must not be logged. Pre-ping replaces connections closed meanwhile.
    given = url.query.get("options", "")
    options = " ".join([*(f"-c {name}={value}" for name, value in _LIMITS.items()), str(given)])
    made = create_engine(
        address(url), connect_args={**PATIENCE, "options": options}, hide_parameters=True, pool_pre_ping=True,
        pool_recycle=1800, isolation_level="READ COMMITTED",
    )  # fmt: skip

    @event.listens_for(made, "begin")
    def _begin(connection: Any) -> None:
        if not connection.get_execution_options().get("writes", False):
            connection.exec_driver_sql("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ, READ ONLY")

    return made


def lock(connection: Connection, kind: int, number: int) -> None:
    """Acquire an exclusive lock, waiting if necessary; it is held until the transaction ends."""
    connection.execute(text("SELECT pg_advisory_xact_lock(:kind, :number)"), {"kind": kind, "number": number})
