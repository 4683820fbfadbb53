"""What a host runs when a module comes to it over standard input (plugins/plugin_utils/_carrier.py).

The program on standard input is this very file with a call of `serve` appended: so it imports nothing but the
standard library, and little of that, because every host pays for it. What the module needs is unpacked into memory,
and no file is left behind.
"""

from __future__ import annotations

import binascii
import gc
import importlib
import json
import os
import sys
import syslog
import types
import zlib
from importlib.machinery import ModuleSpec
from typing import Any

PACKAGE = "ansible_collections.incidentctl.response.plugins.module_utils"


class Library:
    """Finds and loads the modules of `PACKAGE` out of memory. (An importer by shape: importlib.abc is slow to import.)"""

    def __init__(self, sources: dict[str, str]) -> None:
        """Given file names without .py and what is in them, keep them under the names they are imported by."""
        parts = PACKAGE.split(".")
        self._packages = {".".join(parts[: count + 1]) for count in range(len(parts))}
        self._sources = {f"{PACKAGE}.{name}": source for name, source in sources.items()}

    def find_spec(self, name: str, _path: Any = None, _target: Any = None) -> ModuleSpec | None:
        """Return where a module is: here, or (None) not ours. The packages above ours are empty."""
        if name in self._packages or name in self._sources:
            return ModuleSpec(name, self, is_package=name in self._packages)
        return None

    def create_module(self, _spec: ModuleSpec) -> None:
        """Leave it to Python to make an empty module."""

    def exec_module(self, module: types.ModuleType) -> None:
        """Fill a module, under a file name that tells where a fault is."""
        name = module.__name__
        exec(compile(self.get_source(name), f"{name.rpartition('.')[2]}.py", "exec", dont_inherit=True), vars(module))  # noqa: S102 - an importer does

    def get_source(self, name: str) -> str:
        """Return a module's source. The dead-man script is made of one (_dead_man.py)."""
        return self._sources.get(name, "")


def serve(word: str, library: str, message: str) -> None:
    """Run one capability and print its result, as JSON on a line of its own that begins with `word`.

    `library` is the sources (JSON, zlib, Base64), `message` what _carrier.py says of the task (JSON). That the
    program started at all is told first: without that line, nothing was done here.
    """
    print(f"\n{word} started", flush=True)
    told = json.loads(message)
    os.environ.update(told["environment"])
    _stand_where_we_may_read()
    sys.meta_path.insert(0, Library(json.loads(zlib.decompress(binascii.a2b_base64(library)))))
    params = told["params"]
    for name in told["paths"]:
        if params[name] is not None:
            # As Ansible does it: pathlib would drop a closing slash, and fail where there is no home.
            params[name] = os.path.expanduser(os.path.expandvars(params[name]))  # noqa: PTH111
    if told["log"]:
        _log(told["module"], params)
    act = importlib.import_module(f"{PACKAGE}._act").act
    run = getattr(importlib.import_module(told["run"][0]), told["run"][1])
    if hasattr(gc, "freeze"):  # in CPython
        # All that is loaded by now stays: nobody need look through it for garbage, now and then and once more in the end.
        gc.freeze()
    answer = {"result": act(run, told["capability"], params, told["check_mode"])}
    answer["paths"] = {name: params[name] for name in told["paths"]}
    # Text that is not UTF-8 (a file name, a log line) comes home with a question mark in its place.
    line = json.dumps(answer, ensure_ascii=False).encode("utf-8", "replace")
    sys.stdout.buffer.write(b"\n" + word.encode() + b" " + line + b"\n")
    sys.stdout.flush()


def _stand_where_we_may_read() -> None:
    """Leave a folder that only the login user may read: commands would fail in it."""
    try:
        os.scandir(".").close()
    except OSError:
        os.chdir("/")


def _log(module: str, params: dict[str, Any]) -> None:
    """Leave in the host's log that the module ran, as Ansible's modules do, but nothing of the catalogue."""
    told = " ".join(f"{key}={value}" for key, value in params.items() if not isinstance(value, (dict, list)))
    syslog.openlog(f"ansible-{module}", 0, syslog.LOG_USER)
    syslog.syslog(syslog.LOG_INFO, f"Invoked with {told}"[:1000].replace("\0", ""))
