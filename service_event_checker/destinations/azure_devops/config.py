"""What `config.json` and the environment say of Azure DevOps."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import date, timedelta
from typing import Annotated, ClassVar, Literal
from urllib.parse import urlsplit

from pydantic import Field, SecretStr, field_validator

from service_event_checker.config.fields import by_severity, web_address
from service_event_checker.config.models import DestinationConfig, secret
from service_event_checker.config.sunset import Sunset
from service_event_checker.core.vocabulary import Severity
from service_event_checker.destinations.azure_devops.token import plain
from service_event_checker.http.entra.identity import Identity, Way

# https://devblogs.microsoft.com/devops: retirement of global personal access tokens
GLOBAL_PAT = Sunset(
    "azure_devops_global_pat",
    "Azure DevOps' global personal access tokens (those for all organizations)",
    date(2026, 12, 1),
    "If ADO_PAT is one of them, use a managed identity, workload identity or service principal (docs/azure-devops.md),"
    " or make a token for your organization alone, which goes on working",
)

PAT, KUBERNETES_SECRET = "pat", "kubernetes_secret"  # words of `auth`, beside those of `Way`

_SET_AT_CLOSE = frozenset({"System.State", "System.History", "System.Tags"})


class Config(Identity, DestinationConfig):
    """`url` is the organization's address or its name; `token` the PAT, base64 of it, or base64 of `:PAT`.
    Without one, `token_from` "kubernetes" reads it from the secret azure-devops-token; in a pod that is the default.
    `kubernetes_host` and `kubernetes_port` are set by Kubernetes itself. Else a token of Entra ID is used, in the order
    of `auth_ways`; `auth` names one way.

    `close_state` and `reopen_state` stand in for the states that are found by category. `fields` are set on creation,
    by reference name, `close_fields` at the close. Where the process has no Bug, an Issue is made.
    """

    DISPLAY_NAME: ClassVar[str] = "Azure DevOps"
    REOPEN_WITHIN: ClassVar[timedelta] = timedelta(hours=72)
    UPDATE_EVERY: ClassVar[timedelta] = timedelta(minutes=5)
    RATE: ClassVar[tuple[float, int]] = (2.0, 5)  # 200 TSTU in 5 minutes are slower still; Retry-After tells
    ENV: ClassVar[dict[str, tuple[str, ...]]] = {
        **Identity.ENV,
        "url": ("ADO_ORG_URL", "AZURE_DEVOPS_ORG"),
        "project": ("ADO_PROJECT",),
        "token": ("ADO_PAT", "AZURE_DEVOPS_PAT", "ADO_PAT_BASE64"),
        "token_from": ("KUBERNETES_SERVICE_HOST",),
        "kubernetes_host": ("KUBERNETES_SERVICE_HOST",),
        "kubernetes_port": ("KUBERNETES_SERVICE_PORT",),
    }
    INSTEAD: ClassVar[dict[str, tuple[str, ...]]] = {
        "token": ("token_from", "auth", "federated_token_file", "identity_endpoint", "client_secret")
    }
    NEEDS: ClassVar[tuple[str, ...]] = ("url", "project", "token")

    kind: Literal["azure_devops"] = "azure_devops"
    auth: Literal["", "pat", "kubernetes_secret", "workload_identity", "managed_identity", "service_principal"] = ""
    """how to sign in: `workload_identity`, `managed_identity`, `service_principal`, `pat` or `kubernetes_secret`;
    default: the first that exists ([order](azure-devops.md#which-credentials-are-used))"""
    url: Annotated[str, web_address("https://dev.azure.com/acme", of_name="https://dev.azure.com/{}")] = ""
    """address of the organization, `https://dev.azure.com/<organization>`, or its name"""
    project: str = ""
    """project for new work items"""
    token: SecretStr | None = None
    """personal access token of one organization, scope Work Items (read & write); not needed with an identity.
    `ADO_PAT_BASE64`: base64 of it or of `:PAT`"""
    token_from: Literal["", "kubernetes"] = ""
    """without `token`: `kubernetes` reads the token from the secret `azure-devops-token`
    ([Kubernetes](deploy-kubernetes.md)); default: `kubernetes` in a pod"""
    kubernetes_host: str = ""
    """the API of the cluster; Kubernetes sets the variable in each pod"""
    kubernetes_port: str = "443"
    """its port; Kubernetes sets the variable in each pod"""
    work_item_type: str = "Bug"
    """if the process has no Bug, an Issue is created"""
    area_path: str = ""
    """area of new work items; default: the project's root area"""
    priorities: Mapping[Severity, int] = Field(default=by_severity(1, 2, 3, 4))
    """priority by severity: `critical`, `error`, `warning`, `info`"""
    fields: Mapping[str, str | int | float | bool] = Field(default={})
    """additional fields for new work items, by reference name"""
    close_state: str = ""
    """state of a closed work item; default: by category"""
    close_fields: Mapping[str, str | int | float | bool] = Field(default={})
    """fields by reference name, set when it is closed: what the process requires"""
    reopen_state: str = ""
    """state of a reopened work item; default: by category"""

    def auth_ways(self) -> tuple[str, ...]:
        """Return how to sign in, the first choice first; after the cluster's secret, which may not exist, the next."""
        if self.auth:
            return (self.auth,)
        if secret(self.token):
            return (PAT,)
        return (*([KUBERNETES_SECRET] if self.token_from else []), *self.ways())

    def lacks(self) -> str:
        if not self.auth and self.auth_ways():
            return ""
        if self.auth == PAT:
            return "" if secret(self.token) else "ADO_PAT is not set"
        if self.auth == KUBERNETES_SECRET:
            return "" if self.kubernetes_host else "KUBERNETES_SERVICE_HOST is not set"
        way = Way(self.auth or (Way.WORKLOAD_IDENTITY if self.federated_token_file else Way.SERVICE_PRINCIPAL))
        unset = self.unset(way)
        missing = f"{' and '.join(unset)} {'is' if len(unset) == 1 else 'are'} not set" if unset else ""
        return missing if self.auth else f"ADO_PAT is not set; for {way.replace('_', ' ')}, {missing}"

    def sunsets(self) -> tuple[Sunset, ...]:
        """Only the hosted service has global tokens; whether this one is global cannot be seen in it."""
        host = urlsplit(self.url).hostname or ""
        hosted = host == "dev.azure.com" or host.endswith(".visualstudio.com")
        return (GLOBAL_PAT,) if hosted and self.auth_ways()[:1] == (PAT,) else ()

    @field_validator("close_fields")
    @classmethod
    def _not_our_own(cls, fields: Mapping[str, str | int | float | bool]) -> Mapping[str, str | int | float | bool]:
        if taken := sorted(_SET_AT_CLOSE & fields.keys()):
            raise ValueError(f"{', '.join(taken)}: set by the product itself. The state is `close_state`")
        return fields

    @field_validator("token")
    @classmethod
    def _decoded(cls, token: SecretStr | None) -> SecretStr | None:
        text = plain(secret(token))
        return SecretStr(text) if text else None

    @field_validator("token_from", mode="before")
    @classmethod
    def _in_a_pod(cls, value: object) -> object:
        """Read KUBERNETES_SERVICE_HOST, an address that is set in every pod, as what it means here."""
        return "kubernetes" if isinstance(value, str) and set(value) & set(".:") else value
