"""No secret reaches a log line, whatever module wrote it and however it is wrapped."""

from __future__ import annotations

import io
import json
import logging
import re
from collections.abc import Iterator
from contextlib import redirect_stderr

import pytest
import structlog
from hypothesis import given
from hypothesis import strategies as st
from pydantic import SecretStr

from service_event_checker import logs
from tests.strategies import REPEATABLE

CANARY = "cAnArY/93157+value=="
SHAPES = [
    "Authorization: Bearer abcdefgh12345678",
    "authorization: bearer abcdefgh12345678",
    "Authorization: Basic dXNlcjpwYXNzd29yZA==",
    "token=abcdefgh12345678",
    "token: abcdefgh12345678",
    "https://robot.example/send?access_token=abcdefgh12345678",
    "https://robot.example/send?a=b&key=abcdefgh12345678",
    "https://mail.example/?api_key=abcdefgh12345678",
    "xoxb-1234-abcdefgh12345678",
    "xoxp-abcdefgh12345678",
    "xapp-1-abcdefgh12345678",
    "https://ada:abcdefgh12345678@tickets.example/x",
    "mysql+pymysql://ada:abcdefgh12345678@db.example/alerts",
    "https://hooks.slack.com/services/T000/B000/abcdefgh12345678",
    "AccountName=x;AccountKey=abcdefgh12345678==;EndpointSuffix=core.windows.net",
    '{"token": "abcdefgh12345678"}',
    "{'password': 'abcdefgh12345678'}",
]


@pytest.fixture(autouse=True)
def nothing_hidden(monkeypatch: pytest.MonkeyPatch) -> None:
    """Secrets that other tests of this process have named are not known here."""
    monkeypatch.setattr(logs, "_known", set())


@pytest.fixture(autouse=True)
def _as_before() -> Iterator[None]:
    """Logging is the process's; leave it as it was."""
    root = logging.getLogger()
    handlers, level, known = root.handlers[:], root.level, set(logs._known)
    yield
    root.handlers[:], root.level = handlers, level
    logs._known.clear()
    logs._known.update(known)
    structlog.reset_defaults()


@pytest.fixture(params=["json", "console"])
def form(request: pytest.FixtureRequest) -> str:
    return str(request.param)


def lines_of(**settings: str) -> io.StringIO:
    """Set up logging and return what will be written to stderr."""
    stream = io.StringIO()
    with redirect_stderr(stream):
        logs.set_up(**settings)
    return stream


@pytest.fixture
def written(form: str) -> io.StringIO:
    """What is written from now on; the canary is known."""
    logs.hide([CANARY])
    return lines_of(level="DEBUG", form=form)


class Chatty(Exception):
    """An error whose text and whose facts both tell too much."""

    def __init__(self) -> None:
        super().__init__(f"could not log in with {CANARY}")


def log_in() -> None:
    cause = Chatty()
    raise RuntimeError(f"Bearer {CANARY}") from cause


@pytest.mark.parametrize(
    "value",
    [
        CANARY,
        f"in a {CANARY} sentence",
        [CANARY],
        (CANARY,),
        {CANARY},
        {"deep": [{"deeper": CANARY}]},
        {CANARY: 1},
        Chatty(),
        [Chatty()],
        CANARY.encode(),
        SecretStr(CANARY),
    ],
    ids=lambda value: type(value).__name__,
)
def test_a_known_secret_is_masked_however_deep_it_lies(written: io.StringIO, value: object) -> None:
    structlog.get_logger().info("told", value=value)

    line = written.getvalue()
    assert "told" in line
    assert CANARY not in line


def test_a_known_secret_is_masked_in_the_message_itself(written: io.StringIO) -> None:
    structlog.get_logger().warning(f"told {CANARY}")

    assert "told [secret]" in written.getvalue()


def test_the_standard_librarys_lines_are_masked_too(written: io.StringIO) -> None:
    log = logging.getLogger("urllib3")
    log.warning("calling %s with %s", "https://x", CANARY)
    log.warning("mapping %s", {"a": [CANARY]})
    log.error("Bearer abcdefgh12345678")

    text = written.getvalue()
    assert text.count("[secret]") == 3
    assert CANARY not in text
    assert "abcdefgh12345678" not in text


@pytest.mark.parametrize("logger", [structlog.get_logger(), logging.getLogger("werkzeug")], ids=["ours", "theirs"])
def test_exceptions_are_written_with_their_place_and_without_secrets(written: io.StringIO, logger: object) -> None:
    try:
        log_in()
    except RuntimeError:
        logger.exception("failed")  # type: ignore[attr-defined]

    text = written.getvalue()
    assert "Traceback" in text
    assert "RuntimeError" in text
    assert CANARY not in text


@pytest.mark.parametrize("text", SHAPES)
def test_what_looks_like_a_secret_is_masked_although_nobody_named_it(written: io.StringIO, text: str) -> None:
    structlog.get_logger().info("told", value=text)
    logging.getLogger("other").warning(text)

    assert "abcdefgh12345678" not in (line := written.getvalue())  # type: ignore[operator]
    assert "dXNlcjpwYXNzd29yZA" not in line


