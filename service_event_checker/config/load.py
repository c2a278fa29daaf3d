"""Reads config.json or config.yaml: resolves `env:NAME`, fills missing keys, checks every entry, lists every problem.

If something is invalid, the app does not start. If a credential is missing, one entry is off and says what to set.
"""

from __future__ import annotations

import dataclasses
import hashlib
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any, Generic, TypeVar, get_args

from pydantic import SecretStr, ValidationError

from service_event_checker.config import actions as declared
from service_event_checker.config import (
    environment,
    json_text,
    lint,
    lint_conditions,
    lint_entries,
    lint_rules,
    yaml_text,
)
from service_event_checker.config.actions import ActionConfig
from service_event_checker.config.fields import with_new_names
from service_event_checker.config.file import (
    DependencyEntry,
    File,
    HeartbeatEntry,
    MirrorEntry,
    RuleEntry,
    SilenceEntry,
    numbered,
    readable,
)
from service_event_checker.config.findings import Findings, Traits
from service_event_checker.config.lint_matchers import Values
from service_event_checker.config.models import CheckerConfig, DestinationConfig, Model, SourceConfig
from service_event_checker.config.problems import explain, nearest
from service_event_checker.config.sunset import Sunset
from service_event_checker.core import failover, matchers
from service_event_checker.core import heartbeats as sender_heartbeats
from service_event_checker.core.actions import Person
from service_event_checker.core.errors import InvalidInput, OutageCheckerError
from service_event_checker.core.flapping import Flapping
from service_event_checker.core.heartbeats import Heartbeat
from service_event_checker.core.knowledge import Dependency, Tie
from service_event_checker.core.mirrors import ALERT, Mirrors
from service_event_checker.core.rules import RECEIVERS_MAX, Rule
from service_event_checker.core.silences import CONFIGURED, Silence
from service_event_checker.core.tracker import REPEAT_WITHIN
from service_event_checker.core.vocabulary import Verb

MOVED_TO = "moved_to"  # of a destination: the only key of an old name
GROUP_WAIT = timedelta(seconds=30)  # as Alertmanager's
_NAME_CHARS = frozenset("abcdefghijklmnopqrstuvwxyz0123456789_-")
_NOT_A_NAME = "is not a usable name. Use lower case letters, digits, - and _ (at most 40)"
ModelT = TypeVar("ModelT", bound=Model)


class ConfigError(OutageCheckerError):
    """config.json cannot be used; `problems` are lines like `checkers.github.every: what is wrong. What to do`.

    `warnings` are lines of the same form; they alone stop nothing.
    """

    def __init__(self, file: str, problems: Sequence[str], warnings: Sequence[str] = ()) -> None:
        lines = (*problems, *(f"warning: {warning}" for warning in warnings))
        super().__init__(f"{file} cannot be used:\n" + "\n".join(f"  {line}" for line in lines))
        self.file = file
        self.problems = list(problems)
        self.warnings = list(warnings)


@dataclass(frozen=True, slots=True)
class Entry(Generic[ModelT]):
    """A configured checker, destination or source. `config` is None only if it is off because a value is not set.

    `warnings`: old names that it uses, like "api_url is now url".
    """

    name: str
    kind: str
    config: ModelT | None
    why_off: str = ""
    warnings: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Config:
    checkers: tuple[Entry[CheckerConfig], ...]
    destinations: tuple[Entry[DestinationConfig], ...]
    sources: tuple[Entry[SourceConfig], ...]
    rules: tuple[Rule, ...]
    silences: tuple[Silence, ...]
    mirrors: Mirrors = Mirrors()
    repeat_within: timedelta = REPEAT_WITHIN
    moved: Mapping[str, str] = dataclasses.field(default_factory=dict)  # destinations: old name -> new name
    warnings: tuple[str, ...] = ()
    heartbeats: tuple[Heartbeat, ...] = ()
    depends: tuple[Dependency, ...] = ()
    file: str = ""  # its name
    checksum: str = ""  # of its content
    flapping: Flapping | None = None
    actions: tuple[Entry[ActionConfig], ...] = ()
    people: tuple[Person, ...] = ()

    def entries(self) -> Iterator[tuple[str, Entry[Any]]]:
        """Yield ("checker" | "destination" | "source" | "action", entry) for all that is configured."""
        for section, entries in (
            ("checker", self.checkers),
            ("destination", self.destinations),
            ("source", self.sources),
            ("action", self.actions),
        ):
            for entry in entries:
                yield section, entry

    def sunsets(self) -> tuple[Sunset, ...]:
        """Return what is on here and its vendor will switch off."""
        on = [entry.config for _, entry in self.entries() if entry.config and not entry.why_off]
        return tuple(sunset for config in on for sunset in config.sunsets())


