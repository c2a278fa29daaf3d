"""What `reconcile` and `mirror` print, change and exit with: the real app and store, two pagers and a ticket system.

Nothing runs beside the commands: what they owe is sent by hand, as the app would.
"""

from __future__ import annotations

import json
import re
import textwrap
import time
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result
from flask import Flask

from service_event_checker.cli.context import Here
from service_event_checker.cli.main import outage
from service_event_checker.core.store import Failed
from service_event_checker.core.vocabulary import Severity
from service_event_checker.web import create_app
from tests.destinations.azure_devops import double as azure_devops
from tests.destinations.azure_devops.double import AzureDevOps
from tests.destinations.opsgenie import double as opsgenie
from tests.destinations.opsgenie.double import OpsAlert, Opsgenie
from tests.destinations.pagerduty import double as pagerduty
from tests.destinations.pagerduty.double import ALICE, SERVICE, Incident, PagerDuty
from tests.doubles.base import Fault
from tests.factories import event
from tests.root import ROOT

QUICK = {"timeout": "2s", "settle": "0s", "rate": 1000, "burst": 1000}
LONG_AGO = 600.0  # seconds
AGREE = "0 unexpected, 0 allowed differences; compared: pagerduty, opsgenie\n"
MEND = "Nothing was changed; what stands after → is done by: ./outage mirror --repair"
DRY_RUN = "A dry run: nothing was changed. The end of each line is what a pass does about it."
ON_ITS_WAY = "The app sends what is pending for it within seconds, if it runs; ./outage failed lists what fails."


class House:
    """An app whose config.json is as shipped but for addresses, between its doubles."""

    def __init__(self, folder: Path, pager: PagerDuty, ops: Opsgenie, devops: AzureDevOps, **changes: Any) -> None:
        self.folder, self.pager, self.ops, self.devops = folder, pager, ops, devops
        self.app = self.open(**changes)
        self.services = self.app.extensions["services"]
        self.services.store.prepare()

    def open(self, **changes: Any) -> Flask:
        """Return the app; `changes` are made to its destinations, one with a `kind` replaces."""
        config = json.loads((ROOT / "config.json").read_text())
        config |= {"checkers": {}, "sources": {}}
        config["destinations"] = {
            "pagerduty": {"kind": "pagerduty", "url": self.pager.url, **QUICK},
            "opsgenie": {"kind": "opsgenie", "url": self.ops.url, **QUICK},
            "azure_devops": {"kind": "azure_devops", "url": self.devops.org_url, "project": "Outages", **QUICK},
            **{name: {"kind": "console"} for name in ("slack", "redmine", "escalation")},
        }
        for name, change in changes.items():
            config["destinations"][name] = change if "kind" in change else config["destinations"][name] | change
        file = self.folder / "config.json"
        file.write_text(json.dumps(config))
        return create_app(
            {
                "CONFIG_FILE": str(file),
                "DATABASE_URL": f"sqlite:///{self.folder}/store.db",
                "ADO_PAT": azure_devops.PAT,
                "PAGERDUTY_API_KEY": pagerduty.TOKEN,
                "PAGERDUTY_SERVICE_ID": SERVICE,
                "PAGERDUTY_EMAIL": "bot@example.com",
                "OPSGENIE_API_KEY": opsgenie.KEY,
                "PORT": "1",  # no app answers there
            }
        )

    def run(self, *words: str) -> Result:
        services = self.app.extensions["services"]
        here = Here(services.settings.variables, services)
        return CliRunner().invoke(outage, list(words), obj=here, prog_name="outage")

    def send_all(self) -> None:
        """Deliver what is owed, as the app does; webhooks of what comes of it are lost."""
        for _ in range(50):
            if not sum(self.services.outbox.drain(name) for name in self.services.outbox.destinations):
                break
        assert self.services.store.waiting() == 0
        self.ops.webhooks.clear()
        self.pager.webhooks.clear()

    def born(self) -> tuple[OpsAlert, Incident]:
        """Return an alert that was born in Opsgenie some time ago, and its incident."""
        self.ops.clock = lambda: time.time() - LONG_AGO
        alert = self.ops.create("Card terminals are offline", username="dana@example.com")
        self.ops.clock = time.time
        _, body = self.ops.webhooks.popleft()
        answer = self.app.test_client().post("/ops-webhook", data=body, content_type="application/json")
        assert answer.status_code == 200, answer.text
        self.send_all()
        (incident,) = self.pager.incidents.values()
        return alert, incident


