"""One question to a Prometheus or an Alertmanager, which may be away, ask for a login, or be something else."""

from __future__ import annotations

import json
from typing import Any, Callable

from ansible_collections.incidentctl.response.plugins.module_utils import _http, _http_request

_TIMEOUT_S = 10.0
_LIMIT = 16 * 1024 * 1024  # Prometheus before 2.45 tells all its rules, whichever were asked for
_KEYS = ("url", "secret_ref", "ca_file")
_NO_QUESTION, _REASON = (400, 422), 300  # it cannot be read, or not be carried out

Server = dict[str, Any]


class MonitoringError(OSError):
    """A server did not do what it was asked; the message says which and what it said."""


class NotAQuestion(MonitoringError):
    """What it was asked is nothing that it can be asked; the message is its own reason."""


def server(given: dict[str, Any]) -> Server:
    """Return `url`, and `secret_ref` and `ca_file` where they are given, as a request takes them."""
    found = {key: given[key] for key in _KEYS if given.get(key)}
    return {**found, "url": str(found.get("url", "")).rstrip("/")}


def check(given: dict[str, Any], name: str) -> list[str]:
    """Return all that is wrong with what `server` is given, one sentence each."""
    unknown = [f"{name}: unknown key {key}" for key in given if key not in _KEYS]
    return unknown + [f"{name}: {text}" for text in _http_request.check(server(given))]


def anything(_answer: Any) -> None:
    """Read nothing out of an answer: that it came, and as JSON, is enough."""


def _reason(body: str) -> str:
    """Return why Prometheus refuses, in its own words on one line; nothing where it does not say."""
    said = json.loads(body).get("error", "")
    return "".join(sign if sign.isprintable() else " " for sign in str(said))[:_REASON].strip()


def ask(of: Server, path: str, read: Callable[[Any], Any], **request: Any) -> Any:
    """Ask a server for JSON, and return what `read` makes of it. Raise MonitoringError if it is not to be had."""
    answer = _http.call({"timeout_s": _TIMEOUT_S, **of, "url": of["url"] + path, **request}, _LIMIT)
    try:
        if answer["status"] == 200:
            return read(json.loads(answer["body"] or "{}"))
        if answer["status"] in _NO_QUESTION and (said := _reason(answer["body"])):
            raise NotAQuestion(said)
        why = _http.in_words(answer)
    except (ValueError, RecursionError, KeyError, TypeError, AttributeError):
        why = "it answers, but not as it should: is it really there?"
    raise MonitoringError(f"{of['url']}{path.partition('?')[0]}: {why}")
