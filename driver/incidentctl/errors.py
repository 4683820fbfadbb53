"""What can go wrong, each with its exit code (docs/contracts.md, 7). Imports nothing."""


class IncidentctlError(Exception):
    """An error a person can act on: what happened, why, and how to fix it."""

    exit_code = 1

    def __init__(self, what: str, why: str = "", fix: str = "") -> None:
        """Keep the three lines apart, so that the console can show them apart."""
        super().__init__(what)
        self.what = what
        self.why = why
        self.fix = fix

    def __str__(self) -> str:
        """Return the lines that there are: what, why, `Fix:`."""
        return "\n".join(line for line in (self.what, self.why, f"Fix: {self.fix}" if self.fix else "") if line)


class UsageError(IncidentctlError):
    """The words of the command are wrong."""

    exit_code = 2


class ConfigurationError(IncidentctlError):
    """incidentctl.yml or the inventory cannot be used."""

    exit_code = 3


class DecisionAwaited(IncidentctlError):
    """A person must decide before this goes on."""

    exit_code = 10


class LockedError(IncidentctlError):
    """Another responder is at work here."""

    exit_code = 13


class AlreadyOpen(LockedError):
    """There is an open incident for this already; `held` if somebody is at work on it."""

    def __init__(self, incident_id: str, held: bool, what: str, why: str = "", fix: str = "") -> None:
        """Keep which one, so that it can be gone on with instead."""
        super().__init__(what, why, fix)
        self.incident_id = incident_id
        self.held = held


class AlreadyDecided(LockedError):
    """Somebody has decided this already, and that decision stands."""


class PlanChangedError(IncidentctlError):
    """What was approved is no longer what would be done."""

    exit_code = 14


class RefusedError(IncidentctlError):
    """A guard refused."""

    exit_code = 15


class Partial(IncidentctlError):
    """Some hosts failed or could not be reached."""

    exit_code = 11


class NotRecovered(IncidentctlError):
    """What was decided was carried out, or tried, and the service is not healthy."""

    exit_code = 12


class EvidenceChanged(IncidentctlError):
    """What was secured is not as it came home."""

    exit_code = 12
