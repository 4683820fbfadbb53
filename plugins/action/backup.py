"""Carries the module of the same name to the host; what it does stands there.

A repository that many hosts share is initialised by one of them: two at the same moment would leave two keys, of which one
opens nothing. Hosts cannot lock one another out in a remote repository, but all of them are asked from here.
"""

from __future__ import annotations

import fcntl
import os
from pathlib import Path
from typing import Any

from ansible import constants
from ansible_collections.incidentctl.response.plugins.modules import backup
from ansible_collections.incidentctl.response.plugins.plugin_utils import _carrier


class ActionModule(_carrier.Carrier):
    """The action that Ansible looks for by this name."""

    cargo = _carrier.load(backup)

    def run(self, tmp: None = None, task_vars: dict[str, Any] | None = None) -> dict[str, Any]:
        """Back up; where the module found no repository, have one host at a time make it, and back up then."""
        if self._task.check_mode or self._task.args.get("initialise", "auto") != "auto":
            return super().run(tmp, task_vars)
        answer = self._run(task_vars, "never")
        if answer.get("incident", {}).get("facts", {}).get("repository") != "none yet":
            return answer
        # The folder of this run of Ansible, private and shared by the processes that it forks, one for each host.
        lock = Path(constants.DEFAULT_LOCAL_TMP) / "incidentctl-initialise.lock"
        with os.fdopen(os.open(lock, os.O_WRONLY | os.O_CREAT | os.O_CLOEXEC, 0o600), "w") as turn:
            fcntl.flock(turn, fcntl.LOCK_EX)
            made = self._run(task_vars, "only")
        if made.get("failed") or made.get("incident", {}).get("outcome") == "failed":
            return made
        return self._run(task_vars, "never")

    def _run(self, task_vars: dict[str, Any] | None, initialise: str) -> dict[str, Any]:
        self._task.args["initialise"] = initialise
        return super().run(None, task_vars)
