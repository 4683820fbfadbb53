"""The data of services before and after a recovery: rows that are gone, and damage. Pure."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from incidentctl.figures import Facts, Figure, mapping, number, rows
from incidentctl.text import plain

ESTIMATED = 0.9  # an estimate that falls below this part of the one before tells of rows that are gone
_TABLES = 200  # as many are told of one database (_data_look.py): of a longer list nobody knows what is missing
_NAMED = 3


def of_data(host: str, service: str, during: Facts | None, after: Facts | None) -> Iterator[Figure]:
    """Compare the databases of a service, as they were before anything was done, with how they are now."""
    then, now = ({(row.get("kind"), row.get("name")): row for row in rows((told or {}).get("data"))}
                 for told in (during, after))  # fmt: skip
    for kind, name in sorted({*then, *now}, key=str):
        before, found = then.get((kind, name), {}), now.get((kind, name), {})
        label = plain(str(name).rpartition("/")[2])
        yield _of_rows(host, service, label, before, found)
        if (damage := _of_damage(host, service, label, before, found)) is not None:
            yield damage


def _of_rows(host: str, service: str, label: str, before: Facts, after: Facts) -> Figure:
    then, now = _tables(before), _tables(after)
    lost, unknown = [], []
    for name in sorted(then):
        count, found = then[name]["rows"], now.get(name, {}).get("rows")
        if count is None or then[name]["shrinks"] or now.get(name, {}).get("shrinks"):
            continue
        if name not in now and now and len(now) < _TABLES:
            lost.append(f"{name} is gone ({count:,} rows before)")
        elif found is None:
            unknown.append(name)
        elif found < (count if then[name]["exact"] and now[name]["exact"] else ESTIMATED * count):
            lost.append(f"{name}: {_rows_of(then[name])} → {_rows_of(now[name])}: {count - found:,} fewer")
    both = [name for name in then if then[name]["rows"] is not None and now.get(name, {}).get("rows") is not None]
    sums = [float(sum(each[name]["rows"] for name in both)) if both else None for each in (then, now)]
    if lost:
        told = "; ".join(lost[:_NAMED]) + (f"; and {len(lost) - _NAMED} more tables" if len(lost) > _NAMED else "")
        return Figure("rows", service, host, sums[0], sums[0], sums[1], False, -1, f"{label}: {told}")
    well: bool | None = True if both else None
    if unknown:
        looked = all(name in now for name in unknown)  # one that takes too long keeps nothing open: it may again
        why = next((str(note) for note in after.get("notes") or ()), "no answer")
        named = ", ".join(unknown[:_NAMED]) + (" and others" if len(unknown) > _NAMED else "")
        return Figure(
            "rows",
            service,
            host,
            sums[0],
            sums[0],
            None,
            None if looked else False,
            0,
            plain(f"{label}: {named} not counted: {why}"),
        )
    if not both:
        why = next(
            (str(note) for note in (after.get("notes") or before.get("notes") or ())), "no table was there before"
        )
        return Figure("rows", service, host, None, None, None, well, 0, plain(f"{label}: not compared: {why}"))
    about = "" if all(each[name]["exact"] for name in both for each in (then, now)) else "about "
    names = both[0].removeprefix("public.") if len(both) == 1 else f"{len(both)} tables"
    same = "as before" if sums[0] == sums[1] else f"{sums[0]:,.0f} before"
    told = f"{label}: {names}, {about}{sums[1]:,.0f} rows ({same})"
    return Figure("rows", service, host, sums[0], sums[0], sums[1], well, 0, told)


def _of_damage(host: str, service: str, label: str, before: Facts, after: Facts) -> Figure | None:
    """Tell of damage that is there, or was; None where there is nothing to tell."""
    then, now = _texts(before.get("damage")), _texts(after.get("damage"))
    failed, failing = (number(told.get("checksum_failures")) for told in (before, after))
    more = failed is not None and failing is not None and failing > failed
    if more:
        now = [*now, f"{(failing or 0) - (failed or 0):.0f} more pages with a wrong checksum"]
    if not now and not then:
        return None
    if not now:
        mended = after.get("whole") is True
        told = f"{label}: {'whole again' if mended else 'damaged before, and not checked now'}"
        return Figure("damage", service, host, None, len(then), 0 if mended else None, mended, int(mended), told)
    new = more or (not then and before.get("whole") is not None)
    told = f"{label} is damaged: {plain('; '.join(now[:_NAMED]))}" + ("" if new else ", as before" if then else "")
    return Figure("damage", service, host, None, len(then), len(now), False, -1 if new else 0, told)


def _tables(item: Facts) -> dict[str, dict[str, Any]]:
    return {
        plain(str(name)): {"rows": count if isinstance(count := told.get("rows"), int) else None,
                           "exact": told.get("exact") is True, "shrinks": told.get("shrinks") is True}
        for name, told in mapping(item.get("tables")).items() if isinstance(told, Mapping)
    }  # fmt: skip


def _rows_of(table: Mapping[str, Any]) -> str:
    return f"{'' if table['exact'] else 'about '}{table['rows']:,} rows"


def _texts(value: Any) -> list[str]:
    return [str(one) for one in value] if isinstance(value, list) else []
