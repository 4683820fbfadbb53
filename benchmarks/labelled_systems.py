"""Logs of thirty more programs with known truth: servers, databases, frameworks, and what keeps their output.

    .venv/bin/python benchmarks/labelled_systems.py mysql 5000 >mysql.log

Written from what these programs write, before the code that groups was read again. A template is a message; after " | "
stands what is raised at the end of its trace, or the error beside it. Many have a near one that must stay apart (start
and stop, read and write, to and from). What is HELD_BACK was looked at only when the others had been mended for.
"""

from __future__ import annotations

import base64
import json
import re
import sys
from collections.abc import Callable, Iterator
from datetime import datetime, timedelta, timezone
from pathlib import Path

sys.path[:0] = [str(Path(__file__).resolve().parent)]
from labelled_logs import Event  # noqa: E402 - found through the line above
from labelled_programs import More  # noqa: E402

_THINGS = ["order", "cart", "payment", "invoice", "refund", "session", "stock", "price", "customer", "device", "review", "voucher", "parcel", "return", "ledger", "audit", "search", "wishlist", "campaign", "tax"]  # fmt: skip
_LOGINS = ["jdoe", "m.schulz", "root", "svc_backup", "CORP\\\\anna", "ops", "Ünal", "deploy", "x123456", "li.wei", "o'brien", "guest", "postgres", "app_rw", "reporting", "zoe", "kubelet", "etl-nightly", "tomcat", "m"]  # fmt: skip
_NAMESPACES = ["default", "kube-system", "prod", "shop-eu", "monitoring", "team-payments", "istio-system"]
_CLASSES = ["OrderService", "CartRepository", "PaymentGateway", "StockListener", "TaxClient", "InvoiceJob", "SearchIndexer", "SessionFilter"]  # fmt: skip


class Values(More):
    """Values of still more kinds."""

    def value(self, name: str) -> str:
        """Return a value for a place of this name."""
        some = self.random
        thing = some.choice(_THINGS)
        number = some.randrange(10 ** some.randrange(1, 8))
        letters = lambda count: "".join(some.choices("bcdfghjklmnpqrstvwxz2456789", k=count))  # noqa: E731
        kinds: dict[str, Callable[[], str]] = {
            "login": lambda: self.zipf(_LOGINS),
            "email": lambda: f"{some.choice(('j.doe', 'info', 'no-reply+' + thing, 'müller', 'a_b'))}{some.randrange(99)}@{some.choice(('example.com', 'shop.example.org', 'xn--bcher-kva.example'))}",
            "fqdn": lambda: some.choice((f"ip-10-{some.randrange(255)}-{some.randrange(255)}-7.eu-central-1.compute.internal", f"{thing}-{some.randrange(5)}.{thing}-headless.{some.choice(_NAMESPACES)}.svc.cluster.local", f"db{some.randrange(20)}", f"{thing}.example.com", f"{thing}-api.internal.", "localhost")),
            "ep": lambda: some.choice((f"{self.value('ip')}:{self.value('port')}", f"[{self.value('ip6')}]:{self.value('port')}", f"{self.value('fqdn').rstrip('.')}:{some.choice((5432, 6379, 443, 9092, 8080))}")),
            "uri": lambda: f"https://{thing}.example.com{some.choice(('', ':8443'))}/{some.choice(('v1', 'api', 'internal'))}/{thing}s/{some.choice((number, self.value('uuid'), thing))}{some.choice(('', '?q=blue%20shirt&sort=-price', '?from=2026-11-01T00%3A00%3A00Z', '?ids[]=1&ids[]=2', '/'))}",
            "uripath": lambda: f"/{some.choice(('', 'api/', 'static/', 'wp-admin/'))}{thing}{some.choice(('', 's', f'/{number}', f'/{number}/lines', '.php?id=1%27', '?utm_source=x&a=b', '/' + self.value('uuid')))}",
            "fs": lambda: some.choice((f"/var/lib/{thing}/{number}.dat", f"/srv/app/releases/{some.randrange(20260101, 20261128)}/{thing}.rb", f"/tmp/{thing}-{letters(6)}", f"C:\\\\Data\\\\{thing}\\\\{number}.xml", f"/mnt/share/Monthly Report {some.randrange(12)}.xlsx", f"/proc/{number}/fd/{some.randrange(99)}", f"./{thing}/config.yml", f"/data/{some.getrandbits(64):016x}/{thing}.log.1")),  # noqa: S108 - what a log says
            "b64": lambda: base64.b64encode(some.randbytes(some.choice((12, 20, 31, 64)))).decode(),
            "doc": lambda: json.dumps({"id": number, thing: {"state": some.choice(("open", "paid", None)), "tags": some.sample(_THINGS, some.randrange(4)), "total": some.random() * 99}, "note": some.choice((None, "declined"))}),
            "sql": lambda: some.choice((f"INSERT INTO {thing}s (id, note) VALUES ({number}, 'it''s {thing}')", f"UPDATE {thing}s SET total = total + {some.randrange(99)} WHERE id IN ({number}, {some.randrange(99)})", f"SELECT * FROM {thing}s t JOIN customers c ON c.id = t.customer_id WHERE c.mail LIKE '%{thing}%' LIMIT {some.randrange(99)}", f"DELETE FROM {thing}s WHERE created_at < '2026-11-{some.randrange(1, 29):02} 00:00:00'")),
            "deploy": lambda: f"{thing}-{letters(10)}-{letters(5)}",
            "k8s": lambda: some.choice((f"{thing}-{letters(10)}-{letters(5)}", f"{thing}-{some.randrange(9)}", f"{thing}-cleanup-{some.randrange(28900000, 28999999)}-{letters(5)}", f"{thing}-agent-{letters(5)}")),
            "ns": lambda: self.zipf(_NAMESPACES),
            "span": lambda: some.choice((f"{some.randrange(1, 9)}m{some.random() * 60:.3f}s", f"PT{some.randrange(60)}S", f"00:00:{some.random() * 60:06.3f}", f"{number % 90000} ms", f"{some.random() * 60:.1f} seconds", f"{some.random() * 900:.2f}µs", f"{some.randrange(60)}s")),
            "amount": lambda: some.choice((f"{number} bytes", f"{some.random() * 99:.1f}MiB", f"{some.randrange(99)}G", f"{some.random() * 9:.2f} GB", f"{number}B")),
            "ids": lambda: f"[{', '.join(str(some.randrange(9999)) for _ in range(some.randrange(0, 6)))}]",
            "words": lambda: f"[{', '.join(some.sample(_THINGS, some.randrange(1, 5)))}]",
            "topic": lambda: some.choice((f"{thing}.events.v{some.randrange(3)}", f"shop.{thing}-created-dlt", f"{thing}_changes", f"__{thing}_offsets")),
            "part": lambda: f"{self.value('topic')}-{some.randrange(64)}",
            "index": lambda: f"{thing}-2026.11.{some.randrange(1, 29):02}-{some.randrange(99):06}",
            "image": lambda: f"registry.example.com/{thing}/{thing}-api:{some.choice((f'{some.randrange(9)}.{some.randrange(30)}.{some.randrange(9)}', f'sha-{some.getrandbits(28):07x}', 'latest'))}",
            "arn": lambda: f"arn:aws:{some.choice(('sqs', 'lambda', 's3'))}:eu-central-1:{some.randrange(10**11, 10**12)}:{thing}-queue",
            "s3": lambda: f"s3://{thing}-backup/{some.randrange(2020, 2027)}/{number}.tar.gz",
            "thing": lambda: self.zipf(_THINGS),
            "Class": lambda: self.zipf(_CLASSES),
            "mac": lambda: ":".join(f"{some.randrange(256):02x}" for _ in range(6)),
            "yes": lambda: some.choice(("true", "false")),
            "cell": lambda: some.choice((str(number), thing, f"{thing} {number}", "", "a \"b\" c", "it's")),
            "lsn": lambda: f"{some.randrange(99):X}/{some.getrandbits(32):08X}",
            "trace": lambda: f"{some.getrandbits(128):032x}",
            "short": lambda: f"{some.getrandbits(32):08x}",
            "when": lambda: some.choice((f"2026-11-{some.randrange(1, 29):02} {some.randrange(24):02}:00:{some.randrange(60):02}.{some.randrange(999):03}", f"Sat, {some.randrange(1, 29):02} Nov 2026 {some.randrange(24):02}:15:00 GMT", f"2026-11-{some.randrange(1, 29):02}T{some.randrange(24):02}:{some.randrange(60):02}:00.000000+01:00")),
            "ratio": lambda: some.choice((f"{some.random():.4f}", f"{some.randrange(100)}%", f"{some.randrange(9)}/{some.randrange(1, 9)}")),
            "payload": lambda: json.dumps({"lines": [{"sku": f"A-{some.randrange(9999)}", "note": self.value("item")} for _ in range(some.choice((3, 9, 450, 700)) if some.randrange(12) == 0 else 4)]}),
        }  # fmt: skip
        return kinds[name]() if name in kinds else super().value(name)


def _ms(at: datetime, sign: str = ".") -> str:
    return f"{sign}{at.microsecond // 1000:03}"


def _some(draw: Values, frames: list[str]) -> list[str]:
    """Return the first of `frames`, one at least: what called what differs from time to time."""
    return frames[: draw.random.randrange(1, len(frames) + 1)]


def _java(draw: Values, raised: str) -> list[str]:
    """Return a trace of Java: proxies, lambdas, modules, jars; of a chain of causes the last is what was raised."""
    line = lambda: draw.value("port")  # noqa: E731
    frames = [
        f"\tat com.shop.{draw.value('Class')}$$FastClassBySpringCGLIB$${draw.value('short')}.invoke(<generated>)",
        f"\tat com.shop.{draw.value('Class')}.lambda$handle${draw.random.randrange(9)}({draw.value('Class')}.java:{line()})",
        f"\tat java.base/java.util.concurrent.FutureTask.run(FutureTask.java:{line()})",
        f"\tat app//org.jboss.threads@3.5.0.Final/org.jboss.threads.Pool.run(Pool.java:{line()}) ~[jboss-threads-3.5.jar:?]",
        "\tat jdk.internal.reflect.DirectMethodHandleAccessor.invoke(Native Method)",
    ]
    if draw.place % 3 == 0:
        return [raised, *_some(draw, frames)]
    mid = [f"Caused by: java.util.concurrent.ExecutionException: {raised}", *_some(draw, frames), f"\t... {draw.value('n')} more"] if draw.place % 3 == 2 else []  # fmt: skip
    return ["org.springframework.web.util.NestedServletException: Request processing failed", *_some(draw, frames), *mid, f"Caused by: {raised}", *_some(draw, frames), f"\t... {draw.value('n')} more"]  # fmt: skip


def _python(draw: Values, raised: str) -> list[str]:
    """Return a traceback of Python, of which some have the carets and repeated lines of newer ones."""
    frames = [f'  File "/usr/lib/python3.{draw.random.randrange(9, 14)}/site-packages/{name}.py", line {draw.value("n")}, in {name}\n    {code}' for name, code in (("inner", "response = get_response(request)"), ("execute", "return self.cursor.execute(sql, params)"), ("raise_error", 'raise Error(f"error: {self.error}") from error'))]  # fmt: skip
    head = "Traceback (most recent call last):"
    before = [head, *_some(draw, frames), "KeyError: 'cached'", "", "During handling of the above exception, another exception occurred:", ""] if draw.place % 2 else []  # fmt: skip
    return [*before, head, *_some(draw, frames), raised]


def _dotnet(draw: Values, raised: str) -> list[str]:
    """Return a trace of .NET."""
    frames = [f"   at Shop.{draw.value('Class')}.<>c__DisplayClass{draw.random.randrange(9)}_0.<<Handle>b__0>d.MoveNext() in /src/Shop/{draw.value('Class')}.cs:line {draw.value('n')}", "--- End of stack trace from previous location ---", "   at Microsoft.AspNetCore.Routing.EndpointMiddleware.<Invoke>g__AwaitRequestTask|7_0(Endpoint endpoint, Task requestTask, ILogger logger)"]  # fmt: skip
    if draw.place % 2:
        return [raised, *_some(draw, frames)]
    return ["Microsoft.EntityFrameworkCore.DbUpdateException: An error occurred while saving the entity changes.", f" ---> {raised}", *_some(draw, frames), "   --- End of inner exception stack trace ---", frames[0]]  # fmt: skip


