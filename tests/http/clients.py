"""Every client of the product that opens connections, as a call to an address; what is missing here fails a test."""

from __future__ import annotations

import ast
from collections.abc import Callable, Iterator
from pathlib import Path
from tempfile import mkdtemp
from typing import Any

from service_checkers.detect import detect
from service_event_checker import plugins
from service_event_checker.actions import http as action_http
from service_event_checker.core.ids import remote_key
from service_event_checker.core.ports import MessageDestination
from service_event_checker.destinations.azure_devops.kubernetes_secret import SecretFromCluster
from service_event_checker.engine import ping_out
from service_event_checker.web.slack.permissions import Allowed, SlackAccess
from service_event_checker.web.slack.request import SlackUser
from service_event_checker.web.slack.response_url import ResponseUrl
from tests.factories import alert, delivery

ROOT = Path(__file__).parents[2]
SECRET = "canary-4711"
ENTRA = {"client_id": "app", "client_secret": SECRET, "tenant_id": "tenant", "authority": "{url}"}
MAIL = {"token": SECRET, "sender": "a@example.com", "to": "b@example.com"}

SMS = {"to": "+491701234567"}

#: what each kind needs besides an address; {url} is put in
CHECKERS: dict[str, dict[str, Any]] = {
    "azure": {**ENTRA, "url": "{url}", "subscription_id": "s", "scope": "x/.default"},
    "azure_devops": {},
    "feed": {},
    "json_page": {"mapping": {"incidents": "incidents", "id": "id", "title": "title"}},
    "office365": {**ENTRA, "scope": "x/.default"},
    "retool": {},
    "salesforce": {"instances": ["NA1"]},
    "slack": {},
    "statuspage": {},
}
HOOK = {"url": f"{{url}}/{SECRET}/hook?token={SECRET}"}
DESTINATIONS: dict[str, dict[str, Any]] = {
    "aliyun_sms": {
        "url": "{url}",
        "access_key_id": "i",
        "access_key_secret": SECRET,
        "sign": "s",
        "template": "t",
        **SMS,
    },
    "dingtalk": HOOK,
    "feishu": HOOK,
    "slack_webhook": HOOK,
    "teams": HOOK,
    "telegram": {"url": "{url}", "token": f"1:{SECRET}", "chat_id": "1"},
    "twilio": {"url": "{url}", "account_sid": "AC1", "token": SECRET, "sender": "+15005550006", **SMS},
    "webhook": {**HOOK, "secret": SECRET},
    "wecom": HOOK,
    "azure_devops": {"url": "{url}/org", "project": "p", "token": SECRET},
    "jira": {"url": "{url}", "project": "P", "email": "a@example.com", "token": SECRET},
    "opsgenie": {"url": "{url}", "token": SECRET},
    "pagerduty": {"url": "{url}", "token": SECRET, "service_id": "PSERVICE", "email": "a@example.com"},
    "pagerduty_events": {"url": "{url}", "routing_key": SECRET},
    "redmine": {"url": "{url}", "project": "p", "token": SECRET},
    "sendgrid": {**MAIL, "url": "{url}"},
    "servicenow": {"url": "{url}", "username": "u", "password": SECRET},
    "slack": {"url": "{url}/api/", "token": SECRET},
}
SOURCES: dict[str, dict[str, Any]] = {"alertmanager": {"url": "{url}", "token": SECRET}}
#: destinations that send no HTTP
#: or, as apprise, through a library of its own: tests/destinations/apprise
OTHERS = {"apprise", "console", "smtp"}

Call = Callable[[str, float], object]


