"""An error with all that its program says of it is one event, and its cause is found wherever that is told."""

from __future__ import annotations

import time

import pytest
from ansible_collections.incidentctl.response.plugins.module_utils import _log_causes, _log_levels, _log_traces

from .test_patterns import errors

RAILS = """\
F, [2026-11-28T02:00:00.1 #7] FATAL -- : [0a1b-2c]   
F, [2026-11-28T02:00:00.1 #7] FATAL -- : [0a1b-2c] NoMethodError (undefined method `total'):
F, [2026-11-28T02:00:00.1 #7] FATAL -- : [0a1b-2c]   
F, [2026-11-28T02:00:00.1 #7] FATAL -- : [0a1b-2c] app/models/order.rb:12:in `total'
F, [2026-11-28T02:00:00.1 #7] FATAL -- : [0a1b-2c] app/controllers/orders.rb:7:in `show'
"""  # noqa: W291 - as it writes
DOTNET = """\
fail: Shop.Web.Orders[7]
      order 12 failed
      System.AggregateException: One or more errors occurred. ---> System.IO.IOException: reset by peer
         at Shop.Orders.Call() in /src/Shop.cs:line 7
         --- End of inner exception stack trace ---
"""
DOTNET_LINES = """\
2026-11-28 02:00:00.123 [ERR] order 12 failed
System.InvalidOperationException: cannot go on
 ---> System.Net.Sockets.SocketException (111): Connection refused
   at Shop.Orders.Call() in /src/Shop.cs:line 7
   --- End of inner exception stack trace ---
"""
ERLANG = """\
2026-11-28 02:00:00.1+00:00 [error] <0.7.0> CRASH REPORT Process <0.7.0>
2026-11-28 02:00:00.1+00:00 [error] <0.7.0>   crasher:
2026-11-28 02:00:00.1+00:00 [error] <0.7.0>     pid: <0.7.0>
2026-11-28 02:00:00.1+00:00 [error] <0.7.0>     exception error: no match of right hand value eacces
2026-11-28 02:00:00.1+00:00 [error] <0.7.0>       in function  rabbit_reader:run/1
"""
LARAVEL = """\
[2026-11-28 02:00:00] production.ERROR: order 12 failed {"userId":7,"exception":"[object] (PDOException(code: 2002): \
SQLSTATE[HY000] [2002] Connection refused at /srv/shop/Db.php:7)
[stacktrace]
#0 /srv/shop/Pay.php(12): App\\\\Pay->run()
#1 {main}
"}
"""
PHP = """\
[28-Nov-2026 02:00:00 UTC] PHP Fatal error:  Uncaught PDOException: gone away in /srv/shop/Db.php:7
Stack trace:
#0 /srv/shop/Pay.php(12): App\\\\Pay->run()
#1 {main}
  thrown in /srv/shop/Db.php on line 7
"""
ELIXIR = """\
02:00:00.123 [error] GenServer Shop.Cart terminating
** (KeyError) key :sku not found
    (shop 0.1.0) lib/shop/cart.ex:12: Shop.Cart.handle_call/3
"""
FLUENTD = """\
2026-11-28 02:00:00 +0000 [error]: #0 buffer lost error_class=IOError error="closed stream"
  2026-11-28 02:00:00 +0000 [error]: #0 /opt/fluent/lib/output.rb:12:in `flush'
  2026-11-28 02:00:00 +0000 [error]: #0 /opt/fluent/lib/plugin.rb:7:in `run'
"""
OSLO = """\
2026-11-28 02:00:00.123 0 ERROR nova.manager [req-0a1b-2c u7 p9] [instance: 0a1b] order 12 failed: shop.NoRoom: disk 7
2026-11-28 02:00:00.123 0 ERROR nova.manager [instance: 0a1b] Traceback (most recent call last):
2026-11-28 02:00:00.123 0 ERROR nova.manager [instance: 0a1b]   File "/srv/shop/a.py", line 7, in a
2026-11-28 02:00:00.123 0 ERROR nova.manager [instance: 0a1b]     raise error
2026-11-28 02:00:00.123 0 ERROR nova.manager [instance: 0a1b] shop.NoRoom: disk 7
2026-11-28 02:00:00.123 0 ERROR nova.manager [instance: 0a1b]
"""
SIDEKIQ = """\
2026-11-28T02:00:00.123Z pid=7 elapsed=66.0 ERROR: order 12 failed
ActiveRecord::StatementInvalid: PG::UndefinedColumn: ERROR:  column a does not exist
/srv/app/order.rb:12:in `perform'
"""
BESIDE = """\
02:00:00 ERROR order 12 failed {"error": "closed"}
System.Net.SocketException (111): Connection refused
   at Shop.Orders.Call() in /src/Shop.cs:line 7
"""
CSV = """\
2026-11-28 02:00:00.1 UTC,"anna","shop",7,"10.0.0.7:5",0a1b.7,1,"INSERT",2026-11-28 02:00:00 UTC,1/2,3,ERROR,23505,\
"value ""a"" is there","Key (id)=(7) already exists.",,,,,"INSERT INTO orders
 VALUES (7)",,,"shop","client backend",,0
"""
DOCKER = "".join(
    f'{{"log":"{line}\\n","stream":"stderr","time":"2026-11-28T02:00:00Z"}}\n'
    for line in (
        "02:00:00 ERROR order 12 failed",
        "java.lang.IllegalStateException: cannot go on",
        "\\tat shop.Orders.place(Orders.java:12)",
        'Caused by: java.sql.SQLException: \\"a\\" is gone',
        "\\t... 7 more",
    )
)


