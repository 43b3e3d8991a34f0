"""A small language model behind a server that speaks OpenAI's protocol.

It reads prompts as large ones do: what words mean it knows more or less (`knows`), and it goes by the examples that it
is shown. It favours the first letter, and prefers answers about fruit to those about tools, and these to those about
animals.
"""

from __future__ import annotations

import json
import math
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler
from typing import Any

from backend.learners.served.server import Server
from tests.conftest import CLASSES, WORDS
from tests.servers import http_server

MODEL = "toy-70b"
_MEANS = {word: name for name, words in WORDS.items() for word in words}


@dataclass
class LanguageModel:
    """What it does, and what came."""

    url: str = ""
    key: str | None = None  # that it wants
    knows: float = 1.0  # how much it makes of a word whose meaning it knows
    begins: str | None = None  # what it says instead of a letter
    tells: bool = True  # log-probabilities
    confuses: dict[str, str] = field(default_factory=dict)  # meanings that it takes for others, of single choices
    thinks: dict[str, tuple[str, float]] = field(default_factory=dict)  # what it takes words for, how surely
    page: str | None = None  # what it answers to everything instead
    failures: list[int] = field(default_factory=list)  # statuses to answer with first
    asked: list[dict[str, Any]] = field(default_factory=list)  # bodies
    at_once: int = 0  # the most questions that were under way together

    def server(self, **others: Any) -> Server:
        """How the backend knows it."""
        return Server(f"{self.url}/v1", self.key, **others)

    def questions(self) -> list[str]:
        """The texts that it was asked about."""
        return [body["messages"][-1]["content"] for body in self.asked]

    def likely(self, messages: Sequence[dict[str, str]]) -> dict[str, float]:
        """The first tokens of its answer."""
        if self.begins is not None:
            return {self.begins: math.log(0.999), "A": math.log(1e-6)}
        task, question = messages[0]["content"], messages[-1]["content"]
        options = dict(line.split(". ", 1) for line in task.splitlines() if line[1:2] == ".")
        about = [self.confuses.get(each, each) for each in _about(question)]
        scores = {letter: self.knows * about.count(name) for letter, name in options.items()}
        if "number" in task.splitlines()[0]:  # a text is worth two for fruit, two for tools, and one
            worth = 1 + 2 * ("fruit" in _about(question)) + 2 * ("tool" in _about(question))
            scores = {letter: -self.knows * abs(float(name) - worth) for letter, name in options.items()}
        if not options:  # which of two answers
            first, second = (part for part in question.split("Answer ")[1:])
            ranks = [min(map(CLASSES.index, _about(part)), default=3) for part in (first, second)]
            scores = {"A": self.knows * (ranks[1] - ranks[0]), "B": 0.0}
        words = set(question.split())
        for shown, answer in zip(messages[1:-1:2], messages[2:-1:2], strict=True):
            scores[answer["content"]] += 0.5 * len(words & set(shown["content"].split()) & set(_MEANS))
        scores["A"] = scores.get("A", 0.0) + 1.0
        total = math.log(sum(map(math.exp, scores.values())))
        found = {letter: value - total + math.log(0.7) for letter, value in scores.items()}
        likely = dict(sorted(found.items(), key=lambda each: -each[1])[:9])
        return {
            **likely,
            **{f" {letter}": value + math.log(0.2 / 0.7) for letter, value in likely.items()},
            "The": -2.4,
        }

    def written(self, messages: Sequence[dict[str, str]]) -> list[tuple[str, float]]:
        """The tokens of its answer that quotes the words that mean one of the options."""
        if self.begins is not None:
            return [(self.begins, -0.1)]
        task, text = messages[0]["content"], messages[-1]["content"].partition("Text:\n")[2].partition("\n\nParts:")[0]
        if "Write what is wanted" in task:
            log = -0.1 if _about(messages[-1]["content"]) else -2.0
            words = [f" {WORDS[name][0]}" for name in _about(messages[-1]["content"])]
            return [(messages[-2]["content"].split()[0] if len(messages) > 2 else "well", log),
                    *((word, log) for word in words)]  # fmt: skip
        letters = {name: line[0] for line in task.splitlines() if line[1:2] == "." for name in [line[3:]]}
        tokens: list[tuple[str, float]] = []
        for word in text.split():
            meaning, log = self.thinks.get(word, (_MEANS.get(word), -0.1))
            if meaning in letters:
                tokens += [(f"{letters[meaning]}:", log), (f" {word}", log), ("\n", 0.0)]
        return tokens or [("none", -0.2)]


