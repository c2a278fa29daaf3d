"""The composition root: builds stores, checkers and destinations from config.json and the environment.

The only module that knows the concrete classes. Building connects to nothing and starts nothing.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Collection, Mapping
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from functools import partial
from pathlib import Path
from typing import TypeVar
from zoneinfo import ZoneInfo

from pydantic import SecretStr

from service_event_checker import logs, plugins
from service_event_checker.config import load, secret_files
from service_event_checker.config import settings as environment
from service_event_checker.config.actions import ActionConfig, policy
from service_event_checker.config.environment import KNOWN
from service_event_checker.config.load import Config, ConfigError, Entry
from service_event_checker.config.models import CheckerConfig, DestinationConfig
from service_event_checker.config.settings import Settings
from service_event_checker.core.actions import Policy
from service_event_checker.core.model import Receiver
from service_event_checker.core.ports import Destination, Findable
from service_event_checker.core.roles import Store
from service_event_checker.core.rules import Rulebook
from service_event_checker.core.vocabulary import Family, Severity
from service_event_checker.engine import changes, reloads
from service_event_checker.engine.actions import receiver as action_receiver
from service_event_checker.engine.actions.receiver import ActionReceiver
from service_event_checker.engine.actions.runs import Runs
from service_event_checker.engine.correlation import Correlation
from service_event_checker.engine.outbox import Outbox
from service_event_checker.engine.page_watch import page_watch
from service_event_checker.engine.pipeline import Pipeline
from service_event_checker.engine.polling import Poller, Watch
from service_event_checker.engine.reconcile.passes import Reconciler
from service_event_checker.engine.refusals import Refusals
from service_event_checker.engine.rule_hits import RuleHits
from service_event_checker.engine.selection import affects_us, not_listed
from service_event_checker.engine.sender_heartbeats import Heartbeats
from service_event_checker.engine.services import Part, Services, WakeEvents
from service_event_checker.engine.test_mode import TestMode
from service_event_checker.engine.throttle import KeptInStore, Throttle
from service_event_checker.http import outbound
from service_event_checker.http.address import password_forms, password_in
from service_event_checker.http.outbound import Outbound
from service_event_checker.render import names, own, own_check, voice
from service_event_checker.render.own import Owns
from service_event_checker.render.own_check import Target
from service_event_checker.render.voice import Voice
from service_event_checker.stores import choose
from service_event_checker.stores.choose import make_store
from service_event_checker.stores.prepared import gated

RECONCILE_EVERY = timedelta(minutes=5)
LOOK_EVERY = timedelta(seconds=1)  # how soon what becomes due by itself is seen
LOOK_AT_AZURE_EVERY = timedelta(seconds=3)  # there a look is sixteen billed reads
ACTION_RATE = (2.0, 5)  # requests of runs per second, by rules; budgets are for the runs
LEASE_TIMEOUTS = 8  # a check asks several addresses one after the other; see LOOKUP_TIMEOUTS of statuspage

Read = TypeVar("Read")
Kept = TypeVar("Kept")


def load_config(settings: Settings) -> Config:
    """Read the configured file. Raises ConfigError."""
    return _load(settings.config_file, settings.variables)


def examine(environ: Mapping[str, str]) -> tuple[Settings, Config]:
    """Check all that a start reads: the environment, config.json and where the store is. Connects to nothing.

    Raises ConfigError with every mistake found.
    """
    errors: list[ConfigError] = []
    settings = _tried(lambda: Settings.read(environ, known_variables), errors)
    variables, _ = secret_files.read(environ, known_variables)
    config = _tried(lambda: _load(environment.config_file(variables), variables), errors)
    if settings:
        _tried(lambda: choose.check(settings), errors)
    if settings and config:
        _tried(lambda: _templates(settings, config), errors)
    if settings is None or config is None or errors:
        files = dict.fromkeys(error.file for error in errors)
        problems = [problem for error in errors for problem in error.problems]
        warnings = config.warnings if config else [line for error in errors for line in error.warnings]
        raise ConfigError(" and ".join(files), list(dict.fromkeys(problems)), warnings)
    return settings, config


def known_variables() -> frozenset[str]:
    """Return the variables that some part reads, configured or not."""
    return plugins.traits(_now()).variables() | KNOWN


def _tried(read: Callable[[], Read], errors: list[ConfigError]) -> Read | None:
    try:
        return read()
    except ConfigError as error:
        errors.append(error)
        return None


def _load(file: Path, environ: Mapping[str, str]) -> Config:
    packages = {
        "checkers": plugins.CHECKERS,
        "destinations": plugins.DESTINATIONS,
        "sources": plugins.SOURCES,
        "actions": plugins.ACTIONS,
    }
    return load.load(
        file,
        environ,
        checker_config=plugins.checker_config,
        destination_config=plugins.destination_config,
        source_config=plugins.source_config,
        action_config=plugins.action_config,
        kinds=lambda section: plugins.kinds(packages[section]),
        traits=plugins.traits(_now()),
    )


def file_checksum(environ: Mapping[str, str]) -> str:
    """Return the checksum of the configured file as it is now, "" where it cannot be read."""
    try:
        return load.checksum(load.read_bytes(environment.config_file(environ)))
    except ConfigError:
        return ""


def build(settings: Settings, config: Config | None = None, *, before: Services | None = None) -> Services:
    """Build everything; without a configuration that was read already, reads it. Raises ConfigError.

    `before`: what runs already. Its store and what belongs to all of the process stay, and each part whose entry is the
    same, with what it knows: rates, breakers, caches.
    """
    config = config or load_config(settings)
    same = reloads.unchanged(before.config, config) if before else frozenset()
    logs.hide(_secrets(config, settings))
    past_proxy = (*outbound.LOCAL, *settings.outbound_no_proxy)
    outbound.use(Outbound(settings.ca_file, settings.public_url, settings.outbound_proxy, past_proxy))
    store = before.store if before else gated(make_store(settings))
    adapters, notes = _adapters(config, _kept(same, "destination", before.outbox.destinations if before else {}))
    book = _rulebook(config, adapters)
    receivers = book.receivers
    pagers = [name for name, each in receivers.items() if each.family is Family.PAGER]
    policies = {entry.name: _policy(entry) for entry in config.actions}
    built: list[Runs] = []
    adapters |= {name: ActionReceiver(each, lambda: built[0]) for name, each in policies.items() if not each.why_off}
    own.use(_templates(settings, config))  # first: it may raise
    names.use(plugins.display_names(config), pagers)
    voice.use({entry.name: _voice(entry.config) for entry in config.destinations if entry.config})
    wakes = before.wakes if before else WakeEvents()
    wakes.know(adapters)
    heartbeats = Heartbeats(store, config.heartbeats)
    rule_hits = RuleHits(store, config.rules, before.rule_hits if before else None)
    correlation = Correlation(store, plugins.knowledge(config), [each.name for each in config.checkers if _is_on(each)])
    pipeline = Pipeline(
        store,
        book,
        wakes.wake,
        correlate=correlation.explain,
        repeat_within=config.repeat_within,
        hear=lambda events, now: heartbeats.take(changes.take(store.holding, events, now), now),
        matched=rule_hits.note,
    )
    runners = {
        each.name: plugins.make_action(each.config) for each in config.actions if each.config and not each.why_off
    }
    built.append(Runs(pipeline, policies, runners, config.people, clock=_now))
    shared = store if _is_shared(settings) else None
    throttles = _kept(same, "destination", before.outbox.throttles if before else {})
    throttles = {
        entry.name: throttles.get(entry.name) or _throttle(entry.name, entry.config, shared)
        for entry in config.destinations
        if entry.config and entry.name in adapters
    }
    throttles |= {name: Throttle(*ACTION_RATE) for name in policies}
    suspects = before.outbox.suspects if before else None
    outbox = Outbox(
        store,
        adapters,
        book,
        throttles=throttles,
        clock=_now,
        wake=wakes.wake,
        suspects=suspects,
        page=settings.public_url,
    )
    watched = _kept(same, "checker", before.poller.watches if before else {})
    watches = {
        entry.name: watched.get(entry.name) or _watch(entry.name, entry.config)
        for entry in config.checkers
        if _is_on(entry)
    }
    return Services(
        config=config,
        store=store,
        book=book,
        pipeline=pipeline,
        outbox=outbox,
        poller=Poller(store, pipeline, watches, clock=_now),
        reconciler=_reconciler(config, pipeline, adapters, before),
        test_mode=TestMode(store, pipeline, watches),
        wakes=wakes,
        parts=_parts(config, notes),
        settings=settings,
        heartbeats=heartbeats,
        rule_hits=rule_hits,
        correlation=correlation,
        runs=built[0],
        look_every=LOOK_AT_AZURE_EVERY if settings.storage_account else LOOK_EVERY,
        refusals=before.refusals if before else Refusals(),
        sunsets=before.sunsets if before else (),
        loaded_at=_now(),
    )


def rulebook_of(settings: Settings, file: Path) -> tuple[Config, Rulebook]:
    """Read another configuration and return it with its rules, to ask them and to send nothing. Raises ConfigError."""
    config = _load(file, settings.variables)
    logs.hide(_secrets(config, settings))
    adapters, _ = _adapters(config, {})
    return config, _rulebook(config, adapters)


def _rulebook(config: Config, adapters: Mapping[str, Destination]) -> Rulebook:
    receivers = {entry.name: _receiver(entry, adapters.get(entry.name)) for entry in config.destinations}
    receivers |= {entry.name: action_receiver.receiver(_policy(entry)) for entry in config.actions}
    return Rulebook(config.rules, config.silences, receivers, config.mirrors, config.moved, config.flapping)


def _policy(entry: Entry[ActionConfig]) -> Policy:
    if entry.config is None:
        return Policy(name=entry.name, patterns={}, why_off=entry.why_off)
    return policy(entry.name, entry.config, entry.why_off)


def _kept(same: Collection[tuple[str, str]], section: str, parts: Mapping[str, Kept]) -> dict[str, Kept]:
    """Return the parts of a section that may go on as they are."""
    return {name: part for name, part in parts.items() if (section, name) in same}


def _reconciler(
    config: Config, pipeline: Pipeline, adapters: Mapping[str, Destination], before: Services | None
) -> Reconciler:
    on = {entry.name: entry.config for entry in config.sources if entry.config and not entry.why_off}
    every = min((each.every for each in on.values()), default=RECONCILE_EVERY)
    sources = plugins.make_sources(on)
    return Reconciler(
        pipeline, adapters, sources, clock=_now, every=every, before=before.reconciler if before else None
    )


def _adapters(config: Config, kept: Mapping[str, Destination]) -> tuple[dict[str, Destination], dict[str, str]]:
    """Return the destinations that are on, by name, and notes on those that have a stand-in.

    `kept`: those that exist already.
    """
    adapters: dict[str, Destination] = {}
    notes: dict[str, str] = {}
    for entry in config.destinations:
        if entry.config is None:
            continue
        if not entry.why_off:
            adapters[entry.name] = kept.get(entry.name) or plugins.make_destination(entry.name, entry.config)
        elif entry.config.STAND_IN:
            stand_in = plugins.destination_config(entry.config.STAND_IN)
            if stand_in is not None:
                made = stand_in.model_validate({"kind": entry.config.STAND_IN})
                adapters[entry.name] = kept.get(entry.name) or plugins.make_destination(entry.name, made)
                notes[entry.name] = f"{entry.why_off}; messages go to the {entry.config.STAND_IN}"
    return adapters, notes


def _receiver(entry: Entry[DestinationConfig], adapter: Destination | None) -> Receiver:
    """Return what the rules need to know of a destination.

    A destination that is off gets no new alerts; alerts that were opened there still get their end.
    """
    kind = adapter if adapter is not None else plugins.adapter_class(entry.kind)
    plain = Receiver(
        name=entry.name,
        family=kind.family,
        verbs=kind.verbs,
        findable=isinstance(adapter, Findable),
        edits=getattr(kind, "edits", True),
    )
    config = entry.config
    if adapter is None or config is None:
        return replace(plain, why_off=entry.why_off or "not configured")
    repeat = {"repeat": frozenset(Severity), "drop": frozenset[Severity]()}
    return replace(
        plain,
        settle=type(config).SETTLE if config.settle is None else config.settle,
        deadline=config.timeout,
        reopen_within=type(config).REOPEN_WITHIN if config.reopen_within is None else config.reopen_within,
        repeat_ambiguous=repeat.get(config.on_ambiguous or "", plain.repeat_ambiguous),
        update_every=type(config).UPDATE_EVERY if config.update_every is None else config.update_every,
        shadow=config.shadow,
        on_resolve=config.on_resolve,
        fallback=config.fallback,
        storm=config.budget,
    )


def _voice(config: DestinationConfig) -> Voice:
    return Voice(language=config.language, zone=ZoneInfo(config.time_zone))


def _templates(settings: Settings, config: Config) -> Owns:
    """Return the templates of users, checked. Raises ConfigError."""
    if settings.templates_dir is None:
        return {}
    on = {entry.name: entry.config for entry in config.destinations if entry.config}
    targets = {
        name: Target(name=name, kind=each.kind, forms=plugins.forms(each), voice=_voice(each))
        for name, each in on.items()
    }
    known = {*plugins.kinds(plugins.DESTINATIONS), *(entry.name for entry in config.destinations)}
    found, problems = own_check.read(settings.templates_dir, targets, frozenset(known))
    if problems:
        raise ConfigError("TEMPLATES_DIR", problems)
    return found


def _is_shared(settings: Settings) -> bool:
    """Whether other processes may deliver from the same store; of a database server's clients nobody here knows."""
    return bool(settings.broker_url) or settings.processes > 1 or settings.store_kind != "sqlite"


