"""What is valid and yet has no effect is said at the start and by `./outage config check`, in the same words."""

from __future__ import annotations

import importlib
import json
import re
from collections.abc import Callable
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from service_event_checker import plugins, wiring
from service_event_checker.config import environment, lint
from service_event_checker.config.file import RuleEntry
from service_event_checker.config.lint_matchers import Values
from service_event_checker.config.load import Config, ConfigError
from service_event_checker.core.model import Alert
from service_event_checker.core.rules import names_of
from service_event_checker.core.vocabulary import Affects, Kind, Severity
from service_event_checker.web import create_app
from tests.cli.runner import Terminal
from tests.config import mistakes
from tests.config.mistakes import MISTAKES, Mistake
from tests.factories import NOW, alert
from tests.root import ROOT
from tests.strategies import REPEATABLE

INVENTS_A_KIND = "adding-a-destination.md"
Start = Callable[..., Config]


@pytest.fixture
def start(tmp_path: Path) -> Start:
    """Build the app as a start does, with this config.json and environment; return what it would run with."""

    def start(text: str, **environ: str) -> Config:
        file = tmp_path / "config.json"
        file.write_text(text)
        app = create_app({"CONFIG_FILE": str(file), "DATABASE_URL": f"sqlite:///{tmp_path}/store.db", **environ})
        found: Config = app.extensions["services"].config
        return found

    return start


class TestAllMistakes:
    def test_there_are_so_many(self) -> None:
        assert len({(each.text, *each.environ.items()) for each in MISTAKES}) == len(MISTAKES) == 65

    @pytest.mark.parametrize("mistake", MISTAKES, ids=[each.id for each in MISTAKES])
    def test_the_start_says_each_once_with_its_path_and_what_to_do(self, start: Start, mistake: Mistake) -> None:
        if mistake.error:
            with pytest.raises(ConfigError) as refused:
                start(mistake.text, **mistake.environ)
            assert refused.value.warnings == []
            (said,) = refused.value.problems
        else:
            (said,) = start(mistake.text, **mistake.environ).warnings

        assert said.startswith(mistake.said)
        assert not any(len(value) > 8 and value in said for value in mistake.environ.values())

    @pytest.mark.parametrize("mistake", MISTAKES, ids=[each.id for each in MISTAKES])
    def test_config_check_says_the_same(self, tmp_path: Path, mistake: Mistake) -> None:
        terminal = Terminal(tmp_path, mistake.text, **mistake.environ)

        answer, strict = terminal.run("config", "check"), terminal.run("config", "check", "--strict")

        assert mistake.said in answer.output
        assert (answer.exit_code, strict.exit_code) == (1 if mistake.error else 0, 1)

    def test_all_are_said_at_once_and_the_exit_code_is_1(self, tmp_path: Path) -> None:
        rules = [mistakes.rule(each.id, each.id) for each in mistakes.CLOSED_SETS]
        wrong = json.loads(mistakes.checking(only={"components": [""]})) | {
            "rules": [*rules, {"name": "no send"}, mistakes.rule("label", 'severty="x"')],
            "mirrors": json.loads(mistakes.mirrored("mail", "pager", {"ack": ["ack"]}))["mirrors"],
            "silences": json.loads(mistakes.silenced('severity="high"'))["silences"],
        }
        variables = {"LOG_LEVEL": "VERBOSE", "PUBLIC_URL": "here", "ALERTMANAGER_URL": "there", "RETENTION_DAYS": "x"}

        answer = Terminal(tmp_path, wrong, **variables).run("config", "check")

        assert answer.exit_code == 1
        lines = answer.output.splitlines()
        assert lines[0] == "Error: environment and config.json cannot be used:"
        for number, each in enumerate(mistakes.CLOSED_SETS):
            assert each.said.replace("rules[0]", f"rules[{number}]") in answer.output
        for name in (
            *variables,
            "rules[16].send",
            "checkers.github.only",
            "mirrors[0]",
            "silences[0]",
            "warning: rules[17]",
        ):
            assert any(name in line for line in lines), name
        assert len(lines) == 1 + len(mistakes.CLOSED_SETS) + 9


