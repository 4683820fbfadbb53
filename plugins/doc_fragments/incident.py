"""The options that the modules of this collection share (plugins/module_utils/_module.py)."""

from __future__ import annotations

_CATALOGUE = r"""
options:
  services:
    description: The catalogue, usually C(incident_services). Those of other hosts are passed over.
    type: list
    elements: dict
    required: true
  only:
    description: Names of the services to act on. Empty means all that the act is meant for.
    type: list
    elements: str
    default: []
  host_name:
    description: This host's name in the inventory, to pick its own services.
    type: str
    required: true
  host_groups:
    description: The inventory groups this host is in, to pick its own services.
    type: list
    elements: str
    default: []
"""

_LEDGER = r"""
  incident_id:
    description: The incident that the ledger entries belong to.
    type: str
    default: adhoc
  state_dir:
    description: Folder on the host that holds the ledger. Created with mode 0700.
    type: path
    default: /var/lib/incidentctl
  keep_going:
    description: Hand a failed or refused act back in RV(ignore:incident.outcome) instead of failing the task.
    type: bool
    default: false
attributes:
  action:
    description: An action plugin of the same name checks the options before any host is asked, and carries the module there.
    support: full
  async:
    description: Supports being used with the C(async) keyword; then it goes as an ordinary module.
    support: full
  check_mode:
    description: Says what it would do and changes nothing.
    support: full
  diff_mode:
    description: Shows the state before and after.
    support: full
"""


class ModuleDocFragment:
    """Shared documentation: `incidentctl.response.incident`, or `.incident.ledger` without the catalogue."""

    DOCUMENTATION = _CATALOGUE + _LEDGER
    LEDGER = "options:\n" + _LEDGER
