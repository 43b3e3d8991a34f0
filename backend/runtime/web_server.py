"""The web server, waitress: it reads a request completely before one of its threads works on it.

So a client that sends half a request holds a socket, not a thread.
"""

from __future__ import annotations

import logging
import os
import signal
import socket
import threading
import time

from flask import Flask
from waitress import wasyncore
from waitress.server import create_server

from backend.errors import RefusedStartError
from backend.settings import Settings

log = logging.getLogger(__name__)

_BESIDE = 4  # threads that calls of /predict never use, so that others are answered while all of those are slow
_CONNECTIONS = 500  # open at the same time, half-sent requests included; more wait to be accepted
_INACTIVE = 60  # seconds until a silent connection is closed
_PATIENCE = 30.0  # seconds that requests in progress may take to finish at the end

_ONLY_HERE = (
    "no password is set, so that only programs on this machine reach the backend. For a Label Studio in a container or "
    "on another machine set BASIC_AUTH_USER and BASIC_AUTH_PASS, and enter both in Settings → Model"
)
_EXPOSED = (
    "LSAL_INSECURE is set: everyone who reaches this port can read texts and labels. Set BASIC_AUTH_USER and "
    "BASIC_AUTH_PASS, unless only Label Studio reaches it"
)


def listen(settings: Settings) -> socket.socket:
    """A socket that listens. Raises `RefusedStartError` if address and port cannot be used."""
    family = socket.AF_INET6 if ":" in settings.bind else socket.AF_INET
    try:
        return socket.create_server((settings.bind, settings.port), family=family, backlog=1024)
    except OSError as error:
        reason = os.strerror(error.errno or 0)
        raise RefusedStartError(
            f"cannot listen on {settings.bind}, port {settings.port} ({reason}); set HOST and PORT"
        ) from None


def run(app: Flask, listening: socket.socket, settings: Settings) -> None:
    """Serve until SIGTERM or SIGINT; then finish the requests in progress."""
    stopping = threading.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: stopping.set())
    sockets: dict[int, wasyncore.dispatcher] = {}  # by file number
    server = create_server(
        app,
        map=sockets,
        sockets=[listening],
        threads=settings.threads + _BESIDE,
        connection_limit=_CONNECTIONS,
        channel_timeout=_INACTIVE,
        # The application refuses a body above MAX_BODY_MB with a sentence; one of twice the size is not read at all.
        max_request_body_size=2 * settings.max_body_mb * 2**20,
        clear_untrusted_proxy_headers=False,  # none is used
        log_socket_errors=False,  # clients that have gone
        ident=None,
    )
    log.info("listening on %s, port %d", settings.bind, settings.port)
    if settings.basic_auth is None:
        log.warning("%s", _EXPOSED if settings.insecure else _ONLY_HERE)
    while not stopping.is_set():
        wasyncore.loop(timeout=1.0, use_poll=True, map=sockets, count=1)
    server.accepting = False
    until = time.monotonic() + _PATIENCE
    while time.monotonic() < until and any(
        each.requests or each.total_outbufs_len for each in server.active_channels.values()
    ):
        wasyncore.loop(timeout=0.1, use_poll=True, map=sockets, count=1)
