"""README.md does what it says: its first request prints a message on the console, its links and commands exist."""

from __future__ import annotations

import json
import re
import shlex
from pathlib import Path
from typing import Any

import pytest

from service_event_checker.web import create_app
from tests.root import ROOT

README = (ROOT / "README.md").read_text()


def first_request() -> tuple[str, dict[str, str], Any]:
    """Return path, headers and JSON body of the first curl."""
    command = re.search(r"^ *(curl (?:.*\\\n)*.*)$", README, re.MULTILINE)
    assert command
    words = shlex.split(command[1].replace("\\\n", " "))
    headers = dict(words[at + 1].split(": ", 1) for at, word in enumerate(words) if word == "-H")
    url = next(word for word in words if word.startswith("http://127.0.0.1:8000/"))
    return url.removeprefix("http://127.0.0.1:8000"), headers, json.loads(words[words.index("-d") + 1])


def test_the_first_request_prints_the_alert_on_the_console_as_shipped(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path, headers, body = first_request()
    app = create_app({"CONFIG_FILE": str(ROOT / "config.json"), "DATABASE_URL": f"sqlite:///{tmp_path}/store.db"})
    services = app.extensions["services"]
    services.store.prepare()

    answer = app.test_client().post(path, json=body, headers=headers)
    services.outbox.drain("slack")

    assert (answer.status_code, answer.get_json()["accepted"]) == (200, 1), answer.text
    assert body["alerts"][0]["labels"]["alertname"] in capsys.readouterr().out


def test_its_links_lead_to_files() -> None:
    links = re.findall(r"\]\(([^)#:]+)(?:#[^)]*)?\)|(?:src|srcset)=\"([^\"#:]+)\"", README)
    paths = [one or other for one, other in links]

    assert paths
    assert [path for path in paths if not (ROOT / path).exists()] == []
