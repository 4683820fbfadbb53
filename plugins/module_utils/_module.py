"""What the wrappers in plugins/modules share: the common options, and the way out."""

from __future__ import annotations

from typing import Any, Callable

from ansible.module_utils.basic import AnsibleModule
from ansible_collections.incidentctl.response.plugins.module_utils._catalogue import CatalogueError
from ansible_collections.incidentctl.response.plugins.module_utils._outcome import Result, action, result

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


def main(
    argument_spec: dict[str, Any],
    run: Callable[[dict[str, Any], bool], Result],
    capability: Callable[[dict[str, Any]], str],
) -> None:
    """Run one capability as an Ansible module: parse, run, exit.

    A failed or refused act fails the task, unless `keep_going` asks to hand it back in the block, so
    that one failed capability does not silence the next (docs/contracts.md, 3).
    """
    module = AnsibleModule(argument_spec=argument_spec, supports_check_mode=True)
    try:
        answer = run(module.params, module.check_mode)
    except CatalogueError as error:
        answer = result(capability(module.params), [action("incident_services", "failed", str(error))])
    except OSError as error:
        answer = result(capability(module.params), [action("host", "failed", str(error))])
    for text in answer.pop("warnings", []):
        module.warn(text)
    block = answer["incident"]
    if block["outcome"] in ("failed", "refused") and not module.params["keep_going"]:
        module.fail_json(msg=f"{block['capability']} {block['outcome']}: {block['reason']}", **answer)
    module.exit_json(**answer)
