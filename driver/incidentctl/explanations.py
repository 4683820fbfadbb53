"""Whether a suspect is explained by a deeper one: then it is what the cause does, and not the cause. Pure."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from incidentctl import cause_rules as rules
from incidentctl.observations import Finding
from incidentctl.suspects import Case, Suspect, fits, listed, short

Said = tuple[Finding, ...]


def explained(suspect: Suspect, case: Case) -> str | None:
    """Return what explains a suspect, None if nothing does."""
    said = _said(suspect, case)
    for deep in case.suspects:
        if deep is not suspect and deep.severity != "info" and _stands_behind(deep, suspect, said, case):
            return f"{listed(deep.hosts)}: explained by '{short(deep.text)}'"
    vague = suspect.kind == "unhealthy" or suspect.about.get("meaning") in rules.VAGUE
    for root in case.roots if vague and suspect.rule.symptom and suspect.services else ():
        if suspect.services <= set(root.suffering):
            return f"{listed(suspect.hosts)}: suffers from '{short(root.text)}'"
    return None


def _stands_behind(deep: Suspect, shallow: Suspect, said: Said, case: Case) -> bool:
    if deep.is_change:
        return shallow.kind in ("unhealthy", "not_running") and _came_just_before(deep, shallow, case)
    answer = _BY_KIND.get(shallow.kind)
    return answer is not None and answer(deep, shallow, said, case)


def _came_just_before(deep: Suspect, shallow: Suspect, case: Case) -> bool:
    """A change of the service itself, of a kind that tells."""
    if deep.at is None or case.began is None or deep.rule.prior < rules.TELLING:
        return False
    return _together(deep, shallow) and 0 <= (case.began - deep.at).total_seconds() <= rules.JUST_BEFORE_S


def _of_errors(deep: Suspect, shallow: Suspect, said: Said, case: Case) -> bool:
    """What was said is what another suspect is about, or what the check of a dependency says as well."""
    if deep.kind == "dependency":
        return shallow.kind == "errors" and _says_the_same(deep, shallow) and _together(deep, shallow)
    return deep.kind not in ("release", "errors", "unhealthy") and _is_said(deep, said, case)


def _of_dependency(deep: Suspect, shallow: Suspect, said: Said, case: Case) -> bool:
    """The other side does not run, or says itself why it turns away, or the way there is blocked."""
    if deep.kind in ("not_running", "silent", "oom") or (deep.kind == "errors" and _says_the_same(deep, shallow)):
        failing = {finding.named("name") for finding in shallow.findings}
        return any(need.host in shallow.hosts and need.name in failing for need in deep.needs)
    return not deep.rule.symptom and _is_said(deep, said, case)


def _of_state(deep: Suspect, shallow: Suspect, said: Said, case: Case) -> bool:
    """It is down because of what is known of the service itself, or of what its errors say."""
    if deep.rule.symptom:
        return shallow.kind == "unhealthy" and deep.kind in ("not_running", "dependency") and _together(deep, shallow)
    return (deep.severity == "critical" and _together(deep, shallow)) or _is_said(deep, said, case)


def _of_connections(deep: Suspect, shallow: Suspect, _said: Said, _case: Case) -> bool:
    """Who waits for a lock holds a connection meanwhile, and takes the next one for the next request."""
    return deep.kind == "lock" and _together(deep, shallow)


def _says_the_same(deep: Suspect, shallow: Suspect) -> bool:
    said = deep.about.get("meaning")
    return said is not None and said not in rules.VAGUE and said == shallow.about.get("meaning")


def _together(deep: Suspect, shallow: Suspect) -> bool:
    return bool(set(deep.hosts) & set(shallow.hosts) and deep.services & shallow.services)


def _said(shallow: Suspect, case: Case) -> Said:
    """Return what a suspect says, or what its service says on its hosts."""
    if shallow.kind in ("errors", "release"):
        return shallow.findings
    of_all = (f for word in case.seen.said.values() for f in word)
    return tuple(f for f in of_all if f.host in shallow.hosts and f.service in shallow.services)


def _is_said(deep: Suspect, said: Said, case: Case) -> bool:
    return any(fits(deep, each, case) is not None for each in said)


_BY_KIND: Mapping[str, Callable[[Suspect, Suspect, Said, Case], bool]] = {
    "errors": _of_errors,
    "release": _of_errors,
    "dependency": _of_dependency,
    "database_connections": _of_connections,
    "unhealthy": _of_state,
    "not_running": _of_state,
}
