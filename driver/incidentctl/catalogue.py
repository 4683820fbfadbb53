"""What is wrong with the catalogue of services, by the collection's own schema, without a look at any host."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Iterable, Mapping
from typing import Any

from incidentctl import ansible_setup, inventory_files
from incidentctl.errors import ConfigurationError, IncidentctlError

# In a Python of its own: into this one, somebody else's ansible_collections may have come before ours.
_CHECK = """
import json, sys
sys.path.insert(0, sys.argv[1])
from ansible_collections.incidentctl.response.plugins.module_utils import _catalogue
print(json.dumps([_catalogue.check(services) for services in json.load(sys.stdin)]))
"""
FIX = "mend incident_services in group_vars/all (docs/contracts.md, 1)"
# What a template comes to is known only where it is used. So it is tried as one of each kind: what is wrong with all is wrong.
_LEFT_OUT = "left out"  # of a list, since a row may be of any form; elsewhere it is a text
_STAND_INS: tuple[Any, ...] = ("x", "http://x/", "/x", 1, 200, True, ["x"], {}, {"x": "x"}, _LEFT_OUT)


def unless_wrong(services: Iterable[Mapping[str, Any]], sources: Iterable[str] = ()) -> None:
    """Raise ConfigurationError, with all errors at once, if one of these services is not described as it must be.

    `sources` are the inventories that describe them: of each error it is said where it stands.
    """
    if wrong := problems(list(services)):
        raise ConfigurationError("The catalogue of services cannot be used.", in_lines(wrong, sources), FIX)


def problems(described: list[Any]) -> list[str]:
    """Return all that is wrong with services, whatever their templates come to."""
    tried = _checked([_filled(described, value) for value in _STAND_INS])
    return [text for text in tried[0] if all(text in others for others in tried)]


def in_lines(wrong: Iterable[str], sources: Iterable[str]) -> str:
    """Return problems, a line each, with the place in the files of these inventories."""
    return "\n".join(inventory_files.placed(wrong, [source for source in sources if "," not in source]))


def _filled(value: Any, stand_in: Any) -> Any:
    """Return it with the stand-in for each template."""
    if isinstance(value, Mapping):
        return {key: _filled(inner, stand_in) for key, inner in value.items()}
    if isinstance(value, list):
        return [_filled(inner, stand_in) for inner in value if stand_in is not _LEFT_OUT or not _is_template(inner)]
    return stand_in if _is_template(value) else value


def _is_template(value: Any) -> bool:
    return isinstance(value, str) and "{{" in value


def _checked(catalogues: list[Any]) -> list[list[str]]:
    argv = [sys.executable, "-I", "-S", "-B", "-c", _CHECK, str(ansible_setup.collection_root())]
    done = subprocess.run(argv, input=json.dumps(catalogues), capture_output=True, text=True, check=False)
    if done.returncode != 0:
        raise IncidentctlError("The catalogue could not be checked.", done.stderr.strip(), "install incidentctl anew")
    answer: list[list[str]] = json.loads(done.stdout)
    return answer
