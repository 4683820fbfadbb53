"""What the monitoring that is there already says: down targets and firing alerts. Reads, and changes nothing.

Its absence is said and never fatal: monitoring is often part of what is down. The shapes are those of Prometheus's
HTTP API v1 and Alertmanager's API v2, from their documentation.
"""

from __future__ import annotations

import http.client
import json
import urllib.parse
import urllib.request
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from typing import Any

from incidentctl.settings import Monitoring

_TIMEOUT_S = 4.0
_BODY_LIMIT = 4 * 1024 * 1024
_NAMED = 50  # targets or alerts that one answer names; the rest is counted


class _NoRedirect(urllib.request.HTTPRedirectHandler):
    """A redirect is no answer of Prometheus."""

    def redirect_request(self, *_args: Any, **_kwargs: Any) -> None:
        return None


# An environment's proxy must not answer for our own monitoring.
_OPENER = urllib.request.build_opener(urllib.request.ProxyHandler({}), _NoRedirect)


def look(monitoring: Monitoring) -> dict[str, Any]:
    """Return {down: [target…] or None, alerts: [alert…] or None, problems: [why one could not be asked…]}.

    None means that it was not asked or did not answer; an empty list means that it said all is well. Takes about four
    seconds at most.
    """
    asked: dict[str, tuple[str | None, str, Callable[[Any], list[str]]]] = {
        "down": (monitoring.prometheus, "/api/v1/query?query=" + urllib.parse.quote("up == 0"), _down_targets),
        "alerts": (monitoring.alertmanager, "/api/v2/alerts?active=true&silenced=false&inhibited=false", _alerts),
    }
    seen: dict[str, Any] = {"down": None, "alerts": None, "problems": []}
    with ThreadPoolExecutor(len(asked)) as pool:
        answers = {
            name: pool.submit(_ask, base.rstrip("/") + path, read) for name, (base, path, read) in asked.items() if base
        }
        for name, answer in answers.items():
            found, problem = answer.result()
            seen[name] = found
            seen["problems"] += [problem] if problem else []
    return seen


def troubles(seen: Mapping[str, Any]) -> list[str]:
    """Return all down targets and firing alerts of what `look` returned."""
    return [*(seen.get("down") or ()), *(seen.get("alerts") or ())]


def _ask(url: str, read: Callable[[Any], list[str]]) -> tuple[list[str] | None, str | None]:
    parts = urllib.parse.urlsplit(url)
    place = f"{parts.scheme}://{parts.hostname}:{parts.port or ''}".rstrip(":")
    try:
        with _OPENER.open(url, timeout=_TIMEOUT_S) as answer:
            return read(json.loads(answer.read(_BODY_LIMIT))), None
    except (ValueError, KeyError, TypeError, AttributeError):
        return None, f"{place} does not answer as it should: is it really there?"
    except (OSError, http.client.HTTPException) as error:
        return None, f"{place}: {getattr(error, 'reason', None) or error}"


def _down_targets(answer: Any) -> list[str]:
    found = [row["metric"] for row in answer["data"]["result"]]
    return _bounded(f"{metric.get('job', '?')} {metric.get('instance', '?')}" for metric in found)


def _alerts(answer: Any) -> list[str]:
    return _bounded(
        " ".join(str(alert["labels"][key]) for key in ("alertname", "instance") if key in alert["labels"])
        for alert in answer
    )


def _bounded(names: Any) -> list[str]:
    found = sorted(set(names))
    return found if len(found) <= _NAMED else [*found[:_NAMED], f"and {len(found) - _NAMED} more"]
