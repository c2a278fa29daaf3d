"""docs/config.schema.json is what the models say; and docs/configuration.md leaves no variable and no key out."""

from __future__ import annotations

import json
import re
from typing import Any

import pytest
from click.testing import CliRunner
from jsonschema import Draft202012Validator

from service_event_checker import plugins
from service_event_checker.cli import config_docs, config_schema
from service_event_checker.cli.main import outage
from service_event_checker.config.models import DestinationConfig
from tests.root import ROOT

COMMITTED = ROOT / "docs" / "config.schema.json"
MEND = "make it anew: ./outage config schema > docs/config.schema.json"


def errors(config: object) -> list[str]:
    return [error.message for error in Draft202012Validator(config_schema.build()).iter_errors(config)]


def checker(**keys: Any) -> dict[str, Any]:
    return {"checkers": {"github": {"kind": "statuspage", "url": "https://www.githubstatus.com", **keys}}}


def test_the_committed_schema_is_the_one_that_the_models_make() -> None:
    assert COMMITTED.read_text() == config_schema.as_text(), MEND


def test_the_command_prints_it() -> None:
    assert CliRunner().invoke(outage, ["config", "schema"]).stdout == config_schema.as_text()


def test_the_committed_page_of_all_keys_is_the_one_that_the_models_make() -> None:
    made = CliRunner().invoke(outage, ["config", "docs"]).stdout

    assert (ROOT / "docs" / "keys.md").read_text() == made, "make it anew: ./outage config docs > docs/keys.md"


def test_the_page_of_all_keys_names_every_key_and_variable_of_every_kind() -> None:
    page = config_docs.as_text()

    for kind in plugins.kinds(plugins.DESTINATIONS):
        model = plugins.destination_config(kind)
        assert model
        part = page.partition(f"### destination `{kind}`\n")[2].partition("\n##")[0]
        own = set(model.model_fields) - set(DestinationConfig.model_fields)
        assert [name for name in own if f"| `{model.model_fields[name].alias or name}` |" not in part] == [], kind
        assert [each for names in model.ENV.values() for each in names if f"`{each}`" not in part] == [], kind


def test_the_schema_is_a_schema() -> None:
    Draft202012Validator.check_schema(json.loads(COMMITTED.read_text()))


def test_the_config_file_as_shipped_fits() -> None:
    config = json.loads((ROOT / "config.json").read_text())

    assert errors(config) == []
    assert (ROOT / config["$schema"]).samefile(COMMITTED)


@pytest.mark.parametrize(
    "config",
    [
        {},
        checker(every="90s", only={"components": ["Actions"]}),
        checker(every=90, timeout="1m30s", **{"except": {"severities": ["info"]}}),
        checker(url="env:PAGE", resolve_after="env:AFTER"),
        {"destinations": {"slack": {"kind": "slack", "token": "env:SLACK_BOT_TOKEN", "settle": "5s"}}},
        {"destinations": {"ado": {"kind": "azure_devops"}}},
        {"rules": [{"name": "all", "send": ["slack"]}]},
    ],
)
def test_what_the_start_takes_fits(config: object) -> None:
    assert errors(config) == []


@pytest.mark.parametrize(
    "config",
    [
        {"checker": {}},
        checker(evry="90s"),
        checker(every="90 seconds"),
        checker(kind="statuspages"),
        checker(only={"component": []}),
        checker(resolve_after=0),
        {"checkers": {"Git Hub": {"kind": "statuspage", "url": "https://x"}}},
        {"checkers": {"github": {"kind": "statuspage"}}},
        {"checkers": {"github": {"url": "https://x"}}},
        {"destinations": {"slack": {"kind": "slack", "token": "xoxb-in-the-file"}}},
        {"destinations": {"slack": {"kind": "statuspage", "url": "https://x"}}},
        {"rules": [{"name": "all"}]},
    ],
)
def test_what_is_wrong_is_marked(config: object) -> None:
    assert errors(config)


def test_every_variable_and_every_key_is_explained() -> None:
    text = (ROOT / "docs" / "configuration.md").read_text()
    explained = set(re.findall(r"`([A-Za-z_$]\w*)", text))
    variables = set(re.findall(r"^# ([A-Z][A-Z0-9_]+)=", (ROOT / ".env.example").read_text(), re.MULTILINE))
    schema = config_schema.build()
    keys = {name for part in schema["$defs"].values() for name in part.get("properties", ())}

    assert (variables | keys) - explained == set()
