"""What varies in messages of one template, and what tells two of them apart, whatever program wrote them."""

from __future__ import annotations

import random
import time
import tracemalloc

import pytest
from ansible_collections.incidentctl.response.plugins.module_utils import _grouping, _log_messages, _masks

from .test_patterns import templates


@pytest.mark.parametrize(
    ("message", "template"),
    [
        ('order 7 was lost: {"id": 7, "items": ["a", {"b": ""}]} at once', "order <n> was lost: <json> at once"),
        ('no {"end" of it {"a": 1}', 'no {"<str>" of it <json>'),
        ("login of 'anna.o'neil' failed", 'login of "<str>" failed'),
        ("it isn't bob's 'fault'", "it isn't bob's \"<str>\""),
        ("ids=[] lost", "ids=<v> lost"),
        ("ids=[1, 2] lost", "ids=<v> lost"),
        ("logname= uid=0 ruser= rhost=1.2.3.4", "logname=<v> uid=<v> ruser=<v> rhost=<v>"),
        ("a == b failed", "a == b failed"),
        ("areas [carts, prices, stock] unknown", "areas [<list>] unknown"),
        ("areas carts, prices, stock unknown", "areas <list> unknown"),
        ("failed, retried, closed", "failed, retried, closed"),
        ("Error handling request /orders/7?expand=lines&x=1", "Error handling request <path>"),
        ("connection <0.12.3> (10.0.0.7:5 -> 10.0.0.8:6)", "connection <n> (<n> -> <n>)"),
        ("took 1m2.5s, 3.4µs, 2h3m0s", "took <n>"),
        ("wrote 3 bytes of 12.5 GiB", "wrote <n> of <n>"),
        ("cannot read /srv/a/part 1.xml", "cannot read <path>"),
        ('request{method=GET id=7}:query{table="a b"}: lost', "request<v>:query<v>: lost"),
        ("retry: SELECT id FROM orders WHERE id = 7 ORDER BY id", "retry: <sql>"),
        ("SELECT * FROM a WHERE b = 1 failed: deadlock", "<sql> failed: deadlock"),
        ("gone (SQL: insert into `a` (`b`) values (c d, 7))", "gone (SQL: <sql>"),
        ("UPDATE is available", "UPDATE is available"),
        ("a.service: Failed with result 'oom-kill'", "a.service: Failed with result 'oom-kill'"),
        ('Operation ("add") failed', 'Operation ("add") failed'),
        (
            'login of "anna": desc = "handshake failed: bad key 7"',
            'login of "<str>": desc = "handshake failed: bad key <n>"',
        ),
        ("no way to [2001:db8::feeb]:443, fe80::1 at 02:15:00", "no way to <n> at <n>"),
        ("lost https://shop.example.com/x?ids[]=1&ids[]=2: gone", "lost <url>: gone"),
        ("cannot read ./a/b, ../c/d and /srv/0a1b2c3d-0a1b-2c3d-4e5f-0a1b2c3d4e5f/x", "cannot read <path>"),
        ("cannot read /srv/a/Monthly Report 7.xlsx", "cannot read <path>"),
        ("token Xy9VIHVgzeTt8uw0zy5FJDRtpYupUxXpSy/+uGshCA== is void", "token <n> is void"),
        ("locked since 2026-11-28 02:00:00.5 UTC, until Sat, 28 Nov 2026 02:15:00 GMT", "locked since <n>, until <n>"),
        ("took 5 seconds", "took <n>"),
        ('open() failed, client: 10.0.0.7, request: "GET / HTTP/1.1", host: "shop"', "open() failed, <v>"),
        ('could not go on, reason: timeout, code: "a"', 'could not go on, reason: timeout, code: "<str>"'),
        ('{"a": "%s"} has no room' % ("x" * 4000), "<json> has no room"),
        ('invalid input: "a "b" c" of "d"', 'invalid input: "<str>" of "<str>"'),
        ("user=o'brien failed", "user=<v> failed"),
        ("exited, code=killed, status=9/KILL", "exited, code=killed, status=<v>"),
        ("plugin/errors: 2 db7 A: gone", "plugin/errors: <n> <n> A: gone"),
        ("(qtp12-33-localhost-7) [c:a s:shard1 r:core2] gone", "(<v>) [<v>] gone"),
        ("row (7, null, a, 2026-11-28 02:00:00) is bad", "row (<list>) is bad"),
        ("[C-abbddfda]: gone", "[C<n>]: gone"),
        ("expected Xy9VIHVgzeTt8uw0zy5FJD=, got nothing", "expected <n>, got nothing"),
        ("[QuorumPeer[myid=4](plain=[0:0]:21):Learner@441] - gone", "[<v>:Learner@441] - gone"),
        ("copy to arn:aws:lambda:eu-central-1:7:a-queue failed", "copy to <v> failed"),
        (
            "RAFT [UuUTPogDTsIhrmyxttCiWCDvUDo= - a] gone, maximumPoolSizeOfAll= b",
            "RAFT [<n> - a] gone, maximumPoolSizeOfAll=<v> b",
        ),
        ("pending a, b, c, sent 7 s ago", "pending <list>, sent <n> ago"),
    ],
)
def test_what_varies_is_masked_by_its_looks(message: str, template: str) -> None:
    assert templates(message) == [template]