def load(
    path: Path,
    environ: Mapping[str, str],
    *,
    checker_config: Callable[[str], type[CheckerConfig] | None],
    destination_config: Callable[[str], type[DestinationConfig] | None],
    source_config: Callable[[str], type[SourceConfig] | None],
    action_config: Callable[[str], type[ActionConfig] | None],
    kinds: Callable[[str], Sequence[str]],
    traits: Traits,
) -> Config:
    """Read and check the file. `kinds("checkers")` and of the other sections list what there is, for hints.

    Raises ConfigError with every problem found.
    """
    body = read_bytes(path)
    raw, unread, lines = _read(path, body)
    problems = list(unread)
    file = _validated(File, raw, "", problems) or readable(raw)
    problems += _taken(file.checkers, kinds("sources"))
    checkers = _entries("checkers", file.checkers, environ, checker_config, kinds, problems)
    moved = _moved(file.destinations, problems)
    current = {name: raw for name, raw in file.destinations.items() if MOVED_TO not in raw}
    destinations = _entries("destinations", current, environ, destination_config, kinds, problems)
    sources = _entries("sources", file.sources, environ, source_config, kinds, problems)
    actions = _entries("actions", file.actions, environ, action_config, kinds, problems)
    people = tuple(entry.read() for _, entry in numbered(file.people))
    problems += declared.problems({entry.name: entry.config for entry in actions}, file.destinations, people)
    rules = tuple(_rule(number, rule, current, file.actions, problems) for number, rule in numbered(file.rules))
    silences = tuple(_silence(number, entry, problems) for number, entry in numbered(file.silences))
    mirrors = _mirrors(file.mirrors, current, problems)
    depends = tuple(
        _dependency(number, entry, list(file.checkers), problems) for number, entry in numbered(file.depends)
    )
    heartbeats = tuple(_heartbeat(name, entry, problems) for name, entry in file.heartbeats.items())
    if len({name for rule in rules for name in rule.receivers}) > RECEIVERS_MAX:
        problems.append(f"rules: name more than {RECEIVERS_MAX} receivers. Combine some of them in the remote systems")
    sections = (("checkers", checkers), ("destinations", destinations), ("sources", sources), ("actions", actions))
    found = _lint(file, current, sections, traits)
    models = (
        *_models(file.checkers, checker_config),
        *_models(current, destination_config),
        *_models(file.sources, source_config),
        *_models(file.actions, action_config),
    )
    found.warnings.extend(environment.misspelt(environ, models, environment.named_in(raw), traits.variables))
    problems += found.errors
    warnings = tuple(yaml_text.located(warning, lines) for warning in found.warnings)
    if problems:
        raise ConfigError(path.name, yaml_text.explained(problems, unread, lines), warnings)
    return Config(
        checkers,
        destinations,
        sources,
        rules,
        silences,
        mirrors,
        file.repeat_within,
        moved,
        warnings,
        heartbeats,
        depends,
        path.name,
        checksum(body),
        file.flapping.flapping() if file.flapping else None,
        actions,
        people,
    )


def read_bytes(path: Path) -> bytes:
    """Return what the file holds. Raises ConfigError."""
    try:
        return path.read_bytes()
    except OSError as error:
        reason = (error.strerror or "cannot be read").lower()
        raise ConfigError(
            str(path), [f"the file: {reason}. Set CONFIG_FILE to the path of your config.json"]
        ) from error


def checksum(body: bytes) -> str:
    """Return what names a content of the file: 20 hex digits."""
    return hashlib.sha256(body).hexdigest()[:20]


