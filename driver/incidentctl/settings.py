"""incidentctl.yml → typed settings (docs/contracts.md, 2). The only reader of that file."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any, Literal

import platformdirs
from pydantic import Field, StrictBool, StrictInt, TypeAdapter, ValidationError, model_validator

from incidentctl import _settings_problems, _yaml_lines
from incidentctl._settings_outside import Alerts, CustomPlaybook, Monitoring, Server, Tracker
from incidentctl._settings_values import Duration, Part, PathFromFile, RecordUrl, Secret, wrong
from incidentctl.errors import ConfigurationError, UsageError

__all__ = [
    "Alerts",
    "CustomPlaybook",
    "Monitoring",
    "Secret",
    "Server",
    "Settings",
    "Tracker",
    "find_file",
    "load",
    "resolve_secret",
    "seconds",
]

FILE_NAME = "incidentctl.yml"
STATE_DIR = "INCIDENTCTL_STATE_DIR"  # goes before the file's: at 3 a.m. its disk may be full, and the file on it

Positive = Annotated[Duration, Field(gt=0)]
Names = tuple[str, ...]

DEFAULT_SEVERITIES: dict[str, dict[str, Any]] = {
    "critical": {
        "contain": ["backup", "scale_down", "circuit_breaker"],
        "ticket": True,
        "sla": {"acknowledge": "5m", "contain": "15m", "resolve": "4h"},
    },
    "high": {
        "contain": ["enhanced_monitoring", "prepare_rollback"],
        "ticket": True,
        "sla": {"acknowledge": "15m", "contain": "1h", "resolve": "8h"},
    },
    "medium": {"watch": True, "sla": {"acknowledge": "1h", "contain": "4h", "resolve": "1d"}},
    "low": {"watch": True, "sla": {"acknowledge": "4h", "contain": "1d", "resolve": "3d"}},
}


class Sla(Part):
    """Seconds after the declaration by which something must have happened."""

    acknowledge: Positive
    contain: Positive
    resolve: Positive


class Severity(Part):
    """What one severity sets going: capabilities in their order, audiences, a ticket, watching."""

    contain: Names = ()
    notify: Names = ()
    sla: Sla
    approvals: Annotated[StrictInt, Field(ge=0, le=100)] = 1
    ticket: StrictBool = False
    watch: StrictBool = False
    escalate: StrictBool = False


def _default_severities() -> dict[str, Severity]:
    return {name: Severity.model_validate(policy) for name, policy in DEFAULT_SEVERITIES.items()}


class Audience(Part):
    """Who is told what, at which apprise URLs; and who is told next when nobody acknowledges within seconds."""

    kind: Literal["internal", "on_call", "management", "customers", "partners"] = "internal"
    send: tuple[Secret, ...] = ()
    template: PathFromFile | None = None
    escalate_after: Positive | None = None
    then: str | None = None

    @model_validator(mode="after")
    def _escalates_to_somebody(self) -> Audience:
        if (self.escalate_after is None) != (self.then is None):
            raise wrong("escalate_after and then belong together", "write both, or neither")
        return self


class StatusPage(Part):
    """The folder that a web server shows to customers; without one there is no status page."""

    folder: PathFromFile | None = None


class Guards(Part):
    """How far a plan may reach (guards.py)."""

    max_hosts_changed: Annotated[StrictInt, Field(ge=1)] = 10
    max_fraction_changed: Annotated[float, Field(gt=0, le=1)] = 0.5
    never_isolate: Names = ()
    max_backup_age: Positive = 86400.0  # before a rollback across a schema change
    max_source_fraction: Annotated[float, Field(gt=0, le=1)] = 0.3  # of a port's connections: who holds more is a proxy


class Verify(Part):
    """Health must come back `within` these seconds, and then hold for `window` seconds; what follows on a worse verdict."""

    window: Duration = 30.0
    within: Positive = 120.0
    on_worse: Literal["ask", "forward"] = "ask"


class Deadlines(Part):
    """Seconds that one phase may take."""

    phase: Positive = 600.0


class Drills(Part):
    """The folder of drills, and the hosts that they may break: a pattern as of --limit."""

    folder: PathFromFile | None = None
    hosts: str = ""

    @model_validator(mode="after")
    def _never_without_hosts(self) -> Drills:
        if (self.folder is None) != (not self.hosts.strip()):
            raise wrong("folder and hosts belong together: a drill breaks hosts", "write both, or neither")
        return self


class Execution(Part):
    """Where Ansible runs."""

    kind: Literal["local"] = "local"


class Settings(Part):
    """All of incidentctl.yml; durations are seconds, paths absolute."""

    inventory: PathFromFile | None = None
    state_dir: PathFromFile = Field(default_factory=lambda: platformdirs.user_state_path("incidentctl"))
    record_url: RecordUrl = ""  # becomes a SQLite file in state_dir
    severities: dict[str, Severity] = Field(default_factory=_default_severities)
    audiences: dict[str, Audience] = Field(default_factory=dict)
    status_page: StatusPage = StatusPage()
    tracker: Tracker = Tracker()
    monitoring: Monitoring = Monitoring()
    alerts: Alerts = Alerts()
    guards: Guards = Guards()
    verify: Verify = Verify()
    deadlines: Deadlines = Deadlines()
    mitigate: Names = ("enhanced_monitoring", "rate_limit", "restart")  # what option C does, in this order
    custom_playbooks: dict[str, CustomPlaybook] = Field(default_factory=dict)
    drills: Drills = Drills()
    memory_bank: PathFromFile = Path("memory_bank")
    execution: Execution = Execution()

    def resolve_secret(self, secret: Secret) -> str:
        """Given a reference, return the secret. Raise ConfigurationError if it is not there."""
        return resolve_secret(secret)

    def secret_environment(self) -> frozenset[str]:
        """Return the names of the environment variables that hold secrets: no other program gets them."""
        references = [secret for audience in self.audiences.values() for secret in audience.send]
        references += [found for found in (self.tracker.url, self.tracker.token, self.alerts.token) if found]
        for server in (*self.monitoring.prometheus, *self.monitoring.alertmanager):
            references += [found for found in (server.password, server.token) if found]
        return frozenset(secret.env for secret in references if secret.env is not None)


def load(
    path: Path | None = None,
    environ: Mapping[str, str] | None = None,
    cwd: Path | None = None,
    capabilities: frozenset[str] | None = None,
    mitigations: frozenset[str] | None = None,
) -> Settings:
    """Read the settings from `path`, else from where `find_file` finds them, else take all defaults.

    $INCIDENTCTL_STATE_DIR goes before `state_dir`. `capabilities` are the names that `contain` may hold, `mitigations` those
    that `mitigate` may; without them they are not checked. Raise
    ConfigurationError that tells everything that is wrong at once, each with file, line and fix.
    """
    here, environ = Path.cwd() if cwd is None else cwd, os.environ if environ is None else environ
    elsewhere = {"state_dir": str(here / environ[STATE_DIR])} if environ.get(STATE_DIR) else {}
    file = find_file(path, environ, here)
    if file is None:  # without a file there is no folder of ours but the state's
        state = elsewhere.get("state_dir", platformdirs.user_state_path("incidentctl"))
        return _settings({"memory_bank": str(Path(state) / "memory_bank"), **elsewhere}, here)
    document = _yaml_lines.parse(_read(file))
    data = {} if document.data is None else document.data
    problems = list(document.problems)
    settings = None
    if not isinstance(data, dict):
        problems.append(_yaml_lines.Problem(1, "", "must be a mapping of keys", "begin with, say, `inventory: …`"))
    elif document.root is not None:
        problems += _settings_problems.dangling(document, data, DEFAULT_SEVERITIES, capabilities, mitigations)
        try:
            settings = _settings({**data, **elsewhere}, file.parent)
        except ValidationError as error:
            problems += _settings_problems.of_pydantic(document, error, Settings)
    elif not problems:
        settings = _settings(elsewhere, file.parent)
    if problems or settings is None:
        raise _settings_problems.as_error(file, problems)
    return settings


def find_file(path: Path | None, environ: Mapping[str, str], cwd: Path) -> Path | None:
    """Return the file that is read: `path`, $INCIDENTCTL_CONFIG, ./incidentctl.yml, the user's own; or None."""
    named = path or environ.get("INCIDENTCTL_CONFIG")
    if named:
        return cwd / named
    places = (cwd / FILE_NAME, platformdirs.user_config_path("incidentctl") / FILE_NAME)
    return next((place for place in places if place.exists()), None)


