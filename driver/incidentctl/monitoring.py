"""What the monitoring that is there already says: down targets and firing alerts. Reads, and changes nothing.

Its absence is said and never fatal: monitoring is often part of what is down. Of several, each is asked by itself. The
shapes are those of Prometheus's HTTP API v1 and Alertmanager's API v2, from their documentation.
"""

from __future__ import annotations

import base64
import http.client
import json
import math
import queue
import ssl
import threading
import time
import urllib.error
import urllib.parse
import urllib.request
from collections.abc import Callable, Collection, Mapping
from datetime import UTC, datetime
from typing import Any

from incidentctl.alerts import host_of
from incidentctl.errors import ConfigurationError
from incidentctl.onset import Onset
from incidentctl.settings import Monitoring, Server, resolve_secret

_TIMEOUT_S = 4.0
_BODY_LIMIT = 16 * 1024 * 1024
_BACK_S, _STEP_S = 6 * 3600, 30  # how far back, and how closely, a range is asked for
_NAMED = 50  # targets or alerts that one answer names; the rest is counted

Read = Callable[[Any], set[Any]]


class _NoRedirect(urllib.request.HTTPRedirectHandler):
    """A redirect is no answer of Prometheus, and could lead our login anywhere."""

    def redirect_request(self, *_args: Any, **_kwargs: Any) -> None:
        return None


def look(monitoring: Monitoring) -> dict[str, Any]:
    """Return {down: [target…] or None, alerts: [alert…] or None, problems: [why one could not be asked…]}.

    None means that none was asked or did answer; an empty list means that those that did said all is well. What two of
    them say is told once. Takes about four seconds at most.
    """
    asked = [
        *(("down", server, "/api/v1/query?query=" + urllib.parse.quote("up == 0"), _down_targets)
          for server in monitoring.prometheus),
        *(("alerts", server, "/api/v2/alerts?active=true&silenced=false&inhibited=false", _alerts)
          for server in monitoring.alertmanager),
    ]  # fmt: skip
    found: dict[str, set[str] | None] = {"down": None, "alerts": None}
    problems = []
    answers = _at_once([(server, path, read) for _what, server, path, read in asked])
    for (what, server, *_rest), (names, problem) in zip(asked, answers, strict=True):
        if names is None:
            problems.append(f"{server.url.rstrip('/')}{problem}")
        else:
            found[what] = (found[what] or set()) | names
    return {
        **{what: names if names is None else _bounded(names) for what, names in found.items()},
        "problems": problems,
    }


def down_since(monitoring: Monitoring, hosts: Collection[str]) -> tuple[list[Onset], list[str]]:
    """Return since when Prometheus misses each target of these hosts (names or addresses), and why one could not be asked.

    A target that it has missed all the time for which it was asked, six hours, tells no onset. Takes four seconds at most.
    """
    now = time.time()
    given = {"query": "up == 0", "start": f"{now - _BACK_S:.0f}", "end": f"{now:.0f}", "step": f"{_STEP_S}"}
    path = "/api/v1/query_range?" + urllib.parse.urlencode(given)
    answers = _at_once([(server, path, lambda answer: _gaps(answer, now)) for server in monitoring.prometheus])
    found = {gap for gaps, _problem in answers for gap in gaps or () if host_of(gap[1]) in hosts}
    rows = sorted((at, f"Prometheus misses {job} {instance}") for job, instance, at in found)
    problems = [
        f"{server.url.rstrip('/')}{problem}"
        for server, (gaps, problem) in zip(monitoring.prometheus, answers, strict=True)
        if gaps is None
    ]
    return [Onset(at, source) for at, source in rows[:_NAMED]], problems


def _gaps(answer: Any, now: float) -> set[tuple[str, str, str]]:
    """Return (job, instance, since when) of the targets that are down now and were not all the time."""
    found = set()
    for row in answer["data"]["result"]:
        times = sorted(float(at) for at, _value in row["values"])
        began = max(at for before, at in zip([0.0, *times], times, strict=False) if at - before > 2 * _STEP_S)
        if now - times[-1] <= 2 * _STEP_S and began - (now - _BACK_S) > 2 * _STEP_S:
            at = datetime.fromtimestamp(began, UTC).isoformat(timespec="milliseconds")
            found.add((str(row["metric"].get("job", "?")), str(row["metric"].get("instance", "?")), at))
    return found


def measured(
    monitoring: Monitoring, services: Collection[str], times: Collection[float]
) -> tuple[dict[str, dict[str, list[float | None]]], list[str]]:
    """Return {query: {service: what it gave at each of these times}}, and why one could not be asked.

    Times are seconds since 1970. `$service` in a query is the service's name; one without it is asked once, as of "".
    Of several series, and of several servers, the largest counts. None: nobody gave a number. Takes four seconds at most.
    """
    wanted = [
        (name, service, at, server, "/api/v1/query?" + urllib.parse.urlencode({"query": text, "time": f"{at:.3f}"}))
        for name, query in monitoring.queries.items()
        for service, text in _for_each(query, services)
        for at in times
        for server in monitoring.prometheus
    ]
    answers = _at_once([(server, path, _numbers) for _name, _service, _at, server, path in wanted])
    found: dict[str, dict[str, list[float | None]]] = {}
    problems: dict[str, None] = {}
    for (name, service, at, server, _path), (numbers, problem) in zip(wanted, answers, strict=True):
        values = found.setdefault(name, {}).setdefault(service, [None] * len(times))
        place = list(times).index(at)
        values[place] = max([*(numbers or ()), *([values[place]] if values[place] is not None else [])], default=None)
        if numbers is None:
            problems[f"{server.url.rstrip('/')}{problem}"] = None
    return found, list(problems)


