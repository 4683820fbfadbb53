"""What the monitoring that is there already says: down targets and firing alerts. Reads, and changes nothing.

Its absence is said and never fatal: monitoring is often part of what is down. Of several, each is asked by itself. The
shapes are those of Prometheus's HTTP API v1 and Alertmanager's API v2, from their documentation.
"""

from __future__ import annotations

import base64
import contextlib
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
from collections.abc import Callable, Collection, Mapping, Sequence
from datetime import UTC, datetime
from typing import Any

from incidentctl.alerts import host_of
from incidentctl.errors import ConfigurationError
from incidentctl.onset import Onset
from incidentctl.settings import Monitoring, Server, resolve_secret
from incidentctl.text import plain

_TIMEOUT_S = 4.0
_BODY_LIMIT = 16 * 1024 * 1024
_BACK_S, _STEP_S = 6 * 3600, 30  # how far back, and how closely, a range is asked for
_NAMED = 50  # targets or alerts that one answer names; the rest is counted
_MOST_STEPS, _SHORTEST_STEP_S = 120, 15  # what a query gave over a while is asked for no more closely
_AT_ONCE = 8  # questions to one server, which has others to answer
_REFUSAL_LIMIT, _REASON_CHARS = 64 * 1024, 200

NOTHING = math.nan  # it was asked, and there was nothing to measure

Read = Callable[[Any], set[Any]]
Span = tuple[float, float]  # seconds since 1970


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
    monitoring: Monitoring, services: Collection[str], spans: Sequence[Span | None]
) -> tuple[dict[str, dict[str, list[float | None]]], list[str]]:
    """Return {query: {service: what it gave in each of these spans}}, and why one could not be asked.

    Of a span it is the middle of what it gave over that time; None as a span is now, by the server's own clock. `$service`
    in a query is the service's name; one without it is asked once, as of "". Of several series, and of several servers,
    the largest counts. NOTHING: no series, or nothing but NaN; None: nobody answered. Takes four seconds at most.
    """
    wanted = [
        (name, service, place, server, *_question(text, span))
        for name, query in monitoring.queries.items()
        for service, text in _for_each(query, services)
        for place, span in enumerate(spans)
        for server in monitoring.prometheus
    ]
    answers = _at_once([(server, path, read) for *_which, server, path, read in wanted])
    found: dict[str, dict[str, list[float | None]]] = {}
    problems: dict[str, None] = {}
    for (name, service, place, server, *_question_asked), (numbers, problem) in zip(wanted, answers, strict=True):
        values = found.setdefault(name, {}).setdefault(service, [None] * len(spans))
        values[place] = _largest([*(numbers or ()), *([] if values[place] is None else [values[place]])])
        if numbers is None:
            problems[f"{server.url.rstrip('/')}{problem}"] = None
    return found, list(problems)


def _question(query: str, span: Span | None) -> tuple[str, Read]:
    if span is None:
        return "/api/v1/query?" + urllib.parse.urlencode({"query": query}), _now
    step = max(_SHORTEST_STEP_S, math.ceil((span[1] - span[0]) / _MOST_STEPS))
    given = {"query": query, "start": f"{span[0]:.3f}", "end": f"{span[1]:.3f}", "step": f"{step}"}
    return "/api/v1/query_range?" + urllib.parse.urlencode(given), _middle


def _for_each(query: str, services: Collection[str]) -> list[tuple[str, str]]:
    return [(name, query.replace("$service", name)) for name in services] if "$service" in query else [("", query)]


def _now(answer: Any) -> set[Any]:
    result = answer["data"]["result"]
    values = [result] if answer["data"]["resultType"] == "scalar" else [row["value"] for row in result]
    return {_largest([*(float(text) for _at, text in values), NOTHING])}


def _middle(answer: Any) -> set[float]:
    moments: dict[float, float] = {}
    for row in answer["data"]["result"]:
        for at, text in row["values"]:
            if not math.isnan(value := float(text)):
                moments[float(at)] = max(value, moments.get(float(at), -math.inf))
    values = sorted(moments.values())
    return {values[len(values) // 2] if values else NOTHING}


def _largest(values: Sequence[float | None]) -> float | None:
    numbers = [value for value in values if value is not None and not math.isnan(value)]
    return max(numbers) if numbers else NOTHING if values else None


def troubles(seen: Mapping[str, Any]) -> list[str]:
    """Return all down targets and firing alerts of what `look` returned."""
    return [*(seen.get("down") or ()), *(seen.get("alerts") or ())]


def _at_once(asked: list[tuple[Server, str, Read]]) -> list[tuple[set[Any] | None, str]]:
    """Ask all of them, a few of each server at once, and wait for none beyond the time: a drip of bytes would hold us for hours.

    Threads are daemons, so that one that is left behind cannot keep a command from ending.
    """
    answered: queue.SimpleQueue[tuple[int, tuple[set[Any] | None, str]]] = queue.SimpleQueue()
    answers: list[tuple[set[Any] | None, str]] = [(None, f": no complete answer within {_TIMEOUT_S:g} s")] * len(asked)
    deadline = time.monotonic() + _TIMEOUT_S
    left: dict[str, queue.SimpleQueue[int]] = {}  # of each server by itself: one that hangs takes no turn of another
    for number, (server, *_rest) in enumerate(asked):
        left.setdefault(server.url, queue.SimpleQueue()).put(number)

    def go(numbers: queue.SimpleQueue[int]) -> None:
        with contextlib.suppress(queue.Empty):
            while time.monotonic() < deadline:
                number = numbers.get_nowait()
                answered.put((number, _ask(*asked[number])))

    for numbers in left.values():
        for _thread in range(min(_AT_ONCE, numbers.qsize())):
            threading.Thread(target=go, args=(numbers,), daemon=True).start()
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
            return None, f" answers {refusal.code}{_MEANING.get(refusal.code) or _reason(refusal)}"
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


def _reason(refusal: urllib.error.HTTPError) -> str:
    """Return why Prometheus refuses, as of a query that is no PromQL; nothing where it does not say."""
    try:
        said = json.loads(refusal.read(_REFUSAL_LIMIT))["error"]
    except (OSError, http.client.HTTPException, LookupError, RecursionError, TypeError, ValueError):
        return ""
    return f": {plain(str(said), _REASON_CHARS)}"


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