def _ruby(draw: Values) -> list[str]:
    return _some(draw, [f"/srv/app/releases/{draw.value('n')}/app/jobs/{draw.value('thing')}_job.rb:{draw.value('n')}:in `perform'", f"/usr/local/bundle/gems/activerecord-7.1.{draw.random.randrange(9)}/lib/active_record/core.rb:{draw.value('n')}:in `block in find_by!'", f"/usr/local/bundle/gems/sidekiq-7.2/lib/sidekiq/processor.rb:{draw.value('n')}:in 'Sidekiq::Processor#process'"])  # fmt: skip


def apache(draw: Values, at: datetime, error: bool, said: str, raised: str) -> list[str]:
    """As Apache httpd 2.4 writes its error log."""
    part = ("core", "proxy_http", "authz_core", "ssl", "php")[draw.place % 5]
    client = f"[client {draw.value('ep')}] " if draw.place % 3 else ""
    return [f"[{at:%a %b %d %H:%M:%S}.{at.microsecond:06} {at:%Y}] [{part}:{'error' if error else 'info'}] [pid {draw.value('n')}:tid {draw.value('port')}] {client}{said}"]  # fmt: skip


def mysql(draw: Values, at: datetime, error: bool, said: str, raised: str) -> list[str]:
    """As MySQL 8 writes its error log."""
    part = ("Server", "InnoDB", "Repl")[draw.place % 3]
    return [f"{at:%Y-%m-%dT%H:%M:%S}.{at.microsecond:06}Z {draw.value('n')} [{'ERROR' if error else 'Note'}] [MY-{10000 + draw.place:06}] [{part}] {said}"]  # fmt: skip


def traefik(draw: Values, at: datetime, error: bool, said: str, raised: str) -> list[str]:
    """As Traefik 3 writes for people: the fields in the order of their names."""
    fields = f'entryPointName=websecure routerName={draw.value("thing")}-{draw.value("ns")}@kubernetes serviceName="{draw.value("ns")}-{draw.value("thing")}"'
    more = f"error={json.dumps(raised)} " if raised else ""
    return [f"{at:%Y-%m-%dT%H:%M:%SZ} {'ERR' if error else 'INF'} {said} {more}{fields}"]


def etcd(draw: Values, at: datetime, error: bool, said: str, raised: str) -> list[str]:
    """As etcd writes: zap's JSON."""
    entry = {"level": "error" if error else "info", "ts": f"{at:%Y-%m-%dT%H:%M:%S}.{at.microsecond:06}Z", "caller": f"etcdserver/server.go:{draw.place * 7}", "msg": said, "local-member-id": draw.value("hex"), "took": draw.value("took")}  # fmt: skip
    if raised:
        entry["error"] = raised
    return [json.dumps(entry, separators=(",", ":"))]


def serilog(draw: Values, at: datetime, error: bool, said: str, raised: str) -> list[str]:
    """As Serilog writes a file."""
    return [f"{at:%Y-%m-%d %H:%M:%S}{_ms(at)} +00:00 [{'ERR' if error else 'INF'}] {said}", *(_dotnet(draw, raised) if raised else [])]  # fmt: skip


def postgres_csv(draw: Values, at: datetime, error: bool, said: str, raised: str) -> list[str]:
    """As PostgreSQL writes a csvlog: the statement has lines of its own, in quotes."""
    quoted = lambda text: '"' + text.replace('"', '""') + '"' if text else ""  # noqa: E731
    code = f"{22000 + draw.place}"
    query = quoted(draw.value("sql").replace(" WHERE", "\n WHERE").replace(" VALUES", "\n VALUES")) if error else ""
    return [f'{at:%Y-%m-%d %H:%M:%S}{_ms(at)} UTC,"{draw.value("login")}","shop",{draw.value("n")},"{draw.value("ip")}:{draw.value("port")}",{draw.value("short")}.{draw.value("n")},{draw.value("n")},"{draw.random.choice(("SELECT", "INSERT", "idle", "authentication"))}",{at:%Y-%m-%d %H:%M:%S} UTC,{draw.random.randrange(99)}/{draw.value("n")},{draw.value("n")},{"ERROR" if error else "LOG"},{code},{quoted(said)},{quoted(raised)},,,,,{query},{draw.random.randrange(99) if query else ""},,"{draw.value("thing")}-api","client backend",,{draw.value("n")}']  # fmt: skip


def django(draw: Values, at: datetime, error: bool, said: str, raised: str) -> list[str]:
    """As Django's verbose formatter writes."""
    return [f"{'ERROR' if error else 'INFO'} {at:%Y-%m-%d %H:%M:%S},{at.microsecond // 1000:03} log {draw.value('n')} {draw.random.randrange(10**14, 10**15)} {said}", *(_python(draw, raised) if raised else [])]  # fmt: skip


def _pieces(line: str) -> list[str]:
    """Cut what a container wrote as one line at every 16 KiB."""
    return [line[begin : begin + 16384] for begin in range(0, len(line), 16384)] or [""]


def docker_partial(draw: Values, at: datetime, error: bool, said: str, raised: str) -> list[str]:
    """As Docker keeps lines: what is longer than 16 KiB in several objects, of which only the last ends the line."""
    lines = [f"{at:%Y-%m-%d %H:%M:%S}{_ms(at, ',')} {'ERROR' if error else 'INFO'} [pool-{draw.random.randrange(9)}] com.shop.Index - {said}", *(_java(draw, raised) if raised else [])]  # fmt: skip
    texts = [piece + ("\n" if last else "") for line in lines for pieces in [_pieces(line)] for number, piece in enumerate(pieces, 1) for last in [number == len(pieces)]]  # fmt: skip
    return [json.dumps({"log": text, "stream": "stderr", "time": f"{at:%Y-%m-%dT%H:%M:%S}.{at.microsecond:06}{number:03}Z"}) for number, text in enumerate(texts)]  # fmt: skip


def cri_partial(draw: Values, at: datetime, error: bool, said: str, raised: str) -> list[str]:
    """As containerd keeps lines: P in front of what goes on, F in front of what ends a line."""
    lines = [f"{at:%Y-%m-%d %H:%M:%S}{_ms(at, ',')} {'ERROR' if error else 'INFO'} shop.index: {said}", *(_python(draw, raised) if raised else [])]  # fmt: skip
    return [f"{at:%Y-%m-%dT%H:%M:%S}.{at.microsecond:06}{number:03}+01:00 stdout {'F' if number == len(pieces) else 'P'} {piece}" for line in "\n".join(lines).split("\n") for pieces in [_pieces(line)] for number, piece in enumerate(pieces, 1)]  # fmt: skip


def oslo(draw: Values, at: datetime, error: bool, said: str, raised: str) -> list[str]:
    """As OpenStack's services write: each line of a trace with its whole head."""
    part = ("nova.compute.manager", "neutron.agent.rpc", "cinder.volume.api", "oslo.messaging._drivers.impl_rabbit")[draw.place % 4]  # fmt: skip
    request = f"[None req-{draw.value('uuid')} {draw.value('trace')} {draw.value('trace')} - - default default]" if draw.place % 2 else f"[req-{draw.value('uuid')} - - - - -]"  # fmt: skip
    instance = f"[instance: {draw.value('uuid')}] " if draw.place % 4 == 0 else ""
    head = f"{at:%Y-%m-%d %H:%M:%S}{_ms(at)} {draw.value('n')} {'ERROR' if error else 'INFO'} {part} "
    trace = "\n".join(_python(draw, raised)).split("\n") if raised else []
    return [f"{head}{request} {instance}{said}{': ' if raised else ''}{raised}", *(f"{head}{instance}{line}" for line in trace)]  # fmt: skip


def wildfly(draw: Values, at: datetime, error: bool, said: str, raised: str) -> list[str]:
    """As WildFly writes."""
    part = ("org.jboss.as.controller.management-operation", "org.jboss.as.ejb3.invocation", "org.jboss.msc.service.fail", "io.undertow.request")[draw.place % 4]  # fmt: skip
    return [f"{at:%Y-%m-%d %H:%M:%S},{at.microsecond // 1000:03} {'ERROR' if error else 'INFO '} [{part}] (default task-{draw.value('n')}) {said}{': ' + raised if raised and draw.place % 3 == 0 else ''}", *(_java(draw, raised) if raised else [])]  # fmt: skip


def fluentbit(draw: Values, at: datetime, error: bool, said: str, raised: str) -> list[str]:
    """As Fluent Bit writes."""
    return [f"[{at:%Y/%m/%d %H:%M:%S}] [{'error' if error else ' info'}] {said}"]


def sidekiq(draw: Values, at: datetime, error: bool, said: str, raised: str) -> list[str]:
    """As Sidekiq 7 writes for people, with a backtrace of Ruby."""
    head = f"{at:%Y-%m-%dT%H:%M:%S}{_ms(at)}Z pid={draw.value('n')} tid={draw.value('short')[:4]} class={draw.value('thing').title()}Job jid={draw.value('trace')[:24]} elapsed={draw.value('float')} {'ERROR' if error else 'INFO'}: "  # fmt: skip
    return [head + said, *([raised, *_ruby(draw)] if raised else [])]


def nginx_requests(draw: Values, at: datetime, error: bool, said: str, raised: str) -> list[str]:
    """As nginx writes, with all it knows of a request."""
    request = f'client: {draw.value("ip")}, server: {draw.value("thing")}.example.com, request: "{draw.value("method")} {draw.value("uripath")} HTTP/{draw.random.choice(("1.1", "2.0"))}", '
    upstream = f'upstream: "http://{draw.value("ip")}:8080{draw.value("uripath")}", ' if "upstream" in said else ""
    more = f', referrer: "{draw.value("uri")}"' if draw.random.randrange(2) else ""
    return [f'{at:%Y/%m/%d %H:%M:%S} [{"error" if error else "info"}] {draw.value("n")}#{draw.value("n")}: *{draw.value("n")} {said}, {request}{upstream}host: "{draw.value("thing")}.example.com"{more}']  # fmt: skip


def ceph_daemons(draw: Values, at: datetime, error: bool, said: str, raised: str) -> list[str]:
    """As the cluster log of Ceph writes."""
    who = ("osd", "mon", "mgr", "mds")[draw.place % 4]
    return [f"{at:%Y-%m-%dT%H:%M:%S}.{at.microsecond:06}+0000 {who}.{draw.random.choice('abc012345')} ({who}.{draw.random.randrange(9)}) {draw.value('n')} : cluster [{'ERR' if error else 'INF'}] {said}"]  # fmt: skip


def haproxy(draw: Values, at: datetime, error: bool, said: str, raised: str) -> list[str]:
    """As HAProxy writes to what started it."""
    return [f"[{'ALERT' if error else 'NOTICE'}]   ({draw.value('n')}) : {said}"]


def coredns(draw: Values, at: datetime, error: bool, said: str, raised: str) -> list[str]:
    """As CoreDNS writes."""
    return [f"[{'ERROR' if error else 'INFO'}] {said}"]


def journal_json(draw: Values, at: datetime, error: bool, said: str, raised: str) -> list[str]:
    """As `journalctl -o json` tells: the priority in a field in words of its own."""
    entry = {"__REALTIME_TIMESTAMP": str(int(at.timestamp() * 1e6)), "_HOSTNAME": draw.value("node"), "PRIORITY": "3" if error else "6", "SYSLOG_IDENTIFIER": ("systemd", "kernel", "sshd")[draw.place % 3], "_PID": draw.value("n"), "__CURSOR": f"s={draw.value('trace')};i={draw.value('short')}", "MESSAGE": said}  # fmt: skip
    return [json.dumps(entry)]


def terraform(draw: Values, at: datetime, error: bool, said: str, raised: str) -> list[str]:
    """As Terraform and its providers write: hclog with pairs after the message."""
    more = f": error={json.dumps(raised)}" if raised else ""
    return [f'{at:%Y-%m-%dT%H:%M:%S}{_ms(at)}Z [{"ERROR" if error else "INFO"}]{"" if error else " "} {("vertex", "provider.terraform-provider-aws_v5", "core")[draw.place % 3]}: {said}{more} timestamp="{at:%Y-%m-%dT%H:%M:%S}{_ms(at)}Z"']  # fmt: skip


def winston(draw: Values, at: datetime, error: bool, said: str, raised: str) -> list[str]:
    """As winston writes JSON, the stack with the message in it."""
    entry = {"level": "error" if error else "info", "message": said, "service": draw.value("thing"), "requestId": draw.value("uuid"), "timestamp": f"{at:%Y-%m-%dT%H:%M:%S}{_ms(at)}Z"}  # fmt: skip
    if raised:
        frames = [f"    at async {draw.value('Class')}.handle (file:///srv/app/dist/{draw.value('thing')}.js:{draw.value('n')}:13)", f"    at Layer.handle [as handle_request] (/srv/app/node_modules/express/lib/router/layer.js:{draw.value('n')}:5)", "    at <anonymous>"]  # fmt: skip
        entry["stack"] = "\n".join([raised, *_some(draw, frames)])
    return [json.dumps(entry)]


