"""What `outage doctor` asks of others: status pages, destinations' credentials, and the time. Changes nothing there."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from email.utils import parsedate_to_datetime
from urllib.parse import urlsplit

from service_event_checker import logs
from service_event_checker.cli.context import Here
from service_event_checker.cli.diagnosis import Finding
from service_event_checker.core.errors import Reason, SourceError
from service_event_checker.core.ports import Checker, Preflight, Probe, SignsIn
from service_event_checker.engine import probing
from service_event_checker.engine.probing import Report, Result
from service_event_checker.http.answer import HttpError
from service_event_checker.http.client import Http
from service_event_checker.render.text import duration

AT_ONCE = 8
CLOCK_SECONDS = 5.0
CLOCKS_ASKED = 3
OFF_MAX = timedelta(seconds=60)  # signatures of Slack and PagerDuty are good for five minutes
REMEDIES = {
    Reason.UNREACHABLE: "check DNS and network; behind a proxy set OUTBOUND_PROXY",
    Reason.TIMEOUT: "check the network, or set a longer `timeout` for the checker",
    Reason.UNAUTHORIZED: "check the credentials",
    Reason.FORBIDDEN: "the credentials are valid: give their account the missing permission",
    Reason.PAGE_CHANGED: "./outage check NAME --adopt uses the new page, where it is found",
    Reason.NOT_FOUND: "check `url`; ./outage detect URL finds the right one",
    Reason.FORBIDDEN_ADDRESS: "check `url`: it leads to an address that is not allowed",
}


def pages(here: Here) -> Iterator[Finding]:
    """Ask every page that is on, several at once."""
    watches = here.services.poller.watches
    with ThreadPoolExecutor(AT_ONCE) as pool:
        asked = {name: pool.submit(_page, name, watch.checker) for name, watch in watches.items()}
        for each in asked.values():
            yield each.result()


def credentials(here: Here) -> Iterator[Finding]:
    """Try the destinations without sending; those that cannot be tried so are left out."""
    receivers = here.services.book.receivers
    asked = {
        name: destination
        for name, destination in here.services.outbox.destinations.items()
        if isinstance(destination, Preflight | Probe)
    }
    with ThreadPoolExecutor(AT_ONCE) as pool:
        trials = {name: pool.submit(probing.probe, each, receivers[name].deadline) for name, each in asked.items()}
        for name, trial in trials.items():
            yield from _tried(name, trial.result(), _way(asked[name]))


def clock(here: Here) -> Iterator[Finding]:
    """Compare the clock with the Date header of a page that answers (RFC 9110, to the second)."""
    configs = [entry.config for entry in here.services.config.checkers if entry.config and not entry.why_off]
    for url in [str(getattr(config, "url", "")) for config in configs][:CLOCKS_ASKED]:
        there = _date_of(url)
        if there is not None:
            off = datetime.now(UTC) - there
            way = "ahead of" if off > timedelta(0) else "behind"
            text = f"clock: {duration(abs(off))} {way} {urlsplit(url).hostname}"
            good = abs(off) <= OFF_MAX
            yield Finding(good, text, "" if good else "set the clock: timedatectl set-ntp true, or chrony")
            return
    if configs:
        yield Finding(False, "clock: not compared, because no status page answers", "see the status pages above")


def _page(name: str, checker: Checker) -> Finding:
    try:
        snapshot = checker.check(frozenset())
    except SourceError as error:
        detail = f" ({error.detail})" if error.detail else ""
        remedy = REMEDIES.get(error.reason, f"./outage check {name} shows it again")
        return Finding(False, f"{name}: {error.reason}{logs.masked(detail)}", remedy)
    warnings = "; ".join(snapshot.warnings)
    return Finding(True, f"{name}: can be read" + (f"; {warnings}" if warnings else ""))


def _tried(name: str, report: Report, way: str) -> list[Finding]:
    if report.result is Result.FAILS:
        return [Finding(False, f"{name}: fails{way}, {logs.masked(report.why)}", report.remedy)]
    wrong = [
        Finding(False, f"{name}: {logs.masked(text)}", "correct it there or in config.json") for text in report.wrong
    ]
    return wrong or [Finding(True, f"{name}: answers, and the credentials are good{way}")]


def _way(destination: Preflight | Probe) -> str:
    """Return how a destination signs in, as a piece of a sentence; "" where there is one way alone."""
    return f" ({destination.auth})" if isinstance(destination, SignsIn) and destination.auth else ""


def _date_of(url: str) -> datetime | None:
    """Return what time it is at a page's host; None where it does not tell."""
    parts = urlsplit(url)
    if parts.scheme not in ("http", "https") or not parts.netloc:
        return None
    headers: Mapping[str, str]
    try:
        headers = Http(f"{parts.scheme}://{parts.netloc}", timeout=CLOCK_SECONDS).get("/").headers
    except HttpError as error:
        headers = error.headers
    try:
        return parsedate_to_datetime(headers.get("Date", "")).astimezone(UTC)
    except (TypeError, ValueError):
        return None
