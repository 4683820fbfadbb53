#!/usr/bin/python
# SPDX-License-Identifier: GPL-3.0-or-later
"""Stop services on a host during an incident, or restart them."""

from __future__ import annotations

DOCUMENTATION = r"""
module: service_state
short_description: Stop services during an incident, so that lift can start them again, or restart them
description:
  - Stops the services of this host that are named in O(only), or, with O(non_essential), those marked C(essential=false).
  - Records each stop in the host's ledger before it acts. M(incidentctl.response.lift) starts exactly what was stopped, what
    others depend on first.
  - A systemd unit is stopped together with the sockets, timers and paths that would start it again, and with what
    goes down with it; those that ran are recorded. Nothing is disabled or masked, so an enabled unit starts again with the host.
  - A unit that failed or is masked is left as it is. One that could not be started again (it is transient, or masked while it
    runs) is refused, and so is one whose stop would take the SSH server down.
  - Containers of a compose file are stopped, and started again, by their ids.
  - A service that another incident stopped is held by this one, too; M(incidentctl.response.lift) starts it when both are lifted.
  - With O(state=restarted) each service in O(only) is stopped so, and all that ran is started again; what failed or stands
    still is started, however often it failed before. It must then become healthy, and neither fail nor crash for a while;
    else the act is failed, with what the service said last. M(incidentctl.response.lift) leaves a restart in place, and
    brings one to its end that was cut off in between.
  - What an incident has stopped is not restarted, it is refused.
version_added: 0.1.0
author: The incidentctl maintainers (@incidentctl)
extends_documentation_fragment: incidentctl.response.incident
options:
  state:
    description: Whether to stop services, or to restart them.
    type: str
    choices: [stopped, restarted]
    default: stopped
  capability:
    description: The role that has services stopped; it names the ledger entries. Those of a restart are named by that.
    type: str
    choices: [isolation, scale_down]
    default: isolation
  non_essential:
    description: Stop what the catalogue marks C(essential=false), instead of what O(only) names.
    type: bool
    default: false
  grace_s:
    description:
      - Seconds that a unit or container has to end by itself. Then it is killed, and the summary says what was.
      - A unit's own C(TimeoutStopSec) is kept, if that is shorter. A C(command) service is not killed, it fails if it still runs.
    type: float
    default: 30
  restart_again:
    description: Restart also what was restarted in this incident already.
    type: bool
    default: false
  within_s:
    description: Seconds within which a service must be healthy after its restart.
    type: float
    default: 60
  window_s:
    description: Seconds for which it must then stay healthy, without a crash.
    type: float
    default: 3
"""

EXAMPLES = r"""
- name: Restart the checkout service
  incidentctl.response.service_state:
    state: restarted
    services: "{{ incident_services }}"
    only: [checkout]
    host_name: "{{ inventory_hostname }}"
    host_groups: "{{ group_names }}"
    incident_id: INC-20260101-0300-abcd

- name: Stop the checkout service wherever it runs
  incidentctl.response.service_state:
    capability: isolation
    services: "{{ incident_services }}"
    only: [checkout]
    host_name: "{{ inventory_hostname }}"
    host_groups: "{{ group_names }}"
    incident_id: INC-20260101-0300-abcd

- name: Give what nobody will miss five seconds to end
  incidentctl.response.service_state:
    capability: scale_down
    non_essential: true
    grace_s: 5
    services: "{{ incident_services }}"
    host_name: "{{ inventory_hostname }}"
    host_groups: "{{ group_names }}"
    incident_id: INC-20260101-0300-abcd
"""

RETURN = r"""
incident:
  description: What was done, one action per service (docs/contracts.md, 3).
  returned: always
  type: dict
  sample:
    capability: isolation
    outcome: done
    actions:
      - target: checkout
        outcome: done
        summary: checkout stopped
        entry: 000001-isolation-checkout
        verified: true
    facts: {}
    files: []
"""

from ansible_collections.incidentctl.response.plugins.module_utils._module import main, options
from ansible_collections.incidentctl.response.plugins.module_utils._service_state import capability, run

ARGUMENT_SPEC = options(
    state={"type": "str", "choices": ["stopped", "restarted"], "default": "stopped"},
    capability={"type": "str", "choices": ["isolation", "scale_down"], "default": "isolation"},
    non_essential={"type": "bool", "default": False},
    grace_s={"type": "float", "default": 30},
    restart_again={"type": "bool", "default": False},
    within_s={"type": "float", "default": 60},
    window_s={"type": "float", "default": 3},
)

if __name__ == "__main__":
    main(ARGUMENT_SPEC, run, capability)
