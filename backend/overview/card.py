"""Download of an adapter: its files as a ZIP archive, with a model card."""

from __future__ import annotations

import json
import shutil
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any, BinaryIO
from zipfile import ZIP_DEFLATED, ZipFile

from huggingface_hub import ModelCard, ModelCardData

from backend.errors import BackendError
from backend.evaluation.bounds import ENOUGH
from backend.labelstudio.predictions import adapter_version
from backend.learners.models.loading import FOUR_BITS, SERVED, config_of, is_decoder, is_served
from backend.learners.models.merging import merge
from backend.learners.models.packaged import HUB_IDS
from backend.learners.saved import describe, usage_of
from backend.rounds.adapters import learned
from backend.store import Store
from backend.store.sql.models import Adapter, Project, Round

_CARD = "README.md"
_POOLED = {"mean": ".mean(dim=0)", "cls": "[0]", "lasttoken": "[-1]"}
_LOAD_ADAPTER = "PeftModel.from_pretrained(AutoModel.from_pretrained(BASE), str(folder)).eval()"
_SNIPPET = """\
import json
from pathlib import Path

import torch
from peft import PeftModel
from safetensors.torch import load_file
from transformers import AutoModel, AutoTokenizer

folder = Path(".")  # the folder of this README
tokenizer = AutoTokenizer.from_pretrained(BASE)
model = LOAD
heads = load_file(folder / "heads.safetensors")
targets = json.loads((folder / "learner.json").read_text("utf-8"))["targets"]


def classify(text, number=0):
    \"\"\"The probability of each class, for a target with one class per text.\"\"\"
    pieces = tokenizer([TEXT], truncation=True, max_length=LENGTH, return_tensors="pt")
    with torch.no_grad():
        read = model(input_ids=pieces.input_ids, attention_mask=pieces.attention_mask).last_hidden_state[0]POOLED
        logits = heads[f"{number}.weight"] @ read + heads[f"{number}.bias"]
    return dict(zip(targets[number]["classes"], logits.softmax(dim=0).tolist()))"""


def write_merged(store: Store, project: Project, adapter: Adapter, to: Path) -> None:
    """Write the base model with the adapter merged into it, with a card, into a new folder.

    Raises `ModelError` if that is not possible, `BackendError` if the folder exists and is not empty.
    """
    if to.exists() and (not to.is_dir() or any(to.iterdir())):
        raise BackendError(f"{to} is not an empty folder; name a new one")
    try:
        to.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=to.parent) as made:
            merge(adapter.base_model, store.adapter_folder(project.id, adapter.number), Path(made))
            (Path(made) / _CARD).write_text(card(store, project, adapter, merged=True), "utf-8")
            shutil.copytree(made, to, dirs_exist_ok=True)
    except OSError as error:
        raise BackendError(f"{to} cannot be written ({error.strerror or type(error).__name__})") from None


def write_zip(store: Store, project: Project, adapter: Adapter, file: BinaryIO) -> None:
    """Write the adapter's files and README.md, in a folder with the name of the version."""
    folder, name = store.adapter_folder(project.id, adapter.number), adapter_version(project.id, adapter.number)
    with ZipFile(file, "w", ZIP_DEFLATED) as archive:
        for path in sorted(folder.rglob("*")):
            if path.is_file() and path.name != _CARD:  # which PEFT writes, without content
                archive.write(path, f"{name}/{path.relative_to(folder).as_posix()}")
        archive.writestr(f"{name}/{_CARD}", card(store, project, adapter))


