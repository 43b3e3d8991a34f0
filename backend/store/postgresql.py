"""PostgreSQL as the database: how it is reached, and its locks."""

from __future__ import annotations

from typing import Any

from sqlalchemy import URL, Connection, Engine, create_engine, event, text

# Kinds of advisory locks; the second number says which of them. Any numbers that nobody else in this database uses.
PROJECT = 0x4C53_0001
TABLES = 0x4C53_0002

# A server that was cut off, or is gone, is noticed after half a minute, not after the hours that TCP would wait.
PATIENCE: dict[str, Any] = {
    "connect_timeout": 10,
    "keepalives_idle": 10,
    "keepalives_interval": 5,
    "keepalives_count": 4,
    "tcp_user_timeout": 30_000,
}
# The same for the server, so that a client that is gone, or frozen, in a transaction lets go of its locks.
_LIMITS = {
    "idle_in_transaction_session_timeout": 20_000,
    "lock_timeout": 30_000,
    "tcp_keepalives_idle": 10,
    "tcp_keepalives_interval": 5,
    "tcp_keepalives_count": 4,
    "tcp_user_timeout": 30_000,
}


def address(url: URL) -> URL:
    """The address with the driver that we use, however it is spelled."""
    return url.set(drivername="postgresql+psycopg")


def engine(url: URL) -> Engine:
    """Connections that read in snapshots. Those with the option `writes` see what is committed, as locks need."""
    # Parameters are texts of tasks, which no log may hold. A connection that the server closed meanwhile is replaced.
    theirs = url.query.get("options", "")
    options = " ".join([*(f"-c {name}={value}" for name, value in _LIMITS.items()), str(theirs)])
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
    """Wait until nobody else holds this lock, and hold it to the end of the transaction."""
    connection.execute(text("SELECT pg_advisory_xact_lock(:kind, :number)"), {"kind": kind, "number": number})
