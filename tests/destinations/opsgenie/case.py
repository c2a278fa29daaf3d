"""Opsgenie, and JSM Operations by its REST API, in the contract suite."""

from __future__ import annotations

from service_event_checker.core.ports import Destination
from service_event_checker.destinations.opsgenie import adapter as opsgenie
from tests.destinations.cases import DEADLINE, Case
from tests.destinations.opsgenie.double import KEY, Opsgenie


def _opsgenie(double: Opsgenie) -> Destination:
    return opsgenie.Adapter("opsgenie", opsgenie.Config(url=double.url, token=KEY, timeout=DEADLINE))


def _jsm(double: Opsgenie) -> Destination:
    config = opsgenie.Config(url=double.rest_url, token=KEY, email=double.email, timeout=DEADLINE)
    return opsgenie.Adapter("jsm", config)


CASES = [
    Case(
        name=name,
        double=Opsgenie,
        adapter=adapter,
        secret=KEY[:12],
        gone="052652ac-5d1c-464a-812a-7dd18bbfba8c",
        objects=lambda double: len(double.tagged("platform-outage-checker")),
        ended=lambda double: sum(not alert.open for alert in double.alerts.values()),
        end_notes=lambda double: sum("Resolved after" in n.text for a in double.alerts.values() for n in a.notes),
        shown=lambda double: "\n".join(alert.shown for alert in double.alerts.values()),
        take=lambda double, id: double.person_acknowledges(id),
        end=lambda double, id: double.person_closes(id),
        says_end_of_ended=True,
    )
    for name, adapter in (("opsgenie", _opsgenie), ("jsm_ops", _jsm))
]
