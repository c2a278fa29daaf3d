"""Restarts or scales a workload of the cluster that we run in: one PATCH, as the pod's service account.

A restart sets the annotation that `kubectl rollout restart` sets. Apps API, patch types:
https://kubernetes.io/docs/reference/kubernetes-api/workload-resources/deployment-v1/ (strategic merge patch),
https://kubernetes.io/docs/tasks/run-application/scale-stateful-set/ and the subresource `scale` (merge patch).
"""

from __future__ import annotations

import json
import os
import re
from collections.abc import Mapping
from contextlib import closing
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated, Any, ClassVar, Literal, Self

from pydantic import Field, model_validator

from service_event_checker.actions.http import of_error
from service_event_checker.config.actions import ActionConfig, fill
from service_event_checker.config.models import as_mapping
from service_event_checker.core.actions import Ended, State
from service_event_checker.core.errors import InvalidInput
from service_event_checker.http.answer import HttpError, json_body
from service_event_checker.http.in_cluster import ACCOUNT, NotInCluster, cluster_address, service_account

RESTARTED_AT = "kubectl.kubernetes.io/restartedAt"
_NAME = re.compile(r"[a-z0-9]([-a-z0-9.]{0,251}[a-z0-9])?")  # RFC 1123 subdomain
_LABEL = re.compile(r"[a-z0-9]([-a-z0-9]{0,61}[a-z0-9])?")
_STRATEGIC, _MERGE = "application/strategic-merge-patch+json", "application/merge-patch+json"


class Config(ActionConfig):
    """`namespace`: left out: the pod's own. `replicas`, `least`, `most`: of `do: scale`."""

    TEMPLATES: ClassVar[tuple[str, ...]] = ("name", "namespace", "replicas")

    kind: Literal["kubernetes"]
    do: Literal["restart", "scale"] = "restart"
    workload: Literal["deployments", "statefulsets", "daemonsets"] = "deployments"
    name: str = "{service_name}"
    namespace: str = ""
    replicas: str = ""
    least: Annotated[int, Field(ge=0, le=10_000)] = 1
    most: Annotated[int, Field(ge=0, le=10_000)] = 10

    @model_validator(mode="after")
    def _scales_what_can_be_scaled(self) -> Self:
        if (self.do == "scale") != bool(self.replicas):
            raise ValueError('replicas: goes with "do": "scale", and is needed there')
        if self.do == "scale" and self.workload == "daemonsets":
            raise ValueError("workload: daemonsets have no replicas")
        if self.least > self.most:
            raise ValueError("least: is more than most")
        return self

    def lacks(self) -> str:
        return "" if os.environ.get("KUBERNETES_SERVICE_HOST") else "this is not a pod of a cluster"


class Runner:
    """See `core.ports.Action`. `account`: the folder that the kubelet mounts; `address`: of the cluster's API."""

    def __init__(self, config: Config, *, account: Path = ACCOUNT, address: str = "") -> None:
        self.config = config
        self._account = account
        self._address = address or cluster_address(
            os.environ.get("KUBERNETES_SERVICE_HOST", ""), os.environ.get("KUBERNETES_SERVICE_PORT", "")
        )

    def check(self, parameters: Mapping[str, str]) -> None:
        config = self.config
        for field, form in (("name", _NAME), ("namespace", _LABEL)):
            text = fill(getattr(config, field), parameters)
            if not form.fullmatch(text) and (text or field == "name"):
                raise InvalidInput("parameters", f"give a {field} that is none in Kubernetes")
        if config.do == "scale":
            self._replicas(parameters)

    def describe(self, parameters: Mapping[str, str]) -> str:
        config = self.config
        place = f" in {fill(config.namespace, parameters)}" if config.namespace else ""
        to = f" to {fill(config.replicas, parameters)} replicas" if config.do == "scale" else ""
        return f"{config.do} {config.workload.removesuffix('s')} {fill(config.name, parameters)}{place}{to}"

    def run(self, parameters: Mapping[str, str]) -> Ended:
        try:
            self.check(parameters)
            account = service_account(self._account)
            with closing(account.connect(self._address, self.config.timeout.total_seconds())) as http:
                path, kind, patch = self._patch(parameters, account.namespace)
                body = json.dumps(patch).encode()
                answer = http.send("PATCH", path, data=body, headers={"Content-Type": kind})
            done = as_mapping(as_mapping(json_body(answer)).get("metadata")).get("name")
        except (NotInCluster, InvalidInput) as error:
            return Ended(state=State.FAILED, why=f"it was not started: {error}")
        except HttpError as error:
            return of_error(error)
        return Ended(state=State.SUCCEEDED, why=f"HTTP {answer.status}", output=f"{self.config.do}: {done}")

    def _patch(self, parameters: Mapping[str, str], own: str) -> tuple[str, str, dict[str, Any]]:
        config = self.config
        namespace = fill(config.namespace, parameters) or own
        name = fill(config.name, parameters)
        path = f"/apis/apps/v1/namespaces/{namespace}/{config.workload}/{name}"
        if config.do == "scale":
            return f"{path}/scale", _MERGE, {"spec": {"replicas": self._replicas(parameters)}}
        at = {RESTARTED_AT: datetime.now(UTC).isoformat(timespec="seconds")}
        return path, _STRATEGIC, {"spec": {"template": {"metadata": {"annotations": at}}}}

    def _replicas(self, parameters: Mapping[str, str]) -> int:
        text, least, most = fill(self.config.replicas, parameters), self.config.least, self.config.most
        if not re.fullmatch(r"[0-9]{1,5}", text) or not least <= int(text) <= most:
            raise InvalidInput("parameters", "ask for a number of replicas that is not allowed", f"{least} to {most}")
        return int(text)
