"""How the adapter signs in to Azure DevOps: which way is chosen, when a new token is fetched, what a person is told."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from structlog.testing import capture_logs

from service_event_checker import wiring
from service_event_checker.config.settings import Settings
from service_event_checker.core.errors import DeliveryError, Reason
from service_event_checker.destinations.azure_devops.adapter import Adapter, Config
from service_event_checker.destinations.azure_devops.client import WorkItems
from service_event_checker.destinations.azure_devops.credentials import Chosen
from service_event_checker.destinations.azure_devops.kubernetes_secret import SecretFromCluster
from tests.destinations.azure_devops.double import AUDIENCE, AzureDevOps
from tests.doubles.base import Fault
from tests.doubles.kubernetes import Cluster
from tests.doubles.microsoft import CLIENT, IDENTITY_HEADER, SECRET, TENANT, Microsoft

NAME = "azure-devops-token"
POD = {"KUBERNETES_SERVICE_HOST": "10.96.0.1"}
APP_SERVICE = {"IDENTITY_ENDPOINT": "http://127.0.0.1:41000/msi/token"}
PRINCIPAL = {"AZURE_CLIENT_ID": CLIENT, "AZURE_TENANT_ID": TENANT, "AZURE_CLIENT_SECRET": SECRET}
WORKLOAD = {
    "AZURE_CLIENT_ID": CLIENT,
    "AZURE_TENANT_ID": TENANT,
    "AZURE_FEDERATED_TOKEN_FILE": "/var/run/secrets/azure/tokens/azure-identity-token",
}


@pytest.fixture
def entra() -> Iterator[Microsoft]:
    with Microsoft() as double:
        yield double


@pytest.fixture
def devops(entra: Microsoft) -> Iterator[AzureDevOps]:
    with AzureDevOps() as double:
        assert isinstance(double, AzureDevOps)
        double.entra = entra
        double.sign_in = 401
        yield double
        assert double.refused == []


@pytest.fixture
def cluster(tmp_path: Path) -> Iterator[Cluster]:
    with Cluster(tmp_path) as double:
        assert isinstance(double, Cluster)
        double.mount("outages", "app", "a token of the account")
        double.roles["outages", "read"] = [{"apiGroups": [""], "resources": ["secrets"], "verbs": ["get"]}]
        double.bindings.add(("outages", "read", "app"))
        yield double


def config(devops: AzureDevOps, entra: Microsoft, **changes: Any) -> Config:
    known = {"client_id": CLIENT, "client_secret": SECRET, "tenant_id": TENANT, "authority": entra.url}
    return Config.model_validate({"url": devops.org_url, "project": devops.project, "timeout": 2, **known, **changes})


def loaded(folder: Path, entry: dict[str, str], environ: dict[str, str]) -> tuple[str, tuple[str, ...]]:
    """Return why the destination is off, and the ways to sign in."""
    file = folder / "config.json"
    file.write_text(json.dumps({"destinations": {"devops": {"kind": "azure_devops", **entry}}}))
    given = {"CONFIG_FILE": str(file), "ADO_ORG_URL": "https://dev.azure.com/acme", "ADO_PROJECT": "Ops"}
    (found,) = wiring.load_config(Settings.read({**given, **environ})).destinations
    assert isinstance(found.config, Config)
    return found.why_off, found.config.auth_ways()


@pytest.mark.parametrize(
    ("entry", "environ", "ways"),
    [
        ({}, {"ADO_PAT": "pat", **POD, **WORKLOAD, **APP_SERVICE, **PRINCIPAL}, ("pat",)),
        ({"token": "env:OTHER_PAT"}, {"OTHER_PAT": "pat", **PRINCIPAL}, ("pat",)),
        ({}, POD, ("kubernetes_secret",)),
        ({}, {**POD, **WORKLOAD}, ("kubernetes_secret", "workload_identity")),
        ({}, {**APP_SERVICE, **PRINCIPAL}, ("managed_identity", "service_principal")),
        ({}, {**WORKLOAD, **PRINCIPAL}, ("workload_identity", "service_principal")),
        ({}, PRINCIPAL, ("service_principal",)),
        ({"auth": "workload_identity"}, {"ADO_PAT": "pat", **POD, **WORKLOAD}, ("workload_identity",)),
        ({"auth": "managed_identity"}, {}, ("managed_identity",)),
        ({"auth": "kubernetes_secret"}, {**POD, **WORKLOAD}, ("kubernetes_secret",)),
    ],
)
def test_what_is_nearest_to_the_entry_is_the_first_choice(
    tmp_path: Path, entry: dict[str, str], environ: dict[str, str], ways: tuple[str, ...]
) -> None:
    assert loaded(tmp_path, entry, environ) == ("", ways)


@pytest.mark.parametrize(
    ("entry", "environ", "why_off"),
    [
        ({}, {}, "ADO_PAT is not set"),
        ({}, {"AZURE_CLIENT_ID": CLIENT}, "ADO_PAT is not set"),
        (
            {},
            {"AZURE_CLIENT_SECRET": SECRET, "AZURE_CLIENT_ID": CLIENT},
            "ADO_PAT is not set; for service principal, AZURE_TENANT_ID is not set",
        ),
        (
            {},
            {"AZURE_FEDERATED_TOKEN_FILE": "/token"},
            "ADO_PAT is not set; for workload identity, AZURE_CLIENT_ID and AZURE_TENANT_ID are not set",
        ),
        ({"auth": "service_principal"}, {"ADO_PAT": "p", **WORKLOAD}, "AZURE_CLIENT_SECRET is not set"),
        ({"auth": "pat"}, PRINCIPAL, "ADO_PAT is not set"),
        ({"auth": "kubernetes_secret"}, PRINCIPAL, "KUBERNETES_SERVICE_HOST is not set"),
    ],
)
def test_without_all_that_a_way_needs_it_is_off_and_says_what_is_missing(
    tmp_path: Path, entry: dict[str, str], environ: dict[str, str], why_off: str
) -> None:
    assert loaded(tmp_path, entry, environ)[0] == why_off


def test_a_service_principal_signs_in_with_a_token_for_azure_devops(devops: AzureDevOps, entra: Microsoft) -> None:
    adapter = Adapter("devops", config(devops, entra))
    before = adapter.auth

    with capture_logs() as logged:
        assert adapter.preflight() == []
        assert adapter.preflight() == []

    assert (before, adapter.auth) == ("", "service principal")
    assert set(entra.tokens.values()) == {AUDIENCE}
    assert entra.issued == 1
    said = [line for line in logged if line["event"] == "azure_devops_auth"]
    assert [(line["receiver"], line["auth"]) for line in said] == [("devops", "service principal")]


def test_the_platforms_identity_signs_in(
    devops: AzureDevOps, entra: Microsoft, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("IDENTITY_ENDPOINT", f"{entra.url}/msi/token")
    monkeypatch.setenv("IDENTITY_HEADER", IDENTITY_HEADER)
    adapter = Adapter("devops", config(devops, entra, identity_endpoint=f"{entra.url}/msi/token", client_secret=None))

    assert adapter.preflight() == []

    assert adapter.auth == "managed identity"


def test_a_pod_signs_in_with_its_own_token(devops: AzureDevOps, entra: Microsoft, tmp_path: Path) -> None:
    file = tmp_path / "token"
    file.write_text(entra.assertion)
    adapter = Adapter("devops", config(devops, entra, federated_token_file=str(file), client_secret=None))

    assert adapter.preflight() == []

    assert adapter.auth == "workload identity"


@pytest.mark.parametrize("sign_in", [203, 302, 401])
def test_a_refused_token_is_replaced_once_and_the_call_succeeds(
    devops: AzureDevOps, entra: Microsoft, sign_in: int
) -> None:
    devops.sign_in = sign_in
    items = WorkItems(devops.org_url, devops.project, Chosen("devops", config(devops, entra)), 2.0)
    items.query([], 1)
    entra.revoke()

    assert items.query([], 1) == []

    assert entra.issued == 2


def test_a_token_that_is_refused_again_fails_after_one_more_try(devops: AzureDevOps, entra: Microsoft) -> None:
    devops.entra = None
    items = WorkItems(devops.org_url, devops.project, Chosen("devops", config(devops, entra)), 2.0)

    with pytest.raises(DeliveryError) as caught:
        items.query([], 1)

    assert caught.value.reason is Reason.UNAUTHORIZED
    assert not caught.value.permanent
    assert (entra.issued, len(devops.requests)) == (2, 2)
    assert not any(token in str(caught.value) for token in entra.tokens)


@pytest.mark.parametrize(
    "message",
    [
        "TF400813: The user '99999999-0000-0000-0000-000000000001' is not authorized to access this resource.",
        "VS403283: Could not add user '99999999-0000-0000-0000-000000000001' at this time.",
    ],
)
def test_an_identity_that_is_no_user_of_the_organization_is_told_to_be_added(
    devops: AzureDevOps, entra: Microsoft, message: str
) -> None:
    devops.stranger = message

    with pytest.raises(DeliveryError, match="add the managed identity or service principal as a user") as caught:
        Adapter("devops", config(devops, entra)).preflight()

    assert message[:8] in caught.value.detail


def test_a_refusal_of_entra_is_told_with_its_remedy_and_without_the_secret(
    devops: AzureDevOps, entra: Microsoft
) -> None:
    entra.refusal = "AADSTS7000222"

    with pytest.raises(
        DeliveryError, match="by service principal.*AADSTS7000222.*has expired; make a new one"
    ) as caught:
        Adapter("devops", config(devops, entra)).preflight()

    assert caught.value.reason is Reason.UNAUTHORIZED
    assert not any(secret in str(caught.value) for secret in (SECRET, CLIENT))
    assert devops.requests == []


@pytest.mark.parametrize("fault", [Fault.HANG, Fault.RESET, Fault.ERROR])
def test_an_entra_that_does_not_answer_leaves_no_doubt_about_what_was_done(
    devops: AzureDevOps, entra: Microsoft, fault: Fault
) -> None:
    entra.script.append(fault)

    with pytest.raises(DeliveryError) as caught:
        Adapter("devops", config(devops, entra, timeout=1)).preflight()

    assert (caught.value.reason, caught.value.permanent) == (Reason.UNREACHABLE, False)
    assert devops.requests == []


class Clock:
    now = 0.0

    def __call__(self) -> float:
        return self.now


def chosen(
    devops: AzureDevOps, entra: Microsoft, cluster: Cluster, clock: Clock | None = None
) -> tuple[Chosen, WorkItems]:
    host, port = cluster.environ.values()
    pod = config(devops, entra, token_from="kubernetes", kubernetes_host=host, kubernetes_port=port)
    read = SecretFromCluster(cluster.address, account=cluster.folder, timeout=1.0, clock=clock or Clock())
    found = Chosen("devops", pod, read)
    return found, WorkItems(devops.org_url, devops.project, found, 2.0)


def test_a_secret_of_the_cluster_comes_before_entra(devops: AzureDevOps, entra: Microsoft, cluster: Cluster) -> None:
    cluster.put("outages", NAME, token=devops.pat)
    found, items = chosen(devops, entra, cluster)

    items.query([], 1)

    assert found.auth == f"the secret {NAME} of the cluster"
    assert entra.requests == []


@pytest.mark.parametrize("may_read", [True, False])
def test_where_the_cluster_has_no_secret_for_us_entra_is_asked(
    devops: AzureDevOps, entra: Microsoft, cluster: Cluster, may_read: bool
) -> None:
    if not may_read:
        cluster.bindings.clear()
    found, items = chosen(devops, entra, cluster)

    items.query([], 1)
    items.query([], 1)

    assert found.auth == "service principal"
    assert len(cluster.requests) == 1


def test_a_cluster_that_does_not_answer_is_not_taken_for_one_without_the_secret(
    devops: AzureDevOps, entra: Microsoft, cluster: Cluster
) -> None:
    cluster.script.append(Fault.ERROR)
    _, items = chosen(devops, entra, cluster)

    with pytest.raises(DeliveryError, match="the cluster's API"):
        items.query([], 1)

    assert (entra.requests, devops.requests) == ([], [])


def test_a_secret_whose_token_expired_is_not_replaced_by_another_identity(
    devops: AzureDevOps, entra: Microsoft, cluster: Cluster
) -> None:
    cluster.put("outages", NAME, token="expired")
    _, items = chosen(devops, entra, cluster)

    for _ in range(2):
        with pytest.raises(DeliveryError, match="the PAT is wrong or expired"):
            items.query([], 1)

    assert entra.requests == []


def test_a_secret_that_is_made_later_is_found_as_long_as_entra_is_refused(
    devops: AzureDevOps, entra: Microsoft, cluster: Cluster
) -> None:
    devops.stranger = "TF400813: The user 'x' is not authorized to access this resource."
    clock = Clock()
    found, items = chosen(devops, entra, cluster, clock)
    with pytest.raises(DeliveryError):
        items.query([], 1)
    before = found.auth
    cluster.put("outages", NAME, token=devops.pat)
    clock.now += 6

    items.query([], 1)

    assert (before, found.auth) == ("service principal", f"the secret {NAME} of the cluster")