def _throttle(name: str, config: DestinationConfig, shared: Store | None) -> Throttle:
    """Return a destination's throttle; `shared`: the store that holds it for all processes."""
    rate, burst = type(config).RATE
    rate, burst = config.rate or rate, config.burst or burst
    return Throttle(rate, burst, time.time, shared=KeptInStore(shared, name)) if shared else Throttle(rate, burst)


def _watch(name: str, config: CheckerConfig | None) -> Watch:
    if config is None:  # asked for entries that are on only
        raise ConfigError("config.json", [f"checkers.{name}: is off"])
    return Watch(
        name=name,
        checker=plugins.make_checker(name, config),
        every=config.every,
        lease=max(config.every, config.timeout * LEASE_TIMEOUTS),
        resolve_after=config.resolve_after,
        affects=partial(
            affects_us,
            only=config.only,
            except_=config.except_,
            when_unknown=config.when_unknown,
            regions=plugins.known_regions(),
        ),
        not_listed=partial(not_listed, config.only, config.except_),
        page=page_watch(config, partial(plugins.find_page, config)),
    )


def _parts(config: Config, notes: Mapping[str, str]) -> tuple[Part, ...]:
    return tuple(
        Part(section=section, name=entry.name, kind=entry.kind, on=True, state=notes[entry.name])
        if section == "destination" and entry.name in notes
        else Part(section=section, name=entry.name, kind=entry.kind, on=not entry.why_off, state=entry.why_off or "on")
        for section, entry in config.entries()
    )


def _is_on(entry: Entry[CheckerConfig]) -> bool:
    return entry.config is not None and not entry.why_off


def _secrets(config: Config, settings: Settings) -> set[str]:
    """Return every secret that we were given, so that the logs can mask it."""
    models = [entry.config for _, entry in config.entries() if entry.config]
    values = [getattr(model, field) for model in models for field in type(model).model_fields]
    values += [part for value in values if isinstance(value, dict) for part in value.values()]
    found = {value.get_secret_value() for value in values if isinstance(value, SecretStr)}
    found |= {password for value in values if isinstance(value, str) and (password := password_in(value))}
    found |= password_forms(settings.outbound_proxy) | password_forms(settings.broker_url)
    return found | {value for name, value in settings.variables.items() if value and secret_files.is_secret(name)}


def _now() -> datetime:
    return datetime.now(UTC)
