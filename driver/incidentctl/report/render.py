"""Sections → Markdown or one HTML file. What people typed is data here, never markup and never a template."""

from __future__ import annotations

import re
from collections.abc import Iterable

from incidentctl.report import plot
from incidentctl.report.blocks import Command, Plot, Section, Table
from incidentctl.text import plain

_SPECIAL = re.compile(r"([\\`*_\[\]<>#|~])")
_LONG = 2000
_LONGEST_COMMAND = 100_000  # cut, it would be another one


def markdown(title: str, sections: Iterable[Section]) -> str:
    """Return the sections as Markdown, of a plot what was asked; text from events is escaped and kept on one line."""
    lines = [f"# {_escape(title)}", ""]
    for section in sections:
        lines += [f"## {_escape(section.title)}", ""]
        for block in section.blocks:
            if isinstance(block, Table):
                lines.append(_row(block.header))
                lines.append("|" + " --- |" * len(block.header))
                lines += [_row(row) for row in block.rows]
            elif isinstance(block, Command):
                lines += _fenced(plain(block.text, _LONGEST_COMMAND))
            elif isinstance(block, Plot):  # its figures stand in a table
                lines.append(_escape(f"{block.title}: {block.query} ({block.source})"))
            elif isinstance(block, tuple):
                lines += [f"- {_escape(item)}" for item in block]
            else:
                lines.append(_escape(block))
            lines.append("")
    return "\n".join(lines)


def html(title: str, sections: Iterable[Section]) -> str:
    """Return the sections as one HTML file that needs nothing else; everything is escaped by the template engine."""
    from jinja2 import Environment, PackageLoader, StrictUndefined  # noqa: PLC0415 - only a report needs it

    environment = Environment(
        loader=PackageLoader("incidentctl"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters["plain"] = lambda text: plain(text, _LONG)
    environment.filters["command"] = lambda block: plain(block.text, _LONGEST_COMMAND)
    environment.tests["command"] = lambda block: isinstance(block, Command)
    environment.filters["drawn"] = plot.drawn
    environment.globals["width"] = plot.WIDTH
    environment.tests["plot"] = lambda block: isinstance(block, Plot)
    environment.tests["table"] = lambda block: isinstance(block, Table)
    return environment.get_template("report.html").render(title=title, sections=list(sections))


def _row(cells: Iterable[str]) -> str:
    return "| " + " | ".join(_escape(cell) for cell in cells) + " |"


def _fenced(text: str) -> list[str]:
    """Return a line as a code block, in which nothing is escaped; its fence is longer than any that the line holds."""
    fence = "`" * max(3, 1 + max(map(len, re.findall("`+", text)), default=0))
    return [f"{fence}sh", text, fence]


def _escape(text: str) -> str:
    return _SPECIAL.sub(r"\\\1", plain(text, _LONG))