@pytest.fixture
def doubles() -> Iterator[tuple[PagerDuty, Opsgenie, AzureDevOps]]:
    with PagerDuty() as pager, Opsgenie() as ops, AzureDevOps() as devops:
        assert isinstance(pager, PagerDuty)
        assert isinstance(ops, Opsgenie)
        assert isinstance(devops, AzureDevOps)
        yield pager, ops, devops
        assert (pager.refused, ops.refused, devops.refused) == ([], [], [])


@pytest.fixture
def house(doubles: tuple[PagerDuty, Opsgenie, AzureDevOps], tmp_path: Path) -> House:
    return House(tmp_path, *doubles)


def test_two_pagers_that_agree_are_said_to(house: House) -> None:
    house.born()

    answer = house.run("mirror", "--check")

    assert (answer.output, answer.exit_code) == (AGREE, 0)


def test_a_lost_acknowledgement_is_shown_with_its_alert_place_age_and_address(house: House) -> None:
    _, incident = house.born()
    house.pager.person_acknowledges(incident.id, ALICE)

    answer = house.run("mirror", "--check")

    first, second, third, *rest = answer.output.splitlines()
    (alert,) = house.services.store.open_alerts()
    assert first == f"! {alert.internal_id} “Card terminals are offline”"
    assert second.startswith(f"    pagerduty {incident.id}: work started there → applied, since ")
    assert second.endswith(" s)")
    assert third == f"    https://example.pagerduty.com/incidents/{incident.id}"
    assert rest == ["1 unexpected, 0 allowed differences; compared: pagerduty, opsgenie", MEND]
    assert answer.exit_code == 1


def test_a_check_changes_nothing(house: House) -> None:
    alert, incident = house.born()
    house.pager.person_acknowledges(incident.id, ALICE)

    first, second = house.run("mirror", "--check"), house.run("mirror", "--check")

    assert first.output.splitlines()[-2:] == second.output.splitlines()[-2:]
    assert (house.services.store.waiting(), alert.acknowledged) == (0, False)


def test_what_differs_is_told_to_programs_as_well(house: House) -> None:
    _, incident = house.born()
    house.pager.person_acknowledges(incident.id, ALICE)

    answer = house.run("mirror", "--check", "--json")
    shadow = house.run("mirror", "--shadow", "--json")
    passed = house.run("reconcile", "--dry-run", "--json")

    found = json.loads(answer.stdout)
    (difference,) = found["differences"]
    assert (found["pagers"], found["failed"], answer.exit_code) == (["pagerduty", "opsgenie"], [], 1)
    assert (difference["receiver"], difference["external_id"]) == ("pagerduty", incident.id)
    assert (difference["expected"], difference["since"] is not None) == (False, True)
    assert difference["id"].startswith("OPSGENIE-")
    assert json.loads(shadow.stdout) == {"not_sent": []}
    assert len(json.loads(passed.stdout)["lines"]) == 1


def test_a_repair_mends_it_and_the_next_check_is_content(house: House) -> None:
    alert, incident = house.born()
    house.pager.person_acknowledges(incident.id, ALICE)

    mended = house.run("mirror", "--repair")
    house.send_all()
    after = house.run("mirror", "--check")

    assert mended.output.splitlines()[-2:] == [
        "1 repaired, 0 with a failed delivery, 0 allowed differences; compared: pagerduty, opsgenie",
        ON_ITS_WAY,
    ]
    assert (mended.exit_code, after.exit_code, after.output) == (0, 0, AGREE)
    assert (alert.acknowledged, len(alert.notes)) == (True, 1)
    assert "Alice Archer" in alert.notes[0].text


def test_a_repair_that_is_made_twice_tells_once(house: House) -> None:
    alert, incident = house.born()
    house.pager.person_notes(incident.id, "Looking into it.", ALICE)

    house.run("mirror", "--repair")
    house.run("mirror", "--repair")
    house.send_all()
    house.run("mirror", "--repair")
    house.send_all()

    assert [note.text.splitlines()[0] for note in alert.notes] == ["Note from Alice Archer: Looking into it."]


