"""`outage preview`: what people would read at a destination, with the templates in use. Sends nothing."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime

import click

from service_event_checker.cli.context import Here, pass_here
from service_event_checker.cli.probe import complete_destinations
from service_event_checker.cli.route import question_of
from service_event_checker.cli.tables import print_json
from service_event_checker.core.model import Alert, Event
from service_event_checker.core.ports import DryRunnable, Previewable
from service_event_checker.core.vocabulary import Verb
from service_event_checker.render import own, sample, voice
from service_event_checker.sources.evaluate import asked

VERBS = [verb.value for verb in Verb if verb is not Verb.RUN]
BUILT_IN = "built-in"


@click.command()
@click.argument("destination", shell_complete=complete_destinations)
@click.argument("alert", nargs=-1)
@click.option("--alert", "id", default="", metavar="ID", help="This alert, as it is now.")
@click.option("--verb", type=click.Choice(VERBS), default="open", show_default=True, help="What has happened to it.")
@click.option("--json", "as_json", is_flag=True)
@pass_here
def preview(here: Here, destination: str, alert: tuple[str, ...], id: str, verb: str, *, as_json: bool) -> None:
    """Show what people would read at a destination, and which template writes it. Sends nothing.

    ALERT is labels, or JSON (labels, or a message of Alertmanager), as for `outage route`; left out, a sample.
    """
    if id and alert:
        raise click.UsageError("give --alert ID or an alert, not both")
    to = here.services.outbox.destinations.get(destination)
    if to is None:
        known = ", ".join(here.services.outbox.destinations) or "none"
        raise click.UsageError(f'there is no destination "{destination}" that is on; on: {known}')
    shown, wanted = _alert(here, alert, id), Verb(verb)
    if wanted is Verb.CLOSE and shown.open:
        shown = sample.over(shown, datetime.now(UTC))
    delivery = sample.delivery(shown, destination, wanted, actor="ada", note="")
    with voice.speaking(destination):
        if isinstance(to, Previewable):
            parts = to.preview(delivery, shown)
        else:
            parts = {"message": to.dry_run(delivery, shown) if isinstance(to, DryRunnable) else shown.title}
    from_ = {part: own.source(destination, wanted, part) or BUILT_IN for part in parts}
    failed = [each for each in own.failures() if each.receiver == destination]
    if as_json:
        print_json({"parts": [{"part": part, "template": from_[part], "text": text} for part, text in parts.items()]})
    else:
        for part, text in parts.items():
            click.echo(f"== {part} ({from_[part]})\n{text}\n")
    for each in failed:
        click.echo(f"{each.path}: line {each.why}", err=True)
    if failed:
        raise SystemExit(1)


def _alert(here: Here, words: tuple[str, ...], id: str) -> Alert:
    """Return the alert to show. Raises ClickException, InvalidInput and StoreError."""
    if id:
        return here.find_alert(id)
    now = datetime.now(UTC)
    return _from(asked(question_of(words))[0], now) if words else sample.alert(now)


def _from(event: Event, now: datetime) -> Alert:
    return replace(
        sample.alert(now, name=event.fingerprint),
        source=event.source,
        kind=event.kind,
        severity=event.severity,
        title=event.title,
        description=event.description,
        url=event.url,
        labels=event.labels,
        annotations=event.annotations,
        started_at=event.starts_at or now,
        test=event.test,
    )
