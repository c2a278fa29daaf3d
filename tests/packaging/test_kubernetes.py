"""The Kubernetes manifests hang together and say of this app what is true; a cluster has not seen them here.

Kinds and fields: https://kubernetes.io/docs/reference/kubernetes-api/.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from service_event_checker import wiring
from service_event_checker.config.settings import Settings
from service_event_checker.destinations.azure_devops.kubernetes_secret import SecretFromCluster
from service_event_checker.web.status.health import blueprint
from tests.doubles.kubernetes import Cluster
from tests.root import ROOT
from tools.bootstrap import BECOMES

FOLDER = ROOT / "deploy" / "kubernetes"
FILES = sorted(FOLDER.glob("*.yaml"))
DOCUMENT = (ROOT / "docs" / "deploy-kubernetes.md").read_text()
SETTINGS = (ROOT / ".env.example").read_text()

VERSIONS = {
    "ConfigMap": "v1",
    "Deployment": "apps/v1",
    "Namespace": "v1",
    "NetworkPolicy": "networking.k8s.io/v1",
    "PersistentVolumeClaim": "v1",
    "Role": "rbac.authorization.k8s.io/v1",
    "RoleBinding": "rbac.authorization.k8s.io/v1",
    "Secret": "v1",
    "Service": "v1",
    "ServiceAccount": "v1",
}
# Every field that the manifests may use; a misspelt one is ignored by a lenient server, and by us it is not.
FIELDS = frozenset(
    re.findall(
        r"\w+",
        """accessModes allowPrivilegeEscalation annotations apiGroup apiGroups apiVersion automountServiceAccountToken
        capabilities claimName command configMap configMapRef containerPort containers data drop egress
        emptyDir enableServiceLinks env envFrom exec failureThreshold from fsGroup fsGroupChangePolicy
        httpGet image ingress key kind labels lifecycle limits livenessProbe matchLabels medium metadata
        mountPath name namespace namespaceSelector optional path periodSeconds persistentVolumeClaim
        podSelector policyTypes port ports preStop protocol readOnly readOnlyRootFilesystem readinessProbe
        replicas requests resourceNames resources roleRef rules runAsGroup runAsNonRoot runAsUser
        seccompProfile secretKeyRef secretRef securityContext selector serviceAccountName sizeLimit spec
        startupProbe strategy stringData subjects targetPort template terminationGracePeriodSeconds
        timeoutSeconds to type value valueFrom verbs volumeMounts volumes""",
    )
)
FREE = {
    "annotations",
    "labels",
    "matchLabels",
    "data",
    "stringData",
    "requests",
    "limits",
}  # their keys are ours to choose


def documents(path: Path) -> list[dict[str, Any]]:
    return [each for each in yaml.safe_load_all(path.read_text()) if each]


MANIFESTS = [each for path in FILES if path.name != "kustomization.yaml" for each in documents(path)]
KUSTOMIZATION = documents(FOLDER / "kustomization.yaml")[0]


def names(kind: str) -> set[str]:
    return {each["metadata"]["name"] for each in MANIFESTS if each["kind"] == kind}


def the(kind: str, name: str = "") -> dict[str, Any]:
    (found,) = (each for each in MANIFESTS if each["kind"] == kind and name in ("", each["metadata"]["name"]))
    return found


def keys_of(value: Any) -> Iterator[str]:
    """Yield the names of all fields, but not those that are ours to choose."""
    if isinstance(value, list):
        for each in value:
            yield from keys_of(each)
    elif isinstance(value, dict):
        for key, part in value.items():
            yield key
            if key not in FREE and (key != "selector" or "matchLabels" in part):
                yield from keys_of(part)


POD = the("Deployment")["spec"]["template"]
(CONTAINER,) = POD["spec"]["containers"]
VARIABLES = {each["name"]: each["value"] for each in CONTAINER["env"]}


def test_every_manifest_is_of_a_known_kind_and_has_known_fields_only() -> None:
    for manifest in MANIFESTS:
        assert manifest["apiVersion"] == VERSIONS[manifest["kind"]]
        assert set(keys_of(manifest)) - FIELDS == set()
        assert re.fullmatch(r"[a-z0-9]([-a-z0-9.]*[a-z0-9])?", manifest["metadata"]["name"])


def test_kustomize_gets_all_that_is_there_but_the_example_of_secrets() -> None:
    others = {path.name for path in FILES} - {"kustomization.yaml", "secret.example.yaml"}

    assert set(KUSTOMIZATION["resources"]) == others
    assert {image["name"] for image in KUSTOMIZATION["images"]} == {CONTAINER["image"]}
    assert {KUSTOMIZATION["namespace"]} == names("Namespace")


def test_what_the_pod_is_given_exists() -> None:
    volumes = {each["name"]: each for each in POD["spec"]["volumes"]}
    sources = CONTAINER["envFrom"]

    assert {each["name"] for each in CONTAINER["volumeMounts"]} == set(volumes)
    assert volumes["config"]["configMap"]["name"] in names("ConfigMap")
    assert volumes["data"]["persistentVolumeClaim"]["claimName"] in names("PersistentVolumeClaim")
    assert {each["configMapRef"]["name"] for each in sources if "configMapRef" in each} <= names("ConfigMap")
    assert {each["secretRef"]["name"] for each in sources if "secretRef" in each} <= names("Secret")
    assert {POD["spec"]["serviceAccountName"]} == names("ServiceAccount")


def test_everybody_means_the_same_pod_and_the_same_port() -> None:
    labels = {name: text for name, text in POD["metadata"]["labels"].items() if name.startswith("app.")}
    (port,) = CONTAINER["ports"]
    (rule,) = the("NetworkPolicy")["spec"]["ingress"]

    assert the("Deployment")["spec"]["selector"]["matchLabels"] == labels
    assert the("Service")["spec"]["selector"] == labels
    assert the("NetworkPolicy")["spec"]["podSelector"]["matchLabels"] == labels
    assert [each["targetPort"] for each in the("Service")["spec"]["ports"]] == [port["name"]]
    assert [each["port"] for each in rule["ports"]] == [port["name"]]
    assert int(VARIABLES["PORT"]) == port["containerPort"]


def test_the_pod_is_given_an_identity_that_its_account_names() -> None:
    """https://learn.microsoft.com/azure/aks/workload-identity-overview#service-account-labels-and-annotations"""
    (client,) = the("ServiceAccount")["metadata"]["annotations"].items()

    assert POD["metadata"]["labels"]["azure.workload.identity/use"] == "true"
    assert client[0] == "azure.workload.identity/client-id"
    account = f"system:serviceaccount:{KUSTOMIZATION['namespace']}:{POD['spec']['serviceAccountName']}"
    assert account in DOCUMENT


