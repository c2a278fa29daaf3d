"""The generated parts of docs/configuration.md and .env.example are those of the code, and explain every key."""

from __future__ import annotations

import re
import shutil
from pathlib import Path

import pytest

from service_event_checker import plugins
from service_event_checker.cli import config_parts
from tests.cli.runner import Terminal
from tests.root import ROOT

DOCS, EXAMPLE = ROOT / "docs" / "configuration.md", ROOT / ".env.example"


@pytest.mark.parametrize("path", [DOCS, EXAMPLE], ids=["configuration.md", ".env.example"])
def test_the_committed_file_is_that_of_the_code(path: Path) -> None:
    text = path.read_text("utf-8")

    assert config_parts.refreshed(text) == text, f"./outage config docs --refresh {path.relative_to(ROOT)}"


def test_every_kind_has_its_table_and_its_variables() -> None:
    tables = set(" ".join(re.findall(r"<!-- generated: ([a-z_ ]+) -->", DOCS.read_text())).split())
    variables = set(re.findall(r"^# ([A-Z][A-Z0-9_]+)=", EXAMPLE.read_text(), re.MULTILINE))

    for kind in plugins.kinds(plugins.DESTINATIONS):
        model = plugins.destination_config(kind)
        assert model
        assert kind in tables or set(model.model_fields) == set(plugins.destination_config("console").model_fields)  # type: ignore[union-attr]
        named = {name for names in model.ENV.values() for name in names}
        assert {name for name in named if not name.startswith("KUBERNETES_SERVICE_")} <= variables, kind


@pytest.mark.parametrize("kind", plugins.kinds(plugins.DESTINATIONS))
def test_every_key_says_what_it_means(kind: str) -> None:
    model = plugins.destination_config(kind)
    assert model

    assert [name for name, field in model.model_fields.items() if name != "kind" and not field.description] == []


def test_a_stale_part_is_made_anew_and_the_prose_stays(tmp_path: Path) -> None:
    stale = "before\n<!-- generated: console -->\nold\n<!-- end of generated -->\nafter\n"

    made = config_parts.refreshed(stale)

    assert made.startswith("before\n<!-- generated: console -->\n\n| key |")
    assert made.endswith("\n\n<!-- end of generated -->\nafter\n")
    assert "old" not in made
    assert config_parts.refreshed(made) == made


def test_a_part_that_names_no_kind_is_an_error() -> None:
    with pytest.raises(ValueError, match="names pigeon"):
        config_parts.refreshed("# generated: pigeon\n# end of generated\n")


def test_the_command_refreshes_the_file_in_place(tmp_path: Path) -> None:
    path = tmp_path / "example"
    shutil.copy(EXAMPLE, path)
    path.write_text(re.sub(r"^# SLACK_CHANNEL=.*\n", "", path.read_text(), flags=re.MULTILINE))

    answer = Terminal(tmp_path, {"destinations": {}, "rules": []}).run("config", "docs", "--refresh", str(path))

    assert answer.exit_code == 0
    assert path.read_text() == EXAMPLE.read_text()
