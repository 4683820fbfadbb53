"""Which files of a folder a build does not see: what the ignore file names that its engine takes."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path

from ansible_collections.incidentctl.response.plugins.module_utils._regular_file import open_regular

Ignored = Callable[[str, bool], bool]
# In the order in which an engine looks for one beside the build file, then in the context.
_ENDINGS = {"podman": (".dockerignore", ".containerignore"), "docker": (".dockerignore",)}
_NAMES = {"podman": (".containerignore", ".dockerignore"), "docker": (".dockerignore",)}
_LIMIT = 1 << 20
_WILD = re.compile(r"(\*\*/|\*\*|\*|\?|\[[^]/]+\])")
_MEANS = {"**/": "(?:.*/)?", "**": ".*", "*": "[^/]*", "?": "[^/]"}


def of(root: Path, build_file: Path, engine: str) -> Ignored:
    """Return what says of a name below `root`, and whether it is a folder, if the engine leaves it out.

    Of several patterns the last one that fits counts. A folder in which an exception (`!…`) may lie is gone into.
    Raise OSError if the file is there and cannot be read.
    """
    places = [build_file.with_name(build_file.name + ending) for ending in _ENDINGS[engine]]
    path = next((path for path in (*places, *(root / name for name in _NAMES[engine])) if path.exists()), None)
    if path is None:
        return lambda _name, _folder: False
    with open_regular(path) as stream:
        lines = stream.read(_LIMIT).decode("utf-8", "replace").splitlines()
    patterns = [_pattern(line.strip()) for line in lines if line.strip() and not line.startswith("#")]
    exceptions = any(not leaves_out for leaves_out, _fits in patterns)

    def ignored(name: str, folder: bool) -> bool:
        fitting = [leaves_out for leaves_out, fits in patterns if fits.fullmatch(name)]
        return bool(fitting) and fitting[-1] and not (folder and exceptions)

    return ignored


def _pattern(line: str) -> tuple[bool, re.Pattern[str]]:
    """Return whether a line leaves out, and for which names: also all that lies in a folder of that name."""
    leaves_out = not line.startswith("!")
    words = _WILD.split(line.lstrip("!").strip().strip("/").removeprefix("./"))
    # Between wildcards, which stand at the odd places, a word means itself.
    parts = [re.escape(word) if place % 2 == 0 else _MEANS.get(word, word) for place, word in enumerate(words)]
    try:
        return leaves_out, re.compile("".join(parts) + "(?:/.*)?", re.DOTALL)
    except re.error:  # as [z-a]: nothing has such a name
        return leaves_out, re.compile("(?!)")