def seconds(text: str) -> float:
    """Given a duration as a person types it (30s, 5m), return its seconds. Raise UsageError if it is none."""
    try:
        found: float = TypeAdapter(Positive).validate_python(text)
    except ValidationError as error:
        raise UsageError(f"{text!r} is not a duration.", fix="write 30s, 5m, 4h, 1d, or a number of seconds") from error
    return found


def resolve_secret(secret: Secret) -> str:
    """Given a reference, return the secret. Raise ConfigurationError if it is not there."""
    if secret.env is not None:
        value = os.environ.get(secret.env, "")
        fix = f"export {secret.env}=… in the environment that incidentctl runs in"
    else:
        fix = "put it there, readable for you alone"
        try:
            value = Path(secret.file or "").read_text(encoding="utf-8").strip()
        except (OSError, ValueError) as error:
            why = getattr(error, "strerror", None) or "it is not a text file"
            raise ConfigurationError(f"The secret in {secret.place} cannot be read", why, fix) from error
    if not value:
        raise ConfigurationError(f"There is no secret in {secret.place}", "", fix)
    return value


def _settings(data: dict[Any, Any], folder: Path) -> Settings:
    # A key without a value is a key that was not set.
    given = {key: value for key, value in data.items() if value is not None}
    severities = given.get("severities", {})
    if isinstance(severities, dict):
        known = {name: severities.get(name) for name in DEFAULT_SEVERITIES}
        given["severities"] = {name: _merge(DEFAULT_SEVERITIES[name], mine) for name, mine in known.items()}
    return Settings.model_validate(given, context={"folder": folder.absolute()})


def _merge(default: Any, given: Any) -> Any:
    if given is None:
        return default
    if not (isinstance(default, dict) and isinstance(given, dict)):
        return given
    return {**given, **{key: _merge(value, given.get(key)) for key, value in default.items()}}


def _read(file: Path) -> str:
    try:
        return file.read_text(encoding="utf-8")
    except UnicodeDecodeError as error:
        raise _settings_problems.as_error(file, [_yaml_lines.not_utf8(error)]) from error
    except (OSError, ValueError) as error:
        why = getattr(error, "strerror", None) or str(error)
        raise ConfigurationError(f"{file} cannot be read", why, "name another file with --config") from error
