"""The real Alertmanager reads matchers as we do: amtool takes the same ones, and they match the same alerts.

Debian's amtool has the classic syntax alone. docs/configuration.md lists what differs, and so does DIFFERENT.
"""

from __future__ import annotations

import json
import re
import subprocess
from pathlib import Path

import pytest
from hypothesis import Phase, given, settings
from hypothesis import strategies as st

from service_event_checker.core import matchers
from service_event_checker.core.errors import InvalidInput
from tests.conftest import require
from tests.real.parts import AMTOOL
from tests.strategies import REPEATABLE

ALERTS = [
    {"alertname": "A", "a": value}
    for value in ("x", "x y", "X", "xx", 'say "hi"', "c:\\x", "é", "b,c", "{x}", "x.y", "1", "\\d", "ab", "a=b", "[]")
] + [{"alertname": "B", "b": "x"}, {"alertname": "C", "a": "x", "b": "y", "c:d_": "é"}]
BATCH = 150  # texts for one process
#: text -> whether it is taken (here, by amtool)
DIFFERENT = {
    'a.b="x"': (True, False),  # names of the UTF-8 mode
    'é="x"': (True, False),
    "1a=x": (True, False),
    "a=x y": (False, True),  # an unquoted value with a space, a brace or an equals sign
    "a={x}": (False, True),
    '{a="x"': (False, True),  # half a pair of braces
    'a="x"}': (False, True),
    ' {a="x"} ': (True, False),
    r'a=~"\\pL"': (False, True),  # what Python's expressions have not
    r'a=~"\\Qx\\E"': (False, True),
    r'a=~"\\x{e9}"': (False, True),
    'a=~"(?U)x"': (False, True),
    'a=~"[[:^alpha:]]"': (False, True),
    'a=~"^*"': (False, True),
    'a=~"(?=x)x"': (True, False),  # what they have besides
    r'a=~"(x)\\1"': (True, False),
    'a=~"x*+"': (True, False),
    'a=~"x{1001}"': (True, False),
    r'a=~"\\é"': (True, False),
}


def quoted(text: str) -> str:
    return '"' + text.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n") + '"'


atoms = st.sampled_from(
    ["a", "x", "X", "é", "1", " ", "{", "}", ",", '"', ".", "-", "=", "]", "&", ":"]
    + [r"\w", r"\W", r"\s", r"\S", r"\d", r"\D", r"\.", r"\\", r"\x41", r"\-", r"\t"]
    + ["[ab]", "[^a]", "[[:alpha:]]", "[^[:space:]x]", r"[\d,]", "[]a]", "[a-z]", "[&&~|]", "[", "[x"]
    + ["(x|b)", "(?:xx|)", "(?P<n>x)", "(?i:x)", "(", ")", "x{,2}", "x{a}", "{,}"]
)
anchors = st.sampled_from(["", "", "^", "$", r"\A", r"\z", r"\b", r"\B", "(?i)", "(?s)", "|", "**", "a**"])
quantifiers = st.sampled_from(["", "", "", "*", "+", "?", "*?", "+?", "??", "{2}", "{1,}"])
patterns = st.builds("{}{}{}{}".format, anchors, atoms, quantifiers, st.one_of(atoms, anchors, st.just(".*")))
plain = st.text(alphabet='abxX1é\\nd ",{}=.*', max_size=6)
unquoted = st.text(alphabet="abxX1é.*", max_size=4)
names = st.sampled_from(["a", "a", "a", "b", "c:d_", "alertname", "zz", "", "a b"])
exact = st.builds(
    "{}{}{}".format, names, st.sampled_from(["=", "!=", " = ", "!= ", "~", "=!"]), plain.map(quoted) | unquoted
)
by_pattern = st.builds("{}{}{}".format, names, st.sampled_from(["=~", "!~", " =~", "!~ "]), patterns.map(quoted))
spurious = st.builds('a{}"{}"'.format, st.sampled_from(["=", "!="]), st.text(alphabet='abx\\ntd" ', max_size=5))
one = exact | by_pattern | by_pattern | spurious
lists = st.builds(
    lambda parts, braces, between, end: braces.format(between.join(parts) + end),
    st.lists(exact | by_pattern, min_size=1, max_size=3),
    st.sampled_from(["{}", "{{{}}}", "{{ {} }}"]),
    st.sampled_from([",", ", ", " ,", ",,"]),
    st.sampled_from(["", "", ",", " ,", ",,"]),
)


@pytest.fixture
def amtool(tmp_path: Path) -> Amtool:
    require(AMTOOL)
    return Amtool(tmp_path)


class Amtool:
    """One process for many matchers: each is the only one of a route of its own."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def takes(self, texts: list[str]) -> list[bool]:
        """Return which of the texts it can read."""
        files = [self._write(str(number), [text]) for number, text in enumerate(texts)]
        said = self._run("check-config", *files)
        results = re.findall(r"Checking '.*'\s+(SUCCESS|FAILED)", said)
        assert len(results) == len(texts), said[-500:]
        return [result == "SUCCESS" for result in results]

    def matches(self, texts: list[str], labels: dict[str, str]) -> set[str]:
        """Return which of the texts match an alert."""
        file = self._write("all", texts)
        pairs = [f"{name}={quoted(value)}" for name, value in labels.items()]
        receivers = self._run("config", "routes", "test", f"--config.file={file}", *pairs).strip()
        return {texts[int(name)] for name in receivers.split(",") if name.isdecimal()}

    def _write(self, name: str, texts: list[str]) -> str:
        routes = [{"receiver": str(number), "matchers": [text], "continue": True} for number, text in enumerate(texts)]
        receivers = [{"name": name} for name in ("default", *map(str, range(len(texts))))]
        file = self._folder / f"{name}.yml"
        file.write_text(json.dumps({"route": {"receiver": "default", "routes": routes}, "receivers": receivers}))
        return str(file)

    def _run(self, *command: str) -> str:
        done = subprocess.run([str(AMTOOL.find()), *command], capture_output=True, text=True, timeout=60)
        return done.stdout


def ours(text: str) -> tuple[matchers.Matcher, ...] | None:
    try:
        return matchers.parse(text)
    except InvalidInput:
        return None


@settings(REPEATABLE, max_examples=3, phases=[Phase.generate])
@given(st.lists(one | lists, min_size=BATCH, max_size=BATCH, unique=True))
def test_it_takes_the_same_matchers_and_they_match_the_same_alerts(amtool: Amtool, texts: list[str]) -> None:
    taken = {text for text, takes in zip(texts, amtool.takes(texts), strict=True) if takes}

    assert {text for text in texts if ours(text) is not None} ^ taken == set()
    common = sorted(taken)
    for labels in ALERTS:
        here = {text for text in common if all(matcher.matches(labels) for matcher in ours(text) or ())}
        assert here ^ amtool.matches(common, labels) == set(), labels


def test_what_differs_is_listed(amtool: Amtool) -> None:
    theirs = amtool.takes(list(DIFFERENT))

    assert {text: (ours(text) is not None, takes) for text, takes in zip(DIFFERENT, theirs, strict=True)} == DIFFERENT
