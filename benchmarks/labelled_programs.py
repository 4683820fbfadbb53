"""More logs with known truth: what programs of a site write, in formats that labelled_logs.py does not have.

    .venv/bin/python benchmarks/labelled_programs.py rails 5000 >rails.log

Written from what these programs write, before the code that groups was read. A template is a message; after " | " stands
what is raised at the end of its trace, or the error in a field beside it. Those HELD_BACK were measured before anything was mended for them.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Callable, Iterator
from datetime import datetime, timedelta, timezone
from pathlib import Path

sys.path[:0] = [str(Path(__file__).resolve().parent)]
from labelled_logs import Draw, Event  # noqa: E402 - found through the line above

_FIRST = [
    "anna",
    "ben",
    "chloé",
    "dmitri",
    "ewa",
    "farid",
    "gina",
    "hugo",
    "ines",
    "jörg",
    "kim",
    "lars",
    "mina",
    "nils",
    "oksana",
    "paul",
    "quinn",
    "rosa",
    "sven",
    "tariq",
]
_LAST = [
    "smith",
    "o'neil",
    "müller",
    "garcia",
    "ng",
    "ivanova",
    "kowalski",
    "sato",
    "dubois",
    "jensen",
    "rossi",
    "novak",
    "silva",
    "khan",
    "brown",
]
_ITEMS = ("Blue shirt", "Mug", "Tea, Earl Grey", "Lamp 40 W", "Crème brûlée set", "USB-C cable 2 m", "Chess set (wood)", "Wall clock", "Sofa 3-seat \"Oslo\"", "Bag")  # fmt: skip
_AREAS = ["orders", "carts", "payments", "invoices", "refunds", "sessions", "stock", "prices", "users", "devices", "reviews", "vouchers", "parcels", "returns"]  # fmt: skip
_TASKS = [
    "send_receipt",
    "rebuild_index",
    "charge_card",
    "sync_stock",
    "expire_carts",
    "export_sales",
    "resize_images",
    "warm_cache",
]
_ZONES = ["shop.svc.cluster.local", "ec2.internal", "example.com", "corp.example.org"]


class More(Draw):
    """Values of more kinds, and the place in the source that the template stands for."""

    place = 0

    def value(self, name: str) -> str:
        """Return a value for a place of this name."""
        some = self.random
        word = some.choice(_AREAS)
        number = some.randrange(10 ** some.randrange(1, 7))
        kinds: dict[str, Callable[[], str]] = {
            "person": lambda: some.choice((f"{some.choice(_FIRST)}.{some.choice(_LAST)}", some.choice(_FIRST), f"u{number}", f"svc-{word}")),
            "mail": lambda: f"{some.choice(_FIRST)}.{some.choice(_LAST)}+{word}@{some.choice(_ZONES[2:])}",
            "item": lambda: self.zipf(list(_ITEMS)),
            "area": lambda: self.zipf(_AREAS),
            "task": lambda: self.zipf(_TASKS),
            "sku": lambda: f"{some.choice(('SKU', 'A', 'XL'))}-{some.randrange(100, 99999)}{some.choice(('', '-L', '/7', '-RED'))}",
            "name": lambda: f"{word[:-1]}-{some.randrange(1, 40)}.{some.choice(_ZONES)}",
            "node": lambda: some.choice((f"ip-10-0-{some.randrange(9)}-{some.randrange(255)}", f"{word}-{some.randrange(9)}", f"node{some.randrange(30)}")),
            "at": lambda: f"{self.value('ip')}:{self.value('port')}",
            "at6": lambda: f"[2001:db8::{some.randrange(1, 65536):x}]:{self.value('port')}",
            "link": lambda: f"https://{self.value('name')}/{word}/{number}?q={some.choice(_TASKS)}&page={some.randrange(9)}{some.choice(('', '#top'))}",
            "route": lambda: f"/{some.choice(('api/v1', 'api/v2', 'admin'))}/{word}/{number}{some.choice(('', '/edit', '?expand=lines'))}",
            "took": lambda: some.choice((f"{some.randrange(1, 60)}m{some.random() * 60:.1f}s", f"{some.random() * 999:.3f}ms", f"{some.randrange(9)}h{some.randrange(60)}m0s", f"{some.random() * 30:.2f}s", f"{some.random() * 900:.3f}µs")),
            "bytes": lambda: some.choice((f"{some.random() * 30:.1f} GiB", f"{some.randrange(999)}MB", f"{number} bytes", f"{some.random() * 30:.1f}kB")),
            "share": lambda: f"{some.random() * 100:.1f}%",
            "names": lambda: ", ".join(some.sample(_AREAS, some.randrange(1, 6))),
            "numbers": lambda: ", ".join(str(some.randrange(9999)) for _ in range(some.randrange(0, 7))),
            "doc": lambda: json.dumps({"id": number, "items": some.sample(_AREAS, some.randrange(3)), "note": some.choice(("", "leave at door", None))}),
            "pairs": lambda: " ".join(f"{key}={some.choice((number, word, ''))}" for key in some.sample(("user", "cart", "step", "zone"), some.randrange(1, 4))),
            "maybe": lambda: some.choice(("", word, str(number))),
            "oid": lambda: f"{some.getrandbits(96):024x}",
            "digest": lambda: f"sha256:{some.getrandbits(256):064x}",
            "token": lambda: f"eyJ{some.getrandbits(120):x}.{some.getrandbits(90):x}",
            "erl": lambda: f"<0.{some.randrange(99999)}.{some.randrange(3)}>",
            "version": lambda: f"v{some.randrange(4)}.{some.randrange(20)}.{some.randrange(9)}{some.choice(('', '-rc1', '+build.7'))}",
            "moment": lambda: f"2026-11-{some.randrange(1, 29):02}T{some.randrange(24):02}:{some.randrange(60):02}:00{some.choice(('Z', '.123Z', '+01:00'))}",
            "file": lambda: f"/{some.choice(('srv', 'var/lib', 'opt', 'tmp'))}/{word}/{some.choice(_TASKS)}{some.choice(('.json', '.tmp', '', '-7.csv.gz', '/part 1.xml'))}",
            "query": lambda: f"SELECT {some.choice(('*', 'id, total', 'count(*)'))} FROM {word} WHERE {some.choice(('id', 'owner', 'sku'))} = {number}{some.choice(('', ' ORDER BY id', ' LIMIT 10', ' FOR UPDATE'))}",
            "signed": lambda: str(number - 500),
        }  # fmt: skip
        return kinds[name]() if name in kinds else super().value(name)


def _java(draw: More, raised: str) -> list[str]:
    frame = lambda name: f"\tat com.shop.{name}.lambda$call${draw.random.randrange(9)}({name}.java:{draw.value('n')})"  # noqa: E731
    deep = [frame(name) for name in ("Orders", "Db", "Web", "Filter")[: draw.random.randrange(1, 5)]]
    more = f"\t... {draw.value('n')} common frames omitted"
    return ["java.lang.RuntimeException: request could not be served", *deep, "\tSuppressed: java.io.IOException: stream closed", "\t\tat com.shop.Stream.close(Stream.java:7)", "\t\t... 12 more", f"Caused by: {raised}", *deep, more]  # fmt: skip


def _python(draw: More, raised: str) -> list[str]:
    frame = lambda name: [f'  File "/srv/shop/{name}.py", line {draw.value("n")}, in {name}', f"    return self.{name}(order)", "           ^^^^^^^^^^^^^^^^"]  # fmt: skip # noqa: E731
    head = "Traceback (most recent call last):"
    deep = [line for name in ("web", "pay", "retry")[: draw.random.randrange(1, 4)] for line in frame(name)]
    link = "The above exception was the direct cause of the following exception:"
    return [head, *frame("db"), "KeyError: 'primary'", "", link, "", head, *deep, raised]


def _go(draw: More) -> str:
    return "".join(f"{name}\n\t/srv/shop/{name.rpartition('.')[2]}.go:{draw.random.randrange(900)}\n" for name in ("main.(*Shop).Order", "net/http.HandlerFunc.ServeHTTP", "net/http.(*conn).serve")).rstrip()  # fmt: skip


def _dotnet(draw: More, raised: str) -> list[str]:
    place = lambda: f"   at Shop.{draw.value('area').title()}.<Call>d__{draw.random.randrange(9)}.MoveNext() in /src/Shop.cs:line {draw.value('n')}"  # fmt: skip # noqa: E731
    return [f"System.AggregateException: One or more errors occurred. ---> {raised}", place(), "   --- End of inner exception stack trace ---", place(), "--- End of stack trace from previous location ---", place()]  # fmt: skip


def _php(draw: More) -> list[str]:
    return [*(f"#{number} /srv/shop/src/{name}.php({draw.value('n')}): App\\{name}->run(Object(App\\Order), '{draw.value('area')}')" for number, name in enumerate(("Kernel", "Pay", "Db")[: draw.random.randrange(1, 4)])), "#3 {main}"]  # fmt: skip


# How a program writes: given values, when, if it is an error, the message, and what was raised or stands in a field beside it.
Renderer = Callable[[More, datetime, bool, str, str], list[str]]


def _ms(at: datetime) -> str:
    return f"{at.microsecond // 1000:03}"


def rails(draw: More, at: datetime, error: bool, said: str, raised: str) -> list[str]:
    """As Rails writes in production: a tag for the request, a line for each line of the exception."""
    letter, level = "FI"[not error], "FATAL" if error else "INFO"
    head = f"{letter}, [{at:%Y-%m-%dT%H:%M:%S}.{at.microsecond:06} #{draw.value('n')}] {level:>5} -- : [{draw.value('uuid')}] "
    if not error:
        return [head + said]
    frames = [
        f"app/{name}.rb:{draw.value('n')}:in `call'" for name in ("models/order", "controllers/orders_controller")
    ]
    return [head + "  ", head + said, head + "  ", *(head + frame for frame in frames)]


def mslog(draw: More, at: datetime, error: bool, said: str, raised: str) -> list[str]:
    """As Microsoft.Extensions.Logging writes to a console: two lines, the exception under them."""
    name = f"{'fail' if error else 'info'}: Shop.Web.{('Orders', 'Payments')[draw.place % 2]}[{draw.place % 40}]"
    under = _dotnet(draw, raised) if raised else []
    return [name, *("      " + line for line in (said, *under))]


def rust(draw: More, at: datetime, error: bool, said: str, raised: str) -> list[str]:
    """As Rust's tracing writes: spans with fields before the message, fields after it."""
    level = "ERROR" if error else " INFO"
    more = f" error={raised}" if raised else ""
    return [f'{at:%Y-%m-%dT%H:%M:%S}.{at.microsecond:06}Z {level} request{{method={draw.value("method")} id={draw.value("uuid")}}}:query{{table="{draw.value("area")}"}}: shop::db: {said}{more} took={draw.value("took")}']  # fmt: skip


