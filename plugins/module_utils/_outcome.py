"""The `incident` block that every module returns (docs/contracts.md, 3). Standard library only."""

from __future__ import annotations

from typing import Any

# From what must be looked at first to what needs no look.
_WORST_FIRST = ("failed", "refused", "done", "unchanged", "skipped")

Result = dict[str, Any]


def action(
    target: str,
    outcome: str,
    summary: str,
    *,
    entry: str | None = None,
    verified: bool | None = None,
    news: bool = False,
) -> dict[str, Any]:
    """Given what was acted on and how it went, return one row of `incident.actions`.

    `entry` names the ledger entry; `verified` says whether the effect was seen after the act; `news` that the summary is
    worth reading though nothing was changed.
    """
    row: dict[str, Any] = {"target": target, "outcome": outcome, "summary": summary}
    if entry is not None:
        row["entry"] = entry
    if verified is not None:
        row["verified"] = verified
    if news:
        row["news"] = True
    return row


def between(row: dict[str, Any], before: Any, after: Any) -> dict[str, Any]:
    """Given a row of `incident.actions`, return it with what is there and what is to be there.

    Both are small facts, in check mode as in earnest the same, without times, process ids or whose login this is: a plan that
    a person approves is told from another by them.
    """
    return {**row, "before": before, "after": after}


def result(
    capability: str,
    actions: list[dict[str, Any]],
    *,
    facts: dict[str, Any] | None = None,
    files: list[dict[str, Any]] | None = None,
    diff: list[dict[str, Any]] | None = None,
    nothing: str = "nothing to do on this host",
) -> Result:
    """Given all actions of one capability on one host, return the module's whole result.

    The outcome is the worst of the actions'; without any action it is `skipped` for the reason `nothing`.
    """
    outcomes = {row["outcome"] for row in actions}
    outcome = next((name for name in _WORST_FIRST if name in outcomes), "skipped")
    block: dict[str, Any] = {
        "capability": capability,
        "outcome": outcome,
        "actions": actions,
        "facts": facts or {},
        "files": files or [],
    }
    if outcome in ("skipped", "refused", "failed"):
        told = [row["summary"] for row in actions if row["outcome"] == outcome]
        block["reason"] = "; ".join(told) or nothing
    answer: Result = {"changed": "done" in outcomes, "incident": block}
    if diff:
        answer["diff"] = diff
    return answer
