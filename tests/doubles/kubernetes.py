"""A Kubernetes API server that knows secrets, workloads, service accounts and Roles; over TLS, its own authority.

Answers as https://kubernetes.io/docs/reference/kubernetes-api/config-and-storage-resources/secret-v1/ and
https://kubernetes.io/docs/reference/access-authn-authz/rbac/ say.
"""

from __future__ import annotations

import base64
import ipaddress
import re
import ssl
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from service_event_checker.http.in_cluster import cluster_address
from tests.doubles.base import Answer, Double, Request

_SECRET = re.compile(r"/api/v1/namespaces/([a-z0-9-]+)/secrets/([a-z0-9.-]+)")
_WORKLOAD = re.compile(
    r"/apis/apps/v1/namespaces/([a-z0-9-]+)/(deployments|statefulsets|daemonsets)/([a-z0-9.-]+)(/scale)?"
)
_STRATEGIC, _MERGE = "application/strategic-merge-patch+json", "application/merge-patch+json"
_REASONS = {
    400: "BadRequest",
    415: "UnsupportedMediaType",
    422: "Invalid",
    401: "Unauthorized",
    403: "Forbidden",
    404: "NotFound",
}


class Cluster(Double):
    """`secrets` are held by (namespace, name), `accounts` map bearer tokens to (namespace, service account).

    `roles` hold the rules of Roles by namespace, `bindings` who has them: (namespace, role, account). `folder` is
    what the kubelet mounts into a pod; `environ` the variables that it sets there.
    """

    def __init__(self, folder: Path) -> None:
        super().__init__()
        self.secrets: dict[tuple[str, str], dict[str, str]] = {}
        self.accounts: dict[str, tuple[str, str]] = {}
        self.roles: dict[tuple[str, str], list[dict[str, Any]]] = {}
        self.bindings: set[tuple[str, str, str]] = set()
        self.workloads: dict[tuple[str, str, str], dict[str, Any]] = {}  # (namespace, resource, name) -> spec
        self.folder = folder / "serviceaccount"
        self.folder.mkdir()
        self._server.socket = tls_context(folder, self.folder / "ca.crt").wrap_socket(
            self._server.socket, server_side=True
        )

    @property
    def address(self) -> str:
        return cluster_address(
            **{name: self.environ[f"KUBERNETES_SERVICE_{name.upper()}"] for name in ("host", "port")}
        )

    @property
    def environ(self) -> dict[str, str]:
        address, port = self._server.server_address[:2]
        return {"KUBERNETES_SERVICE_HOST": str(address), "KUBERNETES_SERVICE_PORT": str(port)}

    def put(self, namespace: str, name: str, **values: str | bytes) -> None:
        raw = {key: value.encode() if isinstance(value, str) else value for key, value in values.items()}
        self.secrets[namespace, name] = {key: base64.b64encode(value).decode() for key, value in raw.items()}

    def mount(self, namespace: str, account: str, token: str) -> None:
        """Give the pod a service account's token; older ones are not accepted any more."""
        self.accounts = {token: (namespace, account)}
        (self.folder / "namespace").write_text(namespace)
        (self.folder / "token").write_text(token)

    def handle(self, request: Request) -> Answer:
        if workload := _WORKLOAD.fullmatch(request.path):
            return self._patch(request, *workload.groups())
        found = _SECRET.fullmatch(request.path)
        if request.method != "GET" or not found:
            return self.refuse(request, "this server has secrets only, to be read one by one", 404)
        who = self.accounts.get(request.headers.get("Authorization", "").removeprefix("Bearer "))
        namespace, name = found.groups()
        if who is None:
            return _status(401, "Unauthorized")
        if not self._may(who, namespace, name, "", "secrets", "get"):
            user = f"system:serviceaccount:{who[0]}:{who[1]}"
            return _status(
                403,
                f'secrets "{name}" is forbidden: User "{user}" cannot get resource "secrets" in API group "" in the'
                f' namespace "{namespace}"',
            )
        if (namespace, name) not in self.secrets:
            return _status(404, f'secrets "{name}" not found')
        metadata = {"name": name, "namespace": namespace, "resourceVersion": "4711"}
        data = self.secrets[namespace, name]
        return Answer.json({"kind": "Secret", "apiVersion": "v1", "metadata": metadata, "data": data, "type": "Opaque"})

    def _patch(self, request: Request, namespace: str, resource: str, name: str, scale: str | None) -> Answer:
        """Patch the pod template's annotations or, by the subresource, the number of replicas, as the schemas allow."""
        who = self.accounts.get(request.headers.get("Authorization", "").removeprefix("Bearer "))
        if who is None:
            return _status(401, "Unauthorized")
        if request.method != "PATCH":
            return self.refuse(request, "workloads are only patched here", 405)
        named = f"{resource}{scale or ''}"
        if not self._may(who, namespace, name, "apps", named, "patch"):
            return _status(403, f'{resource}.apps "{name}" is forbidden: cannot patch resource "{named}"')
        if (namespace, resource, name) not in self.workloads:
            return _status(404, f'{resource}.apps "{name}" not found')
        if request.headers.get("Content-Type") not in ({_MERGE} if scale else {_MERGE, _STRATEGIC}):
            return _status(415, "the body of the request was in an unknown format")
        spec, body = self.workloads[namespace, resource, name], request.json()
        if scale:
            replicas = body.get("spec", {}).get("replicas")
            if set(body) != {"spec"} or set(body["spec"]) != {"replicas"} or type(replicas) is not int:
                return _status(400, "Scale in version v1 cannot be handled as a Scale")
            if replicas < 0:
                return _status(422, "spec.replicas: must be greater than or equal to 0")
            spec["replicas"] = replicas
        else:
            given = body.get("spec", {}).get("template", {}).get("metadata", {}).get("annotations")
            if body != {"spec": {"template": {"metadata": {"annotations": given}}}} or not given:
                return _status(400, f"strict decoding error: {sorted(body)}")
            if not all(isinstance(value, str) for value in given.values()):
                return _status(400, "cannot unmarshal into Go struct field ObjectMeta.annotations of type string")
            spec.setdefault("annotations", {}).update(given)
        metadata = {"name": name, "namespace": namespace}
        return Answer.json({"kind": "Scale" if scale else "Deployment", "metadata": metadata, "spec": {}})

    def _may(self, who: tuple[str, str], namespace: str, name: str, group: str, resource: str, verb: str) -> bool:
        held = [role for place, role, account in self.bindings if (place, account) == who and place == namespace]
        rules = [rule for role in held for rule in self.roles.get((namespace, role), [])]
        return any(
            group in rule["apiGroups"]
            and resource in rule["resources"]
            and verb in rule["verbs"]
            and name in rule.get("resourceNames", [name])
            for rule in rules
        )


