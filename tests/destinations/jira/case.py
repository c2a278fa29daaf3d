"""Jira Cloud and Jira Server in the contract suite."""

from __future__ import annotations

from functools import partial

from service_event_checker.core.ports import Destination
from service_event_checker.destinations.jira import adapter as jira
from tests.destinations.cases import DEADLINE, Case
from tests.destinations.jira.double import Jira


def _adapter(double: Jira) -> Destination:
    config = jira.Config(
        url=double.url,
        project=double.project,
        email=double.email,
        token=double.token,
        api=double.kind,
        timeout=DEADLINE,
    )
    return jira.Adapter("jira", config)


def _case(api: str) -> Case:
    return Case(
        name=f"jira-{api}",
        double=partial(Jira, api=api),
        adapter=_adapter,
        secret="canary-jira-token",
        gone="4711",
        objects=lambda double: len(double.with_label("platform-outage-checker")),
        ended=lambda double: len(double.ended()),
        end_notes=lambda double: sum("Resolved after" in text for each in double.issues.values() for text in each.said),
        shown=lambda double: "\n".join(each.shown for each in double.issues.values()),
        take=lambda double, id: double.person_moves(id, "In Progress"),
        refuse_end=lambda double: setattr(double, "validator", "customfield_10010"),
        end=lambda double, id: double.person_closes(id),
        displace=lambda double, id: double.person_closes(id, resolution="Duplicate"),
        forbidden=lambda said: {"errorMessages": [said], "errors": {}},
    )


CASES = [_case("cloud"), _case("server")]
