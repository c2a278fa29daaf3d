"""How the parts are put together from config.json and the environment."""

from __future__ import annotations

import json
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from structlog.testing import capture_logs

from service_event_checker import wiring
from service_event_checker.config.load import ConfigError
from service_event_checker.config.settings import Settings
from service_event_checker.core.errors import StoreError
from service_event_checker.core.vocabulary import EventStatus, Family, Severity, Verb
from service_event_checker.engine.services import Services
from service_event_checker.stores import choose
from tests.factories import NOW, event

TICKETS = {"kind": "azure_devops", "url": "https://dev.azure.com/us", "project": "Outages"}
Build = Callable[..., Services]


@pytest.fixture
def build(tmp_path: Path) -> Build:
    def build(destinations: dict[str, Any], **environ: str) -> Services:
        file = tmp_path / "config.json"
        rules = [{"name": "all", "send": list(destinations)}]
        file.write_text(json.dumps({"destinations": destinations, "rules": rules}))
        variables = {"CONFIG_FILE": str(file), "DATABASE_URL": f"sqlite:///{tmp_path}/store.db"}
        services = wiring.build(Settings.read(variables | environ))
        services.store.prepare()
        return services

    return build


def test_slack_without_a_token_is_on_and_goes_to_the_console(build: Build) -> None:
    services = build({"slack": {"kind": "slack"}})

    (part,) = (part for part in services.parts if part.section == "destination")
    assert (part.on, part.state) == (True, "SLACK_BOT_TOKEN is not set; messages go to the console")
    assert services.book.receivers["slack"].why_off == ""


def test_what_was_opened_while_a_destination_was_on_is_owed_its_end_while_it_is_off(build: Build) -> None:
    build({"tickets": TICKETS}, ADO_PAT="token").pipeline.ingest([event()], NOW)

    off = build({"tickets": TICKETS})
    off.pipeline.ingest([event(status=EventStatus.RESOLVED), event(fingerprint="new")], NOW)

    assert off.book.receivers["tickets"].family is Family.TICKET
    assert off.outbox.destinations == {}
    again = build({"tickets": TICKETS}, ADO_PAT="token")
    assert again.store.waiting("tickets") == 2  # the open and its close
    (new,) = again.store.withheld_alerts()
    assert new.withheld == {"tickets": "off: ADO_PAT is not set"}


def test_an_entry_overrides_what_its_kind_would_do(build: Build) -> None:
    changed = {**TICKETS, "settle": "7s", "reopen_within": "1h", "timeout": "3s", "on_ambiguous": "drop"}
    receiver = build({"tickets": changed}, ADO_PAT="token").book.receivers["tickets"]

    assert (receiver.settle, receiver.reopen_within) == (timedelta(seconds=7), timedelta(hours=1))
    assert (receiver.deadline, receiver.repeat_ambiguous) == (timedelta(seconds=3), frozenset())


def test_a_kinds_own_choices_hold_where_the_entry_makes_none(build: Build) -> None:
    receiver = build({"tickets": TICKETS}, ADO_PAT="token").book.receivers["tickets"]

    assert receiver.reopen_within == timedelta(hours=72)
    assert receiver.findable
    assert {Verb.OPEN, Verb.CLOSE} <= receiver.verbs
    assert receiver.repeat_ambiguous == {Severity.CRITICAL, Severity.ERROR}


def test_a_robot_is_told_of_severe_alerts_at_least_once_and_is_known_not_to_edit(build: Build) -> None:
    urls = {"DINGTALK_WEBHOOK_URL": "https://example.com/x", "HOOK": "https://example.com/y"}
    entries = {
        "robot": {"kind": "dingtalk"},
        "bot": {"kind": "telegram"},
        "hook": {"kind": "webhook", "url": "env:HOOK"},
    }
    telegram = {"TELEGRAM_BOT_TOKEN": "1:a", "TELEGRAM_CHAT_ID": "-1"}

    found = build(entries, **urls, **telegram).book.receivers

    assert [found[name].edits for name in ("robot", "bot")] == [False, True]
    assert found["robot"].repeat_ambiguous == {Severity.CRITICAL, Severity.ERROR}
    assert found["hook"].repeat_ambiguous == set(Severity)
    assert found["robot"].update_every == timedelta(minutes=5)


def test_a_database_that_this_version_does_not_know_is_refused_with_what_to_do(build: Build) -> None:
    with pytest.raises(ConfigError, match="DATABASE_URL: names a database that is not supported"):
        build({}, DATABASE_URL="oracle://db")