def calls() -> dict[str, Call]:
    """Return the clients by name. Each takes the address of a server and its time-out in seconds."""
    found: dict[str, Call] = {f"checkers.{kind}": _checker(kind, CHECKERS[kind]) for kind in CHECKERS}
    found |= {f"destinations.{kind}": _destination(kind, DESTINATIONS[kind]) for kind in DESTINATIONS}
    found |= {f"sources.{kind}": _source(kind, SOURCES[kind]) for kind in SOURCES}
    return found | {
        "checkers.detect": detect,
        "destinations.azure_devops.kubernetes_secret": _kubernetes,
        "actions.http": _action,
        "engine.ping_out": lambda url, timeout: ping_out.ask(f"{url}/{SECRET}", timeout),
        "web.slack.permissions": _permissions,
        "web.slack.response_url": lambda url, _: ResponseUrl(f"{url}/actions/{SECRET}", url).post({"text": "done"}),
    }


def _filled(values: dict[str, Any], url: str, timeout: float) -> dict[str, Any]:
    put_in = {name: value.replace("{url}", url) if isinstance(value, str) else value for name, value in values.items()}
    return {"timeout": timeout, **put_in}


def _checker(kind: str, values: dict[str, Any]) -> Call:
    def call(url: str, timeout: float) -> object:
        model = plugins.checker_config(kind)
        assert model
        config = model.model_validate({"kind": kind, "url": url, **_filled(values, url, timeout)})
        return plugins.make_checker(kind, config).check(frozenset())

    return call


def _destination(kind: str, values: dict[str, Any]) -> Call:
    def call(url: str, timeout: float) -> object:
        model = plugins.destination_config(kind)
        assert model
        config = model.model_validate({"kind": kind, **_filled(values, url, timeout)})
        about, destination = alert(), plugins.make_destination(kind, config)
        if isinstance(destination, MessageDestination):
            return destination.deliver(delivery(about, receiver=kind), about, None)
        return destination.create(delivery(about, receiver=kind), about, remote_key(about.key, 1), "")

    return call


def _source(kind: str, values: dict[str, Any]) -> Call:
    def call(url: str, timeout: float) -> object:
        from service_event_checker.sources.alertmanager.client import Alertmanager, Config

        return Alertmanager(kind, Config.model_validate({"kind": kind, **_filled(values, url, timeout)})).alerts()

    return call


def _action(url: str, timeout: float) -> object:
    values = {"kind": "http", "url": f"{url}/run", "headers": {"Authorization": SECRET}, "timeout": timeout}
    return action_http.Runner(action_http.Config.model_validate(values)).run({})


def _kubernetes(url: str, timeout: float) -> object:
    account = Path(mkdtemp())
    for name, text in {"namespace": "ours", "token": SECRET, "ca.crt": "unused without TLS"}.items():
        (account / name).write_text(text)
    return SecretFromCluster(url, account=account, timeout=timeout).token()


def _permissions(url: str, _timeout: float) -> object:
    user = SlackUser(team="T1", channel="C1", channel_name="outages", user="U1", name="Ann", response_url="")
    access = SlackAccess(f"{url}/api/", SECRET)
    return Allowed({"SLACK_ALLOWED_GROUPS": "oncall"}, access).refusal(user, ask=True)


def users_of(*names: str) -> set[str]:
    """Return the modules of the product that call one of these, like `Http`."""
    return {module for module, tree in _modules() if names and any(_calls(tree, name) for name in names)}


def importers_of(*packages: str) -> set[str]:
    """Return the modules of the product that import one of these packages or modules."""
    return {module for module, tree in _modules() for name in _imports(tree) if name.startswith(packages)}


def _modules() -> Iterator[tuple[str, ast.Module]]:
    for folder in ("service_event_checker", "service_checkers"):
        for file in sorted((ROOT / folder).rglob("*.py")):
            yield str(file.relative_to(ROOT).with_suffix("")).replace("/", "."), ast.parse(file.read_text())


def _calls(tree: ast.Module, name: str) -> bool:
    return any(isinstance(n, ast.Call) and isinstance(n.func, ast.Name) and n.func.id == name for n in ast.walk(tree))


def _imports(tree: ast.Module) -> Iterator[str]:
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from (alias.name + "." for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module:
            yield from (f"{node.module}.{alias.name}." for alias in node.names)
