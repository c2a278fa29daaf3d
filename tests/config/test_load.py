"""A wrong config.json stops the start with each mistake's path, what is wrong and how to mend it."""

from __future__ import annotations

import json
import re
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, ClassVar

import pytest
from hypothesis import given
from hypothesis import strategies as st

from service_event_checker import wiring
from service_event_checker.config.load import Config, ConfigError
from service_event_checker.config.models import parse_duration, secret
from service_event_checker.config.settings import Settings
from service_event_checker.core.rules import RECEIVERS_MAX
from service_event_checker.core.vocabulary import Severity, Verb
from tests.root import ROOT
from tests.strategies import REPEATABLE

CANARY = "cAnArY-93157-value"
GITHUB = {"kind": "statuspage", "url": "https://status.example.com"}
SLACK = {"kind": "slack"}
SILENCE = {
    "match": ['team="web"'],
    "starts_at": "2026-01-01T00:00:00Z",
    "ends_at": "2026-01-02T00:00:00Z",
    "owner": "Ada",
    "reason": "upgrade",
}


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return tmp_path / "config.json"


def load(file: Path, content: Any, **environ: str) -> Config:
    file.write_text(content if isinstance(content, str) else json.dumps(content))
    return wiring.load_config(Settings.read({"CONFIG_FILE": str(file), **environ}))


def mistakes(file: Path, content: Any, **environ: str) -> list[str]:
    with pytest.raises(ConfigError) as refused:
        load(file, content, **environ)
    assert str(refused.value).startswith("config.json cannot be used:\n")
    assert all(f"\n  {problem}" in str(refused.value) for problem in refused.value.problems)
    assert CANARY not in str(refused.value)
    return refused.value.problems


def checker(**changes: Any) -> dict[str, Any]:
    return {"checkers": {"github": GITHUB | changes}}


def ruled(**keys: Any) -> dict[str, Any]:
    return {"destinations": {"slack": SLACK}, "rules": [{"name": "all", "send": ["slack"], **keys}]}


def destination(**changes: Any) -> dict[str, Any]:
    return {"destinations": {"slack": SLACK | changes}}


