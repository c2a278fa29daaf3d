"""Which credentials a call to Azure DevOps carries: a PAT, that of the cluster's secret, or a token of Entra ID.

A secret that exists in the cluster comes before Entra: what works there goes on working. Whatever fails here fails
before anything was sent to Azure DevOps, so no error of this module is ambiguous.
"""

from __future__ import annotations

import base64
from dataclasses import dataclass
from typing import Protocol

import structlog

from service_event_checker import logs
from service_event_checker.config.models import secret
from service_event_checker.core.errors import DeliveryError, Reason
from service_event_checker.destinations.azure_devops.config import KUBERNETES_SECRET, PAT, Config
from service_event_checker.destinations.azure_devops.kubernetes_secret import (
    NAME,
    SecretFromCluster,
)
from service_event_checker.destinations.azure_devops.token import plain
from service_event_checker.http.entra.identity import Way
from service_event_checker.http.entra.token import EntraError, Tokens
from service_event_checker.http.in_cluster import cluster_address

SCOPE = "499b84ac-1321-427f-aa17-267ca6975798/.default"  # Azure DevOps in every tenant
_MEMBER = (
    "add the managed identity or service principal as a user of the organization (Organization settings > Users, access"
    " level Basic), and to the project"
)
_NAMES = {
    PAT: "personal access token",
    KUBERNETES_SECRET: f"the secret {NAME} of the cluster",
    Way.WORKLOAD_IDENTITY: "workload identity",
    Way.MANAGED_IDENTITY: "managed identity",
    Way.SERVICE_PRINCIPAL: "service principal",
}
_ABSENT = frozenset({Reason.NOT_CONFIGURED, Reason.UNAUTHORIZED})  # the cluster answered: it has none for us

log = structlog.get_logger()


@dataclass(frozen=True, slots=True, kw_only=True)
class Authorization:
    """What one call carries.

    `by`: who gave it. `secrets`: what no message may show of it. `who`, `right`: what a person corrects when it is not
    accepted, or may not do what it is asked for.
    """

    by: Credentials
    header: str
    secrets: tuple[str, ...]
    who: str
    right: str


class Credentials(Protocol):
    """Safe for several threads."""

    def authorization(self) -> Authorization:
        """Return what the next call carries. Raises DeliveryError."""
        ...

    def refused(self, carried: Authorization) -> bool:
        """Say that it was not accepted; return whether another one is at hand for one more try.

        Raises DeliveryError.
        """
        ...


class PersonalToken:
    """A PAT: itself, or who reads it."""

    def __init__(self, token: str | SecretFromCluster) -> None:
        self._token = token

    def authorization(self) -> Authorization:
        token = plain(self._token if isinstance(self._token, str) else self._token.token())
        pair = base64.b64encode(f":{token}".encode()).decode()
        secrets = tuple(each for each in (pair, token) if each)
        logs.hide(secrets)
        right = (
            "give the PAT the scope Work Items (read & write), and its user the rights Edit work items in this node and"
            " Create tag definition"
        )
        return Authorization(
            by=self, header=f"Basic {pair}", secrets=secrets, who="the PAT is wrong or expired", right=right
        )

    def refused(self, carried: Authorization) -> bool:
        if not isinstance(self._token, str):
            self._token.refused()
        return False


class EntraToken:
    """A token of Entra ID. Azure DevOps answers TF400813 or VS403283 to one whom the organization does not know."""

    def __init__(self, way: Way, tokens: Tokens) -> None:
        self._way, self._tokens = way, tokens

    def authorization(self) -> Authorization:
        token = self._token()
        who = f"the token of Entra ID was not accepted; {_MEMBER}"
        right = f"grant the identity the rights Edit work items in this node and Create tag definition; or {_MEMBER}"
        return Authorization(
            by=self,
            header=f"Bearer {token}",
            secrets=(token,),
            who=who,
            right=right,
        )

    def refused(self, carried: Authorization) -> bool:
        """Fetch another token; it knows of what was granted since the last one."""
        (old,) = carried.secrets
        return self._token(refused=old) != old

    def _token(self, refused: str = "") -> str:
        try:
            return self._tokens.token(refused=refused)
        except EntraError as error:
            reason = Reason.UNREACHABLE if error.reason.ambiguous else error.reason
            detail = f"no token of Entra ID by {_NAMES[self._way]}: {error.detail}"
            raise DeliveryError(reason, detail, retry_after=error.retry_after) from None


class Chosen:
    """The way that the configuration chose. Of a secret of the cluster it is known late whether there is one.

    Where there is none, the next way takes its place; the secret is looked for again as long as that is refused.
    """

    def __init__(self, receiver: str, config: Config, cluster: SecretFromCluster | None = None) -> None:
        first, *others = config.auth_ways() or (PAT,)
        self._receiver = receiver
        self._ways = {way: _credentials(way, config, cluster) for way in (first, *others[:1])}
        if first != KUBERNETES_SECRET:
            self._ways = {first: self._ways[first]}
        self._settled = ""
        self.auth = ""

    def authorization(self) -> Authorization:
        """Return what the next call carries. Raises DeliveryError."""
        settled = self._settled
        *early, last = [settled] if settled else self._ways
        for way in early:
            try:
                return self._used(way, self._ways[way].authorization())
            except DeliveryError as error:
                if error.reason not in _ABSENT:
                    raise  # whether there is a secret is unknown
        return self._used(last, self._ways[last].authorization())

    def refused(self, carried: Authorization) -> bool:
        self._settled = ""
        return carried.by.refused(carried)

    def _used(self, way: str, carried: Authorization) -> Authorization:
        before, self.auth, self._settled = self.auth, _NAMES[way], way
        if before != self.auth:
            log.info("azure_devops_auth", receiver=self._receiver, auth=self.auth)
        return carried


def _credentials(way: str, config: Config, cluster: SecretFromCluster | None) -> Credentials:
    if way == PAT:
        return PersonalToken(secret(config.token))
    if way == KUBERNETES_SECRET:
        address = cluster_address(config.kubernetes_host, config.kubernetes_port)
        return PersonalToken(cluster or SecretFromCluster(address))
    return EntraToken(Way(way), Tokens(config, Way(way), SCOPE, config.timeout))
