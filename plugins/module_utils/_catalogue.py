"""The one schema of `incident_services` (docs/contracts.md, 1), and the pick of a host's own services."""

from __future__ import annotations

import difflib
import re
from typing import Any

from ansible_collections.incidentctl.response.plugins.module_utils import _check_address, _http_request

_NAME = re.compile(r"[a-z0-9][a-z0-9-]{0,62}")
_HOST = re.compile(r"[A-Za-z0-9:][A-Za-z0-9:._-]{0,252}")
_VARIABLE = re.compile(r"[A-Za-z_][A-Za-z0-9_]{0,99}")
_IMAGE = re.compile(r"(?:[a-z0-9][a-z0-9._-]*(?::[0-9]+)?/)?(?:[a-z0-9][a-z0-9._-]*/)*[a-z0-9][a-z0-9._-]*")
_LIST, _DICT, _STR, _BOOL = "a list", "a mapping", "a string", "true or false"
_TYPES = {_LIST: list, _DICT: dict, _STR: str, _BOOL: bool}

_SERVICE = {
    "name": _STR,
    "hosts": _STR,
    "manager": _STR,
    "compose_file": _STR,
    "compose_service": _STR,
    "unit": _STR,
    "control": _DICT,
    "essential": _BOOL,
    "user_facing": _BOOL,
    "integrations": _LIST,
    "health": _DICT,
    "ports": _LIST,
    "logs": _LIST,
    "config": _LIST,
    "depends_on": _LIST,
    "data": _LIST,
    "releases": _DICT,
    "maintenance": _DICT,
    "circuit_breakers": _LIST,
    "alerts": _LIST,
}
# What each manager needs in order to be managed.
_MANAGERS = {"compose": "compose_file", "systemd": "unit", "command": "control"}
# kind → keys it needs; every other key of that kind is optional and named in `_OPTIONAL`.
_KINDS: dict[str, dict[str, tuple[str, ...]]] = {
    "logs": {"compose": (), "journal": ("unit",), "file": ("path",)},
    "data": {"files": ("path",), "postgresql": ("database",), "sqlite": ("path",)},
    "releases": {
        "symlink": ("root", "current"),
        "compose_image": ("image", "variable"),
        "command": ("rollback", "current"),
    },
}
_OPTIONAL = {
    "symlink": ("migrations", "hotfix"),
    "compose_image": ("history", "hotfix", "build"),
    "command": ("hotfix", "forward"),
    "postgresql": ("user", "host", "port", "shrinks"),
    "sqlite": ("shrinks",),
}
_BUILD = ("context", "file", "target", "args")
_HEALTH = ("url", "expect_status", "timeout_s", "ca_file")
_TOGGLE = ("on", "off", "status")
_BREAKER = ("open", "close", "status")
_EGRESS = ("host", "port")
_STATUS = (*_http_request.KEYS, "expect", "within_s")  # what is read back


class CatalogueError(ValueError):
    """`incident_services` cannot be used; the message lists every error at once."""


def services_of_host(params: dict[str, Any]) -> list[dict[str, Any]]:
    """Given a module's parameters, return this host's services (those in `only`, when it names any).

    Raise CatalogueError, naming all errors at once, if the catalogue or `only` is wrong.
    """
    places = {params["host_name"], *params["host_groups"], "all"}
    return [service for service in services_named(params) if service["hosts"] in places]


def services_named(params: dict[str, Any]) -> list[dict[str, Any]]:
    """Given a module's parameters, return the services in `only` (all when it names none), whatever host runs them.

    Raise CatalogueError, naming all errors at once, if the catalogue or `only` is wrong.
    """
    services, only = [_with_words(service) for service in params["services"]], params.get("only") or []
    problems = check(services)
    known = [s.get("name") for s in services if isinstance(s, dict)]
    problems += [f"no service is named {name!r}{_nearest(name, known)}" for name in only if name not in known]
    if problems:
        raise CatalogueError("incident_services: " + "; ".join(problems))
    return [service for service in services if not only or service["name"] in only]


