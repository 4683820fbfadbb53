"""What Ansible and ssh say → an outcome and words. The texts are ansible-core 2.19's and OpenSSH 9.2's."""

from __future__ import annotations

from typing import Any

import pytest

from incidentctl import reasons

SENT = 'Task failed: Data could not be sent to remote host "10.0.0.9". Make sure this host can be reached over ssh: '
TRACE = 'Traceback (most recent call last):\n  File "<stdin>", line 3, in <module>\nOSError: [Errno 28] No space left on device\n'


@pytest.mark.parametrize(
    ("said", "outcome", "words"),
    [
        (f"{SENT}ssh: connect to host 10.0.0.9 port 22: Connection refused\r\n",
         "unreachable", "refused (10.0.0.9 port 22)"),
        (f"{SENT}ssh: connect to host 10.0.0.9 port 22: Connection timed out",
         "unreachable", "no answer for 12 s (10.0.0.9 port 22)"),
        ("Failed to connect to the host via ssh: ssh: connect to host 10.0.0.9 port 22: No route to host",
         "unreachable", "no way there (10.0.0.9 port 22)"),
        ("Failed to connect to the host via ssh: ssh: Could not resolve hostname wbe1: Name or service not known",
         "unreachable", "its name is not known to the name service (wbe1)"),
        ("Failed to connect to the host via ssh: root@10.0.0.9: Permission denied (publickey,password).",
         "unreachable", "the login was refused (root@10.0.0.9)"),
        (f"{SENT}@@@@@@@@@@@\n@ WARNING: REMOTE HOST IDENTIFICATION HAS CHANGED! @\nHost key verification failed.",
         "unreachable", "its host key has changed"),
        ("Failed to connect to the host via ssh: No ED25519 host key is known for 10.0.0.9 and you have requested strict "
         "checking.\r\nHost key verification failed.", "unreachable", "its host key is not known here (10.0.0.9)"),
        ("Failed to connect to the host via ssh: Timeout, server 10.0.0.9 not responding.",
         "unknown", "the host stopped answering in the middle; what was begun may go on there: the host's ledger knows"),
        ("Failed to connect to the host via ssh: Shared connection to 10.0.0.9 closed.",
         "unknown", "the connection was lost in the middle; what was begun may go on there: the host's ledger knows"),
        ("Failed to connect to the host via ssh: ",
         "unknown", "the connection was lost in the middle; what was begun may go on there: the host's ledger knows"),
        ("Task failed: the transfer was cut off after 72330240 bytes: the next collection goes on from there",
         "unknown", "the transfer was cut off after 72330240 bytes: the next collection goes on from there"),
        ("Something that nobody has seen before", "unreachable", "Something that nobody has seen before"),
    ],
)  # fmt: skip
def test_why_a_host_gave_no_answer(said: str, outcome: str, words: str) -> None:
    found, reason = reasons.in_words(True, {"msg": said}, 12.3)
    assert (found, reasons.way_out(reason)[0]) == (outcome, words)


@pytest.mark.parametrize(
    ("res", "outcome", "words"),
    [
        ({"msg": "Task failed: Missing sudo password"}, "failed", "no privilege: Missing sudo password"),
        ({"msg": "ops is not in the sudoers file"}, "failed", "no privilege: ops is not in the sudoers file"),
        ({"msg": "Timed out after 10 second(s).", "timedout": {"frame": "…", "period": 10}},
         "unknown", "timed out after 10 s: what was begun may go on there: the host's ledger knows"),
        ({"msg": "MODULE FAILURE: No start of json char found", "module_stderr": TRACE},
         "failed", "MODULE FAILURE: No start of json char found OSError: [Errno 28] No space left on device"),
        ({}, "failed", "Ansible gave no reason"),
    ],
)  # fmt: skip
def test_why_a_task_failed(res: dict[str, Any], outcome: str, words: str) -> None:
    assert reasons.in_words(False, res, 1.0) == (outcome, words)


def test_a_changed_host_key_has_a_way_out() -> None:
    _, reason = reasons.in_words(True, {"msg": "WARNING: REMOTE HOST IDENTIFICATION HAS CHANGED!"}, 1.0)
    assert "ssh-keygen -R" in reasons.way_out(reason)[1]
