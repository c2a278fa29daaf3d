"""Reads one value of a secret in the pod's own namespace, as the pod's service account: one HTTP call, no client.

How: https://kubernetes.io/docs/tasks/run-application/access-api-from-pod/. Whatever fails here fails before anything
was sent to the system that the value is for, so no error of this module is ambiguous.
"""

from __future__ import annotations

import base64
import re
import threading
import time
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from typing import Any

import structlog

from service_event_checker import logs
from service_event_checker.core.errors import DeliveryError, Reason
from service_event_checker.http.client import Http, HttpError, json_body

ACCOUNT = Path("/var/run/secrets/kubernetes.io/serviceaccount")
TIMEOUT = 5.0  # seconds; whoever needs the value waits for it
PAUSE_REFUSED = 60.0  # seconds between two looks for a newer value
PAUSE_FAILED = 5.0  # seconds for which a failed look answers for the next ones too
_NAMESPACE = re.compile(r"[a-z0-9]([-a-z0-9]{0,61}[a-z0-9])?")  # RFC 1123 label

log = structlog.get_logger()


class SecretFromCluster:
    """A value that is read when it is first needed, and again after it was refused. Safe for several threads.

    `address` is that of the cluster's API, see `cluster_address`. `account` is the folder where the kubelet puts token,
    ca.crt and namespace. `clock` gives seconds.
    """

    def __init__(
        self,
        address: str,
        name: str = "azure-devops-token",
        key: str = "token",
        *,
        account: Path = ACCOUNT,
        clock: Callable[[], float] = time.monotonic,
        timeout: float = TIMEOUT,
    ) -> None:
        self._address = address
        self._name = name
        self._key = key
        self._account = account
        self._clock = clock
        self._timeout = timeout
        self._lock = threading.Lock()
        self._value = ""
        self._refused = False
        self._asked_at: float | None = None
        self._failure = (Reason.NOT_CONFIGURED, "")

    def token(self) -> str:
        """Return the value. Raises DeliveryError with what is missing and the next step.

        When a newer value cannot be read, the one at hand is returned: it may be good again.
        """
        with self._lock:
            if self._is_due():
                self._asked_at = self._clock()
                self._ask()
            if self._value:
                return self._value
            reason, detail = self._failure
        raise DeliveryError(reason, detail)

    def refused(self) -> None:
        """Say that the value was not accepted: it is read again when next asked for, at most once a minute."""
        with self._lock:
            self._refused = True

    def _is_due(self) -> bool:
        if self._value and not self._refused:
            return False
        pause = PAUSE_REFUSED if self._value else PAUSE_FAILED
        return self._asked_at is None or self._clock() - self._asked_at >= pause

    def _ask(self) -> None:
        try:
            value = self._read()
        except DeliveryError as error:
            self._failure = (error.reason, error.detail)
            log.warning("kubernetes_secret_not_read", name=self._name, reason=error.reason.value, detail=error.detail)
            return
        logs.hide([value])
        log.info("kubernetes_secret_read", name=self._name, changed=value != self._value)
        self._value, self._refused = value, False

    def _read(self) -> str:
        namespace = self._file("namespace")
        if not _NAMESPACE.fullmatch(namespace):
            raise DeliveryError(Reason.NOT_CONFIGURED, f"{self._account / 'namespace'} holds no name of a namespace")
        password = self._file("token")  # anew each time: the kubelet replaces it every hour
        logs.hide([password])
        authority = self._account / "ca.crt"
        self._file(authority.name)
        if not self._address:
            raise DeliveryError(
                Reason.NOT_CONFIGURED, "KUBERNETES_SERVICE_HOST is not set; this is not a pod of a cluster"
            )
        header = {"Authorization": f"Bearer {password}"}
        try:
            http = Http(self._address, headers=header, timeout=self._timeout, ca_file=str(authority))
            with closing(http):  # `send` even to read: it follows no redirect
                answer = http.send("GET", f"/api/v1/namespaces/{namespace}/secrets/{self._name}")
            return self._decoded(json_body(answer), namespace)
        except HttpError as error:
            raise self._explained(error, namespace) from None

    def _file(self, name: str) -> str:
        path = self._account / name
        try:
            text = path.read_text(encoding="utf-8").strip()
        except (OSError, UnicodeDecodeError):
            text = ""
        if not text:
            hint = "give the pod a service account and automountServiceAccountToken: true"
            raise DeliveryError(Reason.NOT_CONFIGURED, f"{path} is missing; {hint}")
        return text

    def _decoded(self, secret: Any, namespace: str) -> str:
        held = secret.get("data") if isinstance(secret, dict) else None
        encoded = held.get(self._key) if isinstance(held, dict) else None
        try:
            value = base64.b64decode(encoded, validate=True).decode().strip() if isinstance(encoded, str) else ""
        except ValueError:
            value = ""
        if value and value.isprintable():
            return value
        raise DeliveryError(
            Reason.NOT_CONFIGURED,
            f"the secret {self._name} in namespace {namespace} has no text under the key {self._key};"
            f" make it anew: {self._making(namespace)}",
        )

    def _explained(self, error: HttpError, namespace: str) -> DeliveryError:
        """Return the error with its next step. Nothing was sent to anybody else, so it is never an ambiguous one."""
        if error.status == 401:
            return DeliveryError(
                Reason.UNAUTHORIZED, "the cluster does not accept the pod's service account; restart the pod"
            )
        if error.status == 403:
            return DeliveryError(
                Reason.UNAUTHORIZED,
                f"the pod's service account may not get the secret {self._name} in namespace {namespace};"
                " apply the Role and RoleBinding of deploy/kubernetes/role.yaml",
            )
        if error.status == 404:
            return DeliveryError(
                Reason.NOT_CONFIGURED,
                f"there is no secret {self._name} in namespace {namespace}; make it: {self._making(namespace)}",
            )
        return DeliveryError(
            Reason.UNREACHABLE, f"the cluster's API: {error.reason} ({error.detail})", retry_after=error.retry_after
        )

    def _making(self, namespace: str) -> str:
        return f"kubectl -n {namespace} create secret generic {self._name} --from-literal={self._key}=..."


def cluster_address(host: str, port: str) -> str:
    """Return the API's address from the variables that the kubelet sets in each container; "" outside of a cluster."""
    if not host:
        return ""
    return f"https://[{host}]:{port or '443'}" if ":" in host else f"https://{host}:{port or '443'}"
