"""Errors in logs: which lines are errors, when, why, and which of them say the same."""

from __future__ import annotations

import gzip
import os
import time
from datetime import datetime, timedelta, timezone
from pathlib import Path
from typing import Any

import pytest
from ansible_collections.incidentctl.response.plugins.module_utils import (
    _grouping,
    _log_asked,
    _log_errors,
    _log_lines,
    _log_messages,
    _patterns,
    _service_errors,
    _text,
    _timestamps,
)
from hypothesis import given, settings
from hypothesis import strategies as st

PYTHON = """Traceback (most recent call last):
  File "/srv/shop/app.py", line 12, in checkout
    total = rows[0]
sqlite3.OperationalError: no such column: unit_price
"""
CHAINED = (
    "Traceback (most recent call last):\n  File \"a.py\", line 1\nKeyError: 'a'\n\n"
    "During handling of the above exception, another exception occurred:\n\n" + PYTHON
)
JAVA = """java.lang.RuntimeException: order failed
\tat shop.Orders.place(Orders.java:12)
Caused by: java.sql.SQLException: no such table
\tat shop.Db.ask(Db.java:7)
\t... 12 more
"""


def read(path: Path, *more: dict[str, Any], limit: int = 1 << 20, deployed_at: str | None = None) -> Any:
    logs = [{"kind": "file", "path": str(path)}, *more]
    return _service_errors.read({"logs": logs}, limit, deployed_at, time.monotonic() + 60)


def errors(text: str) -> list[_log_messages.Error]:
    """The errors of a text, what they say as a person reads it."""
    found = _log_errors.Reader().errors(_log_lines.Line(line) for line in text.splitlines())
    return [error._replace(said=_patterns.shown(error.said)) for error in found]


def at(hour: int, minute: int, second: int, micro: int = 0) -> datetime:
    return datetime(2025, 11, 23, hour, minute, second, micro, tzinfo=timezone.utc)


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ("2025-11-23 09:51:16,123 ERROR shop: order 7 failed", "shop: order <n> failed"),
        ("CRITICAL:root:no room left", "root:no room left"),
        ("2025-11-23 09:51:16.123 UTC [77] FATAL:  out of connections", "out of connections"),
        ("2025/11/23 09:51:16 [error] 12#0: connect() failed", "<n>: connect() failed"),
        ("[Sun Nov 23 09:51:16.1 2025] [core:error] [pid 12] no such file", "[pid <n>] no such file"),
        ("E1123 09:51:16.123456 12 file.cc:10] disk broke", "<n> file.cc:<n>] disk broke"),
        ("E something broke", "something broke"),
        ("2025-11-23T09:51:16Z E STORAGE broke", "STORAGE broke"),
        ('time=2025-11-23T09:51:16Z level=error msg="order \\"7\\" failed" user=bob', 'order "<str>" failed'),
        ('{"level": "error", "msg": "order failed", "ts": 1763891476}', "order failed"),
        ('{"severity": "CRITICAL", "message": "bad"}', "bad"),
        ('{"level": 50, "msg": "pino says so"}', "pino says so"),
        ("\x1b[31mERROR\x1b[0m in colour", "in colour"),
        ("SEVERE: as java.util.logging has it", "as java.util.logging has it"),
    ],
)
def test_line_at_error_level_is_an_error(line: str, message: str) -> None:
    assert [error.said for error in errors(line)] == [message]


@pytest.mark.parametrize(
    "line",
    [
        "",
        "2025-11-23 09:51:16 INFO the ERROR of yesterday is gone",
        "2025-11-23 09:51:16 WARNING slow: ERROR budget",
        'level=info msg="ERROR in the text only"',
        '{"level": "info", "msg": "ERROR"}',
        '10.0.0.1 - - [23/Nov/2025:09:51:16 +0000] "GET /error HTTP/1.1" 500 12',
        "everything is fine, no error",
    ],
)
def test_line_below_error_level_is_none(line: str) -> None:
    assert errors(line) == []


