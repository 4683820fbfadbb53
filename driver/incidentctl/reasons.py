"""What Ansible and ssh say when a task does not end well → an outcome, and words that a tired person understands. Pure."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from incidentctl.outcome import IT_MAY_GO_ON

NO_PRIVILEGE = "no privilege"
NO_LOGIN = "the login was refused"
NO_AGENT = f"{NO_LOGIN}: the ssh-agent here is gone. Fix: start one, ssh-add your key, and export its SSH_AUTH_SOCK"
_LONGEST = 1000
_TRACEBACK = "Traceback (most recent call last)"
# What Ansible puts before what ssh said, and ssh's banners.
_BEFORE = re.compile(
    r"Task failed: |Failed to connect to the host via \w+: ?|[Dd]ata could not be sent to remote host \S+\. "
    r"Make sure this host can be reached over ssh:? ?|Warning: Permanently added .*? to the list of known hosts\.|@{5,}",
    re.IGNORECASE,
)
_NOT_ROOT = re.compile(r"(?:missing|incorrect) \w+ password|sudoers|not allowed to (?:execute|run)", re.IGNORECASE)
# The connection stood, so the module may have begun: what it did is unknown, which is worse than a host nobody got to.
_LOST = (
    (r"Timeout, server \S+ not responding", "the host stopped answering in the middle"),
    (r"Broken pipe|Read from remote host|closed by remote host|mux_client\w*: |Shared connection to \S+ closed|client_loop: ",
     "the connection was lost in the middle"),
)  # fmt: skip
# What our own action plugin says of evidence (plugins/plugin_utils/_homecoming.py).
_CUT_OFF = re.compile(r"the transfer was cut off after \d+ bytes: the next collection goes on from there")
# Nobody got in: nothing was begun.
_UNREACHABLE = (
    (r"HOST IDENTIFICATION HAS CHANGED|[Hh]ost key for \S+ has changed",
     "its host key has changed. Fix: if the host was set up anew, ssh-keygen -R HOST, and log in once to trust the new key; "
     "if not, find out who answers there"),
    (r"No \S+ host key is known for (?P<at>[^\s,]+)|Host key verification failed",
     "its host key is not known here. Fix: log in once, compare the key and trust it"),
    (r"connect to host (?P<at>\S+ port \d+): Connection refused", "refused"),
    (r"connect to host (?P<at>\S+ port \d+): (?:Connection|Operation) timed out", "no answer for {seconds:.0f} s"),
    (r"Connection timed out during banner exchange", "something answers, but not as ssh does, for {seconds:.0f} s"),
    (r"connect to host (?P<at>\S+ port \d+): (?:No route to host|Network is unreachable)", "no way there"),
    (r"Could not resolve hostname (?P<at>[^\s:]+)", "its name is not known to the name service"),
    (r"(?P<at>\S+): Permission denied|Permission denied \(|Too many authentication failures",
     f"{NO_LOGIN}. Fix: see the user and the key that ansible HOST -m ping -vvv tries"),
    (r"kex_exchange_identification|Connection reset by peer", "the connection was closed before the login"),
)  # fmt: skip


def in_words(unreachable: bool, res: Mapping[str, Any], seconds: float) -> tuple[str, str]:
    """Given the result of a task that failed, or whose host was unreachable, after some seconds: the outcome, and why.

    A way out, where there is one to tell, follows the reason as `. Fix: …`.
    """
    if isinstance(res.get("timedout"), Mapping):
        return "unknown", f"timed out after {res['timedout'].get('period')} s: {IT_MAY_GO_ON}"
    text = _said(res)
    # ssh says why nobody gets in; only one that shares a connection says nothing when that ends.
    if unreachable and not text:
        return "unknown", f"the connection was lost in the middle; {IT_MAY_GO_ON}"
    text = text or "Ansible gave no reason"
    if not unreachable:
        return "failed", f"{NO_PRIVILEGE}: {text}" if _NOT_ROOT.search(text) else text
    if lost := _lost(text):
        return "unknown", lost
    for pattern, words in _UNREACHABLE:
        if found := re.search(pattern, text):
            why, dot, fix = words.format(seconds=seconds).partition(". Fix: ")
            place = found.groupdict().get("at")
            return "unreachable", why + (f" ({place})" if place else "") + dot + fix
    return "unreachable", text


def _lost(text: str) -> str:
    """Say how a connection that stood was lost; nothing if it did not stand."""
    if found := _CUT_OFF.search(text):
        return found[0]
    return next((f"{words}; {IT_MAY_GO_ON}" for pattern, words in _LOST if re.search(pattern, text)), "")


def way_out(reason: str) -> tuple[str, str]:
    """Split a reason into what it says and how to mend it, "" if it does not say that."""
    told, _, fix = reason.partition(". Fix: ")
    return told, fix


def _said(res: Mapping[str, Any]) -> str:
    told = [_without_traceback(str(res[key])) for key in ("msg", "module_stderr", "stderr") if res.get(key)]
    text = _BEFORE.sub("", " ".join(" ".join(told).split())).strip()
    return text[:_LONGEST]


def _without_traceback(text: str) -> str:
    """Of a traceback, only its last line says what went wrong."""
    before, mark, trace = text.partition(_TRACEBACK)
    return f"{before.rstrip()} {trace.strip().splitlines()[-1].strip()}" if mark and trace.strip(": \n") else text
