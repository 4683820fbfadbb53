"""What a Containerfile builds on: the images that must be on the host, since none is pulled."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping

_HERE = re.compile(r"<<(-?)[\"']?(\w+)[\"']?")
_VARIABLE = re.compile(r"\$(?:(\w+)|\{(\w+)(?::-([^}]*))?\})")


def bases(text: str, given: Mapping[str, str], target: str = "") -> list[str]:
    """Return the images that a build starts from or copies from, in order, up to the stage `target` if it names one.

    `given` are its arguments.

    A name that hangs on what only the engine knows is left to the engine.
    """
    arguments: dict[str, str] = {}
    stages: set[str] = {"scratch"}
    found: list[str] = []
    stage, begun = "", False
    for line in _lines(text):
        verb, _space, rest = line.partition(" ")
        verb, words = verb.upper(), rest.split()
        if verb == "ARG" and not begun and words:
            name, _equals, default = words[0].partition("=")
            arguments[name] = str(given.get(name, default.strip("\"'")))
        flags = [word for word in words if word.startswith("--")]
        if verb == "FROM" and target and stage == target.lower():
            break
        if verb == "FROM":
            begun = True
            source, *more = [word for word in words if word not in flags] or ["scratch"]
            found += _image(source, arguments, stages)
            stage = more[1].lower() if len(more) == 2 and more[0].upper() == "AS" else ""
            stages.add(stage)
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


def _lines(text: str) -> Iterator[str]:
    """Give instructions, each on one line, without comments and without the texts that follow `<<EOF`."""
    kept = [line for line in text.splitlines() if not line.lstrip().startswith("#")]
    lines = re.sub(r"\\[ \t]*\n", " ", "\n".join(kept)).splitlines()
    place = 0
    while place < len(lines):
        line, place = lines[place].strip(), place + 1
        if line:
            yield line
        for dash, word in _HERE.findall(line):
            ends = (there for there in range(place, len(lines)) if word == lines[there].lstrip("\t" if dash else ""))
            place = next(ends, place - 1) + 1