class TestWhatIsShipped:
    @pytest.mark.parametrize("text", [(ROOT / "config.json").read_text()], ids=["config.json"])
    def test_config_json_has_no_warning(self, start: Start, text: str) -> None:
        assert start(text).warnings == ()

    def test_the_config_of_the_kubernetes_manifests_has_none(self, start: Start) -> None:
        manifest = (ROOT / "deploy" / "kubernetes" / "configmap.yaml").read_text()
        text = manifest.partition("config.json: |\n")[2].partition("\n---")[0]

        assert start(text).warnings == ()

    @pytest.mark.parametrize(
        "page",
        [page for page in sorted((ROOT / "docs").glob("*.md")) if page.name != INVENTS_A_KIND],
        ids=lambda page: page.name,
    )
    def test_the_examples_of_the_documentation_have_none(self, start: Start, page: Path) -> None:
        for block in re.findall(r"```json\n(.*?)```", page.read_text(), re.DOTALL):
            text = block if block.startswith("{") else f"{{{block}}}"
            if any(f'"{section}":' in text for section in ("checkers", "destinations")):
                given = json.loads(text)
                rules = given.get("rules", [])
                named = {name for rule in rules for name in rule["send"]}
                others = {name: {"kind": "console"} for name in named - given.get("destinations", {}).keys()}
                given["destinations"] = given.get("destinations", {}) | others
                assert start(json.dumps(given)).warnings == ()

    def test_every_variable_of_the_example_file_is_known(self) -> None:
        named = set(re.findall(r"^# ([A-Z_0-9]+)=", (ROOT / ".env.example").read_text(), re.MULTILINE))

        assert named
        assert named <= environment.KNOWN | plugins.traits(NOW).variables()


class TestWaysIn:
    """The ways in that the lint knows are those that events name."""

    def test_each_adapter_names_the_way_in_that_its_configuration_names(self) -> None:
        traits, checked = plugins.traits(NOW), 0
        for kind in plugins.kinds(plugins.DESTINATIONS):
            for path in (f"{kind}", f"{kind}.adapter", f"{kind}.webhook"):
                name = f"{plugins.DESTINATIONS.path}.{path}"
                module = importlib.import_module(name) if _exists(name) else None
                for intake in filter(None, (getattr(module, constant, "") for constant in ("INTAKE", "HOOK"))):
                    assert intake == traits.intake(kind)
                    checked += 1

        assert checked >= 6

    def test_each_way_in_of_a_source_is_a_route(self, routes: set[str]) -> None:
        ways = frozenset[str]().union(*plugins.traits(NOW).webhooks.values())

        assert ways
        assert [way for way in ways if not any(route == way or route.startswith(f"{way}/<") for route in routes)] == []


@pytest.fixture
def routes(tmp_path: Path) -> set[str]:
    file = tmp_path / "config.json"
    file.write_text("{}")
    app = create_app({"CONFIG_FILE": str(file), "DATABASE_URL": f"sqlite:///{tmp_path}/store.db"})
    return {str(route) for route in app.url_map.iter_rules()}


def _exists(module: str) -> bool:
    try:
        return find_spec(module) is not None
    except ModuleNotFoundError:
        return False


