"""What has to travel so that a host without the collection can run one of its modules. Knows nothing of Ansible."""

from __future__ import annotations

import base64
import json
import re
import zlib
from pathlib import Path
from typing import Any

from ansible_collections.incidentctl.response.plugins.module_utils import _arrival

_FOLDER = Path(__file__).resolve().parents[1] / "module_utils"


def pack(*names: str) -> str:
    """Given modules of plugins/module_utils, return them and all that they import of it: JSON, zlib, Base64."""
    sources: dict[str, str] = {}
    wanted = list(names)
    while wanted:
        name = wanted.pop()
        if name not in sources:
            sources[name] = (_FOLDER / f"{name}.py").read_text(encoding="utf-8")
            wanted += _imports(sources[name])
    # Sorted: the same code travels as the same bytes.
    text = json.dumps(sources, sort_keys=True)
    return base64.b64encode(zlib.compress(text.encode(), 9)).decode()


def program(word: str, library: str, message: dict[str, Any]) -> bytes:
    """Return the program for the host's standard input: it runs what `message` says, out of `library`."""
    return f"{_SERVER}\n\nserve({word!r}, {library!r}, {json.dumps(message)!r})\n".encode()


def _imports(source: str) -> list[str]:
    """Return the modules of ours that a source imports. As text: to parse them all would cost every run 30 ms."""
    found: list[str] = []
    for module, several, one in _IMPORT.findall(source):
        found += [module] if module else [name.strip() for name in (several or one).split(",") if name.strip()]
    return found


# Also what is imported only when it is needed, and with a remark behind it.
_IMPORT = re.compile(
    rf"^ *from {re.escape(_arrival.PACKAGE)}(?:\.(\w+))? import (?:\(([^)]*)\)|([^#\n]*))", re.MULTILINE
)
_SERVER = (_FOLDER / "_arrival.py").read_text(encoding="utf-8")
