"""`outage doctor`: a line for each thing that is right or wrong, with what to do."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from service_event_checker.core.store import Failed
from tests.cli.runner import Terminal
from tests.destinations.azure_devops import double as azure_devops
from tests.destinations.azure_devops.double import AzureDevOps
from tests.doubles.microsoft import CLIENT, SECRET, TENANT, Microsoft
from tests.doubles.statuspages import StatusPages
from tests.factories import NOW, event


@pytest.fixture
def pages() -> Iterator[StatusPages]:
    with StatusPages() as pages:
        pages.page("github")
        yield pages


def config(pages: StatusPages) -> dict[str, Any]:
    url = f"{pages.url}/page/github"
    return {
        "checkers": {"github": {"kind": "statuspage", "url": url, "timeout": "1s"}},
        "destinations": {"chat": {"kind": "console"}},
        "rules": [{"name": "all", "send": ["chat"]}],
    }


def wrong(terminal: Terminal) -> dict[str, str]:
    """Return what is wrong, with the remedy; the exit code must agree."""
    answer = terminal.run("doctor", "--json")
    found = json.loads(answer.stdout)
    assert (answer.exit_code == 0) == found["ok"]
    return {each["what"]: each["remedy"] for each in found["findings"] if not each["ok"]}


def test_every_line_has_a_mark_and_what_is_wrong_a_remedy(pages: StatusPages, tmp_path: Path) -> None:
    terminal = Terminal(tmp_path, config(pages))

    lines = terminal.run("doctor").stdout.splitlines()

    assert "✓ github: can be read" in lines
    assert "✓ store: can be read and written" in lines
    assert any(line.startswith("✓ clock: ") for line in lines)
    assert any(line.startswith("✓ disk: ") for line in lines)
    at = lines.index("✗ app: does not run")
    assert lines[at + 1] == "    → ./outage start"
    assert set(wrong(terminal)) == {"app: does not run"}


def test_a_page_that_cannot_be_read_is_named_with_the_reason(pages: StatusPages, tmp_path: Path) -> None:
    pages.broken["github"] = "html"
    unreachable = config(pages)
    unreachable["checkers"]["gone"] = {"kind": "statuspage", "url": "http://127.0.0.1:9", "timeout": "1s"}

    found = wrong(Terminal(tmp_path, unreachable))

    assert found["github: unreadable answer (HTML instead of JSON)"] == "./outage check github shows it again"
    (gone,) = (what for what in found if what.startswith("gone: unreachable"))
    assert "check DNS and network" in found[gone]


def test_credentials_that_are_refused_are_told(pages: StatusPages, tmp_path: Path) -> None:
    with AzureDevOps() as devops:
        assert isinstance(devops, AzureDevOps)
        wanted = config(pages)
        wanted["destinations"]["devops"] = {"kind": "azure_devops", "url": devops.org_url, "project": "Outages"}
        good = Terminal(tmp_path, wanted, ADO_PAT=azure_devops.PAT)
        bad = Terminal(tmp_path, wanted, ADO_PAT="a-pat-that-is-wrong")

        assert not [what for what in wrong(good) if what.startswith("devops")]
        refused = [what for what in wrong(bad) if what.startswith("devops")]

    assert len(refused) == 1
    assert "a-pat-that-is-wrong" not in refused[0]


def test_the_way_to_sign_in_is_told(pages: StatusPages, tmp_path: Path) -> None:
    with AzureDevOps() as devops, Microsoft() as entra:
        assert isinstance(devops, AzureDevOps)
        devops.entra = entra
        wanted = config(pages)
        wanted["destinations"]["devops"] = {"kind": "azure_devops", "url": devops.org_url, "project": "Outages"}
        given = {"AZURE_CLIENT_ID": CLIENT, "AZURE_TENANT_ID": TENANT, "AZURE_AUTHORITY_HOST": entra.url}
        good = Terminal(tmp_path, wanted, AZURE_CLIENT_SECRET=SECRET, **given)
        bad = Terminal(tmp_path, wanted, AZURE_CLIENT_SECRET="wrong-canary", **given)

        lines = good.run("doctor").stdout.splitlines()
        refused = [what for what in wrong(bad) if what.startswith("devops")]

    assert "✓ devops: answers, and the credentials are good (service principal)" in lines
    assert "AZURE_CLIENT_SECRET is wrong; set the secret's value, not its ID" in refused[0]
    assert "canary" not in refused[0]


def test_failed_deliveries_and_a_store_that_is_away_are_wrong(pages: StatusPages, tmp_path: Path) -> None:
    terminal = Terminal(tmp_path, config(pages))
    services = terminal.services
    services.pipeline.ingest([event()], NOW)
    (claimed,) = services.store.claim("chat", limit=1, owner="me", now=NOW, until=NOW)
    services.store.settle(claimed.delivery, Failed(reason="refused"), NOW)

    assert "./outage failed" in wrong(terminal)["deliveries: 1 failed"]

    away = Terminal(tmp_path, config(pages), DATABASE_URL=f"sqlite:///{tmp_path}")
    assert [what for what in wrong(away) if what.startswith("store: ")]


def test_a_wrong_configuration_is_a_line_and_the_rest_is_left_out(tmp_path: Path) -> None:
    terminal = Terminal(tmp_path, '{"checkers": {"github": {"kind": "statuspag"}}}')

    found = wrong(terminal)

    (what,) = (what for what in found if what.startswith("configuration: checkers.github.kind"))
    assert found[what] == "correct it, then ./outage config check"
    other = Terminal(tmp_path, {}, DATABASE_URL="nonsense://x")
    assert any("DATABASE_URL" in what for what in wrong(other))


def test_a_warning_of_the_configuration_is_shown_and_not_counted_as_wrong(tmp_path: Path) -> None:
    rules = [{"name": "all", "send": ["chat"]}, {"name": "late", "send": ["chat"]}]
    terminal = Terminal(tmp_path, {"destinations": {"chat": {"kind": "console"}}, "rules": rules})

    assert 'configuration: warning: rules[1]: "late" is never reached' in terminal.run("doctor").stdout
    assert not [what for what in wrong(terminal) if "late" in what]
