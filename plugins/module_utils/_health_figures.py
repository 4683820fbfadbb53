"""A health check with the figures by which a recovery is verified: the data, and the errors that come meanwhile."""

from __future__ import annotations

import time
from typing import Any

from ansible_collections.incidentctl.response.plugins.module_utils import (
    _data_look,
    _errors_meanwhile,
    _fitting,
    _health_check,
    _parallel,
)
from ansible_collections.incidentctl.response.plugins.module_utils._catalogue import services_of_host
from ansible_collections.incidentctl.response.plugins.module_utils._outcome import Result

_PATIENCE_S = 30.0


def run(params: dict[str, Any], check_mode: bool) -> Result:
    """Do a health check; add `data` to the facts of each service that declares some, with a window `new_errors`, too."""
    services = services_of_host(params)
    window = params["window_s"] > 0
    meanwhile = _errors_meanwhile.Meanwhile(services) if window else None
    # A look before anything is done costs no time of its own; one that verifies sees how the data is in the end.
    looking = None if window else _parallel.start(_data_look.look, services)
    answer = _health_check.run(params, check_mode)
    data = _parallel.answer(looking, time.monotonic() + _PATIENCE_S) if looking else _data_look.look(services)
    errors = meanwhile.counted() if meanwhile else {}
    block = answer["incident"]
    seen = block["facts"]["services"]
    for name in seen:
        seen[name] |= {key: told[name] for key, told in (("data", data), ("new_errors", errors)) if name in told}
    block["facts"] = _fitting.fitting(block["facts"])
    damaged = [f"{name}: {item['name']} is damaged: {text}"
               for name, items in data.items() for item in items for text in item["damage"]]  # fmt: skip
    warnings = [*answer.get("warnings", []), *damaged]
    return {**answer, "warnings": warnings} if warnings else answer
