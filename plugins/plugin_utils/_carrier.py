"""How a module comes to a host: in one exec, as a program on the standard input of its Python."""

from __future__ import annotations

import json
import re
import secrets
import types
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from ansible import constants
from ansible.errors import AnsibleActionFail
from ansible.module_utils.common.arg_spec import ArgumentSpecValidator
from ansible.module_utils.common.json import Direction, get_module_encoder
from ansible.module_utils.errors import UnsupportedError
from ansible.plugins.action import ActionBase
from ansible.plugins.action.normal import ActionModule as OrdinaryModule
from ansible_collections.incidentctl.response.plugins.plugin_utils import _cargo

_AUTO = ("", "auto", "auto_legacy", "auto_silent", "auto_legacy_silent")
# Isolated: no file of the folder we happen to be in, and no site-packages, can pose as the standard library.
_FLAGS = "-I -S -B -"
_ENCODER = get_module_encoder("legacy", Direction.CONTROLLER_TO_MODULE)


@dataclass(frozen=True)
class Cargo:
    """One module, ready to travel: its options, what to call on the host, and the code that this takes."""

    argument_spec: dict[str, Any]
    run: tuple[str, str]
    capability: Callable[[dict[str, Any]], str]
    library: str
    paths: tuple[str, ...]


def load(module: types.ModuleType, run: Callable[..., Any] | None = None) -> Cargo:
    """Given a module of plugins/modules, return what has to travel. Done once a process, before Ansible forks.

    `run` is what is called on the host, if that is not the module's own: for a capability that needs less of it.
    """
    spec, run = module.ARGUMENT_SPEC, run or module.run
    paths = tuple(name for name, about in spec.items() if about["type"] == "path")
    # A path means a path of the host: ~ and $HOME are filled in there, not here.
    here = {name: {**about, "type": "str"} if name in paths else about for name, about in spec.items()}
    library = _cargo.pack("_act", run.__module__.rpartition(".")[2])
    return Cargo(here, (run.__module__, run.__qualname__), module.capability, library, paths)


class Carrier(OrdinaryModule):
    """Send the module in one exec, where standard input can carry it; else, as an ordinary module."""

    cargo: Cargo

    def run(self, tmp: None = None, task_vars: dict[str, Any] | None = None) -> dict[str, Any]:
        """Return the result that the module itself would."""
        task_vars = task_vars or {}
        if not self._can_go_on_stdin(task_vars):
            return dict(super().run(tmp, task_vars))
        result: dict[str, Any] = ActionBase.run(self, tmp, task_vars)
        params, problem = self._validated()
        answer: dict[str, Any] | None
        if problem:
            answer = {"failed": True, "msg": problem}
        else:
            answer = self._ask(params, task_vars)
            if answer is None:
                self._display.vv(f"{self._task.action}: not started on standard input; sent as an ordinary module")
                return dict(super().run(tmp, task_vars))
        for text in answer.pop("warnings", []):
            self._display.warning(text)
        if _tells_invocation(task_vars):
            answer["invocation"] = {"module_args": params}
        return {**result, **answer}

    def cargo_for(self, _params: dict[str, Any]) -> Cargo:
        """Return what travels for these parameters."""
        return self.cargo

    def _can_go_on_stdin(self, task_vars: dict[str, Any]) -> bool:
        """Say whether Ansible itself would send a module over standard input; over ssh, whatever `pipelining` says."""
        wish = self._templar.template(task_vars.get("incident_carrier", "stdin"))
        if wish not in ("stdin", "module"):
            raise AnsibleActionFail(f"incident_carrier is {wish!r}. Fix: set it to stdin or module, or leave it out")
        if wish == "module" or self._task.async_val or constants.DEFAULT_KEEP_REMOTE_FILES:
            return False
        return bool(self._connection.transport == "ssh" or self._connection.is_pipelining_enabled())

    def _validated(self) -> tuple[dict[str, Any], str]:
        """Return the task's arguments as the module's own spec makes them, and what is wrong with them."""
        given = json.loads(json.dumps(self._task.args, cls=_ENCODER))
        found = ArgumentSpecValidator(self.cargo.argument_spec).validate(given)
        if not found.error_messages:
            return found.validated_parameters, ""
        text = str(found.errors.msg)
        if isinstance(found.errors[0], UnsupportedError):
            text = f"Unsupported parameters for ({self._task.action}) module: {text}"
        return found.validated_parameters, text

    def _ask(self, params: dict[str, Any], task_vars: dict[str, Any]) -> dict[str, Any] | None:
        """Run the module on the host; return its result, or None if it did not start there."""
        cargo = self.cargo_for(params)
        if self._task.delegate_to:
            task_vars = task_vars["ansible_delegated_vars"][self._task.delegate_to]
        environment: dict[str, Any] = {}
        self._compute_environment_string(environment)
        quiet = self._task.no_log or constants.config.get_config_value("DEFAULT_NO_TARGET_SYSLOG", variables=task_vars)
        word = f"incidentctl-{secrets.token_hex(8)}"
        message = {
            "module": self._task.action,
            "run": cargo.run,
            "capability": cargo.capability(params),
            "params": params,
            "paths": cargo.paths,
            "check_mode": bool(self._task.check_mode),
            "environment": {key: str(value) for key, value in environment.items()},
            "log": not quiet,
        }
        data = _cargo.program(word, cargo.library, message)
        ended = self._low_level_execute_command(self._command(task_vars), in_data=data, sudoable=True)
        said = re.findall(rf"^{word} (.*)$", ended["stdout"], re.MULTILINE)
        if not said:
            return None
        try:
            answer = json.loads(said[-1])
            params.update(answer["paths"])
            return dict(answer["result"])
        except ValueError:
            last = (ended["stderr"].strip() or "it said nothing").splitlines()[-1][-500:]
            text = (
                f"{self._task.action} began on this host and ended before it answered (exit code {ended['rc']}): {last}. "
                "What it did until then is in the host's ledger. Fix: run it again, or take it back with lift"
            )
            return {"failed": True, "msg": text}

    def _command(self, task_vars: dict[str, Any]) -> str:
        """Return the command that starts the host's Python: the one that Ansible is told of, or would find."""
        named = constants.config.get_config_value("INTERPRETER_PYTHON", variables=task_vars)
        named = str(self._templar.template(named) or "").strip()
        if named in _AUTO:
            named = task_vars.get("ansible_facts", {}).get("discovered_interpreter_python", "")
        if named:
            return f"{named} {_FLAGS}"
        names = " ".join(constants.config.get_config_value("INTERPRETER_PYTHON_FALLBACK", variables=task_vars))
        return f'for python in {names}; do command -v "$python" >/dev/null 2>&1 && break; done; "$python" {_FLAGS}'


def _tells_invocation(task_vars: dict[str, Any]) -> bool:
    """Say whether results repeat what was asked for: a setting since ansible-core 2.21, and always before."""
    if not constants.config.get_configuration_definition("INJECT_INVOCATION"):
        return True
    return bool(constants.config.get_config_value("INJECT_INVOCATION", variables=task_vars))
