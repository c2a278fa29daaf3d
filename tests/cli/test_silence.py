"""`outage silence`: made, listed, tried and ended by a person, on the store that a running app reads."""

from __future__ import annotations

import getpass
import json
from datetime import UTC, datetime
from pathlib import Path

import pytest

from tests.cli.runner import Terminal
from tests.factories import event

CONFIG = {
    "destinations": {"chat": {"kind": "console"}},
    "rules": [{"name": "all", "send": ["chat"]}],
    "silences": [
        {
            "match": ['team="web"'],
            "starts_at": "2026-01-01T00:00:00Z",
            "ends_at": "2999-01-01T00:00:00Z",
            "owner": "Bob",
            "reason": "moved",
            "repeat": {"weekly": ["sun"], "from": "00:00", "to": "24:00", "tz": "Pacific/Auckland"},
        }
    ],
}
MATCH = 'source="github"'


@pytest.fixture
def terminal(tmp_path: Path) -> Terminal:
    return Terminal(tmp_path, CONFIG)


def made(terminal: Terminal, *words: str) -> str:
    """Make a silence and return its id."""
    answer = terminal.run("silence", MATCH, "--reason", "upgrade", *words)
    assert answer.exit_code == 0, answer.output
    return answer.stdout.partition(":")[0]


def test_a_silence_withholds_what_opens_until_it_is_ended(terminal: Terminal) -> None:
    services = terminal.services
    id = made(terminal, "--for", "2h")

    (held,) = services.pipeline.ingest([event()], datetime.now(UTC)).values()
    assert held.withheld["chat"].startswith(f"silenced by {getpass.getuser()} until ")
    assert held.withheld["chat"].endswith(f"UTC: upgrade ({id})")
    answer = terminal.run("silence", "end", id.lower())

    assert answer.stdout == f"{id} is ended. It held back 1 alert\n"
    assert services.store.get([held.key])[held.key].withheld == {}
    assert [each.receiver for each in services.store.waiting_deliveries()] == ["chat"]
    assert services.store.silences.list()[0].ended_by == getpass.getuser()


def test_what_is_over_is_listed_only_if_asked(terminal: Terminal) -> None:
    id = made(terminal, "--for", "2h")
    terminal.run("silence", "end", id)

    assert id not in terminal.run("silence", "list").stdout
    assert f"{id}  ended (ended by {getpass.getuser()})" in terminal.run("silence", "list", "--all").stdout


def test_those_of_the_file_are_listed_and_are_changed_there(terminal: Terminal) -> None:
    listed = json.loads(terminal.run("silence", "list", "--json").stdout)["silences"]

    assert [(each["id"], each["editable"], each["repeat"]["tz"]) for each in listed] == [
        ("config-1", False, "Pacific/Auckland")
    ]
    answer = terminal.run("silence", "end", "config-1")
    assert (answer.exit_code, "is in config.json" in answer.output) == (1, True)


def test_a_weekly_silence_says_its_window(terminal: Terminal) -> None:
    words = ("--until", "2999-01-01T00:00:00Z")
    answer = terminal.run("silence", MATCH, *words, "--reason", "x", "--weekly", "mon")
    assert "ends_at: is more than" in answer.output

    words = ("--for", "30d", "--weekly", "Tuesday,mon", "--from", "22:00", "--to", "06:00", "--tz", "Europe/Berlin")
    assert (
        "each week mon, tue 22:00-06:00 Europe/Berlin"
        in terminal.run("silence", MATCH, "--reason", "backup", *words).stdout
    )


def test_a_preview_shows_what_would_match_and_makes_nothing(terminal: Terminal) -> None:
    (alert,) = terminal.services.pipeline.ingest([event()], datetime.now(UTC)).values()

    answer = terminal.run("silence", "preview", MATCH)

    assert alert.internal_id in answer.stdout
    assert terminal.run("silence", "preview", 'source="azure"').stdout == "no open alert matches\n"
    assert json.loads(terminal.run("silence", "preview", MATCH, "--json").stdout)["count"] == 1
    assert terminal.services.store.silences.list() == ()


@pytest.mark.parametrize(
    ("words", "message"),
    [
        ((MATCH, "--reason", "x"), "give one of --for and --until"),
        ((MATCH, "--for", "2h"), "--reason: String should have at least 1 character"),
        ((MATCH, "--for", "soon", "--reason", "x"), '--for: "soon" is not a duration'),
        ((MATCH, "--for", "0s", "--reason", "x"), "ends_at: is in the past"),
        ((MATCH, "--until", "later", "--reason", "x"), "--for or --until: "),
        (('title=~".*"', "--for", "2h", "--reason", "x"), "MATCHER: would silence everything"),
        (("nonsense", "--for", "2h", "--reason", "x"), 'MATCHER: cannot read the matcher "nonsense"'),
        (
            (MATCH, "--for", "2h", "--reason", "x", "--weekly", "mon", "--tz", "Mars/Crater"),
            '--tz: "Mars/Crater" is not a',
        ),
        ((MATCH, "--for", "2h", "--reason", "x", "--weekly", "mon", "--from", "7"), '--from: "7" is not a time of day'),
        (("end", "S-NONE"), 'there is no silence "S-NONE"'),
    ],
)
def test_a_mistake_is_explained_and_nothing_is_made(terminal: Terminal, words: tuple[str, ...], message: str) -> None:
    answer = terminal.run("silence", *words)

    assert answer.exit_code != 0
    assert message in answer.output
    assert terminal.services.store.silences.list() == ()


def test_route_names_the_silences_of_the_store(terminal: Terminal) -> None:
    id = made(terminal, "--for", "2h")

    answer = terminal.run("route", "source=github")

    assert f"silence {id} by {getpass.getuser()} until " in answer.stdout
    assert f"withheld: chat: silenced by {getpass.getuser()} until " in answer.stdout


def test_route_works_without_the_store(tmp_path: Path) -> None:
    terminal = Terminal(tmp_path, CONFIG, DATABASE_URL="postgresql://nobody@127.0.0.1:9/none")

    answer = terminal.run("route", "source=github")

    assert "told: chat" in answer.stdout
    assert "only the silences of config.json count" in answer.stderr
