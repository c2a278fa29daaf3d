"""config.yaml: the same values as config.json, YAML's traps refused with path and line, bounds for what it repeats."""

from __future__ import annotations

import dataclasses
import json
from pathlib import Path
from typing import Any

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from service_event_checker import wiring
from service_event_checker.config import yaml_text
from service_event_checker.config.load import Config, ConfigError
from service_event_checker.config.settings import Settings, config_file
from service_event_checker.config.yaml_text import NotYaml
from tests.root import ROOT

GOOD = """\
# yaml-language-server: $schema=docs/config.schema.json
checkers:
  github: &page
    kind: statuspage
    url: https://www.githubstatus.com  # the public page
    every: 60s
  gitlab:
    <<: *page
    url: https://status.gitlab.com
destinations:
  chat: {kind: console, shadow: true, rate: 0.5}
rules:
  - name: "no"
    match:
      - kind="outage"
    send: [chat]
silences:
  - match: ['source="github"']
    starts_at: 2026-01-01T00:00:00Z
    ends_at: 2036-01-01T00:00:00Z
    owner: ada
    reason: "22:22"
"""
VALUES = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(10**17), 10**17)
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text()
    | st.sampled_from(["no", "on", "0777", "1:30", "2026-01-01", "<<", "=", "~", "1_000", "0x1F", ".inf"]),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=10), inner, max_size=4),
    max_leaves=20,
)


def load(folder: Path, text: str | bytes) -> Config:
    file = folder / "config.yaml"
    file.write_bytes(text.encode() if isinstance(text, str) else text)
    return wiring.load_config(Settings.read({"CONFIG_FILE": str(file)}))


def problems(folder: Path, text: str | bytes) -> list[str]:
    with pytest.raises(ConfigError) as refused:
        load(folder, text)
    assert refused.value.file == "config.yaml"
    return refused.value.problems


def test_the_same_configuration_is_the_same_in_both_forms(tmp_path: Path) -> None:
    shipped = ROOT / "config.json"
    as_json = wiring.load_config(Settings.read({"CONFIG_FILE": str(shipped)}))

    as_yaml = load(tmp_path, yaml.safe_dump(json.loads(shipped.read_text()), allow_unicode=True, sort_keys=False))

    assert dataclasses.replace(as_yaml, file="", checksum="") == dataclasses.replace(as_json, file="", checksum="")


def test_comments_anchors_merges_and_times_are_read_as_people_mean_them(tmp_path: Path) -> None:
    found = load(tmp_path, GOOD)

    github, gitlab = (entry.config for entry in found.checkers)
    assert github is not None
    assert gitlab is not None
    assert (github.every, str(gitlab.url)) == (gitlab.every, "https://status.gitlab.com")
    assert [rule.name for rule in found.rules] == ["no"]
    assert (found.silences[0].reason, found.silences[0].starts_at.year) == ("22:22", 2026)


@given(st.dictionaries(st.text(max_size=10), VALUES, max_size=4))
def test_what_a_yaml_writer_has_written_is_read_as_it_was(value: dict[str, Any]) -> None:
    for text in (yaml.safe_dump(value), yaml.safe_dump(value, default_flow_style=True)):
        assert yaml_text.read(text.encode())[:2] == (value, [])


@given(st.text() | st.text(alphabet="&*<!{}[]:-,#|>'\" \n\tab01"))
def test_no_text_is_more_than_refused(text: str) -> None:
    try:
        _, found, _ = yaml_text.read(text.encode())
    except NotYaml:
        return
    assert all(": " in problem for problem in found)


@pytest.mark.parametrize(
    ("written", "said"),
    [
        ("no", "no without quotes is true or false in YAML"),
        ("On", "On without quotes is true or false in YAML"),
        ("0777", "0777 without quotes is a whole number in YAML"),
        ("1:30", "1:30 without quotes is a whole number in YAML"),
        ("0x1F", "0x1F without quotes is a whole number in YAML"),
        ("1_000", "1_000 without quotes is a whole number in YAML"),
        ("1:30.5", "1:30.5 without quotes is a number in YAML"),
        (".inf", ".inf without quotes is a number in YAML"),
        ("9" * 5000, "9" * 40 + " without quotes is a whole number in YAML"),
        ("!!python/object/apply:os.system [ls]", "has the tag !!python/object/apply:os.system"),
        ("!!binary aGk=", "has the tag !!binary"),
        ("!mine x", "has the tag !mine"),
        ("? {a: 1}\n: 2", "has a name that is a list or an object"),
    ],
)
def test_what_yaml_reads_in_another_way_is_refused_with_path_and_line(tmp_path: Path, written: str, said: str) -> None:
    value = written.replace("\n", "\n      ")
    text = f"destinations:\n  chat:\n    kind: console\n    fallback:\n      {value}\n"

    found = problems(tmp_path, text)

    assert len(found) == 1
    assert found[0].startswith("destinations.chat.fallback (line 4): ")
    assert said in found[0]


