"""boots."""
