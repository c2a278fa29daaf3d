"""Finds adapters: `kind` in config.json is the name of a module, or of a folder. No list is kept by hand."""

from __future__ import annotations

import dataclasses
import importlib
import pkgutil
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime
from importlib.util import find_spec
from types import ModuleType
from typing import Any
from urllib.parse import urlsplit

from service_checkers.detect import base_of, detect_new
from service_checkers.vendors import Vendor, regions, vendor_called, vendors
from service_event_checker.config.actions import ActionConfig
from service_event_checker.config.findings import ANY_NAME, Traits
from service_event_checker.config.load import Config, Entry
from service_event_checker.config.models import CheckerConfig, DestinationConfig, Model, SourceConfig
from service_event_checker.core.errors import SourceError
from service_event_checker.core.knowledge import Knowledge, Regions, Tie
from service_event_checker.core.vocabulary import Verb
from service_event_checker.render.own import Form
from service_event_checker.sources.rest import payload as rest
from service_event_checker.sources.severities import severity_of


@dataclass(frozen=True, slots=True)
class Package:
    """Where kinds lie: `<path>.<kind>`, or `<path>.<kind>.<module>`; one is known by its class `mark`."""

    path: str
    module: str
    mark: str


CHECKERS = Package("service_checkers", "checker", "Checker")
DESTINATIONS = Package("service_event_checker.destinations", "adapter", "Adapter")
SOURCES = Package("service_event_checker.sources", "reconcile", "Source")  # those that can be asked
ACTIONS = Package("service_event_checker.actions", "action", "Runner")
HOOKS = Package("service_event_checker.sources", "hook", "SOURCE")  # those that send to an address of their own
_ACTS = frozenset({"api", "cli", "reconcile", "slack"})  # ways in by which people and reconciliation change alerts
FIND_SECONDS = 10.0
_NAME = re.compile(r"[a-z][a-z0-9_]{0,39}")


def checker_config(kind: str) -> type[CheckerConfig] | None:
    """Return the config model of a kind of checker, None if there is no such kind."""
    module = _module(CHECKERS, kind)
    return module.Config if module else None


def destination_config(kind: str) -> type[DestinationConfig] | None:
    """Return the config model of a kind of destination, None if there is no such kind."""
    module = _module(DESTINATIONS, kind)
    return module.Config if module else None


def source_config(kind: str) -> type[SourceConfig] | None:
    """Return the config model of a kind of source, None if there is no such kind."""
    module = _module(SOURCES, kind)
    return module.Config if module else None


def action_config(kind: str) -> type[ActionConfig] | None:
    """Return the config model of a kind of action, None if there is no such kind."""
    module = _module(ACTIONS, kind)
    return module.Config if module else None


def make_action(config: ActionConfig) -> Any:
    return _load(ACTIONS, config.kind).Runner(config)


def make_checker(name: str, config: CheckerConfig) -> Any:
    return checker_module(config.kind).Checker(name, config)


def known_regions() -> Regions:
    """Return the clouds' regions by all their names."""
    return regions()


def find_page(config: CheckerConfig) -> dict[str, str]:
    """Look for a checker's page at its address; return the keys of an entry that reads it.

    None where it cannot be asked, where there is not exactly one answer, or where the entry has them already.
    """
    try:
        found = detect_new(config.url, min(FIND_SECONDS, config.timeout.total_seconds()))
    except SourceError:
        return {}
    if found is None:
        return {}
    same = (found.kind, found.preset, base_of(found.url)) == (
        config.kind,
        getattr(config, "preset", ""),
        base_of(config.url),
    )
    return {} if same else {"kind": found.kind, "url": found.url} | ({"preset": found.preset} if found.preset else {})


def make_destination(name: str, config: DestinationConfig) -> Any:
    """Return the adapter; a module whose configuration decides what its adapter can has a function `make`."""
    module = _load(DESTINATIONS, config.kind)
    return getattr(module, "make", module.Adapter)(name, config)


def forms(config: DestinationConfig) -> Mapping[str, Form]:
    """Return which texts of a destination templates of users may write, by part; a kind says so by `Adapter.forms`."""
    made = getattr(adapter_class(config.kind), "forms", None)
    return made(config) if made else {}


def make_sources(configs: Mapping[str, SourceConfig]) -> list[Any]:
    """Return what can be asked, of these entries by name: several entries may be one source."""
    kinds = dict.fromkeys(config.kind for config in configs.values())
    return [
        source
        for kind in kinds
        for source in _load(SOURCES, kind).make({name: each for name, each in configs.items() if each.kind == kind})
    ]


def display_names(config: Config) -> dict[str, str]:
    """Return how people call what is configured, by kind and by name of the entry; of the known vendors all."""
    names = {vendor.id: vendor.name for vendor in vendors().values()}
    names |= {hook.SOURCE.rpartition(":")[2]: hook.NAME for hook in _hooks()}
    config_of: Mapping[str, Any] = {
        "checker": checker_config,
        "destination": destination_config,
        "source": source_config,
        "action": action_config,
    }
    for section, entry in config.entries():
        model = config_of[section](entry.kind)
        if model and model.DISPLAY_NAME:
            names[entry.kind] = model.DISPLAY_NAME
        if named := getattr(entry.config, "name", ""):
            names[entry.name] = named
    return names


