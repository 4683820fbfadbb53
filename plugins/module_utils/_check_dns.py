"""Does a name resolve? As this host resolves names, or at one resolver that is asked directly."""

from __future__ import annotations

import socket
from typing import Any

from ansible_collections.incidentctl.response.plugins.module_utils import _line, _resolvers
from ansible_collections.incidentctl.response.plugins.module_utils._check_address import Check, Needs

_FAMILIES = {"": 0, "A": socket.AF_INET, "AAAA": socket.AF_INET6}
_SHOWN = 4


def ask(check: Check, _needs: Needs, clock: _line.Clock) -> dict[str, Any]:
    """Resolve the name; return {detail}. Raise Failure, step dns or answer."""
    kind = check.option or "A"
    if check.server:
        said = [_resolvers.ask(check.server, check.port, check.host, kind, clock.left)]
    elif check.option in _FAMILIES:
        found = _line.resolve(check.host, 0, clock, _FAMILIES[check.option])
        addresses = list(dict.fromkeys(str(one[4][0]) for one in found))
        return {"detail": f"resolves to {_some(addresses)} in {clock.passed_ms:.0f} ms"}
    else:  # the host itself asks for addresses alone
        said = _resolvers.ask_all(check.host, kind)
    good = next((one for one in said if one.said == "found"), None)
    if good is None:
        raise _line.Failure("dns", f"{check.host} ({kind}) does not resolve: {_resolvers.why_not(said)[1]}")
    to = f" to {_some(list(good.found))}" if good.found else ""
    return {"detail": f"resolves{to} in {clock.passed_ms:.0f} ms"}


def _some(addresses: list[str]) -> str:
    more = f" and {len(addresses) - _SHOWN} more" if len(addresses) > _SHOWN else ""
    return ", ".join(addresses[:_SHOWN]) + more
