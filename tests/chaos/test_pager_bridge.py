"""Opsgenie and PagerDuty with the product between them, as shipped: every row of what one side owes to the other.

The product is real and so are its requests; the two systems are doubles, whose webhooks are delivered back to it until
nobody has anything more to say. What they hold at the end is asserted, and how much was said on the way.
"""

from __future__ import annotations

import json
import os
import re
import subprocess
import threading
import time
import urllib.error
import urllib.request
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from tests.destinations.opsgenie import double as opsgenie
from tests.destinations.opsgenie.double import INTEGRATION, OpsAlert, Opsgenie
from tests.destinations.pagerduty import double as pagerduty
from tests.destinations.pagerduty.double import ALICE, BOB, BOT, SECRET, SERVICE, Incident, PagerDuty
from tests.doubles.base import Fault, Request
from tests.real.product import Product
from tests.root import ROOT
from tests.said import say

EXAMPLES = ROOT / "examples"
PATIENCE = 60.0  # seconds
SLOWEST = 3.0  # seconds for an answer; a second is what is meant, and printed
WEBHOOKS_MAX = 60  # of one test; more is a loop
TROUBLE_LASTS = 10.0  # seconds
SEED = int(os.environ.get("CHAOS_SEED", "7"))
QUICK = {"timeout": "500ms", "settle": "1s", "rate": 50, "burst": 50}  # a lease that ends with the test
# the requests as the documentation of this bridge has them, with the id of the integration
NAMED = {"alertId": "test-123", "username": "test-user"}
CREATE = {"action": "Create", "alert": {"alertId": "test-123", "message": "Test alert"}}
NOTE = {"action": "AddNote", "alert": NAMED, "note": "This is a test note"}
ACKNOWLEDGE = {"action": "Acknowledge", "alert": NAMED}
UNACKNOWLEDGE = {"action": "UnAcknowledge", "alert": NAMED}
CLOSE = {"action": "Close", "alert": NAMED}


class Stubborn:
    """A part of a double: `held` names calls ("POST /incidents") that fail in a way of their own; `holds`: one came."""

    requests: list[Request]
    held: tuple[re.Pattern[str], Fault] | None = None
    holds = False

    def next_fault(self) -> Fault | None:
        call = f"{self.requests[-1].method} {self.requests[-1].path}"
        if self.held and self.held[0].fullmatch(call):
            self.holds = True
            return self.held[1]
        return super().next_fault()  # type: ignore[misc,no-any-return]


class HeldPagerDuty(Stubborn, PagerDuty):
    """A PagerDuty of which single calls can be held."""


class HeldOpsgenie(Stubborn, Opsgenie):
    """An Opsgenie of which single calls can be held."""


