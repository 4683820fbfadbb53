"""incidentctl: the driver. The work on hosts is the collection incidentctl.response."""

__version__ = "0.1.0"
