"""The web server, waitress: it reads a request completely before one of its threads works on it.

So a client that sends half a request holds a socket, not a thread.
"""

from __future__ import annotations

import logging
import signal
import socket
import threading
import time
from typing import Any

from flask import Flask
from waitress import wasyncore
from waitress.channel import HTTPChannel
from waitress.parser import HTTPRequestParser, ParsingError
from waitress.server import create_server
from waitress.utilities import RequestEntityTooLarge

from backend.errors import RefusedStartError
from backend.settings import LARGE, Settings

log = logging.getLogger(__name__)

WAITING = 24  # threads of calls of /predict that wait for a place, since many annotators may open a task at once
_BESIDE = 4  # threads that calls of /predict never use, so that others are answered while all of those are slow
_CONNECTIONS = 500  # open at the same time, half-sent requests included; more wait to be accepted
_INACTIVE = 60  # seconds until a silent connection is closed
_LONGEST = 60.0  # seconds in which a request must arrive, and more for a large body:
_SLOWEST = 50_000.0  # bytes a second
_HELD = 4  # times MAX_BODY_MB: bytes of bodies on their way, of all connections together
_HEADERS = 64 * 1024  # bytes
_TEND_EVERY = 0.5  # seconds between checks of the connections
_PATIENCE = 30.0  # seconds that requests in progress may take to finish at the end
_ONLY_HERE = (
    "no password is set, so that only programs on this machine reach the backend. For a Label Studio in a container or "
    "on another machine set BASIC_AUTH_USER and BASIC_AUTH_PASS, and enter both in Settings → Model"
)
_EXPOSED = (
    "LSAL_INSECURE is set: everyone who reaches this port can read texts and labels. Set BASIC_AUTH_USER and "
    "BASIC_AUTH_PASS, unless only Label Studio reaches it; then set ALLOWED_HOSTS to the name by which it calls"
)


class _TooLarge(RequestEntityTooLarge):  # type: ignore[misc] # waitress has no types
    def __init__(self, most: int) -> None:
        advice = "send less" if most == LARGE else "send fewer tasks, or raise MAX_BODY_MB"
        self.reason = f"The body has more than {most / 2**20:g} MB; {advice}"
        super().__init__("")


class _Request(HTTPRequestParser):  # type: ignore[misc] # waitress has no types
    """A request on its way. One that is too large is refused once its headers are there."""

    most = 0  # bytes of a body of /predict
    completed: bool

    def __init__(self, adjustments: Any) -> None:
        super().__init__(adjustments)
        self.began = time.monotonic()

    def parse_header(self, header_plus: bytes) -> None:
        """Refuse chunked bodies, whose size is not known, and which waitress joins in quadratic time."""
        super().parse_header(header_plus)
        if self.chunked:
            raise ParsingError("a body in chunks is not accepted; send its Content-Length")

    def received(self, data: bytes) -> int:
        """Take data; returns the number of bytes taken."""
        taken: int = super().received(data)
        if self.headers_finished and not self.completed:
            most = self.most if self.path.endswith("/predict") else min(LARGE, self.most)
            if self.content_length > most:
                self.error, self.completed = _TooLarge(most), True
        return taken

    def is_late(self) -> bool:
        """Whether it should have arrived by now."""
        return time.monotonic() - self.began > _LONGEST + float(self.content_length) / _SLOWEST


def listen(settings: Settings) -> socket.socket:
    """A socket that listens. Raises `RefusedStartError` if address and port cannot be used."""
    family = socket.AF_INET6 if ":" in settings.bind else socket.AF_INET
    both = settings.bind == "::" and socket.has_dualstack_ipv6()
    try:
        return socket.create_server((settings.bind, settings.port), family=family, dualstack_ipv6=both, backlog=1024)
    except OSError as error:
        reason = (error.strerror or str(error)).partition(" (while")[0]
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
        threads=settings.threads + WAITING + _BESIDE,
        connection_limit=_CONNECTIONS,
        channel_timeout=_INACTIVE,
        max_request_header_size=_HEADERS,
        clear_untrusted_proxy_headers=False,  # none is used
        log_socket_errors=False,  # clients that have gone
        ident=None,
    )
    most = settings.max_body_mb * 2**20
    server.channel_class = type(
        "Channel", (HTTPChannel,), {"parser_class": type("Request", (_Request,), {"most": most})}
    )
    logging.getLogger("waitress.queue").setLevel(logging.ERROR)  # it warns of each request that waits for a thread
    log.info("listening on %s, port %d", settings.bind, settings.port)
    if settings.basic_auth is None:
        log.warning("%s", _EXPOSED if settings.insecure else _ONLY_HERE)
    tended = time.monotonic()
    while not stopping.is_set():
        wasyncore.loop(timeout=1.0, use_poll=True, map=sockets, count=1)
        if time.monotonic() - tended > _TEND_EVERY:
            _tend(list(server.active_channels.values()), _HELD * most)
            tended = time.monotonic()
    server.del_channel()  # accept no more
    server.socket.close()
    until = time.monotonic() + _PATIENCE
    while time.monotonic() < until and any(
        each.requests or each.total_outbufs_len for each in server.active_channels.values()
    ):
        wasyncore.loop(timeout=0.1, use_poll=True, map=sockets, count=1)


def _tend(channels: list[Any], most: int) -> None:
    """Close connections whose request is late, and those with the largest bodies while all hold more than `most`."""
    unfinished = [each for each in channels if each.request is not None]
    held = sum(each.request.body_bytes_received for each in unfinished)
    for each in sorted(unfinished, key=lambda channel: -channel.request.body_bytes_received):
        if held > most or each.request.is_late():
            held -= each.request.body_bytes_received
            each.will_close = True
