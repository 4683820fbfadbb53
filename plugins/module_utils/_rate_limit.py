"""A rate limit: new connections to a service's ports, each source by itself. What a chain of this kind holds."""

from __future__ import annotations

import math
from typing import Any

from ansible_collections.incidentctl.response.plugins.module_utils import (
    _chain,
    _crowding,
    _held_back,
    _ssh_session,
)
from ansible_collections.incidentctl.response.plugins.module_utils._catalogue import CatalogueError, services_of_host

SOURCE_BITS = {"ipv4": 32, "ipv6": 64}  # one customer has a whole /64
SOURCE_MASK = {"ipv4": "255.255.255.255", "ipv6": "ffff:ffff:ffff:ffff::"}
_PORTS_A_RULE = 15  # more, multiport does not take
_MAX, _MAX_TOTAL = 10000, 100000


def rules(chain: str, family: str, limit: _chain.Spec) -> list[str]:
    """Given a limit {ports, per_minute, burst, total, exempt, remember}, return the chain's rules in one family.

    What a source is too much for by itself does not count for all of them: so nobody uses that up for the others.
    """
    version = _chain.VERSIONS[family]
    exempt = sorted({n for n in map(_chain.network, limit["exempt"]) if n.version == version}, key=str)
    # A source is forgotten when its burst would be whole again, not sooner: else a pause buys it a new one.
    forget_ms = 1000 * max(60, math.ceil(60 * limit["burst"] / limit["per_minute"]))
    one = (
        f"-m hashlimit --hashlimit-above {limit['per_minute']}/minute --hashlimit-burst {limit['burst']} "
        f"--hashlimit-mode srcip --hashlimit-srcmask {SOURCE_BITS[family]} "
        f"--hashlimit-name {_account(chain, limit)} --hashlimit-htable-expire {forget_ms}"
    )
    if limit["remember"]:
        one += f" -m recent --set --name {_account(chain, limit, family)} --mask {SOURCE_MASK[family]} --rsource"
    every = (
        f"-m hashlimit --hashlimit-above {limit['total']}/minute --hashlimit-burst {limit['total']} "
        f"--hashlimit-name {_account(chain, limit, 'total')} --hashlimit-htable-expire 60000"
    )
    ports = sorted(set(limit["ports"]))
    groups = [ports[n : n + _PORTS_A_RULE] for n in range(0, len(ports), _PORTS_A_RULE)]
    return [
        f"-A {chain} -i lo -j RETURN",
        *(f"-A {chain} -s {network} -j RETURN" for network in exempt),
        *(
            f"-A {chain} -p tcp --syn -m multiport --dports {','.join(map(str, group))} {over} -j DROP"
            for over in ([one, every] if limit["total"] else [one])
            for group in groups
        ),
        # It changes nothing: by it is known how many were let through.
        *(f"-A {chain} -p tcp --syn -m multiport --dports {','.join(map(str, group))} -j RETURN" for group in groups),
    ]


def problems(params: dict[str, Any]) -> list[str]:
    """Return all that is wrong with what limits are asked for, one sentence each."""
    found = [f"{key} must be from 1 to {_MAX}" for key in ("per_minute", "burst") if not 1 <= params[key] <= _MAX]
    if not 0 <= params["total_per_minute"] <= _MAX_TOTAL:
        found.append(f"total_per_minute must be from 0, which is none, to {_MAX_TOTAL}")
    if not 0 < params["max_source_fraction"] <= 1:
        found.append("max_source_fraction must be above 0, and 1 at most")
    return found + _chain.not_networks([*params["management_cidrs"], *params["exempt_cidrs"]])


def _declared(params: dict[str, Any], session: str) -> list[tuple[str, Any]]:
    """Return this host's services that have ports, each with those to limit, those to spare, and if a proxy may be limited."""
    services = [s for s in services_of_host(params) if s.get("ports") or params.get("only")]
    allowed = {s["name"] for s in services if params["allow_proxy"] or s["name"] in params["allow_proxy_of"]}
    return [(service["name"], (*_ports(service, session), service["name"] in allowed)) for service in services]


