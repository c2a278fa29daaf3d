"""The keys of a rule that depend on time: what they become, and which contradictions stop the start."""

from __future__ import annotations

import json
from datetime import time, timedelta
from pathlib import Path
from typing import Any

import pytest

from service_event_checker import wiring
from service_event_checker.config.load import Config, ConfigError
from service_event_checker.config.settings import Settings
from service_event_checker.core.conditions import After, Conditions
from service_event_checker.core.escalation import Escalate
from service_event_checker.core.flapping import Flapping
from service_event_checker.core.weekly import DAYS, Weekly
from tests.config.mistakes import BASE

HOUR, MINUTE = timedelta(hours=1), timedelta(minutes=1)
DAY = {"from": "00:00", "to": "24:00"}


def read(folder: Path, *rules: dict[str, Any], **sections: Any) -> Config:
    named = [{"name": f"rule {number}", "send": ["slack"], **rule} for number, rule in enumerate(rules)]
    file = folder / "config.json"
    file.write_text(json.dumps({**BASE, "rules": named, **sections}))
    return wiring.load_config(Settings.read({"CONFIG_FILE": str(file)}))


def test_the_keys_are_read_with_their_units(tmp_path: Path) -> None:
    windows = [{"days": ["mon-fri"], "from": "08:00", "to": "18:00", "tz": "Europe/Berlin"}, DAY]
    escalate = {"after": "10m", "send": ["pager", "pager"], "repeat": "30m"}

    (rule,) = read(
        tmp_path, {"for": "5m", "after": {"count": 3, "within": "1h"}, "windows": windows, "escalate": escalate}
    ).rules

    office = Weekly(DAYS[:5], time(8), time(18), "Europe/Berlin")
    always = Weekly(DAYS, time(0), time(0), "UTC")
    assert rule.conditions == Conditions(5 * MINUTE, After(3, HOUR), (office, always))
    assert rule.escalate == Escalate(10 * MINUTE, ("pager",), 30 * MINUTE)


@pytest.mark.parametrize(
    ("section", "limits"),
    [
        ({}, Flapping(4, 15 * MINUTE)),
        ({"flapping": {"changes": 8}}, Flapping(8, 15 * MINUTE)),
        ({"flapping": {"within": "1h"}}, Flapping(4, HOUR)),
        ({"flapping": None}, None),
    ],
    ids=["left out", "changes", "within", "off"],
)
def test_alerts_flap_unless_it_is_switched_off(
    tmp_path: Path, section: dict[str, Any], limits: Flapping | None
) -> None:
    assert read(tmp_path, {}, **section).flapping == limits


@pytest.mark.parametrize(
    ("rule", "said"),
    [
        ({"for": "0s"}, "rules[0].for: is too small. Give more than 0s"),
        ({"for": "8d"}, "rules[0].for: is too large. Give at most 7d"),
        ({"for": "soon"}, 'rules[0].for: is not a duration. Write it like "60s", "5m" or "1h30m"'),
        ({"for": "5m", "send": []}, "rules[0].for: has no effect, because the rule sends to nobody."),
        (
            {"after": {"count": 2, "within": "1h"}, "per": "group"},
            "rules[0].after: counts how often one alert fires, and this rule tells of groups.",
        ),
        ({"after": {"count": 1, "within": "1h"}}, "rules[0].after.count: is too small. Give at least 2"),
        ({"after": {"count": 51, "within": "1h"}}, "rules[0].after.count: is too large. Give at most 50"),
        ({"after": {"count": 2}}, "rules[0].after.within: is missing. Add it"),
        ({"windows": []}, "rules[0].windows: is empty. Name at least one, or remove windows"),
        ({"windows": [DAY | {"days": []}]}, "rules[0].windows[0].days: is empty. Name at least one"),
        ({"windows": [DAY | {"days": ["fry"]}]}, 'rules[0].windows[0].days: "fry" is not a day. Write mon, tue'),
        ({"windows": [DAY | {"to": "8:00"}]}, 'rules[0].windows[0].to: "8:00" is not a time of day. Write hours'),
        ({"windows": [DAY | {"to": "00:00"}]}, 'rules[0].windows[0]: is empty: "from" is "to". Write 00:00 and 24:00'),
        ({"windows": [DAY | {"from": "24:00", "to": "08:00"}]}, "rules[0].windows[0]: begins at 24:00. Write"),
        ({"windows": [DAY | {"tz": "Berlin"}]}, 'rules[0].windows[0].tz: "Berlin" is not a known time zone. Write'),
        (
            {"escalate": {"after": "5m", "send": ["pagr"]}},
            'rules[0].escalate.send: "pagr" is not a destination. Did you mean "pager"?',
        ),
        ({"escalate": {"after": "5m", "send": []}}, "rules[0].escalate.send: is empty. Name at least one"),
        (
            {"escalate": {"after": "5m", "send": ["pager"], "repeat": "1s"}},
            "rules[0].escalate.repeat: is too small. Give at least 60s",
        ),
        (
            {"match": ['test="true"'], "escalate": {"after": "5m", "send": ["pager"]}},
            "rules[0].escalate: never happens, because test alerts do not escalate.",
        ),
        ({"match": ['flapping="yes"']}, 'rules[0].match[0]: flapping="yes" can never match. flapping is true or false'),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_a_contradiction_stops_the_start_with_its_path_and_a_remedy(
    tmp_path: Path, rule: dict[str, Any], said: str
) -> None:
    with pytest.raises(ConfigError) as refused:
        read(tmp_path, rule)

    (problem,) = refused.value.problems
    assert problem.startswith(said)


def test_a_rule_that_only_escalates_may_wait(tmp_path: Path) -> None:
    rule = {"send": [], "proceed": True, "for": "5m", "escalate": {"after": "5m", "send": ["pager"]}}

    assert read(tmp_path, rule).warnings == ()


def test_a_rule_with_windows_does_not_take_all_alerts_of_later_ones(tmp_path: Path) -> None:
    assert read(tmp_path, {"windows": [DAY]}, {}).warnings == ()
    assert "is never reached" in read(tmp_path, {"for": "5m"}, {}).warnings[0]