def rust_colours(draw: More, at: datetime, error: bool, said: str, raised: str) -> list[str]:
    """As Rust's tracing writes to what it takes for a terminal."""
    level = "\x1b[31mERROR" if error else "\x1b[32m INFO"
    more = f" \x1b[3merror\x1b[0m\x1b[2m=\x1b[0m{raised}" if raised else ""
    span = f"\x1b[1mrequest\x1b[0m\x1b[1m{{\x1b[0m\x1b[3mid\x1b[0m\x1b[2m=\x1b[0m{draw.value('n')}\x1b[1m}}\x1b[0m\x1b[2m:\x1b[0m"
    return [f"\x1b[2m{at:%Y-%m-%dT%H:%M:%S}.{at.microsecond:06}Z\x1b[0m {level}\x1b[0m {span} \x1b[2mshop::db\x1b[0m\x1b[2m:\x1b[0m {said}{more}"]  # fmt: skip


def mongodb(draw: More, at: datetime, error: bool, said: str, raised: str) -> list[str]:
    """As MongoDB writes since 4.4: JSON, the message fixed and its values beside it."""
    attr = {"remote": draw.value("at"), "connectionId": draw.random.randrange(9999), "error": {"code": 6, "codeName": "HostUnreachable", "errmsg": raised}}  # fmt: skip
    part = ("NETWORK", "STORAGE", "REPL")[draw.place % 3]
    entry = {"t": {"$date": f"{at:%Y-%m-%dT%H:%M:%S}.{_ms(at)}+00:00"}, "s": "E" if error else "I", "c": part, "id": 20000 + draw.place, "ctx": f"conn{draw.value('n')}", "msg": said, "attr": attr if raised else {"uuid": draw.value("uuid")}}  # fmt: skip
    return [json.dumps(entry, separators=(",", ":")).replace('"c":', ' "c":')]


def elasticsearch(draw: More, at: datetime, error: bool, said: str, raised: str) -> list[str]:
    """As Elasticsearch writes its log for people."""
    part = ("o.e.x.i.IndexLifecycleRunner", "o.e.b.Bootstrap", "o.e.c.r.a.AllocationService")[draw.place % 3]
    head = f"[{at:%Y-%m-%dT%H:%M:%S},{_ms(at)}][{'ERROR' if error else 'INFO ':5}][{part:25}] [{draw.value('node')}] "
    return [head + said, *(_java(draw, raised) if raised else [])]


def rabbitmq(draw: More, at: datetime, error: bool, said: str, raised: str) -> list[str]:
    """As RabbitMQ writes since 3.9: each line of a report with its own head."""
    process = draw.value("erl")
    head = f"{at:%Y-%m-%d %H:%M:%S}.{at.microsecond:06}+00:00 [{'error' if error else 'info'}] {process} "
    if not raised:
        return [head + said]
    calls = [f"  in call from rabbit_reader:mainloop/4 (rabbit_reader.erl, line {draw.value('n')})" for _ in range(draw.random.randrange(1, 4))]  # fmt: skip
    return [head + line for line in (said, f"  crasher:", f"    initial call: rabbit_reader:init/3", f"    pid: {process}", f"    registered_name: []", f"    exception error: {raised}", *calls)]  # fmt: skip # noqa: F541


def laravel(draw: More, at: datetime, error: bool, said: str, raised: str) -> list[str]:
    """As Laravel has Monolog write: context as JSON, the trace within it on lines of its own."""
    head = f"[{at:%Y-%m-%d %H:%M:%S}] production.{'ERROR' if error else 'INFO'}: {said} "
    if not raised:
        return [head + json.dumps({"userId": draw.random.randrange(9999), "cart": draw.value("oid")})]
    return [head + f'{{"userId":{draw.value("n")},"exception":"[object] ({raised} at /srv/shop/src/Db.php:{draw.value("n")})', "[stacktrace]", *_php(draw), '"} ']  # fmt: skip