def test_what_may_differ_by_the_mirrors_is_listed_and_no_alarm(house: House) -> None:
    alert, incident = house.born()
    with house.ops.lock:
        house.ops.person_closes(alert.id, "dana@example.com")
    house.run("mirror", "--repair")  # the end is taken in; PagerDuty gets a note of it
    house.send_all()

    answer = house.run("mirror", "--check")

    first, second, _, last = answer.output.splitlines()
    assert first.startswith("  OPSGENIE-")
    assert f"pagerduty {incident.id}: differs as `mirrors` allows → left" in second
    assert last == "0 unexpected, 1 allowed differences; compared: pagerduty, opsgenie"
    assert (answer.exit_code, incident.status) == (0, "triggered")


def test_what_was_given_up_is_an_alarm_until_a_person_sends_it_again(house: House) -> None:
    alert, incident = house.born()
    house.ops.person_acknowledges(alert.id, "dana@example.com")
    _, body = house.ops.webhooks.popleft()
    house.app.test_client().post("/ops-webhook", data=body, content_type="application/json")
    store, now = house.services.store, datetime.now(UTC)
    (claimed,) = store.claim("pagerduty", limit=1, owner="me", now=now, until=now + timedelta(minutes=1))
    store.settle(claimed.delivery, Failed(reason="refused"), now)

    answers = [house.run("mirror", words) for words in ("--check", "--repair")]
    requeued = house.run("failed", "--retry", claimed.delivery.id)
    house.send_all()
    after = house.run("mirror", "--check")

    assert [answer.exit_code for answer in (*answers, requeued, after)] == [1, 1, 0, 0]
    assert [answer.output.splitlines()[-2] for answer in answers] == [
        "1 unexpected, 0 allowed differences; compared: pagerduty, opsgenie",
        "0 repaired, 1 with a failed delivery, 0 allowed differences; compared: pagerduty, opsgenie",
    ]
    assert answers[0].output.startswith("! OPSGENIE-")
    assert answers[0].output.splitlines()[-1].startswith("Which deliveries failed, and why: ./outage failed")
    assert incident.status == "acknowledged"


def test_a_pager_that_does_not_answer_is_named_and_fails_the_check(house: House) -> None:
    _, incident = house.born()
    house.pager.person_acknowledges(incident.id, ALICE)
    house.ops.readable = False

    answer = house.run("mirror", "--check")

    assert "failed: opsgenie: could not be asked: forbidden" in answer.output
    assert "1 unexpected, 0 allowed differences, 1 failed; compared: " in answer.output
    assert answer.exit_code == 1


def test_no_key_is_shown_when_a_pager_refuses_us(house: House) -> None:
    house.born()
    house.pager.echo_credentials = house.ops.echo_credentials = True
    house.pager.token = house.ops.token = "another"  # noqa: S105  # no secret

    answer = house.run("mirror", "--check")

    assert answer.output.count("could not be asked") == 2
    assert "canary" not in answer.output


def test_without_a_pager_there_is_nothing_to_compare(house: House) -> None:
    house.app = house.open(pagerduty={"kind": "console"}, opsgenie={"kind": "console"})

    answer = house.run("mirror", "--check")

    assert (answer.output, answer.exit_code) == ("no pager is on: nothing to compare\n", 0)


@pytest.mark.parametrize("words", [(), ("--check", "--repair"), ("--shadow", "--check")])
def test_mirror_wants_to_be_told_which_one_thing_to_do(house: House, words: tuple[str, ...]) -> None:
    answer = house.run("mirror", *words)

    assert answer.exit_code == 2
    assert "use one of --check, --repair and --shadow" in answer.output


def test_what_a_receiver_in_shadow_would_have_been_sent_is_listed_also_when_the_alert_is_over(
    doubles: tuple[PagerDuty, Opsgenie, AzureDevOps], tmp_path: Path
) -> None:
    house = House(tmp_path, *doubles, pagerduty={"shadow": True})
    now = datetime.now(UTC)
    told = event(source="opsgenie", severity=Severity.CRITICAL, at=now, starts_at=now)
    house.services.pipeline.ingest([told], now)
    house.send_all()

    opened = house.run("mirror", "--shadow")
    (alert,) = house.services.store.open_alerts()
    closed = house.app.test_client().put(f"/api/v1/alerts/{alert.internal_id}/status", json={"status": "resolved"})
    house.send_all()
    over = house.run("mirror", "--shadow")

    assert closed.status_code == 200, closed.text
    first, count = opened.output.splitlines()
    assert first[20:].startswith(f"UTC {alert.internal_id} pagerduty: open: incident on {SERVICE}, urgency high: ")
    assert count == "1 not sent to pagerduty"
    assert over.output.splitlines()[0] == first
    assert over.output.splitlines()[1][20:].startswith(f"UTC {alert.internal_id} pagerduty: close: ")
    assert (over.exit_code, house.pager.incidents) == (0, {})


