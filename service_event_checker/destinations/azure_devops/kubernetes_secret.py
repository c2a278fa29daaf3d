"""Reads the token from a secret in the pod's own namespace, as the pod's service account: one HTTP call, no client.

How: https://kubernetes.io/docs/tasks/run-application/access-api-from-pod/. Whatever fails here fails before anything
was sent to Azure DevOps, so no error of this module is ambiguous.
"""

from __future__ import annotations

import base64
import math
import threading
import time
from collections.abc import Callable
from contextlib import closing
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import structlog

from service_event_checker import logs
from service_event_checker.config.models import as_mapping
from service_event_checker.core.errors import DeliveryError, Reason
from service_event_checker.http.answer import HttpError, json_body
from service_event_checker.http.in_cluster import ACCOUNT, NotInCluster, service_account

NAME, KEY = "azure-devops-token", "token"
TIMEOUT = 5.0  # seconds; whoever needs the value waits for it
PAUSE_REFUSED = 60.0  # seconds between two looks for a newer value
PAUSE_FAILED = 5.0  # seconds for which a failed look answers for the next ones too
_MAKE = f"kubectl -n {{0}} create secret generic {NAME} --from-literal={KEY}=..."
_REFUSALS = {  # by HTTP status; {0} is the namespace
    401: (Reason.UNAUTHORIZED, "the cluster does not accept the pod's service account; restart the pod"),
    403: (
        Reason.UNAUTHORIZED,
        f"the pod's service account may not get the secret {NAME} in namespace {{0}};"
        " apply the Role and RoleBinding of deploy/kubernetes/role.yaml",
    ),
    404: (Reason.NOT_CONFIGURED, f"there is no secret {NAME} in namespace {{0}}; make it: {_MAKE}"),
}

log = structlog.get_logger()


@dataclass(slots=True)
class SecretFromCluster:
    """A token that is read when it is first needed, and again after it was refused. Safe for several threads.

    `address` is that of the cluster's API, see `cluster_address`. `account` is the folder where the kubelet puts token,
    ca.crt and namespace. `clock` gives seconds.
    """

    address: str
    account: Path = field(default=ACCOUNT, kw_only=True)
    clock: Callable[[], float] = field(default=time.monotonic, kw_only=True)
    timeout: float = field(default=TIMEOUT, kw_only=True)
    _lock: threading.Lock = field(default_factory=threading.Lock, init=False, repr=False)
    _value: str = field(default="", init=False, repr=False)
    _refused: bool = field(default=False, init=False)
    _look_at: float = field(default=-math.inf, init=False)
    _failure: tuple[Reason, str] = field(default=(Reason.NOT_CONFIGURED, ""), init=False)

    def token(self) -> str:
        """Return the value. Raises DeliveryError with what is missing and the next step.

        When a newer value cannot be read, the one at hand is returned: it may be good again.
        """
        with self._lock:
            now = self.clock()
            if now >= self._look_at and (self._refused or not self._value):
                self._look()
                self._look_at = now + (PAUSE_REFUSED if self._value else PAUSE_FAILED)
            if self._value:
                return self._value
            raise DeliveryError(*self._failure)

    def refused(self) -> None:
        """Say that the value was not accepted: it is read again when next asked for, at most once a minute."""
        with self._lock:
            self._refused = True

    def _look(self) -> None:
        try:
            value = self._read()
        except DeliveryError as error:
            self._failure = (error.reason, error.detail)
            log.warning("kubernetes_secret_not_read", name=NAME, reason=error.reason.value, detail=error.detail)
            return
        logs.hide([value])
        log.info("kubernetes_secret_read", name=NAME, changed=value != self._value)
        self._value, self._refused = value, False

    def _read(self) -> str:
        try:
            account = service_account(self.account)
            with closing(account.connect(self.address, self.timeout)) as http:
                # `send` even to read: it follows no redirect
                answer = json_body(http.send("GET", f"/api/v1/namespaces/{account.namespace}/secrets/{NAME}"))
        except NotInCluster as error:
            raise _not_configured(str(error)) from None
        except HttpError as error:
            raise _explained(error, account.namespace) from None
        value = _decoded(as_mapping(as_mapping(answer).get("data")).get(KEY))
        if not value:
            lacks = f"the secret {NAME} in namespace {account.namespace} has no text under the key {KEY}"
            raise _not_configured(f"{lacks}; make it anew: {_MAKE.format(account.namespace)}")
        return value


def _explained(error: HttpError, namespace: str) -> DeliveryError:
    if error.status in _REFUSALS:
        reason, detail = _REFUSALS[error.status]
        return DeliveryError(reason, detail.format(namespace))
    return DeliveryError(Reason.UNREACHABLE, f"the cluster's API: {error.reason} ({error.detail})")


def _decoded(encoded: Any) -> str:
    """Return the text in a value of a secret, "" where it has none."""
    try:
        text = base64.b64decode(encoded, validate=True).decode().strip()
    except (TypeError, ValueError):
        return ""
    return text if text.isprintable() else ""


def _not_configured(detail: str) -> DeliveryError:
    return DeliveryError(Reason.NOT_CONFIGURED, detail)