def test_a_trap_is_no_trap_in_quotes_or_as_a_name(tmp_path: Path) -> None:
    value, found, _ = yaml_text.read(b"on: 'no'\nno: !!str on\n1: \"0777\"\n~: 2026-01-01\n")

    assert value == {"on": "no", "no": "on", "1": "0777", "~": "2026-01-01"}
    assert found == []


def test_a_name_that_is_given_twice_is_told_with_both_lines(tmp_path: Path) -> None:
    text = "destinations:\n  chat: {kind: console}\n  other: {kind: console}\n  chat: {kind: console}\n"

    (found,) = problems(tmp_path, text)

    assert found == (
        "destinations.chat (line 4): is given twice, in line 2 and in line 4. Remove one of them, or rename it"
    )


def test_each_mistake_has_its_line(tmp_path: Path) -> None:
    text = GOOD.replace("send: [chat]", "send: [chatt]").replace("every: 60s", "evry: 60s")

    assert problems(tmp_path, text) == [
        'checkers.github.evry (line 6): is not a known key. Did you mean "every"?',
        'checkers.gitlab.evry (line 6): is not a known key. Did you mean "every"?',
        'rules[0].send (line 16): "chatt" is not a destination. Did you mean "chat"?',
    ]


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("", "is empty. Write {}"),
        ("# nothing\n", "is empty. Write {}"),
        ("a:\n\tb: 1\n", "(line 2, column 1): a tab in the indentation. Indent with spaces"),
        ("a: 1\n---\nb: 2\n", "(line 2, column 1): a second document begins here"),
        ("a: *b\n", "(line 1, column 4): found undefined alias 'b'. Define it"),
        ("a: [1\n", "line 2"),
        ("a: b: c\n", "(line 1, column 5): mapping values are not allowed here"),
        ("a: \x07\n", "a control character"),
        (b"a: \xff\n", "not text in UTF-8"),
        ("a: &x [*x]\n", "line 1 holds an alias of itself"),
        ("[" * 5000, "nested very deeply"),
        ("a: " + "x" * 300_000, "more than 256 KB"),
    ],
)
def test_a_text_that_is_no_yaml_says_where_and_why(tmp_path: Path, text: str | bytes, said: str) -> None:
    (found,) = problems(tmp_path, text)

    assert found.startswith("the file: ")
    assert said in found


def test_an_error_shows_its_line_without_a_secret(tmp_path: Path) -> None:
    (found,) = problems(tmp_path, "slack: {token: xyz-very-secret-1, kind: }}\n")

    assert "token: …" in found
    assert "very-secret" not in found


@pytest.mark.parametrize(
    "joined", ["[{0}, {0}, {0}, {0}, {0}, {0}, {0}, {0}, {0}]", "{{<<: [{0}, {0}, {0}, {0}, {0}]}}"]
)
def test_a_bomb_of_aliases_is_refused(tmp_path: Path, joined: str) -> None:
    lines = ["a0: &a0 {x: y, z: w}"]
    lines += [f"a{n}: &a{n} {joined.format(f'*a{n - 1}')}" for n in range(1, 12)]

    (found,) = problems(tmp_path, "\n".join(lines))

    assert "aliases included" in found


def test_without_config_file_the_one_that_is_there_is_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    assert config_file({}) == Path("config.json")
    for name in ("config.yml", "config.yaml", "config.json"):
        (tmp_path / name).write_text("{}")
        assert config_file({}) == Path(name)
        (tmp_path / name).unlink()


def test_two_files_are_an_error_that_says_what_to_do(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    for name in ("config.json", "config.yaml"):
        (tmp_path / name).write_text("{}")

    with pytest.raises(ConfigError) as refused:
        wiring.examine({"DATABASE_URL": f"sqlite:///{tmp_path}/store.db"})

    assert refused.value.problems == [
        "CONFIG_FILE: is not set, and config.json and config.yaml are both here. "
        "Set CONFIG_FILE to the one that counts, like CONFIG_FILE=config.yaml, or remove the other"
    ]
    assert config_file({"CONFIG_FILE": "config.yaml"}) == Path("config.yaml")