class TestMistakes:
    @pytest.mark.parametrize(
        ("content", "line"),
        [
            ({"chekers": {}}, 'chekers: is not a known key. Did you mean "checkers"?'),
            ([], "the file: is not an object. Write it in {braces}"),
            ({"checkers": []}, "checkers: is not an object. Write it in {braces}"),
            ({"checkers": {"github": "x"}}, "checkers.github: is not an object. Write it in {braces}"),
            (checker(evry="60s"), 'checkers.github.evry: is not a known key. Did you mean "every"?'),
            (checker(exept={}), 'checkers.github.exept: is not a known key. Did you mean "except"?'),
            (
                checker(only={"component": ["Actions"]}),
                'checkers.github.only.component: is not a known key. Did you mean "components"?',
            ),
            (checker(only={"components": "Actions"}), "checkers.github.only.components: is not a list"),
            (
                checker(only={"severities": ["bad"]}),
                "checkers.github.only.severities[0]: is not one of the known values",
            ),
            (checker(only={"title": "("}), "checkers.github.only.title: is not a regular expression"),
            (
                checker(kind="statuspag"),
                'checkers.github.kind: "statuspag" is not a known kind. Did you mean "statuspage"?',
            ),
            (checker(kind="../os"), 'checkers.github.kind: "../os" is not a known kind. Known are '),
            (checker(kind=7), 'checkers.github.kind: "7" is not a known kind. Known are '),
            ({"checkers": {"github": {"url": "https://x"}}}, "checkers.github.kind: is missing. Give one of "),
            ({"checkers": {"github": {"kind": "statuspage"}}}, "checkers.github.url: is missing. Add it"),
            (checker(url="ftp://x"), "checkers.github.url: must be an address like https://"),
            (
                checker(every="60 parsecs"),
                'checkers.github.every: is not a duration. Write it like "60s", "5m" or "1h30m"',
            ),
            (checker(every="99999999999d"), "checkers.github.every: is not a duration. Write it like"),
            (checker(every="1.2.3s"), "checkers.github.every: is not a duration. Write it like"),
            (checker(every=-5), "checkers.github.every: is not a duration. Write it like"),
            (checker(every=True), "checkers.github.every: is not a duration. Write it like"),
            (
                '{"checkers": {"g": {"kind": "statuspage", "url": "https://x", "every": NaN}}}',
                "checkers.g.every: is no",
            ),
            (checker(every="999ms"), "checkers.github.every: is too small. Give at least 1s"),
            (checker(every=0), "checkers.github.every: is too small. Give at least 1s"),
            (checker(timeout=0), "checkers.github.timeout: is too small. Give more than 0s"),
            (checker(timeout="1h"), "checkers.github.timeout: is too large. Give at most 120s"),
            (checker(resolve_after="two"), "checkers.github.resolve_after: is not a whole number. Write it like 2"),
            (
                checker(when_unknown="panic"),
                "checkers.github.when_unknown: is not one of the known values. Give 'open' or",
            ),
            (destination(rate="fast"), "destinations.slack.rate: is not a number. Write it like 0.5"),
            (destination(buttons="perhaps"), "destinations.slack.buttons: is not true or false. Write true or"),
            (destination(settle=-1), "destinations.slack.settle: is not a duration."),
            ({"rules": [{"name": "x"}]}, "rules[0].send: is missing. Add it"),
            ({"rules": [{"name": "", "send": []}]}, "rules[0].name: is empty. Fill it in"),
            (
                {"rules": [{"name": "x", "send": [], "sned": []}]},
                'rules[0].sned: is not a known key. Did you mean "send"?',
            ),
            (
                {"rules": [{"name": "x", "send": "slack"}]},
                "rules[0].send: is not a list. Write it in [square brackets]",
            ),
            (
                destination() | {"rules": [{"name": "x", "send": ["slakc"]}]},
                'rules[0].send: "slakc" is not a destination. Did you mean "slack"?',
            ),
            (
                {"rules": [{"name": "x", "send": ["slack"]}]},
                'rules[0].send: "slack" is not a destination. Known are none',
            ),
            (
                {"rules": [{"name": "x", "match": ['a="b"', "severity critical"], "send": []}]},
                'rules[0].match[1]: cannot read the matcher "severity critical". Write it like severity="critical"',
            ),
            (
                {"rules": [{"name": "x", "match": ['title=~"("'], "send": []}]},
                'rules[0].match[0]: "(" is not a regular expression',
            ),
            (
                {"silences": [SILENCE | {"ends_at": "2025-12-31T00:00:00Z"}]},
                "silences[0].ends_at: is not after starts_at. Give the end of the silence",
            ),
            (
                {"silences": [SILENCE | {"ends_at": SILENCE["starts_at"]}]},
                "silences[0].ends_at: is not after starts_at. Give the end of the silence",
            ),
            (
                {"silences": [SILENCE | {"starts_at": "2026-01-01T00:00:00"}]},
                "silences[0].starts_at: has no time zone. W",
            ),
            ({"silences": [SILENCE | {"starts_at": "soon"}]}, "silences[0].starts_at: is not a time. Write it like"),
            ({"silences": [SILENCE | {"match": []}]}, "silences[0].match: is empty. Name at least one"),
            ({"silences": [SILENCE | {"match": [""]}]}, "silences[0].match: would silence everything. Give a matcher"),
            (
                {"silences": [SILENCE | {"match": ["{}"]}]},
                "silences[0].match: would silence everything. Give a matcher",
            ),
            ({"silences": [SILENCE | {"match": ["{"]}]}, 'silences[0].match[0]: cannot read the matcher "{"'),
        ],
    )
    def test_each_is_named_with_its_path_and_a_hint(self, file: Path, content: Any, line: str) -> None:
        (problem,) = mistakes(file, content)

        assert problem.startswith(line)

    @pytest.mark.parametrize("name", ["", "GitHub", "git hub", "gít", "-x", "_x", "a.b", "a/b", "x" * 41, "a\n"])
    @pytest.mark.parametrize("section", ["checkers", "destinations"])
    def test_a_name_has_to_fit_everywhere(self, file: Path, section: str, name: str) -> None:
        entry = GITHUB if section == "checkers" else SLACK

        (problem,) = mistakes(file, {section: {name: entry}})

        assert problem.startswith(f"{section}.{name}: is not a usable name. Use ")

    @pytest.mark.parametrize("name", ["heartbeat", "failover", "alertmanager"])
    def test_a_checker_does_not_take_the_name_of_another_source(self, file: Path, name: str) -> None:
        (problem,) = mistakes(file, {"checkers": {name: GITHUB}})

        assert problem.startswith(f"checkers.{name}: the name belongs to alerts from elsewhere. Use another one, ")

    @pytest.mark.parametrize("name", ["a", "0", "my-vendor", "azure_devops", "x" * 40])
    def test_other_names_do(self, file: Path, name: str) -> None:
        assert [entry.name for entry in load(file, {"checkers": {name: GITHUB}}).checkers] == [name]

    def test_all_are_told_at_once(self, file: Path) -> None:
        content = {
            "checkers": {"github": GITHUB | {"every": 0, "evry": 1}, "X": GITHUB},
            "destinations": {"slack": {"kind": "slac"}},
            "rules": [{"name": "x", "match": ["?"], "send": ["mail"]}],
            "silences": [SILENCE | {"match": ["{}"]}],
        }

        assert len(mistakes(file, content)) == 7

    def test_a_file_that_is_no_json_is_told_with_the_line(self, file: Path) -> None:
        (problem,) = mistakes(file, '{\n  "checkers": {},\n}')

        assert problem.startswith("the file: is not JSON (")
        assert "line 3" in problem

    def test_a_file_that_is_not_even_text_is_told(self, file: Path) -> None:
        file.write_bytes(b"\xff\xfe\x00{")

        with pytest.raises(ConfigError, match="is not JSON"):
            wiring.load_config(Settings.read({"CONFIG_FILE": str(file)}))

    def test_a_missing_file_is_told_with_its_path_and_the_variable(self, file: Path) -> None:
        with pytest.raises(ConfigError) as refused:
            wiring.load_config(Settings.read({"CONFIG_FILE": str(file)}))

        assert str(file) in str(refused.value)
        assert refused.value.problems == [
            "the file: no such file or directory. Set CONFIG_FILE to the path of your config.json"
        ]

    def test_more_receivers_than_an_alert_can_have_are_refused(self, file: Path) -> None:
        def content(count: int) -> dict[str, Any]:
            names = [f"slack-{number}" for number in range(count)]
            halves = [{"name": half, "send": names[start::2]} for half, start in (("a", 0), ("b", 1))]
            return {"destinations": dict.fromkeys(names, SLACK), "rules": halves}

        assert len(load(file, content(RECEIVERS_MAX)).destinations) == RECEIVERS_MAX
        (problem,) = mistakes(file, content(RECEIVERS_MAX + 1))
        assert problem.startswith(f"rules: name more than {RECEIVERS_MAX} receivers. ")


