"""The value that lies in a secret of the cluster, read from a loopback API server as a pod would."""

from __future__ import annotations

import base64
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from structlog.testing import capture_logs

from service_event_checker import logs
from service_event_checker.core.errors import DeliveryError, Reason
from service_event_checker.destinations.azure_devops.kubernetes_secret import SecretFromCluster
from service_event_checker.http.in_cluster import cluster_address
from tests.doubles.base import Fault
from tests.doubles.kubernetes import Cluster

NAME = "azure-devops-token"
PAT = "q7pat52charactersLongAndRandomAsTheyAre0123456789abcdef"
JWT = "eyJhbGciOiJSUzI1NiJ9.of-the-service-account.signature"


class Clock:
    now = 1000.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def cluster(tmp_path: Path) -> Iterator[Cluster]:
    with Cluster(tmp_path) as double:
        assert isinstance(double, Cluster)
        double.hang_seconds = 2.0
        double.put("outages", NAME, token=PAT)
        double.mount("outages", "outage-checker", JWT)
        double.roles["outages", "read-token"] = [
            {"apiGroups": [""], "resources": ["secrets"], "resourceNames": [NAME], "verbs": ["get"]}
        ]
        double.bindings.add(("outages", "read-token", "outage-checker"))
        yield double
        assert double.refused == []


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def secret(cluster: Cluster, clock: Clock) -> SecretFromCluster:
    return SecretFromCluster(cluster.address, account=cluster.folder, clock=clock, timeout=1.0)


def failure(call: Callable[[], object]) -> DeliveryError:
    with pytest.raises(DeliveryError) as raised:
        call()
    assert not raised.value.permanent
    assert not raised.value.reason.ambiguous
    return raised.value


def test_nobody_is_asked_before_the_value_is_needed_and_then_once(cluster: Cluster, secret: SecretFromCluster) -> None:
    assert cluster.requests == []

    assert [secret.token() for _ in range(3)] == [PAT] * 3

    (asked,) = cluster.requests
    assert (asked.method, asked.path) == ("GET", f"/api/v1/namespaces/outages/secrets/{NAME}")


@pytest.mark.parametrize("typed", [PAT + "\n", f"  {PAT}\r\n"])
def test_the_line_end_that_echo_leaves_is_not_part_of_the_value(
    cluster: Cluster, secret: SecretFromCluster, typed: str
) -> None:
    cluster.put("outages", NAME, token=typed)

    assert secret.token() == PAT


def test_a_refused_value_is_read_again_at_most_once_a_minute(
    cluster: Cluster, secret: SecretFromCluster, clock: Clock
) -> None:
    secret.token()
    cluster.put("outages", NAME, token="the new one")

    seen = []
    for seconds in (1, 30, 30, 10, 60):
        secret.refused()
        clock.now += seconds
        seen.append(secret.token())

    assert seen == [PAT, PAT, "the new one", "the new one", "the new one"]
    assert len(cluster.requests) == 3
    clock.now += 600
    assert secret.token() == "the new one"
    assert len(cluster.requests) == 3


def test_a_value_that_nobody_refused_is_not_read_again(
    cluster: Cluster, secret: SecretFromCluster, clock: Clock
) -> None:
    secret.token()
    clock.now += 100_000

    assert secret.token() == PAT
    assert len(cluster.requests) == 1


def test_the_service_accounts_own_token_is_read_anew_each_time(
    cluster: Cluster, secret: SecretFromCluster, clock: Clock
) -> None:
    secret.token()
    cluster.mount("outages", "outage-checker", "the account's token an hour later")
    cluster.put("outages", NAME, token="new")
    secret.refused()
    clock.now += 60

    assert secret.token() == "new"


def test_a_missing_secret_says_how_to_make_it_and_is_found_once_it_is_there(
    cluster: Cluster, secret: SecretFromCluster, clock: Clock
) -> None:
    del cluster.secrets["outages", NAME]

    error = failure(secret.token)
    cluster.put("outages", NAME, token=PAT)
    clock.now += 5

    assert error.reason is Reason.NOT_CONFIGURED
    assert f"kubectl -n outages create secret generic {NAME} --from-literal=token=..." in error.detail
    assert secret.token() == PAT


def test_a_missing_right_names_the_role(cluster: Cluster, secret: SecretFromCluster) -> None:
    cluster.bindings.clear()

    error = failure(secret.token)

    assert error.reason is Reason.UNAUTHORIZED
    assert "deploy/kubernetes/role.yaml" in error.detail


def test_an_account_that_the_cluster_does_not_know_is_told_from_a_missing_right(
    cluster: Cluster, secret: SecretFromCluster
) -> None:
    cluster.accounts.clear()

    error = failure(secret.token)

    assert (error.reason, "restart the pod" in error.detail) == (Reason.UNAUTHORIZED, True)


@pytest.mark.parametrize(
    "held", [{"pat": PAT}, {"token": ""}, {"token": "\n"}, {"token": "two\nlines"}, {"token": b"\xff\xfe\x00"}, {}]
)
def test_a_secret_without_a_text_under_its_key_says_which_key_it_needs(
    cluster: Cluster, secret: SecretFromCluster, held: dict[str, str | bytes]
) -> None:
    cluster.put("outages", NAME, **held)

    error = failure(secret.token)

    assert error.reason is Reason.NOT_CONFIGURED
    assert "under the key token" in error.detail


@pytest.mark.parametrize("data", [None, "text", {"token": 1}, {"token": "not base64!"}, {"token": None}])
def test_a_secret_that_is_none_is_told_like_one_without_the_key(
    cluster: Cluster, secret: SecretFromCluster, data: object
) -> None:
    cluster.secrets["outages", NAME] = data  # type: ignore[assignment]

    assert failure(secret.token).reason is Reason.NOT_CONFIGURED