def _status(code: int, message: str) -> Answer:
    body = {"kind": "Status", "apiVersion": "v1", "metadata": {}, "status": "Failure"}
    return Answer.json({**body, "message": message, "reason": _REASONS[code], "code": code}, code)


def tls_context(folder: Path, authority_file: Path) -> ssl.SSLContext:
    """Make an authority as EKS makes it, with no extension but the one that says what it is, and a certificate."""
    authority_key, key = ec.generate_private_key(ec.SECP256R1()), ec.generate_private_key(ec.SECP256R1())
    issuer = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "kubernetes")])
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "kube-apiserver")])
    names = x509.SubjectAlternativeName([x509.IPAddress(ipaddress.ip_address("127.0.0.1"))])
    authority = _certificate(issuer, issuer, authority_key, x509.BasicConstraints(ca=True, path_length=None))
    authority_file.write_bytes(authority.sign(authority_key, hashes.SHA256()).public_bytes(_PEM))
    private = serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    chain = _certificate(subject, issuer, key, names).sign(authority_key, hashes.SHA256()).public_bytes(_PEM)
    (folder / "server.pem").write_bytes(chain + key.private_bytes(_PEM, *private))
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(folder / "server.pem")
    return context


_PEM = serialization.Encoding.PEM


def _certificate(
    subject: x509.Name, issuer: x509.Name, key: ec.EllipticCurvePrivateKey, extension: x509.ExtensionType
) -> x509.CertificateBuilder:
    now = datetime.now(UTC)
    return (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(issuer)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - timedelta(days=1))
        .not_valid_after(now + timedelta(days=1))
        .add_extension(extension, critical=isinstance(extension, x509.BasicConstraints))
    )
