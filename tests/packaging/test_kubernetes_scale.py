"""The overlay with PostgreSQL, workers and Redis fits the manifests that it changes; a cluster has not seen it here."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import yaml

from service_event_checker.config.settings import Settings
from tests.packaging.test_kubernetes import FOLDER as BASE
from tests.root import ROOT

FOLDER = ROOT / "deploy" / "kubernetes-scale"
KUSTOMIZATION = yaml.safe_load((FOLDER / "kustomization.yaml").read_text())


def documents(folder: Path) -> list[dict[str, Any]]:
    paths = [path for path in sorted(folder.glob("*.yaml")) if path.name != "kustomization.yaml"]
    return [each for path in paths for each in yaml.safe_load_all(path.read_text()) if each]


def the(kind: str, name: str, folder: Path = FOLDER) -> dict[str, Any]:
    (found,) = (each for each in documents(folder) if (each["kind"], each["metadata"]["name"]) == (kind, name))
    return found


def pod(deployment: dict[str, Any]) -> dict[str, Any]:
    found: dict[str, Any] = deployment["spec"]["template"]["spec"]
    return found


DEPLOYMENTS = [each for each in documents(FOLDER) if each["kind"] == "Deployment" and "selector" in each["spec"]]


def test_every_file_is_a_resource_or_a_patch() -> None:
    used = {*KUSTOMIZATION["resources"][1:], *(patch["path"] for patch in KUSTOMIZATION["patches"])}

    assert KUSTOMIZATION["resources"][0] == "../kubernetes"
    assert used == {path.name for path in FOLDER.glob("*.yaml")} - {"kustomization.yaml"}
    assert KUSTOMIZATION["images"] == yaml.safe_load((BASE / "kustomization.yaml").read_text())["images"]


def test_what_a_patch_takes_away_is_there() -> None:
    base, patch = pod(the("Deployment", "outage-checker", BASE)), pod(the("Deployment", "outage-checker"))
    (container,), (changed,) = base["containers"], patch["containers"]

    for there, taken, key in (
        (container["env"], changed["env"], "name"),
        (container["volumeMounts"], changed["volumeMounts"], "mountPath"),
        (base["volumes"], patch["volumes"], "name"),
    ):
        deleted = {each[key] for each in taken if each.get("$patch") == "delete"}
        assert deleted
        assert deleted <= {each[key] for each in there}
    assert the("PersistentVolumeClaim", "outage-checker-data", BASE)
    assert changed["name"] == container["name"]


def test_all_processes_share_the_configuration_and_the_broker() -> None:
    base, service = the("Deployment", "outage-checker", BASE), the("Service", "outage-checker-redis")
    (app,), (patched,) = pod(base)["containers"], pod(the("Deployment", "outage-checker"))["containers"]
    (broker,) = (each["value"] for each in patched["env"] if each["name"] == "CELERY_BROKER_URL")

    assert Settings.read({"CELERY_BROKER_URL": broker}).broker_url == broker
    assert f"//{service['metadata']['name']}:{service['spec']['ports'][0]['port']}/" in broker
    for role in ("worker", "beat"):
        (container,) = pod(the("Deployment", f"outage-checker-{role}"))["containers"]
        variables = {each["name"]: each["value"] for each in container["env"]}
        assert variables["CELERY_BROKER_URL"] == broker
        assert variables["CONFIG_FILE"] == next(each["value"] for each in app["env"] if each["name"] == "CONFIG_FILE")
        assert {str(each["configMapRef"]) for each in container["envFrom"] if "configMapRef" in each} == {
            str(each["configMapRef"]) for each in app["envFrom"] if "configMapRef" in each
        }
        assert container["image"] == app["image"]
        assert container["command"][3] == role


def test_every_pod_is_fit_for_the_strictest_standard_and_reached_by_a_policy() -> None:
    policies = [each["spec"]["podSelector"] for each in documents(FOLDER) if each["kind"] == "NetworkPolicy"]
    covered = {value for each in policies for rule in each.get("matchExpressions", ()) for value in rule["values"]}
    covered |= {each["matchLabels"]["app.kubernetes.io/name"] for each in policies if "matchLabels" in each}

    assert len(DEPLOYMENTS) == 3
    for deployment in DEPLOYMENTS:
        labels = deployment["spec"]["template"]["metadata"]["labels"]
        (container,) = pod(deployment)["containers"]
        own, shared = container["securityContext"], pod(deployment)["securityContext"]
        named = {name: text for name, text in labels.items() if name.startswith("app.")}
        assert deployment["spec"]["selector"]["matchLabels"] == named
        assert (shared["runAsNonRoot"], shared["seccompProfile"]) == (True, {"type": "RuntimeDefault"})
        assert (own["allowPrivilegeEscalation"], own["readOnlyRootFilesystem"]) == (False, True)
        assert own["capabilities"] == {"drop": ["ALL"]}
        assert labels["app.kubernetes.io/name"] in covered
        mounts = {each["name"] for each in container["volumeMounts"]}
        assert mounts == {each["name"] for each in pod(deployment)["volumes"]}
