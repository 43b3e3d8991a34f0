"""A server that speaks OpenAI's protocol, as vLLM, SGLang and llama.cpp do. The only file that knows `openai`."""

from __future__ import annotations

import logging
import threading
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

from backend.errors import ModelError
from backend.learners.base import Progress, no_progress

Message = Mapping[str, str]  # role, content
FirstTokens = Mapping[str, float]  # the likeliest first tokens of an answer, and their natural log-probabilities

_MOST = 20  # tokens that the protocol lets one ask for


@dataclass(frozen=True)
class Server:
    """Where it is, and how it is asked."""

    address: str
    key: str | None = None  # that it wants
    extra: Mapping[str, Any] = field(default_factory=dict)  # what else each question says
    at_once: int = 32  # questions under way
    tries: int = 5  # of each, where it is busy or away, ever later, as the library does it
    patience: float = 120.0  # seconds for an answer

    def first_tokens(
        self, model: str, conversations: Sequence[Sequence[Message]], progress: Progress = no_progress
    ) -> list[FirstTokens]:
        """How each answer would begin, in the order asked.

        Raises `ModelError` with what to do if the server cannot be reached, refuses, or tells no probabilities.
        """
        done, counting = 0, threading.Lock()

        def ask(conversation: Sequence[Message]) -> FirstTokens:
            nonlocal done
            found = self._ask(model, conversation)
            with counting:
                done += 1
                progress(done, len(conversations))
            return found

        threads = ThreadPoolExecutor(max(1, min(self.at_once, len(conversations))))
        try:
            return list(threads.map(ask, conversations))
        finally:
            threads.shutdown(cancel_futures=True)  # what has not begun when one failed

    def models(self) -> list[str]:
        """The names of what it serves."""
        import openai

        try:
            return [each.id for each in self._client.models.list()]
        except openai.OpenAIError as error:
            raise self._refusal(error, "") from None

    def _ask(self, model: str, conversation: Sequence[Message]) -> FirstTokens:
        import openai

        messages: Any = list(conversation)
        try:
            answer = self._client.chat.completions.create(
                model=model, messages=messages, max_tokens=1, logprobs=True, top_logprobs=_MOST,
                temperature=1.0, top_p=1.0, extra_body=dict(self.extra),
            )  # fmt: skip
        except openai.OpenAIError as error:
            raise self._refusal(error, model) from None
        told = answer.choices[0].logprobs if answer.choices else None
        if told is None or not told.content or not told.content[0].top_logprobs:
            raise ModelError(
                f"'{model}' at {self.address} tells no log-probabilities of its answers (top_logprobs), which this "
                "backend learns from; choose a model or server that does, such as vLLM"
            )
        found: dict[str, float] = {}
        for each in told.content[0].top_logprobs:
            found[each.token] = max(each.logprob, found.get(each.token, each.logprob))
        return found

    @cached_property
    def _client(self) -> Any:
        try:
            import openai
        except ImportError:
            raise ModelError(
                "a base model named openai:… needs a package more; pip install 'label-studio-active-learning[openai]'"
            ) from None
        for name in ("openai", "httpx2", "httpcore2"):  # they log requests, and those hold texts
            logging.getLogger(name).setLevel(logging.WARNING)
        return openai.OpenAI(
            base_url=self.address, api_key=self.key or "none", max_retries=self.tries - 1, timeout=self.patience,
            http_client=openai.DefaultHttpxClient(follow_redirects=False),  # texts and key go to this address only
        )  # fmt: skip

    def _refusal(self, error: Exception, model: str) -> ModelError:
        """What to do about it. What the server says is left out: it may quote the text."""
        import openai

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
        if status is not None and 400 <= status < 500 and status != 429:
            return ModelError(
                f"the language model's server at {self.address} refused a question to '{model}' (status {status}); its "
                "log tells why. Often the prompt is too long for it: lower shots or max_length"
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
