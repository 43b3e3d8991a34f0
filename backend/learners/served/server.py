"""Client of a server with the OpenAI API, such as vLLM, SGLang or llama.cpp. The only file that imports `openai`."""

from __future__ import annotations

import json
import logging
import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor, as_completed
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import cached_property, partial
from hashlib import blake2b
from typing import Any, NamedTuple, TypeVar

from backend.errors import ModelError
from backend.learners.base import Progress, no_progress

Message = Mapping[str, str]  # role, content
FirstTokens = Mapping[str, float]  # most probable first tokens of an answer → natural log-probabilities
T = TypeVar("T")

log = logging.getLogger(__name__)


class Tokens(NamedTuple):
    """Numbers of tokens, as the server counts them; 0 if it does not."""

    input: int = 0
    output: int = 0


class Written(NamedTuple):
    """An answer of several tokens, each with its natural log-probability; no tokens if the server returns none."""

    text: str = ""
    tokens: tuple[tuple[str, float], ...] = ()


_TOP_LOGPROBS = 20  # maximum of the API


class _RefusedError(ModelError):
    """The server refuses this one request, but works otherwise."""


@dataclass(frozen=True)
class Server:
    """Address, credentials and request settings of the server."""

    address: str
    key: str | None = field(default=None, repr=False)  # API key, if the server needs one
    extra: Mapping[str, Any] = field(default_factory=dict, repr=False)  # additional fields of each request body
    at_once: int = 32  # concurrent requests, over all threads
    tries: int = 5  # per request, if the server is busy or unreachable, with the library's backoff
    patience: float = 120.0  # timeout of a request in seconds
    _turns: threading.BoundedSemaphore = field(init=False, repr=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "_turns", threading.BoundedSemaphore(self.at_once))

    @property
    def digest(self) -> str:
        """Cache key: equal for servers with the same address and extra fields, which should answer alike."""
        settings = json.dumps([self.address, self.extra], sort_keys=True)
        return blake2b(settings.encode("utf-8", "surrogatepass"), digest_size=8).hexdigest()

    def first_tokens(
        self, model: str, conversations: Sequence[Sequence[Message]], progress: Progress = no_progress
    ) -> tuple[list[FirstTokens], Tokens]:
        """First-token log-probabilities of each answer, in input order, and the tokens of all.

        Empty for a request that the server refuses.

        Raises `ModelError` with a remedy if the server cannot be reached, returns no log-probabilities, or refuses more
        than half of the requests.
        """
        return self._each(partial(self._first_tokens_of, model), {}, conversations, progress)

    def texts(
        self, model: str, conversations: Sequence[Sequence[Message]], most: int, progress: Progress = no_progress
    ) -> tuple[list[Written], Tokens]:
        """As `first_tokens`, the most probable answers of up to `most` tokens, also without log-probabilities."""
        return self._each(partial(self._text_of, model, most), Written(), conversations, progress)

    def _each(
        self, ask: Callable[[Sequence[Message]], tuple[T, Tokens]], refusal: T,
        conversations: Sequence[Sequence[Message]], progress: Progress,
    ) -> tuple[list[T], Tokens]:  # fmt: skip
        tokens, counting = Tokens(), threading.Lock()
        refused: list[_RefusedError] = []

        def request(conversation: Sequence[Message]) -> T:
            nonlocal tokens
            found, took = refusal, Tokens()
            try:
                with self._turns:
                    found, took = ask(conversation)
            except _RefusedError as error:  # content filter, or text too long for the model
                refused.append(error)
            with counting:
                tokens = Tokens(tokens.input + took.input, tokens.output + took.output)
            return found

        threads = ThreadPoolExecutor(max(1, min(self.at_once, len(conversations))))
        try:
            futures = [threads.submit(request, conversation) for conversation in conversations]
            for done, future in enumerate(as_completed(futures), start=1):
                future.result()
                progress(done, len(conversations))  # in the caller's thread, whose progress shows that it works
            found = [future.result() for future in futures]
        finally:
            threads.shutdown(cancel_futures=True)  # after a failure, drop requests that have not started
        if 2 * len(refused) > len(conversations):
            raise refused[0]
        if refused:
            log.warning("%d of %d requests: %s", len(refused), len(conversations), refused[0])
        return found, tokens

    def models(self) -> list[str]:
        """Names of the served models."""
        with self._with_remedy(""):
            return [str(each.id) for each in self._client.models.list()]

    def _first_tokens_of(self, model: str, conversation: Sequence[Message]) -> tuple[FirstTokens, Tokens]:
        messages: Any = list(conversation)
        with self._with_remedy(model):
            answer = self._client.chat.completions.create(
                model=model, messages=messages, max_tokens=1, logprobs=True, top_logprobs=_TOP_LOGPROBS,
                temperature=1.0, top_p=1.0, extra_body=dict(self.extra),
            )  # fmt: skip
            logprobs = answer.choices[0].logprobs
            tops = logprobs.content[0].top_logprobs if logprobs is not None and logprobs.content else None
            found: dict[str, float] = {}
            for each in tops or ():
                found[each.token] = max(each.logprob, found.get(each.token, each.logprob))
            tokens = _tokens(answer)
        if not found:
            raise ModelError(
                f"'{model}' at {self.address} returns no log-probabilities (top_logprobs), which this backend needs; "
                "choose a model or server that does, such as vLLM"
            )
        return found, tokens

    def _text_of(self, model: str, most: int, conversation: Sequence[Message]) -> tuple[Written, Tokens]:
        messages: Any = list(conversation)
        with self._with_remedy(model):
            answer = self._client.chat.completions.create(
                model=model, messages=messages, max_tokens=most, logprobs=True, temperature=0.0, top_p=1.0,
                extra_body=dict(self.extra),
            )  # fmt: skip
            choice = answer.choices[0]
            told = choice.logprobs.content if choice.logprobs is not None else None
            pairs = tuple((each.token, float(each.logprob)) for each in told or ())
            return Written(choice.message.content or "", pairs), _tokens(answer)

    @contextmanager
    def _with_remedy(self, model: str) -> Iterator[None]:
        """Inside the block errors are raised as a `ModelError` with a remedy."""
        openai = _library()
        try:
            yield
        except openai.OpenAIError as error:
            raise self._refusal(error, model) from None
        except (AttributeError, IndexError, KeyError, TypeError, ValueError):  # an HTML page, or no JSON
            raise ModelError(
                f"{self.address} does not answer as the OpenAI API does; check OPENAI_BASE_URL, which usually ends in "
                "/v1"
            ) from None

    @cached_property
    def _client(self) -> Any:
        openai = _library()
        for name in ("openai", "httpx", "httpcore", "httpx2", "httpcore2"):  # their request logs would contain texts
            logging.getLogger(name).setLevel(logging.WARNING)
        return openai.OpenAI(
            base_url=self.address, api_key=self.key or "none", max_retries=self.tries - 1, timeout=self.patience,
            http_client=openai.DefaultHttpxClient(follow_redirects=False),  # send texts and key to this address only
        )  # fmt: skip

    def _refusal(self, error: Exception, model: str) -> ModelError:
        """The error with a remedy. Without the server's message, which may quote the text."""
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
                f"the language model's server at {self.address} does not know '{model}'{self._served_models()}; name a "
                "served model as openai:NAME, and check the path of OPENAI_BASE_URL, usually /v1"
            )
        if status is not None and 300 <= status < 400:
            return ModelError(
                f"{self.address} redirects requests (status {status}), and redirects are not followed; set "
                "OPENAI_BASE_URL to the target address if it is right"
            )
        if status is not None and 400 <= status < 500 and status not in (408, 409, 429):
            return _RefusedError(
                f"the language model's server at {self.address} refused a request to '{model}' (status {status}); see "
                "its log. The prompt may be too long (lower shots or max_length), or log-probabilities unsupported"
            )
        return ModelError(
            f"the language model's server at {self.address} failed {self.tries} times (status {status}); see its log"
        )

    def _served_models(self) -> str:
        try:
            return f"; it serves {', '.join(self.models()[:10])}"
        except (ModelError, ValueError):
            return ""


def _tokens(answer: Any) -> Tokens:
    usage = getattr(answer, "usage", None)
    return Tokens() if usage is None else Tokens(usage.prompt_tokens or 0, usage.completion_tokens or 0)


def _library() -> Any:
    try:
        import openai
    except ImportError:
        raise ModelError(
            "base models named openai:… need another package; pip install 'label-studio-active-learning[openai]'"
        ) from None
    return openai
