"""Slack in the contract suite."""

from __future__ import annotations

from service_event_checker.core.ports import Destination
from service_event_checker.destinations.slack import adapter as slack
from tests.destinations.cases import DEADLINE, Case
from tests.destinations.slack.double import Slack


def _adapter(double: Slack) -> Destination:
    return slack.Adapter("slack", slack.Config(token=double.token, url=double.api_url, timeout=DEADLINE))


CASE = Case(
    name="slack",
    double=lambda: Slack(token="xoxb-canary-4711"),
    adapter=_adapter,
    secret="canary-4711",
    gone="C0OUTAGES1:1.000001",
    objects=lambda double: len(double.roots()),
    ended=lambda double: sum("✅ Resolved" in root.shown for root in double.roots()),
    end_notes=lambda double: sum("Resolved after" in m.shown for m in double.messages if m.thread_ts),
    shown=lambda double: "\n".join(message.shown for message in double.messages),
    objects_kept=False,
)
