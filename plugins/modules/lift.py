#!/usr/bin/python
# SPDX-License-Identifier: GPL-3.0-or-later
"""Take back what was done to a host during an incident."""

from __future__ import annotations

DOCUMENTATION = r"""
module: lift
short_description: Undo every open ledger entry of an incident, newest first
description:
  - Takes back what the other modules of this collection did to this host, by the ledger alone, without the catalogue.
  - Undoes exactly what was done; what others changed meanwhile stays. An entry whose effect is gone already is closed.
  - An entry that cannot be undone, or not be read, is failed and kept. The others are lifted all the same.
  - A rollback is a recovery and stays.
  - A service or toggle that another incident holds as well stays as it is until that one is lifted, too.
  - Ledgers of other incidents that were wholly lifted long ago are removed.
version_added: 0.1.0
author: The incidentctl maintainers (@incidentctl)
extends_documentation_fragment: incidentctl.response.incident.ledger
options:
  only:
    description:
      - The entries to take back, each by its name, C(000003-isolation-checkout), or as C(isolation/checkout). Empty means all.
      - One that the incident has no entry of on this host is an error, which names what is open.
    type: list
    elements: str
    default: []
  forget_after_days:
    description:
      - The ledger of another incident is removed when all that it did here was lifted so many days ago. C(0) keeps them all.
      - One with an entry that is open, that cannot be read, or that is kept (a rollback) stays.
    type: float
    default: 30
"""

EXAMPLES = r"""
- name: Take back what incident INC-20260101-0300-abcd did to this host
  incidentctl.response.lift:
    incident_id: INC-20260101-0300-abcd

- name: Start the checkout again; what else it contained stays so
  incidentctl.response.lift:
    incident_id: INC-20260101-0300-abcd
    only: [isolation/checkout]
"""

RETURN = r"""
incident:
  description:
    - What was taken back, one action per ledger entry (docs/contracts.md, 3).
    - C(facts.open) names the entries that are open now, C(facts.lifted) those that are lifted, by this run or an earlier
      one. C(facts.entries) has C(entry), C(capability) and C(target) of each that this run found open. C(facts.held) is there if
      another incident still holds some of it, and says which, by target.
    - C(facts.damaged) is there if entries cannot be read, as C(entry) and C(path) of each.
    - C(facts.bundles) is there if bundles of the incident's evidence lie on this host, and names their folders.
    - C(facts.waited) is there if another act was at work on this host, as C(seconds) and for whom it waited, C(for).
  returned: always
  type: dict
  sample:
    capability: lift
    outcome: done
    actions:
      - target: checkout
        outcome: done
        summary: "checkout started and healthy: 200 in 2 ms"
        entry: 000001-isolation-checkout
        verified: true
    facts:
      open: []
      lifted: [000001-isolation-checkout]
      entries:
        - entry: 000001-isolation-checkout
          capability: isolation
          target: checkout
    files: []
"""

from typing import Any

from ansible_collections.incidentctl.response.plugins.module_utils._lift import run
from ansible_collections.incidentctl.response.plugins.module_utils._module import LEDGER_OPTIONS, main

ARGUMENT_SPEC = {
    "only": {"type": "list", "elements": "str", "default": []},
    "forget_after_days": {"type": "float", "default": 30},
    **LEDGER_OPTIONS,
}


def capability(_params: dict[str, Any]) -> str:
    """Return the one capability that this module serves."""
    return "lift"


if __name__ == "__main__":
    main(ARGUMENT_SPEC, run, capability)
