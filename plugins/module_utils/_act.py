"""Run one capability and turn whatever happens into one result. Knows nothing of how the module came to the host."""

from __future__ import annotations

import contextlib
from typing import Any, Callable

from ansible_collections.incidentctl.response.plugins.module_utils import _turn
from ansible_collections.incidentctl.response.plugins.module_utils._catalogue import CatalogueError
from ansible_collections.incidentctl.response.plugins.module_utils._outcome import Result, action, result

Run = Callable[[dict[str, Any], bool], Result]
# These change the host, or take that back: one at a time. A backup may take long, and must not hold up the others.
IN_TURN = frozenset(
    {
        "circuit_breaker", "drill", "enhanced_monitoring", "hotfix", "isolation", "lift", "maintenance_mode", "quarantine",
        "rate_limit", "restart", "rollback", "scale_down",
    }
)  # fmt: skip


def act(run: Run, capability: str, params: dict[str, Any], check_mode: bool) -> Result:
    """Run `run(params, check_mode)`; return a task's whole result: the block, `changed`, and with it `failed`, `msg`.

    A failed or refused act fails the task, unless `keep_going` asks to hand it back in the block, so
    that one failed capability does not silence the next (docs/contracts.md, 3).
    """
    try:
        acts = not check_mode and capability != "lift"
        in_turn = capability in IN_TURN and not params.get("only_looks")
        with _turn.held(params, capability, acts) if in_turn else contextlib.nullcontext() as waited:
            answer = run(params, check_mode)
        if waited:
            answer["incident"]["facts"]["waited"] = waited
    except CatalogueError as error:
        answer = result(capability, [action("incident_services", "failed", str(error))])
    except OSError as error:
        answer = result(capability, [action("host", "failed", str(error))])
    except Exception as error:
        answer = result(capability, [action("module", "failed", _fault(error))])
    block = answer["incident"]
    if block["outcome"] in ("failed", "refused") and not params["keep_going"]:
        answer = {**answer, "failed": True, "msg": f"{capability} {block['outcome']}: {block['reason']}"}
    return answer


def _fault(error: Exception) -> str:
    """Say what broke and where, in one line: a traceback helps nobody during an incident."""
    frame = error.__traceback__
    while frame and frame.tb_next:
        frame = frame.tb_next
    where = f"{frame.tb_frame.f_code.co_filename.rpartition('/')[2]}, line {frame.tb_lineno}" if frame else "unknown"
    return (
        f"a fault of incidentctl itself: {type(error).__name__}: {error} ({where}). "
        "What it did before that is in this host's ledger. Fix: report this line; lift takes back what was done"
    )
