"""How much each fact counts for an option: the table of docs/options.md. Pure."""

from __future__ import annotations

BASE = 40  # before any fact
LEAST, MOST = 1, 95  # nobody is certain at 3 a.m.
RECOMMENDED_FROM = 25  # what is less likely to help is no advice
KNOWN_FROM = 40  # a cause with a lower score is a guess: that it is touched is no reason to do anything

# The likeliest cause: points for each hundred of its score; half of them where the next cause is this near, and would
# have it the other way.
TOUCHED, NOT_TOUCHED = 20, -25
NEAR = 10

# Of a rollback.
JUST_BEFORE, LONG_BEFORE, AFTER = 15, -20, -25
JUST_BEFORE_S, SLACK_S = 30 * 60, 5
NEW_ERRORS, NO_NEW_ERRORS = 5, -5
REHEARSED, NOT_REHEARSED = 5, -5
SCHEMA = {"none": 5, "compatible": -5, "unknown": -10, "breaking": -30}
NOT_ALL = -20  # it helps only some of the affected services

# What was done before: all of it where it always helped, nothing where as often as not.
SOLVED, DRILLED = 20, 10
TRIED = -40

NOT_REVIEWED = -15  # what a hotfix holds is not known here
CAUSE_STAYS = -20
OWN = -10  # what a custom playbook does is not known here
NOTHING_DONE = -30
RECOVERING, RECOVERING_BY_ITSELF = 70, -40  # for waiting, and for everything else
