"""What the monitoring that is there already says: down targets and firing alerts. Reads, and changes nothing.

Its absence is said and never fatal: monitoring is often part of what is down. Of several, each is asked by itself. The
shapes are those of Prometheus's HTTP API v1 and Alertmanager's API v2, from their documentation.
"""

from __future__ import annotations

import math
import time
import urllib.parse
from collections.abc import Callable, Collection, Mapping, Sequence
from datetime import UTC, datetime
from functools import partial
from typing import Any

from incidentctl import series, servers
from incidentctl.alerts import host_of
from incidentctl.onset import Onset
from incidentctl.series import TARGETS, Answer, Question, Span
from incidentctl.servers import Read
from incidentctl.settings import Monitoring

_BACK_S, _STEP_S = 6 * 3600, 30  # how far back, and how closely, a range is asked for
_NAMED = 50  # targets or alerts that one answer names; the rest is counted
_MOST_STEPS, _SHORTEST_STEP_S = 120, 15  # what a query gave over a while is asked for no more closely
_BESIDE = 4  # questions to one server beside those of another look at it

NOTHING = math.nan  # it was asked, and there was nothing to measure


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
    answers = servers.ask([(server, path, read) for _what, server, path, read in asked])
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
    path = _range("up == 0", (now - _BACK_S, now), _STEP_S)
    answers = servers.ask([(server, path, lambda answer: _gaps(answer, now)) for server in monitoring.prometheus])
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
        for service, text in for_each(query, services)
        for place, span in enumerate(spans)
        for server in monitoring.prometheus
    ]
    answers = servers.ask([(server, path, read) for *_which, server, path, read in wanted])
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
    return _range(query, span, step), _middle


def over(
    monitoring: Monitoring, questions: Sequence[Question], spans: Sequence[Span]
) -> Callable[[], list[list[Answer]]]:
    """Begin to ask each Prometheus each question over each span; return what waits for the answers, of each span a list.

    That takes four seconds from now on.
    """
    wanted = [(span, question, server) for span in spans for question in questions for server in monitoring.prometheus]
    asked = [
        (
            server,
            _range(question.query, span, series.step(span)),
            partial(series.read, span=span, least=question.kind == TARGETS),
        )
        for span, question, server in wanted
    ]
    answers = servers.begin(asked, _BESIDE)

    def told() -> list[list[Answer]]:
        found: dict[Span, list[Answer]] = {span: [] for span in spans}
        for (span, question, server), (answer, problem) in zip(wanted, answers(), strict=True):
            each, left_out = answer or ((), 0)
            found[span].append(Answer(question, server.url.rstrip("/"), each, left_out, problem))
        return list(found.values())

    return told


def _range(query: str, span: Span, step: int) -> str:
    given = {"query": query, "start": f"{span[0]:.3f}", "end": f"{span[1]:.3f}", "step": f"{step}"}
    return "/api/v1/query_range?" + urllib.parse.urlencode(given)


def for_each(query: str, services: Collection[str]) -> list[tuple[str, str]]:
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
