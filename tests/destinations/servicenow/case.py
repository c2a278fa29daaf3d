"""ServiceNow in the contract suite."""

from __future__ import annotations

from service_event_checker.core.ports import Destination
from service_event_checker.destinations.servicenow import adapter as servicenow
from tests.destinations.cases import DEADLINE, Case
from tests.destinations.servicenow.double import RESOLVED, USER, ServiceNow


def _adapter(double: ServiceNow) -> Destination:
    config = servicenow.Config(url=double.url, username=USER, password=double.token, timeout=DEADLINE)
    return servicenow.Adapter("servicenow", config)


CASE = Case(
    name="servicenow",
    double=ServiceNow,
    adapter=_adapter,
    secret="canary-password",
    gone="f" * 32,
    objects=lambda double: len(double.incidents),
    ended=lambda double: sum(each.state == RESOLVED for each in double.incidents.values()),
    end_notes=lambda double: sum("Resolved after" in note for i in double.incidents.values() for note in i.work_notes),
    shown=lambda double: "\n".join(each.shown for each in double.incidents.values()),
    take=lambda double, id: double.change(id, state="2"),
    displace=lambda double, id: double.change(id, state=RESOLVED, close_code="Duplicate"),
    refuse_end=lambda double: setattr(double, "rule", "Root cause first"),
    end=lambda double, id: double.change(id, state=RESOLVED),
    forbidden=lambda said: {"error": {"message": "Operation Failed", "detail": said}, "status": "failure"},
)
