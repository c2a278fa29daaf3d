"""The acts of `make demo`: what happens in the simulated world, and what must follow from it.

Each act looks at the doubles only and ends by counting what was made there: nothing may be there twice.
"""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING

from tests.destinations.opsgenie.double import OpsAlert
from tests.destinations.pagerduty.double import ALICE

if TYPE_CHECKING:
    from tests.doubles.world import World

OUTAGE = "Actions: workflow runs do not start"
OWN = "CheckoutSlow"
BORN_THERE = "Payments: card terminals are offline"
WATCHER = "dana@example.com"  # who works in Opsgenie


def play(world: World, number: int) -> None:
    """Play all acts; `number` counts from 1, each time with an outage and alerts of its own."""
    a_vendors_outage(world, number)
    an_alert_of_our_own(world, number)
    an_alert_born_in_opsgenie(world, number)
    if refused := [what for double in world.doubles for what in double.refused]:
        raise SystemExit(f"the app asked for what the real systems do not allow: {refused}")


def a_vendors_outage(world: World, number: int) -> None:
    pages, slack, outage, items = world.pages, world.slack, f"demo{number}", len(world.devops.items)
    messages = len(slack.roots())
    world.say("\n— 1 — Is it them? A vendor outage")
    world.say(f"\nGitHub posts a major incident on its status page: “{OUTAGE}”")
    pages.open_incident("github", outage, OUTAGE, impact="major", components=("Actions",))
    world.until("a message in Slack", lambda: len(slack.roots()) > messages)
    world.until("a work item", lambda: len(world.devops.items) > items)
    ticket = max(world.devops.items)
    world.until("Slack links the ticket", lambda: f"edit/{ticket}" in slack.roots()[-1].shown)
    world.pause()
    world.say("\nGitHub posts an update")
    pages.update_incident("github", outage, "identified", "A bad deployment is being rolled back.")
    world.until("the message shows it", lambda: "rolled back" in slack.roots()[-1].shown)
    world.pause()
    world.say("\nGitHub resolves the incident")
    pages.resolve_incident("github", outage)
    world.until("the reply in the thread", lambda: slack.replies(slack.roots()[-1].ts))
    world.until("the ticket is closed", lambda: world.devops.items[ticket].state == "Closed")
    made = len(world.devops.items) - items
    world.say(f"\nResult: one outage, {len(slack.roots()) - messages} message in Slack, {made} work item.")
    world.pause()


def an_alert_of_our_own(world: World, number: int) -> None:
    devops, items = world.devops, len(world.devops.items)
    firing = {**world.alertmanager.fire(OWN, instance=f"web-{number}"), "startsAt": _now()}
    world.say("\n— 2 — Or is it us? An alert of our Prometheus")
    world.say(f"\nAlertmanager sends to /alert: {OWN} fires on web-{number}")
    world.post("/alert", world.alertmanager.message(firing))
    world.until("it is a work item", lambda: len(devops.items) > items)
    ticket = max(devops.items)
    world.pause()
    world.say("\nAlertmanager repeats the alert, as it does every few hours: it is known, so nothing new is created")
    world.post("/alert", world.alertmanager.message(firing))
    world.pause()
    world.say(f"\nAlertmanager sends to /alert: {OWN} is resolved")
    over = {**firing, "status": "resolved", "endsAt": _now()}
    world.post("/alert", world.alertmanager.message(over, status="resolved"))
    with world.alertmanager.lock:
        world.alertmanager.listed.clear()
    world.until("the work item is closed", lambda: devops.items[ticket].state == "Closed")
    world.say(f"\nResult: one alert, sent three times, {len(devops.items) - items} work item, opened and closed.")
    world.pause()


def an_alert_born_in_opsgenie(world: World, number: int) -> None:
    ops, pager = world.opsgenie, world.pagerduty
    world.say("\n— 3 — Two pagers, one alert")
    world.say(f"\nAnother tool opens an alert in Opsgenie: “{BORN_THERE}”")
    alert = ops.create(BORN_THERE, priority="P1", username=WATCHER)
    world.until("it is an incident in PagerDuty", lambda: len(pager.incidents) >= number)
    incident = list(pager.incidents.values())[-1]
    world.pause()
    world.say("\nAlice Archer was paged and acknowledges the incident in PagerDuty")
    pager.person_acknowledges(incident.id, ALICE)
    world.until("Opsgenie shows it", lambda: alert.acknowledged and _told(alert, "Alice Archer"))
    world.pause()
    world.say("\nAlice Archer writes a note in PagerDuty")
    pager.person_notes(incident.id, "The provider confirms it: back in ten minutes.", ALICE)
    world.until("it is on the alert", lambda: _told(alert, "ten minutes"))
    world.pause()
    world.say(f"\n{WATCHER} closes the alert in Opsgenie; as set by `mirrors` in config.json, PagerDuty gets a note")
    ops.person_closes(alert.id, WATCHER)
    world.until("the incident has the note", lambda: WATCHER in incident.contents[-1])
    world.say("\nAlice Archer reads it and resolves the incident in PagerDuty")
    pager.person_resolves(incident.id, ALICE)
    world.until("all webhooks were taken", lambda: not pager.webhooks and not ops.webhooks)
    world.say(
        f"\nResult: one alert, {len(pager.incidents) - number + 1} incident, {len(incident.notes)} notes there, "
        f"{len(alert.notes)} in Opsgenie, nothing sent back and forth."
    )
    world.pause()


def _told(alert: OpsAlert, words: str) -> bool:
    return any(words in note.text for note in alert.notes)


def _now() -> str:
    return datetime.now(UTC).isoformat().replace("+00:00", "Z")
