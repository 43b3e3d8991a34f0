"""The dashboard's pages without a browser: what they say, in which language, and what their buttons do."""

from __future__ import annotations

import re
from collections import Counter
from html.parser import HTMLParser
from typing import Any

import pytest
from flask.testing import FlaskClient

from backend.app import create_app
from backend.learners.models.cache import BaseModels
from backend.settings import Settings
from backend.store import Store
from backend.web.dashboard import charts
from backend.web.dashboard.language import Language
from backend.web.dashboard.reasons import translated
from backend.web.serving import Serving
from tests.backend.played import project_of

ENV = {"LABEL_STUDIO_URL": "http://label-studio:8080", "LABEL_STUDIO_PUBLIC_URL": "https://labels.example.com/"}


@pytest.fixture
def client(played: Store, monkeypatch: pytest.MonkeyPatch) -> FlaskClient:
    for name, value in ENV.items():
        monkeypatch.setenv(name, value)
    return create_app(Settings(), played, Serving(played, BaseModels())).test_client()  # type: ignore[call-arg]


class _Balance(HTMLParser):
    """Finds elements that are not closed, and `id`s that come twice."""

    _VOID = ("meta", "link", "br", "input", "hr", "img")

    def __init__(self) -> None:
        super().__init__()
        self.open: list[str] = []
        self.ids: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.ids += [value or "" for name, value in attrs if name == "id"]
        if tag not in self._VOID:
            self.open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag, self.getpos()


class _Sentences(HTMLParser):
    """Finds what reads like an English sentence, but for texts of tasks, code, and what is marked as English."""

    def __init__(self) -> None:
        super().__init__()
        self.inside: list[tuple[str, bool]] = []
        self.english: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        if tag not in _Balance._VOID:
            hidden = tag in ("script", "style", "code", "option") or {("lang", "en"), ("class", "text")} & set(attrs)
            self.inside.append((tag, bool(hidden)))

    def handle_endtag(self, tag: str) -> None:
        assert self.inside.pop()[0] == tag

    def handle_data(self, data: str) -> None:
        if not any(hidden for _, hidden in self.inside):
            self.english += re.findall(r"[A-Za-z']+(?:[ ,.;:]+[A-Za-z']+){2,}", data)


def page(client: FlaskClient, path: str, language: str = "en") -> str:
    answer = client.get(path, headers={"Accept-Language": language})
    assert answer.status_code == 200, answer.text
    parser = _Balance()
    parser.feed(answer.text)
    assert parser.open == []
    assert len(parser.ids) == len(set(parser.ids))
    return answer.text


def test_the_list_of_projects(client: FlaskClient, played: Store) -> None:
    text = page(client, "/ui/")
    assert '<a href="/ui/projects/7">Fruit &amp; tools</a>' in text
    assert "Waiting for 8 more labels; queue published" in text
    played.projects.set(7, connected=False)
    assert "No project is connected to this backend" in page(client, "/ui/")


def test_a_project_has_all_its_panels(client: FlaskClient) -> None:
    text = page(client, "/ui/projects/7")
    for said in ("How good is the model?", "Next in the queue", "Classes", "Annotators", "Labels to check",
                 "Rounds", "Adapters", "Held out to measure model quality", "unsure between",
                 "Cannot be known here: it takes 100 held-out labels", "p7-a2",
                 "This target cannot be confirmed here: it takes 79 held-out labels"):  # fmt: skip
        assert said in text, said
    assert 'href="https://labels.example.com/projects/7/data?task=' in text
    assert text.count('type="application/json"') == 4
    assert re.search(r"<option[^>]*>margin</option>", text)
    assert "<option>variance</option>" not in text, "which cannot work with classes"


def test_simplified_chinese_where_the_browser_asks_for_it(client: FlaskClient) -> None:
    assert '<html lang="zh-Hans">' in page(client, "/ui/projects/7", "zh-CN,zh;q=0.9,en;q=0.8")
    text = page(client, "/ui/projects/7", "zh-CN")
    assert "模型有多好？" in text
    assert "还差 8 个标注；队列发布于" in text
    assert "How good" not in text
    for each in ("", "/finish", "/find", "/map"):
        reader = _Sentences()
        reader.feed(page(client, f"/ui/projects/7{each}", "zh-CN"))
        assert reader.english == [], each
    assert '<html lang="en">' in page(client, "/ui/", "de-AT,fr")