def _wanted(declared: tuple[list[int], list[int], bool], earlier: Any, here: _chain.Here) -> _chain.Wanted:
    limited, spared, allows_proxy = declared
    params = here.params
    notes = [f"port {port} is how this host is reached, and stays open" for port in spared]
    if not limited:
        raise _chain.NotDone("skipped", "; ".join(notes) or "it has no ports")
    # Who was logged in when it was limited first stays exempt when somebody else runs it again.
    peers = sorted({*((earlier or {}).get("peers") or []), *filter(None, [_ssh_session.peer(here.session)])})
    limit = {
        "ports": limited,
        "per_minute": params["per_minute"],
        "burst": params["burst"],
        "total": params["total_per_minute"],
        "remember": _held_back.remembers(),
        "exempt": [*params["management_cidrs"], *params["exempt_cidrs"], *peers],
    }
    crowding = ""
    if not params["proxies_known"]:  # else whoever is not exempt is no proxy, but a source that asks too much
        crowding = _crowding.crowding(limited, map(_chain.network, limit["exempt"]), params["max_source_fraction"])
    if crowding and not allows_proxy:
        way = "Fix: spare it with rate_limit_exempt_cidrs; or, if it is the attacker, --override proxy (rate_limit_allow_proxy)"
        raise _chain.NotDone("refused", f"{crowding}: to limit it limits all who come by it. {way}")
    kept: dict[str, Any] = {"peers": peers}
    if crowding:
        kept["proxy"] = crowding
        notes.append(f"{crowding}, and is limited all the same")
    return _chain.Wanted(limit, here.able, kept, [*here.told, *notes])


def _identity(limit: _chain.Spec) -> tuple[str, ...]:
    ports = ",".join(map(str, sorted(set(limit["ports"]))))
    exempt = ",".join(sorted({str(_chain.network(text)) for text in limit["exempt"]}))
    return ports, str(limit["per_minute"]), str(limit["burst"]), str(limit["total"]), exempt


def _account(chain: str, limit: _chain.Spec, *which: str) -> str:
    """Return the kernel's name for what it keeps of a limit. It is a new one for another limit, or it would keep the old."""
    return f"ic{_chain.short(chain, _chain.short(*_identity(limit)), *which)}"


def _told(limit: _chain.Spec) -> str:
    ports = ", ".join(map(str, limit["ports"]))
    each = f"on port {ports}: {limit['per_minute']} new connections a minute for each source, {limit['burst']} at once"
    return each + (f"; {limit['total']} a minute for all together" if limit["total"] else "")


def _ports(service: dict[str, Any], session: str) -> tuple[list[int], list[int]]:
    """Return the ports to limit, and those that are left alone because the host is reached by them."""
    own = {22, _ssh_session.server_port(session)}
    try:
        ports = sorted({int(port) for port in service.get("ports", [])})
    except (TypeError, ValueError):
        ports = [0]
    if not all(0 < port < 65536 for port in ports):
        raise CatalogueError(f"incident_services: {service['name']}: ports must be numbers from 1 to 65535")
    return [port for port in ports if port not in own], [port for port in ports if port in own]


KIND = _chain.Kind(
    table="mangle",
    hooks=("PREROUTING",),  # before any DNAT: catches what containers publish, too (docs/contracts.md, 4)
    match="-p tcp --syn",  # new connections only, so that open ones never meet the chain
    words=_chain.Words(
        "", "limited", "limited", "no service with ports on this host", "limits", "service", "attempt to connect"
    ),
    families=lambda: _chain.families("limited"),
    problems=problems,
    declared=_declared,
    wanted=_wanted,
    rules=rules,
    identity=_identity,
    told=_told,
    begin=lambda _limit: None,
    finish=lambda _limit: "",  # open connections live on
)
