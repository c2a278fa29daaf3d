"""PagerDuty in the contract suite."""

from __future__ import annotations

from html import escape

from service_event_checker.core.ports import Destination
from service_event_checker.destinations.pagerduty import adapter as pagerduty
from tests.destinations.cases import DEADLINE, Case
from tests.destinations.pagerduty.double import BOT, SERVICE, TOKEN, PagerDuty


def _adapter(double: PagerDuty) -> Destination:
    settings = {"url": double.url, "token": double.token, "service_id": SERVICE, "timeout": DEADLINE}
    return pagerduty.Adapter("pagerduty", pagerduty.Config(**settings, email="bot@example.com", user=BOT))


def _shown(double: PagerDuty) -> str:
    """All that a reader sees: PagerDuty takes it for text, and its pages escape it."""
    texts = [text for each in double.incidents.values() for text in (each.title, each.details, *each.contents)]
    return escape("\n".join(texts), quote=False)


CASE = Case(
    name="pagerduty",
    double=PagerDuty,
    adapter=_adapter,
    secret=TOKEN,
    gone="QGONE",
    objects=lambda double: len(double.incidents),
    ended=lambda double: sum(each.status == "resolved" for each in double.incidents.values()),
    end_notes=lambda double: sum("Resolved after" in c for each in double.incidents.values() for c in each.contents),
    shown=_shown,
    take=lambda double, id: double.person_acknowledges(id),
    end=lambda double, id: double.person_resolves(id),
    displace=lambda double, id: double.person_merges(id, "Whole shop is down"),
    forbidden=lambda said: {"error": {"message": "Access Denied", "code": 2010, "errors": [said]}},
)
