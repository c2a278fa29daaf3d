"""How a pod reaches its cluster's API: what the kubelet mounts and sets.

https://kubernetes.io/docs/tasks/run-application/access-api-from-pod/
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path

from service_event_checker import logs
from service_event_checker.core.errors import OutageCheckerError
from service_event_checker.http.client import Http

ACCOUNT = Path("/var/run/secrets/kubernetes.io/serviceaccount")
_NAMESPACE = re.compile(r"[a-z0-9]([-a-z0-9]{0,61}[a-z0-9])?")  # RFC 1123 label


class NotInCluster(OutageCheckerError):
    """What a pod needs is missing; the text says what, and what to do."""


@dataclass(frozen=True, slots=True)
class ServiceAccount:
    """The pod's `namespace` and, for its service account, the `token` of now: the kubelet replaces it every hour."""

    namespace: str
    token: str
    authority: str  # the PEM file that the API is checked with

    def connect(self, address: str, timeout: float) -> Http:
        """Return a client of the cluster's API; see `cluster_address`. Raises NotInCluster."""
        if not address:
            raise NotInCluster("KUBERNETES_SERVICE_HOST is not set; this is not a pod of a cluster")
        return Http(address, headers={"Authorization": f"Bearer {self.token}"}, timeout=timeout, ca_file=self.authority)


def service_account(folder: Path = ACCOUNT) -> ServiceAccount:
    """Read what the kubelet has mounted. Raises NotInCluster."""
    namespace, token = _file(folder / "namespace"), _file(folder / "token")
    logs.hide([token])
    _file(folder / "ca.crt")
    if not _NAMESPACE.fullmatch(namespace):
        raise NotInCluster(f"{folder / 'namespace'} holds no name of a namespace")
    return ServiceAccount(namespace, token, str(folder / "ca.crt"))


def cluster_address(host: str, port: str) -> str:
    """Return the API's address from the variables that the kubelet sets in each container; "" outside of a cluster."""
    return f"https://{f'[{host}]' if ':' in host else host}:{port or '443'}" if host else ""


def _file(path: Path) -> str:
    try:
        text = path.read_text(encoding="utf-8").strip()
    except (OSError, UnicodeDecodeError):
        text = ""
    if not text:
        hint = "give the pod a service account and automountServiceAccountToken: true"
        raise NotInCluster(f"{path} is missing; {hint}")
    return text
