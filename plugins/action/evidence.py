"""Carries the module of the same name to the host, brings the bundle home, and leaves nothing of it there."""

from __future__ import annotations

import shlex
import shutil
from pathlib import Path
from typing import Any

from ansible.errors import AnsibleConnectionFailure, AnsibleError
from ansible_collections.incidentctl.response.plugins.module_utils import _evidence_place
from ansible_collections.incidentctl.response.plugins.modules import evidence
from ansible_collections.incidentctl.response.plugins.plugin_utils import _carrier, _homecoming

# What a bundle has beside what it holds: of each member a header and a row in the manifest, which compress well.
_BESIDE = 16 << 20


class ActionModule(_carrier.Carrier):
    """The action that Ansible looks for by this name."""

    cargo = _carrier.load(evidence)

    def run(self, tmp: None = None, task_vars: dict[str, Any] | None = None) -> dict[str, Any]:
        """Return the module's result, in which the bundle is the one that lies here now."""
        if shutil.which("zstd") is None:  # to read it here, as `incidentctl evidence` does
            self._task.args["compression"] = "gzip"
        answer = super().run(tmp, task_vars)
        if "bundle" not in answer or answer.get("failed"):
            return answer
        source, target = "", str(self._task.args["dest"])
        try:
            source = _homecoming.source_of(answer["bundle"])
            if source.endswith(".zst"):
                target = f"{target.removesuffix('.tar.gz')}.tar.zst"
            answer["incident"]["files"] = [self._bring(source, target, answer)]
        except AnsibleConnectionFailure:
            raise  # the host is gone: there is nothing to be asked of it, and its next collection removes the bundle
        except (_homecoming.NotHomeError, AnsibleError, OSError) as error:
            return self._undelivered(source, str(error), task_vars)
        if self._low_level_execute_command(f"rm -rf -- {shlex.quote(str(Path(source).parent))}", sudoable=False)["rc"]:
            self._display.warning(f"{source} could not be removed from the host. Fix: remove its folder there")
        return answer

    def _bring(self, source: str, target: str, answer: dict[str, Any]) -> dict[str, Any]:
        host_name = str(self._task.args["host_name"])
        if _evidence_place.why_not(host_name) or Path(target).parent.name != host_name:
            raise _homecoming.NotHomeError(f"{target} is not in a folder of that host's name")
        told = answer["incident"]["files"][:1]
        most = int(self._task.args.get("max_bytes") or evidence.ARGUMENT_SPEC["max_bytes"]["default"]) + _BESIDE
        return _homecoming.bring(self._connection.fetch_file, source, Path(target), told[0] if told else None, most)

    def _undelivered(self, source: str, reason: str, task_vars: dict[str, Any] | None) -> dict[str, Any]:
        """Have the module remove what did not come home, and say that it failed."""
        self._task.args = {**self._task.args, "state": "undelivered", "bundle": source, "reason": reason[:1000]}
        return super().run(None, task_vars)