class TestSecrets:
    @pytest.mark.parametrize("kind", ["slack", "azure_devops"])
    def test_a_secret_in_the_file_itself_is_refused(self, file: Path, kind: str) -> None:
        content = {"destinations": {"there": {"kind": kind, "token": CANARY}}}

        assert mistakes(file, content) == [
            'destinations.there.token: is a secret. Write "env:NAME" here and set that variable'
        ]

    @pytest.mark.parametrize(
        "entry",
        [
            checker(url="env:IT"),
            checker(every="env:IT"),
            checker(resolve_after="env:IT"),
            checker(when_unknown="env:IT"),
            destination(token="env:IT", settle="env:IT"),
            destination(token="env:IT", rate="env:IT"),
            destination(token="env:IT", buttons="env:IT"),
            destination(url="env:IT", on_resolve="env:IT"),
        ],
    )
    def test_a_value_from_the_environment_is_never_in_a_message(self, file: Path, entry: dict[str, Any]) -> None:
        assert mistakes(file, entry, IT=CANARY)

    def test_nor_in_what_the_values_look_like(self, file: Path) -> None:
        config = load(file, destination(token="env:IT"), IT=CANARY)

        assert CANARY not in repr(config)


class TestRenamedKeys:
    def test_the_old_name_of_a_key_is_read_and_the_entry_says_the_new_one(self, file: Path) -> None:
        (entry,) = load(
            file, destination(token="env:MY_TOKEN", api_url="env:OLD"), MY_TOKEN="t", OLD="https://old.example"
        ).destinations

        assert entry.config is not None
        assert entry.config.url == "https://old.example"  # type: ignore[attr-defined]
        assert entry.warnings == ("api_url is now url",)

    def test_it_wins_over_the_usual_variable_as_any_key_does(self, file: Path) -> None:
        content = destination(api_url="https://old.example")

        (entry,) = load(file, content, SLACK_API_URL="https://variable.example").destinations

        assert entry.config is not None
        assert entry.config.url == "https://old.example"  # type: ignore[attr-defined]

    def test_both_names_at_once_are_a_mistake(self, file: Path) -> None:
        content = destination(url="https://new.example", api_url="https://old.example")

        assert mistakes(file, content) == ['destinations.slack.api_url: is not a known key. Did you mean "url"?']