def test_what_is_wrong_is_said_with_what_to_do(client: FlaskClient, played: Store) -> None:
    played.projects.set(7, error="Label Studio is away; see `lsal doctor`")
    text = page(client, "/ui/projects/7")
    assert "Label Studio is away; see <code>lsal doctor</code>" in text
    assert "Run <code>lsal doctor</code> to find the cause" in text


def test_texts_and_names_are_only_text(client: FlaskClient, played: Store) -> None:
    evil = "</script><script>alert(1)</script>"
    played.of(7).tasks.put_texts([(4, evil)], seed=0, audit_share=0.0)
    queued = played.of(7).rounds.queue(3)[0].task_id
    played.of(7).tasks.put_texts([(queued, evil)], seed=0, audit_share=0.0)
    project = project_of(played)
    config = project.label_config.replace('value="fruit"', 'value="&lt;/script&gt;&lt;b&gt;"')
    played.projects.set(7, title=evil, error=f"`{evil}`", label_config=config)
    text = page(client, "/ui/projects/7")
    assert "<script>alert" not in text
    assert "</script><b>" not in text
    assert "&lt;script&gt;alert(1)" in text


LINK = '<a href="https://evil.example">Sign in</a> & go'


def test_charts_draw_no_links_in_names() -> None:
    (drawn,) = charts.bars({LINK: 3}, Language("en"))["data"]
    shown = '&lt;a href="https://evil.example"&gt;Sign in&lt;/a&gt; &amp; go'
    assert drawn["y"] == [shown]
    (drawn,) = charts.matrix({"names": [LINK, "b"], "matrix": [[1, 0], [0, 1]]}, Language("en"))["data"]  # type: ignore[typeddict-item]
    assert drawn["x"] == drawn["y"] == [shown, "b"]


def test_what_changes_all_the_time_comes_by_itself(client: FlaskClient, played: Store) -> None:
    first: Any = client.get("/ui/projects/7/now").get_json()
    assert ("Waiting for 8" in first["html"], first["busy"]) == (True, False)
    assert f'data-stamp="{first["stamp"]}"' in page(client, "/ui/projects/7")
    played.of(7).rounds.begin(4, reason="test")
    played.of(7).rounds.set(4, step="train", progress={"done": 30, "total": 75, "since": 100.0, "at": 180.0})
    second: Any = client.get("/ui/projects/7/now").get_json()
    assert "Training, 40%, about 2 minutes left" in second["html"]
    assert 'value="0.4"' in second["html"]
    assert second["busy"]
    assert second["stamp"] != first["stamp"]


def press(client: FlaskClient, action: str, **form: Any) -> str:
    answer = client.post(f"/ui/projects/7/{action}", data=form)
    assert answer.status_code == 303, answer.text
    return client.get(answer.headers["Location"]).text


def test_buttons_ask_the_worker(client: FlaskClient, played: Store) -> None:
    assert "A round starts as soon as" in press(client, "train")
    assert "No round starts automatically" in press(client, "pause", paused="1")
    assert project_of(played).paused
    assert "Rounds start automatically again." in press(client, "pause", paused="0")
    assert not project_of(played).paused
    assert "The queue is rebuilt" in press(client, "strategy", strategy="entropy")
    assert project_of(played).chosen_strategy == "entropy"
    press(client, "strategy", strategy="")
    assert project_of(played).chosen_strategy is None
    assert "The earlier adapter is put in service" in press(client, "rollback", adapter="1")
    assert project_of(played).back_to == 1


@pytest.mark.parametrize(
    ("action", "form", "status", "sentence"),
    [
        ("strategy", {"strategy": "foo"}, 422, "strategy &#39;foo&#39; is unknown"),
        ("strategy", {"strategy": "variance"}, 422, "variance"),
        ("rollback", {"adapter": "9"}, 409, "adapter 9 of project 7 is not kept here; there are: 2, 1"),
        ("rollback", {"adapter": "x"}, 400, "&#39;adapter&#39; must be given"),
        ("pause", {}, 400, "&#39;paused&#39; must be given"),
        ("dance", {}, 404, "there is no action dance"),
    ],
)
def test_what_cannot_be_done_is_a_page_with_a_sentence(
    client: FlaskClient, action: str, form: dict[str, str], status: int, sentence: str
) -> None:
    answer = client.post(f"/ui/projects/7/{action}", data=form)
    assert (answer.status_code, answer.content_type) == (status, "text/html; charset=utf-8")
    assert sentence in answer.text


def test_unknown_projects_are_a_page_too(client: FlaskClient) -> None:
    answer = client.get("/ui/projects/9")
    assert (answer.status_code, answer.content_type) == (404, "text/html; charset=utf-8")
    assert "project 9 is not known here" in answer.text


