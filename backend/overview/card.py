"""An adapter to take away: its files in a zip, with a model card that says what it is and how to load it."""

from __future__ import annotations

import json
from typing import BinaryIO
from zipfile import ZIP_DEFLATED, ZipFile

from backend.labelstudio.predictions import adapter_version
from backend.learners.loading import FOUR_BITS, SERVED, config_of, is_decoder, is_served
from backend.learners.packaged import HUB_IDS
from backend.learners.saved import describe
from backend.rounds.adapters import learned
from backend.store import Store
from backend.store.models import Adapter, Project, Round

_CARD = "README.md"
_SNIPPET = """\
import json
from pathlib import Path

import torch
from peft import PeftModel
from safetensors.torch import load_file
from transformers import AutoModel, AutoTokenizer

folder = Path(".")  # where this README lies
tokenizer = AutoTokenizer.from_pretrained(BASE)
model = PeftModel.from_pretrained(AutoModel.from_pretrained(BASE), str(folder)).eval()
heads = load_file(folder / "heads.safetensors")
targets = json.loads((folder / "learner.json").read_text("utf-8"))["targets"]


def classify(text, number=0):
    \"\"\"The probability of each class of a target with one class a text.\"\"\"
    pieces = tokenizer([text], truncation=True, max_length=LENGTH, return_tensors="pt")
    with torch.no_grad():
        read = model(input_ids=pieces.input_ids, attention_mask=pieces.attention_mask).last_hidden_state[0]POOLED
        logits = heads[f"{number}.weight"] @ read + heads[f"{number}.bias"]
    return dict(zip(targets[number]["classes"], logits.softmax(dim=0).tolist()))"""


def write_zip(store: Store, project: Project, adapter: Adapter, file: BinaryIO) -> None:
    """The adapter's files with README.md, under a folder named as the version."""
    folder, name = store.adapter_folder(project.id, adapter.number), adapter_version(project.id, adapter.number)
    with ZipFile(file, "w", ZIP_DEFLATED) as archive:
        for path in sorted(folder.rglob("*")):
            if path.is_file() and path.name != _CARD:  # peft leaves an empty form
                archive.write(path, f"{name}/{path.relative_to(folder).as_posix()}")
        archive.writestr(f"{name}/{_CARD}", card(store, project, adapter))


def card(store: Store, project: Project, adapter: Adapter) -> str:
    """The model card, in the Hugging Face hub's format."""
    rounds = [each for each in store.rounds.all(project.id) if (each.adapter, each.state) == (adapter.number, "done")]
    measured = next((each for each in reversed(rounds) if each.evaluation), None)
    plain = adapter.base_model.removesuffix(FOUR_BITS)
    base = HUB_IDS.get(plain, plain)
    name = adapter_version(project.id, adapter.number)
    if is_served(adapter.base_model):
        return _of_prompts(name, project, adapter, measured)
    kinds = _targets(adapter)
    header = json.dumps(base, ensure_ascii=False)
    length, _ = describe(store.adapter_folder(project.id, adapter.number))
    pooled = "[-1]" if is_decoder(config_of(adapter.base_model)) else ".mean(dim=0)"
    snippet = _SNIPPET.replace("BASE", header).replace("LENGTH", str(length)).replace("POOLED", pooled)
    return f"""---
library_name: peft
base_model: {header}
tags: [active-learning, label-studio, lora]
---

# {name}

A LoRA adapter trained with label-studio-active-learning on labels of the Label Studio project
"{project.title or project.id}".

- Base model: `{base}`{", in four bits" if adapter.base_model != plain else ""}
- Learned from {adapter.examples} labeled texts{_measured_on(measured)}
- The heads are linear layers of `heads.safetensors`, in the order of the targets in `learner.json`

## Targets

{kinds}

## Held-out score

{_scores(measured)}

## How to load it

```python
{snippet}
```

Of kinds other than classes, `learner.json` names the kind; label-studio-active-learning itself reads all of them.
"""


def _of_prompts(name: str, project: Project, adapter: Adapter, measured: Round | None) -> str:
    return f"""---
tags: [active-learning, label-studio]
---

# {name}

Prompts and linear heads for a language model behind a server, made with label-studio-active-learning from labels of the
Label Studio project "{project.title or project.id}".

- Model: `{adapter.base_model.removeprefix(SERVED)}`
- Learned from {adapter.examples} labeled texts{_measured_on(measured)}, some of which `prompts.json` shows as examples
- `heads.safetensors` has a linear layer for each target, in the order of `learner.json`. It reads the log-probabilities
  that the model gave to each prompt's letters, prompt after prompt, then the text's embedding by all-MiniLM-L6-v2

## Targets

{_targets(adapter)}

## Held-out score

{_scores(measured)}
"""


def _targets(adapter: Adapter) -> str:
    return "\n".join(f"- `{target.name}`: {target.kind}{_classes(target.classes)}" for target in learned(adapter))


def _classes(classes: tuple[str, ...]) -> str:
    return f" of {len(classes)} ({', '.join(classes)})" if classes else ""


def _measured_on(measured: Round | None) -> str:
    return f", measured on {(measured.evaluation or {})['labels']} that it did not see" if measured is not None else ""


def _scores(measured: Round | None) -> str:
    if measured is None:
        return "Not measured: there were no held-out labels."
    rows = [
        f"| `{name}` | {found['metric'].replace('_', ' ')} | {found['score']:.3f} | {found['low']:.3f} to "
        f"{found['high']:.3f} | {found['labels']} |"
        for name, found in (measured.evaluation or {})["controls"].items()
    ]
    return "\n".join(["| target | metric | score | 95 % interval | held-out labels |", "|---|---|---|---|---|", *rows])
