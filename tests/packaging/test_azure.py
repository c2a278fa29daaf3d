"""The Bicep files say of this app what is true, and hang together. The compiler is not here; this reads the text.

Language: https://learn.microsoft.com/azure/azure-resource-manager/bicep/file.
"""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from service_event_checker.web.status.health import blueprint
from tests.root import ROOT

FOLDER = ROOT / "deploy" / "azure"
FILES = sorted(FOLDER.glob("*.bicep"))
MAIN = (FOLDER / "main.bicep").read_text()
DOCUMENT = (ROOT / "docs" / "deploy-azure.md").read_text()

STRINGS = re.compile(r"'(?:\\.|[^'\\])*'")
DECLARED = re.compile(r"^(?:param|var|resource|module|output) (\w+)", re.MULTILINE)
FUNCTIONS = {"environment", "guid", "resourceGroup", "subscription", "subscriptionResourceId", "take", "union"}
FUNCTIONS |= {"uniqueString", "if", "minLength", "maxLength", "allowed", "description", "secure"}


def code(text: str) -> str:
    """Return Bicep without comments and without what stands in strings, but with what strings interpolate."""
    bare = re.sub(r"(^|\s)//.*", "", text)
    return STRINGS.sub(lambda found: " ".join(re.findall(r"\$\{([^}]*)\}", found.group())), bare)


def value(key: str) -> str:
    """Return the one value that main.bicep gives a property or setting."""
    (found,) = re.findall(rf"^ +{key}: '?(.*?)'?(?: //.*)?$", MAIN, re.MULTILINE)
    return str(found)


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.name)
def test_every_bracket_is_closed_by_its_own_kind(path: Path) -> None:
    open_brackets: list[str] = []
    for char in code(path.read_text()):
        if char in "([{":
            open_brackets.append(char)
        elif char in ")]}":
            assert open_brackets
            assert open_brackets.pop() + char in ("()", "[]", "{}")

    assert open_brackets == []


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.name)
def test_every_name_that_is_used_is_declared(path: Path) -> None:
    text = code(path.read_text())
    declared = set(DECLARED.findall(text))

    called = set(re.findall(r"(?<![\w.])(\w+)\(", text))
    read = set(re.findall(r"(?<![\w.])([a-z]\w*)\.\w", text)) | set(re.findall(r": ([a-z]\w*)$", text, re.MULTILINE))

    assert called <= FUNCTIONS
    assert read <= declared | {"true", "false"}


def test_every_module_is_there_and_gets_the_parameters_that_it_needs() -> None:
    modules = re.findall(r"^module \w+ '(.+?)'.*?params: \{(.*?)\}", MAIN, re.MULTILINE | re.DOTALL)

    assert modules
    for file, given in modules:
        needed = re.findall(r"^param (\w+) \w+$", (FOLDER / file).read_text(), re.MULTILINE)
        assert set(re.findall(r"(\w+):", given)) == set(needed)


def test_it_is_the_python_that_the_project_names() -> None:
    assert value("linuxFxVersion").replace("PYTHON|", "python-") == (ROOT / "runtime.txt").read_text().strip()


def test_it_starts_what_there_is() -> None:
    command = value("appCommandLine").split()

    assert command[:2] == ["gunicorn", "-c"]
    assert (ROOT / command[2]).is_file()
    assert (ROOT / f"{command[3].partition(':')[0]}.py").is_file()


def test_the_health_check_asks_a_route_that_is_open_to_all() -> None:
    rules = (ROOT / "service_event_checker" / "web" / "status" / "health.py").read_text()

    assert blueprint.name == "health"
    assert f'"{value("healthCheckPath")}"' in rules


def test_it_builds_there_never_sleeps_and_listens_where_it_is_asked() -> None:
    assert value("SCM_DO_BUILD_DURING_DEPLOYMENT") == "true"
    assert "SCM_DO_BUILD_DURING_DEPLOYMENT=true" in (ROOT / ".deployment").read_text()
    assert value("alwaysOn") == "true"
    assert value("WEBSITES_PORT") == value("PORT") == "8000"
    assert "param sku string = 'B1'" in MAIN


def test_a_stop_has_more_time_than_gunicorn_takes() -> None:
    (graceful,) = re.findall(r"^graceful_timeout = (\d+)", (ROOT / "gunicorn.conf.py").read_text(), re.MULTILINE)

    assert int(graceful) < 5  # App Service's own default
    assert int(graceful) < int(value("WEBSITES_CONTAINER_STOP_TIME_LIMIT")) <= 120


def test_nothing_is_sent_in_the_open() -> None:
    assert value("httpsOnly") == value("supportsHttpsTrafficOnly") == "true"
    assert value("minTlsVersion") == value("scmMinTlsVersion") == "1.2"
    assert value("minimumTlsVersion") == "TLS1_2"
    assert value("allowBlobPublicAccess") == "false"
    assert value("ftpsState") == "Disabled"
    assert value("type") == "SystemAssigned"


def test_secrets_are_parameters_that_azure_does_not_show() -> None:
    assert re.search(r"@secure\(\)\nparam settings object", MAIN)
    assert not re.search(r"xox[abp]-|AccountKey=[A-Za-z0-9+/]{20}", MAIN)
    assert "output" not in "".join(line for line in MAIN.splitlines() if "listKeys" in line)


def test_the_document_names_every_setting_and_file_that_the_template_has() -> None:
    own = {"AZURE_SUBSCRIPTION_ID", "LOG_FORMAT", "PUBLIC_URL"}  # explained where all settings are
    names = set(re.findall(r"^ {6}([A-Z_]+): ", MAIN, re.MULTILINE))

    assert len(names) == 9
    assert {name for name in names - own if name not in DOCUMENT} == set()
    assert value("appCommandLine") in DOCUMENT
    assert "deploy/azure/main.bicep" in DOCUMENT