class Bridge:
    """The product between its two doubles; `seconds` are those of its answers, `webhooks` how many it was sent.

    `begun`: what the doubles had been asked when the test began, where several share a bridge.
    """

    def __init__(self, folder: Path, **settings: object) -> None:
        self.ops, self.pager = HeldOpsgenie(), HeldPagerDuty()
        config = json.loads((ROOT / "config.json").read_text())
        config["checkers"] = {}  # they would ask the real pages
        for name in ("opsgenie", "pagerduty"):
            config["destinations"][name] |= settings
        self.product = Product(
            folder,
            config,
            OPSGENIE_API_URL=self.ops.url,
            OPSGENIE_API_KEY=opsgenie.KEY,
            OPSGENIE_INTEGRATION_ID=INTEGRATION,
            PAGERDUTY_API_URL=self.pager.url,
            PAGERDUTY_API_KEY=pagerduty.TOKEN,
            PAGERDUTY_SERVICE_ID=SERVICE,
            PAGERDUTY_EMAIL="bot@example.com",
            PAGERDUTY_USER="Automation",
            PAGERDUTY_WEBHOOK_SECRET=SECRET,
        )
        self.seconds: list[float] = []
        self.webhooks = 0
        self.begun: Mapping[str, int] = Counter()

    def start(self) -> None:
        """Return when requests are taken."""
        self.product.start()
        wait_for(self._ready, self)

    def _ready(self) -> bool:
        try:
            return self.get("/readyz")[0] == 200
        except OSError:  # a socket of the killed process still took the connection
            return False

    def restart(self) -> None:
        self.product.kill()
        self.ops.held = self.pager.held = None
        self.ops.holds = self.pager.holds = False
        self.start()

    def log(self) -> str:
        return self.product.log.read_text() if self.product.log.exists() else ""

    def get(self, path: str) -> tuple[int, str]:
        return answered(urllib.request.Request(self.product.url + path))  # noqa: S310  # loopback

    def post(self, path: str, body: bytes, headers: Mapping[str, str]) -> int:
        begun = time.monotonic()
        status, _ = answered(urllib.request.Request(self.product.url + path, body, dict(headers)))  # noqa: S310
        self.seconds.append(time.monotonic() - begun)
        return status

    def begin(self) -> None:
        self.begun = Counter(self._writes())

    def writes(self) -> dict[str, int]:
        """Return how often the doubles were asked to change what, since the test began."""
        return dict(self._writes() - Counter(self.begun))

    def _writes(self) -> Counter[str]:
        named = (("opsgenie", self.ops), ("pagerduty", self.pager))
        return Counter(f"{name} {what(each)}" for name, one in named for each in one.requests if each.method != "GET")

    def opsgenie_sends(self, request: dict[str, Any], **changes: Any) -> int:
        body = json.dumps({**request, "integrationId": INTEGRATION, **changes}).encode()
        return self.post("/ops-webhook", body, {"Content-Type": "application/json"})

    def pagerduty_sends(self, event: dict[str, Any]) -> int:
        headers, body = self.pager.sign({"event": event})
        return self.post("/pd-webhook", body, headers)

    def run_example(self, name: str, id: str) -> None:
        environ = {"PATH": os.environ["PATH"], "HOST": self.product.url, "OPSGENIE_INTEGRATION_ID": INTEGRATION}
        words = [str(EXAMPLES / "send.sh"), name, id]
        done = subprocess.run(
            words, env={**environ, "PAGERDUTY_WEBHOOK_SECRET": SECRET}, capture_output=True, text=True
        )
        assert (done.returncode, done.stdout.splitlines()[0]) == (0, "HTTP 200"), done.stdout + done.stderr

    def settle_down(self) -> None:
        """Deliver the doubles' webhooks until all is paid and nobody says anything more."""
        until = time.monotonic() + PATIENCE
        while time.monotonic() < until:
            for path, hooks in (("/ops-webhook", self.ops.webhooks), ("/pd-webhook", self.pager.webhooks)):
                while hooks:
                    headers, body = hooks.popleft()
                    assert self.post(path, body, headers) == 200
                    self.webhooks += 1
            assert self.webhooks <= WEBHOOKS_MAX, "the two sides never come to rest"
            if not self.waiting() and not self.ops.webhooks and not self.pager.webhooks:
                return
            time.sleep(0.05)  # between looks
        raise AssertionError(f"deliveries still wait\n{self.log()[-3000:]}")

    def waiting(self) -> float:
        found = re.findall(r"^poc_deliveries_waiting\{.*\} (\S+)$", self.get("/metrics")[1], re.MULTILINE)
        assert found
        return sum(map(float, found))

    def knows(self, id: str) -> OpsAlert:
        """Have Opsgenie hold the alert that a request will speak of."""
        now = time.time()
        with self.ops.lock:
            alert = self.ops.alerts[id] = OpsAlert(id, "1", id, "Test alert", now, now)
        return alert

    def born(self) -> tuple[OpsAlert, Incident]:
        """Return a new alert of Opsgenie and its incident."""
        alert = self.ops.create("Test alert", username="dana@example.com")
        self.settle_down()
        return alert, self.incident

    @property
    def incident(self) -> Incident:
        """The newest one."""
        return list(self.pager.incidents.values())[-1]


@contextmanager
def running(folder: Path, **settings: object) -> Iterator[Bridge]:
    """A bridge that runs; at its end nothing was asked that must not be, and no incident was opened again."""
    bridge = Bridge(folder, **settings)
    with bridge.ops, bridge.pager:
        try:
            bridge.start()
            yield bridge
        finally:
            bridge.product.stop()
    say(f"pager bridge: {summary(bridge)}")
    assert (bridge.ops.refused, bridge.pager.refused, bridge.pager.reopened) == ([], [], 0)
    assert max(bridge.seconds) < SLOWEST


@pytest.fixture(scope="module")
def shipped(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Bridge]:
    with running(tmp_path_factory.mktemp("bridge")) as bridge:
        yield bridge


@pytest.fixture
def bridge(shipped: Bridge) -> Bridge:
    """The one bridge of most tests, each with alerts of its own."""
    shipped.begin()
    return shipped


@pytest.fixture
def quick_bridge(tmp_path: Path) -> Iterator[Bridge]:
    """A bridge of the test's own that waits for a second only where the shipped one waits for a minute."""
    with running(tmp_path, **QUICK) as bridge:
        yield bridge