BROKEN = """
app: error: it broke
[error] it broke
2025-11-23T09:51:16Z [shop] error: it broke
ERRO[0001] it broke
FATA[0001] it broke
<3>it broke
<11>Nov 23 09:51:16 web app[12]: it broke
lvl=eror msg="it broke"
Nov 23 09:51:16 web app[12]: fatal: it broke
Nov 23 09:51:16 web app[12]: Error: it broke
{"level":50,"time":1763891476,"msg":"it broke"}
{"severity":3,"message":"it broke"}
{"level":3,"short_message":"it broke","version":"1.1"}
{"levelno":40,"message":"it broke"}
{"severityNumber":17,"body":"it broke"}
{"PRIORITY":"3","MESSAGE":"it broke"}
{"log":{"level":"error"},"message":"it broke"}
{"log.level":"ERROR","message":"it broke"}
{"log":"2025-11-23 09:51:16 ERROR it broke\\n","stream":"stdout","time":"2025-11-23T09:51:16Z"}
{"t":{"$date":"2025-11-23T09:51:16Z"},"s":"E","c":"STORAGE","msg":"it broke"}
2025-11-23T09:51:16.1Z stderr F ERROR it broke
11-23 09:51:16.123  1702  2395 E Window: it broke
E/Window( 12): it broke
E1123 09:51:16.123456 12 file.cc:10] it broke
E, [2025-11-23T09:51:16.1 #12] ERROR -- : it broke
2025-11-23 09:51:16 | ERROR    | app:run:12 - it broke
2025-11-23 09:51:16 - app - CRITICAL - it broke
SEV: it broke
panic: it broke
fatal error: it broke
thread 'main' panicked at src/main.rs:2:5: it broke
Uncaught TypeError: it broke
TypeError: it broke
java.lang.IllegalStateException: it broke
Exception in thread "main" java.lang.IllegalStateException: it broke
2025/11/23 09:51:16 [emerg] 1#1: it broke
[Sun Nov 23 09:51:16.1 2025] [proxy:error] [pid 1] it broke
level=ERROR msg="it broke"
2025-11-23 09:51:16.123 UTC [77] PANIC:  it broke
2025-11-23 09:51:16.123 [ERR] it broke
2025-11-23 09:51:16.123 +00:00 [Error] it broke
2025-11-23 09:51:16.123 +00:00 [FTL] it broke
[09:51:16 FTL] it broke
ts=2025 caller=x level=error err="it broke"
*** ERROR: it broke
"""
WELL = """
0 errors
error_count=0
ERRORS=0
Total errors: 0
2025-11-23 09:51:16 INFO 0 errors, error_count=0
2025-11-23 09:51:16 errors=0 fatal=0
2025-11-23 09:51:16 INFO an ERROR: of yesterday
level=info error_count=0 msg="ERROR"
{"level":"info","msg":"ERROR: x","error":null}
{"level":30,"msg":"error"}
{"status":"ok","errors":0}
10.0.0.1 - - [23/Nov/2025:09:51:16 +0000] "GET /ERROR HTTP/1.1" 200 12
10.0.0.1 - - [23/Nov/2025:09:51:16 +0000] "GET /x?level=ERROR HTTP/1.1" 200 12
found no ERROR in it
no FATAL one
finished with 0 ERROR(s)
<6>all is well, error
<14>Nov 23 09:51:16 web app[12]: error budget fine
Nov 23 09:51:16 web app[12]: info: last error: none
last error: none
I1123 09:51:16.123456 12 file.cc:10] error budget
W1123 09:51:16.123456 12 file.cc:10] ERROR budget
2025-11-23 09:51:16 [warn] error ratio 0
2025-11-23 09:51:16.123 +00:00 [WRN] ERR ratio 0
2025-11-23 09:51:16 WARN ERROR ratio
2025-11-23 09:51:16.123 UTC [77] STATEMENT:  SELECT * FROM ERROR
2025-11-23 09:51:16.123 UTC [77] LOG:  ERROR rate
DELETE FROM errors
error rate is 0.1
2025-11-23T09:51:16.1Z stdout F all fine
the alert manager reloaded
error log rotated
critical section entered
panic button tested
"""


@pytest.mark.parametrize("line", BROKEN.strip().splitlines())
def test_level_is_understood_in_every_usual_spelling(line: str) -> None:
    found = errors(line)
    assert len(found) == 1
    assert "it broke" in f"{found[0].said} {found[0].cause}"