def test_pages_bring_all_they_need_and_allow_nothing_else(client: FlaskClient) -> None:
    for path in ("/ui/", "/ui/projects/7", "/ui/projects/7/map"):
        answer = client.get(path)
        for wanted in re.findall(r'(?:src|href)="(/ui/(?:static/|plotly)[^"]+)"', answer.text):
            assert client.get(wanted.replace("&amp;", "&")).status_code == 200
        assert not re.findall(r'(?:src|href)="(?:https?:)?//(?!labels\.example)', answer.text)
        assert "<script>" not in answer.text
        policy = answer.headers["Content-Security-Policy"]
        assert "default-src 'none'" in policy
        assert ("unsafe-eval" in policy) == path.endswith("map")


def test_plotly_is_kept_by_the_browser(client: FlaskClient) -> None:
    answer = client.get("/ui/plotly.js")
    assert (answer.headers["Content-Encoding"], answer.cache_control.immutable) == ("gzip", True)
    assert len(answer.data) < 2_000_000


@pytest.mark.parametrize("path", ["/ui/projects/7/train", "/api/projects/7/rounds", "/setup", "/webhook"])
@pytest.mark.parametrize(
    ("headers", "passes"),
    [
        ({"Sec-Fetch-Site": "cross-site", "Origin": "https://evil.example"}, False),
        ({"Sec-Fetch-Site": "same-site", "Origin": "http://localhost:8080"}, False),
        ({"Origin": "https://evil.example"}, False),
        ({"Origin": "null"}, False),
        ({"Sec-Fetch-Site": "same-origin", "Origin": "https://behind.a.proxy"}, True),
        ({"Origin": "http://localhost"}, True),
        ({}, True),
    ],
)
def test_other_sites_cannot_make_anybody_act(
    client: FlaskClient, played: Store, path: str, headers: dict[str, str], passes: bool
) -> None:
    answer = client.post(path, headers=headers)
    assert (answer.status_code != 403) is passes
    assert bool(played.events.count()) is (passes and path in ("/ui/projects/7/train", "/api/projects/7/rounds"))


@pytest.mark.parametrize(
    ("host", "origin", "passes"),
    [
        ("my_backend:9090", "http://my_backend:9090", True),
        ("my_backend:9090", "null", False),
        ("my_backend:9090", "http://my_backend:9091", False),
        ("", "null", False),
        ("", "http://", False),
        ("localhost", "HTTP://Localhost", True),
        ("localhost:80", "http://localhost", True),
        ("localhost:443", "https://localhost", True),
        ("localhost:443", "http://localhost", False),
        ("localhost", "//localhost", True),
        ("localhost", "http://localhost, http://evil.example", False),
        ("localhost", "http://evil.example, http://localhost", False),
        ("localhost", "http://[", False),
    ],
)
def test_a_page_is_from_here_if_its_name_and_port_are_those_of_the_request(
    played: Store, host: str, origin: str, passes: bool
) -> None:
    settings = Settings(basic_auth_user="us", basic_auth_pass="secret")  # type: ignore[call-arg]
    client = create_app(settings, played, Serving(played, BaseModels())).test_client()
    headers = {"Host": host, "Origin": origin}
    answer = client.post("/ui/projects/7/train", headers=headers, auth=("us", "secret"))
    assert (answer.status_code != 403) is passes


def test_an_exposed_backend_warns_on_every_page(played: Store) -> None:
    warning = "No password is set: everyone who reaches this address can read texts and labels"
    for insecure in (False, True):
        settings = Settings(LSAL_INSECURE=insecure)  # type: ignore[call-arg]
        client = create_app(settings, played, Serving(played, BaseModels())).test_client()
        assert all((warning in page(client, path)) == insecure for path in ("/ui/", "/ui/projects/7"))


@pytest.mark.parametrize("language", ["en", "zh-CN"])
def test_several_controls_are_told_apart(several: Store, language: str) -> None:
    app = create_app(Settings(), several, Serving(several, BaseModels()))  # type: ignore[call-arg]
    text = page(app.test_client(), "/ui/projects/7", language)
    for said in ("topics: ", "words: ", "stars: ", 'id="curve-3"', 'id="classes-2"'):
        assert said in text, said
    assert page(app.test_client(), "/ui/projects/7/map", language)


def test_the_message_after_a_button_is_no_part_of_what_changes(client: FlaskClient) -> None:
    text = page(client, "/ui/projects/7?done=train")
    assert text.index("A round starts as soon as") < text.index('id="now"')
    assert "A round starts" not in client.get("/ui/projects/7/now").get_data(as_text=True)