class TestWhatIsRight:
    @pytest.mark.parametrize(
        "match",
        [
            'label.severity="page"',
            'severity!="critical"',
            'severity=~"crit.*"',
            'kind="outage",source="github"',
            'intake="/alert",intake="/webhook"',
            'intake="/alert",source="alertmanager"',
            'intake="poll",test="true"',
            'source="rest:monitoring-system"',
            'source=~"rest:(web|db)-.+"',
            'source=~"rest:.+",source!="rest:web"',
            'source!~"rest:.*"',
            'source="rest:web",intake="/api/v1/alerts",kind="alert"',
            'team=""',
            'namespace="web",pod!~"canary-.*"',
            'component="Actions",component="Pages"',
            'env="prod",dev="x"',
        ],
    )
    def test_a_rule_that_can_match_is_left_alone(self, start: Start, match: str) -> None:
        assert start(mistakes.matching(match)).warnings == ()

    def test_rules_that_proceed_or_differ_hide_nobody(self, start: Start) -> None:
        rules = [
            mistakes.rule("all", proceed=True),
            mistakes.rule("critical", 'severity="critical"'),
            mistakes.rule("web", 'team="web"'),
            mistakes.rule("rest"),
        ]

        assert start(mistakes.ruled(*rules)).warnings == ()

    @pytest.mark.parametrize(
        ("fallbacks", "said"),
        [
            ({"slack": "nobody"}, 'destinations.slack.fallback: there is no destination "nobody". Name one of: mail'),
            ({"slack": "slack"}, "destinations.slack.fallback: is the destination itself. Name another one"),
            ({"slack": "mail", "mail": "slack"}, "destinations.slack.fallback: mail has a fallback itself. Only one"),
        ],
        ids=["unknown", "itself", "a cycle"],
    )
    def test_a_fallback_that_cannot_take_over_stops_the_start(
        self, start: Start, fallbacks: dict[str, str], said: str
    ) -> None:
        destinations = {name: {"kind": "console", "fallback": fallbacks.get(name, "")} for name in ("slack", "mail")}

        with pytest.raises(ConfigError) as raised:
            start(json.dumps({"destinations": destinations, "rules": [{"name": "all", "send": ["slack", "mail"]}]}))

        assert [line for line in raised.value.problems if line.startswith(said)], raised.value.problems

    def test_a_fallback_that_is_off_is_a_warning(self, start: Start) -> None:
        destinations = {"slack": {"kind": "console", "fallback": "mail"}, "mail": {"kind": "smtp"}}
        found = start(json.dumps({"destinations": destinations, "rules": [{"name": "all", "send": ["slack"]}]}))

        assert [line for line in found.warnings if "mail is off, so that nobody takes over" in line]

    def test_a_budget_of_messages_is_for_what_people_read(self, start: Start) -> None:
        budget = {"messages": 5, "within": "1m"}
        tickets = {"kind": "jira", "storm": budget}
        with pytest.raises(ConfigError) as raised:
            start(mistakes.changed(destinations={"tickets": tickets, "chat": {"kind": "console", "storm": {}}}))

        found = " ".join(raised.value.problems)
        assert "destinations.tickets: storm: only chat, mail and SMS are summarised in a storm" in found
        assert "destinations.chat.storm.messages" in found

    @pytest.mark.parametrize(
        ("entry", "budget"),
        [
            ({"kind": "console"}, (20, 300)),
            ({"kind": "smtp"}, (10, 600)),
            ({"kind": "twilio"}, (10, 600)),
            ({"kind": "webhook"}, None),
            ({"kind": "jira"}, None),
            ({"kind": "console", "storm": None}, None),
            ({"kind": "console", "storm": {"messages": 5, "within": "1m"}}, (5, 60)),
        ],
    )
    def test_each_kind_has_its_budget_unless_the_file_says_another(
        self, start: Start, entry: dict[str, object], budget: tuple[int, int] | None
    ) -> None:
        found = start(json.dumps({"destinations": {"there": entry}, "rules": [{"name": "all", "send": ["there"]}]}))

        (config,) = [each.config.budget for each in found.destinations if each.config]
        assert (config and (config.messages, config.within.total_seconds())) == budget

    def test_an_old_name_of_a_key_is_a_warning(self, start: Start) -> None:
        old = {"slack": {"kind": "slack", "api_url": "https://slack.example.com/api"}}

        assert start(mistakes.changed(destinations=old)).warnings == ("destinations.slack: api_url is now url",)

    def test_variables_of_others_are_left_alone(self, start: Start) -> None:
        others = (
            "PATH",
            "HOME",
            "KUBERNETES_SERVICE_PORT_HTTPS",
            "REDMINE_PORT_80_TCP",
            "WEBSITE_SITE_NAME",
            "SMTP_HOST",
        )

        assert start(mistakes.changed(), **dict.fromkeys(others, "x"), SLACK_BOT_TOKEN="xoxb-1").warnings == ()

    def test_without_checkers_a_rule_for_outages_may_stay(self, start: Start) -> None:
        rules = [mistakes.rule("outages", 'kind="outage"')]

        assert start(mistakes.changed(checkers={}, rules=rules)).warnings == ()