def php(draw: More, at: datetime, error: bool, said: str, raised: str) -> list[str]:
    """As PHP writes its error_log."""
    head = f"[{at:%d-%b-%Y %H:%M:%S} UTC] PHP {'Fatal error' if error else 'Notice'}:  {said} in /srv/shop/src/Db.php"
    if not raised:
        return [f"{head} on line {draw.value('n')}"]
    return [f"{head.replace(said, f'Uncaught {raised}')}:{draw.value('n')}", "Stack trace:", *_php(draw), f"  thrown in /srv/shop/src/Db.php on line {draw.value('n')}"]  # fmt: skip


def pino(draw: More, at: datetime, error: bool, said: str, raised: str) -> list[str]:
    """As pino writes: JSON, the error in a field."""
    entry = {"level": 50 if error else 30, "time": int(at.timestamp() * 1000), "pid": 7, "hostname": draw.value("node"), "reqId": draw.value("n"), "req": {"method": draw.value("method"), "url": draw.value("route"), "headers": {"user-agent": "curl/7.88", "cookie": ""}}}  # fmt: skip
    if raised:
        stack = f"Error: {raised}\n    at order (/srv/shop/app.js:{draw.value('n')}:13)\n    at next (/srv/shop/next.js:7:5)\ncaused by: Error: closed\n    at close (/srv/shop/db.js:1:2)"
        entry["err"] = {"type": "Error", "message": raised, "stack": stack}
    return [json.dumps({**entry, "msg": said})]


def zap(draw: More, at: datetime, error: bool, said: str, raised: str) -> list[str]:
    """As zap writes in production: JSON, with the stack in a field."""
    entry = {"level": "error" if error else "info", "ts": at.timestamp(), "caller": f"shop/server.go:{draw.place}", "msg": said, "order": draw.value("oid"), "trace": draw.value("hex")}  # fmt: skip
    return [json.dumps({**entry, **({"error": raised, "stacktrace": _go(draw)} if raised else {})})]


def otelcol(draw: More, at: datetime, error: bool, said: str, raised: str) -> list[str]:
    """As zap writes for people: fields as JSON after the message, the stack under it."""
    fields = {"kind": "exporter", "name": draw.value("area"), **({"error": raised} if raised else {}), "dropped_items": draw.random.randrange(9999)}  # fmt: skip
    line = f"{at:%Y-%m-%dT%H:%M:%S}.{_ms(at)}Z\t{'error' if error else 'info'}\tinternal/sender.go:{draw.place}\t{said}\t{json.dumps(fields)}"
    return [line, *(_go(draw).split("\n") if error else [])]


def uvicorn(draw: More, at: datetime, error: bool, said: str, raised: str) -> list[str]:
    """As uvicorn writes: no time, and exceptions that follow from others."""
    return [
        f"{'ERROR' if error else 'INFO'}:{' ' * (4 if error else 5)}{said}",
        *(_python(draw, raised) if raised else []),
    ]


def celery(draw: More, at: datetime, error: bool, said: str, raised: str) -> list[str]:
    """As Celery's worker writes."""
    head = f"[{at:%Y-%m-%d %H:%M:%S},{_ms(at)}: {'ERROR' if error else 'INFO'}/ForkPoolWorker-{draw.random.randrange(1, 16)}] "
    return [head + said, *(_python(draw, raised) if raised else [])]


def gunicorn(draw: More, at: datetime, error: bool, said: str, raised: str) -> list[str]:
    """As gunicorn writes its error log."""
    level = "CRITICAL" if said.startswith("WORKER") else "ERROR" if error else "INFO"
    return [
        f"[{at:%Y-%m-%d %H:%M:%S} +0000] [{draw.value('n')}] [{level}] {said}",
        *(_python(draw, raised) if raised else []),
    ]


def rfc5424(draw: More, at: datetime, error: bool, said: str, raised: str) -> list[str]:
    """As syslog daemons keep RFC 5424: the level is in the number in front."""
    return [f'<{131 if error else 134}>1 {at:%Y-%m-%dT%H:%M:%S}.{at.microsecond:06}Z {draw.value("node")} shopd {draw.value("n")} ID{draw.place} [meta sequenceId="{draw.value("n")}"] {said}{": " if raised else ""}{raised}']  # fmt: skip


def kubelet(draw: More, at: datetime, error: bool, said: str, raised: str) -> list[str]:
    """As a kubelet writes structured klog."""
    pod = f"{draw.value('area')}/{draw.value('pod')}"
    more = f" err={json.dumps(raised)}" if raised else ""
    return [f'{"E" if error else "I"}{at:%m%d %H:%M:%S}.{at.microsecond:06} {int(draw.value("n")):7} pod_workers.go:{draw.place * 7}] "{said}"{more} pod="{pod}" podUID="{draw.value("uuid")}"']  # fmt: skip


def docker(draw: More, at: datetime, error: bool, said: str, raised: str) -> list[str]:
    """As Docker keeps what a container writes: a JSON object for each line, and for each 16 KiB of one."""
    lines = [f"{at:%H:%M:%S}.{_ms(at)} [worker-{draw.random.randrange(9)}] {'ERROR' if error else 'INFO '} c.shop.Orders - {said}", *(_java(draw, raised) if raised else [])]  # fmt: skip
    return [json.dumps({"log": line + "\n", "stream": "stdout", "time": f"{at:%Y-%m-%dT%H:%M:%S}.{at.microsecond:06}{number:03}Z"}) for number, line in enumerate(lines)]  # fmt: skip


def springboot(draw: More, at: datetime, error: bool, said: str, raised: str) -> list[str]:
    """As Spring Boot 3 writes."""
    name = ("o.a.c.c.C.[.[.[/].[dispatcherServlet]", "c.e.shop.orders.OrderService", "o.s.k.l.KafkaMessageListener")[
        draw.place % 3
    ]
    return [f"{at:%Y-%m-%dT%H:%M:%S}.{_ms(at)}Z {'ERROR' if error else ' INFO'} 1 --- [shop] [nio-8080-exec-{draw.random.randrange(200)}] {name:40} : {said}", *(["", *_java(draw, raised)] if raised else [])]  # fmt: skip


def envoy(draw: More, at: datetime, error: bool, said: str, raised: str) -> list[str]:
    """As Envoy writes."""
    return [f"[{at:%Y-%m-%d %H:%M:%S}.{_ms(at)}][{draw.value('n')}][{'error' if error else 'info'}][upstream] [source/common/upstream/cds.cc:{draw.place}] {said}"]  # fmt: skip


def postgresql_detail(draw: More, at: datetime, error: bool, said: str, raised: str) -> list[str]:
    """As PostgreSQL writes with its default prefix: details, hints, and a statement of several lines."""
    head = f"{at:%Y-%m-%d %H:%M:%S}.{_ms(at)} UTC [{draw.value('n')}] "
    if not error:
        return [f"{head}LOG:  {said}"]
    detail = [f"{head}DETAIL:  Key (id)=({draw.value('n')}) is not as it should be."] if draw.place % 2 else []
    return [f"{head}ERROR:  {said}", *detail, f"{head}HINT:  See server log for query details.", f"{head}STATEMENT:  SELECT o.id,", "\t       o.total", f"\tFROM {draw.value('area')} o", f"\tWHERE o.error = {draw.value('n')}"]  # fmt: skip