def test_probes_ask_routes_that_are_open_to_all() -> None:
    routes = set(
        re.findall(r'@blueprint.get\("(.+?)"\)', (ROOT / "service_event_checker/web/status/health.py").read_text())
    )
    probes = {name: CONTAINER[name]["httpGet"] for name in ("startupProbe", "livenessProbe", "readinessProbe")}

    assert blueprint.name == "health"
    assert {probe["path"] for probe in probes.values()} <= routes
    assert {probe["port"] for probe in probes.values()} == {CONTAINER["ports"][0]["name"]}
    assert [probes[name]["path"] for name in ("livenessProbe", "readinessProbe")] == ["/livez", "/readyz"]


def test_it_starts_what_is_started_everywhere() -> None:
    assert tuple(CONTAINER["command"]) == BECOMES["run"]


def test_a_stop_has_more_time_than_it_takes() -> None:
    (graceful,) = re.findall(r"^graceful_timeout = (\d+)", (ROOT / "gunicorn.conf.py").read_text(), re.MULTILINE)
    sleep, seconds = CONTAINER["lifecycle"]["preStop"]["exec"]["command"]

    assert sleep == "sleep"
    assert int(seconds) + int(graceful) + 5 < POD["spec"]["terminationGracePeriodSeconds"] == 30


def test_the_pod_is_fit_for_the_strictest_standard() -> None:
    """https://kubernetes.io/docs/concepts/security/pod-security-standards/#restricted"""
    pod, own = POD["spec"]["securityContext"], CONTAINER["securityContext"]

    assert pod["runAsNonRoot"]
    assert pod["runAsUser"] > 0
    assert pod["seccompProfile"] == {"type": "RuntimeDefault"}
    assert (own["allowPrivilegeEscalation"], own["readOnlyRootFilesystem"]) == (False, True)
    assert own["capabilities"] == {"drop": ["ALL"]}
    assert the("Namespace")["metadata"]["labels"]["pod-security.kubernetes.io/enforce"] == "restricted"


