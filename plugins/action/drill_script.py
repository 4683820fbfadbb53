"""Carries the module of the same name to the host; what it does stands there."""

from __future__ import annotations

from ansible_collections.incidentctl.response.plugins.modules import drill_script
from ansible_collections.incidentctl.response.plugins.plugin_utils import _carrier


class ActionModule(_carrier.Carrier):
    """The action that Ansible looks for by this name."""

    cargo = _carrier.load(drill_script)
