"""What speaks for a suspect, and what against it: each a fact of a host, with points. Pure."""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

from incidentctl import cause_rules as rules
from incidentctl import explanations
from incidentctl.observations import Finding
from incidentctl.suspects import Case, Suspect, fits, listed, short


class Evidence(NamedTuple):
    """Points for (or, below 0, against) a suspect, and why; without a text it is not told."""

    points: int
    text: str = ""


def hear(suspect: Suspect, case: Case) -> list[Evidence]:
    """Return all that speaks for a suspect and against it; the points of all together are its rank."""
    found = [Evidence(suspect.rule.prior), Evidence(rules.SEVERE.get(suspect.severity, 0))]
    for witness in (_errors, _itself, _beside, _time, _places, _needed, _deepest, _deeper):
        found += witness(suspect, case)
    return found


def _errors(suspect: Suspect, case: Case) -> Iterator[Evidence]:
    """The logs, or a check that fails, say just this."""
    heard = _heard(suspect, case)
    heard.sort(key=lambda pair: (not pair[1], "error" not in pair[0].about, pair[0].host, pair[0].text))
    for number, (said, named) in enumerate(heard[:3]):
        points = (rules.NAMED if named else rules.SAID) if number == 0 else 2
        yield Evidence(points, f"{said.host}: {_said(said)}")


def _heard(suspect: Suspect, case: Case) -> list[tuple[Finding, bool]]:
    """Return what was said that speaks of a suspect, and whether it names it."""
    return [
        (said, named)
        for meaning in (() if suspect.kind == "errors" else sorted(suspect.rule.means | suspect.rule.missed))
        for said in case.seen.said.get(meaning, ())
        if said not in suspect.findings and (named := fits(suspect, said, case)) is not None
    ]


def _itself(suspect: Suspect, _case: Case) -> Iterator[Evidence]:
    """An error is a lead if it is new, and if it says where to look."""
    for finding in suspect.findings[:1] if suspect.kind in ("errors", "unhealthy") else ():
        if finding.about.get("new") is True:
            yield Evidence(rules.NEW, f"{finding.host}: it was not there before")
        if sum(_count(each) for each in suspect.findings) >= rules.MANY:
            yield Evidence(rules.OFTEN, f"{finding.host}: {_said(finding)}")
        if finding.meaning:
            yield Evidence(rules.MEANT if finding.meaning in rules.VAGUE else rules.PLAIN)


def _beside(suspect: Suspect, case: Case) -> Iterator[Evidence]:
    """Another finding of its host goes with it."""
    places = suspect.paths
    for other in case.seen.findings:
        theirs = {other.named("path"), other.named("disk")} - {""}
        if other.kind in suspect.rule.beside and other.host in suspect.hosts and (not theirs or theirs & places):
            yield Evidence(rules.BESIDE, f"{other.host}: {short(other.text)}")
            return


def _time(suspect: Suspect, case: Case) -> Iterator[Evidence]:
    """It began shortly before the trouble, or not."""
    if suspect.is_change and suspect.service is None:
        yield Evidence(rules.OF_THE_HOST)
    yield from _over(suspect, case)
    if suspect.at is None or case.began is None or suspect.rule.symptom:
        return
    before = (case.began - suspect.at).total_seconds()
    clock, gap = f"{suspect.at:%H:%M:%S} UTC", _span(abs(before))
    what = f"{suspect.hosts[0]}: {'changed' if suspect.is_change or suspect.kind == 'release' else 'began'} {clock}"
    if before < -rules.SLACK_S:
        yield Evidence(rules.AFTER, f"{what}, {gap} after the trouble began")
    elif before <= rules.JUST_BEFORE_S:
        changed = suspect.service is not None and (suspect.is_change or suspect.kind == "release")
        points = rules.CHANGED_JUST_BEFORE if changed else rules.BEGAN_JUST_BEFORE
        if suspect.kind == "permission" and not _heard(suspect, case):
            points = rules.SOMEWHAT_BEFORE  # who is shut out says so
        # What is noted a moment after the trouble may be why all the same: clocks and looks are not that exact.
        yield Evidence(points, f"{what}, {gap} {'before' if before >= 0 else 'after'} the trouble began")
    elif before <= rules.SOMEWHAT_BEFORE_S:
        yield Evidence(rules.SOMEWHAT_BEFORE, f"{what}, {gap} before the trouble began")
    else:
        yield Evidence(rules.LONG_BEFORE, f"{what}, {gap} before the trouble began")


def _over(suspect: Suspect, case: Case) -> Iterator[Evidence]:
    """What came again and again, and not any more when the trouble began."""
    last = max((f.at for f in suspect.findings if f.at and "last_at" in f.about), default=None)
    if last is not None and case.began is not None:
        before = (case.began - last).total_seconds()
        if before > rules.JUST_BEFORE_S:
            told = f"the last time was {last:%H:%M:%S} UTC, {_span(before)} before the trouble began"
            yield Evidence(rules.OVER_BEFORE, f"{suspect.hosts[0]}: {told}")


