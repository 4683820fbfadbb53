"""Whether a suspect is explained by a deeper one: then it is what the cause does, and not the cause. Pure."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from incidentctl import cause_rules as rules
from incidentctl.suspects import Case, Suspect, fits, is_meant, listed, short


def explained(suspect: Suspect, case: Case) -> str | None:
    """Return what explains a suspect, None if nothing does."""
    for deep in case.suspects:
        if deep is not suspect and deep.severity != "info" and _stands_behind(deep, suspect, case):
            return f"{listed(deep.hosts)}: explained by '{short(deep.text)}'"
    vague = suspect.kind == "unhealthy" or suspect.about.get("meaning") in rules.VAGUE
    for root in case.roots if vague and suspect.rule.symptom and suspect.services else ():
        if suspect.services <= set(root.suffering):
            return f"{listed(suspect.hosts)}: suffers from '{short(root.text)}'"
    return None


def _stands_behind(deep: Suspect, shallow: Suspect, case: Case) -> bool:
    if deep.is_change:
        return shallow.kind in ("unhealthy", "not_running") and _came_just_before(deep, shallow, case)
    answer = _BY_KIND.get(shallow.kind)
    return answer is not None and answer(deep, shallow, case)


def _came_just_before(deep: Suspect, shallow: Suspect, case: Case) -> bool:
    """A change of the service itself, of a kind that tells."""
    if deep.at is None or case.began is None or deep.rule.prior < rules.TELLING:
        return False
    return _together(deep, shallow) and 0 <= (case.began - deep.at).total_seconds() <= rules.JUST_BEFORE_S


def _of_errors(deep: Suspect, shallow: Suspect, case: Case) -> bool:
    """What was said is what another suspect is about."""
    return deep.kind not in ("release", "errors") and _is_said(deep, shallow, case)


def _of_dependency(deep: Suspect, shallow: Suspect, case: Case) -> bool:
    """The other side does not run, or the way there is blocked."""
    if deep.kind in ("not_running", "silent"):
        failing = {finding.named("name") for finding in shallow.findings}
        return any(is_meant(need, deep, case) for need in case.seen.needs if need.name in failing)
    return not deep.rule.symptom and _is_said(deep, shallow, case)


def _of_state(deep: Suspect, shallow: Suspect, case: Case) -> bool:
    """It is down because of what is known of the service itself, or of what its errors say."""
    if deep.rule.symptom:
        return shallow.kind == "unhealthy" and deep.kind in ("not_running", "dependency") and _together(deep, shallow)
    return (deep.severity == "critical" and _together(deep, shallow)) or _is_said(deep, shallow, case)


def _together(deep: Suspect, shallow: Suspect) -> bool:
    return bool(set(deep.hosts) & set(shallow.hosts) and deep.services & shallow.services)


def _is_said(deep: Suspect, shallow: Suspect, case: Case) -> bool:
    """Say whether the deeper one is what the shallow one, or its service on its hosts, says."""
    theirs = [f for f in case.seen.findings if f.host in shallow.hosts and f.service in shallow.services]
    said = shallow.findings if shallow.kind in ("errors", "release") else theirs
    return any(fits(deep, each, case) is not None for each in said)


_BY_KIND: Mapping[str, Callable[[Suspect, Suspect, Case], bool]] = {
    "errors": _of_errors,
    "release": _of_errors,
    "dependency": _of_dependency,
    "unhealthy": _of_state,
    "not_running": _of_state,
}
