"""The client of servers that speak OpenAI's protocol."""

from __future__ import annotations

import logging
import time

import pytest

from backend.errors import ModelError
from backend.learners.served.server import Server
from tests.language_model import MODEL, LanguageModel
from tests.servers import free_port

HELLO = [{"role": "system", "content": "Choose.\nA. fruit\nB. tool"}, {"role": "user", "content": "a secret apple"}]


def test_first_tokens_in_the_order_asked_several_at_once(toy: LanguageModel) -> None:
    told = []
    many = [[HELLO[0], {"role": "user", "content": word}] for word in ("apple", "saw", "pear", "drill") * 10]
    slow = toy.likely
    toy.likely = lambda messages: time.sleep(0.02) or slow(messages)  # type: ignore[method-assign,func-returns-value]
    found = toy.server(at_once=8).first_tokens(MODEL, many, lambda done, total: told.append((done, total)))
    assert [max(each, key=lambda token: each[token]) for each in found] == ["A", "B"] * 20 or found[1]["B"] > found[0][
        "B"
    ]
    assert [each["B"] > -1.5 for each in found] == [False, True] * 20
    assert sorted(told) == [(done, 40) for done in range(1, 41)]
    assert 2 <= toy.at_once <= 8


def test_what_every_question_says(toy: LanguageModel) -> None:
    extra = {"chat_template_kwargs": {"enable_thinking": False}}
    toy.key = "secret"
    toy.server(extra=extra).first_tokens(MODEL, [HELLO])
    assert toy.asked[0]["chat_template_kwargs"] == {"enable_thinking": False}
    assert toy.asked[0]["messages"] == HELLO
    assert toy.server().models() == [MODEL]


def test_a_busy_server_is_asked_again(toy: LanguageModel) -> None:
    toy.failures = [429, 503, 500]
    assert toy.server().first_tokens(MODEL, [HELLO])[0]
    assert len(toy.asked) == 4


@pytest.mark.parametrize(
    ("status", "said"),
    [(401, "OPENAI_API_KEY"), (403, "OPENAI_API_KEY"), (400, "lower shots"), (500, "its log tells"), (429, "429")],
)
def test_refusals_say_what_to_do_and_not_what_was_asked(toy: LanguageModel, status: int, said: str) -> None:
    toy.failures = [status] * 30
    with pytest.raises(ModelError, match=said) as refused:
        toy.server().first_tokens(MODEL, [HELLO] * 3)
    assert "apple" not in str(refused.value)
    assert refused.value.__suppress_context__


def test_unknown_models_are_told_from_known_ones(toy: LanguageModel) -> None:
    with pytest.raises(ModelError, match=f"does not know 'other'; it serves {MODEL}"):
        toy.server().first_tokens("other", [HELLO])


def test_a_server_that_is_away(toy: LanguageModel) -> None:
    with pytest.raises(ModelError, match="cannot be reached; check that it runs, and OPENAI_BASE_URL"):
        Server(f"http://127.0.0.1:{free_port()}/v1", tries=2).models()


def test_a_server_that_tells_no_probabilities(toy: LanguageModel) -> None:
    toy.tells = False
    with pytest.raises(ModelError, match="no log-probabilities"):
        toy.server().first_tokens(MODEL, [HELLO])


def test_nothing_of_a_question_is_logged(toy: LanguageModel, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG)
    for name in ("openai", "openai._base_client", "httpx2", "httpcore2"):
        logging.getLogger(name).setLevel(logging.NOTSET)
    toy.failures = [500]
    toy.server().first_tokens(MODEL, [HELLO])
    assert "apple" not in caplog.text
