"""Settings of libraries that hold for a whole process, tried in one of its own."""

from __future__ import annotations

import ctypes
import os
import subprocess
import sys
from pathlib import Path

import pytest

_CODE = """
import ctypes, threading
from backend.runtime.libraries import share_arenas
{first}
together, done = threading.Barrier(9), threading.Event()
def work():
    blocks = [bytearray(5000) for _ in range(100)]
    together.wait()
    done.wait()
threads = [threading.Thread(target=work) for _ in range(8)]
for each in threads: each.start()
together.wait()
libc = ctypes.CDLL(None)
libc.fopen.restype = ctypes.c_void_p
file = ctypes.c_void_p(libc.fopen(b"{file}", b"w"))
libc.malloc_info(0, file)
libc.fclose(file)
done.set()
"""


@pytest.mark.skipif(not hasattr(ctypes.CDLL(None), "malloc_info"), reason="only glibc has arenas")
def test_threads_share_two_arenas(tmp_path: Path) -> None:
    env = {name: value for name, value in os.environ.items() if name not in ("MALLOC_ARENA_MAX", "GLIBC_TUNABLES")}
    found = {}
    for first in ("", "share_arenas()"):
        file = tmp_path / f"arenas{len(first)}.xml"
        subprocess.run([sys.executable, "-c", _CODE.format(first=first, file=file)], check=True, env=env)
        found[first] = file.read_text().count("<heap nr=")
    assert found["share_arenas()"] <= 2 < found[""]