def spark(draw: Values, at: datetime, error: bool, said: str, raised: str) -> list[str]:
    """As Spark and Hadoop write."""
    part = ("Executor", "TaskSetManager", "YarnClusterScheduler", "ApplicationMaster")[draw.place % 4]
    return [f"{at:%y/%m/%d %H:%M:%S} {'ERROR' if error else 'INFO'} {part}: {said}", *(_java(draw, raised) if raised else [])]  # fmt: skip


def phpfpm(draw: Values, at: datetime, error: bool, said: str, raised: str) -> list[str]:
    """As PHP-FPM's master writes."""
    return [f"[{at:%d-%b-%Y %H:%M:%S}] {'ERROR' if error else 'NOTICE'}: {said}"]


def nats(draw: Values, at: datetime, error: bool, said: str, raised: str) -> list[str]:
    """As the NATS server writes."""
    return [f"[{draw.random.randrange(9)}] {at:%Y/%m/%d %H:%M:%S}.{at.microsecond:06} [{'ERR' if error else 'INF'}] {said}{': ' if raised else ''}{raised}"]  # fmt: skip


def grafana(draw: Values, at: datetime, error: bool, said: str, raised: str) -> list[str]:
    """As Grafana writes: logfmt, the level in the middle."""
    more = f" error={json.dumps(raised)}" if raised else ""
    return [f"logger={('context', 'tsdb.prometheus', 'alerting')[draw.place % 3]} userId={draw.value('n')} orgId=1 uname={draw.value('login')} t={at:%Y-%m-%dT%H:%M:%S}.{at.microsecond:06}000Z level={'error' if error else 'info'} msg={json.dumps(said)} remote_addr={draw.value('ip')} traceID={draw.value('trace')}{more} path={draw.value('uripath')} time_ms={draw.value('n')}"]  # fmt: skip


def serilog_compact(draw: Values, at: datetime, error: bool, said: str, raised: str) -> list[str]:
    """As Serilog writes compact JSON: what is no information says its level."""
    entry = {"@t": f"{at:%Y-%m-%dT%H:%M:%S}.{at.microsecond:06}0Z", "@m": said, "@i": draw.value("short"), **({"@l": "Error"} if error else {}), "SourceContext": f"Shop.{draw.value('Class')}", "RequestId": f"0HN{draw.value('short').upper()}:0000{draw.random.randrange(9)}"}  # fmt: skip
    if raised:
        entry["@x"] = "\n".join(_dotnet(draw, raised))
    return [json.dumps(entry)]


def lambda_(draw: Values, at: datetime, error: bool, said: str, raised: str) -> list[str]:
    """As a Lambda function of Node writes: the exception as JSON after the message."""
    kind, _, why = raised.partition(": ")
    more = "\t" + json.dumps({"errorType": kind, "errorMessage": why, "stack": [raised, f"    at Runtime.handler (/var/task/index.js:{draw.value('n')}:9)", "    at process.processTicksAndRejections (node:internal/process/task_queues:95:5)"]}, separators=(",", ":")) if raised else ""  # fmt: skip
    return [f"{at:%Y-%m-%dT%H:%M:%S}{_ms(at)}Z\t{draw.value('uuid')}\t{'ERROR' if error else 'INFO'}\t{said}{more}"]


def cockroach(draw: Values, at: datetime, error: bool, said: str, raised: str) -> list[str]:
    """As CockroachDB writes: values in marks."""
    return [f"{'E' if error else 'I'}{at:%y%m%d %H:%M:%S}.{at.microsecond:06} {draw.value('n')} kv/kvserver/store.go:{draw.place * 9} ⋮ [T1,n{draw.random.randrange(9)},client=‹{draw.value('ip')}:{draw.value('port')}›,user=‹{draw.value('login')}›] {draw.value('n')}  {said}{': ' if raised else ''}{raised}"]  # fmt: skip


def clickhouse(draw: Values, at: datetime, error: bool, said: str, raised: str) -> list[str]:
    """As ClickHouse writes, with a numbered trace."""
    head = f"{at:%Y.%m.%d %H:%M:%S}.{at.microsecond:06} [ {draw.value('n')} ] {{{draw.value('uuid') if draw.place % 2 else ''}}} <{'Error' if error else 'Information'}> {('TCPHandler', 'executeQuery', 'MergeTreeBackgroundExecutor')[draw.place % 3]}: "  # fmt: skip
    if not raised:
        return [head + said]
    frames = [f"{number}. {name} @ 0x{draw.value('trace')[:16]} in /usr/bin/clickhouse" for number, name in enumerate(("DB::Exception::Exception(DB::Exception::MessageMasked&&, int, bool)", "DB::InterpreterSelectQuery::execute()", "? ", "start_thread"))]  # fmt: skip
    return [f"{head}{said} {raised}, Stack trace (when copying this message, always include the lines below):", "", *_some(draw, frames), " (version 24.3.2.23 (official build))"]  # fmt: skip


def asterisk(draw: Values, at: datetime, error: bool, said: str, raised: str) -> list[str]:
    """As Asterisk writes."""
    call = f"[C-{draw.value('short')}]" if draw.place % 2 else ""
    return [f"[{at:%b %d %H:%M:%S}] {'ERROR' if error else 'NOTICE'}[{draw.value('n')}]{call}: {('chan_sip.c', 'res_pjsip.c', 'app_dial.c')[draw.place % 3]}:{draw.place * 17} in handle_{'abcdef'[draw.place % 6]}: {said}"]  # fmt: skip


def solr(draw: Values, at: datetime, error: bool, said: str, raised: str) -> list[str]:
    """As Solr writes: the exception after an arrow, too."""
    head = f"{at:%Y-%m-%d %H:%M:%S}{_ms(at)} {'ERROR' if error else 'INFO '} (qtp{draw.value('n')}-{draw.random.randrange(99)}-{draw.value('fqdn')}-{draw.value('n')}) [c:{draw.value('thing')} s:shard{draw.random.randrange(4)} r:core_node{draw.random.randrange(9)} x:{draw.value('thing')}_shard1_replica_n{draw.random.randrange(9)} t:{draw.value('fqdn')}-{draw.value('n')}] o.a.s.{('h.RequestHandlerBase', 'u.SolrIndexWriter', 'c.ZkController')[draw.place % 3]} {said}"  # fmt: skip
    if not raised:
        return [head]
    trace = _java(draw, raised)
    return [f"{head} => {trace[0]}", *trace]


def emqx(draw: Values, at: datetime, error: bool, said: str, raised: str) -> list[str]:
    """As EMQX writes: what happened as a name, then pairs."""
    more = f", reason: {raised}" if raised else ""
    return [f"{at:%Y-%m-%dT%H:%M:%S}.{at.microsecond:06}+00:00 [{'error' if error else 'info'}] clientid: {draw.value('thing')}-{draw.value('short')}, line: {draw.place}, mfa: emqx_{'abc'[draw.place % 3]}:handle/2, msg: {said}, peername: {draw.value('ip')}:{draw.value('port')}{more}"]  # fmt: skip


def gcp(draw: Values, at: datetime, error: bool, said: str, raised: str) -> list[str]:
    """As services on Google's cloud write: the trace within the message."""
    entry = {"severity": "ERROR" if error else "INFO", "message": "\n".join([said, *(_java(draw, raised) if raised else [])]), "timestampSeconds": int(at.timestamp()), "timestampNanos": at.microsecond * 1000, "logging.googleapis.com/trace": f"projects/shop/traces/{draw.value('trace')}", "httpRequest": {"requestMethod": draw.value("method"), "requestUrl": draw.value("uri"), "status": 500, "latency": f"{draw.value('float')}s"}, "labels": {"pod": draw.value("k8s")}}  # fmt: skip
    return [json.dumps(entry)]


# What Java, Python, .NET and Ruby services say of themselves; near ones stand beside each other.
_JAVA_SAYS = """
    Could not read {thing} {n} | java.net.SocketTimeoutException: Read timed out
    Could not write {thing} {n} | java.net.SocketTimeoutException: Read timed out
    Could not read {thing} {n} | java.net.SocketException: Connection reset
    Failed to start consumer for {topic} | org.apache.kafka.common.errors.TopicAuthorizationException: Not authorized to access topics: [{topic}]
    Failed to stop consumer for {topic} | org.apache.kafka.common.errors.TimeoutException: Timeout of {n}ms expired before the position for partition {part} could be determined
    Error while committing offsets for {part} in group {thing}-{word}
    Error while fetching offsets for {part} in group {thing}-{word}
    Unable to acquire JDBC Connection | java.sql.SQLTransientConnectionException: HikariPool-{n} - Connection is not available, request timed out after {n}ms.
    SQL Error: {n}, SQLState: {n}
    could not execute statement [{sql}] | org.postgresql.util.PSQLException: ERROR: duplicate key value violates unique constraint "{thing}_pkey" Detail: Key (id)=({n}) already exists.
    could not execute statement [{sql}] | org.postgresql.util.PSQLException: ERROR: deadlock detected Detail: Process {n} waits for ShareLock on transaction {n}; blocked by process {n}.
    could not execute statement [{sql}] | org.postgresql.util.PSQLException: ERROR: value too long for type character varying({n})
    Request {uuid} of user {email} failed with status {n} after {span}
    Request {uuid} of user {email} was rejected: quota of {n} exceeded
    Cannot deserialize value of type {Class} from {doc} | com.fasterxml.jackson.databind.exc.MismatchedInputException: Cannot construct instance of `com.shop.{Class}`: no String-argument constructor
    Cannot deserialize value of type {Class} from {doc} | com.fasterxml.jackson.core.JsonParseException: Unexpected character ('{{' (code 123)): was expecting comma
    Health check of {thing} at {uri} failed: HTTP {n}
    Circuit breaker '{thing}' is open; calls to {fqdn} are not permitted
    Circuit breaker '{thing}' could not be closed; {n} of {n} calls to {fqdn} failed
    Failed to resolve '{fqdn}' | java.net.UnknownHostException: {fqdn}: Name or service not known
    Uncaught exception in thread {thing}-worker-{n} | java.lang.NullPointerException: Cannot invoke "com.shop.{Class}.total()" because "order" is null
    Uncaught exception in thread {thing}-worker-{n} | java.lang.OutOfMemoryError: Java heap space
    Token {b64} of {login} has expired
    Token {b64} of {login} is malformed
    Could not lock {fs}: held by pid {n} for {span}
    Tried all nodes {words}, none answers; cluster {uuid}"""
_PYTHON_SAYS = """
    Internal Server Error: {uripath} | django.db.utils.OperationalError: connection to server at "{fqdn}" ({ip}), port {port} failed: Connection refused
    Internal Server Error: {uripath} | django.db.utils.OperationalError: connection to server at "{fqdn}" ({ip}), port {port} failed: timeout expired
    Internal Server Error: {uripath} | django.db.utils.IntegrityError: null value in column "{column}" of relation "{table}" violates not-null constraint
    Internal Server Error: {uripath} | KeyError: '{column}'
    Internal Server Error: {uripath} | AttributeError: 'NoneType' object has no attribute '{column}'
    Internal Server Error: {uripath} | json.decoder.JSONDecodeError: Expecting value: line {n} column {n} (char {n})
    Internal Server Error: {uripath} | requests.exceptions.ConnectionError: HTTPSConnectionPool(host='{fqdn}', port=443): Max retries exceeded with url: {uripath} (Caused by NewConnectionError('<urllib3.connection.HTTPSConnection object at {address}>: Failed to establish a new connection: [Errno 111] Connection refused'))
    Internal Server Error: {uripath} | requests.exceptions.ReadTimeout: HTTPSConnectionPool(host='{fqdn}', port=443): Read timed out. (read timeout={n})
    Invalid HTTP_HOST header: '{fqdn}'. You may need to add '{fqdn}' to ALLOWED_HOSTS.
    Invalid HTTP_HOST header: '{cell}'. The domain name provided is not valid according to RFC 1034/1035.
    Could not send mail to {email} | smtplib.SMTPRecipientsRefused: {{'{email}': ({n}, b'5.1.1 User unknown')}}
    Could not send mail to {email} | ConnectionRefusedError: [Errno 111] Connection refused
    Could not fetch mail of {email} | ConnectionRefusedError: [Errno 111] Connection refused
    Import of {fs} failed in line {n} | UnicodeDecodeError: 'utf-8' codec can't decode byte 0x{n} in position {n}: invalid start byte
    Export of {fs} failed in line {n} | PermissionError: [Errno 13] Permission denied: '{fs}'
    Export of {fs} failed in line {n} | OSError: [Errno 28] No space left on device: '{fs}'
    Signature of webhook {uuid} from {ip} does not match
    Webhook {uuid} to {uri} gave {n}: {doc}
    Login of {login} refused: too many attempts from {ip}
    Login of {login} refused: account is locked since {when}
    Task {uuid} of {thing} took {span}, more than {n}s; killed
    Cache key {thing}:{n}:{hex} is too large ({amount})
    Cannot start {thing} worker: port {port} is in use
    Cannot stop {thing} worker: pid {n} does not end"""
