"""`outage show`: all that the store knows of one alert."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import click

from service_event_checker import logs
from service_event_checker.cli.alerts import alert_id
from service_event_checker.cli.context import Here, pass_here
from service_event_checker.cli.tables import print_json, table, when
from service_event_checker.core.model import Alert, Link, Transition
from service_event_checker.core.roles import Store
from service_event_checker.core.rules import is_unrouted
from service_event_checker.render.shapes import AlertDetail
from service_event_checker.render.text import clean, line, web_address

DESCRIPTION_MAX = 1000  # characters
LABELS_MAX = 300
NOTE_MAX = 200


@click.command()
@alert_id
@click.option("--json", "as_json", is_flag=True, help="As GET /api/v1/alerts/{id}, with the deliveries.")
@pass_here
def show(here: Here, id: str, *, as_json: bool) -> None:
    """Show one alert.

    Its links, who was told, who waits, what failed or is withheld, and the timeline.
    """
    alert = here.find_alert(id)
    store = here.store
    timeline, links = store.timeline(alert.key), store.links([alert.key]).get(alert.key, [])
    deliveries = states(store, alert, links)
    unrouted = is_unrouted(alert, here.services.book.rules)
    if as_json:
        detail = AlertDetail.with_history(alert, timeline, links).model_dump(mode="json")
        print_json(detail | {"deliveries": deliveries, "unrouted": unrouted})
        return
    now = datetime.now(UTC)
    click.echo("\n".join(_head(alert, now)))
    if unrouted:
        click.echo("\nNobody is told: no rule matched. Add a rule that matches, in config.json")
    if deliveries:
        rows = [(each["receiver"], each["state"], each["url"] or each["why"]) for each in deliveries]
        click.echo("\n" + table(("RECEIVER", "STATE", "WHERE, WHY"), rows, width=0))
    steps = [_step(step, now) for step in timeline if step.episode == alert.episode]
    click.echo("\n" + table(("WHEN", "WHAT", "BY", "NOTE"), steps))


def states(store: Store, alert: Alert, links: list[Link]) -> list[dict[str, Any]]:
    """Return what became of each receiver, as far as the store knows: told, waiting, failed or withheld."""
    failed = {one.receiver: one for one in store.failed_deliveries(key=alert.key) if one.episode == alert.episode}
    urls = {link.receiver: link.url for link in links if link.episode == alert.episode} | dict(alert.links)
    found = []
    for name in alert.receivers:
        state, why = "told", ""
        if name in failed:
            one = failed[name]
            state, why = "failed", f"{one.verb}: {logs.masked(one.reason)}; ./outage failed --retry {one.id}"
        elif alert.key in store.keys_with_pending(name):
            state = "waiting"
        found.append({"receiver": name, "state": state, "url": web_address(urls.get(name, "")), "why": why})
    withheld = ((name, logs.masked(why)) for name, why in alert.withheld.items())
    return found + [{"receiver": name, "state": "withheld", "url": "", "why": why} for name, why in withheld]


def _head(alert: Alert, now: datetime) -> list[str]:
    test = ["TEST"] if alert.test else []
    labels = ", ".join(f"{name}={line(value, 80)}" for name, value in alert.labels.items())
    facts = [
        ("began", when(alert.started_at, now)),
        ("opened", when(alert.opened_at, now)),
        ("over", when(alert.ended_at, now) if alert.ended_at else ""),
        ("taken by", line(alert.owner, 80)),
        ("source", line(alert.source, 80)),
        ("labels", line(labels, LABELS_MAX)),
        ("page", web_address(alert.url)),
        ("key", f"{alert.key}, fingerprint {line(alert.fingerprint, 80)}, episode {alert.episode}"),
    ]
    rows = ["  ".join([alert.internal_id, alert.status.value, alert.severity.value, alert.kind.value, *test])]
    rows.append(line(alert.title, 300) or "(no title)")
    rows += [f"{name + ':':10}{text}" for name, text in facts if text]
    described = clean(alert.description, DESCRIPTION_MAX)
    return rows + ["", described] if described else rows


def _step(step: Transition, now: datetime) -> tuple[str, str, str, str]:
    what = f"{step.why.value}: {step.receiver}" if step.receiver else step.why.value
    return when(step.at, now), what, step.actor or step.via, line(logs.masked(step.note), NOTE_MAX)
