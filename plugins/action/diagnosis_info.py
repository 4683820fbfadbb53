"""Carries the module of the same name to the host; what it does stands there."""

from __future__ import annotations

from typing import Any

from ansible_collections.incidentctl.response.plugins.module_utils import _health_check, _health_figures
from ansible_collections.incidentctl.response.plugins.modules import diagnosis_info
from ansible_collections.incidentctl.response.plugins.plugin_utils import _carrier

_OF_HEALTH_CHECK = _carrier.load(diagnosis_info, _health_check.run)
_WITH_FIGURES = _carrier.load(diagnosis_info, _health_figures.run)


class ActionModule(_carrier.Carrier):
    """The action that Ansible looks for by this name."""

    cargo = _carrier.load(diagnosis_info)

    def cargo_for(self, params: dict[str, Any]) -> _carrier.Cargo:
        """Return what travels: a health check is asked often, and needs a fifth of what a diagnosis does."""
        if params["capability"] != "health_check":
            return self.cargo
        return _WITH_FIGURES if params["figures"] else _OF_HEALTH_CHECK
