"""Is a service healthy? One probe, or health held over a window."""

from __future__ import annotations

import re
import time
from typing import Any, Callable

from ansible_collections.incidentctl.response.plugins.module_utils import _http

INTERVAL_S = 0.5
_SAID = 200  # characters of an answer that are told
_READ = 4000
_TAGS = re.compile(r"<(head|style|script)\b.*?</\1\s*>|<[^>]*>", re.DOTALL | re.IGNORECASE)


def probe(health: dict[str, Any]) -> dict[str, Any]:
    """Given a service's `health`, ask once: {healthy, status, latency_ms, detail}.

    `detail` says in words what came back; status None means no answer at all.
    """
    wanted = int(health.get("expect_status", 200))
    answer = _http.call(
        {"url": health["url"], "timeout_s": health.get("timeout_s", 3), "ca_file": health.get("ca_file")}
    )
    healthy = answer["status"] == wanted
    if answer["status"] is None:
        detail = f"no answer from {health['url']}: {answer['error']}"
    elif 300 <= answer["status"] < 400 and not healthy:
        detail = f"{_http.in_words(answer)} (expected {wanted})"
    elif healthy:
        detail = f"{answer['status']} in {answer['latency_ms']:.0f} ms"
    else:
        said = _in_words(answer["body"])[:_SAID]
        detail = f"{answer['status']} (expected {wanted})" + (f": {said}" if said else "")
    return {"healthy": healthy, "status": answer["status"], "latency_ms": answer["latency_ms"], "detail": detail}


def _in_words(body: str) -> str:
    """Return what an answer says on one line, of a page only what people read of it."""
    text = body[:_READ]
    return " ".join((_TAGS.sub(" ", text) if text.lstrip().startswith("<") else text).split())


def hold(
    health: dict[str, Any],
    window_s: float,
    within_s: float,
    ask: Callable[[dict[str, Any]], dict[str, Any]] = probe,
) -> dict[str, Any]:
    """Wait up to `within_s` seconds for health, as `ask` sees it, then see it hold for `window_s` seconds.

    Return the last probe with `probes` and `failures` counted within the window, and of those that were healthy the
    median and the longest latency, `p50_ms` and `max_ms` (None without any). A failure inside the window starts the wait
    anew while time is left.
    """
    deadline = time.monotonic() + within_s
    held_since: float | None = None
    probes = failures = 0
    took: list[float] = []
    while True:
        last = ask(health)
        now = time.monotonic()
        probes += 1
        if not last["healthy"]:
            failures += 1
            held_since = None
        else:
            if last["latency_ms"] is not None:  # where the manager says it, nothing was waited for
                took.append(last["latency_ms"])
            held_since = now if held_since is None else held_since
        held = held_since is not None and now - held_since >= window_s
        if held or (now >= deadline and held_since is None):
            times = {"p50_ms": _median(took), "max_ms": max(took, default=None)}
            return {**last, "healthy": held, "probes": probes, "failures": failures, **times}
        time.sleep(INTERVAL_S)


def _median(values: list[float]) -> float | None:
    return sorted(values)[len(values) // 2] if values else None


def rank(seen: dict[str, Any]) -> int:
    """Order two probes: 2 healthy, 1 answers but not as it should, 0 no answer at all."""
    if seen["healthy"]:
        return 2
    return 0 if seen["status"] is None else 1
