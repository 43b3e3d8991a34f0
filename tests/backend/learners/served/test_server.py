"""The client of servers that speak OpenAI's protocol."""

from __future__ import annotations

import logging
import threading
import time

import pytest

from backend.errors import ModelError
from backend.learners.served.server import Server
from tests.language_model import MODEL, LanguageModel, words_of
from tests.servers import free_port

HELLO = [{"role": "system", "content": "Choose.\nA. fruit\nB. tool"}, {"role": "user", "content": "a secret apple"}]


def test_first_tokens_in_the_order_asked_several_at_once(toy: LanguageModel) -> None:
    told = []
    many = [[HELLO[0], {"role": "user", "content": word}] for word in ("apple", "saw", "pear", "drill") * 10]
    slow = toy.likely
    toy.likely = lambda messages: time.sleep(0.02) or slow(messages)  # type: ignore[method-assign,func-returns-value]
    found, tokens = toy.server(at_once=8).first_tokens(MODEL, many, lambda done, total: told.append((done, total)))
    assert tokens == (sum(map(words_of, many)), 40)
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
    assert toy.server().first_tokens(MODEL, [HELLO])[0][0]
    assert len(toy.asked) == 4


@pytest.mark.parametrize(
    ("status", "said"),
    [(401, "OPENAI_API_KEY"), (403, "OPENAI_API_KEY"), (400, "lower shots"), (500, "see its log"), (429, "429")],
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


@pytest.mark.parametrize(
    "page", ["<html>Welcome</html>", "{", "null", '{"choices": []}', '{"choices": [{"logprobs": {}}]}']
)
def test_something_else_than_the_protocol(toy: LanguageModel, page: str) -> None:
    toy.page = page
    with pytest.raises(ModelError, match=r"check OPENAI_BASE_URL, which usually ends in /v1|no log-probabilities"):
        toy.server().first_tokens(MODEL, [HELLO])
    if "choices" not in page:
        with pytest.raises(ModelError, match="does not answer as the OpenAI API does"):
            toy.server().models()


def test_a_question_that_is_refused_is_left_out_among_many(
    toy: LanguageModel, caplog: pytest.LogCaptureFixture
) -> None:
    toy.failures = [400]
    found, tokens = toy.server(at_once=1).first_tokens(MODEL, [HELLO] * 3)
    assert tokens == (2 * words_of(HELLO), 2)
    assert [bool(each) for each in found] == [False, True, True]
    assert "1 of 3 requests: the language model's server" in caplog.text
    assert "apple" not in caplog.text


def test_questions_are_not_sent_elsewhere(toy: LanguageModel) -> None:
    toy.failures = [307] * 9
    with pytest.raises(ModelError, match=r"redirects requests \(status 307\)"):
        toy.server().first_tokens(MODEL, [HELLO])


def test_so_many_at_once_whoever_asks(toy: LanguageModel) -> None:
    server, slow = toy.server(at_once=3), toy.likely
    toy.likely = lambda messages: time.sleep(0.02) or slow(messages)  # type: ignore[method-assign,func-returns-value]
    threads = [threading.Thread(target=server.first_tokens, args=(MODEL, [HELLO] * 8)) for _ in range(3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert (len(toy.asked), toy.at_once) == (24, 3)


def test_servers_are_known_by_where_and_how_they_are_asked_and_keep_the_key_to_themselves() -> None:
    one = Server("http://a/v1", "the key")
    assert "the key" not in repr(one)
    assert one.digest == Server("http://a/v1", "another key", at_once=3).digest
    assert len({one.digest, Server("http://b/v1").digest, Server("http://a/v1", extra={"x": 1}).digest}) == 3


def test_nothing_of_a_question_is_logged(toy: LanguageModel, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG)
    for name in ("openai", "openai._base_client", "httpx", "httpcore", "httpx2", "httpcore2"):
        logging.getLogger(name).setLevel(logging.NOTSET)
    toy.failures = [500]
    toy.server().first_tokens(MODEL, [HELLO])
    assert "apple" not in caplog.text