def test_shadow_says_when_no_receiver_is_in_it(house: House) -> None:
    answer = house.run("mirror", "--shadow")

    assert (answer.output, answer.exit_code) == ('no receiver has "shadow": true in config.json\n', 0)


def test_the_configurations_of_the_moving_guide_are_accepted(house: House) -> None:
    guide = (ROOT / "docs" / "moving-from-opsgenie.md").read_text()
    blocks = [textwrap.dedent(block) for block in re.findall(r"```json\n(.*?)```", guide, re.DOTALL)]
    jsm, rule, pagers = (json.loads(block if block.startswith("{") else f"{{{block}}}") for block in blocks)

    for config in ({"destinations": jsm, "rules": [rule]}, pagers):
        file = house.folder / "guide.json"
        file.write_text(json.dumps(config))
        app = create_app({"CONFIG_FILE": str(file), "DATABASE_URL": f"sqlite:///{house.folder}/guide.db"})
        assert set(app.extensions["services"].book.receivers) == set(config["destinations"])


def test_a_dry_run_says_what_a_pass_would_do_and_changes_nothing(house: House) -> None:
    alert, incident = house.born()
    house.pager.person_acknowledges(incident.id, ALICE)

    dry = house.run("reconcile", "--dry-run")
    assert (dry.exit_code, house.services.store.waiting(), alert.acknowledged) == (0, 0, False)
    house.ops.person_closes(alert.id, "dana@example.com")
    house.run("reconcile")
    house.send_all()
    left = house.run("reconcile", "--dry-run", "pagerduty")

    assert [each.output.splitlines()[-1] for each in (dry, left)] == [DRY_RUN, DRY_RUN]
    assert f"{incident.id}: work started there: applied, since" in dry.output
    assert f"{incident.id}: differs as `mirrors` allows: left, since" in left.output


def test_reconcile_mends_and_says_that_the_app_sends_it(house: House) -> None:
    alert, incident = house.born()
    house.pager.person_acknowledges(incident.id, ALICE)

    answer = house.run("reconcile", "pagerduty")
    house.send_all()

    assert answer.output.splitlines()[-1] == ON_ITS_WAY
    assert (answer.exit_code, alert.acknowledged) == (0, True)


def test_reconcile_names_only_those_that_were_asked(house: House) -> None:
    house.born()
    before = len(house.ops.requests)

    one, every = house.run("reconcile", "pagerduty"), house.run("reconcile", "--dry-run")

    assert one.output == "all agree: pagerduty\n"
    assert every.output == "all agree: pagerduty, opsgenie, azure_devops\n"
    assert len(house.ops.requests) > before


def test_reconcile_does_not_know_a_wrong_name(house: House) -> None:
    answer = house.run("reconcile", "pagerdutty")

    assert answer.exit_code == 2
    assert '"pagerdutty" cannot be reconciled; there are pagerduty, opsgenie, azure_devops' in answer.output


def test_what_cannot_be_asked_fails_the_reconciliation_and_the_rest_is_looked_at(house: House) -> None:
    _, incident = house.born()
    house.pager.person_acknowledges(incident.id, ALICE)
    house.devops.script.extend([Fault.ERROR] * 5)

    answer = house.run("reconcile", "--dry-run")

    assert f"{incident.id}: work started there: applied" in answer.output
    assert "failed: azure_devops: could not be asked: server error" in answer.output
    assert answer.exit_code == 1


@pytest.mark.parametrize("words", [("reconcile",), ("mirror", "--check"), ("mirror", "--shadow")])
def test_a_store_that_is_away_is_said_without_a_traceback(house: House, words: tuple[str, ...]) -> None:
    file = house.folder / "store.db"
    for each in house.folder.glob("store.db*"):
        each.unlink()
    file.mkdir()
    house.app = house.open()

    answer = house.run(*words)

    assert answer.exit_code == 1
    assert answer.output.startswith("Error: the store cannot be used, so nothing was done: ")
    assert "Traceback" not in answer.output
