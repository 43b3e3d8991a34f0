"""What a hostile or clumsy client can do to the web process: answers of others, memory, time.

    python -m benchmarks.abuse [--print]

A project with an adapter that knows its class names (MiniLM), served by the real `lsal web`. `/health`, `/ready` and
`/webhook` are called in turn, ten times a second, alone, beside half-sent requests, and beside slow predictions as
well. Then large bodies, each once, and their memory: the peak beyond that of the process before. Last, what a round of
150 tasks of a megabyte takes of a worker, beside a real Label Studio (LABEL_STUDIO: its program). Writes
results/abuse.md, or only prints. Linux only.
"""

from __future__ import annotations

import argparse
import os
import socket
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path
from typing import Any

import httpx

from backend.labelstudio.markup import text_of_markup
from backend.learners.models.cache import BaseModels
from backend.rounds.context import Context
from backend.runtime.libraries import quiet_libraries
from backend.runtime.progress import bar
from backend.store import Store
from benchmarks import large_tasks
from benchmarks.rounds import one_round

_RESULT = Path(__file__).parent / "results" / "abuse.md"
_PORT = 9193
_URL = f"http://127.0.0.1:{_PORT}"
_HTTP = httpx.Client(base_url=_URL, timeout=6, headers={"Connection": "close"})  # as Label Studio: one call each
_HALVES = 9
_SLOW = 8  # calls of /predict at a time
_CALLS = 100  # of each route
_ROUTES = ("/health", "/ready", "/webhook")
_LARGE = 150  # tasks of a megabyte
_CONFIG = (
    '<View><Text name="text" value="$text"/><Choices name="topic" toName="text">'
    '<Choice value="billing"/><Choice value="delivery"/></Choices></View>'
)


