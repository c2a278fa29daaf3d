"""The real Redmine in the contract suite, behind a proxy that lets every fault happen to it."""

from __future__ import annotations

from typing import Any

from service_event_checker.core.ports import Destination
from service_event_checker.destinations.redmine import adapter as redmine
from tests.destinations.cases import Case
from tests.doubles.base import Request
from tests.doubles.proxy import Proxy
from tests.real.redmine import BOT_KEY, FINGERPRINT_FIELD, Redmine
from tests.real.redmine_page import Browser

DEADLINE = 3.0  # seconds; a real server under load


class RedmineProxy(Proxy):
    """`project` is the test's own. With another `token` than the bot's, Redmine is given that in its place."""

    def __init__(self, server: Redmine, custom_field: str = FINGERPRINT_FIELD) -> None:
        super().__init__(server.url)
        self.server = server
        self.project = server.new_project()
        self.custom_field = custom_field
        self.token = BOT_KEY

    def headers(self, request: Request) -> dict[str, str]:
        key = {"X-Redmine-API-Key": self.token} if self.token != BOT_KEY else {}
        return {**super().headers(request), **key}

    @property
    def made(self) -> list[dict[str, Any]]:
        """The issues that our user made."""
        return [each for each in self.server.issues(project_id=self.project) if each["author"]["name"] == "Alert Bot"]

    @property
    def notes(self) -> list[str]:
        """All that was written to them afterwards."""
        whole = [self.server.issue(each["id"]) for each in self.made]
        return [journal["notes"] for issue in whole for journal in issue["journals"] if journal["notes"]]

    @property
    def shown(self) -> str:
        browser = Browser(self.server)
        return "\n".join(browser.shown(each["id"]) for each in self.made)


def config(proxy: RedmineProxy, **changes: Any) -> redmine.Config:
    """Return the settings that fit a stock Redmine."""
    settings: dict[str, Any] = {
        "url": proxy.url,
        "project": proxy.project,
        "token": BOT_KEY,
        "close_status_id": 5,
        "custom_field": proxy.custom_field,
        "timeout": DEADLINE,
    }
    return redmine.Config(**{**settings, **changes})


def _adapter(proxy: RedmineProxy) -> Destination:
    """Return an adapter that knows the custom field already, so that its next call is the create."""
    if proxy.custom_field:
        field = {"id": proxy.server.fingerprint_field, "value": f"{'e' * 20} {'f' * 20}"}
        proxy.server.create(proxy.project, "an older one", custom_fields=[field])
    adapter = redmine.Adapter("redmine", config(proxy))
    adapter.find("0" * 20)
    return adapter


def _case(name: str, custom_field: str) -> Case:
    return Case(
        name=name,
        double=lambda server: RedmineProxy(server, custom_field),
        real="redmine",
        deadline=DEADLINE,
        adapter=_adapter,
        secret=BOT_KEY,
        gone="99999999",
        objects=lambda proxy: len(proxy.made),
        ended=lambda proxy: sum(each["status"]["is_closed"] for each in proxy.made),
        end_notes=lambda proxy: sum("Resolved after" in note for note in proxy.notes),
        shown=lambda proxy: proxy.shown,
        take=lambda proxy, id: proxy.server.move(int(id), "In Progress"),
        end=lambda proxy, id: proxy.server.close(int(id)),
        forbidden=lambda said: {"errors": [said]},
    )


CASE = _case("redmine", FINGERPRINT_FIELD)