def _lint(
    file: File,
    destinations: Mapping[str, dict[str, Any]],
    sections: Iterable[tuple[str, Sequence[Entry[Any]]]],
    traits: Traits,
) -> Findings:
    """Return what is valid in a file and yet has no effect, or looks like a slip."""
    kinds = {name: str(raw.get("kind")) for name, raw in destinations.items()}
    rules = [(f"rules[{number}]", rule) for number, rule in numbered(file.rules)]
    silences = [(f"silences[{number}]", entry) for number, entry in numbered(file.silences)]
    acts = traits.acts.union(traits.intake(kind) for kind in kinds.values() if traits.reports(kind))
    values = Values(lint.origins(file.checkers, kinds, traits), acts, traits)
    found = lint.rules(rules, [(where, entry.match) for where, entry in silences], values)
    found.add(lint_rules.grouping([(where, rule) for where, rule in rules]))
    for section, entries in sections:
        found.warnings.extend(f"{section}.{entry.name}: {text}" for entry in entries for text in entry.warnings)
        found.add(lint.entries(section, [(entry.name, entry.config) for entry in entries]))
        if section == "destinations":
            fallbacks = {entry.name: entry.config.fallback if entry.config else "" for entry in entries}
            found.add(lint_entries.fallbacks(fallbacks, [entry.name for entry in entries if entry.why_off]))
    for where, rule in rules:
        given = [matcher for _, matcher in lint.located(rule.match, where)]
        found.add(lint_conditions.conditions(where, rule, given, kinds, traits))
    for where, entry in silences:
        found.add(lint_entries.silence(where, entry.ends_at, traits.now))
    for number, each in numbered(file.mirrors):
        verbs = {Verb(verb): tuple(map(Verb, wanted)) for verb, wanted in each.verbs.items()}
        found.add(lint_entries.mirror(f"mirrors[{number}]", each.from_, each.to, verbs, kinds, traits))
    return found


def _models(
    entries: Mapping[str, dict[str, Any]], config_of: Callable[[str], type[ModelT] | None]
) -> Iterator[type[ModelT]]:
    """Yield the models of the kinds that are configured."""
    for raw in entries.values():
        kind = raw.get("kind")
        if isinstance(kind, str) and (model := config_of(kind)):
            yield model


def _read(path: Path, body: bytes) -> tuple[Any, list[str], Mapping[str, int]]:
    """Return the value, what is wrong with single keys, and the lines of all paths, as far as they are known."""
    try:
        return yaml_text.read(body) if path.suffix in yaml_text.SUFFIXES else (*json_text.read(body), {})
    except (json_text.NotJson, yaml_text.NotYaml) as error:
        raise ConfigError(path.name, [f"the file: {error}"]) from None


def _taken(checkers: Iterable[str], sources: Sequence[str]) -> Iterator[str]:
    """Yield what is wrong with checkers that have the name of another source: each would end the other's alerts."""
    taken = {sender_heartbeats.SOURCE, failover.SOURCE, *sources}
    for name in sorted(taken.intersection(checkers)):
        yield f"checkers.{name}: the name belongs to alerts from elsewhere. Use another one, like {name}-status"


def _entries(
    section: str,
    entries: Mapping[str, dict[str, Any]],
    environ: Mapping[str, str],
    config_of: Callable[[str], type[ModelT] | None],
    kinds: Callable[[str], Sequence[str]],
    problems: list[str],
) -> tuple[Entry[ModelT], ...]:
    found = []
    for name, raw in entries.items():
        where = f"{section}.{name}"
        if not _well_named(name):
            problems.append(f"{where}: {_NOT_A_NAME}")
            continue
        kind = raw.get("kind")
        model = config_of(kind) if isinstance(kind, str) else None
        if model is None:
            problems.append(f"{where}.kind: {_unknown_kind(kind, kinds(section))}")
            continue
        entry = _entry(name, str(kind), raw, model, environ, where, problems)
        found += [entry] if entry else []
    return tuple(found)