@pytest.mark.parametrize("name", ["token", "api_key", "password", "client_secret", "Authorization", "pat"])
def test_what_is_called_a_secret_is_masked_whatever_it_looks_like(written: io.StringIO, name: str) -> None:
    structlog.get_logger().info("told", **{name: "plain-words"}, headers={name: "plain-words"})

    assert "plain-words" not in written.getvalue()


def test_ordinary_facts_stay_readable(written: io.StringIO, form: str) -> None:
    structlog.get_logger().info(
        "alert_opened",
        key="3518c69b3ca23c9bcc46",
        id="GITHUB-7F3KQ",
        episode=2,
        owed=["open:slack"],
        ok=True,
        none=None,
    )

    line = written.getvalue()
    assert "[secret]" not in line
    if form == "json":
        fields = json.loads(line)
        assert (fields["key"], fields["episode"], fields["owed"]) == ("3518c69b3ca23c9bcc46", 2, ["open:slack"])
        assert (fields["ok"], fields["none"], fields["level"]) == (True, None, "info")
        assert fields["timestamp"].endswith("Z")


def test_json_lines_are_one_object_each() -> None:
    written = lines_of(form="json")

    structlog.get_logger().info("one", text='a "quote"\nand a line')
    logging.getLogger("x").warning("two")
    try:
        log_in()
    except RuntimeError:
        structlog.get_logger().exception("three")

    lines = [json.loads(line) for line in written.getvalue().splitlines()]
    assert [line["event"] for line in lines] == ["one", "two", "three"]


def test_a_secret_within_a_secret_leaves_no_rest(written: io.StringIO) -> None:
    logs.hide(["abc123", "abc123-and-the-rest"])

    structlog.get_logger().info("told", value="abc123-and-the-rest")

    assert "rest" not in written.getvalue()


def test_what_contains_itself_ends(written: io.StringIO) -> None:
    endless: list[object] = [CANARY]
    endless.append(endless)

    structlog.get_logger().info("told", value=endless)

    assert "told" in written.getvalue()
    assert CANARY not in written.getvalue()


def test_short_words_are_not_taken_for_secrets(written: io.StringIO) -> None:
    logs.hide(["", "slack"])

    structlog.get_logger().info("told", value="slack")

    assert "slack" in written.getvalue()


@pytest.mark.parametrize(
    ("level", "shown"), [("WARNING", ["w"]), ("info", ["i", "w"]), ("DEBUG", ["d", "i", "w"]), ("loud", ["i", "w"])]
)
def test_the_level_is_the_one_asked_for_or_info(level: str, shown: list[str]) -> None:
    written = lines_of(level=level, form="json")

    for name in ("debug", "info", "warning"):
        getattr(structlog.get_logger(), name)(name[0])

    assert [json.loads(line)["event"] for line in written.getvalue().splitlines()] == shown


HOSTILE = "ring\x07 \x1b[2J\x9b31m \x7f \u202egnp.exe\rINFO forged"
VALUES = [HOSTILE, HOSTILE.replace(" ", ""), [HOSTILE], {HOSTILE: HOSTILE}, ValueError(HOSTILE)]


@pytest.mark.parametrize("value", VALUES, ids=["text", "word", "list", "mapping", "error"])
def test_no_terminal_obeys_what_a_value_holds(written: io.StringIO, form: str, value: object) -> None:
    structlog.get_logger().info("told", value=value)
    structlog.get_logger().info(HOSTILE)
    logging.getLogger("gunicorn.error").error(f"%s\n{HOSTILE}", HOSTILE)

    text = written.getvalue()
    raw = [json.dumps(json.loads(line), ensure_ascii=False) for line in text.splitlines()] if form == "json" else [text]
    assert not re.search(r"[\x00-\x09\x0b-\x1f\x7f-\x9f\u202e]", "".join(raw))
    assert len(text.splitlines()) == 3
    assert "x1b[2J" in text


@pytest.mark.parametrize(
    "text",
    [
        "internal server error",
        "Bearer authentication failed",
        "bearer token is missing",
        "secret: unknown to the vault",
        "password: incorrect",
        "token expired-yesterday-evening",
        "the server's token: invalid_or_expired",
    ],
)
def test_what_is_wrong_stays_readable(written: io.StringIO, text: str) -> None:
    logs.hide(["server", "internal"])  # somebody chose words as secrets

    structlog.get_logger().info("told", value=text)

    assert "[secret]" not in written.getvalue()


def test_the_name_before_a_secret_stays(written: io.StringIO) -> None:
    logs.hide(["server"])
    structlog.get_logger().info(
        "told", value="token=abcdefgh12345678 was refused", other="server", url="x://u:server@h"
    )

    text = written.getvalue()
    assert "token=[secret] was refused" in text
    assert "server" not in text


@REPEATABLE
@given(st.text(max_size=30), st.text(max_size=30))
def test_a_known_secret_never_survives_in_any_text(before: str, behind: str) -> None:
    logs.hide([CANARY])

    assert CANARY not in logs.masked(f"{before}{CANARY}{behind}")