def card(store: Store, project: Project, adapter: Adapter, *, merged: bool = False) -> str:
    """The model card, in the format of the Hugging Face Hub. merged: of the base model that holds the adapter."""
    rounds = [
        each for each in store.of(project.id).rounds.all() if (each.adapter, each.state) == (adapter.number, "done")
    ]
    measured = next((each for each in reversed(rounds) if each.evaluation), None)
    plain = adapter.base_model.removesuffix(FOUR_BITS)
    base = HUB_IDS.get(plain, plain)
    name = adapter_version(project.id, adapter.number)
    if is_served(adapter.base_model):
        return _of_prompts(name, project, adapter, measured)
    kinds = _targets(adapter)
    library, tags = ("transformers", []) if merged else ("peft", ["lora"])
    data = ModelCardData(library_name=library, base_model=base, tags=["active-learning", "label-studio", *tags])
    folder = store.adapter_folder(project.id, adapter.number)
    length, _ = describe(folder)
    usage = usage_of(folder, is_decoder=is_decoder(config_of(adapter.base_model)))
    code = _SNIPPET.replace("LOAD", _LOAD_ADAPTER)
    if merged:  # it needs no other base
        code = _SNIPPET.replace("LOAD", "AutoModel.from_pretrained(BASE).eval()").replace("(BASE)", "(folder)")
        code = code.replace("from peft import PeftModel\n", "")
    snippet = (
        code.replace("BASE", json.dumps(base, ensure_ascii=False))
        .replace("LENGTH", str(length))
        .replace("POOLED", _POOLED[usage.pooling])
        .replace("TEXT", f"{json.dumps(usage.prefix)} + text" if usage.prefix else "text")
    )
    return _page(
        data,
        f"""# {name}

A {"model" if merged else "LoRA adapter"} trained with label-studio-active-learning on labels of the Label Studio
project "{project.title or project.id}".

- Base model: `{base}`{", with 4-bit weights" if adapter.base_model != plain else ""}
- Trained on {adapter.examples} labeled texts{_of_teacher(adapter)}{_measured_on(measured)}
- Heads: one linear layer per target in `heads.safetensors`, in the order of the targets in `learner.json`

## Targets

{kinds}

## Held-out score

{_scores(measured)}

## How to load it

```python
{snippet}
```

`learner.json` names the kind of each target. The code above reads targets with classes;
label-studio-active-learning reads all kinds.
""",
    )


def _of_prompts(name: str, project: Project, adapter: Adapter, measured: Round | None) -> str:
    return _page(
        ModelCardData(tags=["active-learning", "label-studio"]),
        f"""# {name}

Prompts and linear heads for a language model on a server, made with label-studio-active-learning from labels of the
Label Studio project "{project.title or project.id}".

- Model: `{adapter.base_model.removeprefix(SERVED)}`
- Trained on {adapter.examples} labeled texts{_measured_on(measured)}. Some of them are the examples in `prompts.json`
- Heads: one linear layer per target in `heads.safetensors`, in the order of `learner.json`. Its input is the model's
  log-probabilities of the letters of each prompt, prompt after prompt, then the text's embedding by all-MiniLM-L6-v2

## Targets

{_targets(adapter)}

## Held-out score

{_scores(measured)}
""",
    )


def _page(data: ModelCardData, text: str) -> str:
    return str(ModelCard(f"---\n{data.to_yaml()}\n---\n\n{text}"))


def _targets(adapter: Adapter) -> str:
    return "\n".join(f"- `{target.name}`: {target.kind}{_classes(target.classes)}" for target in learned(adapter))


def _classes(classes: tuple[str, ...]) -> str:
    return f" of {len(classes)} ({', '.join(classes)})" if classes else ""


def _of_teacher(adapter: Adapter) -> str:
    return f", and on a language model's answers to {adapter.soft} others" if adapter.soft else ""


def _measured_on(measured: Round | None) -> str:
    return f", measured on {(measured.evaluation or {})['labels']} held-out labels" if measured is not None else ""


def _score(found: Mapping[str, Any]) -> str:
    return f"{found['score']:.3f}" if found["labels"] >= ENOUGH else "too few labels"


def _scores(measured: Round | None) -> str:
    if measured is None:
        return "Not measured: there were no held-out labels."
    rows = [
        f"| `{name}` | {found['metric'].replace('_', ' ')} | {_score(found)} | {found['low']:.3f} to "
        f"{found['high']:.3f} | {found['labels']} |"
        for name, found in (measured.evaluation or {})["controls"].items()
    ]
    return "\n".join(["| target | metric | score | 95 % interval | held-out labels |", "|---|---|---|---|---|", *rows])