def _with_words(service: Any) -> Any:
    """In YAML a bare `on` or `off` is a boolean, and `true` by the time it has come here: take it as it was meant."""
    if not (isinstance(service, dict) and isinstance(service.get("maintenance"), dict)):
        return service
    meant = {"true": "on", "false": "off"}
    toggles = {meant.get(str(key).lower(), key): request for key, request in service["maintenance"].items()}
    return {**service, "maintenance": toggles}


def check(services: Any) -> list[str]:
    """Given a catalogue as the inventory has it, return all that is wrong with it, one sentence each."""
    if not isinstance(services, list):
        return ["must be a list of services"]
    problems: list[str] = []
    names: list[Any] = []
    for index, service in enumerate(map(_with_words, services)):
        if not isinstance(service, dict):
            problems.append(f"entry {index + 1} must be a mapping")
            continue
        label = service.get("name", f"entry {index + 1}")
        names.append(label)
        problems += [f"{label}: {text}" for text in _check_service(service)]
    for name, wanted in _check_address.unknown_services(services):
        problems.append(f"{name}: depends_on.service: no service is named {wanted!r}{_nearest(wanted, names)}")
    problems += [f"{name}: is there twice" for name in sorted({n for n in names if names.count(n) > 1}, key=str)]
    return problems


def _check_service(service: dict[str, Any]) -> list[str]:
    problems = _check_keys(service, tuple(_SERVICE), ("name", "hosts"))
    mistaken = [key for key, kind in _SERVICE.items() if key in service and not isinstance(service[key], _TYPES[kind])]
    problems += [f"{key} must be {_SERVICE[key]}{_given(service[key])}" for key in mistaken]
    given, service = service, {key: value for key, value in service.items() if key not in mistaken}
    if "name" in service and not _NAME.fullmatch(service["name"]):
        problems.append("name must be lower-case letters, digits and dashes, 63 at most")
    manager = service.get("manager")
    if manager is not None and manager not in _MANAGERS:
        problems.append(f"manager must be one of {', '.join(_MANAGERS)}, not {manager!r}{_nearest(manager, _MANAGERS)}")
    elif manager is not None and _MANAGERS[manager] not in given:
        problems.append(f"manager {manager} needs {_MANAGERS[manager]}")
    problems += [
        f"ports must be numbers from 1 to 65535, not {port!r}"
        for port in service.get("ports", [])
        if not _is_port(port)
    ]
    problems += [
        f"integrations must be names, not {name!r}"
        for name in service.get("integrations", [])
        if not isinstance(name, str)
    ]
    if "control" in service:
        problems += _check_keys(
            service["control"], ("start", "stop", "status"), ("start", "stop", "status"), "control."
        )
        problems += [
            f"control.{k} must be a list of words (argv)" for k, v in service["control"].items() if not _is_argv(v)
        ]
    problems += _check_probes(service)
    if "maintenance" in service:
        problems += _check_keys(service["maintenance"], _TOGGLE, ("on", "off"), "maintenance.")
        problems += _check_toggle(service["maintenance"], _TOGGLE, "maintenance.")
    problems += _check_breakers(service.get("circuit_breakers", []))
    problems += [
        f"config must hold absolute paths: {path!r}" for path in service.get("config", []) if not _is_absolute(path)
    ]
    for key in ("logs", "data"):
        for item in service.get(key, []):
            problems += _check_kind(key, item) or _check_shrinks(key, item)
    if "releases" in service:
        problems += _check_kind("releases", service["releases"]) or _check_image(service)
    return problems


def _check_shrinks(key: str, item: dict[str, Any]) -> list[str]:
    tables = item.get("shrinks", [])
    if isinstance(tables, list) and all(isinstance(name, str) for name in tables):
        return []
    return [f"{key}.shrinks must be a list of names of tables: {tables!r}"]


