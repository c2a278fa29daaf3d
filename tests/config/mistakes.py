"""Sixty-one mistakes in config.json and the environment: what was written, and what is said. One message each."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

RULES = [{"name": "all", "send": ["slack"]}]
BASE: dict[str, Any] = {
    "checkers": {"github": {"kind": "statuspage", "url": "https://www.githubstatus.com"}},
    "destinations": {
        "slack": {"kind": "slack"},
        "redmine": {"kind": "redmine"},
        "pager": {"kind": "pagerduty"},
        "mail": {"kind": "smtp"},
    },
}
NAMES = "Known are alertmanager, github, hook:azure_monitor, hook:grafana, rest:<name>"
WAYS = (
    "Known are /alert, /api/v1/alerts, /api/v2/alerts, /hooks/azure-monitor, /hooks/grafana, /hooks/redmine, "
    "/pd-webhook, /webhook, api, cli, poll, reconcile, slack, test"
)
OWN_WORD = "for the sender's own word"
SCALE = "A severity is critical, error, warning or info."


@dataclass(frozen=True)
class Mistake:
    """`text` is config.json. `error`: it stops the start; else it is a warning."""

    id: str
    text: str
    said: str
    error: bool = True
    environ: Mapping[str, str] = field(default_factory=dict)


def changed(**sections: Any) -> str:
    """BASE with one rule, and with what differs."""
    return json.dumps({**BASE, "rules": RULES, **sections}, indent=1)


def matching(*match: str) -> str:
    """A rule with these matchers, before one that takes everything."""
    return changed(rules=[{"name": "it", "match": list(match), "send": ["slack"]}, *RULES])


def silenced(*match: str, ends_at: str = "2999-01-01T00:00:00Z") -> str:
    return changed(
        silences=[
            {"match": match, "starts_at": "2026-01-01T00:00:00Z", "ends_at": ends_at, "owner": "Ada", "reason": "x"}
        ]
    )


def checking(**changes: Any) -> str:
    return changed(checkers={"github": BASE["checkers"]["github"] | changes})


def mirrored(source: str, target: str, verbs: dict[str, list[str]]) -> str:
    return changed(mirrors=[{"from": source, "to": target, "verbs": verbs}])


def ruled(*rules: dict[str, Any]) -> str:
    return changed(rules=list(rules))


def rule(name: str, *match: str, proceed: bool = False, send: tuple[str, ...] = ("slack",)) -> dict[str, Any]:
    return {"name": name, "match": match, "send": send, "proceed": proceed}


def error(match: str, said: str) -> Mistake:
    """A rule that has this one matcher."""
    return Mistake(match, matching(match), f"rules[0].match[0]: {match} {said}")


def typo(label: str, near: str, *others: str) -> Mistake:
    said = f'rules[0].match[{len(others)}]: no known label is called "{label}". Did you mean "{near}"?'
    return Mistake(f"{label}=", matching(*others, f'{label}="x"'), said, error=False)


def variable(name: str, value: str, said: str, *, where: str = "", warns: bool = False) -> Mistake:
    text = changed(destinations={**BASE["destinations"], "ops": {"kind": "opsgenie"}})
    return Mistake(f"{name}={value[:20]}", text, f"{where or name}: {said}", not warns, {name: value})


def meant(name: str, near: str) -> Mistake:
    return variable(name, "x", f'no part reads this variable. Did you mean "{near}"?', warns=True)


def not_json(id: str, text: str, said: str) -> Mistake:
    return Mistake(id, text, f"the file: is not JSON {said}")


CLOSED_SETS = [
    error(
        'severity="page"',
        f'can never match. {SCALE} "page" counts as critical: write severity="critical", or label.severity="page" '
        + OWN_WORD,
    ),
    error(
        'severity="warn"',
        f'can never match. {SCALE} "warn" counts as warning: write severity="warning", or label.severity="warn" '
        + OWN_WORD,
    ),
    error(
        'severity="critcal"',
        f'can never match. {SCALE} Did you mean "critical"? Write label.severity="critcal" {OWN_WORD}',
    ),
    error(
        'severity!="page"',
        f'always matches. {SCALE} "page" counts as critical: write severity!="critical", or label.severity!="page" '
        + OWN_WORD,
    ),
    error('severity="7"', f'can never match. {SCALE} Write label.severity="7" {OWN_WORD}'),
    error('severity=~"page|warn"', "can never match: it fits no severity. Known are critical, error, info, warning"),
    error('kind="outages"', 'can never match. A kind is outage, maintenance or alert. Did you mean "outage"?'),
    error(
        'kind!="incident"',
        "always matches. A kind is outage, maintenance or alert. Known are alert, maintenance, outage",
    ),
    error('affects_us="maybe"', "can never match. affects_us is yes or unknown. Known are unknown, yes"),
    error('affects_us="no"', "can never match: what does not affect us is not tracked. Remove this rule or silence"),
    error('test="yes"', "can never match. test is true or false. Known are false, true"),
    error(
        'source="githb"',
        'can never match. No checker and no other source of alerts has this name. Did you mean "github"?',
    ),
    error('source="redmine"', f"can never match. No checker and no other source of alerts has this name. {NAMES}"),
    error('intake="/alerts"', 'can never match. No alert comes in by this way. Did you mean "/alert"?'),
    error('intake="/nagios"', f"can never match. No alert comes in by this way. {WAYS}"),
    error('title!~".*"', "can never match. It excludes every value"),
]
EXCLUDING = [
    Mistake(
        "two severities",
        matching('severity="critical"', 'severity="error"'),
        'rules[0].match: can never match: severity="critical" and severity="error" exclude each other. Remove one of '
        "them",
    ),
    Mistake(
        "a label and not it",
        matching('team="web",team!="web"'),
        'rules[0].match: can never match: team="web" and team!="web" exclude each other. Remove one of them',
    ),
    Mistake(
        "an outage of Alertmanager",
        matching('kind="outage"', 'source="alertmanager"'),
        'rules[0].match: can never match: no alert is source="alertmanager" and kind="outage" at once. Remove one of '
        "them, or write two rules",
    ),
    Mistake(
        "a checker by webhook",
        matching('intake="/alert"', 'source="github"'),
        'rules[0].match: can never match: no alert is source="github" and intake="/alert" at once. Remove one of them, '
        "or write two rules",
    ),
    Mistake(
        "a maintenance by webhook",
        matching('kind="maintenance"', 'intake="/webhook"'),
        'rules[0].match: can never match: no alert is kind="maintenance" and intake="/webhook" at once. Remove one of '
        "them, or write two rules",
    ),
    Mistake(
        "a silence of a sender's word",
        silenced('severity="high"'),
        f'silences[0].match[0]: severity="high" can never match. {SCALE} "high" counts as error: write '
        f'severity="error", or label.severity="high" {OWN_WORD}',
    ),
    Mistake(
        "a silence of a checker that is gone",
        silenced('source="stripe"'),
        'silences[0].match[0]: source="stripe" can never match. No checker and no other source of alerts has this '
        f"name. {NAMES}",
    ),
    Mistake(
        "a silence that is over",
        silenced('team="web"', ends_at="2026-01-02T00:00:00Z"),
        "silences[0].ends_at: is in the past, so that it silences nothing. Remove the silence",
        error=False,
    ),
]
RULE_ORDER = [
    Mistake(
        "two rules of one name",
        ruled(rule("escalate", 'severity="critical"', proceed=True), rule("escalate")),
        'rules[1].name: "escalate" is the name of rules[0] as well. Give each rule its own name',
    ),
    Mistake(
        "behind a rule for everything",
        ruled(rule("all"), rule("critical", 'severity="critical"', send=("pager",))),
        'rules[1]: "critical" is never reached. rules[0] "all" takes all of its alerts and does not proceed. Set '
        '"proceed": true there, or move this rule before it',
        error=False,
    ),
    Mistake(
        "behind a wider rule",
        ruled(rule("web", 'team="web"'), rule("web, critical", 'severity="critical",team="web"', send=("pager",))),
        'rules[1]: "web, critical" is never reached. rules[0] "web" takes all of its alerts and does not proceed. Set '
        '"proceed": true there, or move this rule before it',
        error=False,
    ),
    Mistake(
        "no effect",
        ruled(rule("quiet", 'team="web"', proceed=True, send=()), rule("all")),
        'rules[0].send: "quiet" has no effect. Name a destination, or remove the rule',
        error=False,
    ),
]
FILTERS = [
    Mistake(
        "an empty component",
        checking(only={"components": [" "]}),
        "checkers.github.only.components[0]: is empty and can never match. Write a name, or remove it",
    ),
    Mistake(
        "all severities excepted",
        checking(**{"except": {"severities": ["critical", "error", "warning", "info"]}}),
        "checkers.github.except.severities: excludes every severity that is left, so that nothing affects us. "
        "Remove some",
    ),
    Mistake(
        "the only severity excepted",
        checking(only={"severities": ["critical"]}, **{"except": {"severities": ["critical"]}}),
        "checkers.github.except.severities: excludes every severity that is left, so that nothing affects us. "
        "Remove some",
    ),
    Mistake(
        "all titles excepted",
        checking(**{"except": {"title": ".*"}}),
        "checkers.github.except.title: fits every title, so that nothing affects us. Write it narrower",
    ),
    Mistake(
        "in only and in except",
        checking(only={"components": ["Actions", "Pages"]}, **{"except": {"components": ["actions"]}}),
        'checkers.github.except.components[0]: "actions" is in "only" as well, so that an outage of it alone does not '
        "affect us. Remove one of the two",
        error=False,
    ),
]
MIRRORS = [
    Mistake(
        "a mirror of mail",
        mirrored("mail", "pager", {"ack": ["ack"]}),
        "mirrors[0].from: can never happen: mail tells us nothing of what people do there. Remove the mirror",
    ),
    Mistake(
        "a mirror to mail",
        mirrored("pager", "mail", {"ack": ["ack"]}),
        "mirrors[0].verbs.ack: can never happen: mail cannot do ack. It can do ",
    ),
]
TWICE = [
    Mistake(
        "a checker twice",
        '{\n"checkers": {\n"github": {"kind": "statuspage", "url": "https://a.example.com"},\n'
        '"github": {"kind": "statuspage", "url": "https://b.example.com"}}}',
        "checkers.github: is given twice, in line 3 and in line 4. Remove one of them, or rename it",
    ),
    Mistake(
        "a destination twice",
        '{\n"destinations": {\n"slack": {"kind": "slack"},\n"slack": {"kind": "slack", "channel": "#x"}}}',
        "destinations.slack: is given twice, in line 3 and in line 4. Remove one of them, or rename it",
    ),
    Mistake(
        "a key of a rule twice",
        '{"rules": [{"name": "all", "send": [],\n"send": []}]}',
        "rules[0].send: is given twice, in line 1 and in line 2. Remove one of them, or rename it",
    ),
]
LABELS = [
    typo("severty", "severity"),
    typo("alertnme", "alertname"),
    typo("components", "component"),
    Mistake(
        "label.sevrity=",
        matching('label.sevrity="x"'),
        'rules[0].match[0]: no known label is called "sevrity". Did you mean "severity"?',
        error=False,
    ),
    typo("squadrn", "squadron", 'squadron="a"', 'squadron!="b"'),
    typo("Severity", "severity"),
]
ENVIRONMENT = [
    variable(
        "ALERTMANAGER_URL",
        "alertmanager:9093",
        "must be an address like http://alertmanager.example.com:9093",
        where="sources.alertmanager.url (ALERTMANAGER_URL)",
    ),
    variable(
        "OPSGENIE_API_URL",
        "api.eu.opsgenie.com",
        "must be an address like https://api.example.com",
        where="destinations.ops.url (OPSGENIE_API_URL)",
    ),
    variable(
        "REDMINE_URL",
        "tickets.corp.net",
        "must be an address like https://redmine.example.com",
        where="destinations.redmine.url (REDMINE_URL)",
    ),
    variable(
        "PUBLIC_URL",
        "outages.corp.net",
        "is not a web address. Write it like https://outages.example.com",
    ),
    variable("LOG_LEVEL", "VERBOSE", "is not a level. Give one of DEBUG, INFO, WARNING, ERROR, CRITICAL"),
    variable("LOG_FORMAT", "jsn", 'is not a format. Did you mean "json"?'),
    variable(
        "AZURE_STORAGE_CONNECTION_STRING",
        "DefaultEndpointsProtocol=https;AccountName=x",
        "is not a connection string. Copy it from the storage account's access keys: "
        "DefaultEndpointsProtocol=https;AccountName=…;AccountKey=…;EndpointSuffix=core.windows.net",
    ),
    variable("DATABASE_URL", "sqlite:store.db", "is not a database address. Write sqlite:///./alerts.db, "),
    variable("RETENTION_DAYS", "99999999999", "is not a whole number from 1 to 36500. Set it like RETENTION_DAYS=400"),
    variable(
        "API_TOKENS", "ada:reed:a-long-random-text", "entry 1 has an unknown scope. Known are read, write, act, admin"
    ),
    variable(
        "SLACK_BOT_TOKEN",
        "xoxp-1234567890",
        "is not a bot token. Give the Bot User OAuth Token, which begins with xoxb-",
        where="destinations.slack.token",
        warns=True,
    ),
    meant("SLACK_BOT_TOKN", "SLACK_BOT_TOKEN"),
    meant("REDMINE_KEY", "REDMINE_API_KEY"),
]
GROUPS = [
    Mistake(
        "group_by of a rule for each alert",
        ruled({**rule("all"), "group_by": ["cluster"], "per": "alert"}),
        'rules[0].group_by: has no effect with "per": "alert". Remove it, or set "per": "group"',
        error=False,
    ),
    Mistake(
        "group_wait without groups",
        ruled({**rule("all"), "group_wait": "10s"}),
        "rules[0].group_wait: has no effect without groups. Give group_by, or remove it",
        error=False,
    ),
    Mistake(
        "a misspelt label in group_by",
        ruled({**rule("all"), "group_by": ["alertname", "clustr"]}),
        'rules[0].group_by[1]: no known label is called "clustr". Did you mean "cluster"?',
        error=False,
    ),
    Mistake(
        "a label twice in group_by",
        ruled({**rule("all"), "group_by": ["cluster", "cluster"]}),
        "rules[0]: group_by: names a label twice. Name it once",
    ),
]
SYNTAX = [
    not_json(
        "a comma before a bracket",
        '{\n  "checkers": {},\n}\n',
        "(line 3, column 1): a comma before the closing }, at the end of line 2. Remove the comma\n"
        '    2 |   "checkers": {},\n'
        "      |                 ^\n"
        "    3 | }",
    ),
    not_json(
        "a comment",
        '{\n  "checkers": {}, // none\n  "rules": []\n}\n',
        "(line 2, column 19): JSON has no comments. Remove it\n"
        '    2 |   "checkers": {}, // none\n'
        "      |                   ^",
    ),
    not_json(
        "single quotes",
        "{\n  'checkers': {}\n}\n",
        "(line 2, column 3): ' is not a quote of JSON. Write names and texts in double quotes: \"\n"
        "    2 |   'checkers': {}\n"
        "      |   ^",
    ),
    not_json(
        "a comma is missing",
        '{\n  "checkers": {}\n  "rules": []\n}\n',
        "(line 3, column 3): a comma is missing at the end of line 2. Add it between the two values\n"
        '    2 |   "checkers": {}\n'
        "      |                 ^\n"
        '    3 |   "rules": []',
    ),
]
MISTAKES = [
    *CLOSED_SETS,
    *EXCLUDING,
    *RULE_ORDER,
    *FILTERS,
    *MIRRORS,
    *TWICE,
    *LABELS,
    *ENVIRONMENT,
    *GROUPS,
    *SYNTAX,
]