def _entry(
    name: str,
    kind: str,
    raw: dict[str, Any],
    model: type[ModelT],
    environ: Mapping[str, str],
    where: str,
    problems: list[str],
) -> Entry[ModelT] | None:
    raw, warnings = with_new_names(raw, model.RENAMED)
    values, unset = _resolve(raw, environ)
    bare = [field for field, value in raw.items() if _is_bare_secret(model, field, value)]
    problems += [f'{where}.{field}: is a secret. Write "env:NAME" here and set that variable' for field in bare]
    given_by = {
        field: text.removeprefix("env:").strip()
        for field, text in raw.items()
        if isinstance(text, str) and values.get(field, text) is not text
    }
    for field, variables in model.ENV.items():
        given = next((variable for variable in variables if environ.get(variable)), None)
        if field not in raw and given is not None:
            values[field], given_by[field] = environ[given], given
    missing = [_wanting(field, where, model, unset) for field in model.NEEDS if not _is_given(model, field, values)]
    why_off = _not_set(missing)
    try:
        checked = model.model_validate(values)
        return Entry(name, kind, checked, why_off or checked.lacks(), warnings)
    except ValidationError as error:
        absent = {str(part["loc"][0]) for part in error.errors() if part["type"] == "missing" and part["loc"]}
        if len(absent) == error.error_count() and absent <= unset.keys():
            return Entry(name, kind, None, _not_set([unset[field] for field in sorted(absent)]), warnings)
        problems += explain(error, where, model, given_by)
        return None


def _resolve(raw: Mapping[str, Any], environ: Mapping[str, str]) -> tuple[dict[str, Any], dict[str, str]]:
    """Replace `env:NAME` by the variable's value; return the values and, by field, the variables not set."""
    values: dict[str, Any] = {}
    unset: dict[str, str] = {}
    for field, value in raw.items():
        if isinstance(value, dict):  # of secrets by name: one that is not set stays, and its model says so
            values[field] = {name: _of_variable(part, environ) or part for name, part in value.items()}
        elif isinstance(value, str) and value.startswith("env:"):
            if found := _of_variable(value, environ):
                values[field] = found
            else:
                unset[field] = value.removeprefix("env:").strip()
        else:
            values[field] = value
    return values, unset


def _of_variable(value: Any, environ: Mapping[str, str]) -> str:
    """Return the value of the variable that a text names as "env:NAME", "" if it names none or that is not set."""
    named = isinstance(value, str) and value.startswith("env:")
    return environ.get(value.removeprefix("env:").strip(), "") if named else ""


def _is_given(model: type[Model], field: str, values: Mapping[str, Any]) -> bool:
    return any(values.get(each) for each in (field, *model.INSTEAD.get(field, ())))


def _wanting(field: str, where: str, model: type[Model], unset: Mapping[str, str]) -> str:
    """Return what to set for a field: the variable that fills it, else its path in the file."""
    return unset.get(field) or next(iter(model.ENV.get(field, ())), f"{where}.{field}")


def _not_set(variables: Sequence[str]) -> str:
    if not variables:
        return ""
    *others, last = variables
    return f"{', '.join(others)} and {last} are not set" if others else f"{last} is not set"


def _is_bare_secret(model: type[Model], field: str, value: Any) -> bool:
    """Whether the file itself contains a secret, which backups and pull requests would copy."""
    known = model.model_fields.get(field)
    kinds = (known.annotation, *get_args(known.annotation)) if known else ()
    return SecretStr in kinds and isinstance(value, str) and not value.startswith("env:")


def _rule(
    number: int, entry: RuleEntry, destinations: Mapping[str, Any], actions: Mapping[str, Any], problems: list[str]
) -> Rule:
    """Return a rule. It sends to destinations and actions, and escalates to people: to destinations only."""
    where, escalate = f"rules[{number}]", entry.escalate.escalate() if entry.escalate else None
    asked = (
        ("send", entry.send, [*destinations, *actions]),
        ("escalate.send", escalate.send if escalate else (), list(destinations)),
    )
    for key, names, known in asked:
        unknown = [name for name in names if name not in known]
        problems += [f'{where}.{key}: "{name}" is not a destination.{nearest(name, known)}' for name in unknown]
    return Rule(
        entry.name,
        _matchers(entry.match, f"{where}.match", problems),
        entry.send,
        entry.proceed,
        per_group=entry.per_group,
        group_by=entry.group_by,
        group_wait=GROUP_WAIT if entry.group_wait is None else entry.group_wait,
        conditions=entry.conditions(),
        escalate=escalate,
    )


