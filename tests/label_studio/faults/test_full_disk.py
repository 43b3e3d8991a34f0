"""A disk that fills up while an adapter is trained: the last good one serves, and all goes on when there is room."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest


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