def _for_each(query: str, services: Collection[str]) -> list[tuple[str, str]]:
    return [(name, query.replace("$service", name)) for name in services] if "$service" in query else [("", query)]


def _numbers(answer: Any) -> set[float]:
    result = answer["data"]["result"]
    values = [result] if answer["data"]["resultType"] == "scalar" else [row["value"] for row in result]
    return {value for _at, text in values if math.isfinite(value := float(text))}


def troubles(seen: Mapping[str, Any]) -> list[str]:
    """Return all down targets and firing alerts of what `look` returned."""
    return [*(seen.get("down") or ()), *(seen.get("alerts") or ())]


def _at_once(asked: list[tuple[Server, str, Read]]) -> list[tuple[set[Any] | None, str]]:
    """Ask all of them at once, and wait for none beyond the time: a drip of bytes would hold us for hours.

    Threads are daemons, so that one that is left behind cannot keep a command from ending.
    """
    answered: queue.SimpleQueue[tuple[int, tuple[set[Any] | None, str]]] = queue.SimpleQueue()
    answers: list[tuple[set[Any] | None, str]] = [(None, f": no complete answer within {_TIMEOUT_S:g} s")] * len(asked)
    for number, question in enumerate(asked):
        threading.Thread(
            target=lambda number, question: answered.put((number, _ask(*question))),
            args=(number, question),
            daemon=True,
        ).start()
    deadline = time.monotonic() + _TIMEOUT_S
    for _one in asked:
        try:
            number, answer = answered.get(timeout=max(0.0, deadline - time.monotonic()))
        except queue.Empty:
            break
        answers[number] = answer
    return answers


def _ask(server: Server, path: str, read: Read) -> tuple[set[Any] | None, str]:
    """Return what a server says, or None and the problem, as the rest of a sentence that begins with its address."""
    try:
        request = urllib.request.Request(server.url.rstrip("/") + path, headers=_login(server))  # noqa: S310 - settings checked it
        with _opener(server).open(request, timeout=_TIMEOUT_S) as answer:
            return read(json.loads(answer.read(_BODY_LIMIT))), ""
    except ConfigurationError as error:
        return None, f": {' '.join((error.what + ' ' + error.why).split())}"
    except urllib.error.HTTPError as refusal:
        with refusal:
            return None, f" answers {refusal.code}{_MEANING.get(refusal.code, '')}"
    except (ArithmeticError, AttributeError, LookupError, RecursionError, TypeError, ValueError):
        return None, " does not answer as it should: is it really there?"
    except (OSError, http.client.HTTPException) as error:
        return None, f": {_why(error, server)}"


# Of a refusal, what there is to do about it.
_MEANING = {
    **dict.fromkeys(
        (301, 302, 303, 307, 308), ", a redirect, which is not followed: write the address that it leads to"
    ),
    401: ": it wants another login. Fix: write user and password, or token, under monitoring in incidentctl.yml",
    403: ": the login is not allowed to read this",
}


def _login(server: Server) -> dict[str, str]:
    if server.token is not None:
        found, value = server.token, f"Bearer {resolve_secret(server.token)}"
    elif server.password is not None:
        pair = f"{server.user}:{resolve_secret(server.password)}"
        found, value = server.password, "Basic " + base64.b64encode(pair.encode()).decode()
    else:
        return {}
    if not (value.isascii() and value.isprintable()):
        raise ConfigurationError(
            f"The secret in {found.place} cannot go in a header", "it is not one line of plain text"
        )
    return {"Authorization": value}


def _opener(server: Server) -> urllib.request.OpenerDirector:
    # An environment's proxy must not answer for our own monitoring.
    handlers: list[urllib.request.BaseHandler] = [urllib.request.ProxyHandler({}), _NoRedirect()]
    if server.url.startswith("https://"):
        try:
            trust = ssl.create_default_context(cafile=server.ca_file)
        except ssl.SSLError as error:
            raise ConfigurationError(f"ca_file {server.ca_file} holds no certificate in PEM") from error
        except OSError as error:
            raise ConfigurationError(f"ca_file {server.ca_file} cannot be read", str(error.strerror)) from error
        # Self-made authorities often lack the extensions that Python asks for since 3.13; Prometheus itself does not.
        trust.verify_flags &= ~ssl.VERIFY_X509_STRICT
        handlers.append(urllib.request.HTTPSHandler(context=trust))
    return urllib.request.build_opener(*handlers)


def _why(error: Exception, server: Server) -> str:
    reason = getattr(error, "reason", None) or error
    if isinstance(reason, ssl.SSLCertVerificationError):
        told = f"its certificate is not trusted: {reason.verify_message}"
        return told if server.ca_file else f"{told}. Fix: name the file of the authority that signed it as its ca_file"
    if isinstance(reason, ssl.SSLError):
        return "it does not speak TLS as it should: is it http://?"
    if isinstance(reason, TimeoutError):
        return f"no complete answer within {_TIMEOUT_S:g} s"
    if isinstance(reason, http.client.HTTPException) and not isinstance(reason, OSError):
        return "what came back is not HTTP"
    return str(getattr(reason, "strerror", None) or reason)


def _down_targets(answer: Any) -> set[str]:
    found = [row["metric"] for row in answer["data"]["result"]]
    return {f"{metric.get('job', '?')} {metric.get('instance', '?')}" for metric in found}


def _alerts(answer: Any) -> set[str]:
    return {
        " ".join(str(alert["labels"][key]) for key in ("alertname", "instance") if key in alert["labels"])
        for alert in answer
    }


def _bounded(names: set[str]) -> list[str]:
    found = sorted(names)
    return found if len(found) <= _NAMED else [*found[:_NAMED], f"and {len(found) - _NAMED} more"]