@pytest.mark.parametrize("line", WELL.strip().splitlines())
def test_line_that_only_speaks_of_errors_is_none(line: str) -> None:
    assert errors(line) == []


@pytest.mark.parametrize(
    ("text", "moment"),
    [
        ("2025-11-23T09:51:16.123Z x", at(9, 51, 16, 123000)),
        ("2025-11-23T09:51:16.123456789+01:00 x", at(8, 51, 16, 123456)),
        ("2025-11-23 09:51:16,5 +0530 x", at(4, 21, 16, 500000)),
        ("2025-11-23 09:51:16.123 UTC [77]", at(9, 51, 16, 123000)),
        ("2025-11-23 09:51:60Z leap", at(9, 51, 59)),
        ('- - [23/Nov/2025:09:51:16 +0000] "GET"', at(9, 51, 16)),
        ("1:M 23 Nov 2025 09:51:16.123 UTC #", at(9, 51, 16, 123000)),
        ("2025-02-30 09:51:16Z no such day", None),
        ("at 09:51:16", None),
        ("no time at all", None),
    ],
)
def test_time_is_read_in_the_common_formats(text: str, moment: datetime | None) -> None:
    assert _timestamps.split(text)[0] == moment


def test_time_without_a_zone_is_the_hosts_own(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TZ", "UTC-2")  # POSIX: two hours east
    time.tzset()
    try:
        assert _timestamps.split("2025-11-23 09:51:16 x")[0] == at(7, 51, 16)
    finally:
        monkeypatch.undo()
        time.tzset()


@pytest.mark.parametrize(
    "text", ["25/11/23 09:51:16 ERROR x", "E251123 09:51:16.5 7 a.go:1] x", "2025.11.23 09:51:16 x"]
)
def test_year_may_have_two_digits_and_points_may_stand_after_it(text: str) -> None:
    found = _timestamps.split(text)[0]
    assert found is not None
    assert found.replace(microsecond=0).isoformat()[:19] == "2025-11-23T09:51:16"


def test_syslog_time_has_no_year_and_is_never_in_the_future() -> None:
    for days in (1, 30, 300):
        then = (datetime.now().astimezone() - timedelta(days=days)).replace(microsecond=0)
        assert _timestamps.split(f"{then:%b %d %H:%M:%S} host app: x")[0] == then


@pytest.mark.parametrize("number", [1763891476, 1763891476000, 1763891476000000, 1763891476000000000])
def test_time_as_a_number_is_read_in_any_unit(number: int) -> None:
    assert _timestamps.moment(number) == at(9, 51, 16)


@pytest.mark.parametrize("number", [float("inf"), float("nan"), -1, 10**400, True, None, []])
def test_number_that_is_no_time_is_none(number: Any) -> None:
    assert _timestamps.moment(number) is None


GO = """panic: runtime error: index out of range [7] with length 3 [recovered]
\tpanic: runtime error: index out of range [7] with length 3
[signal SIGSEGV: segmentation violation code=0x1 addr=0x0 pc=0x1]

goroutine 18 [running]:
main.(*Shop).order(0xc00001, {0x1, 0x2})
\t/srv/shop/main.go:12 +0x1d
created by net/http.(*Server).Serve in goroutine 1
\t/usr/lib/go/src/net/http/server.go:3285 +0x4b4

goroutine 1 [IO wait]:
internal/poll.runtime_pollWait(0x7f, 0x72)
exit status 2
"""
NODE = """Error: order failed
    at order (/srv/shop/app.js:12:13)
    at process.processTicksAndRejections (node:internal/process/task_queues:95:5) {
  [cause]: TypeError: Cannot read properties of undefined (reading 'total')
      at total (/srv/shop/app.js:7:1)
}
"""
SUPPRESSED = """java.lang.IllegalStateException: order failed
\tat shop.Orders.place(Orders.java:12) ~[shop.jar:?]
\tSuppressed: java.io.IOException: ERROR while closing
\t\tat shop.Db.close(Db.java:9)
Caused by: java.sql.SQLException: ERROR: no such table
  Position: 12
\tat shop.Db.ask(Db.java:7)
\t... 23 more
"""
GROUP = """  + Exception Group Traceback (most recent call last):
  |   File "a.py", line 1, in <module>
  | ExceptionGroup: two things failed (2 sub-exceptions)
  +-+---------------- 1 ----------------
    | ValueError: 1
    +---------------- 2 ----------------
    | TypeError: ERROR
    +------------------------------------
"""


@pytest.mark.parametrize("head", ["2025-11-23T09:51:16Z ERROR it broke\n", ""])
@pytest.mark.parametrize(
    ("trace", "cause"),
    [
        (GO, None),
        (NODE, "TypeError: Cannot read properties of undefined (reading 'total')"),
        (SUPPRESSED, "java.sql.SQLException: ERROR: no such table"),
        (GROUP, "ExceptionGroup: two things failed (2 sub-exceptions)"),
        (CHAINED, "sqlite3.OperationalError: no such column: unit_price"),
        (JAVA, "java.sql.SQLException: no such table"),
    ],
)
def test_stack_trace_is_one_event_with_and_without_an_error_before_it(head: str, trace: str, cause: str | None) -> None:
    if head and trace is GO:
        head = ""  # a panic is a program's last word: nothing is logged before it
    found = errors(f"{head}{trace}2025-11-23T09:51:17Z INFO on we go\n2025-11-23T09:51:18Z ERROR other\n")
    assert [error.said for error in found][1:] == ["other"]
    assert found[0].cause == cause


def test_line_made_to_look_like_go_for_long_is_passed_over_at_once() -> None:
    began = time.process_time()
    assert [error.cause for error in errors("panic: x\n" + "a." * 16_000 + "(\nERROR b\n")] == [None, None]
    assert time.process_time() - began < 2  # 0.02 s; 6 s and more, where all of it is tried


@pytest.mark.parametrize("before", ["Nov 23 09:51:16 web app[12]: ", "2025-11-23T09:51:16.1Z stderr F "])
def test_stack_trace_of_which_each_line_was_passed_on_is_one_event(before: str) -> None:
    lines = ["error: order failed", *PYTHON.splitlines(), "ERROR next"]
    found = errors("".join(f"{before}{line}\n" for line in lines))
    assert [(error.said, error.cause) for error in found] == [
        ("order failed", "sqlite3.OperationalError: no such column: unit_price"), ("next", None),
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("trace", "cause"),
    [
        (PYTHON, "sqlite3.OperationalError: no such column: unit_price"),
        (CHAINED, "sqlite3.OperationalError: no such column: unit_price"),
        (JAVA, "java.sql.SQLException: no such table"),
        ("2025-11-23 09:51:17 INFO next line\n", None),
    ],
)
def test_stack_trace_gives_the_error_its_cause(trace: str, cause: str | None) -> None:
    found = errors(f"2025-11-23 09:51:16 ERROR order failed\n{trace}2025-11-23 09:51:18 INFO on we go\n")
    assert [(error.said, error.cause) for error in found] == [("order failed", cause)]


def test_stack_trace_without_an_error_line_is_an_error_too() -> None:
    assert [error.cause for error in errors(PYTHON + PYTHON)] == [
        "sqlite3.OperationalError: no such column: unit_price"
    ] * 2


def test_stack_trace_that_is_cut_off_takes_no_other_line_for_its_cause() -> None:
    cut = "\n".join(PYTHON.splitlines()[:2])
    found = errors(f"2025-11-23 09:51:16Z ERROR a\n{cut}\n2025-11-23 09:51:17Z ERROR b")
    assert [(error.said, error.cause) for error in found] == [("a", None), ("b", None)]


def test_cause_is_found_in_the_fields_of_a_structured_line() -> None:
    lines = (
        '{"level": "error", "msg": "a", "exc_info": "Traceback (most recent call last):\\n  File\\nKeyError: 1"}',
        '{"level": "error", "msg": "b", "err": {"type": "TypeError", "message": "x is undefined", "stack": "…"}}',
        'level=error msg=c error="connection refused"',
    )
    assert [error.cause for error in errors("\n".join(lines))] == [
        "KeyError: 1", "TypeError: x is undefined", "connection refused",
    ]  # fmt: skip


def templates(*messages: str) -> list[str]:
    keys = [_log_messages.masked(message) for message in messages]
    template = _grouping.merged(dict.fromkeys(keys))
    return [_patterns.shown(template[key]) for key in keys]


def test_what_varies_by_its_looks_is_masked() -> None:
    message = (
        "order 12 of 'bob' (550e8400-e29b-41d4-a716-446655440000) at 0xdeadbeef: /srv/shop/a.log, commit 9f3c2e1ab77d, "
        "from 10.0.0.7:443 or db.example.com:5432, see https://shop.example/orders/12?x=1, mail bob@example.com, user=7"
    )
    assert templates(message) == [
        'order <n> of "<str>" (<n>) at <n>: <path>, commit <n>, from <n> or <host>, see <url>, mail <mail>, user=<v>'
    ]


def test_number_that_is_part_of_a_name_is_masked_alone() -> None:
    assert templates("worker12: sqlite3.OperationalError in shop/db.py:77 after 1.5s") == [
        "worker<n>: sqlite3.OperationalError in shop/db.py:<n> after <n>"
    ]


def test_list_is_one_mask_however_long_it_is() -> None:
    assert templates("blocks 1, 2, 3 lost", "deleted blk_7 blk_8", "blocks 1 lost") == [
        "blocks <n> lost", "deleted blk_<n>", "blocks <n> lost",
    ]  # fmt: skip


def test_same_figure_told_in_other_words_is_one_mask() -> None:
    assert set(
        templates(
            "a close, 7 bytes (7 B) sent, lifetime <1 sec",
            "a close, 1203 bytes (1.17 KB) sent, lifetime 00:17",
            "a close, 93 bytes sent, lifetime 00:01",
        )
    ) == {"a close, <n> sent, lifetime <n>"}
    assert (
        templates("lock=1, ws=WorkSource{10113}, uid=7", "lock=1, ws=null, uid=7") == ["lock=<v>, ws=<v>, uid=<v>"] * 2
    )
    assert templates("a<b, a <b> and 7 > 3") == ["a<b, a <b> and <n> > <n>"]


def test_words_that_vary_are_one_template() -> None:
    assert set(templates("user bob is locked", "user carol is locked")) == {"user <*> is locked"}
    said = [f"could not connect to {name} in time" for name in ("checkout", "cart", "search")]
    assert set(templates(*said)) == {"could not connect to <*> in time"}
    pairs = [
        f"no route from {a} to {b} left" for a, b in zip(("web", "cart", "mail", "auth"), ("db", "cache", "bus", "api"))
    ]
    assert set(templates(*pairs)) == {"no route from <*> to <*> left"}
    titles = [f"item {title} is sold out" for title in ("Mug", "Blue shirt", "Red bag, large", "Chess set")]
    assert set(templates(*titles)) == {"item <*> is sold out"}


def test_what_says_something_else_stays_another_template() -> None:
    others = (
        "connection to db refused", "connection to db reset", "connection to db closed", "connection to db aborted",
        "user not found", "user is locked", "login failed", "backup failed", "payment failed",
        "cannot read file", "cannot open file", "cannot write file",
    )  # fmt: skip
    assert templates(*others) == list(others)


@given(
    st.permutations(
        [f"user {name} {what}" for name in ("bob", "carol", "dave") for what in ("left", "is locked", "was a b c")]
    )
)
def test_order_of_messages_does_not_matter(messages: list[str]) -> None:
    assert dict(zip(messages, templates(*messages))) == {each: f"user <*> {each.split(' ', 2)[2]}" for each in messages}


def test_same_message_with_another_cause_is_another_pattern(tmp_path: Path) -> None:
    log = tmp_path / "shop.log"
    other = PYTHON.replace("no such column: unit_price", "database is locked")
    log.write_text(f"ERROR order 1 failed\n{PYTHON}ERROR order 2 failed\n{PYTHON}ERROR order 3 failed\n{other}")
    assert [(e["template"], e["count"], e["cause"].rpartition(": ")[2]) for e in read(log).errors] == [
        ("order <n> failed", 2, "unit_price"), ("order <n> failed", 1, "database is locked"),
    ]  # fmt: skip


def test_pattern_has_count_first_and_last_time_and_one_sample(tmp_path: Path) -> None:
    log = tmp_path / "shop.log"
    log.write_text(
        "".join(f"2025-11-23T09:51:{s:02}Z ERROR order {s} failed\n" for s in (20, 16, 59)) + "ERROR \x1b[1m\x00odd\n"
    )
    reading = read(log)
    assert reading.errors[0] == {
        "template": "order <n> failed",
        "count": 3,
        "first_seen": "2025-11-23T09:51:16.000+00:00",
        "last_seen": "2025-11-23T09:51:59.000+00:00",
        "again_since": None,
        "again_count": None,
        "sample": "2025-11-23T09:51:20Z ERROR order 20 failed",
        "cause": None,
        "cause_template": None,
        "rate": {
            "since": "2025-11-23T09:51:16.000+00:00",
            "until": "2025-11-23T09:51:59.000+00:00",
            "per_minute": 3.0,
            "width_s": 60,
            "from": "2025-11-23T09:51:00.000+00:00",
            "counts": [3],
        },
        "new": None,
        "new_since": None,
        "ours": False,
    }
    assert reading.errors[1]["sample"] == "ERROR \ufffdodd"
    assert reading.errors[1]["first_seen"] is None
    assert reading.onset == "2025-11-23T09:51:16.000+00:00"
    assert reading.onset_source == f"first 'order <n> failed' in {log}"


def test_most_frequent_patterns_are_kept(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(_service_errors, "TOP", 10)
    log = tmp_path / "shop.log"
    kinds = "disk is full;no such order;user left;bad gateway;cache miss;queue stuck;clock skew;tax unknown"
    kinds += ";mail bounced;cart lost;price gone;item broken;label torn;bill late;page blank"
    log.write_text("".join(f"ERROR {kind}\n" * (i + 1) for i, kind in enumerate(kinds.split(";"))))
    reading = read(log)
    assert [error["count"] for error in reading.errors] == list(range(15, 5, -1))
    assert reading.notes == ["5 more kinds of errors, 15 in all, are not shown"]


def test_log_of_nonsense_keeps_memory_bounded_and_the_frequent_counted(tmp_path: Path) -> None:
    log = tmp_path / "shop.log"
    words = (f"ERROR {''.join(chr(97 + int(d)) for d in str(i))}\nERROR the frequent one\n" for i in range(5000))
    log.write_text("".join(words))
    reading = read(log)
    assert (reading.errors[0]["template"], reading.errors[0]["count"]) == ("the frequent one", 5000)
    assert "rare ones are not counted" in reading.notes[0]


def test_error_is_new_only_if_the_log_reaches_back_before_the_release(tmp_path: Path) -> None:
    log = tmp_path / "shop.log"
    log.write_text("2025-11-23T08:00:00Z ERROR old\n2025-11-23T09:51:16Z ERROR fresh\n2025-11-23T09:52:00Z ERROR old\n")
    deployed = "2025-11-23T09:51:16.800+00:00"  # in the same second: logs often tell no more
    reading = read(log, deployed_at=deployed)
    assert {e["template"]: e["new"] for e in reading.errors} == {"old": False, "fresh": True}
    assert reading.onset == "2025-11-23T09:51:16.000+00:00"
    (tmp_path / "shop.log.1").touch()  # rotated: what was before this log is not known
    assert {e["template"]: e["new"] for e in read(log, deployed_at=deployed).errors} == {"old": False, "fresh": True}
    since = {e["template"]: e["new_since"] for e in read(log, deployed_at="2025-11-23T07:00:00.000+00:00").errors}
    assert since == {"old": None, "fresh": "onset"}


def test_only_the_end_of_a_large_log_is_read_and_that_is_told(tmp_path: Path) -> None:
    log = tmp_path / "shop.log"
    log.write_text("2025-11-23T08:00:00Z ERROR old\n" * 10 + "2025-11-23T09:00:00Z ERROR new\n" * 5)
    reading = read(log, limit=31 * 5 + 3)
    assert [(e["template"], e["count"]) for e in reading.errors] == [("new", 5)]
    assert "read from 2025-11-23T09:00:00.000+00:00 on" in reading.notes[0]


def test_endless_line_costs_no_memory_and_hides_no_other(tmp_path: Path) -> None:
    log = tmp_path / "shop.log"
    with log.open("wb") as stream:
        stream.write(b"ERROR \xff\x00" + b"x" * 200_000 + b"\n")
        stream.truncate(40 << 20)  # sparse: 40 MB of zeros in one line
        stream.seek(0, os.SEEK_END)
        stream.write(b"\nERROR after it\n")
    found = read(log, limit=50 << 20).errors
    assert len(found) == 2
    assert len(found[0]["sample"]) == _patterns.SAMPLE_CHARS
    assert found[1]["template"] == "after it"


def test_what_is_no_ordinary_log_is_not_opened(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "fifo")
    (tmp_path / "link").symlink_to("/etc/passwd")
    for name in ("fifo", "link", "."):
        reading = read(tmp_path / name)
        assert reading.errors == []
        assert len(reading.unread) == 1
    assert read(tmp_path / "missing.log").unread == []
    assert "No such file" in read(tmp_path / "missing.log").notes[0]


@pytest.mark.parametrize(
    ("raw", "note"),
    [
        ("2026-11-28 02:00:00 ERROR lost\n".encode("utf-16"), "it is in UTF-16"),
        ("2026-11-28 02:00:00 ERROR lost\n".encode("utf-16-be"), "it is in UTF-16"),
        (gzip.compress(b"2026-11-28 02:00:00 ERROR lost\n", mtime=0), "it is compressed with gzip"),
        (b"2026-11-28 02:00:00 ERROR lost\r" * 3, "its lines end in a carriage return alone"),
        (b"2099-11-28 02:00:00 ERROR lost\n", "times up to 2099-11-28T"),
        (b"2026-11-28 02:00:00 ERROR lost\r\n" * 3, ""),
        (b"\0" * 4000 + b"\n2026-11-28 02:00:00 ERROR lost\n", ""),
        (b"", ""),
    ],
)
def test_log_of_which_errors_may_be_missed_or_counted_wrong_has_a_note(tmp_path: Path, raw: bytes, note: str) -> None:
    log = tmp_path / "a.log"
    log.write_bytes(raw)
    notes = read(log).notes
    assert note in notes[0] if note else not notes


@pytest.mark.parametrize(
    "form", ["{}", "[{}]", "{}.5", "{}123", "{}123456:", "{}123456789", 'ts={} level=error msg="{{}}"']
)
def test_time_at_the_start_of_a_line_may_be_a_number(tmp_path: Path, form: str) -> None:
    log = tmp_path / "a.log"
    log.write_text("".join(f"{form.format(1763891400 + number)} ERROR order {number} lost\n" for number in range(9)))
    [told] = read(log).errors
    assert (told["count"], told["first_seen"][:19], told["last_seen"][:19]) == (
        9,
        "2025-11-23T09:50:00",
        "2025-11-23T09:50:08",
    )


@pytest.mark.parametrize("number", ["1234567890", "9763891400", "17638914001", "17638914.5"])
def test_number_at_the_start_of_a_line_that_is_no_time_of_late_is_none(tmp_path: Path, number: str) -> None:
    log = tmp_path / "a.log"
    log.write_text(f"{number} ERROR order lost\n")
    [told] = read(log).errors
    assert told["first_seen"] is None


def fake_journalctl(folder: Path, monkeypatch: pytest.MonkeyPatch, script: str) -> None:
    (folder / "journalctl").write_text(f"#!/bin/sh\n{script}\n")
    (folder / "journalctl").chmod(0o755)
    monkeypatch.setenv("PATH", f"{folder}:{os.environ['PATH']}")


def journal(unit: str = "shop.service") -> Any:
    return _service_errors.read({"logs": [{"kind": "journal", "unit": unit}]}, 1 << 20, None, time.monotonic() + 60)


def test_journal_tells_time_and_level_itself(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    stamp = '"__REALTIME_TIMESTAMP":"1763891476123000"'
    entries = (
        f'{{"MESSAGE":"all is well","PRIORITY":"6",{stamp}}}',
        f'{{"MESSAGE":"disk 7 broke","PRIORITY":"3",{stamp}}}',
        *(f'{{"MESSAGE":{line},"PRIORITY":"6",{stamp}}}' for line in ('"ERROR order"', '"Traceback (most recent call last):"',
                                                                     '"  File"', '"KeyError: 7"')),
        f'{{"MESSAGE":[69,82,82,79,82,32,255],"PRIORITY":"6",{stamp}}}',
        f'{{"MESSAGE":null,{stamp}}}',
        "not JSON",
    )  # fmt: skip
    fake_journalctl(tmp_path, monkeypatch, "cat <<'END'\n" + "\n".join(entries) + "\nEND\necho a hint >&2")
    reading = journal()
    assert [(e["template"], e["cause"]) for e in reading.errors] == [
        ("disk <n> broke", None), ("order", "KeyError: 7"), ("\ufffd", None),
    ]  # fmt: skip
    assert reading.onset == "2025-11-23T09:51:16.123+00:00"
    assert reading.notes == ["log shop.service: a hint"]


def test_journal_that_cannot_be_read_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    fake_journalctl(tmp_path, monkeypatch, "echo no permission >&2; exit 1")
    assert "no permission" in journal().unread[0]
    fake_journalctl(tmp_path, monkeypatch, "exec sleep 20")
    monkeypatch.setattr(_log_asked, "JOURNAL_S", 0.2)
    assert "did not finish" in journal().unread[0]
    monkeypatch.setenv("PATH", "/nonexistent")
    assert "not on this host" in journal().notes[0]


def test_secrets_and_control_characters_are_not_shown() -> None:
    text = 'login {"password": "hunter2"} api_key=abc123 Authorization: Bearer abc.def ftp://bob:hunter2@x/ \x1b[2J\x07\u202e'
    assert _text.clean(text, 300) == (
        'login {"password": <hidden>} api_key=<hidden> Authorization: <hidden> ftp://hidden@x/ \ufffd\ufffd'
    )


@pytest.mark.parametrize("said", ["token-" * 20_000, "secret_" * 20_000 + "=x", "password " * 20_000, "://a:" * 20_000])
def test_text_that_is_made_to_take_long_is_cleaned_all_the_same(said: str) -> None:
    assert len(_text.clean(said, 4000)) == 4000


def test_line_of_nothing_but_priorities_is_an_error_like_others(tmp_path: Path) -> None:
    log = tmp_path / "x.log"
    log.write_text("<3>" * 9000 + "\n<3>disk failed\n")
    assert [error["count"] for error in read(log).errors] == [1, 1]


@settings(deadline=None)
@given(st.binary(max_size=4000), st.integers(0, 5000))
def test_no_bytes_whatever_make_it_fail(tmp_path_factory: pytest.TempPathFactory, raw: bytes, limit: int) -> None:
    log = tmp_path_factory.getbasetemp() / "any.log"
    log.write_bytes(raw)
    assert read(log, limit=limit).unread == []


LIKELY = st.sampled_from(
    [
        *("ERROR", " ", "\n", "{", '"level":', '"error"', "}", "level=error ", "msg=", '"', "\\", '"ts":', "1e400"),
        *("Traceback (most recent call last):\n", "  File\n", "Caused by: ", "[" * 5000, "\x00", "é", "/a/b"),
        *("2025-11-23T09:51:16", "Nov 23 09:51:16", "E1123 09:51:16"),
    ]
)


@settings(deadline=None)
@given(st.lists(LIKELY | st.text(max_size=20), max_size=40))
def test_no_text_that_looks_like_a_log_makes_it_fail(parts: list[str]) -> None:
    patterns = _patterns.Patterns()
    patterns.add(_log_errors.Reader().errors(_log_lines.Line(line) for line in "".join(parts).splitlines()))
    for group in patterns.groups():
        told = group.told()
        assert len(told["template"]) <= _patterns.TEMPLATE_CHARS
        assert told["template"].isprintable()
        assert told["sample"].isprintable()


@given(st.lists(st.sampled_from([*_text._HINTS, "PassW", "Api", "KEY", "ſecret", "toKen", "credentıal", "x", " "])))
def test_text_that_may_hold_a_secret_is_known_by_plain_searches_too(parts: list[str]) -> None:
    text = "".join(parts)
    assert _text._may_hold_secret(text) == (_text._HINT.search(text) is not None)
