"""What a mitigation does where: each act on the service that is behind it, as the diagnosis has it. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from incidentctl import plan, remedies
from incidentctl.plan import PlannedStep, Service

_ELSEWHERE = "enhanced_monitoring"  # Prometheus does not run where the service does


def step(
    names: Iterable[str],
    judged: Mapping[str, Any] | None,
    affected: tuple[Service, ...],
    scope: tuple[Service, ...],
    hosts: tuple[str, ...],
) -> tuple[PlannedStep, dict[str, list[str]]]:
    """Return the step that carries these mitigations out, and for each of them the services that it is for.

    What touches the likeliest cause of `judged` acts on that cause's service, where the scope has it: where the database is
    down, it is started, not the shop that needs it. Else, on the affected ones. Hosts where the cause was seen come first.
    """
    chosen = {name: found for name in names if (found := services(name, judged, affected, scope))}
    targets = tuple(
        target for name, meant in chosen.items() for target in plan.step("recover", (name,), hosts, meant).targets
    )
    reached = {host for host, _name, _service in targets}
    sick = {host for name in chosen for host in _behind(name, judged).get("hosts") or ()}
    where = sorted((h for h in hosts if h in reached or _ELSEWHERE in chosen), key=lambda host: host not in sick)
    only = {f"{name}_only": [service.name for service in meant] for name, meant in chosen.items()}
    if named := _breakers(judged, chosen.get("circuit_breaker", ())):
        only["circuit_breaker_named"] = named  # others, of services that this dependency is none of, stay closed
    return PlannedStep("recover", tuple(chosen), tuple(where), targets), only


def services(
    name: str, judged: Mapping[str, Any] | None, affected: tuple[Service, ...], scope: tuple[Service, ...]
) -> tuple[Service, ...]:
    """Return the services that one mitigation is for; none where it fits none, for an empty list would mean all."""
    cause = _behind(name, judged)
    fits = [service for service in scope if plan.is_meant_for(name, service)]
    behind = [service for service in fits if service.name == cause.get("service")]
    if behind:
        return tuple(behind)
    sick = {service.name for service in affected}
    return tuple(service for service in fits if service.name in sick or name not in (*plan.FOR_AFFECTED, "restart"))


def _breakers(judged: Mapping[str, Any] | None, services: Iterable[Service]) -> list[str]:
    """Return the circuit breakers that are for the dependency which the cause is about; none where no name or place says so."""
    about = _behind("circuit_breaker", judged).get("about") or {}
    place = (about.get("host"), about.get("port"))
    declared = [breaker for service in services for breaker in service.spec.get("circuit_breakers", ())]
    return sorted(
        {
            str(breaker["name"])
            for breaker in declared
            if breaker.get("name") == about.get("name")
            or (
                None not in place and place == tuple((breaker.get("egress") or {}).get(key) for key in ("host", "port"))
            )
        }
    )


def _behind(name: str, judged: Mapping[str, Any] | None) -> Mapping[str, Any]:
    """Return the likeliest cause if the mitigation touches it; of a symptom, that cause which lies behind it."""
    found = (judged or {}).get("causes")
    for cause in found if isinstance(found, list) else ():
        how = remedies.touches(name, str(cause.get("kind")))
        if how is not None:
            return dict(cause) if how else {}
    return {}
