"""The phases of an incident, each a function of the desk. Their order is workflow.PHASES."""
