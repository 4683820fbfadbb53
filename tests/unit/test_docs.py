"""The pages written by hand: links lead somewhere, and the map names every file of the driver."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from incidentctl.cli import EXIT_CODES, cli

ROOT = Path(__file__).resolve().parents[2]
PAGES = sorted([*ROOT.glob("*.md"), *(ROOT / "docs").rglob("*.md"), *ROOT.glob("roles/*/README.md")])
_LINK = re.compile(r"\]\(([^)\s]+)\)")
_HEADING = re.compile(r"^#+ (.+)$", re.MULTILINE)
_COMMAND = re.compile(r"\bincidentctl ([a-z]+)\b(?= |`|$)", re.MULTILINE)


def anchors(page: Path) -> set[str]:
    """Every heading as GitHub links to it."""
    kept = (re.sub(r"[^\w\- ]", "", heading.lower()) for heading in _HEADING.findall(page.read_text()))
    return {text.replace(" ", "-") for text in kept}


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_links_lead_somewhere(page: Path) -> None:
    for link in _LINK.findall(page.read_text()):
        if "://" in link:
            continue
        place, _hash, anchor = link.partition("#")
        target = page.parent / place if place else page
        assert target.exists(), link
        if anchor:
            assert anchor in anchors(target), link


def test_the_map_names_every_file_of_the_driver() -> None:
    text = (ROOT / "docs" / "index.md").read_text()
    for path in (ROOT / "driver" / "incidentctl").iterdir():
        if path.name.startswith("__") or path.name == "py.typed" or path.name.startswith("_settings_"):
            continue
        assert f"`{path.name}{'/' if path.is_dir() else ''}`" in text, path.name


@pytest.mark.parametrize("name", ["README.md", "docs/using.md", "docs/workflow.md", "CONTRIBUTING.md"])
def test_every_command_that_is_shown_exists(name: str) -> None:
    block = re.compile(r"```.*?```|`[^`]+`", re.DOTALL)
    for quoted in block.findall((ROOT / name).read_text()):
        for command in _COMMAND.findall(quoted):
            assert command in cli.commands, f"{name}: incidentctl {command}"


def test_the_readme_tells_the_exit_codes_as_the_help_does() -> None:
    text = (ROOT / "README.md").read_text()
    for line in EXIT_CODES.splitlines():
        if match := re.match(r"\s+(\d+)  (.+)", line):
            assert f"| {match[1]} | {match[2]}" in text