_DOTNET_SAYS = """
    HTTP {method} {uripath} responded {n} in {float} ms | Npgsql.NpgsqlException (0x80004005): Exception while reading from stream
    HTTP {method} {uripath} responded {n} in {float} ms | Npgsql.NpgsqlException (0x80004005): Exception while writing to stream
    HTTP {method} {uripath} responded {n} in {float} ms | System.NullReferenceException: Object reference not set to an instance of an object.
    HTTP {method} {uripath} responded {n} in {float} ms | System.Text.Json.JsonException: The JSON value could not be converted to Shop.{Class}. Path: $.lines[{n}].{column} | LineNumber: {n} | BytePositionInLine: {n}.
    HTTP {method} {uripath} responded {n} in {float} ms | System.InvalidOperationException: Sequence contains no elements
    Failed executing DbCommand ({n}ms) [Parameters=[@p0='?' (DbType = Int64)], CommandType='Text', CommandTimeout='{n}']
    An exception occurred while iterating over the results of a query for context type '{Class}' | Microsoft.Data.SqlClient.SqlException (0x80131904): Execution Timeout Expired.
    An exception occurred while iterating over the results of a query for context type '{Class}' | Microsoft.Data.SqlClient.SqlException (0x80131904): Invalid object name '{table}'.
    Connection id "0HN{short}", Request id "0HN{short}:00000003": An unhandled exception was thrown by the application. | System.IO.IOException: The process cannot access the file '{fs}' because it is being used by another process.
    Connection id "0HN{short}", Request id "0HN{short}:00000003": An unhandled exception was thrown by the application. | System.UnauthorizedAccessException: Access to the path '{fs}' is denied.
    Hosting failed to start | System.Net.Sockets.SocketException (98): Address already in use
    Hosting failed to stop | System.OperationCanceledException: The operation was canceled.
    Message {uuid} from queue {topic} could not be handled, delivery {n} of {n} | System.TimeoutException: The operation was canceled after {span}
    Message {uuid} could not be sent to queue {topic} | Azure.Messaging.ServiceBus.ServiceBusException: The connection was inactive for more than the allowed {n} milliseconds. (ServiceCommunicationProblem)
    Payment {n} of {email} was declined by {fqdn}: {cell}
    Payment {n} of {email} could not be captured: HTTP {n}
    Payment {n} of {email} could not be refunded: HTTP {n}
    Certificate {hex} of {fqdn} expires in {n} days
    Certificate {hex} of {fqdn} is not trusted
    Unable to bind to http://{ip}:{port} on the IPv4 loopback interface: 'Address already in use'."""
_GO_SAYS = """
    failed to reach any peer URL | dial tcp {ep}: connect: connection refused
    failed to reach any peer URL | dial tcp {ep}: i/o timeout
    failed to publish local member to cluster through raft | etcdserver: request timed out, possibly due to connection lost
    failed to reject request from {ep} | context canceled
    failed to read from {fs} | read {fs}: input/output error
    failed to write to {fs} | write {fs}: no space left on device
    failed to lock {fs} | resource temporarily unavailable
    failed to unlock {fs} | resource temporarily unavailable
    rejected connection from {ep} | tls: first record does not look like a TLS handshake
    rejected connection from {ep} | remote error: tls: bad certificate
    rejected connection to {ep} | remote error: tls: bad certificate
    apply request took too long, expected {took}
    snapshot {hex} of member {hex} is corrupt at index {n}
    lost leader {hex} at term {n}
    elected leader {hex} at term {n} is not in the configuration
    failed to decode {b64} of {ep} | unexpected EOF
    failed to decode {b64} of {ep} | invalid character '{{' looking for beginning of object key string
    lease {hex} granted to {login} was revoked twice
    cannot start {thing} controller | no matches for kind "{Class}" in version "shop.io/v1"
    cannot stop {thing} controller | timed out waiting for caches of {words} to sync
    could not pull {image} | failed to resolve reference "{image}": not found
    could not push {image} | unexpected status from PUT request to {uri}: 403 Forbidden
    Error syncing pod {ns}/{k8s}, skipping | failed to "StartContainer" for "{thing}" with CrashLoopBackOff: "back-off {took} restarting failed container={thing} pod={deploy}_{ns}({uuid})"
    Error syncing pod {ns}/{k8s}, skipping | failed to "StartContainer" for "{thing}" with ImagePullBackOff: "Back-off pulling image \\"{image}\\\""
    Error killing pod {ns}/{k8s}, skipping | failed to "KillPodSandbox" for "{uuid}" with KillPodSandboxError: "rpc error: code = DeadlineExceeded desc = context deadline exceeded"
    unable to list {ns}/{thing}s | Get "{uri}": dial tcp {ep}: connect: connection refused
    unable to watch {ns}/{thing}s | Get "{uri}": net/http: TLS handshake timeout"""
_RUBY_SAYS = """
    {Class} failed, retry {n} in {span} | ActiveRecord::RecordNotFound: Couldn't find {Class} with 'id'={n}
    {Class} failed, retry {n} in {span} | ActiveRecord::StatementInvalid: PG::UndefinedColumn: ERROR:  column {table}.{column} does not exist
    {Class} failed, retry {n} in {span} | ActiveRecord::ConnectionTimeoutError: could not obtain a connection from the pool within {float} seconds (waited {float} seconds); all pooled connections were in use
    {Class} failed, retry {n} in {span} | Net::ReadTimeout: Net::ReadTimeout with #<TCPSocket:(closed)>
    {Class} failed, retry {n} in {span} | Net::OpenTimeout: Failed to open TCP connection to {fqdn}:443 (execution expired)
    {Class} failed, retry {n} in {span} | NoMethodError: undefined method `total' for nil:NilClass
    {Class} failed, retry {n} in {span} | RedisClient::CannotConnectError: Connection refused - connect(2) for {ip}:{port}
    {Class} died after {n} retries
    heartbeat: {fqdn} was not seen for {span}
    Error fetching job: Waited {float} seconds
    Error acknowledging job: Waited {float} seconds
    Pausing queue {thing}: {n} of {n} jobs failed
    Unpausing queue {thing} failed: it is not paused
    Unique lock {hex} of {words} is held by {k8s}
    Rate limit of {uri} reached: {n} calls in {span}"""
_CALM = (
    "order {n} of {email} placed in {span}",
    "{method} {uripath} {n} {span}",
    "session {b64} of {login} opened from {ep}",
    "loaded {words} from {fs}",
    "pulled {image} ({amount}) in {span}",
    "0 errors in {n} {thing}s, failed: 0",
    "retry of {thing} {n} worked after an error",
    "{sql}",
)

