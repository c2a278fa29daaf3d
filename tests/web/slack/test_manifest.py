"""deploy/slack-manifest.yaml says what the code does: the commands, their help, the addresses and the scopes."""

from __future__ import annotations

import re

from flask import Flask

from service_event_checker.destinations.slack.adapter import SCOPES_TO_LIST, SCOPES_TO_LOOK
from service_event_checker.web.slack.commands import COMMANDS
from tests.root import ROOT

MANIFEST = (ROOT / "deploy" / "slack-manifest.yaml").read_text()
COMMAND_MAX = 32  # https://docs.slack.dev/reference/app-manifest


def test_the_commands_are_those_of_the_code_with_the_same_help() -> None:
    entries = re.split(r"^    - command: /", MANIFEST, flags=re.MULTILINE)[1:]
    listed = {}
    for entry in entries:
        name, _, rest = entry.partition("\n")
        hint = re.search(r'usage_hint: "(.*)"', rest)
        does = re.search(r"description: (.*)", rest)
        listed[name] = (hint[1] if hint else "", does[1].lower() if does else "")

    assert listed == {name: (spec.argument, spec.does.lower()) for name, spec in COMMANDS.items()}
    assert all(re.fullmatch(r"[a-z]+", name) and len(name) < COMMAND_MAX for name in listed)


def test_the_addresses_are_routes_of_the_app(app: Flask) -> None:
    addresses = re.findall(r"(?:url|request_url): https://outages\.example\.com(\S+)", MANIFEST)

    assert len(addresses) == len(COMMANDS) + 1 == MANIFEST.count("https://outages.example.com/")
    assert set(addresses) == {"/slack/commands", "/slack/interactions"}
    assert set(addresses) <= {rule.rule for rule in app.url_map.iter_rules()}


def test_the_scopes_are_those_that_the_code_uses() -> None:
    scopes = set(re.findall(r"^      - (\S+)$", MANIFEST, flags=re.MULTILINE))

    own = {"commands", "chat:write", "chat:write.public", "usergroups:read"}
    assert scopes == own | SCOPES_TO_LOOK | SCOPES_TO_LIST
