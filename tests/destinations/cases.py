"""The destinations that the contract suite is held for: how each is set up, and how to read its double's truth."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from service_event_checker.core.ports import Destination
from service_event_checker.destinations import azure_devops, slack
from tests.doubles.azure_devops import AzureDevOps
from tests.doubles.slack import Slack

DEADLINE = 0.4  # seconds; of every call in these tests


@dataclass(frozen=True)
class Case:
    """`objects`, `ended`, `end_notes`, `shown` read the double: how many objects it holds for us, how many of them are
    over, how many times the end was told, and all that a reader is shown. `gone`: an id that names nothing there.
    """

    name: str
    double: Callable[[], Any]
    adapter: Callable[[Any], Destination]
    secret: str
    gone: str
    objects: Callable[[Any], int]
    ended: Callable[[Any], int]
    end_notes: Callable[[Any], int]
    shown: Callable[[Any], str]


def _slack(double: Slack) -> Destination:
    return slack.Adapter("slack", slack.Config(token=double.token, api_url=double.api_url, timeout=DEADLINE))


def _azure_devops(double: AzureDevOps) -> Destination:
    config = azure_devops.Config(url=double.org_url, project=double.project, token=double.pat, timeout=DEADLINE)
    return azure_devops.Adapter("azure_devops", config)


CASES = [
    Case(
        name="slack",
        double=lambda: Slack(token="xoxb-canary-4711"),
        adapter=_slack,
        secret="canary-4711",
        gone="C0OUTAGES1:1.000001",
        objects=lambda double: len(double.roots()),
        ended=lambda double: sum("✅ Resolved" in root.shown for root in double.roots()),
        end_notes=lambda double: sum("Resolved after" in m.shown for m in double.messages if m.thread_ts),
        shown=lambda double: "\n".join(message.shown for message in double.messages),
    ),
    Case(
        name="azure_devops",
        double=AzureDevOps,
        adapter=_azure_devops,
        secret="canary-pat",
        gone="4711",
        objects=lambda double: len(double.with_tag("platform-outage-checker")),
        ended=lambda double: sum(each.state == "Closed" for each in double.items.values()),
        end_notes=lambda double: sum("Resolved after" in c for each in double.items.values() for c in each.comments),
        shown=lambda double: "\n".join(each.shown for each in double.items.values()),
    ),
]
