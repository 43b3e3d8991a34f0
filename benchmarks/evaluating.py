"""Cost of evaluation: the share of a round spent in `evaluate` and `judge`.

    python -m benchmarks.evaluating --data FOLDER

FOLDER holds trec6/ with train.jsonl. Rounds of the default adapter on MiniLM, without Label Studio; a quarter of an
hour.
"""

from __future__ import annotations

import argparse
import tempfile
from pathlib import Path

import torch

from backend.learners.models.cache import BaseModels
from backend.rounds.context import Context
from backend.runtime.libraries import quiet_libraries
from backend.runtime.progress import bar
from backend.simulation.data import read
from backend.store import Store
from benchmarks.rounds import one_round

_RESULT = Path(__file__).parent / "results" / "evaluating.md"
_TEXTS = 4000
_LABELS = (100, 300, 1000)
_PROJECT = 1
_STEPS = ("train", "score", "evaluate", "judge", "select")


def main() -> None:
    """Measure, print and write."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, required=True)
    arguments = parser.parse_args()
    quiet_libraries()
    torch.set_num_threads(2)
    data = read(arguments.data / "trec6" / "train.jsonl")
    texts, labels = data.texts[:_TEXTS], data.labels[:_TEXTS]
    choices = "".join(f'<Choice value="{name}"/>' for name in sorted(set(labels)))
    config = f'<View><Text name="text" value="$text"/><Choices name="topic" toName="text">{choices}</Choices></View>'
    lines = [
        "# Cost of evaluation\n",
        f"`python -m benchmarks.evaluating`: seconds by step of rounds over {_TEXTS} TREC questions with a target and "
        "strategy `auto`, which both need measurements, 2 threads.\n",
        f"| labels | {' | '.join(_STEPS)} | (evaluate + judge) / rest |",
        f"|---|{'---|' * len(_STEPS)}---|",
    ]
    with tempfile.TemporaryDirectory() as folder:
        store = Store(Path(folder))
        store.database.migrate()
        context = Context(store=store, client=None, models=BaseModels(), bar=bar)  # type: ignore[arg-type]
        options = {"target": 0.95, "strategy": "auto", "max_length": 64}
        store.projects.connect(_PROJECT, label_config=config, options=options, host="localhost")
        store.of(_PROJECT).tasks.put_texts(list(enumerate(texts, 1)), seed=0, audit_share=0.1)
        for number, known in enumerate(_LABELS, 1):
            annotations = [(task, {"topic": labels[task - 1]}, True, False) for task in range(1, known + 1)]
            store.of(_PROJECT).tasks.put_annotations(annotations)
            assert one_round(context, _PROJECT).number == number
            done = store.of(_PROJECT).rounds.get(number)
            assert done is not None
            spent = {name: done.seconds.get(name, 0.0) for name in _STEPS}
            ours = spent["evaluate"] + spent["judge"]
            rest = sum(spent.values()) - ours
            cells = [str(known), *(f"{seconds:.1f}" for seconds in spent.values()), f"{100 * ours / rest:.1f} %"]
            lines.append(f"| {' | '.join(cells)} |")
    written = "\n".join(lines) + "\n"
    print(written)
    _RESULT.write_text(written, "utf-8")


if __name__ == "__main__":
    main()