@pytest.mark.parametrize(
    ("text", "said", "cause"),
    [
        (RAILS, "NoMethodError (undefined method `total'):", None),
        (DOTNET, "Shop.Web.Orders[<n>]", "order 12 failed: System.IO.IOException: reset by peer"),
        (DOTNET_LINES, "order <n> failed", "System.Net.Sockets.SocketException (111): Connection refused"),
        (ERLANG, "<n> CRASH REPORT Process <n>", "no match of right hand value eacces"),
        (LARAVEL, "order <n> failed", "PDOException: SQLSTATE[HY000] [2002] Connection refused"),
        (PHP, "Uncaught PDOException: gone away in <path>", "PDOException: gone away in /srv/shop/Db.php:7"),
        (ELIXIR, "GenServer Shop.Cart terminating", "(KeyError) key :sku not found"),
        (FLUENTD, "#<n> buffer lost error_class=<v>", "closed stream"),
        (
            OSLO,
            "nova.manager [req<n>] [instance: <n>] order <n> failed: shop.NoRoom: disk <n>",
            "shop.NoRoom: disk 7",
        ),
        (
            SIDEKIQ,
            "order <n> failed",
            "ActiveRecord::StatementInvalid: PG::UndefinedColumn: ERROR:  column a does not exist",
        ),
        (BESIDE, "order <n> failed", "System.Net.SocketException (111): Connection refused"),
        (CSV, 'value "<str>" is there: Key (id)=(<n>) already exists.', None),
        (DOCKER, "order <n> failed", 'java.sql.SQLException: "a" is gone'),
    ],
)
def test_what_a_program_writes_of_one_error_is_one_event(text: str, said: str, cause: str | None) -> None:
    found = errors(text + text + "2026-11-28T02:00:00Z ERROR other\n")
    assert [(error.said, error.cause) for error in found] == [(said, cause), (said, cause), ("other", None)]


def test_error_after_a_trace_in_which_each_line_has_its_head_is_another_event() -> None:
    head = "E, [2026-11-28T02:00:00.1 #7] ERROR -- : "
    lines = ("order lost", "app/order.rb:12:in `total'", "KeyError: sku")
    assert [error.said for error in errors("\n".join(head + line for line in lines))] == ["order lost", "KeyError: sku"]