@pytest.mark.parametrize(("by", "id"), [("request", "test-123"), ("send.sh", "test-124")])
def test_every_row_of_opsgenie_has_its_effect_in_pagerduty_once(bridge: Bridge, by: str, id: str) -> None:
    alert = bridge.knows(id)
    rows = {"create": CREATE, "note": NOTE, "acknowledge": ACKNOWLEDGE, "unacknowledge": UNACKNOWLEDGE, "close": CLOSE}

    for name, request in rows.items():
        if by == "request":
            assert bridge.opsgenie_sends(request) == 200
        else:
            bridge.run_example(f"ops-webhook-{name}.json", id)
        bridge.settle_down()
        assert bridge.incident.status == ("triggered" if name in ("create", "note") else "acknowledged")

    incident = bridge.incident
    assert (incident.title.removeprefix("Opsgenie: "), incident.service) == ("Test alert", SERVICE)
    assert incident.log == [f"acknowledged by {BOT}"]
    noted, taken, back, closed = incident.contents
    assert "This is a test note" in noted
    assert "cknowledged" in taken
    assert "taken back" in back
    assert "resolved" in closed
    assert all("test-user" in note for note in incident.contents)
    assert bridge.writes() == {"pagerduty incidents": 2, "pagerduty notes": 4}
    assert (alert.notes, json.loads(bridge.get("/api/v1/alerts?status=active")[1])["alerts"]) == ([], [])


def test_a_note_may_stand_in_the_alert(bridge: Bridge) -> None:
    bridge.knows("test-125")
    bridge.opsgenie_sends({"action": "Create", "alert": {"alertId": "test-125", "message": "Test alert"}})
    bridge.settle_down()

    note = {"alertId": "test-125", "username": "test-user", "note": "This is a test note"}
    bridge.opsgenie_sends({"action": "AddNote", "alert": note})
    bridge.settle_down()

    (content,) = bridge.incident.contents
    assert "This is a test note" in content


def test_every_row_of_pagerduty_has_its_effect_in_opsgenie_once(bridge: Bridge) -> None:
    alert, incident = bridge.born()

    bridge.pager.person_acknowledges(incident.id, ALICE)
    bridge.settle_down()
    assert (alert.acknowledged, alert.open) == (True, True)
    bridge.pager.person_reopens(incident.id, ALICE)  # of one that is acknowledged: takes that back
    bridge.settle_down()
    assert (alert.acknowledged, alert.open) == (False, True)
    bridge.pager.person_notes(incident.id, "Looking into it.", ALICE)
    bridge.settle_down()
    bridge.pager.person_resolves(incident.id, BOB)
    bridge.settle_down()

    taken, back, noted, resolved = (note.text for note in alert.notes)
    assert "Acknowledged by Alice Archer" in taken
    assert "Alice Archer" in back
    assert "Looking into it." in noted
    assert "Alice Archer" in noted
    assert "Bob Builder" in resolved
    assert alert.open
    once = {"opsgenie acknowledge": 1, "opsgenie unacknowledge": 1, "opsgenie notes": 2}
    assert bridge.writes() == {"pagerduty incidents": 1, **once}


def test_the_examples_of_pagerduty_have_their_effect(bridge: Bridge) -> None:
    alert, incident = bridge.born()

    for name, acknowledged in (("acknowledge", True), ("note", True), ("unacknowledge", False)):
        bridge.run_example(f"pd-webhook-{name}.json", incident.id)
        bridge.settle_down()
        assert alert.acknowledged is acknowledged

    assert ["Alice Archer" in note.text for note in alert.notes] == [True, True, True]
    assert "Looking into it." in alert.notes[1].text


def test_what_our_own_users_did_is_not_carried(bridge: Bridge) -> None:
    alert, incident = bridge.born()

    bridge.pager.person_notes(incident.id, "by hand", BOT)
    bridge.pager.person_acknowledges(incident.id, BOT)
    bridge.ops.person_notes(alert.id, "by hand too", "platform-outage-checker")
    bridge.settle_down()

    assert bridge.writes() == {"pagerduty incidents": 1}


def test_strangers_are_refused_and_what_is_of_no_interest_is_answered_well(bridge: Bridge) -> None:
    headers, body = bridge.pager.sign({"event": {"event_type": "pagey.ping", "data": {"message": "Hello"}}})
    unsigned = {name: value for name, value in headers.items() if name != "X-PagerDuty-Signature"}

    assert bridge.post("/pd-webhook", body, unsigned) == 401
    assert bridge.post("/pd-webhook", body, {**headers, "X-PagerDuty-Signature": f"v1={'0' * 64}"}) == 401
    assert bridge.post("/pd-webhook", body + b" ", headers) == 401
    assert bridge.opsgenie_sends(CREATE, integrationId="another") == 403
    assert bridge.post("/ops-webhook", json.dumps(CREATE).encode(), {"Content-Type": "application/json"}) == 403
    assert bridge.post("/pd-webhook", body, headers) == 200
    assert bridge.pagerduty_sends({"event_type": "incident.conference_bridge.updated", "data": {"id": "Q1"}}) == 200
    assert bridge.pagerduty_sends({"event_type": "incident.acknowledged", "data": "no incident"}) == 202
    assert bridge.opsgenie_sends({"action": "AssignOwnership", "alert": NAMED}) == 200
    bridge.settle_down()

    assert bridge.writes() == {}


