"""What a host is sent runs there by itself: on the Python that it has, without Ansible, without a file."""

from __future__ import annotations

import ast
import base64
import json
import re
import subprocess
import sys
import zlib
from pathlib import Path
from typing import Any

import pytest
from ansible_collections.incidentctl.response.plugins.module_utils._arrival import PACKAGE
from ansible_collections.incidentctl.response.plugins.plugin_utils import _cargo

PLUGINS = Path(__file__).resolve().parents[3] / "plugins"
MODULES = sorted(path.stem for path in (PLUGINS / "modules").glob("*.py"))
_RUN = re.compile(rf"^from {re.escape(PACKAGE)}\.(\w+) import .*\brun\b", re.MULTILINE)


def worker(module: str) -> str:
    """Return the module_utils file that a module's `run` is in."""
    found = _RUN.search((PLUGINS / "modules" / f"{module}.py").read_text(encoding="utf-8"))
    assert found
    return found.group(1)


def closure(names: list[str]) -> set[str]:
    """Return all that Python itself would say is imported of ours."""
    found: set[str] = set()
    while names:
        name = names.pop()
        if name in found:
            continue
        found.add(name)
        for node in ast.walk(ast.parse((PLUGINS / "module_utils" / f"{name}.py").read_text(encoding="utf-8"))):
            if isinstance(node, ast.ImportFrom) and (node.module or "").startswith(PACKAGE):
                above = (node.module or "")[len(PACKAGE) + 1 :]
                names += [above] if above else [alias.name for alias in node.names]
    return found


def run(folder: Path, sources: dict[str, str], params: dict[str, Any], run_: tuple[str, str]) -> tuple[int, str, str]:
    """Run a program as a host does; return the exit code, what it printed, what it complained of."""
    packed = base64.b64encode(zlib.compress(json.dumps(sources).encode())).decode()
    message = {
        "module": "incidentctl.response.test",
        "run": [f"{PACKAGE}.{run_[0]}", run_[1]],
        "capability": "test",
        "params": params,
        "paths": ["state_dir"],
        "check_mode": True,
        "environment": {"WHERE": "ledger"},
        "log": False,
    }
    program = _cargo.program("word", packed, message)
    argv = [sys.executable, "-I", "-S", "-B", "-"]
    done = subprocess.run(argv, input=program, cwd=folder, env={"HOME": "/somewhere"}, capture_output=True, check=False)
    return done.returncode, done.stdout.decode(), done.stderr.decode()


def answered(said: str) -> dict[str, Any]:
    lines = [line[5:] for line in said.splitlines() if line.startswith("word ")]
    assert lines[0] == "started"
    return dict(json.loads(lines[1]))


def sources(name: str) -> dict[str, str]:
    return dict(json.loads(zlib.decompress(base64.b64decode(_cargo.pack("_act", name)))))


@pytest.mark.parametrize("module", MODULES)
def test_all_that_is_imported_is_packed_and_nothing_else(module: str) -> None:
    assert set(sources(worker(module))) == closure(["_act", worker(module)])


@pytest.mark.parametrize("module", MODULES)
def test_what_is_packed_can_be_imported_by_itself(tmp_path: Path, module: str) -> None:
    """Also where a file of the working folder has a name of the standard library."""
    (tmp_path / "json.py").write_text("raise SystemExit('this is not the standard library')")
    packed = sources(worker(module))
    packed["_probe"] = (
        f"from {PACKAGE} import {', '.join(packed)}\n"
        "from ansible_collections.incidentctl.response.plugins.module_utils._outcome import result\n"
        "def run(params, check_mode):\n"
        "    import os\n"
        "    return result('test', [], facts={'check': check_mode, 'env': os.environ['WHERE'], **params})\n"
    )
    code, said, complained = run(tmp_path, packed, {"state_dir": "~/$WHERE/", "keep_going": False}, ("_probe", "run"))
    assert code == 0, complained
    answer = answered(said)
    assert answer["paths"] == {"state_dir": "/somewhere/ledger/"}
    facts = {"check": True, "env": "ledger", "state_dir": "/somewhere/ledger/", "keep_going": False}
    assert answer["result"]["incident"]["facts"] == facts
    assert [path.name for path in tmp_path.iterdir()] == ["json.py"]


def test_a_fault_is_told_in_one_line_and_where(tmp_path: Path) -> None:
    packed = {**sources("_lift"), "_probe": "def run(params, check_mode):\n    return {}['nothing here']\n"}
    for keep_going in (False, True):
        params = {"state_dir": None, "keep_going": keep_going}
        code, said, _complained = run(tmp_path, packed, params, ("_probe", "run"))
        result = answered(said)["result"]
        assert code == 0
        assert result.get("failed", False) is not keep_going
        assert "KeyError: 'nothing here' (_probe.py, line 2)" in result["incident"]["reason"]
        assert "Traceback" not in said


def test_text_that_is_no_text_comes_home_all_the_same(tmp_path: Path) -> None:
    probe = (
        "from ansible_collections.incidentctl.response.plugins.module_utils._outcome import action, result\n"
        "def run(params, check_mode):\n"
        "    return result('test', [action(b'caf\\xe9'.decode('utf-8', 'surrogateescape'), 'done', 'déjà vu \\u2028')])\n"
    )
    packed = {**sources("_lift"), "_probe": probe}
    code, said, complained = run(tmp_path, packed, {"state_dir": None, "keep_going": False}, ("_probe", "run"))
    assert code == 0, complained
    line = next(line for line in said.split("\n") if line.startswith('word {"'))
    (row,) = json.loads(line[5:])["result"]["incident"]["actions"]
    assert (row["target"], row["summary"]) == ("caf?", "déjà vu \u2028")


def test_what_is_loaded_is_not_looked_through_for_garbage(tmp_path: Path) -> None:
    probe = (
        "from ansible_collections.incidentctl.response.plugins.module_utils._outcome import result\n"
        "def run(params, check_mode):\n"
        "    import gc\n"
        "    return result('test', [], facts={'kept': gc.get_freeze_count(), 'enabled': gc.isenabled()})\n"
    )
    packed = {**sources("_lift"), "_probe": probe}
    _code, said, complained = run(tmp_path, packed, {"state_dir": None, "keep_going": False}, ("_probe", "run"))
    facts = answered(said)["result"]["incident"]["facts"]
    assert facts["kept"] > 1000, complained
    assert facts["enabled"] is True