def hashicorp(draw: More, at: datetime, error: bool, said: str, raised: str) -> list[str]:
    """As Consul, Vault and Nomad write."""
    more = f": error={json.dumps(raised)}" if raised else ""
    return [f"{at:%Y-%m-%dT%H:%M:%S}.{_ms(at)}Z {'[ERROR]' if error else '[INFO] '} agent.server.raft: {said}{more}"]


def cassandra(draw: More, at: datetime, error: bool, said: str, raised: str) -> list[str]:
    """As Cassandra writes: the level first."""
    head = f"{'ERROR' if error else 'INFO '} [ReadStage-{draw.random.randrange(64)}] {at:%Y-%m-%d %H:%M:%S},{_ms(at)} StorageProxy.java:{draw.place} - "
    return [head + said, *(_java(draw, raised) if raised else [])]


def airflow(draw: More, at: datetime, error: bool, said: str, raised: str) -> list[str]:
    """As Airflow writes the log of a task."""
    head = f"[{at:%Y-%m-%dT%H:%M:%S}.{_ms(at)}+0000] {{taskinstance.py:{draw.place}}} {'ERROR' if error else 'INFO'} - "
    return [head + said, *(_python(draw, raised) if raised else [])]


def ecs(draw: More, at: datetime, error: bool, said: str, raised: str) -> list[str]:
    """As loggers write for Elastic: dotted names."""
    entry = {"@timestamp": f"{at:%Y-%m-%dT%H:%M:%S}.{_ms(at)}Z", "log.level": "ERROR" if error else "INFO", "message": said, "ecs.version": "1.2.0", "service.name": "shop", "process.thread.name": f"exec-{draw.value('n')}"}  # fmt: skip
    if raised:
        entry.update({"error.type": raised.partition(":")[0], "error.message": raised.partition(": ")[2], "error.stack_trace": "\n".join(_java(draw, raised))})  # fmt: skip
    return [json.dumps(entry)]


def tomcat(draw: More, at: datetime, error: bool, said: str, raised: str) -> list[str]:
    """As Tomcat writes catalina.out."""
    return [f"{at:%d-%b-%Y %H:%M:%S}.{_ms(at)} {'SEVERE' if error else 'INFO'} [http-nio-8080-exec-{draw.random.randrange(200)}] org.apache.catalina.core.StandardWrapperValve.invoke {said}", *(_java(draw, raised) if raised else [])]  # fmt: skip


def elixir(draw: More, at: datetime, error: bool, said: str, raised: str) -> list[str]:
    """As Elixir's Logger writes."""
    kind, _, text = raised.partition(": ")
    more = [f"** ({kind}) {text}", f"    (shop 0.1.0) lib/shop/cart.ex:{draw.value('n')}: Shop.Cart.handle_call/3", "    (stdlib 5.0) gen_server.erl:1113: :gen_server.try_handle_call/4", f"Last message (from {draw.value('erl').replace('<', '#PID<')}): :total", f"State: %{{user: \"{draw.value('person')}\", lines: []}}"]  # fmt: skip
    return [f"{at:%H:%M:%S}.{_ms(at)} [{'error' if error else 'info'}] {said}", *(more if raised else [])]


def cri(draw: More, at: datetime, error: bool, said: str, raised: str) -> list[str]:
    """As containerd keeps what a container writes."""
    lines = [f"{at:%Y-%m-%d %H:%M:%S},{_ms(at)} {'ERROR' if error else 'INFO'} [shop.orders] [req {draw.value('hex')}] {said}", *(_python(draw, raised) if raised else [])]  # fmt: skip
    return [
        f"{at:%Y-%m-%dT%H:%M:%S}.{at.microsecond:06}{number:03}Z stderr F {line}" for number, line in enumerate(lines)
    ]


def slog(draw: More, at: datetime, error: bool, said: str, raised: str) -> list[str]:
    """As Go's slog writes text, and Prometheus."""
    more = f" err={json.dumps(raised)}" if raised else ""
    return [f"time={at:%Y-%m-%dT%H:%M:%S}.{_ms(at)}Z level={'ERROR' if error else 'INFO'} source=scrape.go:{draw.place} msg={json.dumps(said)} component=scrape target={draw.value('link')} took={draw.value('took')}{more}"]  # fmt: skip


def zerolog(draw: More, at: datetime, error: bool, said: str, raised: str) -> list[str]:
    """As zerolog writes to a terminal."""
    more = f' \x1b[36merror=\x1b[0m\x1b[31m\x1b[1m"{raised}"\x1b[0m\x1b[0m' if raised else ""
    return [f"\x1b[90m{at:%Y-%m-%dT%H:%M:%SZ}\x1b[0m {chr(27) + '[31mERR' if error else chr(27) + '[32mINF'}\x1b[0m {said}{more} \x1b[36mrequest_id=\x1b[0m{draw.value('uuid')}"]  # fmt: skip


def ceph(draw: More, at: datetime, error: bool, said: str, raised: str) -> list[str]:
    """As a daemon of Ceph writes the log of the cluster."""
    return [f"{at:%Y-%m-%dT%H:%M:%S}.{at.microsecond:06}+0000 osd.{draw.random.randrange(40)} (osd.{draw.random.randrange(40)}) {draw.value('n')} : cluster [{'ERR' if error else 'INF'}] {said}"]  # fmt: skip


def fluentd(draw: More, at: datetime, error: bool, said: str, raised: str) -> list[str]:
    """As Fluentd writes: fields of Ruby after the message, the place of it under it."""
    more = f" error_class={raised.partition(': ')[0]} error={json.dumps(raised.partition(': ')[2])}" if raised else ""
    frames = [f"  {at:%Y-%m-%d %H:%M:%S} +0000 [error]: #0 /opt/fluent/lib/{name}.rb:{draw.value('n')}:in `call'" for name in ("output", "plugin")] if raised else []  # fmt: skip
    return [f"{at:%Y-%m-%d %H:%M:%S} +0000 [{'error' if error else 'info'}]: #0 {said}{more}", *frames]


def wildfly(draw: More, at: datetime, error: bool, said: str, raised: str) -> list[str]:
    """As WildFly writes its server.log."""
    return [f"{at:%Y-%m-%d %H:%M:%S},{_ms(at)} {'ERROR' if error else 'INFO '} [org.jboss.as.ejb3.invocation] (default task-{draw.random.randrange(300)}) WFLYEJB{draw.place:04}: {said}: {'javax.ejb.EJBException: lost' if raised else ''}".rstrip(": "), *(_java(draw, raised) if raised else [])]  # fmt: skip


def caddy(draw: More, at: datetime, error: bool, said: str, raised: str) -> list[str]:
    """As Caddy writes: JSON, the request within it, and where the error came from."""
    request = {"remote_ip": draw.value("ip"), "method": draw.value("method"), "host": draw.value("name"), "uri": draw.value("route"), "headers": {"Accept": ["*/*"]}}  # fmt: skip
    entry = {"level": "error" if error else "info", "ts": at.timestamp(), "logger": "http.log.error", "msg": said, "request": request, "duration": draw.random.random(), "status": 502}  # fmt: skip
    return [json.dumps({**entry, **({"err_id": draw.value("hex")[:9], "error": raised, "err_trace": f"reverseproxy.statusError (reverseproxy.go:{draw.value('n')})"} if raised else {})})]  # fmt: skip


