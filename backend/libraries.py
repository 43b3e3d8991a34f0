"""What the libraries of models may say and how much of the machine they may take."""

from __future__ import annotations

import os
import warnings


def use_cores(*, spare: int) -> None:
    """Let torch compute on all cores but so many."""
    import torch  # which takes seconds: only the commands that compute need it

    # Of the processors this process may run on, which a container's or taskset's limit makes fewer.
    there = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    torch.set_num_threads(max(1, there - spare))


def quiet_libraries() -> None:
    """No progress bars of weights in a server's log."""
    from transformers.utils import logging as transformers_logging

    transformers_logging.disable_progress_bar()
    transformers_logging.set_verbosity_error()
    # peft calls a name that transformers is about to drop, at every training.
    warnings.filterwarnings("ignore", category=FutureWarning, module="transformers")