@pytest.mark.parametrize(
    "messages",
    [
        [f"Failed to {verb} the lines" for verb in ["reserve", "release", "merge", "refund", "ship", "pack", "pick"]],
        [f"cannot {verb} it" for verb in ["reserve", "release", "merge", "refund", "ship", "pack", "pick", "sort"]],
        ["connect ECONNREFUSED 1.2.3.4:5", "connect ECONNRESET 1.2.3.4:5", "connect EHOSTUNREACH 1.2.3.4:5"],
        [f'start of "app" ended with {what}' for what in ("CrashLoopBackOff", "ImagePullBackOff", "ErrImagePull")],
        [f"a.service: Failed with result '{what}'" for what in ("exit-code", "timeout", "oom-kill", "signal")],
        [f"operation ended with {what}" for what in ("precondition_failed", "not_found", "access_refused")],
        [f"not authorized to perform: s3:{what}" for what in ("GetObject", "PutObject", "DeleteObject", "ListBucket")],
        ["column a.b does not exist", 'column "a" does not exist'],
    ],
)
def test_what_happened_is_never_taken_for_a_name(messages: list[str]) -> None:
    found = templates(*messages)
    assert len(set(found)) == len({_masks.shown(_masks.mask(message)) for message in messages}) > 1


def test_name_of_several_words_is_one_place_whatever_stands_in_it() -> None:
    names = ["Mug", "Lamp", "Bag", "Sofa", "Blue shirt", "Cable 2 m", 'Sofa 3-seat "Oslo"', "Tea, Earl Grey"]
    names += ["Chess set (wood, large)", "Pen"]
    assert set(templates(*(f"Failed to reserve 7 x {name} for bob" for name in names))) == {
        "Failed to reserve <n> x <*> for bob"
    }


def test_name_at_the_end_may_be_missing_or_stand_beside_a_number() -> None:
    names = ["mug", "lamp", "bag", "sofa", "cart 7", 'a "b" c', ""]
    found = templates(*(f"could not charge the card of bob: {name}" for name in (*names, "denied by 7")))
    assert len(set(found[:-1])) == 1
    assert found[-1] not in found[:-1]


def test_list_of_names_is_one_place_however_many_there_are() -> None:
    lists = ["carts", "prices", "stock", "users", "orders", "carts, users", "a, b, c, d"]
    assert len(set(templates(*(f"Collector of areas {names} shut down" for names in lists)))) == 1
    assert len(set(templates(*(f"worker stopped, left over: {names}" for names in lists)))) == 1


def test_fields_after_a_message_may_be_others_in_another_order() -> None:
    fields = ["user=7 cart=8", "cart=8 user=7", "step=pay", "zone=eu step=pay user=", "zone=eu"]
    found = templates(*(f"check of the user failed {each}" for each in fields), "check of the host failed step=pay")
    assert len(set(found[:-1])) == 1
    assert found[-1] not in found[:-1]


@pytest.mark.parametrize(
    "text",
    [
        '{"' * 4000,
        '{"a":' * 8000,
        "[" * 8000,
        "[a," * 4000,
        "a, " * 4000,
        "SELECT " * 2000,
        "SELECT a FROM " * 1000,
        "UPDATE a SET " * 1000,
        "a=" * 4000,
        "a={b=" * 2000,
        "x{a=b," * 2000,
        "'a" * 4000,
        "result '" * 2000,
        "/?" * 4000,
        "/a?b " * 2000,
        "a:" * 4000,
        "[::" * 3000,
        "'a:" * 3000,
        "a/" * 4000 + "=",
        "'Aa1" * 2000 + "=",
        ', a: "b"' * 1000,
        "http://[a" * 1000,
        ': "a' * 2000,
        "/a A" * 2000,
    ],
)
def test_text_that_is_made_to_take_long_is_masked_all_the_same(text: str) -> None:
    began = time.process_time()
    _masks.mask(text)
    assert time.process_time() - began < 2


@pytest.mark.parametrize("some", ['{"', '{"a":', '\\"', ': "', '"', "'", "SELECT ", ', a: "b"', "/a 1.x ", "[", " "])
@pytest.mark.parametrize("begin", ['{"', '{"a": 1} ', "/a 1.x "])
def test_message_as_long_as_any_is_masked_in_a_moment(begin: str, some: str) -> None:
    _log_messages.masked("a" + begin + some)  # what is made but once is there
    text = (begin + some * 32768)[:32768]
    began = time.process_time()
    _log_messages.masked(text)
    assert time.process_time() - began < 0.1


def test_long_messages_that_have_nothing_in_common_cost_little_memory() -> None:
    chance = random.Random(1)  # noqa: S311 - no secret
    words = ["".join(chance.choices("abcdefghijklmnop", k=chance.randrange(3, 9))) for _ in range(40)]
    texts = dict.fromkeys(" ".join(chance.choices(words, k=28)) for _ in range(500))
    tracemalloc.start()
    try:
        assert _grouping.merged(texts) == {text: text for text in texts}
        assert tracemalloc.get_traced_memory()[1] < 16 << 20  # 100 MB and more, where all templates are kept
    finally:
        tracemalloc.stop()


def test_template_is_one_whichever_of_its_places_was_seen_to_vary_first() -> None:
    form = ("no", " ", "a", " ", "of", " ", "b")
    numbers = _grouping._Numbers
    both = (*form[:2], _masks.ANYTHING, *form[3:6], _masks.ANYTHING)
    first, last = ((2, 3),), ((6, 7),)
    ways = {numbers((*form[:2], _masks.ANYTHING, *form[3:])).of(last), numbers((*form[:6], _masks.ANYTHING)).of(first)}
    assert ways == {numbers(form).of((*first, *last)), numbers(both).of(first)}