# Each with the messages of its errors.
FORMATS: dict[str, tuple[Callable[[Values, datetime, bool, str, str], list[str]], str]] = {
    "apache": (apache, """
        AH00124: Request exceeded the limit of {n} internal redirects due to probable configuration error. Use 'LimitInternalRecursion' to increase the limit if necessary. Use 'LogLevel debug' to get a backtrace.
        AH00126: Invalid URI in request {method} {uripath} HTTP/1.1
        AH00127: Cannot map {method} {uripath} HTTP/1.1 to file
        AH00128: File does not exist: {fs}
        AH00035: access to {uripath} denied (filesystem path '{fs}') because search permissions are missing on a component of the path
        AH00036: access to {uripath} failed (filesystem path '{fs}')
        AH00037: Symbolic link not allowed or link target not accessible: {fs}
        AH00529: {fs} pcfg_openfile: unable to check htaccess file, ensure it is readable and that '{fs}' is executable
        AH00898: Error during SSL Handshake with remote server returned by {uripath}
        AH00898: DNS lookup failure for: {fqdn} returned by {uripath}
        AH00898: Error reading from remote server returned by {uripath}
        AH01102: error reading status line from remote server {fqdn}:{port}
        AH01110: error reading response
        AH00957: HTTP: attempt to connect to {ip}:{port} ({fqdn}) failed
        AH00959: ap_proxy_connect_backend disabling worker for ({fqdn}) for {n}s
        AH01630: client denied by server configuration: {fs}
        AH01617: user {login}: authentication failure for "{uripath}": Password Mismatch
        AH01618: user {login} not found: {uripath}
        AH01215: {fs}: Permission denied: {fs}
        AH01215: {fs}: No such file or directory: {fs}
        AH02429: Response header name '{thing} header' contains invalid characters, aborting request
        AH02032: Hostname {fqdn} provided via SNI and hostname {fqdn} provided via HTTP have no compatible SSL setup
        AH02454: FCGI: attempt to connect to Unix domain socket {fs} (*) failed
        (13)Permission denied: AH00132: file permissions deny server access: {fs}
        (104)Connection reset by peer: AH00574: ap_content_length_filter: apr_bucket_read() failed
        (111)Connection refused: AH00957: AJP: attempt to connect to {ip}:{port} ({fqdn}) failed
        (70007)The timeout specified has expired: AH01030: ajp_ilink_receive() can't receive header
        PHP Warning:  Undefined array key "{thing}" in {fs} on line {n}, referer: {uri}
        script '{fs}' not found or unable to stat, referer: {uri}
        ModSecurity: Access denied with code {n} (phase 2). Pattern match "(?i:select.*from)" at ARGS:{thing}. [file "{fs}"] [line "{n}"] [id "{n}"] [msg "SQL Injection Attack"] [hostname "{fqdn}"] [uri "{uripath}"] [unique_id "{b64}"]"""),
    "mysql": (mysql, """
        Aborting
        Can't open the mysql.plugin table. Please run mysql_upgrade to create it.
        Can't start server: Bind on TCP/IP port: Address already in use
        Can't start server : Bind on unix socket: Permission denied
        Could not open file '{fs}' for error logging: Permission denied
        Could not open file '{fs}' for error logging: No such file or directory
        Table './shop/{thing}' is marked as crashed and should be repaired
        Table './shop/{thing}' is marked as crashed and last (automatic?) repair failed
        Incorrect information in file: './shop/{thing}.frm'
        Operating system error number {n} in a file operation.
        The error means mysqld does not have the access rights to the directory.
        Cannot open datafile for read-only: './shop/{thing}.ibd' OS error: {n}
        Cannot create file './shop/{thing}.ibd'
        Cannot delete file './shop/{thing}.ibd'
        Trying to access page number {n} in space {n}, space name shop/{thing}, which is outside the tablespace bounds. Byte offset {n}, len {n}, i/o type read
        Trying to access page number {n} in space {n}, space name shop/{thing}, which is outside the tablespace bounds. Byte offset {n}, len {n}, i/o type write
        Database page corruption on disk or a failed file read of page [page id: space={n}, page number={n}]. You may have to recover from a backup.
        Write to file {fs} failed at offset {n}, {n} bytes should have been written, only {n} were written.
        Replica SQL for channel '{thing}': Could not execute Write_rows event on table shop.{thing}s; Duplicate entry '{n}' for key '{thing}s.PRIMARY', Error_code: 1062; handler error HA_ERR_FOUND_DUPP_KEY; the event's source log binlog.{n}, end_log_pos {n}, Error_code: MY-001062
        Replica SQL for channel '{thing}': Could not execute Update_rows event on table shop.{thing}s; Can't find record in '{thing}s', Error_code: 1032; handler error HA_ERR_KEY_NOT_FOUND; the event's source log binlog.{n}, end_log_pos {n}, Error_code: MY-001032
        Replica SQL for channel '{thing}': Could not execute Delete_rows event on table shop.{thing}s; Can't find record in '{thing}s', Error_code: 1032; handler error HA_ERR_KEY_NOT_FOUND; the event's source log binlog.{n}, end_log_pos {n}, Error_code: MY-001032
        Replica I/O for channel '{thing}': error connecting to source '{login}@{fqdn}:{port}' - retry-time: {n} retries: {n} message: Can't connect to MySQL server on '{fqdn}:{port}' (111), Error_code: MY-002003
        Replica I/O for channel '{thing}': error reconnecting to source '{login}@{fqdn}:{port}' - retry-time: {n} retries: {n} message: Access denied for user '{login}'@'{fqdn}' (using password: YES), Error_code: MY-001045
        Replica I/O for channel '{thing}': Got fatal error {n} from source when reading data from binary log: 'Could not find first log file name in binary log index file', Error_code: MY-013114
        Error reading packet from server for channel '{thing}': Lost connection to MySQL server during query (server_errno={n})
        Got error {n} when reading table './shop/{thing}'
        Got error {n} when writing table './shop/{thing}'
        Out of memory (Needed {n} bytes)
        Disk is full writing '{fs}' (OS errno 28 - No space left on device). Waiting for someone to free space... Retry in {n} secs. Message reprinted in {n} secs.
        Event Scheduler: [{login}@{fqdn}].[shop.{thing}_cleanup] Lock wait timeout exceeded; try restarting transaction
        Event Scheduler: [{login}@{fqdn}].[shop.{thing}_cleanup] Table 'shop.{thing}_old' doesn't exist"""),
    "traefik": (traefik, _GO_SAYS + """
        Unable to obtain ACME certificate for domains | unable to generate a certificate for the domains {words}: error: one or more domains had a problem: [{fqdn}] acme: error: 403 :: urn:ietf:params:acme:error:unauthorized :: {ip}: Invalid response from {uri}: 404
        Unable to obtain ACME certificate for domains | unable to generate a certificate for the domains {words}: acme: error: 429 :: POST :: https://acme-v02.api.letsencrypt.org/acme/new-order :: urn:ietf:params:acme:error:rateLimited :: too many certificates already issued
        Unable to renew certificate of {fqdn} | acme: error presenting token: {b64}
        middleware "{thing}-auth@kubernetescrd" does not exist
        service "{ns}-{thing}-{port}" does not exist
        Skipping service: no endpoints found for {ns}/{thing}
        Cannot create service: subset not found for {ns}/{thing}
        Cannot create service: service port not found for {ns}/{thing}"""),
    "etcd": (etcd, _GO_SAYS),
    "serilog": (serilog, _DOTNET_SAYS),
    "postgres_csv": (postgres_csv, """
        duplicate key value violates unique constraint "{thing}_pkey" | Key (id)=({n}) already exists.
        duplicate key value violates unique constraint "{thing}_email_key" | Key (email)=({email}) already exists.
        insert or update on table "{thing}s" violates foreign key constraint "{thing}s_customer_fk" | Key (customer_id)=({n}) is not present in table "customers".
        update or delete on table "{thing}s" violates foreign key constraint "{thing}s_customer_fk" on table "lines" | Key (id)=({n}) is still referenced from table "lines".
        null value in column "{column}" of relation "{thing}s" violates not-null constraint | Failing row contains ({n}, null, {cell}, {when}).
        deadlock detected | Process {n} waits for ShareLock on transaction {n}; blocked by process {n}.
        relation "{thing}s" does not exist
        relation "{thing}s" already exists
        column "{column}" does not exist
        column "{column}" of relation "{thing}s" already exists
        permission denied for table {thing}s
        permission denied for schema {thing}s
        canceling statement due to statement timeout
        canceling statement due to lock timeout
        canceling statement due to user request
        canceling autovacuum task
        could not serialize access due to concurrent update
        could not serialize access due to read/write dependencies among transactions | Reason code: Canceled on identification as a pivot, during commit attempt.
        could not extend file "base/{n}/{n}": No space left on device
        could not write to file "base/pgsql_tmp/pgsql_tmp{n}.{n}": No space left on device
        could not read block {n} in file "base/{n}/{n}": read only {n} of {n} bytes
        could not open file "base/{n}/{n}": No such file or directory
        invalid input syntax for type integer: "{cell}"
        invalid input syntax for type uuid: "{cell}"
        invalid byte sequence for encoding "UTF8": 0x{n}
        syntax error at or near "{thing}"
        value too long for type character varying({n})
        numeric field overflow | A field with precision {n}, scale {n} must round to an absolute value less than 10^{n}.
        division by zero
        current transaction is aborted, commands ignored until end of transaction block
        prepared statement "S_{n}" does not exist
        prepared statement "S_{n}" already exists
        out of shared memory
        requested WAL segment {hex} has already been removed
        cannot execute INSERT in a read-only transaction
        cannot execute UPDATE in a read-only transaction"""),
    "django": (django, _PYTHON_SAYS),
    "docker_partial": (docker_partial, _JAVA_SAYS + """
        Could not index {payload}: mapping of field is not known
        Could not index {payload}: version conflict
        Rejected {payload}"""),
    "oslo": (oslo, """
        Instance failed to spawn | nova.exception.NoValidHost: No valid host was found. There are not enough hosts available.
        Instance failed to spawn | nova.exception.PortBindingFailed: Binding failed for port {uuid}, please check neutron logs for more information.
        Instance failed to spawn | libvirt.libvirtError: internal error: process exited while connecting to monitor
        Failed to start instance on {fqdn}
        Failed to stop instance on {fqdn}
        Failed to attach volume {uuid} at /dev/vd{n} | cinderclient.exceptions.ClientException: The server has either erred or is incapable of performing the requested operation. (HTTP {n}) (Request-ID: req-{uuid})
        Failed to detach volume {uuid} from /dev/vd{n} | nova.exception.VolumeDeviceNotFound: Volume device not found at /dev/vd{n}.
        AMQP server on {ep} is unreachable: [Errno 111] ECONNREFUSED. Trying again in {n} seconds.
        AMQP server on {ep} is unreachable: timed out. Trying again in {n} seconds.
        Connection failed: [Errno 104] Connection reset by peer (retrying in {float} seconds)
        Exception during message handling | oslo_messaging.exceptions.MessagingTimeout: Timed out waiting for a reply to message ID {trace}
        Exception during message handling | keystoneauth1.exceptions.http.Unauthorized: The request you have made requires authentication. (HTTP 401) (Request-ID: req-{uuid})
        Exception during message handling | oslo_db.exception.DBDeadlock: (pymysql.err.OperationalError) (1213, 'Deadlock found when trying to get lock; try restarting transaction')
        Error updating resources for node {fqdn}. | nova.exception.ComputeHostNotFound: Compute host {fqdn} could not be found.
        No compute node record for host {fqdn}
        Bad response code while validating token: {n}
        Unable to retrieve instances network info for port {uuid}
        Unable to establish connection to {uri}
        Volume {uuid}: create failed
        Volume {uuid}: delete failed
        Image {uuid} could not be found.
        DB exceeded retry limit. | oslo_db.exception.DBConnectionError: (pymysql.err.OperationalError) (2003, "Can't connect to MySQL server on '{fqdn}' ([Errno 111] ECONNREFUSED)")"""),
    "wildfly": (wildfly, """
        WFLYCTL0013: Operation ("add") failed - address: ([ ("subsystem" => "{thing}"), ("data-source" => "{thing}DS") ]) - failure description: "WFLYCTL0212: Duplicate resource"
        WFLYCTL0013: Operation ("remove") failed - address: ([ ("subsystem" => "{thing}"), ("data-source" => "{thing}DS") ]) - failure description: "WFLYCTL0216: Management resource not found"
        WFLYCTL0013: Operation ("read-resource") failed - address: ([("deployment" => "{thing}.war")]) - failure description: "WFLYCTL0216: Management resource not found"
        WFLYCTL0013: Operation ("deploy") failed - address: ([("deployment" => "{thing}.war")]) - failure description: {{"WFLYCTL0080: Failed services" => {{"jboss.deployment.unit.\\"{thing}.war\\".POST_MODULE" => "Failed to process phase"}}}}
        WFLYCTL0013: Operation ("undeploy") failed - address: ([("deployment" => "{thing}.war")]) - failure description: "WFLYSRV0137: No deployment content"
        WFLYCTL0362: Capabilities required by resource '/subsystem={thing}/data-source={thing}DS' are not available
        WFLYCTL0348: Timeout after [{n}] seconds waiting for service container stability. Operation will roll back. Step that first updated the service container was '{thing}' at address '[("core-service" => "management")]'
        WFLYEJB0034: Jakarta Enterprise Beans Invocation failed on component {Class} for method public void com.shop.{Class}.save(java.lang.Long) | jakarta.ejb.EJBTransactionRolledbackException: Transaction rolled back
        WFLYEJB0034: Jakarta Enterprise Beans Invocation failed on component {Class} for method public void com.shop.{Class}.save(java.lang.Long) | jakarta.persistence.OptimisticLockException: Batch update returned unexpected row count from update [{n}]; actual row count: {n}; expected: 1
        WFLYEJB0034: Jakarta Enterprise Beans Invocation failed on component {Class} for method public void com.shop.{Class}.load(java.lang.Long) | jakarta.persistence.NoResultException: No entity found for query
        WFLYEJB0020: Error invoking timeout for timer: [id={uuid} timedObjectId={thing}.{Class} auto-timer?:{yes} persistent?:{yes} timerService=org.jboss.as.ejb3.timerservice.TimerServiceImpl@{hex} nextExpiration={when} timerState=IN_TIMEOUT]
        MSC000001: Failed to start service jboss.deployment.unit."{thing}.war".PARSE | org.jboss.msc.service.StartException: in service jboss.deployment.unit."{thing}.war".PARSE: WFLYSRV0153: Failed to process phase PARSE of deployment "{thing}.war"
        MSC000001: Failed to start service jboss.deployment.unit."{thing}.war".INSTALL | org.jboss.msc.service.StartException: in service jboss.deployment.unit."{thing}.war".INSTALL: WFLYSRV0153: Failed to process phase INSTALL of deployment "{thing}.war"
        MSC000002: Failed to stop service jboss.deployment.unit."{thing}.war" | java.util.concurrent.TimeoutException: null
        UT005023: Exception handling request to {uripath} | jakarta.servlet.ServletException: No such view
        UT005023: Exception handling request to {uripath} | java.lang.IllegalStateException: UT010019: Response already committed
        UT005085: Connection io.undertow.server.protocol.http.HttpServerConnection@{hex} for exchange HttpServerExchange{{ {method} {uripath}}} was not closed cleanly
        IJ031084: Unable to create connection
        IJ031085: Unable to destroy connection
        IJ000604: Throwable while attempting to get a new connection: null | java.net.ConnectException: Connection refused
        AMQ222010: Critical IO Error, shutting down the server. file={fs}, message=unable to write: No space left on device
        AMQ222082: error on connection failure check
        AMQ224088: Timeout ({n} seconds) on acceptor "{thing}" during protocol handshake with /{ip}:{port} has occurred.
        ARJUNA016027: Local XARecoveryModule.xaRecovery got XA exception XAException.XAER_RMERR
        ARJUNA016027: Local XARecoveryModule.xaRecovery got XA exception XAException.XAER_RMFAIL
        ISPN000136: Error executing command PutKeyValueCommand on Cache '{thing}.war', writing keys [SessionAccessKey({b64})] | org.infinispan.util.concurrent.TimeoutException: ISPN000299: Unable to acquire lock after {n} seconds for key SessionAccessKey({b64})
        ISPN000136: Error executing command GetKeyValueCommand on Cache '{thing}.war', writing keys [] | org.infinispan.remoting.RemoteException: ISPN000217: Received exception from {fqdn}, see cause for remote stack trace"""),
    "fluentbit": (fluentbit, """
        [net] TCP connection failed: {fqdn}:{port} (Connection refused)
        [net] TCP connection failed: {fqdn}:{port} (Connection timed out)
        [net] connection #{n} timeout after {n} seconds to: {fqdn}:{port}
        [output:es:es.{n}] HTTP status={n} URI=/_bulk, response: {doc}
        [output:es:es.{n}] could not pack/validate JSON response
        [output:es:es.{n}] error: Output {doc}
        [output:http:http.{n}] {fqdn}:{port}, HTTP status={n}
        [output:http:http.{n}] no upstream connections available to {fqdn}:{port}
        [output:forward:forward.{n}] no upstream connections available to {fqdn}:{port}
        [output:kafka:kafka.{n}] fluent-bit#producer-{n}: [thrd:{fqdn}:{port}/{n}]: {fqdn}:{port}/{n}: Connect to ipv4#{ip}:{port} failed: Connection refused (after {n}ms in state CONNECT)
        [output:kafka:kafka.{n}] message delivery failed: Broker: Message size too large
        [output:kafka:kafka.{n}] message delivery failed: Local: Message timed out
        [output:s3:s3.{n}] PutObject API responded with error='AccessDenied', message='Access Denied'
        [output:s3:s3.{n}] Could not send file {fs} to {s3}
        [output:s3:s3.{n}] Could not read file {fs} to {s3}
        [input:tail:tail.{n}] file={fs} requires a larger buffer size, lines are too long. Skipping file.
        [input:tail:tail.{n}] inode={n} cannot register file {fs}
        [input:tail:tail.{n}] inode={n} cannot unregister file {fs}
        [input:tail:tail.{n}] read error, check permissions: {fs}
        [/src/fluent-bit/plugins/in_tail/tail_fs_inotify.c:{n} errno={n}] Too many open files
        [/src/fluent-bit/plugins/in_tail/tail_fs_inotify.c:{n} errno={n}] No space left on device
        [filter:kubernetes:kubernetes.{n}] could not get meta for POD {k8s}
        [filter:kubernetes:kubernetes.{n}] kubelet upstream connection error
        [filter:kubernetes:kubernetes.{n}] no upstream connections available
        [parser] cannot parse '{cell}'
        [parser] time string length is too long
        [multiline] invalid stream_id {n}, could not append content to multiline context
        [sqldb] cannot open database {fs}
        [sqldb] error=database is locked
        [storage] format check failed: {thing}.{n}/{n}-{n}.flb
        [storage] cannot create chunk {n}-{n}.flb in {fs}
        [storage] cannot delete chunk {n}-{n}.flb in {fs}
        [tls] error: unexpected EOF
        [tls] error: error:{n}:SSL routines:tls_process_server_certificate:certificate verify failed
        [upstream] could not upstream connection to {fqdn}:{port}"""),
    "sidekiq": (sidekiq, _RUBY_SAYS),
    "nginx_requests": (nginx_requests, """
        connect() failed (111: Connection refused) while connecting to upstream
        connect() failed (113: No route to host) while connecting to upstream
        connect() to unix:{fs} failed (11: Resource temporarily unavailable) while connecting to upstream
        connect() to unix:{fs} failed (2: No such file or directory) while connecting to upstream
        upstream timed out (110: Connection timed out) while connecting to upstream
        upstream timed out (110: Connection timed out) while reading response header from upstream
        upstream timed out (110: Connection timed out) while reading upstream
        upstream prematurely closed connection while reading response header from upstream
        upstream sent too big header while reading response header from upstream
        upstream sent invalid header: "{thing}\\x20header: {n}..." while reading response header from upstream
        upstream SSL certificate verify error: (10:certificate has expired) while SSL handshaking to upstream
        upstream SSL certificate does not match "{fqdn}" while SSL handshaking to upstream
        recv() failed (104: Connection reset by peer) while reading response header from upstream
        send() failed (104: Connection reset by peer) while sending request to upstream
        no live upstreams while connecting to upstream
        open() "{fs}" failed (2: No such file or directory)
        open() "{fs}" failed (13: Permission denied)
        open() "{fs}" failed (24: Too many open files)
        directory index of "{fs}/" is forbidden
        access forbidden by rule
        client intended to send too large body: {n} bytes
        client intended to send too large chunked body: {n} bytes
        limiting requests, excess: {float} by zone "{thing}"
        limiting connections by zone "{thing}"
        user "{login}" was not found in "{fs}"
        user "{login}": password mismatch
        rewrite or internal redirection cycle while internally redirecting to "{uripath}"
        FastCGI sent in stderr: "Primary script unknown" while reading response header from upstream
        FastCGI sent in stderr: "PHP message: PHP Fatal error:  Uncaught TypeError: total(): Argument #1 must be of type array, null given in {fs}:{n}" while reading response header from upstream
        FastCGI sent in stderr: "PHP message: PHP Fatal error:  Allowed memory size of {n} bytes exhausted (tried to allocate {n} bytes) in {fs} on line {n}" while reading response header from upstream
        auth request unexpected status: {n} while sending to client
        {thing}.example.com could not be resolved (3: Host not found)
        {thing}.example.com could not be resolved (2: Server failure)
        [lua] balancer.lua:{n}: call(): error while selecting a peer: no peer for {thing}
        [lua] balancer.lua:{n}: call(): error while setting the peer {ip}:{port}: {cell}"""),
    "ceph_daemons": (ceph_daemons, """
        {n}.{hex} shard {n} soid {n}:{hex}:::rbd_data.{hex}.{hex}:head : data_digest {address} != data_digest {address} from auth oi
        {n}.{hex} shard {n} soid {n}:{hex}:::rbd_data.{hex}.{hex}:head : omap_digest {address} != omap_digest {address} from shard {n}
        {n}.{hex} shard {n} soid {n}:{hex}:::{thing}.{n}:head : candidate had a missing info key
        {n}.{hex} shard {n} soid {n}:{hex}:::{thing}.{n}:head : candidate size {n} info size {n} mismatch
        {n}.{hex} soid {n}:{hex}:::{thing}.{n}:head : failed to pick suitable auth object
        {n}.{hex} soid {n}:{hex}:::{thing}.{n}:head : failed to pick suitable object info
        {n}.{hex} scrub {n} missing, {n} inconsistent objects
        {n}.{hex} deep-scrub {n} missing, {n} inconsistent objects
        {n}.{hex} required past_interval bounds are empty [{n},{n}) but past_intervals is not: ([{n},{n}] all_participants={numbers} intervals=([{n},{n}] acting {numbers}))
        Health check failed: {n} host ({n} osds) down (OSD_HOST_DOWN)
        Health check failed: {n} rack ({n} osds) down (OSD_RACK_DOWN)
        Health check failed: {n}/{n} mons down, quorum {names} (MON_DOWN)
        Health check failed: Module '{thing}' has failed: {cell} (MGR_MODULE_ERROR)
        Health check failed: Module '{thing}' has failed dependency: No module named '{thing}' (MGR_MODULE_DEPENDENCY)
        Health check failed: {n} filesystem is offline (MDS_ALL_DOWN)
        Health check failed: {n} filesystem is degraded (FS_DEGRADED)
        Health check failed: {n} MDSs report damaged metadata (MDS_DAMAGE)
        Health check failed: {n} pools full (POOL_FULL)
        Health check failed: {n} pools nearfull (POOL_NEAR_FULL)
        Health check update: {n} full osd(s) (OSD_FULL)
        Health check update: {n} scrub errors (OSD_SCRUB_ERRORS)
        unmatched rstat on {hex}, inode has n(v{n} rc{when} b{n} {n}={n}+{n}), dirfrags have n(v{n} rc{when} b{n} {n}={n}+{n})
        dir {hex} object missing on disk; some files may be lost ({fs})
        dir {hex} object corrupt on disk; some files may be lost ({fs})
        loaded dup inode {hex} [{n},head] v{n} at {fs}, but inode {hex}.head v{n} already exists at {fs}
        evicting unresponsive client {node}:{thing} ({n}), after {float} seconds
        failing to respond to capability release of client.{n} {names} after {n} seconds
        no reply from {ip}:{port} osd.{n} ever on either front or back, first ping sent {when} (oldest deadline {when})
        no active mgr, {names} standby, {names} removed"""),
    "haproxy": (haproxy, """
        backend '{thing}' has no server available!
        backend '{thing}' has no usable server available!
        proxy '{thing}' has no server available!
        Proxy '{thing}': unable to find local peer '{k8s}' in peers section 'main'.
        Starting frontend {thing}: cannot bind socket (Address already in use) [{ip}:{port}]
        Starting frontend {thing}: cannot bind socket (Permission denied) [{ip}:{port}]
        Starting frontend {thing}: cannot create receiving socket (Too many open files) [{ip}:{port}]
        Starting proxy {thing}: cannot listen to socket [{ip}:{port}]
        Stopping frontend {thing}: socket [{ip}:{port}] is still in use
        config : parsing [{fs}:{n}] : unknown keyword '{thing}' in 'backend' section
        config : parsing [{fs}:{n}] : unknown keyword '{thing}' in 'frontend' section
        config : parsing [{fs}:{n}] : 'server {thing}' : could not resolve address '{fqdn}'.
        config : parsing [{fs}:{n}] : 'bind {ip}:{port}' : unable to stat SSL certificate from file '{fs}' : No such file or directory.
        config : parsing [{fs}:{n}] : 'bind {ip}:{port}' : unable to load SSL private key from PEM file '{fs}'.
        config : Failed initializing addresses.
        config : Fatal errors found in configuration.
        sendmsg()/writev() failed in logger #{n}: No such file or directory (errno={n})
        sendmsg()/writev() failed in logger #{n}: Resource temporarily unavailable (errno={n})
        Current worker ({n}) exited with code {n} (Killed)
        Current worker ({n}) exited with code {n} (Segmentation fault)
        Current program '{thing}' ({n}) exited with code {n} (Killed)
        exit-on-failure: killing every processes with SIGTERM
        [haproxy.main()] Cannot raise FD limit to {n}, current limit is {n} and hard limit is {n}.
        [haproxy.main()] Cannot fork.
        [haproxy.main()] Cannot chroot({fs}).
        sslctx: unable to update '{fs}': {n} bytes of {b64} are not a certificate"""),
    "coredns": (coredns, """
        plugin/errors: {n} {fqdn} A: read udp {ip}:{port}->{ip}:53: i/o timeout
        plugin/errors: {n} {fqdn} AAAA: read udp {ip}:{port}->{ip}:53: i/o timeout
        plugin/errors: {n} {fqdn} A: read udp {ip}:{port}->{ip}:53: read: connection refused
        plugin/errors: {n} {fqdn} A: dial tcp {ip}:53: connect: network is unreachable
        plugin/errors: {n} {fqdn} SRV: unreachable backend: no upstream host
        plugin/errors: {n} {fqdn} A: tls: failed to verify certificate: x509: certificate is valid for {fqdn}, not {fqdn}
        plugin/kubernetes: Failed to watch *v1.Endpoints: failed to list *v1.Endpoints: Get "{uri}": dial tcp {ip}:443: i/o timeout
        plugin/kubernetes: Failed to watch *v1.Service: failed to list *v1.Service: Get "{uri}": dial tcp {ip}:443: i/o timeout
        plugin/kubernetes: Failed to watch *v1.Namespace: failed to list *v1.Namespace: Get "{uri}": dial tcp {ip}:443: connect: connection refused
        plugin/kubernetes: Unexpected error when reading response body: context deadline exceeded
        plugin/kubernetes: Unexpected error when writing response body: context deadline exceeded
        plugin/loop: Loop ({ip}:{port} -> :53) detected for zone ".", see https://coredns.io/plugins/loop#troubleshooting. Query: "HINFO {n}.{n}."
        plugin/reload: Corefile could not be read: open {fs}: permission denied
        plugin/reload: Corefile could not be parsed: {fs}:{n} - Error during parsing: Unknown directive '{thing}'
        plugin/health: Local health request to "{uri}" failed: Get "{uri}": context deadline exceeded
        plugin/health: Local health request to "{uri}" took more than 1s: {took}
        plugin/file: Failed to open zone "{fqdn}" in "{fs}": open {fs}: no such file or directory
        plugin/file: Failed to parse zone "{fqdn}" in "{fs}": dns: not a TTL: "{thing}" at line: {n}:{n}
        plugin/transfer: Failed to transfer zone "{fqdn}" to {ip}: dial tcp {ip}:53: i/o timeout
        plugin/transfer: Failed to transfer zone "{fqdn}" from {ip}: dial tcp {ip}:53: i/o timeout
        plugin/etcd: {n} {fqdn} A: rpc error: code = Unavailable desc = connection error: desc = "transport: authentication handshake failed: {cell}"
        Recovered from panic in server: "dns://:{port}" {cell}"""),
    "journal_json": (journal_json, """
        {thing}.service: Main process exited, code=exited, status={n}/FAILURE
        {thing}.service: Main process exited, code=killed, status={n}/KILL
        {thing}.service: Control process exited, code=exited, status={n}/FAILURE
        {thing}.service: Failed with result 'exit-code'.
        {thing}.service: Failed with result 'oom-kill'.
        {thing}.service: Failed with result 'timeout'.
        {thing}.service: Failed at step EXEC spawning {fs}: No such file or directory
        {thing}.service: Failed at step CHDIR spawning {fs}: No such file or directory
        {thing}.service: Failed at step USER spawning {fs}: No such process
        {thing}.service: Start request repeated too quickly.
        {thing}.service: State 'stop-sigterm' timed out. Killing.
        Failed to start {thing}.service - The {thing} of the shop.
        Failed to stop {thing}.service - The {thing} of the shop.
        Failed to reload {thing}.service - The {thing} of the shop.
        Failed to mount {fs}.
        Failed to unmount {fs}.
        Dependency failed for {thing}.service - The {thing} of the shop.
        Timed out waiting for device /dev/disk/by-uuid/{uuid}.
        Out of memory: Killed process {n} ({thing}) total-vm:{n}kB, anon-rss:{n}kB, file-rss:{n}kB, shmem-rss:0kB, UID:{n} pgtables:{n}kB oom_score_adj:{n}
        Memory cgroup out of memory: Killed process {n} ({thing}) total-vm:{n}kB, anon-rss:{n}kB, file-rss:{n}kB, shmem-rss:0kB, UID:{n} pgtables:{n}kB oom_score_adj:{n}
        EXT4-fs error (device dm-{n}): ext4_find_entry:{n}: inode #{n}: comm {thing}: reading directory lblock {n}
        EXT4-fs error (device dm-{n}): ext4_journal_check_start:{n}: comm {thing}: Detected aborted journal
        blk_update_request: I/O error, dev sd{n}, sector {n} op 0x0:(READ) flags 0x{n} phys_seg {n} prio class 0
        blk_update_request: I/O error, dev sd{n}, sector {n} op 0x1:(WRITE) flags 0x{n} phys_seg {n} prio class 0
        nvme nvme{n}: I/O {n} QID {n} timeout, aborting
        nvme nvme{n}: I/O {n} QID {n} timeout, reset controller
        error: kex_exchange_identification: Connection closed by remote host
        error: kex_exchange_identification: read: Connection reset by peer
        error: maximum authentication attempts exceeded for {login} from {ip} port {port} ssh2 [preauth]
        error: maximum authentication attempts exceeded for invalid user {login} from {ip} port {port} ssh2 [preauth]
        fatal: Timeout before authentication for {ip} port {port}
        error: PAM: Authentication failure for {login} from {fqdn}"""),
    "terraform": (terraform, """
        Error: creating EC2 Instance: operation error EC2: RunInstances, https response error StatusCode: {n}, RequestID: {uuid}, api error InsufficientInstanceCapacity: We currently do not have sufficient capacity
        Error: creating EC2 Instance: operation error EC2: RunInstances, https response error StatusCode: {n}, RequestID: {uuid}, api error UnauthorizedOperation: You are not authorized to perform this operation. Encoded authorization failure message: {b64}
        Error: deleting EC2 Instance ({hex}): operation error EC2: TerminateInstances, https response error StatusCode: {n}, RequestID: {uuid}, api error OperationNotPermitted: termination is protected
        Error: reading S3 Bucket ({thing}-backup): couldn't find resource
        Error: reading S3 Bucket ({thing}-backup): operation error S3: HeadBucket, https response error StatusCode: {n}, RequestID: {b64}, HostID: {b64}, api error Forbidden: Forbidden
        Error: updating S3 Bucket ({thing}-backup): operation error S3: PutBucketPolicy, https response error StatusCode: {n}, RequestID: {b64}, HostID: {b64}, api error MalformedPolicy: Policy has invalid resource
        Error: waiting for RDS DB Instance ({thing}) create: timeout while waiting for state to become 'available' (last state: 'creating', timeout: {took})
        Error: waiting for RDS DB Instance ({thing}) delete: timeout while waiting for state to become 'deleted' (last state: 'deleting', timeout: {took})
        Error: acquiring the state lock: ConditionalCheckFailedException: The conditional request failed; Lock Info: ID: {uuid}, Path: {s3}, Operation: OperationTypeApply, Who: {login}@{node}
        Error: releasing the state lock: failed to retrieve lock info for lock ID "{uuid}": unexpected end of JSON input
        Error: Provider produced inconsistent result after apply: When applying changes to aws_instance.{thing}["{word}"], provider produced an unexpected new value: Root object was present, but now absent.
        Error: Provider produced inconsistent final plan: When expanding the plan for aws_instance.{thing}["{word}"] to include new values learned so far during apply, provider produced an invalid new value
        vertex "aws_instance.{thing}[{n}]" error: Reference to undeclared resource
        vertex "aws_instance.{thing}[{n}]" error: Reference to undeclared input variable
        vertex "module.{thing}.aws_sqs_queue.dlq" error: Invalid for_each argument
        vertex "module.{thing}.aws_sqs_queue.dlq" error: Invalid count argument
        Response contains error diagnostic: diagnostic_detail="" diagnostic_severity=ERROR tf_proto_version={n}.{n} tf_req_id={uuid} tf_rpc=ApplyResourceChange
        Response contains error diagnostic: diagnostic_detail="" diagnostic_severity=ERROR tf_proto_version={n}.{n} tf_req_id={uuid} tf_rpc=ReadResource
        plugin process exited: plugin={fs} id={n} | exit status {n}
        plugin process exited: plugin={fs} id={n} | signal: killed
        failed to read config | open {fs}: no such file or directory
        failed to write state | open {fs}: read-only file system
        failed to request discovery document at {uri} | Get "{uri}": dial tcp: lookup {fqdn} on {ip}:53: no such host
        failed to request discovery document at {uri} | Get "{uri}": net/http: request canceled (Client.Timeout exceeded while awaiting headers)"""),
    "winston": (winston, """
        request failed | AxiosError: Request failed with status code {n}
        request failed | AxiosError: timeout of {n}ms exceeded
        request failed | Error: connect ECONNREFUSED {ip}:{port}
        request failed | Error: connect ETIMEDOUT {ip}:{port}
        request failed | Error: getaddrinfo ENOTFOUND {fqdn}
        request failed | Error: getaddrinfo EAI_AGAIN {fqdn}
        request failed | TypeError: Cannot read properties of undefined (reading '{column}')
        request failed | TypeError: Cannot set properties of undefined (setting '{column}')
        unhandledRejection | SequelizeUniqueConstraintError: Validation error
        unhandledRejection | SequelizeDatabaseError: relation "{table}" does not exist
        unhandledRejection | MongoServerError: E11000 duplicate key error collection: shop.{thing}s index: sku_1 dup key: {{ sku: "{sku}" }}
        unhandledRejection | MongoServerSelectionError: connection timed out after {n} ms to {fqdn}:{port}
        uncaughtException | Error: listen EADDRINUSE: address already in use :::{port}
        uncaughtException | Error: ENOSPC: no space left on device, write
        uncaughtException | Error: EMFILE: too many open files, open '{fs}'
        uncaughtException | Error: ENOENT: no such file or directory, open '{fs}'
        uncaughtException | RangeError: Maximum call stack size exceeded
        could not charge card of {email} for {thing} {n}: {cell}
        could not refund card of {email} for {thing} {n}: {cell}
        invalid webhook signature from {ip}: expected {b64}, got {b64}
        invalid token of {login}: jwt expired at {when}
        invalid token of {login}: jwt malformed
        {method} {uripath} responded with {n} in {span}
        validation of {thing} failed: {doc}
        queue {topic} is full: {n} of {n} jobs wait
        queue {topic} is paused: {n} of {n} jobs wait
        socket {uuid} of {login} closed with code {n} before login
        socket {uuid} of {login} closed with code {n} after {span}"""),
    "spark": (spark, _JAVA_SAYS + """
        Exception in task {float} in stage {float} (TID {n}) | org.apache.spark.shuffle.FetchFailedException: Failed to connect to {fqdn}:{port}
        Exception in task {float} in stage {float} (TID {n}) | java.io.FileNotFoundException: {fs} (No such file or directory)
        Exception in task {float} in stage {float} (TID {n}) | java.lang.ArrayIndexOutOfBoundsException: Index {n} out of bounds for length {n}
        Task {n} in stage {float} failed {n} times; aborting job
        Lost executor {n} on {fqdn}: Container killed by YARN for exceeding memory limits. {float} GB of {float} GB physical memory used.
        Lost executor {n} on {fqdn}: Remote RPC client disassociated. Likely due to containers exceeding thresholds, or network issues.
        Lost task {float} in stage {float} (TID {n}, {fqdn}, executor {n})
        User class threw exception: org.apache.spark.sql.AnalysisException: Path does not exist: {s3};
        User class threw exception: org.apache.spark.sql.AnalysisException: Table or view not found: {thing}s; line {n} pos {n};
        RECEIVED SIGNAL TERM
        RECEIVED SIGNAL HUP"""),
    "phpfpm": (phpfpm, """
        unable to bind listening socket for address '{ip}:{port}': Address already in use (98)
        unable to bind listening socket for address '{fs}': Permission denied (13)
        unable to bind listening socket for address '{fs}': No such file or directory (2)
        An another FPM instance seems to already listen on {fs}
        [pool {thing}] cannot get uid for user '{login}'
        [pool {thing}] cannot get gid for group '{login}'
        [pool {thing}] the chroot path '{fs}' does not exist or is not a directory
        [pool {thing}] the chdir path '{fs}' does not exist or is not a directory
        [pool {thing}] pm.max_spare_servers({n}) must not be greater than pm.max_children({n})
        [pool {thing}] pm.start_servers({n}) must not be less than pm.min_spare_servers({n}) and not greater than pm.max_spare_servers({n})
        [pool {thing}] failed to ptrace(ATTACH) child {n}: Operation not permitted (1)
        [pool {thing}] failed to ptrace(PEEKDATA) pid {n}: Input/output error (5)
        [pool {thing}] failed to chown() the socket '{fs}': Operation not permitted (1)
        [pool {thing}] failed to read the ACL of the socket '{fs}': Operation not supported (95)
        [pool {thing}] failed to write the ACL of the socket '{fs}': Operation not supported (95)
        [pool {thing}] user has not been defined
        [pool {thing}] group has not been defined
        [{fs}:{n}] unknown entry '{thing}'
        [{fs}:{n}] value is NULL for a ZEND_INI_PARSER_ENTRY
        Unable to include {fs} from {fs} at line {n}
        Unable to read what child say: Bad file descriptor (9)
        Unable to write to the error log {fs}: No space left on device (28)
        failed to open configuration file '{fs}': Permission denied (13)
        failed to open configuration file '{fs}': No such file or directory (2)
        failed to post process the configuration
        FPM initialization failed
        fork() failed: Cannot allocate memory (12)
        fork() failed: Resource temporarily unavailable (11)"""),
    "nats": (nats, """
        {ip}:{port} - cid:{n} - TLS handshake error | remote error: tls: bad certificate
        {ip}:{port} - cid:{n} - TLS handshake error | EOF
        {ip}:{port} - cid:{n} - "v1.{n}.0:go:{thing}" - authentication error - User "{login}"
        {ip}:{port} - cid:{n} - "v1.{n}.0:go:{thing}" - maximum subscriptions exceeded
        {ip}:{port} - cid:{n} - maximum payload violation: {n} vs {n}
        {ip}:{port} - cid:{n} - maximum connections exceeded
        {ip}:{port} - cid:{n} - Publish Violation - User "{login}", Subject "{topic}"
        {ip}:{port} - cid:{n} - Subscription Violation - User "{login}", Subject "{topic}", SID {n}
        {ip}:{port} - rid:{n} - Router connection closed: Slow Consumer (Write Deadline)
        {ip}:{port} - rid:{n} - Router connection closed: Stale Connection
        {ip}:{port} - lid:{n} - Leafnode connection closed: Stale Connection
        {ip}:{port} - lid:{n} - Loop detected for leafnode account="{thing}". Delaying attempt to reconnect for {took}
        Error trying to connect to route (attempt {n}) | lookup for host "{fqdn}": lookup {fqdn} on {ip}:53: no such host
        Error trying to connect to route (attempt {n}) | dial tcp {ip}:{port}: connect: connection refused
        Error trying to connect as leafnode to remote server "{ip}:{port}" (attempt {n}) | dial tcp {ip}:{port}: i/o timeout
        JetStream resource limits exceeded for account: "{thing}"
        JetStream out of resources, will be DISABLED
        JetStream failed to store a msg on stream '{thing} > {topic}' | no space left on device
        JetStream failed to load a msg of stream '{thing} > {topic}' | message not found
        RAFT [{b64} - _meta_] Error writing term and vote file for "{b64}" | no space left on device
        RAFT [{b64} - _meta_] Error reading term and vote file for "{b64}" | unexpected EOF
        Error accepting client connection | accept tcp {ip}:{port}: accept4: too many open files
        Error listening on port {ip}:{port} | listen tcp {ip}:{port}: bind: address already in use"""),
    "grafana": (grafana, _GO_SAYS + """
        Request error | runtime error: invalid memory address or nil pointer dereference
        Request error | database is locked
        Failed to evaluate rule {uuid} of {login} | failed to query data: sse.dataQueryError: failed to execute query [A]: Post "{uri}": context deadline exceeded
        Failed to evaluate rule {uuid} of {login} | failed to parse expression '{cell}': unexpected character
        Failed to save dashboard {uuid} | dashboard was changed by {login} since version {n}
        Failed to load dashboard {uuid} | Dashboard not found
        Invalid username or password of {login}
        Invalid API key from {ip}"""),
    "cri_partial": (cri_partial, _PYTHON_SAYS + """
        Could not index {payload}: mapping of field is not known
        Could not index {payload}: version conflict
        Rejected {payload}"""),
    "serilog_compact": (serilog_compact, _DOTNET_SAYS),
    "lambda": (lambda_, """
        Invoke Error | TypeError: Cannot read properties of undefined (reading '{column}')
        Invoke Error | TypeError: Cannot read properties of null (reading '{column}')
        Invoke Error | ReferenceError: {thing} is not defined
        Invoke Error | SyntaxError: Unexpected token '{{', is not valid JSON
        Invoke Error | ConditionalCheckFailedException: The conditional request failed
        Invoke Error | ProvisionedThroughputExceededException: The level of configured provisioned throughput for the table was exceeded.
        Invoke Error | AccessDenied: User: {arn} is not authorized to perform: s3:GetObject on resource: {arn}
        Invoke Error | AccessDenied: User: {arn} is not authorized to perform: s3:PutObject on resource: {arn}
        Invoke Error | NoSuchKey: The specified key does not exist.
        Invoke Error | TimeoutError: Connection timed out after {n} ms
        Unhandled Promise Rejection | Runtime.UnhandledPromiseRejection: Error: getaddrinfo ENOTFOUND {fqdn}
        Unhandled Promise Rejection | Runtime.UnhandledPromiseRejection: Error: socket hang up
        Message {uuid} of {arn} was received {n} times, sent to {arn}
        Message {uuid} of {arn} was received {n} times, deleted
        could not get {s3}: status {n}
        could not put {s3}: status {n}
        event {doc} has no id
        event {doc} has no source
        {thing} {n} of {email} is not there
        {thing} {n} of {email} was there twice
        rejected {method} {uripath} of {ip}: signature {b64} is wrong
        rejected {method} {uripath} of {ip}: quota of {n} exceeded"""),
    "cockroach": (cockroach, """
        a scan of ‹{thing}s› failed | pq: relation ‹{thing}s› does not exist
        a scan of ‹{thing}s› failed | context canceled
        an insert into ‹{thing}s› failed | context canceled
        unable to decommission n{n}, {n} replicas left
        unable to drain n{n}, {n} leases left
        error while sending to n{n} at ‹{fqdn}:{port}› | rpc error: code = Unavailable desc = ‹closing transport due to: connection error: desc = "error reading from server: EOF"›
        error while receiving from n{n} at ‹{fqdn}:{port}› | rpc error: code = Unavailable desc = ‹closing transport due to: connection error: desc = "error reading from server: EOF"›
        error while receiving from n{n} at ‹{fqdn}:{port}› | rpc error: code = DeadlineExceeded desc = ‹context deadline exceeded›
        disk slowness detected: syncing file ‹{fs}› has been ongoing for {float}s
        disk slowness detected: writing file ‹{fs}› has been ongoing for {float}s
        failed to rebalance r{n}: no replacement for n{n}s{n}
        failed to split r{n}: key ‹/Table/{n}/1/{n}/0› is the start of the range
        failed to merge r{n}: right hand side r{n} is too large ({amount})
        clock of n{n} is {took} off, more than {took}
        job {n}: ‹BACKUP› of {words} failed | operation "flushing {n} files" timed out after {took} (given timeout {took})
        job {n}: ‹RESTORE› of {words} failed | ‹{s3}›: no such object
        job {n}: ‹SCHEMA CHANGE› of {words} failed | duplicate key value violates unique constraint ‹"{thing}_key"›
        user ‹{login}› failed to log in: password is wrong
        user ‹{login}› failed to log in: no HBA entry for host ‹{ip}›
        raft snapshot {short} to (n{n},s{n}):{n} was rejected
        raft snapshot {short} from (n{n},s{n}):{n} was rejected
        changefeed {n} to ‹{uri}› is behind by {took}"""),
    "clickhouse": (clickhouse, """
        Code: 60. | DB::Exception: Table default.{thing}s does not exist. (UNKNOWN_TABLE)
        Code: 81. | DB::Exception: Database {thing} does not exist. (UNKNOWN_DATABASE)
        Code: 47. | DB::Exception: Missing columns: '{column}' while processing query: '{sql}', required columns: '{column}'. (UNKNOWN_IDENTIFIER)
        Code: 62. | DB::Exception: Syntax error: failed at position {n} ('{thing}') (line {n}, col {n}): {sql}. Expected one of: token, Dot. (SYNTAX_ERROR)
        Code: 241. | DB::Exception: Memory limit (total) exceeded: would use {float} GiB (attempt to allocate chunk of {n} bytes), maximum: {float} GiB. OvercommitTracker decision: Query was selected to stop by OvercommitTracker. (MEMORY_LIMIT_EXCEEDED)
        Code: 241. | DB::Exception: Memory limit (for query) exceeded: would use {float} GiB (attempt to allocate chunk of {n} bytes), maximum: {float} GiB. (MEMORY_LIMIT_EXCEEDED)
        Code: 252. | DB::Exception: Too many parts ({n} with average size of {float} MiB) in table 'default.{thing}s ({uuid})'. Merges are processing significantly slower than inserts. (TOO_MANY_PARTS)
        Code: 159. | DB::Exception: Timeout exceeded: elapsed {float} seconds, maximum: {n}. (TIMEOUT_EXCEEDED)
        Code: 209. | DB::NetException: Timeout exceeded while reading from socket ({ip}:{port}, {n} ms). (SOCKET_TIMEOUT)
        Code: 209. | DB::NetException: Timeout exceeded while writing to socket ({ip}:{port}, {n} ms). (SOCKET_TIMEOUT)
        Code: 210. | DB::NetException: Connection refused ({fqdn}:{port}). (NETWORK_ERROR)
        Code: 210. | DB::NetException: I/O error: Broken pipe, while writing to socket ({ip}:{port}). (NETWORK_ERROR)
        Code: 516. | DB::Exception: {login}: Authentication failed: password is incorrect, or there is no user with such name. (AUTHENTICATION_FAILED)
        Code: 497. | DB::Exception: {login}: Not enough privileges. To execute this query, it's necessary to have the grant SELECT(id, total) ON default.{thing}s. (ACCESS_DENIED)
        Code: 497. | DB::Exception: {login}: Not enough privileges. To execute this query, it's necessary to have the grant INSERT(id, total) ON default.{thing}s. (ACCESS_DENIED)
        Code: 999. | Coordination::Exception: Session expired. (KEEPER_EXCEPTION)
        Code: 999. | Coordination::Exception: Connection loss, path: /clickhouse/tables/{n}/{thing}s. (KEEPER_EXCEPTION)
        Part {hex}_{n}_{n}_{n} of {thing}s is broken, {amount} are missing
        Part {hex}_{n}_{n}_{n} of {thing}s is lost forever
        Cannot fetch part {hex}_{n}_{n}_{n} from replica {fqdn}
        Cannot send part {hex}_{n}_{n}_{n} to replica {fqdn}
        DDLWorker: Unexpected error ({n}), will try to restart main thread"""),
    "asterisk": (asterisk, """
        Unable to send packet to {ip}:{port}: Network is unreachable
        Unable to send packet to {ip}:{port}: Operation not permitted
        Unable to receive packet from {ip}:{port}: Network is unreachable
        Peer '{login}' is now UNREACHABLE! Last qualify: {n}
        Peer '{login}' is now LAGGED! ({n}ms / {n}ms)
        Failed to authenticate device <sip:{login}@{ip}>;tag={short}
        Failed to authorize device <sip:{login}@{ip}>;tag={short}
        Registration from '"{login}" <sip:{n}@{ip}>' failed for '{ip}:{port}' - Wrong password
        Registration from '"{login}" <sip:{n}@{ip}>' failed for '{ip}:{port}' - No matching peer found
        No such extension '{n}' in context '{thing}'
        No such context '{thing}' for extension '{n}'
        Unable to open {fs} (format (ulaw)): No such file or directory
        Unable to write {fs}: No space left on device
        Couldn't start thread for channel SIP/{login}-{short}
        Couldn't stop thread for channel SIP/{login}-{short}
        Attempted to delete nonexistent schedule entry {n}!
        Dropping incompatible voice frame on SIP/{login}-{short} of format ulaw since our native format has changed to (alaw)
        DNS resolution of {fqdn} failed: SERVFAIL
        DNS resolution of {fqdn} failed: NXDOMAIN
        RTP Read error: Connection refused. Hanging up
        RTP Write error: Connection refused. Hanging up
        ODBC SQL Execute error! Attempting a reconnect: {sql}
        ODBC SQL Prepare failed! Attempting a reconnect: {sql}
        Could not load module {thing}.so: {fs}: undefined symbol: ast_{hex}
        Maximum calls of {n} reached, {login} is turned away"""),
    "solr": (solr, _JAVA_SAYS + """
        null | org.apache.solr.common.SolrException: undefined field {column}
        null | org.apache.solr.common.SolrException: no servers hosting shard: shard{n}
        null | org.apache.solr.search.SyntaxError: Cannot parse '{cell}': Encountered "<EOF>" at line {n}, column {n}.
        Error opening new searcher | org.apache.lucene.store.AlreadyClosedException: this IndexWriter is closed
        Error closing old searcher | org.apache.lucene.store.AlreadyClosedException: this IndexWriter is closed
        Error trying to proxy request for url: {uri} | java.net.ConnectException: Connection refused
        Could not get lock {fs} | org.apache.lucene.store.LockObtainFailedException: Lock held by this virtual machine: {fs}
        Cannot talk to ZooKeeper - Updates are disabled."""),
    "emqx": (emqx, """
        cannot_connect | econnrefused
        cannot_connect | timeout
        cannot_disconnect | timeout
        start_resource_failed | {{shutdown,{{econnrefused,"{fqdn}",{port}}}}}
        stop_resource_failed | {{noproc,{{gen_server,call,["{thing}:{n}",stop,{n}]}}}}
        authentication_failed | bad_username_or_password
        authentication_failed | not_authorized
        authorization_permission_denied
        authorization_module_not_found
        session_takeover_failed | {{timeout,{{gen_server,call,[{erl},takeover,{n}]}}}}
        session_discard_failed | {{timeout,{{gen_server,call,[{erl},discard,{n}]}}}}
        frame_parse_error | malformed_packet
        frame_parse_error | frame_too_large
        frame_serialize_error | frame_too_large
        bridge_to_kafka_failed | leader_connection_down
        bridge_from_kafka_failed | leader_connection_down
        failed_to_write_file | enospc
        failed_to_read_file | enoent
        rule_engine_sql_error | {{select_and_transform_error,{{error,badarg,[{{emqx_rule_funcs,float,["{cell}"]}}]}}}}
        mnesia_overload | {{dump_log,write_threshold}}
        mnesia_overload | {{dump_log,time_threshold}}"""),
    "gcp": (gcp, _JAVA_SAYS),
}  # fmt: skip
HELD_BACK = ["haproxy", "coredns", "journal_json", "terraform", "winston", "spark", "phpfpm", "nats", "grafana", "cri_partial", "serilog_compact", "lambda", "cockroach", "clickhouse", "asterisk", "solr", "emqx", "gcp"]  # fmt: skip