def _moved(entries: Mapping[str, dict[str, Any]], problems: list[str]) -> dict[str, str]:
    """Return the new name of each destination that was moved."""
    current = [name for name, raw in entries.items() if MOVED_TO not in raw]
    found: dict[str, str] = {}
    for name, raw in entries.items():
        if MOVED_TO not in raw:
            continue
        where, new = f"destinations.{name}", raw[MOVED_TO]
        if set(raw) != {MOVED_TO}:
            problems.append(f'{where}: has other keys beside moved_to. Leave only {{"moved_to": "<new name>"}}')
        elif new not in current:
            problems.append(f'{where}.moved_to: "{new}" is not a destination.{nearest(str(new), current)}')
        else:
            found[name] = new
    return found


def _silence(number: int, entry: SilenceEntry, problems: list[str]) -> Silence:
    where = f"silences[{number}]"
    ends_at: datetime = entry.ends_at
    if ends_at <= entry.starts_at:
        problems.append(f"{where}.ends_at: is not after starts_at. Give the end of the silence")
    found = len(problems)
    parts = _matchers(entry.match, f"{where}.match", problems)
    if not parts and len(problems) == found:
        problems.append(f'{where}.match: would silence everything. Give a matcher, like source="github"')
    repeat = entry.repeat.read() if entry.repeat else None
    return Silence(
        parts, entry.starts_at, ends_at, entry.owner, entry.reason, id=f"{CONFIGURED}{number + 1}", repeat=repeat
    )


def _dependency(number: int, entry: DependencyEntry, checkers: Sequence[str], problems: list[str]) -> Dependency:
    where = f"depends[{number}]"
    ties = []
    for text in entry.on:
        vendor, _, place = text.partition(":")
        if vendor not in checkers:
            problems.append(f'{where}.on: "{vendor}" is not a checker.{nearest(vendor, checkers)}')
        ties.append(Tie(vendor, place.strip()))
    return Dependency(_matchers(entry.match, f"{where}.match", problems), tuple(ties))


def _heartbeat(name: str, entry: HeartbeatEntry, problems: list[str]) -> Heartbeat:
    where = f"heartbeats.{name}"
    if not _well_named(name):
        problems.append(f"{where}: {_NOT_A_NAME}")
    parts = _matchers(entry.match, f"{where}.match", problems)
    return Heartbeat(name=name, every=entry.every, matchers=parts, severity=entry.severity)


def _mirrors(entries: Sequence[MirrorEntry], destinations: Mapping[str, Any], problems: list[str]) -> Mirrors:
    tables: dict[tuple[str, str], dict[Verb, tuple[Verb, ...]]] = {}
    for number, entry in numbered(entries):
        where, pair = f"mirrors[{number}]", (entry.from_, entry.to)
        for field, name in (("from", entry.from_), ("to", entry.to)):
            if name not in destinations and (field, name) != ("to", ALERT):
                problems.append(f'{where}.{field}: "{name}" is not a destination.{nearest(name, list(destinations))}')
        if pair in tables or entry.from_ == entry.to:
            problems.append(
                f"{where}: {entry.from_} -> {entry.to} is given twice, or is the same receiver. Give each pair once"
            )
        tables[pair] = {Verb(verb): tuple(map(Verb, mirrored)) for verb, mirrored in entry.verbs.items()}
        if entry.to == ALERT and tables[pair] not in ({Verb.CLOSE: (Verb.CLOSE,)}, {Verb.CLOSE: ()}):
            problems.append(f'{where}.verbs: an alert can only be closed. Write {{"close": ["close"]}}')
    return Mirrors(tables)


def _matchers(texts: Sequence[str], where: str, problems: list[str]) -> tuple[matchers.Matcher, ...]:
    found: list[matchers.Matcher] = []
    for number, text in enumerate(texts):
        try:
            found += matchers.parse(text, f"{where}[{number}]")
        except InvalidInput as error:
            problems.append(str(error))
    return tuple(found)


def _validated(model: type[ModelT], raw: Any, where: str, problems: list[str]) -> ModelT | None:
    try:
        return model.model_validate(raw)
    except ValidationError as error:
        problems += explain(error, where, model)
        return None


def _unknown_kind(kind: object, known: Sequence[str]) -> str:
    if kind is None:
        return f"is missing. Give one of {', '.join(known)}"
    return f'"{kind}" is not a known kind.{nearest(str(kind), known)}'


def _well_named(name: str) -> bool:
    return 0 < len(name) <= 40 and name[0].isalnum() and all(char in _NAME_CHARS for char in name)