def rust_json(draw: More, at: datetime, error: bool, said: str, raised: str) -> list[str]:
    """As Rust's tracing writes JSON: the message is one of its fields."""
    fields = {"message": said, **({"error": raised} if raised else {}), "took": draw.value("took")}
    return [json.dumps({"timestamp": f"{at:%Y-%m-%dT%H:%M:%S}.{at.microsecond:06}Z", "level": "ERROR" if error else "INFO", "fields": fields, "target": "shop::db", "span": {"id": draw.value("n"), "name": "request"}})]  # fmt: skip


def dovecot(draw: More, at: datetime, error: bool, said: str, raised: str) -> list[str]:
    """As Dovecot writes through syslog."""
    return [f"{at:%b %e %H:%M:%S} {draw.value('node')} dovecot: imap({draw.value('mail')})<{draw.value('n')}><{draw.value('hex')}>: {'Error: ' if error else ''}{said}"]  # fmt: skip


def journal(draw: More, at: datetime, error: bool, said: str, raised: str) -> list[str]:
    """As systemd's journal tells: the level is a field of the entry, the text has none."""
    return [said]


# What services say of themselves, whatever writes it.
_SHOP = """
    Failed to reserve {n} x {item} for {person} | {refused}
    Failed to reserve {n} x {item} for {person} | {reset}
    Failed to release {n} x {item} for {person} | {refused}
    order {n} of {mail} was rejected: {doc}
    order {n} of {mail} was lost: {doc}
    cannot parse field '{area}' of {sku}: expected number, got "{maybe}"
    No handler for event of type {area} (version {version})
    GET {link} took {took}, limit is {took}
    GET {link} answered {n}
    unknown areas [{names}] asked for by {at}
    coupon {sku} expired at {moment}
    coupon {sku} already used
    user {person} has no permission to edit {area}
    user {person} has no permission to view {area}
    {n} of {n} lines could not be imported from {file} ({bytes})
    retrying in {took}: {query}
    ids=[{numbers}] not found"""


def _shop(refused: str, reset: str, *others: str) -> str:
    """Return the templates above, the trace's ends as this language says it, and others."""
    return _SHOP.replace("{refused}", refused).replace("{reset}", reset) + "\n" + "\n".join(others)


_JAVA = ("java.net.ConnectException: Connection refused: {name}/{at}", "java.net.SocketException: Connection reset")
_PYTHON = ("redis.exceptions.ConnectionError: Error 111 connecting to {name}:{port}. Connection refused.", "ConnectionResetError: [Errno 104] Connection reset by peer")  # fmt: skip
_GO = ("dial tcp {at}: connect: connection refused", "read tcp {at}->{at}: read: connection reset by peer")
_RUST = ("Os {{ code: 111, kind: ConnectionRefused, message: \"Connection refused\" }}", "Os {{ code: 104, kind: ConnectionReset, message: \"Connection reset by peer\" }}")  # fmt: skip
_NODE = ("connect ECONNREFUSED {at}", "read ECONNRESET")