def log(form: str, errors: int, seed: int, quiet: float = 1.0) -> Iterator[Event | str]:
    """Give the events of a log, `errors` of them, and as many others for each as `quiet` says."""
    return events(FORMATS[form], errors, seed, quiet)


def events(
    source: tuple[Callable[[Values, datetime, bool, str, str], list[str]], str], errors: int, seed: int, quiet: float
) -> Iterator[Event | str]:
    """Do the same for what writes an event, and the templates of its errors."""
    render, templates = source
    draw = Values(seed)
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
            yield from _split(render(draw, at, False, _filled(draw, draw.random.choice(_CALM)), ""))
        template = draw.zipf(names)
        draw.place = 60 + names.index(template)
        at += timedelta(milliseconds=draw.random.randrange(400))
        said, _, raised = (_filled(draw, part) for part in template.partition(" | "))
        yield Event(_split(render(draw, at, True, said, raised)), template)


def _filled(draw: Values, template: str) -> str:
    """Fill each `{place}` of a template; doubled braces stand for one."""
    return re.sub(r"\{\{|\}\}|\{(\w+)\}", lambda found: draw.value(found[1]) if found[1] else found[0][0], template)


def _split(texts: list[str]) -> list[str]:
    return [line for text in texts for line in text.split("\n")]


def main() -> None:
    """Print a log."""
    quiet = float(sys.argv[3]) if len(sys.argv) > 3 else 1.0
    for entry in log(sys.argv[1], int(sys.argv[2]), 1, quiet):
        print(entry if isinstance(entry, str) else "\n".join(entry.lines))


if __name__ == "__main__":
    main()