def main() -> None:
    """Measure, print and write."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--print", action="store_true", help="write no file")
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder, _served(Path(folder)) as process:
        lines = [*_answers(), "", *_memory(process), "", *_markup()]
    lines += ["", large_tasks.measure(_LARGE)]
    text = "\n".join(["# Load and hostile input", "", "`python -m benchmarks.abuse`, MiniLM, 2 cores.", "", *lines, ""])
    print(text)
    if not arguments.print:
        _RESULT.write_text(text, "utf-8")


@contextmanager
def _served(folder: Path) -> Iterator[subprocess.Popen[bytes]]:
    """`lsal web` with an adapter of project 1."""
    quiet_libraries()
    store = Store(folder)
    store.database.migrate()
    store.projects.connect(1, label_config=_CONFIG, options={"base_model": "minilm"}, host="localhost")
    store.of(1).tasks.put_texts([(n, f"invoice parcel {n}") for n in range(1, 41)], seed=0, audit_share=0.1)
    one_round(Context(store=store, client=None, models=BaseModels(), bar=bar), 1)  # type: ignore[arg-type] # no calls
    store.database.close()
    environment = {**os.environ, "MODEL_DIR": str(folder), "PORT": str(_PORT), "HOST": "127.0.0.1"}
    process = subprocess.Popen([sys.executable, "-m", "backend", "web"], env=environment)
    try:
        while True:
            with suppress(httpx.HTTPError):
                httpx.get(f"{_URL}/health", timeout=1).raise_for_status()
                break
            time.sleep(0.2)
        _predict(["a first text loads the adapter"])
        yield process
    finally:
        process.terminate()
        process.wait()


def _predict(texts: list[str]) -> httpx.Response:
    tasks = [{"id": number, "data": {"text": text}} for number, text in enumerate(texts)]
    return httpx.post(f"{_URL}/predict", json={"project": 1, "tasks": tasks}, timeout=600)


def _answers() -> list[str]:
    rows = _rows("alone")
    with ExitStack() as stack:
        for _ in range(_HALVES):
            held = stack.enter_context(socket.create_connection(("127.0.0.1", _PORT)))
            held.sendall(b"POST /webhook HTTP/1.1\r\nHost: localhost\r\nContent-Length: 1000\r\n\r\n{")
        time.sleep(0.5)
        rows += _rows(f"{_HALVES} half-sent requests")
        stop = threading.Event()

        def slow(number: int) -> None:
            while not stop.is_set():
                _predict([f"{number} {time.time()} {row} " + "word and " * 200 for row in range(64)])

        with ThreadPoolExecutor() as pool:
            for number in range(_SLOW):
                pool.submit(slow, number)
            time.sleep(1.0)
            rows += _rows(f"the same, and {_SLOW} slow predictions at a time")
            stop.set()
    return ["| beside | route | p50 ms | p99 ms | no answer in 6 s |", "|---|---|---|---|---|", *rows]


def _rows(beside: str) -> list[str]:
    """The latencies of each route, called in turn."""
    found: dict[str, list[float]] = {route: [] for route in _ROUTES}
    event = {"action": "ANNOTATION_CREATED", "project": {"id": 1}}
    for _ in range(_CALLS):
        for route, seconds in found.items():
            began = time.perf_counter()
            with suppress(httpx.HTTPError):
                if route == "/webhook":
                    _HTTP.post(route, json=event).raise_for_status()
                else:
                    _HTTP.get(route)  # without a worker /ready answers 503
                seconds.append(time.perf_counter() - began)
            time.sleep(0.1 / len(_ROUTES))
    return [_row(beside, route, seconds) for route, seconds in found.items()]


def _row(beside: str, route: str, seconds: list[float]) -> str:
    lost = _CALLS - len(seconds)
    if not seconds:
        return f"| {beside} | {route} | – | – | all |"
    p99 = sorted(seconds)[int(0.99 * len(seconds)) - 1]
    return f"| {beside} | {route} | {1e3 * statistics.median(seconds):.0f} | {1e3 * p99:.0f} | {lost} |"


def _memory(process: subprocess.Popen[bytes]) -> list[str]:
    def raw(body: bytes) -> httpx.Response:
        return httpx.post(f"{_URL}/predict", content=body, timeout=600)

    empty = b'{"project":1,"tasks":[' + b"{}," * (20 * 2**20 // 3) + b"{}]}"
    texts = [f"{row} " + "a b " * 237_000 for row in range(30)]

    def eight() -> str:
        with ThreadPoolExecutor(8) as pool:
            return "/".join(sorted({str(each.status_code) for each in pool.map(raw, [empty] * 8)}))

    cases: dict[str, Callable[[], Any]] = {
        "30 texts of 0.95 MB": lambda: _predict(texts).status_code,
        "20 MB of empty objects": lambda: raw(empty).status_code,
        "8 of these at a time": eight,
    }
    rows = []
    for name, call in cases.items():
        with _peak(_workers(process)) as most:
            began = time.perf_counter()
            status = call()
            seconds = time.perf_counter() - began
        rows.append(f"| {name} | {status} | {seconds:.1f} | {most[0] / 2**30:.2f} |")
    return ["| body of /predict | status | seconds | more memory, GiB |", "|---|---|---|---|", *rows]


def _workers(process: subprocess.Popen[bytes]) -> list[int]:
    children = Path(f"/proc/{process.pid}/task/{process.pid}/children").read_text().split()
    return [process.pid, *map(int, children)]


@contextmanager
def _peak(processes: list[int]) -> Iterator[list[int]]:
    """The largest growth of resident memory of all processes together, in bytes."""
    most, stop = [0], threading.Event()
    before = sum(map(_resident, processes))

    def watch() -> None:
        while not stop.wait(0.02):
            most[0] = max(most[0], sum(map(_resident, processes)) - before)

    thread = threading.Thread(target=watch)
    thread.start()
    try:
        yield most
    finally:
        stop.set()
        thread.join()


def _resident(process: int) -> int:
    pages = int(Path(f"/proc/{process}/statm").read_text().split()[1])
    return pages * os.sysconf("SC_PAGE_SIZE")


def _markup() -> list[str]:
    rows = []
    for count in (12_500, 25_000, 50_000):
        text = "<p " + " ".join(f'a{number}="1"' for number in range(count)) + ">x</p>"
        began = time.perf_counter()
        text_of_markup(text)
        rows.append(f"| {count:,} | {time.perf_counter() - began:.3f} |")
    return ["| attributes of one HTML tag | seconds |", "|---|---|", *rows]


if __name__ == "__main__":
    main()