class TestTheEnvironment:
    def test_a_variable_that_is_named_fills_its_key(self, file: Path) -> None:
        (entry,) = load(
            file, destination(token="env:MY_TOKEN", channel="env:MY_CHANNEL"), MY_TOKEN="t", MY_CHANNEL="#x"
        ).destinations

        assert entry.config is not None
        assert (secret(entry.config.token), entry.config.channel, entry.why_off) == ("t", "#x", "")  # type: ignore[attr-defined]

    @pytest.mark.parametrize(
        "environ", [{}, {"MY_TOKEN": ""}, {"SLACK_BOT_TOKEN": "t"}], ids=["unset", "empty", "other"]
    )
    def test_without_it_the_entry_is_off_and_says_which_to_set(self, file: Path, environ: dict[str, str]) -> None:
        """The file names another variable, so the usual one is not taken in its place."""
        (entry,) = load(file, destination(token="env:MY_TOKEN"), **environ).destinations

        assert entry.why_off == "MY_TOKEN is not set"

    def test_a_key_that_is_left_out_takes_the_missions_variable(self, file: Path) -> None:
        (on,) = load(file, destination(), SLACK_BOT_TOKEN="t").destinations
        (off,) = load(file, destination()).destinations

        assert (on.why_off, off.why_off) == ("", "SLACK_BOT_TOKEN is not set")

    def test_the_first_of_its_variables_that_is_set_wins_and_the_file_wins_over_them(self, file: Path) -> None:
        ado = {"kind": "azure_devops", "project": "p"}
        both = {"ADO_ORG_URL": "https://one.example", "AZURE_DEVOPS_ORG": "two", "ADO_PAT": "t"}

        def url(entry: dict[str, str], **environ: str) -> str:
            (found,) = load(file, {"destinations": {"ado": entry}}, **environ).destinations
            assert found.config is not None
            return str(found.config.url)  # type: ignore[attr-defined]

        assert url(ado, **both) == "https://one.example"
        assert "two" in url(ado, **(both | {"ADO_ORG_URL": ""}))
        assert url(ado | {"url": "https://three.example"}, **both) == "https://three.example"

    def test_all_that_is_missing_is_named(self, file: Path) -> None:
        (entry,) = load(
            file, {"destinations": {"ado": {"kind": "azure_devops", "url": "env:ADO_ORG_URL"}}}
        ).destinations

        assert entry.why_off.startswith("ADO_ORG_URL, ADO_PROJECT")
        assert entry.why_off.endswith(" are not set")

    def test_a_required_key_whose_variable_is_not_set_turns_the_entry_off(self, file: Path) -> None:
        (entry,) = load(file, checker(url="env:PAGE")).checkers

        assert (entry.config, entry.why_off) == (None, "PAGE is not set")

    def test_being_off_hides_no_other_mistake(self, file: Path) -> None:
        assert mistakes(file, checker(url="env:PAGE", evry=1))
        assert mistakes(file, destination(settle="long"))