def _places(suspect: Suspect, case: Case) -> Iterator[Evidence]:
    """Those who have it are sick, and nobody else; or not."""
    reach = _reach(suspect, case)
    ours = suspect.services or {service for _host, service in reach | case.seen.well}
    sick = {(host, service) for host, service in case.seen.sick if service in ours}
    well = {(host, service) for host, service in case.seen.well if service in ours}
    those = reach & case.seen.sick
    if not those:
        if case.seen.sick and not suspect.rule.symptom:
            yield Evidence(rules.NOBODY_SICK, f"{listed(suspect.hosts)}: nothing that is sick runs there or needs it")
        return
    with_it = {(host, service) for host, service in well if host in suspect.hosts and _judges(suspect, those, host)}
    without = {(host, service) for host, service in sick - reach if suspect.services}
    told = "; ".join(f"{service} is sick on {listed(_hosts(those, service))}" for service in _services(those))
    if with_it:
        yield Evidence(rules.WELL_WITH_IT, f"{listed(_hosts(with_it))}: {listed(_services(with_it))} is well with it")
    if without:
        yield Evidence(rules.WITHOUT_IT, f"{listed(_hosts(without))}: {listed(_services(without))} is sick without it")
    if well - with_it and suspect.services and not with_it and not without and not suspect.rule.symptom:
        yield Evidence(rules.ONLY_THE_SICK, f"{told}; well without it on {listed(_hosts(well))}")
    elif not suspect.rule.symptom and those & _reach(suspect, case, in_vain=True):
        yield Evidence(rules.SICK_THERE, told)
    if len(suspect.hosts) > 1:
        yield Evidence(rules.SEVERAL_HOSTS)
    if case.user_facing.intersection(service for _host, service in those):
        yield Evidence(rules.USERS_SEE_IT)  # the impact tells it


def _judges(suspect: Suspect, sick: set[tuple[str, str]], host: str) -> bool:
    """Say whether a well service tells against it: its own does; of a whole host's, where nothing at all is sick."""
    return bool(suspect.services) or host not in _hosts(sick)


def _needed(suspect: Suspect, case: Case) -> Iterator[Evidence]:
    """Sick services of other hosts need it."""
    if suspect.is_change and not suspect.services:
        return  # that it is a host which others need says nothing of each of its files
    if suspect.services and any(suspect.services <= set(root.suffering) for root in case.roots):
        return  # it is only on the way to what fails
    if suspect.kind == "permission" and not _heard(suspect, case):
        return  # who is shut out says so
    seen: dict[tuple[str, str], tuple[bool, str]] = {}
    for need in suspect.needs:
        if (need.host, need.service) in case.seen.sick:
            key = need.service, need.name
            seen[key] = min(seen.get(key, (True, need.host)), (need.ok, need.host))
    for number, ((service, name), (answers, host)) in enumerate(sorted(seen.items(), key=lambda item: item[1])[:3]):
        points = rules.NEEDED_MORE if number else rules.ANSWERS if answers else rules.NEEDED
        how = ", and it answers" if answers else ""
        yield Evidence(points, f"{host}: {service}, which is sick, needs {name}{how}")


def _deepest(suspect: Suspect, case: Case) -> Iterator[Evidence]:
    """Of all dependencies that fail, nothing lies deeper."""
    names = {finding.named("name") for finding in suspect.findings if finding.kind == "dependency"}
    for root in case.roots:
        its_own = suspect.services & set(root.services) and set(suspect.hosts) & set(root.fails_on)
        if root.suffering and (its_own or names & {node.label for node in root.nodes}):
            yield Evidence(rules.DEEPEST, f"nothing deeper fails: {short(root.text)}")
            return


def _deeper(suspect: Suspect, case: Case) -> Iterator[Evidence]:
    """Something deeper explains it."""
    if why := explanations.explained(suspect, case):
        yield Evidence(rules.EXPLAINED, why)


def _reach(suspect: Suspect, case: Case, in_vain: bool = False) -> set[tuple[str, str]]:
    """Return the (host, service) that a suspect can make sick: those that have it, and those that need it (in vain)."""
    own = {
        (host, service)
        for host, service in case.seen.sick
        if host in suspect.hosts and (not suspect.services or service in suspect.services)
    }
    return own | {(need.host, need.service) for need in suspect.needs if not (in_vain and need.ok)}


def _said(error: Finding) -> str:
    if "error" not in error.about:
        return short(error.text)
    again = " in all, again" if error.about.get("again") is True else ""  # the count is of all times
    since = f"{again} since {error.at:%H:%M:%S} UTC" if error.at else ""
    count = "once" if _count(error) == 1 else f"{error.named('count')} times"
    return f"{error.service or 'a service'} says '{short(error.named('said'))}' {count}{since}"


def _count(error: Finding) -> float:
    count = error.about.get("count")
    return count if isinstance(count, (int, float)) else 0


def _hosts(pairs: set[tuple[str, str]], of: str | None = None) -> list[str]:
    return sorted({host for host, service in pairs if of in (None, service)})


def _services(pairs: set[tuple[str, str]]) -> list[str]:
    return sorted({service for _host, service in pairs})


def _span(seconds: float) -> str:
    if seconds < 120:
        return f"{seconds:.0f} s"
    return f"{seconds / 60:.0f} min" if seconds < 7200 else f"{seconds / 3600:.1f} h"
