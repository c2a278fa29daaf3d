"""The PAT from the cluster's secret, as the adapter for Azure DevOps uses it."""

from __future__ import annotations

import base64
import json
from collections.abc import Iterator
from pathlib import Path

import pytest

from service_event_checker import logs, wiring
from service_event_checker.config.load import ConfigError
from service_event_checker.config.models import secret
from service_event_checker.config.settings import Settings
from service_event_checker.core.errors import DeliveryError, Reason
from service_event_checker.destinations.azure_devops.adapter import Config
from service_event_checker.destinations.azure_devops.client import WorkItems
from service_event_checker.destinations.azure_devops.credentials import PersonalToken
from service_event_checker.destinations.azure_devops.kubernetes_secret import SecretFromCluster
from tests.destinations.azure_devops.double import AzureDevOps
from tests.doubles.kubernetes import Cluster

NAME = "azure-devops-token"


class Clock:
    now = 0.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def cluster(tmp_path: Path) -> Iterator[Cluster]:
    with Cluster(tmp_path) as double:
        assert isinstance(double, Cluster)
        double.mount("outages", "app", "a token of the account")
        double.roles["outages", "read"] = [{"apiGroups": [""], "resources": ["secrets"], "verbs": ["get"]}]
        double.bindings.add(("outages", "read", "app"))
        yield double


@pytest.fixture
def devops() -> Iterator[AzureDevOps]:
    with AzureDevOps() as double:
        assert isinstance(double, AzureDevOps)
        yield double


@pytest.mark.parametrize("form", ["{}", "{}\n", ":{}"])
def test_a_new_token_is_taken_without_a_restart(cluster: Cluster, devops: AzureDevOps, form: str) -> None:
    cluster.put("outages", NAME, token="expired-token")
    clock = Clock()
    pat = SecretFromCluster(cluster.address, account=cluster.folder, clock=clock)
    items = WorkItems(devops.org_url, devops.project, PersonalToken(pat), timeout=2.0)

    with pytest.raises(DeliveryError) as refused:
        items.states.of("Bug")
    text = form.format(devops.pat)
    cluster.put("outages", NAME, token=base64.b64encode(text.encode()) if ":" in form else text)
    clock.now += 60

    assert refused.value.reason is Reason.UNAUTHORIZED
    assert items.states.of("Bug")
    assert len(cluster.requests) == 2
    assert devops.pat not in logs.masked(f"the token {devops.pat}")


def test_a_secret_that_is_missing_sends_nothing_to_azure_devops(cluster: Cluster, devops: AzureDevOps) -> None:
    pat = SecretFromCluster(cluster.address, account=cluster.folder)

    with pytest.raises(DeliveryError) as failed:
        WorkItems(devops.org_url, devops.project, PersonalToken(pat), timeout=2.0).states.of("Bug")

    assert (failed.value.reason, devops.requests) == (Reason.NOT_CONFIGURED, [])
    assert not failed.value.permanent


@pytest.mark.parametrize("host", ["10.96.0.1", "fd00::1", "outages-abc.hcp.westeurope.azmk8s.io"])
def test_a_pod_needs_no_token_in_its_environment(tmp_path: Path, host: str) -> None:
    why_off, config = loaded(tmp_path, KUBERNETES_SERVICE_HOST=host)

    assert (why_off, config.token_from, config.token) == ("", "kubernetes", None)


def test_a_token_in_the_environment_goes_before_the_secret(tmp_path: Path) -> None:
    why_off, config = loaded(tmp_path, KUBERNETES_SERVICE_HOST="10.96.0.1", ADO_PAT="given-by-hand")

    assert (why_off, secret(config.token)) == ("", "given-by-hand")


def test_elsewhere_a_missing_token_turns_it_off(tmp_path: Path) -> None:
    assert loaded(tmp_path)[0] == "ADO_PAT is not set"


def test_the_secret_can_be_asked_for_or_left_alone_by_name(tmp_path: Path) -> None:
    assert loaded(tmp_path, entry={"token_from": "kubernetes"})[0] == ""
    assert loaded(tmp_path, entry={"token_from": ""}, KUBERNETES_SERVICE_HOST="10.96.0.1")[0] == "ADO_PAT is not set"
    with pytest.raises(ConfigError, match="token_from"):
        loaded(tmp_path, entry={"token_from": "kubernets"})


def loaded(folder: Path, entry: dict[str, str] | None = None, **environ: str) -> tuple[str, Config]:
    """Return why the destination is off ("" if it is on), and its config."""
    file = folder / "config.json"
    file.write_text(json.dumps({"destinations": {"devops": {"kind": "azure_devops", **(entry or {})}}}))
    given = {"CONFIG_FILE": str(file), "ADO_ORG_URL": "https://dev.azure.com/acme", "ADO_PROJECT": "Ops"}
    (found,) = wiring.load_config(Settings.read({**given, **environ})).destinations
    assert isinstance(found.config, Config)
    return found.why_off, found.config