def _check_image(service: dict[str, Any]) -> list[str]:
    releases = service["releases"]
    if releases["kind"] != "compose_image":
        return []
    needed = [f"releases of kind compose_image need {key}" for key in ("manager", "compose_file") if key not in service]
    if not _IMAGE.fullmatch(str(releases["image"])):
        needed.append(f"releases.image must be an image's name without a tag: {releases['image']!r}")
    if not _VARIABLE.fullmatch(str(releases["variable"])):
        needed.append(f"releases.variable must be a variable's name, as in the compose file: {releases['variable']!r}")
    return needed + (_check_build(releases) if "build" in releases else [])


def _check_build(releases: dict[str, Any]) -> list[str]:
    build = releases["build"]
    problems = _check_keys(build, _BUILD, ("context",), "releases.build.")
    if not isinstance(build, dict):
        return problems
    if "hotfix" in releases:
        problems.append("releases.build and releases.hotfix exclude each other: a hotfix is built, or a command")
    if "context" in build and not _is_absolute(build["context"]):
        problems.append(f"releases.build.context must be an absolute path: {build['context']!r}")
    problems += [
        f"releases.build.{key} must be text, and not begin with a dash: {build[key]!r}"
        for key in ("file", "target")
        if key in build
        and not (isinstance(build[key], str) and re.fullmatch(r"[^\x00-\x1f-][^\x00-\x1f]*", build[key]))
    ]
    arguments = build.get("args", {})
    if not isinstance(arguments, dict) or not all(_VARIABLE.fullmatch(str(name)) for name in arguments):
        problems.append("releases.build.args must be a mapping of names to values")
    elif not all(isinstance(value, (str, int, float)) and str(value).isprintable() for value in arguments.values()):
        problems.append("releases.build.args: each value must be text on one line, or a number")
    return problems


def _check_probes(service: dict[str, Any]) -> list[str]:
    problems: list[str] = []
    if "health" in service:
        problems += _check_keys(service["health"], _HEALTH, ("url",), "health.")
        figures = [key for key in ("expect_status", "timeout_s") if not _is_figure(service["health"].get(key, 0))]
        problems += [f"health.{key} must be a number from 0 to 3600" for key in figures]
        asked = {key: service["health"][key] for key in ("url", "ca_file") if key in service["health"]}
        problems += [f"health.{text}" for text in _http_request.check(asked) if "url" in asked]
    for dependency in service.get("depends_on", []):
        problems += _check_dependency(dependency)
    for alert in service.get("alerts", []):
        wrong = _check_keys(alert, ("name", "expr"), ("name", "expr"), "alerts.")
        problems += wrong or [
            f"alerts.{key} must be a string{_given(alert[key])}" for key in alert if not _is_text(alert[key])
        ]
    return problems


def _check_breakers(breakers: list[Any]) -> list[str]:
    problems: list[str] = []
    for breaker in breakers:
        problems += (
            _check_egress(breaker) if isinstance(breaker, dict) and "egress" in breaker else _check_breaker(breaker)
        )
    names = [str(breaker["name"]) for breaker in breakers if isinstance(breaker, dict) and "name" in breaker]
    problems += [
        f"circuit_breakers.name must be lower-case letters, digits and dashes, 63 at most: {name!r}"
        for name in names
        if not _NAME.fullmatch(name)
    ]
    return problems + [f"circuit breaker {name} is there twice" for name in sorted(set(names)) if names.count(name) > 1]


def _check_breaker(breaker: Any) -> list[str]:
    problems = _check_keys(breaker, ("name", *_BREAKER), ("name", "open", "close"), "circuit_breakers.")
    if not isinstance(breaker, dict):
        return problems
    name = breaker.get("name")
    return problems + _check_toggle(breaker, _BREAKER, f"circuit_breakers.{name}." if name else "circuit_breakers.")