def knowledge(config: Config) -> Knowledge:
    """Return what the verdict is judged by: dependencies, and by what an alert's words name a configured vendor."""
    known = regions()
    hosts: dict[str, Tie] = {}
    errors: list[tuple[re.Pattern[str], Tie]] = []
    for entry in config.checkers:
        vendor = _vendor_of(entry)
        own = entry.config.hosts if entry.config else ()
        for host in own or (vendor.hosts if vendor else ()):
            hosts.setdefault(host, Tie(entry.name))
        errors += [(pattern, Tie(entry.name)) for pattern in (vendor.errors if vendor else ())]
    depends = tuple(
        dataclasses.replace(each, on=tuple(_placed(tie, known) for tie in each.on)) for each in config.depends
    )
    return Knowledge(
        dependencies=depends, hosts=hosts, errors=tuple(errors), regions=known, vendors=display_names(config)
    )


def _vendor_of(entry: Entry[CheckerConfig]) -> Vendor | None:
    """Return what is known of the vendor that a checker watches: by its name, its kind, or the host of its page."""
    found = vendor_called(entry.name) or vendor_called(entry.kind)
    host = urlsplit(entry.config.url).hostname if entry.config else None
    by_page = (each for each in vendors().values() if host and urlsplit(each.page).hostname == host)
    return found or next(by_page, None)


def _placed(tie: Tie, known: Regions) -> Tie:
    """Return a tie whose place is a region as such, where it is the name of one."""
    region = known.known(tie.component)
    return Tie(tie.vendor, region=region) if region else tie


def traits(now: datetime) -> Traits:
    """Return what the lint of the configuration asks of the kinds; each is loaded when it is asked for."""
    return Traits(
        now=now,
        verbs=_verbs,
        reports=_reports,
        opens=_opens,
        intake=_intake,
        webhooks=_webhooks(),
        acts=_ACTS,
        severity_of=severity_of,
        variables=lambda: frozenset(_variables()),
    )


def _webhooks() -> dict[str, frozenset[str]]:
    """Return the ways in of each source that sends to us; those of the REST API choose their names."""
    asked = {kind: model.INTAKES for kind in kinds(SOURCES) if (model := source_config(kind))}
    hooks = {hook.SOURCE: frozenset({hook.INTAKE}) for hook in _hooks()}
    return {**asked, **hooks, rest.PREFIX + ANY_NAME: frozenset({rest.INTAKE})}


def _hooks() -> list[ModuleType]:
    return [_load(HOOKS, kind) for kind in kinds(HOOKS)]


def _verbs(kind: str) -> frozenset[Verb]:
    found: frozenset[Verb] = adapter_class(kind).verbs if destination_config(kind) else frozenset()
    return found


def _reports(kind: str) -> bool:
    """Whether a kind of destination tells us what people do there, by webhook or when asked; True for no such kind."""
    model = destination_config(kind)
    if model is None or model.ANY_PLACE:
        return True
    adapter = adapter_class(kind)
    return hasattr(adapter, "verify_signature") or hasattr(adapter, "open_objects")


def _opens(kind: str) -> bool:
    model = destination_config(kind)
    return bool(model and (model.OPENS_ALERTS or model.ANY_PLACE))


def _intake(kind: str) -> str:
    model = destination_config(kind)
    return (model.INTAKE if model else "") or f"/hooks/{kind.replace('_', '-')}"


def _variables() -> Iterator[str]:
    """Yield the variables that the models of all kinds read."""
    of_kind = (
        (CHECKERS, checker_config),
        (DESTINATIONS, destination_config),
        (SOURCES, source_config),
        (ACTIONS, action_config),
    )
    models: list[type[Model] | None] = [config_of(kind) for package, config_of in of_kind for kind in kinds(package)]
    for model in models:
        for names in model.ENV.values() if model else ():
            yield from names


def adapter_class(kind: str) -> Any:
    """Return the Adapter of a kind of destination; its `family` and `verbs` are known without an instance."""
    return _load(DESTINATIONS, kind).Adapter


def checker_module(kind: str) -> ModuleType:
    return _load(CHECKERS, kind)


def kinds(package: Package) -> list[str]:
    """Return the kinds that there are, sorted, for messages to people."""
    return [found.name for found in _modules(package) if _module(package, found.name)]


def _module(package: Package, kind: str) -> ModuleType | None:
    if not _NAME.fullmatch(kind) or kind not in {found.name for found in _modules(package)}:
        return None
    if find_spec(_path(package, kind)) is None:
        return None
    module = _load(package, kind)
    return module if hasattr(module, package.mark) else None


def _modules(package: Package) -> list[pkgutil.ModuleInfo]:
    return list(pkgutil.iter_modules(importlib.import_module(package.path).__path__))


def _path(package: Package, kind: str) -> str:
    folder = any(found.name == kind and found.ispkg for found in _modules(package))
    return f"{package.path}.{kind}.{package.module}" if folder else f"{package.path}.{kind}"


def _load(package: Package, kind: str) -> ModuleType:
    return importlib.import_module(_path(package, kind))
