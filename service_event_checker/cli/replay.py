"""`outage replay`: what another configuration would have told of the last days. Sends nothing, asks nobody."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import click

from service_event_checker import logs, wiring
from service_event_checker.cli.context import Here, UserPath, pass_here
from service_event_checker.cli.tables import print_json, table
from service_event_checker.core.rules import Rulebook
from service_event_checker.core.vocabulary import Family, Verb
from service_event_checker.engine.replay import Place, Report, compare
from service_event_checker.render.text import line

DAYS_MAX = 366
TITLE_MAX = 120
_KINDS = {Family.TICKET: "ticket", Family.PAGER: "page"}  # all else is a message
_NO_RULE = "no rule of now"
_ALWAYS = (
    "What people did is repeated as it was, although they might have been told of other things.",
    "An alert is judged by its latest texts, labels and verdict. Of former ones nothing is kept.",
    "Of updates one counts for each alert and receiver: the store keeps only the last.",
    "What was never tracked is not known, like planned work that no rule asked for.",
)


@click.command()
@click.option("--config", "file", type=UserPath(exists=True), required=True, help="The configuration to try.")
@click.option("--days", type=click.IntRange(1, DAYS_MAX), default=7, show_default=True, help="How far to look back.")
@click.option("--json", "as_json", is_flag=True, help="All changes, with examples.")
@pass_here
def replay(here: Here, file: Path, days: int, *, as_json: bool) -> None:
    """Show what another configuration would have told of the last days, more or less than was told.

    What was really told is taken from the store. What would have been told is decided anew for each stored change, at
    its time. Sends nothing and asks no other system.
    """
    store, settings = here.store, here.settings
    _, proposed = wiring.rulebook_of(settings, file)
    until = datetime.now(UTC)
    present = here.services.book
    report = compare(store, present, proposed, until - timedelta(days=days), until)
    unknown = [
        *_off(proposed),
        *_kept_too_short(settings.retention, days),
        *_not_counted(present, proposed),
        *_gaps(report),
        *_ALWAYS,
    ]
    changes = list(_changes(report, proposed))
    if as_json:
        print_json(_document(report, file, changes, unknown))
        return
    click.echo("\n".join(_text(report, file, days, changes)))
    click.echo("\nWhat this cannot know:\n" + "\n".join(f"- {each}" for each in unknown))


def _document(report: Report, file: Path, changes: list[dict[str, Any]], unknown: list[str]) -> dict[str, Any]:
    return {
        "config": file.name,
        "since": report.window.since,
        "until": report.window.until,
        "alerts": report.alerts,
        "transitions": report.transitions,
        **_totals(changes),
        "changes": changes,
        "cannot_know": unknown,
    }


def _text(report: Report, file: Path, days: int, changes: list[dict[str, Any]]) -> Iterator[str]:
    looked = f"{report.alerts} alerts and {report.transitions} stored changes of the last {days} days"
    if not changes:
        yield f"{file.name} would have told the same: {looked}."
        return
    yield f"{file.name} against {looked}:"
    yield ""
    totals = _totals(changes)
    rows = [(name, f"+{each['added']}", f"-{each['spared']}") for name, each in totals.items()]
    yield table(("", "ADDED", "SPARED"), rows)
    yield ""
    heads = ("RULE", "RECEIVER", "KIND", "VERB", "ADDED", "SPARED", "FOR EXAMPLE")
    yield table(heads, [_row(each) for each in changes])


def _row(change: dict[str, Any]) -> tuple[str, ...]:
    shown = change["alerts"][0]
    added, spared = (str(change[name] or "") for name in ("added", "spared"))
    example = f"{shown['id']} {shown['title']}"
    return change["rule"] or _NO_RULE, change["receiver"], change["kind"], change["verb"], added, spared, example


def _changes(report: Report, proposed: Rulebook) -> Iterator[dict[str, Any]]:
    """Yield the differences in the order of the new rules; those of rules that are gone come last."""
    order = {rule.name: number for number, rule in enumerate(proposed.rules)}
    verbs = list(Verb)

    def place(each: Place) -> tuple[int, str, str, int]:
        rule, receiver, verb = each
        return order.get(rule, len(order)), rule, receiver, verbs.index(verb)

    for each in sorted(report.counted, key=place):
        rule, receiver, verb = each
        counted = report.counted[each]
        yield {
            "rule": rule,
            "receiver": receiver,
            "kind": _KINDS.get(report.families.get(receiver, Family.CHAT), "message"),
            "verb": verb.value,
            "added": counted.added,
            "spared": counted.spared,
            "alerts": [
                {"id": id, "title": line(logs.masked(title), TITLE_MAX)} for id, title in counted.examples.items()
            ],
        }


def _totals(changes: list[dict[str, Any]]) -> dict[str, dict[str, int]]:
    """Return how many messages, tickets and pages are opened, more and less; `further` is what is told on them."""
    totals = {name: {"added": 0, "spared": 0} for name in ("messages", "tickets", "pages", "further")}
    for change in changes:
        name = f"{change['kind']}s" if change["verb"] == Verb.OPEN else "further"
        for sign in ("added", "spared"):
            totals[name][sign] += change[sign]
    return totals


def _off(proposed: Rulebook) -> Iterator[str]:
    used = {name for rule in proposed.rules for name in rule.receivers}
    for name, receiver in proposed.receivers.items():
        if receiver.why_off and name in used:
            yield f"{name} is off here and is told nothing: {receiver.why_off}. Use the environment of the app."


def _not_counted(present: Rulebook, proposed: Rulebook) -> Iterator[str]:
    if proposed.counts_firings and not present.counts_firings:
        yield "How often an alert was reported while it was open is only stored once a rule has the key after."


def _kept_too_short(retention: timedelta, days: int) -> Iterator[str]:
    if retention < timedelta(days=days):
        yield f"Alerts that ended more than {retention.days} days ago are no longer stored."


def _gaps(report: Report) -> Iterator[str]:
    gaps = report.gaps
    for number, text in (
        (gaps.texts, "Alerts that changed their texts or labels meanwhile"),
        (gaps.severities, "Alerts whose severity changed before it was stored, so that the latest counts"),
        (gaps.trimmed, "Alerts that changed so often that some of their changes are no longer stored"),
        (gaps.unrecorded, "Alerts without a record of deliveries, for which the decision of the rules of now counts"),
        (gaps.unexplained, "Deliveries that differ from what the rules of now decide, as the rules were other ones"),
        (gaps.beside, "Deliveries that no rule asked for, like notices of failures, which are left out"),
        (gaps.looks, "Alerts that were looked at less often than live, because of the bound"),
        (gaps.tests, "Test alerts, which are left out"),
    ):
        if number:
            yield f"{text}: {number}."
    if gaps.waiting:
        yield "More deliveries wait than are read: some count as not made."