class TestSyntax:
    @pytest.mark.parametrize(
        ("text", "cause"),
        [
            ("", "the file is empty"),
            ("# nothing\n{}", "JSON has no comments"),
            ('{"a": [1, 2,]}', "a comma before the closing ]"),
            ('{"a": True}', "True is not a value of JSON"),
            ("{a: 1}", "a is not in quotes"),
            ('{"a" 1}', "a colon is missing"),
            ('{"a": "x\n"}', "a text has no closing quote in its line"),
            ('{"a": 1', "the file ends before everything is closed"),
            ('{"a": 1}}', "there is more after the end of the configuration"),
            ('{"a": 1,, "b": 2}', "an extra comma"),
            ('{"a": "\\q"}', "a backslash in a text begins an unknown escape"),
            ('{"a": [1}', "} does not close what is open"),
            ('{"a": 01}', "a value is followed by more characters"),
            ('{"a": }', "a value is missing"),
            ("{“a”: 1}", "“ is not a quote of JSON"),
            ("[" * 100_000, "very deeply nested brackets"),
            (f'{{"a": {"9" * 5000}}}', "a number of thousands of digits"),
        ],
    )
    def test_the_likely_cause_is_said(self, start: Start, text: str, cause: str) -> None:
        with pytest.raises(ConfigError) as refused:
            start(text)

        (said,) = refused.value.problems
        assert cause in said

    @pytest.mark.parametrize(
        "text",
        [
            '{"token": "cAnArY-93157" "b": 1}',
            '{"SENDGRID_API_KEY": "cAnArY, 93157", \'x\': 1}',
            '{"a": "https://ada:cAnArY-93157@example.com",}',
            '{"password": "cAnArY-93157',
        ],
    )
    def test_no_secret_of_the_line_is_shown(self, start: Start, text: str) -> None:
        with pytest.raises(ConfigError) as refused:
            start(text)

        assert "^" in str(refused.value)
        assert not re.search("cAnArY|93157", str(refused.value))


NAMES = st.sampled_from(("team", "service", "component", "namespace"))
WORDS = st.sampled_from(("web", "db", "a b", 'x"y', "crit.*"))


@st.composite
def alerts(draw: st.DrawFn) -> Alert:
    """Alerts as checkers, Alertmanager, a pager and the API open them, perhaps changed by people since."""
    source, kind, intake = draw(
        st.sampled_from(
            (
                ("github", Kind.OUTAGE, "poll"),
                ("github", Kind.MAINTENANCE, "poll"),
                ("alertmanager", Kind.ALERT, "/alert"),
                ("alertmanager", Kind.ALERT, "/webhook"),
                ("ops", Kind.ALERT, "/ops-webhook"),
                ("rest:web", Kind.ALERT, "/api/v1/alerts"),
            )
        )
    )
    return alert(
        source=source,
        kind=kind,
        intakes=(intake, *sorted(draw(st.sets(st.sampled_from(("api", "slack", "reconcile")))))),
        severity=draw(st.sampled_from(Severity)),
        affects_us=draw(st.sampled_from((Affects.YES, Affects.UNKNOWN))),
        test=source == "github" and draw(st.booleans()),
        labels=draw(st.dictionaries(NAMES, st.lists(WORDS, min_size=1, max_size=2).map("\n".join), max_size=3)),
    )


@st.composite
def met(draw: st.DrawFn, names: dict[str, str]) -> str:
    """A matcher that these names meet."""
    name = draw(st.sampled_from(sorted(names)))
    value = draw(st.sampled_from(names[name].split("\n")))
    kind = draw(st.sampled_from(("=", "=~", "=~ or", "!~")))
    if kind == "=":
        return f"{name}={json.dumps(value)}"
    if kind == "=~":
        return f"{name}=~{json.dumps(re.escape(value))}"
    if kind == "=~ or":
        return f"{name}=~{json.dumps(re.escape(value) + '|other')}"
    return f"{name}!~{json.dumps('other.+')}"