@pytest.mark.parametrize(
    ("variable", "value"),
    [
        ("ALERTMANAGER_URL", "alertmanager:9093"),
        ("ALERTMANAGER_URL", "http://[::1"),
        ("ALERTMANAGER_URL", "http://am:99999"),
        ("PUBLIC_URL", "outages.example.com"),
        ("PUBLIC_URL", "http://[::1"),
        ("AZURE_STORAGE_CONNECTION_STRING", "AccountKey=canary-of-a-key"),
        ("TRUSTED_PROXIES", "10.0.0.0/8 nonsense"),
        ("PORT", "65536"),
        ("PORT", "9" * 5000),
        ("WEB_CONCURRENCY", "65"),
        ("RETENTION_DAYS", "0"),
    ],
)
def test_what_cannot_be_used_in_the_environment_is_said_in_a_line(build: Build, variable: str, value: str) -> None:
    with pytest.raises(ConfigError) as caught:
        build({}, **{variable: value})

    (problem,) = caught.value.problems
    assert variable in problem or "url" in problem
    assert "canary" not in problem


def test_building_makes_no_file_and_opens_no_store(tmp_path: Path) -> None:
    file = tmp_path / "config.json"
    file.write_text("{}")

    wiring.build(Settings.read({"CONFIG_FILE": str(file), "DATABASE_URL": f"sqlite:///{tmp_path}/deep/store.db"}))

    assert not (tmp_path / "deep" / "store.db").exists()


def test_a_database_on_a_network_mount_is_refused_with_the_reason(
    build: Build, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    mounts = tmp_path / "mounts"
    mounts.write_text(f"//server/share {tmp_path}/home cifs rw 0 0\n")
    monkeypatch.setattr(choose, "MOUNTS", mounts)

    with pytest.raises(ConfigError, match="DATABASE_URL: .*cifs"):
        build({}, DATABASE_URL=f"sqlite:///{tmp_path}/home/store.db")


def test_a_folder_that_cannot_be_written_to_is_said_with_what_to_do(build: Build, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")

    with pytest.raises(StoreError, match="set DATABASE_URL to a place to write to"):
        build({}, DATABASE_URL=f"sqlite:///{tmp_path}/file/store.db")


def test_a_checker_is_not_mistaken_for_the_destination_of_its_name(tmp_path: Path) -> None:
    file = tmp_path / "config.json"
    checker = {"kind": "slack", "url": "https://slack-status.com"}
    file.write_text(json.dumps({"checkers": {"slack": checker}, "destinations": {"slack": {"kind": "slack"}}}))

    services = wiring.build(Settings.read({"CONFIG_FILE": str(file), "DATABASE_URL": f"sqlite:///{tmp_path}/store.db"}))

    states = {part.section: part.state for part in services.parts if part.name == "slack"}
    assert states == {
        "checker": "on",
        "destination": "SLACK_BOT_TOKEN is not set; messages go to the console",
    }


def test_the_old_name_of_a_key_is_warned_of_at_start(build: Build) -> None:
    services = build({"slack": {"kind": "slack", "api_url": "https://slack.example"}})

    with capture_logs() as lines:
        services.log_components()

    found = [line for line in lines if line["event"] == "config_warning"]
    assert [(line["path"], line["text"]) for line in found] == [("destinations.slack", "api_url is now url")]


def test_a_fallback_is_known_to_the_outbox(build: Build) -> None:
    services = build({"slack": {"kind": "console", "fallback": "mail"}, "mail": {"kind": "console"}})

    assert {name: each.fallback for name, each in services.book.receivers.items()} == {"slack": "mail", "mail": ""}


def test_files_of_other_software_do_not_stop_the_start(tmp_path: Path) -> None:
    file = tmp_path / "config.json"
    file.write_text("{}")
    foreign = {"ANSIBLE_VAULT_PASSWORD_FILE": "~/.vault_pass", "SSL_KEY_FILE": "/root", "SOPS_AGE_KEY": "age"}
    environ = {**foreign, "SOPS_AGE_KEY_FILE": "/keys", "CONFIG_FILE": str(file), "DATABASE_URL": "sqlite:///x.db"}

    settings, _ = wiring.examine(environ)

    assert settings.variables["SOPS_AGE_KEY_FILE"] == "/keys"
    with pytest.raises(ConfigError, match="SECRET_KEY_FILE: /none cannot be read"):
        wiring.examine({**environ, "SECRET_KEY_FILE": "/none"})
    with pytest.raises(ConfigError, match="ADO_PAT_FILE: /none cannot be read"):
        wiring.examine({**environ, "ADO_PAT_FILE": "/none"})
