"""A real PostgreSQL of its own, started once for all tests that want one; each gets a fresh database."""

from __future__ import annotations

import os
import shutil
import subprocess
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from itertools import count
from pathlib import Path

import psycopg
import pytest

from tests.servers import free_port

_QUICK = {"fsync": "off", "full_page_writes": "off", "max_connections": "200"}  # nobody cuts its power


def _program(name: str) -> str:
    """Debian keeps these where no PATH leads."""
    found = shutil.which(name) or max(map(str, Path("/usr/lib/postgresql").glob(f"*/bin/{name}")), default=None)
    assert found is not None, f"{name} is missing; `make postgresql` installs it"
    return found


class PostgreSQL:
    """A server that listens on `hosts`. It refuses to run as root, and is another user's then."""

    def __init__(self, hosts: str = "127.0.0.1") -> None:
        self.folder = Path(tempfile.mkdtemp(prefix="lsal-postgresql-"))
        self.hosts, self.port = hosts, free_port()
        self._user = ["setpriv", "--reuid=65534", "--regid=65534", "--clear-groups"] if os.geteuid() == 0 else []
        if self._user:
            os.chown(self.folder, 65534, 65534)
        self.folder.chmod(0o700)

    def start(self) -> None:
        data = str(self.folder / "data")
        passwords = self.folder / "password"
        passwords.write_text("secret")
        passwords.chmod(0o644)
        self._run("initdb", "--no-sync", "-A", "scram-sha-256", "-U", "lsal", f"--pwfile={passwords}", "-D", data)
        with (self.folder / "data/pg_hba.conf").open("a") as rules:
            rules.write("host all all 0.0.0.0/0 scram-sha-256\n")
        self.start_again()

    def start_again(self) -> None:
        data = str(self.folder / "data")
        options = " ".join(f"-c {name}={value}" for name, value in _QUICK.items())
        self._run("pg_ctl", "-D", data, "-w", "-l", str(self.folder / "log"), "-o",
                  f"-h {self.hosts} -p {self.port} -k {self.folder} {options}", "start")  # fmt: skip

    def stop(self) -> None:
        self._run("pg_ctl", "-D", str(self.folder / "data"), "-m", "immediate", "stop")

    def url(self, database: str = "postgres", host: str = "127.0.0.1") -> str:
        return f"postgresql://lsal:secret@{host}:{self.port}/{database}"

    def create(self, database: str) -> str:
        with psycopg.connect(self.url(), autocommit=True) as connection:
            connection.execute(f'CREATE DATABASE "{database}"')  # type: ignore[call-overload]
        return self.url(database)

    def _run(self, program: str, *arguments: str) -> None:
        subprocess.run([*self._user, _program(program), *arguments], check=True, cwd="/", stdout=subprocess.DEVNULL)


@contextmanager
def server(hosts: str = "127.0.0.1") -> Iterator[PostgreSQL]:
    """One that runs inside the block."""
    made = PostgreSQL(hosts)
    try:
        made.start()
        yield made
        made.stop()
    finally:
        shutil.rmtree(made.folder, ignore_errors=True)


@pytest.fixture(scope="session")
def postgresql() -> Iterator[PostgreSQL]:
    with server() as made:
        yield made


@pytest.fixture(scope="session")
def _numbers() -> Iterator[int]:
    return count(1)


@pytest.fixture
def new_database(postgresql: PostgreSQL, _numbers: Iterator[int]) -> Callable[[], str]:
    """Makes an empty database; its address."""
    return lambda: postgresql.create(f"test-{next(_numbers)}")