FORMATS: dict[str, tuple[Renderer, str]] = {
    "rails": (rails, """
        ActiveRecord::RecordNotFound (Couldn't find Order with 'id'={n} [WHERE "orders"."user_id" = $1]):
        ActiveRecord::RecordInvalid (Validation failed: Email can't be blank):
        ActiveRecord::RecordInvalid (Validation failed: Email has already been taken):
        ActionController::RoutingError (No route matches [{method}] "{route}"):
        ActionController::InvalidAuthenticityToken (Can't verify CSRF token authenticity.):
        ActionView::Template::Error (undefined method `total' for nil:NilClass):
        NoMethodError (undefined method `price' for #<Item:{address}>):
        NameError (uninitialized constant {task}):
        PG::ConnectionBad (connection to server at "{ip}", port {port} failed: Connection refused):
        PG::ConnectionBad (connection to server at "{ip}", port {port} failed: timeout expired):
        ActiveRecord::LockWaitTimeout (PG::LockNotAvailable: ERROR:  canceling statement due to lock timeout: {query}):
        Rack::Timeout::RequestTimeoutException (Request ran for longer than {n}ms ):
        Errno::ENOENT (No such file or directory @ rb_sysopen - {file}):
        Errno::EACCES (Permission denied @ rb_sysopen - {file}):
        JSON::ParserError (unexpected token at '{doc}'):
        Stripe::CardError (Your card was declined. (Request {hex})):"""),
    "mslog": (mslog, _shop("System.Net.Sockets.SocketException (111): Connection refused {at}", "System.IO.IOException: Unable to read data from the transport connection: Connection reset by peer.",
        "An unhandled exception has occurred while executing the request. | System.NullReferenceException: Object reference not set to an instance of an object.",
        "Failed executing DbCommand ({n}ms) [Parameters=[@__id_0='{n}' (Nullable = true), @p1='{maybe}'], CommandType='Text', CommandTimeout='30']")),
    "rust": (rust, _shop(*_RUST, "pool timed out while waiting for an open connection", "invalid utf-8 sequence of {n} bytes from index {n} | Utf8Error")),
    "rust_colours": (rust_colours, _shop(*_RUST, "pool timed out while waiting for an open connection")),
    "mongodb": (mongodb, """
        Error sending response to client. Ending connection from remote | Connection reset by peer
        Error sending response to client. Ending connection from remote | Broken pipe
        Error receiving request from client. Ending connection from remote | Connection reset by peer
        Failed to connect to remote host | Error connecting to {name}:{port} ({at}) :: caused by :: Connection refused
        Failed to connect to remote host | Error connecting to {name}:{port} ({at}) :: caused by :: No route to host
        WiredTiger error message
        Failed to unlink socket file
        Failed to set up listener | SocketException: Address already in use
        DBException in initAndListen, terminating | NonExistentPath: Data directory {file} not found.
        Unable to forward write to primary | not primary and secondaryOk=false
        Replica set member is in an unexpected state
        Writing fatal message"""),
    "elasticsearch": (elasticsearch, """
        policy [{task}] for index [{area}-{date}] failed on step [{doc}]. Moving to ERROR step | org.elasticsearch.ElasticsearchException: no rollover alias for {area}
        fatal error in thread [elasticsearch[{node}][search][T#{n}]], exiting | java.lang.OutOfMemoryError: Java heap space
        fatal exception while booting Elasticsearch | java.lang.IllegalStateException: failed to obtain node locks, tried [{file}]
        fatal exception while booting Elasticsearch | java.net.BindException: Address already in use
        failed to join {{{node}}}{{{token}}}{{{ip}}}{{{at}}} | java.net.ConnectException: Connection refused: {at}
        failed to leave {{{node}}}{{{token}}}{{{ip}}}{{{at}}} | java.net.ConnectException: Connection refused: {at}
        all shards failed for phase: [query] | org.elasticsearch.index.mapper.MapperParsingException: failed to parse field [{area}] of type [long]
        all shards failed for phase: [fetch]
        [{area}][{n}] failed to recover shard | java.nio.file.NoSuchFileException: {file}
        [{area}][{n}] failed to flush shard | java.nio.file.NoSuchFileException: {file}
        exception during geoip databases update | java.net.UnknownHostException: {name}
        flood stage disk watermark [{share}] exceeded on [{token}][{node}][{file}] free: {bytes}[{share}], all indices on this node will be marked read-only
        low disk watermark [{share}] exceeded on [{token}][{node}][{file}] free: {bytes}[{share}]
        unable to create index [{area}-{n}] due to this cluster currently having [{n}]/[{n}] maximum shards open"""),
    "rabbitmq": (rabbitmq, """
        Error on AMQP connection {erl} ({at} -> {at}, vhost: '/', user: '{person}', state: running), channel {n}:
        Error on AMQP connection {erl} ({at} -> {at}, state: starting):
        PLAIN login refused: user '{person}' - invalid credentials
        PLAIN login refused: user '{person}' can only connect via localhost
        closing AMQP connection {erl} ({at} -> {at}): missed heartbeats from client, timeout: {n}s
        closing AMQP connection {erl} ({at} -> {at}): client unexpectedly closed TCP connection
        Channel error on connection {erl} ({at} -> {at}, vhost: '/', user: '{person}'), channel {n}: operation queue.declare caused a channel exception precondition_failed: inequivalent arg 'durable' for queue '{task}' in vhost '/'
        Channel error on connection {erl} ({at} -> {at}, vhost: '/', user: '{person}'), channel {n}: operation basic.publish caused a channel exception not_found: no exchange '{task}' in vhost '/'
        Channel error on connection {erl} ({at} -> {at}, vhost: '/', user: '{person}'), channel {n}: operation queue.delete caused a channel exception not_found: no queue '{task}' in vhost '/'
        CRASH REPORT Process {erl} with {n} neighbours crashed | no match of right hand value {{error,eacces}}
        CRASH REPORT Process {erl} with {n} neighbours crashed | no function clause matching rabbit_misc:rabbit_error/2
        Mnesia('rabbit@{node}'): ** ERROR ** mnesia_event got {{inconsistent_database, running_partitioned_network, 'rabbit@{node}'}}
        Free disk space is insufficient. Free bytes: {n}. Limit: {n}
        Discarding message {erl} in an old incarnation ({n}) of this node ({n})
        Supervisor {{{erl},rabbit_channel_sup}} had child channel started with rabbit_channel:start_link({n}, {erl}) at {erl} exit with reason noproc in context shutdown_error"""),
    "laravel": (laravel, _shop("PDOException(code: 2002): SQLSTATE[HY000] [2002] Connection refused", "RedisException(code: 0): read error on connection to {name}:{port}",
        "Call to a member function total() on null | Error(code: 0): Call to a member function total() on null",
        "SQLSTATE[23000]: Integrity constraint violation: 1062 Duplicate entry '{mail}' for key '{area}.email' (SQL: insert into `{area}` (`email`, `name`) values ({mail}, {person}))",
        "SQLSTATE[42S02]: Base table or view not found: 1146 Table 'shop.{area}' doesn't exist (SQL: {query})")),
    "php": (php, """
        Allowed memory size of {n} bytes exhausted (tried to allocate {n} bytes)
        Maximum execution time of {n} seconds exceeded
        Cannot redeclare {task}() (previously declared in {file}:{n})
        Uncaught | PDOException: SQLSTATE[HY000] [2002] Connection refused
        Uncaught | PDOException: SQLSTATE[HY000] [1045] Access denied for user '{person}'@'{ip}' (using password: YES)
        Uncaught | TypeError: App\\Order::total(): Argument #1 ($items) must be of type array, null given, called in {file} on line {n}
        Uncaught | TypeError: App\\Order::total(): Return value must be of type float, null returned
        Uncaught | Error: Call to undefined function {task}()
        Uncaught | Error: Class "App\\Jobs\\\\{area}" not found
        Uncaught | RedisException: Connection timed out
        Uncaught | RedisException: Connection lost
        Uncaught | JsonException: Syntax error"""),
    "pino": (pino, _shop(*_NODE, "request errored | getaddrinfo ENOTFOUND {name}", "request errored | Cannot read properties of undefined (reading '{area}')", "request aborted")),
    "zap": (zap, _shop(*_GO, "failed to query | context deadline exceeded", "failed to query | pq: relation \"{area}\" does not exist", "failed to query | pq: sorry, too many clients already")),
    "otelcol": (otelcol, """
        Exporting failed. Dropping data. | no more retries left: rpc error: code = Unavailable desc = connection error: desc = "transport: Error while dialing: dial tcp {at}: connect: connection refused"
        Exporting failed. Dropping data. | no more retries left: rpc error: code = DeadlineExceeded desc = context deadline exceeded
        Exporting failed. Try enabling sending_queue to survive temporary failures. | sending queue is full
        Exporting failed. Rejecting data. | Permanent error: rpc error: code = Unauthenticated desc = {names}
        Failed to scrape Prometheus endpoint
        Failed to scrape host metrics
        error reading log line at offset {n} of {file} | unexpected EOF
        error opening log file {file} | permission denied
        Collector of {names} shut down after {took}
        Memory usage is above hard limit ({bytes}). Forcing a GC.
        Memory usage is above soft limit ({bytes}). Refusing data."""),
    "uvicorn": (uvicorn, _shop(*_PYTHON, "Exception in ASGI application | sqlalchemy.exc.OperationalError: (psycopg2.OperationalError) connection to server at \"{name}\" ({ip}), port {port} failed: Connection refused",
        "Exception in ASGI application | sqlalchemy.exc.ProgrammingError: (psycopg2.errors.UndefinedColumn) column {area}.sku does not exist",
        "Exception in ASGI application | pydantic_core._pydantic_core.ValidationError: {n} validation errors for Order",
        "Exception in ASGI application | KeyError: '{area}'",
        "[Errno 98] error while attempting to bind on address ('{ip}', {port}): address already in use",
        "Application startup failed. Exiting.")),
    "celery": (celery, """
        Task shop.tasks.{task}[{uuid}] raised unexpected: KeyError('{area}') | KeyError: '{area}'
        Task shop.tasks.{task}[{uuid}] raised unexpected: OperationalError('connection refused') | kombu.exceptions.OperationalError: [Errno 111] Connection refused
        Task shop.tasks.{task}[{uuid}] raised unexpected: OperationalError('connection reset') | kombu.exceptions.OperationalError: [Errno 104] Connection reset by peer
        Task handler raised error: WorkerLostError('Worker exited prematurely: signal {n} (SIGKILL) Job: {n}.') | billiard.exceptions.WorkerLostError: Worker exited prematurely: signal {n} (SIGKILL) Job: {n}.
        Task handler raised error: TimeLimitExceeded({n}) | billiard.exceptions.TimeLimitExceeded: TimeLimitExceeded({n},)
        Hard time limit ({n}s) exceeded for shop.tasks.{task}[{uuid}]
        Received unregistered task of type 'shop.tasks.{task}'.
        consumer: Cannot connect to amqp://{person}:**@{name}:{port}//: [Errno 111] Connection refused. Trying again in {float} seconds... ({n}/{n})
        consumer: Cannot connect to amqp://{person}:**@{name}:{port}//: timed out. Trying again in {float} seconds... ({n}/{n})
        Process 'ForkPoolWorker-{n}' pid:{n} exited with 'signal {n} (SIGKILL)'
        Unrecoverable error: AccessRefused({n}, 'ACCESS_REFUSED - Login was refused using authentication mechanism PLAIN.')
        Can't decode message body: DecodeError('{task}') [type:'application/json' encoding:'utf-8' headers:{doc}]
        {person} was not charged for order {n}: card ending {n} declined ({sku})
        {person} was not refunded for order {n}: card ending {n} declined ({sku})"""),
    "gunicorn": (gunicorn, """
        Error handling request {route} | psycopg2.OperationalError: could not connect to server: Connection refused
        Error handling request {route} | SystemExit: 1
        Error handling request (no URI read) | OSError: [Errno 9] Bad file descriptor
        Exception in worker process | ModuleNotFoundError: No module named '{area}'
        Exception in worker process | SyntaxError: invalid syntax
        WORKER TIMEOUT (pid:{n})
        Worker (pid:{n}) was sent SIGKILL! Perhaps out of memory?
        Worker (pid:{n}) exited with code {n}
        Connection in use: ('{ip}', {port})
        Retrying in {n} second.
        Can't connect to ('{ip}', {port})
        Socket error processing request. | OSError: [Errno 107] Transport endpoint is not connected
        Invalid HTTP request from {at6}"""),
    "rfc5424": (rfc5424, _shop(*_GO, "disk {file} {share} full", "disk {file} failed", "lease of {at6} for {node} ran out", "peer {at6} is down", "peer {at6} is slow")),
    "kubelet": (kubelet, r"""
        Error syncing pod, skipping | failed to "StartContainer" for "{area}" with CrashLoopBackOff: "back-off {took} restarting failed container={area} pod={pod}_shop({uuid})"
        Error syncing pod, skipping | failed to "StartContainer" for "{area}" with ImagePullBackOff: "Back-off pulling image \"{name}/shop:{version}\""
        Error syncing pod, skipping | failed to "StartContainer" for "{area}" with ErrImagePull: "rpc error: code = NotFound desc = failed to pull and unpack image \"{name}/shop:{version}\": not found"
        Failed to create sandbox for pod | rpc error: code = Unknown desc = failed to setup network for sandbox "{digest}": plugin type="calico" failed (add): connection refused
        Failed to kill pod | rpc error: code = DeadlineExceeded desc = context deadline exceeded
        ContainerStatus from runtime service failed | rpc error: code = NotFound desc = an error occurred when try to find container "{hex}": not found
        RemoveContainer from runtime service failed | rpc error: code = NotFound desc = an error occurred when try to find container "{hex}": not found
        Probe failed | Get "http://{at}/healthz": context deadline exceeded (Client.Timeout exceeded while awaiting headers)
        Probe failed | Get "http://{at}/healthz": dial tcp {at}: connect: connection refused
        Probe failed | HTTP probe failed with statuscode: {n}
        Unable to attach or mount volumes for pod; skipping pod | unmounted volumes=[{names}], unattached volumes=[{names}]: timed out waiting for the condition
        Eviction manager: failed to get summary stats | failed to get node info: node \"{node}\" not found
        Nameserver limits exceeded"""),
    "docker": (docker, _shop(*_JAVA, "Payment of {float} EUR for {person} timed out after {took} | java.util.concurrent.TimeoutException")),
    "springboot": (springboot, _shop(*_JAVA,
        "Servlet.service() for servlet [dispatcherServlet] in context with path [] threw exception [Request processing failed: java.lang.RuntimeException] with root cause | org.postgresql.util.PSQLException: ERROR: column \"{area}\" does not exist",
        "Servlet.service() for servlet [dispatcherServlet] in context with path [] threw exception [Request processing failed: java.lang.RuntimeException] with root cause | java.lang.NullPointerException: Cannot invoke \"Order.total()\" because \"order\" is null",
        "HikariPool-{n} - Exception during pool initialization. | org.postgresql.util.PSQLException: FATAL: password authentication failed for user \"{person}\"",
        "Consumer exception for topic {task}-{n} at offset {n}")),
    "envoy": (envoy, """
        DeltaAggregatedResources gRPC config stream to {area} closed: {n}, upstream connect error or disconnect/reset before headers. reset reason: connection timeout
        DeltaAggregatedResources gRPC config stream to {area} closed: {n}, upstream connect error or disconnect/reset before headers. reset reason: connection failure
        gRPC config for type.googleapis.com/envoy.config.cluster.v3.Cluster rejected: Error adding/updating cluster(s) {name}: {doc}
        gRPC config for type.googleapis.com/envoy.config.listener.v3.Listener rejected: Error adding/updating listener(s) {at}: cannot bind '{at}': Address already in use
        cluster: {area}.{name} had no healthy host
        [C{n}][S{n}] stream reset: reason connection_termination
        [C{n}][S{n}] stream reset: reason remote_reset
        [C{n}] TLS error: {n}:SSL routines:OPENSSL_internal:CERTIFICATE_VERIFY_FAILED
        [C{n}] TLS error: {n}:SSL routines:OPENSSL_internal:WRONG_VERSION_NUMBER
        envoy wasm filter {task} failed to load, took {took}
        unable to resolve {name}: DNS timeout
        unable to resolve {name}: no such domain"""),
    "postgresql_detail": (postgresql_detail, """
        duplicate key value violates unique constraint "{area}_pkey"
        update or delete on table "{area}" violates foreign key constraint "{area}_fk" on table "{area}"
        deadlock detected
        could not serialize access due to concurrent update
        could not serialize access due to read/write dependencies among transactions
        value too long for type character varying({n})
        invalid input syntax for type uuid: "{maybe}"
        invalid input syntax for type json
        function {task}({names}) does not exist at character {n}
        operator does not exist: integer = text at character {n}
        permission denied for table {area}
        permission denied for schema {area}
        could not open file "{file}": Permission denied
        could not open file "{file}": No such file or directory
        could not open file "{file}": Too many open files in system
        terminating connection due to administrator command"""),
    "journal": (journal, """
        {task}.service: Main process exited, code=exited, status={n}/FAILURE
        {task}.service: Failed with result 'exit-code'.
        {task}.service: Failed with result 'timeout'.
        {task}.service: Failed with result 'oom-kill'.
        Failed to start {task}.service - LSB: {area}.
        Failed to stop {task}.service - LSB: {area}.
        Failed to mount {file}.mount - {file}.
        Out of memory: Killed process {n} ({task}) total-vm:{n}kB, anon-rss:{n}kB, file-rss:{n}kB, shmem-rss:{n}kB, UID:{n} pgtables:{n}kB oom_score_adj:{signed}
        EXT4-fs error (device sda{n}): ext4_find_entry:{n}: inode #{n}: comm {task}: reading directory lblock {n}
        EXT4-fs error (device dm-{n}): ext4_journal_check_start:{n}: comm {task}: Detected aborted journal
        blk_update_request: I/O error, dev sd{n}, sector {n} op 0x0:(READ) flags 0x{hex} phys_seg {n} prio class {n}
        {task}[{n}]: segfault at {n} ip {hex} sp {hex} error {n} in libc.so.6[{hex}+{hex}]
        nf_conntrack: nf_conntrack: table full, dropping packet
        Failed to resolve group '{area}': No such process
        pam_unix(sshd:auth): check pass; user unknown {pairs}"""),
    "hashicorp": (hashicorp, _shop(*_GO, "failed to appendEntries to: peer=\"{{Voter {uuid} {at}}}\" | dial tcp {at}: i/o timeout", "failed to heartbeat to: peer={at} backoff time={took}", "failed to take snapshot", "failed to restore snapshot")),
    "cassandra": (cassandra, _shop(*_JAVA, "Exception in thread Thread[ReadStage-{n},{n},main] | org.apache.cassandra.io.sstable.CorruptSSTableException: Corrupted: {file}", "Exception in thread Thread[CompactionExecutor:{n},{n},main] | java.lang.OutOfMemoryError: Direct buffer memory")),
    "airflow": (airflow, _shop(*_PYTHON, "Task failed with exception | airflow.exceptions.AirflowException: Bash command failed. The command returned a non-zero exit code {n}.", "Failed to execute job {n} for task {task} (Bash command failed; {n})", "Detected zombie job: {doc}")),
    "ecs": (ecs, _shop(*_JAVA, "Unhandled exception | java.lang.IllegalArgumentException: No enum constant Shop.{area}", "Unhandled exception | java.lang.StackOverflowError: null")),
    "tomcat": (tomcat, _shop(*_JAVA, "Servlet.service() for servlet [{area}] in context with path [/shop] threw exception | java.sql.SQLSyntaxErrorException: Unknown column '{area}' in 'field list'", "One or more listeners failed to start. Full details will be found in the appropriate container log file", "Context [/{area}] startup failed due to previous errors")),
    "elixir": (elixir, _shop("DBConnection.ConnectionError: tcp connect ({name}:{port}): connection refused - :econnrefused", "Mint.TransportError: socket closed", "GenServer Shop.Cart.{area} terminating | KeyError: key :sku not found in: %{{id: {n}}}", "Task {erl} started from Shop.Web terminating | MatchError: no match of right hand side value: nil")),
    "cri": (cri, _shop(*_PYTHON, "Internal Server Error: {route} | django.db.utils.OperationalError: FATAL: remaining connection slots are reserved", "Internal Server Error: {route} | django.core.exceptions.ObjectDoesNotExist: Order matching query does not exist.", "Invalid HTTP_HOST header: '{name}'. You may need to add '{name}' to ALLOWED_HOSTS.")),
    "slog": (slog, _shop(*_GO, "Scrape commit failed | out of order sample", "Scrape commit failed | write {file}: no space left on device", "Failed to calculate size of \"wal\" dir")),
    "zerolog": (zerolog, _shop(*_GO, "failed to query | context deadline exceeded", "failed to query | too many clients already")),
    "fluentd": (fluentd, _shop("Errno::ECONNREFUSED: Connection refused - connect(2) for \"{name}\" port {port}", "Errno::ECONNRESET: Connection reset by peer", "failed to flush the buffer. retry_times={n} chunk=\"{hex}\" | Fluent::Plugin::ElasticsearchOutput::RecoverableRequestFailure: could not push logs to cluster", "dump an error event: location=\"{file}\" tag=\"{area}\"")),
    "wildfly": (wildfly, _shop(*_JAVA, "Operation (\"add\") failed - address: ([(\"subsystem\" => \"{area}\")])", "Operation (\"remove\") failed - address: ([(\"subsystem\" => \"{area}\")])")),
    "caddy": (caddy, _shop(*_GO, "aborting with incomplete response | reading: context canceled", "no upstreams available")),
    "rust_json": (rust_json, _shop(*_RUST, "pool timed out while waiting for an open connection")),
    "dovecot": (dovecot, """
        open({file}/cur/{n}.M{n}P{n}.{node}) failed: Permission denied (euid={n}(vmail) egid={n}(vmail) missing +r perm: {file}, dir owned by 0:0 mode=0700)
        open({file}/cur/{n}.M{n}P{n}.{node}) failed: No such file or directory
        Mailbox {area}: Corrupted index file: {file}/dovecot.index.cache: invalid record size
        Mailbox {area}: Timeout ({n}s) while waiting for lock for transaction log file {file}/dovecot.index.log
        auth-master: userdb lookup({mail}): Auth server request timed out after {n} secs (client-pid={n} client-id={n})
        auth-master: userdb lookup({mail}): Disconnected unexpectedly
        Failed to autocreate mailbox {area}: Permission denied
        Failed to autodelete mailbox {area}: Permission denied
        quota: Unknown user {person}
        write({file}) failed: Disk quota exceeded
        write({file}) failed: No space left on device
        Connection to {name} lost: {bytes} unsent"""),
    "ceph": (ceph, """
        {n}.{hex} shard {n} soid {hex}:::rbd_data.{hex}.{hex}:head : candidate had a read error
        {n}.{hex} scrub {n} errors
        {n}.{hex} deep-scrub {n} errors
        {n}.{hex} repair {n} errors, {n} fixed
        Health check failed: {n} full osd(s) (OSD_FULL)
        Health check failed: {n} scrub errors (OSD_SCRUB_ERRORS)
        Health check failed: Possible data damage: {n} pg inconsistent (PG_DAMAGED)
        map e{n} wrongly marked me down at e{n}
        full status failsafe engaged, dropping updates, now {share} full
        no reply from {at} osd.{n} since back {moment} front {moment} (oldest deadline {moment})
        missing primary copy of {n}:{hex}:::{task}:head, will try copies on {numbers}
        client.{n} isn't responding to mclientcaps(revoke), ino {address} pending {names} issued {names}, sent {float} seconds ago"""),
}  # fmt: skip
HELD_BACK_LATER = ["fluentd", "wildfly", "caddy", "rust_json", "dovecot"]
HELD_BACK = ["hashicorp", "cassandra", "airflow", "ecs", "tomcat", "elixir", "cri", "slog", "zerolog", "ceph"]
_CALM = (
    "order {n} of {mail} placed in {took}",
    "GET {route} 200 {bytes} {took}",
    "session {token} of {person} opened from {at}",
    "loaded {n} of {n} {area} from {file}",
    "pulled {digest} ({bytes}) in {took}",
    "0 errors in {n} {area}",
    "retry of {task} worked after an error",
)