def test_all_that_is_written_lies_where_writing_is_allowed() -> None:
    writable = {each["mountPath"] for each in CONTAINER["volumeMounts"] if not each.get("readOnly")}

    database = Path(VARIABLES["DATABASE_URL"].removeprefix("sqlite:///"))

    assert str(database.parent) in writable
    assert any(path.endswith("tmp") for path in writable)
    assert the("Deployment")["spec"]["strategy"]["type"] == "Recreate"  # one disk, one pod
    assert the("Deployment")["spec"]["replicas"] == 1


def test_the_config_file_is_one_that_the_app_takes(tmp_path: Path) -> None:
    ((name, text),) = the("ConfigMap", "outage-checker-config")["data"].items()
    file, mounts = tmp_path / name, {each["name"]: each["mountPath"] for each in CONTAINER["volumeMounts"]}
    file.write_text(text)

    config = wiring.load_config(Settings.read({"CONFIG_FILE": str(file)}))

    assert f"{mounts['config']}/{name}" == VARIABLES["CONFIG_FILE"]
    assert {entry.kind for entry in config.destinations} == {"slack", "azure_devops"}
    assert json.loads(text)["rules"]


def test_every_variable_is_one_that_the_app_knows() -> None:
    given = set(VARIABLES) | set(the("ConfigMap", "outage-checker-settings")["data"])
    given |= set(the("Secret", "outage-checker")["stringData"])

    assert {name for name in given if not re.search(rf"^# {name}=", SETTINGS, re.MULTILINE)} == set()


def test_no_secret_has_a_value() -> None:
    for name in names("Secret"):
        for value in the("Secret", name)["stringData"].values():
            assert "<" in value


def test_the_role_lets_the_app_read_its_secret_and_nothing_else(tmp_path: Path) -> None:
    (rule,) = the("Role")["rules"]
    (subject,) = the("RoleBinding")["subjects"]
    secret = the("Secret", "azure-devops-token")

    with Cluster(tmp_path) as cluster:
        assert isinstance(cluster, Cluster)
        cluster.roles[subject["namespace"], the("Role")["metadata"]["name"]] = [rule]
        cluster.bindings.add((subject["namespace"], the("RoleBinding")["roleRef"]["name"], subject["name"]))
        cluster.put(KUSTOMIZATION["namespace"], secret["metadata"]["name"], **secret["stringData"])
        cluster.mount(KUSTOMIZATION["namespace"], POD["spec"]["serviceAccountName"], "a token of the account")
        read = SecretFromCluster(cluster.address, account=cluster.folder).token()

    assert read == secret["stringData"]["token"]
    assert POD["spec"]["automountServiceAccountToken"]
    assert rule == {
        "apiGroups": [""],
        "resources": ["secrets"],
        "resourceNames": ["azure-devops-token"],
        "verbs": ["get"],
    }


def test_the_plain_way_in_the_comments_is_a_whole_one() -> None:
    text = (FOLDER / "deployment.yaml").read_text()
    begin = text.index("            # - name: ADO_PAT")
    plain = yaml.safe_load(re.sub(r"^ {12}# ?", "", text[begin : text.index("          envFrom:")], flags=re.MULTILINE))

    (entry,) = plain
    reference = entry["valueFrom"]["secretKeyRef"]
    assert entry["name"] == "ADO_PAT"
    assert reference["key"] in the("Secret", reference["name"])["stringData"]


@pytest.mark.parametrize("port", [443, 6443, 53])
def test_the_way_out_is_open_for_what_the_app_asks(port: int) -> None:
    open_ports = {each["port"] for rule in the("NetworkPolicy")["spec"]["egress"] for each in rule["ports"]}

    assert port in open_ports


def test_the_document_names_what_there_is() -> None:
    commands = re.findall(r"kubectl [^\n`]*", DOCUMENT)

    assert {path.name for path in FILES if path.name not in DOCUMENT} == set()
    assert " ".join(BECOMES["run"]) in DOCUMENT
    assert {name for name in names("Secret") if not any(name in command for command in commands)} == set()
    for command in commands:
        for place in re.findall(r"(?:-n|--namespace) (\S+)", command):
            assert place == KUSTOMIZATION["namespace"]
        for kind, name in re.findall(r"\b(deployment|service|secret)/(\S+)", command):
            assert name in names(kind.capitalize())
        for path in re.findall(r"-[kf] (deploy\S+)", command):
            assert (ROOT / path).exists()
