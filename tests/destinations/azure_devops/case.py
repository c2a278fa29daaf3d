"""Azure DevOps in the contract suite."""

from __future__ import annotations

from service_event_checker.core.ports import Destination
from service_event_checker.destinations.azure_devops import adapter as azure_devops
from tests.destinations.azure_devops.double import AzureDevOps
from tests.destinations.cases import DEADLINE, Case


def _adapter(double: AzureDevOps) -> Destination:
    config = azure_devops.Config(url=double.org_url, project=double.project, token=double.pat, timeout=DEADLINE)
    return azure_devops.Adapter("azure_devops", config)


CASE = Case(
    name="azure_devops",
    double=AzureDevOps,
    adapter=_adapter,
    secret="canary-pat",
    gone="4711",
    objects=lambda double: len(double.with_tag("platform-outage-checker")),
    ended=lambda double: sum(each.state == "Closed" for each in double.items.values()),
    end_notes=lambda double: sum("Resolved after" in c for each in double.items.values() for c in each.comments),
    shown=lambda double: "\n".join(each.shown for each in double.items.values()),
    take=lambda double, id: double.change(int(id), State="Active"),
    displace=lambda double, id: double.change(int(id), State="Closed", Reason="Duplicate"),
    refuse_end=lambda double: setattr(double, "rule", "Custom.RootCause"),
    end=lambda double, id: double.change(int(id), State="Closed"),
)