@pytest.mark.parametrize(
    ("line", "said", "cause"),
    [
        ('E1128 02:00:00.1 7 a.go:7] "Probe failed" err="dial: \\"a\\" refused" pod="b"',
         '<n> a.go:<n>] Probe failed pod="<str>"', 'dial: "a" refused'),
        ("2026-11-28T02:00:00Z ERROR shop: lost error=connection reset by peer took=7ms",
         "shop: lost took=<v>", "connection reset by peer"),
        ("2026-11-28T02:00:00Z ERROR shop: lost error=7", "shop: lost error=<v>", None),
        ('2026-11-28T02:00:00Z\terror\ta.go:7\tlost\t{"n": 7, "error": "EOF"}', "a.go:<n> lost", "EOF"),
        ('2026-11-28T02:00:00Z\terror\ta.go:7\tlost\t{"n": 7}', "a.go:<n> lost <json>", None),
        ('{"level":"error","msg":"lost","error":"EOF","stacktrace":"main.a\\n\\t/a.go:7"}', "lost", "EOF"),
        ('{"level":"error","msg":"lost","error":"no","stack":"a.BError: x\\n\\tat a"}', "lost", "a.BError: x"),
        ('{"level":"ERROR","fields":{"message":"lost","error":"reset"},"span":{"id":7}}', "lost", "reset"),
        ('{"s":"E","msg":"lost","attr":{"error":{"code":6,"codeName":"HostUnreachable","errmsg":"reset"}}}',
         "lost", "HostUnreachable: reset"),
    ],
)  # fmt: skip
def test_cause_is_told_by_a_field_beside_the_message(line: str, said: str, cause: str | None) -> None:
    assert [(error.said, error.cause) for error in errors(line)] == [(said, cause)]


@pytest.mark.parametrize(
    ("line", "said"),
    [
        ("[2026-11-28 02:00:00,123: ERROR/ForkPoolWorker-3] Task lost", "Task lost"),
        ("[2026-11-28 02:00:00] production.CRITICAL: lost", "lost"),
        ("[28-Nov-2026 02:00:00 UTC] PHP Parse error:  lost", "lost"),
        ('<131>1 2026-11-28T02:00:00Z web7 shopd 12 ID4 [a b="]"][c d="e"] disk lost', "shopd: disk lost"),
        ("<131>1 2026-11-28T02:00:00Z web7 shopd - - - disk lost", "shopd: disk lost"),
        ("crit: Shop.Web[7]", "Shop.Web[<n>]"),
        ('{"@t":"2026-11-28T02:00:00Z","@mt":"Disk {Id} lost","@m":"Disk 7 lost","@l":"Error"}', "Disk {Id} lost"),
        ('{"reqId":"a","level":3,"app":"core","message":"disk 7 lost"}', "disk <n> lost"),
        ("E261128 02:00:00.123456 12 kv/store.go:7 disk lost", "<n> kv/store.go:<n> disk lost"),
    ],
)
def test_error_is_known_as_its_program_spells_it(line: str, said: str) -> None:
    assert [error.said for error in errors(line)] == [said]


def test_cause_is_the_exception_that_a_field_holds_but_not_the_message_again() -> None:
    with_exception = (
        '{"level":3,"message":"a is locked","exception":{"Exception":"Locked","Message":"7 hold it","Code":0}}'
    )
    again = '{"level":"ERROR","message":"a is lost","error":{"message":"a is lost"}}'
    assert [error.cause for error in errors(f"{with_exception}\n{again}\n")] == ["Locked: 7 hold it", None]


@pytest.mark.parametrize(
    "line",
    [
        "[2026-11-28 02:00:00,123: INFO/MainProcess] Task ERROR/1 done",
        "[2026-11-28 02:00:00] production.INFO: no ERROR: lost",
        "[28-Nov-2026 02:00:00 UTC] PHP Warning:  lost",
        "<134>1 2026-11-28T02:00:00Z web7 shopd 12 ID4 - all is well",
        "I, [2026-11-28T02:00:00.1 #7]  INFO -- : [0a1b-2c] ERROR is gone",
        '{"reqId":"a","level":2,"app":"core","message":"disk 7 lost"}',
        '2026-11-28 02:00:00 UTC,"anna","shop",7,"INSERT",LOG,00000,"ERROR: a is gone"',
    ],
)
def test_line_at_a_lower_level_is_none_as_its_program_spells_it(line: str) -> None:
    assert errors(line) == []


@pytest.mark.parametrize(
    "text",
    [
        '{"' * 9000,
        '"\\' * 9000,
        ' error="\\' * 3000,
        " error=a b" * 3000,
        "[object] (a(code: 1): " * 3000,
        " err=a" * 3000,
    ],
)
def test_text_that_is_made_to_take_long_is_taken_apart_all_the_same(text: str) -> None:
    began = time.process_time()
    _log_causes.parted(text)
    _log_traces.may_follow(text.encode())
    _log_levels.of_plain("<131>1 " + text, "<131>1 a b c d [" + text)
    _log_levels.of_plain("E, [" + text, "E, [a] ERROR -- " + text)
    assert time.process_time() - began < 2