class TestWhatIsRead:
    def test_rules_and_silences_come_in_their_order(self, file: Path) -> None:
        content = destination() | {
            "rules": [
                {
                    "name": "a",
                    "match": ['severity="critical"', 'kind="outage",team!=""'],
                    "send": ["slack"],
                    "proceed": True,
                },
                {"name": "b", "send": ["slack"]},
            ],
            "silences": [SILENCE],
        }

        config = load(file, content)

        assert [(rule.name, len(rule.matchers), rule.send, rule.proceed) for rule in config.rules] == [
            ("a", 3, ("slack",), True),
            ("b", 0, ("slack",), False),
        ]
        (silence,) = config.silences
        assert (silence.starts_at, silence.owner) == (datetime(2026, 1, 1, tzinfo=UTC), "Ada")

    def test_a_selection_is_read_under_its_names_in_the_file(self, file: Path) -> None:
        (entry,) = load(
            file, checker(**{"except": {"components": ["Pages"]}, "only": {"severities": ["error"]}})
        ).checkers

        assert entry.config is not None
        assert entry.config.except_.components == ("Pages",)
        assert entry.config.only.severities == (Severity.ERROR,)

    def test_an_empty_file_is_a_quiet_start(self, file: Path) -> None:
        config = load(file, {})

        assert (config.checkers, config.destinations, config.rules, config.silences) == ((), (), (), ())
        assert [(entry.name, entry.why_off) for entry in config.sources] == [
            ("alertmanager", "ALERTMANAGER_URL is not set")
        ]

    @pytest.mark.parametrize(
        ("text", "seconds"),
        [
            ("60s", 60),
            ("5m", 300),
            ("1h30m", 5400),
            ("2d", 172800),
            ("1500ms", 1.5),
            ("1.5 h", 5400),
            (" 1m 5s ", 65),
            (90, 90),
        ],
    )
    def test_durations_are_written_as_people_write_them(self, text: object, seconds: float) -> None:
        assert parse_duration(text) == timedelta(seconds=seconds)

    @REPEATABLE
    @given(st.text(max_size=12) | st.text(alphabet="0123456789.smhd ", max_size=12) | st.floats() | st.integers())
    def test_any_other_is_refused_in_one_way(self, text: object) -> None:
        try:
            duration = parse_duration(text)
        except ValueError as refused:
            assert str(refused) == 'is not a duration. Write it like "60s", "5m" or "1h30m"'  # noqa: PT017
        else:
            assert isinstance(duration, timedelta)
            assert duration >= timedelta(0)


class TestTheFileAsShipped:
    FILE = ROOT / "config.json"

    def variables(self) -> set[str]:
        named = set(re.findall(r"env:(\w+)", self.FILE.read_text()))
        config = wiring.load_config(Settings.read({"CONFIG_FILE": str(self.FILE)}))
        models = [entry.config for entry in (*config.checkers, *config.destinations) if entry.config]
        return named.union(*(variables for model in models for variables in type(model).ENV.values()))

    def test_starts_with_an_empty_environment_and_says_what_is_off(self) -> None:
        config = wiring.load_config(Settings.read({"CONFIG_FILE": str(self.FILE)}))

        assert config.checkers
        assert all(entry.why_off.endswith("not set") for entry in config.destinations)

    def test_is_on_with_all_variables_set(self) -> None:
        like = {
            "URL": "https://dev.example.com",
            "MAIL": "ops@example.com",
            "TRACKER_ID": "1",
            "STATUS_ID": "5",
            "HOST": "10.0.0.1",
        }
        environ = {
            name: next((value for part, value in like.items() if part in name), "value-of-it")
            for name in self.variables()
        }

        config = wiring.load_config(Settings.read({"CONFIG_FILE": str(self.FILE), **environ}))

        assert [entry.why_off for entry in config.destinations] == [""] * len(config.destinations)

    def test_holds_no_secret(self) -> None:
        assert not re.search(r"xox[a-z]-|://[^/\s]*:[^/\s]*@|Bearer ", self.FILE.read_text())


