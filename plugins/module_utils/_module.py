"""What the wrappers in plugins/modules share: the common options, and the way out."""

from __future__ import annotations

from typing import Any, Callable

from ansible.module_utils.basic import AnsibleModule
from ansible_collections.incidentctl.response.plugins.module_utils._act import Run, act

# Documented in plugins/doc_fragments/incident.py.
LEDGER_OPTIONS: dict[str, Any] = {
    "incident_id": {"type": "str", "default": "adhoc"},
    "state_dir": {"type": "path", "default": "/var/lib/incidentctl"},
    "keep_going": {"type": "bool", "default": False},
}
COMMON_OPTIONS: dict[str, Any] = {
    "services": {"type": "list", "elements": "dict", "required": True},
    "only": {"type": "list", "elements": "str", "default": []},
    "host_name": {"type": "str", "required": True},
    "host_groups": {"type": "list", "elements": "str", "default": []},
    **LEDGER_OPTIONS,
}


def options(**own: Any) -> dict[str, Any]:
    """Given a module's own options, return them together with those of all modules that take the catalogue."""
    return {**COMMON_OPTIONS, **own}


def capability(params: dict[str, Any]) -> str:
    """Return the capability of a module that serves several: the one that it was asked for."""
    return str(params["capability"])


def main(argument_spec: dict[str, Any], run: Run, of: Callable[[dict[str, Any]], str]) -> None:
    """Run one capability as an ordinary Ansible module: parse, act, exit. (How else it travels: plugins/action.)"""
    module = AnsibleModule(argument_spec=argument_spec, supports_check_mode=True)
    answer = act(run, of(module.params), module.params, module.check_mode)
    for text in answer.pop("warnings", []):
        module.warn(text)
    if answer.pop("failed", False):
        module.fail_json(**answer)
    module.exit_json(**answer)