def _completion(body: dict[str, Any], tokens: Sequence[tuple[str, float]], model: LanguageModel) -> dict[str, Any]:
    content = [{"token": token, "logprob": value, "bytes": None, "top_logprobs": []} for token, value in tokens]
    return {
        "id": "x", "object": "chat.completion", "created": 0, "model": MODEL,
        "usage": {"prompt_tokens": words_of(body["messages"]), "completion_tokens": len(tokens), "total_tokens": 0},
        "choices": [{
            "index": 0, "finish_reason": "stop",
            "message": {"role": "assistant", "content": "".join(token for token, _ in tokens)},
            "logprobs": {"content": content} if model.tells else None,
        }],
    }  # fmt: skip


def words_of(messages: Sequence[dict[str, str]]) -> int:
    """The tokens of a conversation, as this model counts them."""
    return sum(len(message["content"].split()) for message in messages)


def _about(text: str) -> list[str]:
    return [_MEANS[word] for word in text.split() if word in _MEANS]


@contextmanager
def language_model() -> Iterator[LanguageModel]:
    """One that serves."""
    model = LanguageModel()
    lock, under_way = threading.Lock(), 0

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"  # connections stay
        wbufsize = -1  # an answer is one packet

        def do_GET(self) -> None:
            self._answer(200, {"object": "list", "data": [{"id": MODEL, "object": "model"}]})

        def do_POST(self) -> None:
            nonlocal under_way
            with lock:
                under_way += 1
                model.at_once = max(model.at_once, under_way)
            try:
                self._chat()
            finally:
                with lock:
                    under_way -= 1

        def _chat(self) -> None:
            body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
            if model.key is not None and self.headers["Authorization"] != f"Bearer {model.key}":
                return self._answer(401, {"error": {"message": "no such key"}})
            if self.path != "/v1/chat/completions" or body["model"] != MODEL:
                return self._answer(404, {"error": {"message": "not found"}})
            with lock:
                status = model.failures.pop(0) if model.failures else 200
                model.asked.append(body)
            if status != 200:
                return self._answer(status, {"error": {"message": f"about {body['messages'][-1]['content']}"}})
            assert body["logprobs"] is True
            if body["max_tokens"] > 1:
                return self._answer(200, _completion(body, model.written(body["messages"]), model))
            assert body["max_tokens"] == 1
            likely = dict(list(model.likely(body["messages"]).items())[: body["top_logprobs"]])
            tops = [{"token": token, "logprob": value, "bytes": None} for token, value in likely.items()]
            return self._answer(200, {
                "id": "x", "object": "chat.completion", "created": 0, "model": MODEL,
                "usage": {"prompt_tokens": words_of(body["messages"]), "completion_tokens": 1, "total_tokens": 0},
                "choices": [{
                    "index": 0, "finish_reason": "length",
                    "message": {"role": "assistant", "content": tops[0]["token"]},
                    "logprobs": {"content": [{**tops[0], "top_logprobs": tops}]} if model.tells else None,
                }],
            })  # fmt: skip

        def _answer(self, status: int, body: dict[str, Any]) -> None:
            content = (model.page or json.dumps(body)).encode()
            self.send_response(status)
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(content)))
            self.send_header("retry-after-ms", "10")
            self.end_headers()
            self.wfile.write(content)

        def log_message(self, *_: object) -> None:
            pass

    with http_server(Handler) as url:
        model.url = url
        yield model
