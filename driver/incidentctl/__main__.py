"""`python -m incidentctl` is `incidentctl`."""

from incidentctl.cli import main

main()
