"""The kind `kubernetes`: one PATCH, as the pod's own service account, and only of what is declared."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime
from pathlib import Path
from typing import Any

import pytest
from pydantic import ValidationError

from service_event_checker.actions.kubernetes import RESTARTED_AT, Config, Runner
from service_event_checker.core.actions import State
from service_event_checker.core.errors import InvalidInput
from tests.doubles.base import Fault
from tests.doubles.kubernetes import Cluster

#: the Role that docs/actions.md shows
ROLE: list[dict[str, Any]] = [
    {"apiGroups": ["apps"], "resources": ["deployments", "deployments/scale"], "verbs": ["patch"]}
]
SCALE = {"do": "scale", "replicas": "{replicas}", "parameters": {"service_name": ".*", "replicas": ".*"}}


@pytest.fixture
def cluster(tmp_path: Path) -> Iterator[Cluster]:
    with Cluster(tmp_path) as double:
        assert isinstance(double, Cluster)
        double.mount("ops", "outages", "a-token-of-the-pod")
        double.workloads["ops", "deployments", "checkout"] = {"replicas": 2}
        double.roles["ops", "actions"] = ROLE
        double.bindings.add(("ops", "actions", "outages"))
        yield double


def runner(cluster: Cluster, **changes: Any) -> Runner:
    base: dict[str, Any] = {"kind": "kubernetes", "parameters": {"service_name": ".*"}, "timeout": "5s"}
    return Runner(Config.model_validate(base | changes), account=cluster.folder, address=cluster.address)


def test_a_restart_sets_the_annotation_that_kubectl_sets(cluster: Cluster) -> None:
    ended = runner(cluster).run({"service_name": "checkout"})

    assert (ended.state, ended.output) == (State.SUCCEEDED, "restart: checkout"), ended
    annotations = cluster.workloads["ops", "deployments", "checkout"]["annotations"]
    assert datetime.fromisoformat(annotations[RESTARTED_AT]).utcoffset() is not None


def test_scaling_sets_the_number_of_replicas(cluster: Cluster) -> None:
    ended = runner(cluster, **SCALE).run({"service_name": "checkout", "replicas": "5"})

    assert ended.state is State.SUCCEEDED, ended
    assert cluster.workloads["ops", "deployments", "checkout"] == {"replicas": 5}


@pytest.mark.parametrize("replicas", ["0", "11", "-1", "1e1", "", "5 ", "0x5", "٣"])
def test_a_number_of_replicas_beyond_the_limits_is_refused(cluster: Cluster, replicas: str) -> None:
    made = runner(cluster, **SCALE)

    with pytest.raises(InvalidInput):
        made.check({"service_name": "checkout", "replicas": replicas})
    assert made.run({"service_name": "checkout", "replicas": replicas}).state is State.FAILED
    assert cluster.requests == []


@pytest.mark.parametrize("name", ["../secrets/x", "a/scale", "A", "", "a?x=y", "a b", "-a"])
def test_a_name_that_is_none_goes_nowhere(cluster: Cluster, name: str) -> None:
    made = runner(cluster)

    with pytest.raises(InvalidInput):
        made.check({"service_name": name})
    assert (made.run({"service_name": name}).state, cluster.requests) == (State.FAILED, [])


def test_what_the_role_does_not_allow_is_a_failure(cluster: Cluster) -> None:
    cluster.bindings.clear()

    ended = runner(cluster).run({"service_name": "checkout"})

    assert ended.state is State.FAILED
    assert "forbidden" in ended.output


def test_after_an_unclear_answer_its_result_is_unknown_and_it_is_asked_once(cluster: Cluster) -> None:
    cluster.script.append(Fault.RESET_AFTER)

    ended = runner(cluster).run({"service_name": "checkout"})

    assert (ended.state, len(cluster.requests)) == (State.UNKNOWN, 1)


def test_outside_of_a_cluster_it_fails_with_the_reason(tmp_path: Path) -> None:
    ended = Runner(Config(kind="kubernetes", name="checkout"), account=tmp_path).run({})

    assert "automountServiceAccountToken" in ended.why


@pytest.mark.parametrize(
    "changes",
    [{"do": "scale"}, {"replicas": "3"}, {**SCALE, "workload": "daemonsets"}, {**SCALE, "least": 5, "most": 2}],
)
def test_a_wrong_entry_is_refused(changes: dict[str, Any]) -> None:
    with pytest.raises(ValidationError):
        Config.model_validate({"kind": "kubernetes", "parameters": {"service_name": ".*"}} | changes)
