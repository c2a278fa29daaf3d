"""`outage route`: which rules match an alert, who would be told, and why. Needs no running app, and no store either."""

from __future__ import annotations

import json
import sys
from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any

import click
from pydantic import ValidationError

from service_event_checker import logs
from service_event_checker.cli.context import Here, pass_here
from service_event_checker.cli.tables import print_json, table
from service_event_checker.config.problems import by_field
from service_event_checker.core import matchers
from service_event_checker.core.errors import InvalidInput, StoreError
from service_event_checker.core.silences import Silence
from service_event_checker.sources.evaluate import Question, answer

_OWN = ("source", "kind", "severity", "title", "intake")  # as in rules; all else is a label


@click.command()
@click.argument("alert", nargs=-1, required=True)
@click.option("--at", default="", metavar="TIME", help="As of this time, like 2026-11-20T17:00:00Z: silences count.")
@click.option("--json", "as_json", is_flag=True, help="As POST /api/v1/rules/evaluate.")
@pass_here
def route(here: Here, alert: tuple[str, ...], at: str, *, as_json: bool) -> None:
    """Show which rules match an alert, who would be told, and why. Sends nothing.

    ALERT is labels and the names that rules ask for, like severity=critical team=web, or JSON: labels, or a message
    of Alertmanager. "-" reads it from the standard input.
    """
    question = question_of(alert, at)
    found = answer(question, here.services.book.with_silences(_stored(here)), datetime.now(UTC))
    if as_json:
        print_json(found)
        return
    head = ("ALERT", "RULE", "MATCHES", "WHY")[0 if question.payload is not None else 1 :]
    click.echo(table(head, [_row(step) for step in found["steps"]]) if found["steps"] else "There are no rules.")
    click.echo(f"\ntold: {', '.join(found['receivers']) or 'nobody'}")
    for group in found.get("groups", ()):
        place = ", ".join([f'"{group["rule"]}"', *(f"{name}={value}" for name, value in group["labels"].items())])
        told = ", ".join(group["receivers"]) or "nobody"
        click.echo(f"group of {place}: {told}, after {group['wait']:g}s")
    for each in found["withheld"]:
        click.echo(f"withheld: {each['receiver']}: {each['reason']}")
    for each in found["silences"]:
        click.echo(f"silence {each['id']} by {each['owner']} until {each['until']}: {each['reason']}")


def _stored(here: Here) -> Sequence[Silence]:
    """Return the silences of the store; none, with a word, where it cannot be used."""
    try:
        return here.store.silences.list()
    except StoreError as error:
        click.echo(f"only the silences of config.json count: {logs.masked(str(error))}", err=True)
        return ()


def question_of(words: tuple[str, ...], at: str = "") -> Question:
    """Return what the words of a command ask about. Raises InvalidInput and UsageError."""
    text = sys.stdin.read() if words == ("-",) else ",".join(words)
    try:
        return Question.model_validate(_asked(text) | ({"at": at} if at else {}))
    except ValidationError as error:
        raise click.UsageError("; ".join(f"{field}: {problem}" for field, problem in by_field(error))) from None


def _asked(text: str) -> dict[str, Any]:
    """Return the body that the API would take. Raises InvalidInput."""
    try:
        found = json.loads(text)
    except (ValueError, RecursionError):
        return _named(text)
    if not isinstance(found, dict):
        raise InvalidInput("alert", "is JSON, but not an object", "Write labels, or a message of Alertmanager")
    if "alerts" in found:
        return {"payload": found}
    return found if {"labels", "payload"} & found.keys() else {"labels": found}


def _named(text: str) -> dict[str, Any]:
    pairs = {}
    for matcher in matchers.parse(text, "alert"):
        if matcher.operator != "=":
            raise InvalidInput("alert", f'"{matcher}" is a condition', "Write what the alert has, with =")
        pairs[matcher.name] = matcher.value
    own = {name: pairs.pop(name) for name in _OWN if name in pairs}
    return {**own, "labels": {name.removeprefix("label."): value for name, value in pairs.items()}}


def _row(step: dict[str, Any]) -> tuple[str, ...]:
    named = (step["alert"],) if "alert" in step else ()
    return (*named, step["rule"], "yes" if step["matched"] else "no", step["why"])