@pytest.mark.parametrize(
    "fault", [Fault.ERROR, Fault.RATE_LIMIT, Fault.RESET, Fault.GARBAGE, Fault.HTML, Fault.TRUNCATED, Fault.HANG]
)
def test_an_api_that_fails_has_certainly_not_begun_anything_elsewhere(
    cluster: Cluster, secret: SecretFromCluster, clock: Clock, fault: Fault
) -> None:
    cluster.script.append(fault)
    began = time.monotonic()

    error = failure(secret.token)
    clock.now += 5

    assert error.reason is Reason.UNREACHABLE
    assert time.monotonic() - began < 2
    assert secret.token() == PAT


def test_an_api_that_is_away_when_a_refused_value_is_read_again_leaves_the_one_at_hand(
    cluster: Cluster, secret: SecretFromCluster, clock: Clock
) -> None:
    secret.token()
    secret.refused()
    cluster.script.append(Fault.ERROR)
    cluster.put("outages", NAME, token="new")

    seen = []
    for _ in range(2):
        clock.now += 60
        seen.append(secret.token())

    assert seen == [PAT, "new"]


def test_many_who_need_it_at_once_ask_once_and_hear_of_the_same_failure(
    cluster: Cluster, secret: SecretFromCluster, clock: Clock
) -> None:
    cluster.script.append(Fault.ERROR)
    told: list[object] = []

    def need() -> None:
        try:
            told.append(secret.token())
        except DeliveryError as error:
            told.append(error.reason)

    for _ in range(2):
        threads = [threading.Thread(target=need) for _ in range(8)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        clock.now += 5

    assert told == [Reason.UNREACHABLE] * 8 + [PAT] * 8
    assert len(cluster.requests) == 2


def test_a_server_that_the_clusters_authority_does_not_vouch_for_gets_no_token(
    cluster: Cluster, secret: SecretFromCluster, tmp_path: Path
) -> None:
    other = tmp_path / "other"
    other.mkdir()
    with Cluster(other) as stranger:
        assert isinstance(stranger, Cluster)
        (cluster.folder / "ca.crt").write_bytes((stranger.folder / "ca.crt").read_bytes())

        error = failure(secret.token)

    assert (error.reason, "certificate" in error.detail) == (Reason.UNREACHABLE, True)
    assert cluster.requests == []


def test_a_server_under_another_name_than_its_certificates_gets_no_token(cluster: Cluster) -> None:
    elsewhere = cluster_address("localhost", cluster.environ["KUBERNETES_SERVICE_PORT"])

    error = failure(SecretFromCluster(elsewhere, account=cluster.folder).token)

    assert (error.reason, "certificate" in error.detail) == (Reason.UNREACHABLE, True)
    assert cluster.requests == []


@pytest.mark.parametrize("name", ["token", "ca.crt", "namespace"])
def test_a_pod_without_a_mounted_account_says_what_to_switch_on(
    cluster: Cluster, secret: SecretFromCluster, name: str
) -> None:
    (cluster.folder / name).unlink()

    error = failure(secret.token)

    assert error.reason is Reason.NOT_CONFIGURED
    assert f"{cluster.folder / name} is missing" in error.detail
    assert "automountServiceAccountToken: true" in error.detail


@pytest.mark.parametrize("namespace", ["../kube-system", "a/b", "UPPER", "-x", "a?b", "x" * 64])
def test_a_namespace_that_is_none_is_never_part_of_an_address(
    cluster: Cluster, secret: SecretFromCluster, namespace: str
) -> None:
    (cluster.folder / "namespace").write_text(namespace)

    assert failure(secret.token).reason is Reason.NOT_CONFIGURED
    assert cluster.requests == []


@pytest.mark.parametrize("garbled", ["no certificate at all", "-----BEGIN CERTIFICATE-----\nAAAA\n"])
def test_an_authority_that_cannot_be_read_is_told_as_such(
    cluster: Cluster, secret: SecretFromCluster, garbled: str
) -> None:
    (cluster.folder / "ca.crt").write_text(garbled)

    assert failure(secret.token).reason is Reason.UNREACHABLE
    assert cluster.requests == []


def test_outside_of_a_cluster_it_says_so(cluster: Cluster) -> None:
    error = failure(SecretFromCluster("", account=cluster.folder).token)

    assert (error.reason, "KUBERNETES_SERVICE_HOST" in error.detail) == (Reason.NOT_CONFIGURED, True)


@pytest.mark.parametrize("port", ["abc", "0", "99999"])
def test_an_address_that_is_none_is_told_as_such(cluster: Cluster, port: str) -> None:
    address = cluster_address(cluster.environ["KUBERNETES_SERVICE_HOST"], port)

    failure(SecretFromCluster(address, account=cluster.folder).token)


def test_an_ipv6_address_is_written_as_one(cluster: Cluster) -> None:
    address = cluster_address("::1", "1")

    assert "https://[::1]:1/api" in failure(SecretFromCluster(address, account=cluster.folder).token).detail


def test_neither_the_value_nor_the_accounts_token_is_ever_written(
    cluster: Cluster, secret: SecretFromCluster, clock: Clock, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(logs, "_known", set())
    cluster.script.append(Fault.ERROR)

    with capture_logs() as lines:
        told = str(failure(secret.token))
        clock.now += 5
        secret.token()

    assert [line["event"] for line in lines] == ["kubernetes_secret_not_read", "kubernetes_secret_read"]
    for text in (PAT, JWT, base64.b64encode(PAT.encode()).decode()):
        assert text not in f"{lines}{told}{secret!r}"
    assert logs.masked(f"{PAT} and {JWT}") == "[secret] and [secret]"