def log(form: str, errors: int, seed: int, quiet: float = 1.0) -> Iterator[Event | str]:
    """Give the events of a log, `errors` of them, and as many others for each as `quiet` says."""
    render, templates = FORMATS[form]
    draw = More(seed)
    names = [line.strip() for line in templates.strip().splitlines()]
    draw.random.shuffle(names)
    at = datetime(2026, 11, 28, 2, 0, tzinfo=timezone.utc)
    owed = 0.0
    for _ in range(errors):
        owed += quiet
        while owed >= 1:
            owed -= 1
            at += timedelta(milliseconds=draw.random.randrange(400))
            draw.place = draw.random.randrange(20)
            yield from render(draw, at, False, draw.fill(draw.random.choice(_CALM)), "")
        template = draw.zipf(names)
        draw.place = 60 + names.index(template)
        at += timedelta(milliseconds=draw.random.randrange(400))
        said, _, raised = (_fill(draw, part) for part in template.partition(" | "))
        yield Event([line for text in render(draw, at, True, said, raised) for line in text.split("\n")], template)


def _fill(draw: More, template: str) -> str:
    """Fill each `{place}` of a template; doubled braces stand for one."""
    once = draw.fill(template.replace("{{", "\0").replace("}}}", "}\1").replace("}}", "\1"))
    return once.replace("\0", "{").replace("\1", "}")


def main() -> None:
    """Print a log."""
    quiet = float(sys.argv[3]) if len(sys.argv) > 3 else 1.0
    for entry in log(sys.argv[1], int(sys.argv[2]), 1, quiet):
        print(entry if isinstance(entry, str) else "\n".join(entry.lines))


if __name__ == "__main__":
    main()
