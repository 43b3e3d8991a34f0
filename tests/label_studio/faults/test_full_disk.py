"""A disk that fills up while an adapter is trained: the last good one serves, and all goes on when there is room."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from backend.store import Store

READ_ONLY = 'mount --bind "$0" "$0" && mount -o remount,bind,ro "$0" && exec "$@"'


@pytest.mark.faults
def test_a_disk_that_fills_up_in_the_middle_of_training(tiny_encoder: Path, tmp_path: Path) -> None:
    command = ["unshare", "--user", "--map-root-user", "--mount", sys.executable, "-m",
               "tests.label_studio.faults.full_disk", str(tiny_encoder), str(tmp_path)]  # fmt: skip
    ran = subprocess.run(
        command, capture_output=True, text=True, timeout=240, env={**os.environ, "OMP_NUM_THREADS": "1"}
    )
    assert ran.returncode == 0, ran.stderr[-3000:]
    seen = json.loads(ran.stdout.splitlines()[-1])
    assert seen["serving"], "the former adapter no longer serves"
    assert seen["half-written"] == []
    assert (seen["adapter"], seen["labels"]) == (2, 18)
    assert "No space left" in ran.stderr or "disk" in ran.stderr, ran.stderr[-3000:]


@pytest.mark.faults
def test_a_disk_that_is_read_only(tmp_path: Path) -> None:
    Store(tmp_path).database.migrate()
    (tmp_path / "state.sqlite3").chmod(0o644)  # as earlier releases left it
    environment = {
        **os.environ,
        "MODEL_DIR": str(tmp_path),
        "LABEL_STUDIO_URL": "http://x",
        "LABEL_STUDIO_API_KEY": "y",
    }
    lsal = [sys.executable, "-m", "backend"]
    for command in (["worker"], ["web"], ["doctor"]):
        ran = subprocess.run(
            ["unshare", "--user", "--map-root-user", "--mount", "sh", "-c", READ_ONLY, str(tmp_path), *lsal, *command],
            capture_output=True, text=True, env=environment,
        )  # fmt: skip
        assert ran.returncode == 1
        assert "Traceback" not in ran.stderr
        assert "Read-only file system" in ran.stderr + ran.stdout