def test_what_was_answered_is_done_once_though_the_product_is_killed_before_or_amid_its_effect(
    quick_bridge: Bridge,
) -> None:
    bridge = quick_bridge
    alert = bridge.knows("test-123")

    killed_amid(bridge, Fault.HANG_AFTER, "POST /incidents", lambda: bridge.opsgenie_sends(CREATE))
    killed_amid(bridge, None, "", lambda: bridge.opsgenie_sends(NOTE))
    killed_amid(bridge, Fault.HANG, "PUT /incidents/.*", lambda: bridge.opsgenie_sends(ACKNOWLEDGE))
    bridge.pager.person_notes(bridge.incident.id, "Looking into it.", ALICE)
    told = bridge.pager.webhooks.pop()
    killed_amid(bridge, Fault.HANG_AFTER, "POST /v2/.*/notes", lambda: bridge.post("/pd-webhook", told[1], told[0]))

    (incident,) = bridge.pager.incidents.values()
    assert incident.log == [f"acknowledged by {BOT}"]
    said = [content.splitlines()[0] for content in incident.contents]
    assert said == ["Note from test-user: This is a test note", "Acknowledged by test-user", "Looking into it."]
    assert [note.text.splitlines()[0] for note in alert.notes] == ["Note from Alice Archer: Looking into it."]


def test_each_act_is_done_once_though_a_quarter_of_pagerdutys_calls_fails(quick_bridge: Bridge) -> None:
    bridge = quick_bridge
    names = ["to be acknowledged", "to be noted", "made amid the trouble", "and so is this one"]
    taken, noted = (bridge.ops.create(name, username="dana@example.com") for name in names[:2])
    bridge.settle_down()
    bridge.pager.chaos(0.25, SEED)
    for name in names[2:]:
        bridge.ops.create(name, username="dana@example.com")
    bridge.ops.person_acknowledges(taken.id, "dana@example.com")
    bridge.ops.person_notes(noted.id, "Looking into it.", "dana@example.com")
    for incident in list(bridge.pager.incidents.values()):
        bridge.pager.person_notes(incident.id, "So am I.", ALICE)
    threading.Timer(
        TROUBLE_LASTS, bridge.pager.chaos, (0.0,)
    ).start()  # the longer, the longer the pauses between tries
    bridge.settle_down()

    incidents = {each.title.removeprefix("Opsgenie: "): each for each in bridge.pager.incidents.values()}
    assert sorted(incidents) == sorted(names)
    assert len(bridge.pager.incidents) == len(names)
    assert [incidents[name].log for name in names] == [[f"acknowledged by {BOT}"], [], [], []]
    said = [[note.content.splitlines()[0] for note in incidents[name].notes if note.user == BOT] for name in names]
    assert said == [["Acknowledged by dana@example.com"], ["Note from dana@example.com: Looking into it."], [], []]
    assert [note.text.splitlines()[0] for note in taken.notes] == ["Note from Alice Archer: So am I."]
    assert len(noted.notes) == 2, "the person's own and ours"


def killed_amid(bridge: Bridge, fault: Fault | None, held: str, act: Callable[[], int]) -> None:
    """Act, kill the product while the call that carries it hangs, or at once; then let a new one come to rest."""
    if fault:
        bridge.ops.held = bridge.pager.held = (re.compile(held), fault)
    assert act() == 200
    if fault:
        wait_for(lambda: any(each.holds for each in (bridge.ops, bridge.pager)), bridge)
    bridge.restart()
    bridge.settle_down()


def what(request: Request) -> str:
    """Return what a call is about: "incidents", "notes", "acknowledge"."""
    parts = [part for part in request.path.split("/") if part]
    return next(part for part in reversed(parts) if part.isalpha() and part.islower())


def summary(bridge: Bridge) -> str:
    asked = len(bridge.ops.requests), len(bridge.pager.requests)
    slowest = f"the slowest of {len(bridge.seconds)} answers took {max(bridge.seconds):.3f} s"
    return f"{slowest}; {bridge.webhooks} webhooks, {asked[0]} calls to Opsgenie, {asked[1]} to PagerDuty"


def answered(request: urllib.request.Request) -> tuple[int, str]:
    try:
        with urllib.request.urlopen(request, timeout=30) as answer:  # noqa: S310  # loopback
            return int(answer.status), answer.read().decode()
    except urllib.error.HTTPError as error:
        return error.code, error.read().decode()


def wait_for(so: Callable[[], object], bridge: Bridge) -> None:
    until = time.monotonic() + PATIENCE
    while not so():
        assert time.monotonic() < until, f"waited in vain\n{bridge.log()[-3000:]}"
        time.sleep(0.05)  # between looks
