"""What a Containerfile builds on: the images that must be on the host, since none is pulled."""

from __future__ import annotations

import re
from collections.abc import Mapping

_VARIABLE = re.compile(r"\$(?:(\w+)|\{(\w+)(?::-([^}]*))?\})")


def bases(text: str, given: Mapping[str, str]) -> list[str]:
    """Return the images that a build starts from or copies from, in order; `given` are its arguments.

    A name that hangs on what only the engine knows is left to the engine.
    """
    arguments: dict[str, str] = {}
    stages: set[str] = {"scratch"}
    found: list[str] = []
    begun = False
    for line in _lines(text):
        verb, _space, rest = line.partition(" ")
        verb, words = verb.upper(), rest.split()
        if verb == "ARG" and not begun and words:
            name, _equals, default = words[0].partition("=")
            arguments[name] = str(given.get(name, default.strip("\"'")))
        flags = [word for word in words if word.startswith("--")]
        if verb == "FROM":
            begun = True
            source, *more = [word for word in words if word not in flags] or ["scratch"]
            found += _image(source, arguments, stages)
            stages |= {more[1].lower()} if len(more) == 2 and more[0].upper() == "AS" else set()
        elif verb == "COPY":
            sources = [flag[len("--from=") :] for flag in flags if flag.startswith("--from=")]
            found += [
                image for source in sources if not source.isdigit() for image in _image(source, arguments, stages)
            ]
    return list(dict.fromkeys(found))


def _image(source: str, arguments: Mapping[str, str], stages: set[str]) -> list[str]:
    def value(match: re.Match[str]) -> str:
        return arguments.get(match[1] or match[2]) or match[3] or match[0]

    name = _VARIABLE.sub(value, source)
    return [] if name.lower() in stages or "$" in name else [name]


def _lines(text: str) -> list[str]:
    """Return instructions, each on one line, without comments."""
    kept = [line for line in text.splitlines() if not line.lstrip().startswith("#")]
    return [line.strip() for line in re.sub(r"\\[ \t]*\n", " ", "\n".join(kept)).splitlines() if line.strip()]