def _check_toggle(toggle: dict[str, Any], keys: tuple[str, ...], prefix: str) -> list[str]:
    """Check the requests of a toggle; `keys` names the one that turns it on first, and its status last."""
    problems: list[str] = []
    for key in (key for key in keys if key in toggle):
        request = toggle[key]
        problems += _check_keys(
            request, _STATUS if key == keys[-1] else _http_request.KEYS, ("url",), f"{prefix}{key}."
        )
        if isinstance(request, dict) and "url" in request:
            problems += [f"{prefix}{key}.{text}" for text in _http_request.check(request)]
    status = toggle.get(keys[-1])
    if not isinstance(status, dict) or problems:
        return problems
    expect = status.get("expect", toggle.get(keys[0], {}).get("json"))
    if not (isinstance(expect, dict) and expect):
        problems.append(f"{prefix}{keys[-1]}.expect must be a mapping: what the status says after {keys[0]}")
    if not _is_figure(status.get("within_s", 0)) or float(status.get("within_s", 0)) > _http_request.LONGEST_S:
        problems.append(f"{prefix}{keys[-1]}.within_s must be a number of seconds, {_http_request.LONGEST_S:g} at most")
    return problems


def _check_egress(breaker: dict[str, Any]) -> list[str]:
    problems = _check_keys(breaker, ("name", "egress"), ("name",), "circuit_breakers.")
    egress = breaker["egress"]
    wrong = _check_keys(egress, _EGRESS, _EGRESS, "circuit_breakers.egress.")
    if not wrong and not _HOST.fullmatch(str(egress["host"])):
        wrong.append(f"circuit_breakers.egress.host must be a host's name or address: {egress['host']!r}")
    if not wrong and not _is_port(egress["port"]):
        wrong.append(f"circuit_breakers.egress.port must be a number from 1 to 65535: {egress['port']!r}")
    return problems + wrong


def _check_dependency(item: Any) -> list[str]:
    problems = _check_keys(item, _check_address.KEYS, ("name", "check"), "depends_on.")
    return problems or [f"depends_on.{text}" for text in _check_address.check(item)]


def _check_kind(key: str, item: Any) -> list[str]:
    kinds = _KINDS[key]
    kind = item.get("kind") if isinstance(item, dict) else None
    if not isinstance(kind, str) or kind not in kinds:
        return [f"{key}: kind must be one of {', '.join(kinds)}, not {kind!r}{_nearest(kind, kinds)}"]
    return _check_keys(item, ("kind", *kinds[kind], *_OPTIONAL.get(kind, ())), ("kind", *kinds[kind]), f"{key}.")


def _check_keys(item: Any, allowed: tuple[str, ...], needed: tuple[str, ...], prefix: str = "") -> list[str]:
    if not isinstance(item, dict):
        return [f"{prefix.rstrip('.')} must be a mapping"]
    unknown = [f"unknown key {prefix}{key}{_nearest(key, allowed)}" for key in item if key not in allowed]
    return unknown + [f"{prefix}{key} is missing" for key in needed if key not in item]


def _given(value: Any) -> str:
    """Say what stands there, where that is short: a list or a mapping is told by its lack of one."""
    return f", not {value!r}" if isinstance(value, (str, int, float, type(None))) else ""


def _is_text(value: Any) -> bool:
    return isinstance(value, str) and bool(value.strip())


def _is_figure(value: Any) -> bool:
    try:
        return 0 <= float(value) <= 3600
    except (TypeError, ValueError):
        return False


def _is_port(value: Any) -> bool:
    return re.fullmatch("[0-9]{1,5}", str(value)) is not None and 0 < int(value) < 65536


def _is_absolute(path: Any) -> bool:
    return isinstance(path, str) and path.startswith("/") and path.isprintable()


def _is_argv(value: Any) -> bool:
    return isinstance(value, list) and bool(value) and all(isinstance(word, str) for word in value)


def _nearest(word: Any, known: Any) -> str:
    close = difflib.get_close_matches(str(word), [str(k) for k in known], n=1)
    return f" (did you mean {close[0]}?)" if close else ""