class TestMirrors:
    """`mirrors`: who mirrors whom, and which verbs."""

    PAGERS: ClassVar[dict[str, Any]] = {"a": {"kind": "opsgenie"}, "b": {"kind": "pagerduty"}}

    def test_they_are_read_by_pair(self, file: Path) -> None:
        mirrors = [
            {"from": "a", "to": "b", "verbs": {"ack": ["note", "ack"], "close": []}},
            {"from": "b", "to": "alert", "verbs": {"close": ["close"]}},
        ]

        config = load(file, {"destinations": self.PAGERS, "mirrors": mirrors})

        assert config.mirrors.tables == {
            ("a", "b"): {Verb.ACK: (Verb.NOTE, Verb.ACK), Verb.CLOSE: ()},
            ("b", "alert"): {Verb.CLOSE: (Verb.CLOSE,)},
        }

    @pytest.mark.parametrize(
        ("mirror", "problem"),
        [
            ({"from": "c", "to": "b", "verbs": {}}, 'mirrors[0].from: "c" is not a destination'),
            ({"from": "alert", "to": "b", "verbs": {}}, 'mirrors[0].from: "alert" is not a destination'),
            ({"from": "a", "to": "a", "verbs": {}}, "mirrors[0]: a -> a is given twice"),
            (
                {"from": "a", "to": "alert", "verbs": {"ack": ["ack"]}},
                "mirrors[0].verbs: an alert can only be closed",
            ),
            ({"from": "a", "to": "b", "verbs": {"page": ["ack"]}}, "mirrors[0].verbs"),
        ],
    )
    def test_a_mistake_is_named(self, file: Path, mirror: dict[str, Any], problem: str) -> None:
        (found,) = mistakes(file, {"destinations": self.PAGERS, "mirrors": [mirror]})

        assert found.startswith(problem)


def test_how_late_a_duplicate_may_be_is_a_duration_of_at_most_an_hour(file: Path) -> None:
    assert load(file, {}).repeat_within == timedelta(seconds=60)
    assert load(file, {"repeat_within": "2m"}).repeat_within == timedelta(minutes=2)
    assert "repeat_within" in mistakes(file, {"repeat_within": "2h"})[0]


def test_a_destination_that_was_moved_names_its_new_name_and_nothing_else(file: Path) -> None:
    slack = {"slack": SLACK}

    assert load(file, {"destinations": slack | {"chat": {"moved_to": "slack"}}}).moved == {"chat": "slack"}
    for entry, problem in [
        ({"moved_to": "slakc"}, 'destinations.chat.moved_to: "slakc" is not a destination. Did you mean "slack"?'),
        ({"moved_to": "chat"}, 'destinations.chat.moved_to: "chat" is not a destination'),
        ({"moved_to": "slack", "kind": "slack"}, "destinations.chat: has other keys beside moved_to"),
    ]:
        assert mistakes(file, {"destinations": slack | {"chat": entry}})[0].startswith(problem)
    rules = [{"name": "all", "send": ["chat"]}]
    assert (
        'rules[0].send: "chat" is not a destination'
        in mistakes(file, {"destinations": slack | {"chat": {"moved_to": "slack"}}, "rules": rules})[0]
    )


@pytest.mark.parametrize(
    ("keys", "grouped"),
    [
        ({}, (False, (), 30)),
        ({"group_by": ["cluster"]}, (True, ("cluster",), 30)),
        ({"per": "group"}, (True, (), 30)),
        ({"per": "group", "group_by": ["cluster"], "group_wait": "0s"}, (True, ("cluster",), 0)),
        ({"per": "alert", "group_by": ["cluster"]}, (False, ("cluster",), 30)),
    ],
)
def test_a_rule_makes_groups_if_it_says_by_what(file: Path, keys: dict[str, Any], grouped: tuple[Any, ...]) -> None:
    (rule,) = load(file, ruled(**keys)).rules

    assert (rule.per_group, rule.group_by, rule.group_wait.total_seconds()) == grouped


@pytest.mark.parametrize(
    "keys",
    [{"per": "incident"}, {"group_by": [""]}, {"group_by": "cluster"}, {"group_wait": "2h"}, {"group_wait": "-1s"}],
)
def test_keys_of_groups_that_cannot_be_are_mistakes(file: Path, keys: dict[str, Any]) -> None:
    (problem,) = mistakes(file, ruled(**keys))

    assert problem.startswith(f"rules[0].{next(iter(keys))}")
