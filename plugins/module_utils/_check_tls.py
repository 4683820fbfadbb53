"""Does a TLS server show a certificate that is trusted, and for how long is it valid?"""

from __future__ import annotations

import ssl
import time
from typing import Any

from ansible_collections.incidentctl.response.plugins.module_utils._check_address import Check, Needs
from ansible_collections.incidentctl.response.plugins.module_utils._line import Clock, connect

_DAY_S = 86400


def ask(check: Check, needs: Needs, clock: Clock) -> dict[str, Any]:
    """Make a TLS handshake; return {detail, certificate: {days}}. Raise Failure."""
    with connect(check.host, check.port, clock) as line:
        shown = line.secure(check.option or check.host, needs.trust)
        took = clock.passed_ms
    days = (ssl.cert_time_to_seconds(str(shown["notAfter"])) - time.time()) / _DAY_S
    detail = f"TLS in {took:.0f} ms, its certificate is valid for {days:.0f} more days"
    return {"detail": detail, "certificate": {"days": round(days, 1)}}
