"""A server that speaks OpenAI's protocol, as vLLM, SGLang and llama.cpp do. The only file that knows `openai`."""

from __future__ import annotations

import json
import logging
import threading
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import cached_property
from hashlib import blake2b
from typing import Any

from backend.errors import ModelError
from backend.learners.base import Progress, no_progress

Message = Mapping[str, str]  # role, content
FirstTokens = Mapping[str, float]  # the likeliest first tokens of an answer, and their natural log-probabilities

log = logging.getLogger(__name__)

_MOST = 20  # tokens that the protocol lets one ask for


class _RefusedError(ModelError):
    """A question that the server will not answer, though it is well."""


@dataclass(frozen=True)
class Server:
    """Where it is, and how it is asked."""

    address: str
    key: str | None = field(default=None, repr=False)  # that it wants
    extra: Mapping[str, Any] = field(default_factory=dict, repr=False)  # what else each question says
    at_once: int = 32  # questions under way, of all threads together
    tries: int = 5  # of each, where it is busy or away, ever later, as the library does it
    patience: float = 120.0  # seconds for an answer
    _turns: threading.BoundedSemaphore = field(init=False, repr=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "_turns", threading.BoundedSemaphore(self.at_once))

    @property
    def digest(self) -> str:
        """Equal for servers that may be trusted to give the same answers: of one address, asked alike."""
        asked = json.dumps([self.address, self.extra], sort_keys=True)
        return blake2b(asked.encode("utf-8", "surrogatepass"), digest_size=8).hexdigest()

    def first_tokens(
        self, model: str, conversations: Sequence[Sequence[Message]], progress: Progress = no_progress
    ) -> list[FirstTokens]:
        """How each answer would begin, in the order asked; nothing for a question that the server will not answer.

        Raises `ModelError` with what to do if the server cannot be reached, tells no probabilities, or refuses more
        than half of the questions.
        """
        done, counting = 0, threading.Lock()
        refused: list[_RefusedError] = []

        def ask(conversation: Sequence[Message]) -> FirstTokens:
            nonlocal done
            found: FirstTokens = {}
            try:
                with self._turns:
                    found = self._ask(model, conversation)
            except _RefusedError as error:  # a filter of contents, or one text too long for it
                refused.append(error)
            with counting:
                done += 1
                progress(done, len(conversations))
            return found

        threads = ThreadPoolExecutor(max(1, min(self.at_once, len(conversations))))
        try:
            found = list(threads.map(ask, conversations))
        finally:
            threads.shutdown(cancel_futures=True)  # what has not begun when one failed
        if 2 * len(refused) > len(conversations):
            raise refused[0]
        if refused:
            log.warning("%d of %d questions: %s", len(refused), len(conversations), refused[0])
        return found

    def models(self) -> list[str]:
        """The names of what it serves."""
        with self._understood(""):
            return [str(each.id) for each in self._client.models.list()]

    def _ask(self, model: str, conversation: Sequence[Message]) -> FirstTokens:
        messages: Any = list(conversation)
        with self._understood(model):
            answer = self._client.chat.completions.create(
                model=model, messages=messages, max_tokens=1, logprobs=True, top_logprobs=_MOST,
                temperature=1.0, top_p=1.0, extra_body=dict(self.extra),
            )  # fmt: skip
            told = answer.choices[0].logprobs
            tops = told.content[0].top_logprobs if told is not None and told.content else None
            found: dict[str, float] = {}
            for each in tops or ():
                found[each.token] = max(each.logprob, found.get(each.token, each.logprob))
        if not found:
            raise ModelError(
                f"'{model}' at {self.address} tells no log-probabilities of its answers (top_logprobs), which this "
                "backend learns from; choose a model or server that does, such as vLLM"
            )
        return found

    @contextmanager
    def _understood(self, model: str) -> Iterator[None]:
        """Inside the block what goes wrong becomes a `ModelError` that says what to do."""
        openai = _library()
        try:
            yield
        except openai.OpenAIError as error:
            raise self._refusal(error, model) from None
        except (AttributeError, IndexError, KeyError, TypeError, ValueError):  # pages of people, or no JSON
            raise ModelError(
                f"{self.address} answers something else than OpenAI's protocol; check OPENAI_BASE_URL, which mostly "
                "ends in /v1"
            ) from None

    @cached_property
    def _client(self) -> Any:
        openai = _library()
        for name in ("openai", "httpx", "httpcore", "httpx2", "httpcore2"):  # they log requests, and those hold texts
            logging.getLogger(name).setLevel(logging.WARNING)
        return openai.OpenAI(
            base_url=self.address, api_key=self.key or "none", max_retries=self.tries - 1, timeout=self.patience,
            http_client=openai.DefaultHttpxClient(follow_redirects=False),  # texts and key go to this address only
        )  # fmt: skip

    def _refusal(self, error: Exception, model: str) -> ModelError:
        """What to do about it. What the server says is left out: it may quote the text."""
        openai = _library()
        if isinstance(error, openai.APIConnectionError):
            slow = isinstance(error, openai.APITimeoutError)
            what = f"did not answer within {self.patience:.0f} s" if slow else "cannot be reached"
            return ModelError(
                f"the language model's server at {self.address} {what}; check that it runs, and OPENAI_BASE_URL"
            )
        status = getattr(error, "status_code", None)
        if status in (401, 403):
            return ModelError(f"the language model's server at {self.address} refused the key; set OPENAI_API_KEY")
        if status == 404:
            return ModelError(
                f"the language model's server at {self.address} does not know '{model}'{self._known()}; name one that "
                "it serves as in openai:NAME, and check that OPENAI_BASE_URL ends as it should, mostly in /v1"
            )
        if status is not None and 300 <= status < 400:
            return ModelError(
                f"{self.address} sends questions elsewhere (status {status}), where they were not sent; set "
                "OPENAI_BASE_URL to that address if it is right"
            )
        if status is not None and 400 <= status < 500 and status not in (408, 409, 429):
            return _RefusedError(
                f"the language model's server at {self.address} refused a question to '{model}' (status {status}); its "
                "log tells why. The prompt may be too long for it (lower shots or max_length), or it may not tell "
                "log-probabilities"
            )
        return ModelError(
            f"the language model's server at {self.address} failed {self.tries} times (status {status}); its log tells "
            "why"
        )

    def _known(self) -> str:
        try:
            return f"; it serves {', '.join(self.models()[:10])}"
        except (ModelError, ValueError):
            return ""


def _library() -> Any:
    try:
        import openai
    except ImportError:
        raise ModelError(
            "a base model named openai:… needs a package more; pip install 'label-studio-active-learning[openai]'"
        ) from None
    return openai
