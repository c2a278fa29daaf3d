"""As whom we ask Microsoft Entra ID for tokens: what the configuration and the platform say of it; asks nobody."""

from __future__ import annotations

from enum import StrEnum
from typing import Annotated, ClassVar
from urllib.parse import urlsplit

from pydantic import AfterValidator, SecretStr

from service_event_checker.config.models import Model

PUBLIC_CLOUD = "https://login.microsoftonline.com"
# Of a virtual machine: https://learn.microsoft.com/azure/virtual-machines/instance-metadata-service
METADATA = "http://169.254.169.254"
_LOOPBACK = ("localhost", "127.0.0.1", "::1")


class Way(StrEnum):
    """How a token is had; the words of `auth` in config.json."""

    WORKLOAD_IDENTITY = "workload_identity"
    MANAGED_IDENTITY = "managed_identity"
    SERVICE_PRINCIPAL = "service_principal"


_NEEDED = {
    Way.WORKLOAD_IDENTITY: {
        "client_id": "AZURE_CLIENT_ID",
        "tenant_id": "AZURE_TENANT_ID",
        "federated_token_file": "AZURE_FEDERATED_TOKEN_FILE",
    },
    Way.MANAGED_IDENTITY: {},  # outside of App Service the machine itself gives it, which no variable says
    Way.SERVICE_PRINCIPAL: {
        "client_id": "AZURE_CLIENT_ID",
        "client_secret": "AZURE_CLIENT_SECRET",
        "tenant_id": "AZURE_TENANT_ID",
    },
}


def _authority(host: str) -> str:
    """Return the address of an Entra authority; plain http would show our secret to the way, except on loopback."""
    address = host if "://" in host else f"https://{host}"
    parts = urlsplit(address)
    if not parts.hostname or not (parts.scheme == "https" or (parts.scheme == "http" and parts.hostname in _LOOPBACK)):
        raise ValueError(f"must be an https address like {PUBLIC_CLOUD}")
    return address.rstrip("/ ")


class Identity(Model):
    """The keys of every entry that may ask with a token.

    `identity_endpoint` and `federated_token_file` are set by the platform: App Service, a pod.
    """

    ENV: ClassVar[dict[str, tuple[str, ...]]] = {
        "client_id": ("AZURE_CLIENT_ID", "CLIENT_ID"),
        "client_secret": ("AZURE_CLIENT_SECRET", "CLIENT_SECRET"),
        "tenant_id": ("AZURE_TENANT_ID", "TENANT_ID"),
        "authority": ("AZURE_AUTHORITY_HOST",),
        "identity_endpoint": ("IDENTITY_ENDPOINT", "MSI_ENDPOINT"),
        "federated_token_file": ("AZURE_FEDERATED_TOKEN_FILE",),
    }

    client_id: str = ""
    """the application's ID; without a secret: the ID of a managed identity"""
    client_secret: SecretStr | None = None
    """the application's secret"""
    tenant_id: str = ""
    """the application's tenant"""
    authority: Annotated[str, AfterValidator(_authority)] = PUBLIC_CLOUD
    """server that issues the token; sovereign clouds have other ones"""
    identity_endpoint: str = ""
    """address of the managed identity; Azure sets the variable"""
    federated_token_file: str = ""
    """the pod's token for workload identity; the cluster sets the variable"""

    def ways(self) -> tuple[Way, ...]:
        """Return the ways that nothing is missing for: that of the pod, of the platform, that with a secret."""
        possible = {
            Way.WORKLOAD_IDENTITY: not self.unset(Way.WORKLOAD_IDENTITY),
            Way.MANAGED_IDENTITY: bool(self.identity_endpoint),
            Way.SERVICE_PRINCIPAL: not self.unset(Way.SERVICE_PRINCIPAL),
        }
        return tuple(way for way, complete in possible.items() if complete)

    def unset(self, way: Way) -> list[str]:
        """Return the variables that a way lacks."""
        return [variable for field, variable in _NEEDED[way].items() if not getattr(self, field)]