scalars = st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8) | WORDS
wild: st.SearchStrategy[Any] = st.recursive(
    scalars, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=6), inner, max_size=3)
)
matcher_texts = st.lists(
    st.builds(
        "{}{}{}".format,
        st.sampled_from(("severity", "kind", "source", "intake", "test", "affects_us", "team", "label.x", "")),
        st.sampled_from(("=", "!=", "=~", "!~", "")),
        WORDS.map(json.dumps) | st.text(max_size=6),
    ),
    max_size=3,
)
places = st.fixed_dictionaries(
    {},
    optional={
        "components": st.lists(st.text(max_size=5), max_size=2) | wild,
        "severities": st.lists(st.sampled_from([*Severity, "x"]), max_size=4),
        "title": st.text(max_size=6),
    },
)
configurations = st.fixed_dictionaries(
    {},
    optional={
        "checkers": wild
        | st.dictionaries(
            st.sampled_from(("github", "X")),
            st.fixed_dictionaries(
                {"kind": st.just("statuspage") | wild, "url": st.just("https://x.example.com") | wild},
                optional={"only": places | wild, "except": places},
            ),
        ),
        "destinations": wild
        | st.dictionaries(
            st.sampled_from(("slack", "mail")),
            st.fixed_dictionaries({"kind": st.sampled_from(("slack", "smtp", "opsgenie", "x")) | wild}),
        ),
        "rules": st.lists(
            wild
            | st.fixed_dictionaries(
                {"name": st.sampled_from(("a", "b")), "match": matcher_texts, "send": st.just(["slack"]) | wild},
                optional={
                    "proceed": st.booleans(),
                    "for": st.sampled_from(("5m", "0s")) | wild,
                    "after": st.fixed_dictionaries({"count": st.integers(0, 3), "within": st.just("1h") | wild}) | wild,
                    "windows": st.lists(wild | st.dictionaries(st.sampled_from(("days", "from", "to", "tz")), wild))
                    | wild,
                    "escalate": st.fixed_dictionaries({"after": st.just("5m") | wild, "send": wild}) | wild,
                },
            ),
            max_size=3,
        ),
        "silences": st.lists(
            wild
            | st.fixed_dictionaries(
                {
                    "match": matcher_texts,
                    "starts_at": st.just("2026-01-01T00:00:00Z"),
                    "ends_at": st.just("2027-01-01T00:00:00Z") | wild,
                    "owner": st.text(max_size=3),
                    "reason": st.text(max_size=3),
                }
            ),
            max_size=2,
        ),
        "mirrors": st.lists(
            wild
            | st.fixed_dictionaries(
                {
                    "from": st.sampled_from(("slack", "mail", "alert")),
                    "to": st.sampled_from(("slack", "mail", "alert")),
                    "verbs": st.dictionaries(
                        st.sampled_from(("ack", "close", "x")), st.lists(st.sampled_from(("ack", "note")), max_size=2)
                    ),
                }
            ),
            max_size=2,
        ),
    },
)


class TestProperties:
    CONFIG = json.loads(mistakes.changed()) | {
        "destinations": {**mistakes.BASE["destinations"], "ops": {"kind": "opsgenie"}}
    }

    @REPEATABLE
    @given(st.data())
    def test_a_rule_that_some_alert_meets_is_never_an_error(self, data: st.DataObject) -> None:
        some = data.draw(alerts())
        match = tuple(data.draw(st.lists(met(names_of(some)), max_size=4)))
        traits = plugins.traits(NOW)
        kinds = {name: entry["kind"] for name, entry in self.CONFIG["destinations"].items()}
        acts = traits.acts.union(map(traits.intake, kinds.values()))
        values = Values(lint.origins(["github"], kinds, traits), acts, traits)

        found = lint.rules(
            [("rules[0]", RuleEntry(name="it", match=match, send=("slack",)))], [("silences[0]", match)], values
        )

        assert found.errors == []

    @REPEATABLE
    @given(st.data())
    def test_the_lint_never_raises(self, tmp_path: Path, data: st.DataObject) -> None:
        """Whatever stands in the places of a configuration, it can be used, or each mistake is named."""
        content = data.draw(configurations | wild)
        file = tmp_path / "config.json"
        file.write_text(content if isinstance(content, str) else json.dumps(content))

        self.read_or_refuse({"CONFIG_FILE": str(file)})

    @REPEATABLE
    @given(st.binary(max_size=60), st.dictionaries(st.sampled_from(sorted(environment.KNOWN)), st.text(max_size=20)))
    def test_nor_does_it_for_a_file_or_an_environment_of_any_kind(
        self, tmp_path: Path, body: bytes, environ: dict[str, str]
    ) -> None:
        file = tmp_path / "config.json"
        file.write_bytes(body)

        self.read_or_refuse({**environ, "CONFIG_FILE": str(file)})

    def read_or_refuse(self, environ: dict[str, str]) -> None:
        try:
            wiring.examine(environ)
        except ConfigError as refused:
            assert refused.problems  # noqa: PT017