def test_what_is_read_aloud_does_not_count_the_seconds(client: FlaskClient, played: Store) -> None:
    first: Any = client.get("/ui/projects/7/now").get_json()
    assert first["announcement"] == "Waiting for 8 more labels"
    played.of(7).rounds.begin(4, reason="test")
    played.of(7).rounds.set(4, step="train", progress={"done": 30, "total": 75, "since": 100.0, "at": 180.0})
    second: Any = client.get("/ui/projects/7/now").get_json()
    assert second["announcement"] == "Training"


def test_a_new_project_shows_what_to_do_next(client: FlaskClient, played: Store) -> None:
    assert "until the first training" not in page(client, "/ui/projects/7"), "it has a score"
    played.projects.connect(8, label_config=project_of(played).label_config, options={}, host="b.local")
    played.projects.set(8, webhook_ready=True)
    text = page(client, "/ui/projects/8")
    assert re.findall(r"<li[^>]*aria-current[^>]*>([^<]*)", text) == ["Import tasks in Label Studio"]
    assert text.count('class="done-step"') == 1


def test_effort_names_and_suggestions(client: FlaskClient, played: Store) -> None:
    options = project_of(played).options
    played.projects.set(7, annotators={"1": "Ada Lovelace", "2": ""}, options={**options, "cost_per_hour": 60})
    text = page(client, "/ui/projects/7")
    assert ">Ada Lovelace<" in text
    assert '<th scope="row">2</th>' in text
    hours = played.of(7).annotations.hours()
    assert f"60 labels, {hours:.1f} hours, cost {60 * hours:,.0f}" in text


def test_second_opinions_weights_a_minimum_and_calls_are_shown(client: FlaskClient, played: Store) -> None:
    options = {**project_of(played).options, "minimum_per_class": 21, "llm_budget": 500}
    played.projects.set(7, options=options, trust={"topic": {"1": 0.85, "2": 0.9}})
    mine = played.of(7)
    counts = Counter(each["topic"] for each in mine.tasks.labels())
    lacking = next(name for name, count in counts.items() if count < 21)
    mine.second_opinions.request({1: 3, 2: 3})
    (labels,) = [each.values for each in mine.tasks.labeled(audit=False)[:1]]
    rows = [
        {"id": 9000 + who, "annotator": who, "skipped": False, "labels": labels, "seconds": 1.0} for who in (1, 2, 3)
    ]
    mine.tasks.put_annotations([(1, {"topic": "animal"}, True, False)], {1: rows})
    assert mine.llm_usage.reserve("openai:a", 120, None)
    text = page(client, "/ui/projects/7")
    assert "Second opinions: 1 given, of which 1 changed the label; still open: 1." in text
    assert "Weight of a label" in text
    assert ">0.85<" in text
    assert "Fewer than 21 labels: " in text
    assert lacking in text.split("Fewer than 21 labels: ")[1][:80]
    assert "<dd>120 / 500</dd>" in text
    assert "Soft labels of the teacher" not in text
    taught = {"teacher": "openai:a", "soft": 210, "compared": {"topic": [50, 34]}, "error": "it is away", "prompts": []}
    mine.rounds.set(3, taught=taught)
    played.projects.set(7, options={**options, "teacher": "openai:a"})
    text = page(client, "/ui/projects/7")
    assert "<dd>210; topic: right on 34 of 50 labels</dd>" in text
    assert "The teacher gave fewer answers than wanted: it is away" in text
    played.projects.set(7, options={**options, "minimum_per_class": 1})
    assert "Labels of every class: at least 1." in page(client, "/ui/projects/7")


@pytest.mark.parametrize(
    ("reason", "chinese"),
    [
        ("20 newly labeled tasks", "新标注了 20 个任务"),
        ("20 newly labeled tasks, the last ones", "新标注了 20 个任务，是最后一批"),
        (
            "'note' is written text, of which no comparison proves that it is right",
            "“note” 是书写的文本，无法通过比较证明其正确",
        ),
        (
            "the model was wrong on 3 of the 59 tasks of the sample, so no part of its labels is proven 95.0% right; "
            "label more, or accept a lower accuracy",
            "模型在样本的 59 个任务中答错了 3 个，因此不能证明其任何一部分标签有 95.0% 正确；"
            "请标注更多，或接受较低的准确率",
        ),
        ("of a later release", "of a later release"),
    ],
)
def test_reasons_are_translated(reason: str, chinese: str) -> None:
    assert translated(reason, Language("en")) == reason
    assert translated(reason, Language("zh_Hans")) == chinese
