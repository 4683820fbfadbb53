"""What lies between the migrations of two releases is found, or is `unknown`: never `none` by mistake."""

from __future__ import annotations

import os
import shutil
from pathlib import Path
from typing import Any

import pytest
from ansible_collections.incidentctl.response.plugins.module_utils import (
    _migration_files,
    _migration_python,
    _migration_ruby,
    _migration_sql,
    _migration_statements,
    _migrations,
)
from ansible_collections.incidentctl.response.plugins.module_utils._migration import UnclearError

FIXTURES = Path(__file__).parent / "migrations"
FRAMEWORKS = {
    "alembic": "Alembic",
    "django": "Django",
    "flyway": "Flyway",
    "numbered": "numbered SQL",
    "rails": "Rails",
}
Files = dict[str, str]


def write(folder: Path, files: Files) -> Path:
    for name, text in files.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8")
    return folder


def between(tmp_path: Path, newer: Files, older: Files | None = None) -> _migrations.Between:
    """What lies between an older release with some files, and a newer one that has those and more."""
    folders = tmp_path / "42", tmp_path / "41"
    for folder in folders:
        folder.mkdir(parents=True)
        write(folder, older or {})
    write(folders[0], newer)
    return _migrations.between(*folders)


def told(found: _migrations.Between) -> list[str]:
    return [str(one) for migration in found.migrations for one in migration.operations]


# Promise 13: Alembic, Django and Flyway × none, add, rename, drop; and the same for Rails and numbered SQL


EXPECTED: dict[str, dict[str, Any]] = {
    "none": {"state": "none", "reversible": True, "said": []},
    "add": {"state": "compatible", "reversible": True, "said": ["adds column", "note"]},
    "rename": {"state": "breaking", "reversible": True, "said": ["changes column", "unit_price to price (renamed)"]},
    "drop": {"state": "breaking", "reversible": False, "said": ["drops column", "unit_price"]},
}


@pytest.mark.parametrize("change", EXPECTED)
@pytest.mark.parametrize("framework", FRAMEWORKS)
def test_what_lies_between_two_releases_is_found(tmp_path: Path, framework: str, change: str) -> None:
    base, expected = FIXTURES / framework / "base", EXPECTED[change]
    older = Path(shutil.copytree(base, tmp_path / "41"))
    newer = Path(shutil.copytree(base, tmp_path / "42"))
    if change != "none":
        shutil.copytree(FIXTURES / framework / change, newer, dirs_exist_ok=True)
    found = _migrations.between(newer, older)
    assert found.state == expected["state"], found
    for words in expected["said"]:
        assert words in told(found)[0]
    if (framework, change) == ("flyway", "rename"):
        assert (found.reversible, found.migrations[0].why) == (False, "there is no undo script U2__")
    else:
        assert found.reversible is expected["reversible"], found
    assert {one.framework for one in found.migrations} <= {FRAMEWORKS[framework]}
    assert bool(found.names) == (change != "none")


# None of it is run


def test_no_migration_is_run(tmp_path: Path) -> None:
    canary = tmp_path / "canary"
    act = f"open({str(canary)!r}, 'w').close()\n"
    acting = {
        "a1.py": f"{act}revision = '1'\ndown_revision = None\ndef upgrade():\n    {act}",
        "0001_x.py": f"{act}class Migration(migrations.Migration):\n    {act}    operations = []\n",
        "0003_x.py": f"X = [{act.strip()} for _ in '1']\n",
        "20260101000000_x.rb": f"File.write('{canary}', '')\nclass X < ActiveRecord::Migration[7.0]\nend\n",
        "V1__x.sql": f"\\! touch {canary}\nCREATE TABLE x (id int);",
    }
    found = between(tmp_path, acting)
    assert found.state == "unknown"
    assert len({problem.split(":")[0] for problem in found.problems} | {m.name for m in found.migrations}) == len(
        acting
    )
    assert not canary.exists()


# What cannot be read


def test_a_large_file_is_compared_and_not_looked_into(tmp_path: Path) -> None:
    large = {"V1__seed.sql": "-- " + "x" * (10 << 20)}
    found = between(tmp_path, {"V2__more.sql": large["V1__seed.sql"]}, large)
    assert (found.state, found.problems) == ("unknown", ("V2__more.sql: it is larger than 1 MiB",))
    assert found.names == ["V2__more.sql"]


@pytest.mark.parametrize(
    "expression",
    [
        "(" * 500 + ")" * 500,
        "+".join("1" * 100_000),
        "-" * 100_000 + "1",
        "a" + ".b" * 100_000,
        "a" + "()" * 100_000,
        "a" + "[0]" * 50_000,
        "not " * 50_000 + "a",
        "lambda: " * 50_000 + "1",
        "1 if a else " * 50_000 + "1",
        "f'{" + "-" * 50_000 + "1}'",
        "[" * 90 + "-" * 90 + "1" + "]" * 90 + "\n" + "if a:\n 1\n" + "elif a:\n 1\n" * 50_000,
    ],
)
def test_an_expression_that_would_overflow_the_stack_is_not_parsed(tmp_path: Path, expression: str) -> None:
    found = between(tmp_path, {"0001_x.py": f"x = {expression}\n"})
    assert found.state == "unknown"
    assert found.problems[0].startswith("0001_x.py: ")


def test_what_is_not_utf_8_is_unknown(tmp_path: Path) -> None:
    (tmp_path / "42").mkdir()
    (tmp_path / "41").mkdir()
    (tmp_path / "42" / "V1__x.sql").write_bytes(b"CREATE TABLE caf\xe9 (id int);")
    found = _migrations.between(tmp_path / "42", tmp_path / "41")
    assert (found.state, found.problems) == ("unknown", ("V1__x.sql: it is not UTF-8",))


def test_five_thousand_files_are_compared(tmp_path: Path) -> None:
    files = {f"V{number}__x.sql": f"CREATE TABLE t{number} (id int);" for number in range(5_000)}
    found = between(tmp_path, {"V5000__x.sql": "DROP TABLE t1;"}, files)
    assert (found.state, found.names) == ("breaking", ["V5000__x.sql"])


def test_more_files_than_can_be_read_are_unknown(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(_migration_files, "MOST_FILES", 3)
    found = between(tmp_path, {}, {f"V{number}__x.sql": "" for number in range(4)})
    assert (found.state, found.names) == ("unknown", None)
    assert "more than 3 files" in found.reason
    monkeypatch.setattr(_migration_files, "MOST_FILES", 100)
    monkeypatch.setattr(_migration_files, "MOST_BYTES", 10)
    (tmp_path / "41" / "V9__x.sql").write_text("x" * 11)
    assert _migrations.between(tmp_path / "42", tmp_path / "41").state == "unknown"


def test_more_migrations_than_are_read_are_unknown(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(_migrations, "MOST_READ", 2)
    found = between(tmp_path, {f"V{number}__x.sql": f"CREATE TABLE t{number} (id int);" for number in range(3)})
    assert found.state == "unknown"
    assert "3 migrations differ, of which 2 were read" in found.problems


@pytest.mark.parametrize("kind", ["file", "folder"])
def test_a_symlink_is_not_followed_though_both_releases_have_it(tmp_path: Path, kind: str) -> None:
    target = tmp_path / "elsewhere"
    write(target, {"V9__x.sql": "DROP TABLE orders;"})
    for release in ("41", "42"):
        (tmp_path / release).mkdir()
        (tmp_path / release / "V1__x.sql").symlink_to(target / "V9__x.sql" if kind == "file" else target)
    found = _migrations.between(tmp_path / "42", tmp_path / "41")
    assert found.state == "unknown"
    assert "it is a symlink" in found.reason


def test_releases_that_share_one_folder_are_unknown(tmp_path: Path) -> None:
    shared = write(tmp_path / "shared", {"V1__x.sql": ""})
    for release in ("41", "42"):
        (tmp_path / release).symlink_to(shared)
    assert "share the folder" in _migrations.between(tmp_path / "42", tmp_path / "41").reason


@pytest.mark.skipif(os.geteuid() == 0, reason="root reads everything")
def test_a_file_that_may_not_be_read_is_unknown(tmp_path: Path) -> None:
    files = {"V1__x.sql": ""}
    for release in ("41", "42"):
        (write(tmp_path / release, files) / "V1__x.sql").chmod(0)
    assert "Permission denied" in _migrations.between(tmp_path / "42", tmp_path / "41").reason


def test_a_pipe_is_not_waited_for(tmp_path: Path) -> None:
    for release in ("41", "42"):
        (tmp_path / release).mkdir()
        os.mkfifo(tmp_path / release / "V1__x.sql")
    assert _migrations.between(tmp_path / "42", tmp_path / "41").state == "unknown"


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("V2__x.java", "class X {}"),
        ("changelog.xml", "<databaseChangeLog/>"),
        ("schema.sql", "CREATE TABLE x (id int);"),
        ("helpers.py", "def f():\n    pass\n"),
        ("0002_x.py", "def forward(:\n"),
        ("20260101000000_x.rb", "class X\nend\n"),
        ("__init__.py", "import os\nos.getpid()\n"),
    ],
)
def test_a_file_of_unknown_kind_is_unknown_and_never_none(tmp_path: Path, name: str, text: str) -> None:
    found = between(tmp_path, {name: text})
    assert (found.state, found.names) == ("unknown", [name])


def test_notes_and_compiled_files_are_no_migrations(tmp_path: Path) -> None:
    assert (
        between(tmp_path, {"README.md": "x", "a/__pycache__/x.pyc": "x", ".gitkeep": "", "script.py.mako": "x"}).state
        == "none"
    )


# Changed, removed, moved


def test_a_migration_with_another_content_is_unknown(tmp_path: Path) -> None:
    found = between(tmp_path, {"V1__x.sql": "CREATE TABLE y (id int);"}, {"V1__x.sql": "CREATE TABLE x (id int);"})
    assert found.state == "unknown"
    assert "another content than before" in found.reason
    assert found.names == ["V1__x.sql"]


@pytest.mark.parametrize(
    ("old", "new", "same"),
    [
        ("Migration):\n", "Migration):\n    # new\n\n", True),
        ("Migration):\n", 'Migration):\n    """New."""\n', True),
        ("Migration):\n", "Migration):\n    safe = Safe.always()\n", True),
        ("import migrations, models", "import migrations\nfrom django.db import models\nimport unused", True),
        ("import migrations, models", "import migrations\nfrom mine import models", False),
        ("Migration):\n", "Migration):\n    atomic = False\n", False),
        ("Migration):\n", "Migration):\n    apply = other\n", False),
        ("max_digits=10", "max_digits=11", False),
    ],
)
def test_a_migration_of_python_that_says_the_same_in_another_way_is_the_same(
    tmp_path: Path, old: str, new: str, same: bool
) -> None:
    text = (FIXTURES / "django/base/shop/migrations/0001_initial.py").read_text()
    assert old in text
    found = between(tmp_path, {"0001_initial.py": text.replace(old, new)}, {"0001_initial.py": text})
    assert (found.state, found.names) == (("compatible", []) if same else ("unknown", ["0001_initial.py"]))


def test_a_migration_that_only_the_older_release_has_is_unknown(tmp_path: Path) -> None:
    write(tmp_path / "41", {"V1__x.sql": ""})
    (tmp_path / "42").mkdir()
    found = _migrations.between(tmp_path / "42", tmp_path / "41")
    assert (found.state, found.names) == ("unknown", [])
    assert "the older release has it, the newer has not" in found.reason


def test_a_repeatable_migration_is_read_when_its_content_differs(tmp_path: Path) -> None:
    found = between(
        tmp_path,
        {"R__view.sql": "CREATE OR REPLACE VIEW totals AS SELECT 2;"},
        {"R__view.sql": "CREATE OR REPLACE VIEW totals AS SELECT 1;"},
    )
    assert (found.state, found.reversible) == ("unknown", None)
    assert told(found) == ["changes view totals (it may have been there, and be another one now)"]


# Alembic's graph


def alembic(revision: str, parents: str, upgrade: str, downgrade: str = "op.execute('COMMIT')") -> str:
    return (
        "import sqlalchemy as sa\nfrom alembic import op\n"
        f"revision = '{revision}'\ndown_revision = {parents}\n\n"
        f"def upgrade():\n    {upgrade}\n\ndef downgrade():\n    {downgrade}\n"
    )


FIRST = alembic("aa", "None", "op.create_table('orders')")


def test_alembics_order_is_that_of_its_graph(tmp_path: Path) -> None:
    newer = {
        "1.py": alembic("cc", "'bb'", "op.add_column('notes', sa.Column('text', sa.Text(), nullable=False))"),
        "2.py": alembic("bb", "'aa'", "op.create_table('notes')"),
    }
    found = between(tmp_path, newer, {"0.py": FIRST})
    assert [one.revision for one in found.migrations] == ["bb", "cc"]
    assert found.state == "compatible", "the old release does not know the table"


def test_a_merge_of_branches_does_nothing(tmp_path: Path) -> None:
    newer = {
        "1.py": alembic("bb", "'aa'", "op.create_table('notes')"),
        "2.py": alembic("cc", "'aa'", "op.create_table('tags')"),
        "3.py": alembic("dd", "('bb', 'cc')", "pass", "pass"),
    }
    found = between(tmp_path, newer, {"0.py": FIRST})
    assert (found.state, found.reversible) == ("compatible", True)
    assert found.migrations[-1].operations == ()


@pytest.mark.parametrize(
    ("newer", "words"),
    [
        ({"1.py": alembic("bb", "'zz'", "pass")}, "it comes after zz, which is in neither release"),
        ({"1.py": alembic("bb", "'aa'", "pass"), "2.py": alembic("cc", "'aa'", "pass")}, "end in 2 heads"),
        ({"1.py": alembic("aa", "None", "pass")}, "the older release has this revision with another content"),
    ],
)
def test_a_graph_that_is_not_whole_is_unknown(tmp_path: Path, newer: Files, words: str) -> None:
    found = between(tmp_path, newer, {"0.py": FIRST})
    assert found.state == "unknown"
    assert words in found.reason


def test_alembic_knows_a_migration_by_its_revision_and_not_by_its_file(tmp_path: Path) -> None:
    write(tmp_path / "41", {"aa_orders.py": FIRST})
    write(tmp_path / "42", {"2026_aa_orders.py": FIRST})
    assert _migrations.between(tmp_path / "42", tmp_path / "41").state == "none"


@pytest.mark.parametrize(
    ("upgrade", "state", "words"),
    [
        ("op.add_column('orders', sa.Column('a', sa.Text(), nullable=False))", "breaking", "must be filled"),
        (
            "op.add_column('orders', sa.Column('a', sa.Text(), nullable=False, server_default='x'))",
            "compatible",
            "adds",
        ),
        ("op.add_column('orders', sa.Column('a', sa.Text(), nullable=False, server_default=None))", "breaking", "adds"),
        (
            "op.add_column('orders', sa.Column('a', sa.Text(), nullable=MAYBE))",
            "unknown",
            "must be filled is not known",
        ),
        ("op.add_column('orders', sa.Column('a', sa.Text(), unique=True))", "breaking", "unique"),
        ("op.add_column('orders', column())", "unknown", "made when it runs"),
        ("op.add_column(*what)", "unknown", "put together when it runs"),
        ("op.alter_column('orders', 'a', nullable=False)", "breaking", "must be filled"),
        ("op.alter_column('orders', 'a', nullable=True)", "unknown", "it may be empty"),
        ("op.alter_column('orders', 'a', type_=sa.Text())", "breaking", "its type"),
        ("op.alter_column('orders', 'a', server_default='x')", "compatible", "changes column orders.a"),
        ("op.alter_column('orders', 'a', server_default=None)", "unknown", "its default is gone"),
        ("op.create_index('i', 'orders', ['a'], unique=True)", "breaking", "unique"),
        ("op.create_unique_constraint('u', 'orders', ['a'])", "breaking", "adds constraint u of orders"),
        ("op.drop_constraint('u', 'orders')", "unknown", "may rely on it"),
        ("op.rename_table('orders', 'bills')", "breaking", "orders to bills"),
        ("op.execute('DROP TABLE orders')", "breaking", "drops table orders"),
        ("op.execute(sa.text('SET lock_timeout = 1'))", "compatible", ""),
        ("op.execute(f'DROP TABLE {x}')", "unknown", "put together when it runs"),
        ("op.execute('SELECT f()')", "unknown", "SQL SELECT f"),
        ("op.get_bind().execute('DROP TABLE orders')", "breaking", "drops table orders"),
        ("sa.Enum('a', name='state').create(op.get_bind())", "compatible", "adds type state"),
        ("sa.Enum('a', name='state').drop(op.get_bind())", "breaking", "drops type state"),
        ("sa.Table('orders').drop(op.get_bind())", "unknown", "not known here"),
        ("op.get_bind().commit()", "compatible", ""),
        ("op.bulk_insert(sa.table('orders'), [])", "unknown", "changes data of orders"),
        ("helper()", "unknown", "helper"),
        ("[op.drop_table(t) for t in tables]", "unknown", "only known when it runs"),
        ("x = conn.execute('DROP TABLE orders')", "unknown", "only known when it runs"),
        ("op.drop_table(TABLE)", "breaking", "(named when it runs)"),
        ("op.unheard_of('orders')", "unknown", "unheard_of"),
    ],
)
def test_what_alembics_operations_mean(tmp_path: Path, upgrade: str, state: str, words: str) -> None:
    found = between(tmp_path, {"1.py": alembic("bb", "'aa'", upgrade)}, {"0.py": FIRST})
    assert found.state == state, found
    assert words in "; ".join(told(found))


@pytest.mark.parametrize(
    ("upgrade", "downgrade", "reversible"),
    [
        ("op.create_table('a')", "op.drop_table('a')", True),
        ("op.create_table('a')", "pass", False),
        ("op.create_table('a')", "raise NotImplementedError", False),
        ("op.drop_column('orders', 'a')", "op.add_column('orders', sa.Column('a', sa.Text()))", False),
        ("op.execute('UPDATE orders SET a = 1')", "op.execute('UPDATE orders SET a = 2')", False),
        ("helper()", "helper()", None),
        ("pass", "pass", True),
    ],
)
def test_whether_alembics_way_back_brings_back_what_was(
    tmp_path: Path, upgrade: str, downgrade: str, reversible: bool | None
) -> None:
    found = between(tmp_path, {"1.py": alembic("bb", "'aa'", upgrade, downgrade)}, {"0.py": FIRST})
    assert found.reversible is reversible


def test_code_beside_alembics_functions_is_not_overlooked(tmp_path: Path) -> None:
    for number, extra in enumerate(("op.drop_table('orders')", "x = op.get_bind()", "if True:\n    pass")):
        found = between(tmp_path / str(number), {"1.py": alembic("bb", "'aa'", "pass") + extra + "\n"}, {"0.py": FIRST})
        assert found.state == "unknown", extra
    other = alembic("bb", "'aa'", "op.create_index('i', 'orders', ['a'])").replace("from alembic", "from mine")
    assert between(tmp_path / "other", {"1.py": other}, {"0.py": FIRST}).state == "unknown"


# Django


def django(*operations: str, depends: str = "0001_initial", attributes: str = "") -> str:
    return (
        "from django.db import migrations, models\n\nclass Migration(migrations.Migration):\n"
        f"    dependencies = [('shop', '{depends}')]\n    {attributes}\n    operations = [{', '.join(operations)}]\n"
    )


INITIAL = (FIXTURES / "django/base/shop/migrations/0001_initial.py").read_text()
OF_SHOP = {"shop/migrations/0001_initial.py": INITIAL}


def of_shop(tmp_path: Path, *operations: str, **more: str) -> _migrations.Between:
    return between(tmp_path, {"shop/migrations/0002_x.py": django(*operations, **more)}, OF_SHOP)


@pytest.mark.parametrize(
    ("operation", "state", "words"),
    [
        ("migrations.AddField('order', 'a', models.TextField())", "breaking", "must be filled"),
        ("migrations.AddField('order', 'a', models.TextField(default=''))", "breaking", "must be filled"),
        ("migrations.AddField('order', 'a', models.TextField(db_default=''))", "compatible", "adds column order.a"),
        ("migrations.AddField('order', 'a', models.ManyToManyField(to='shop.tag'))", "compatible", "adds table"),
        ("migrations.AddField('order', 'a', mine.Field())", "unknown", "must be filled is not known"),
        ("migrations.AlterField('order', 'unit_price', models.DecimalField(max_digits=10, decimal_places=2, help_text='x'))",
         "compatible", "changes column order.unit_price"),
        ("migrations.AlterField('order', 'unit_price', models.DecimalField(max_digits=12, decimal_places=2))",
         "breaking", "max_digits"),
        ("migrations.AlterField('order', 'unit_price', models.DecimalField(max_digits=10, decimal_places=2, db_index=True))",
         "compatible", "changes index on unit_price"),
        ("migrations.AlterField('order', 'unit_price', models.DecimalField(max_digits=10, decimal_places=2, db_default=1))",
         "compatible", "changes column order.unit_price"),
        ("migrations.AlterIndexTogether('order', {('a', 'b')})", "compatible", "changes index index_together of order"),
        ("migrations.AlterField('order', 'unit_price', models.TextField())", "breaking", "type"),
        ("migrations.AlterField('order', 'unit_price', models.DecimalField(max_digits=10, decimal_places=2, null=True))",
         "unknown", "it may be empty"),
        ("migrations.AlterField('order', 'unheard_of', models.TextField())", "unknown", "how it was before is not known"),
        ("migrations.AddIndex('order', models.Index(fields=['a'], name='i'))", "compatible", "adds index i of order"),
        ("migrations.RemoveIndex('order', 'i')", "compatible", "drops index i"),
        ("migrations.AddConstraint('order', models.UniqueConstraint(fields=['a'], name='u'))", "breaking", "constraint u"),
        ("migrations.AlterUniqueTogether('order', {('a', 'b')})", "breaking", "unique_together"),
        ("migrations.AlterUniqueTogether('order', set())", "unknown", "may rely on it"),
        ("migrations.AlterModelOptions('order', {})", "compatible", ""),
        ("migrations.DeleteModel('Order')", "breaking", "drops table Order"),
        ("migrations.RenameModel('Order', 'Bill')", "breaking", "Order to Bill"),
        ("migrations.CreateModel('Order2', [], options={'managed': False})", "compatible", ""),
        ("migrations.RunSQL('ALTER TABLE shop_order ADD note text', migrations.RunSQL.noop)", "compatible", "shop_order.note"),
        ("migrations.RunSQL([('DROP TABLE a', None), 'DROP TABLE b'])", "breaking", "drops table b"),
        ("migrations.RunSQL(SQL)", "unknown", "put together when it runs"),
        ("migrations.RunPython(forward, backward)", "unknown", "RunPython forward"),
        ("migrations.SeparateDatabaseAndState(state_operations=[migrations.DeleteModel('Order')])", "compatible", ""),
        ("migrations.SeparateDatabaseAndState([migrations.DeleteModel('Order')])", "breaking", "drops table Order"),
        ("MyOperation('order')", "unknown", "MyOperation is not known here"),
        ("*more", "unknown", "an operation that is made when it runs"),
    ],
)  # fmt: skip
def test_what_djangos_operations_mean(tmp_path: Path, operation: str, state: str, words: str) -> None:
    found = of_shop(tmp_path, operation)
    assert found.state == state, found
    assert words in "; ".join(told(found))


@pytest.mark.parametrize(
    ("operation", "reversible"),
    [
        ("migrations.RunPython(migrations.RunPython.noop, migrations.RunPython.noop)", True),
        ("migrations.RunPython(forward)", False),
        ("migrations.RunPython(forward, backward)", None),
        ("migrations.RunSQL('CREATE INDEX i ON t (a)')", False),
        ("migrations.RunSQL('CREATE INDEX i ON t (a)', 'DROP INDEX i')", True),
        ("migrations.RunSQL('CREATE INDEX i ON t (a)', reverse_sql=None)", False),
        ("migrations.RunSQL('CREATE INDEX i ON t (a)', migrations.RunSQL.noop)", False),
        ("migrations.RunPython(forward, migrations.RunPython.noop)", False),
        ("migrations.RemoveField('order', 'unit_price')", False),
    ],
)
def test_whether_djangos_migrations_can_be_taken_back(tmp_path: Path, operation: str, reversible: bool | None) -> None:
    assert of_shop(tmp_path, operation).reversible is reversible


@pytest.mark.parametrize(
    "text",
    [
        django().replace("migrations.Migration", "Mine"),
        django() + "    def apply(self, *args):\n        pass\n",
        django(attributes="apply = other"),
        django().replace("operations = []", "operations = [] + more"),
        django().replace("operations = []", "operations = make()"),
    ],
)
def test_a_migration_of_django_that_is_no_plain_one_is_unknown(tmp_path: Path, text: str) -> None:
    assert between(tmp_path, {"shop/migrations/0002_x.py": text}, OF_SHOP).state == "unknown"


def test_a_field_is_compared_with_the_last_one_before_it_by_what_migrations_depend_on(tmp_path: Path) -> None:
    narrow, wide = (f"migrations.AlterField('order', 'a', models.CharField(max_length={n}))" for n in (10, 20))
    older = {
        **OF_SHOP,
        "shop/migrations/0002_z.py": django(
            "migrations.AddField('order', 'a', models.CharField(max_length=20, null=True))"
        ),
        "shop/migrations/0003_a.py": django(narrow, depends="0002_z"),
        "shop/migrations/0004_b.py": django(depends="0003_a"),
        "mail/migrations/0003_a.py": django(wide, depends="0002_z"),
    }
    found = between(tmp_path, {"shop/migrations/0005_c.py": django(narrow, depends="0004_b")}, older)
    assert found.state == "compatible", found
    found = between(tmp_path / "2", {"shop/migrations/0005_c.py": django(wide, depends="0004_b")}, older)
    assert found.state == "breaking"


def test_a_squashed_migration_does_nothing_where_what_it_replaces_was_run(tmp_path: Path) -> None:
    replaces = "replaces = [('shop', '0001_initial'), ('shop', '0002_note')]"
    create = "migrations.CreateModel('Order', [])"
    second = {"shop/migrations/0002_note.py": django("migrations.RemoveField('order', 'a')")}
    squashed = {"shop/migrations/0001_squashed_0002.py": django(create, attributes=replaces)}
    write(tmp_path / "41", {**OF_SHOP, **second})
    write(tmp_path / "42", squashed)
    found = _migrations.between(tmp_path / "42", tmp_path / "41")
    assert (found.state, found.reversible, told(found)) == ("compatible", True, [])
    (tmp_path / "41/shop/migrations/0002_note.py").unlink()
    found = _migrations.between(tmp_path / "42", tmp_path / "41")
    assert found.state == "unknown"
    assert "only some of the migrations that it replaces" in found.reason


def test_applications_are_kept_apart_and_other_files_of_a_project_do_not_count(tmp_path: Path) -> None:
    newer = {
        "shop/views.py": "import os\n",
        "mail/migrations/0001_initial.py": django("migrations.CreateModel('Order', [])"),
        "shop/migrations/0002_x.py": django("migrations.AddField('order', 'a', models.TextField())"),
    }
    found = between(tmp_path, newer, OF_SHOP)
    assert found.state == "breaking", "the new Order is another application's"
    assert found.names == ["mail/migrations/0001_initial.py", "shop/migrations/0002_x.py"]


# SQL


@pytest.mark.parametrize(
    ("text", "statements"),
    [
        ("SELECT ';' ; -- ; \n SELECT 2", 2),
        ("SELECT 'it''s; here'; SELECT \"a;b\"", 2),
        ("CREATE FUNCTION f() AS $body$ BEGIN; DROP TABLE x; END $body$; SELECT 1", 2),
        ("CREATE FUNCTION f() AS $$ 'unbalanced $$; SELECT $1$ a", None),
        ("/* ; */ SELECT 1 /* ; */", 1),
        ("/* /* */ DROP TABLE x; */", None),
        ("/*!50000 DROP TABLE x */;", None),
        ("SELECT E'\\'; x'; SELECT 1", 2),
        ("SELECT '\\'; DROP TABLE x; --'", None),
        ('SELECT "\\"; DROP TABLE x; --"', None),
        ("SELECT 'open; DROP TABLE x;", None),
        ("SELECT $$open; DROP TABLE x;", None),
        ("SELECT 1 /* open", None),
        ("SELECT 1 # DROP", None),
        ("DROP TABLE ${name}", None),
        ("\\i other.sql", None),
        ("-- nothing", 0),
        ("", 0),
    ],
)
def test_sql_is_cut_at_the_end_of_its_statements_or_not_at_all(text: str, statements: int | None) -> None:
    if statements is None:
        with pytest.raises(UnclearError):
            _migration_sql.statements(text)
    else:
        assert len(_migration_sql.statements(text)) == statements


@pytest.mark.parametrize(
    ("text", "said", "harmless"),
    [
        ("create table if not exists public.orders (id int)", "adds table public.orders", True),
        ("CREATE TEMP TABLE x (id int)", "", True),
        ("CREATE UNIQUE INDEX CONCURRENTLY IF NOT EXISTS i ON orders (a)", "adds index i of orders (unique)", False),
        ("CREATE INDEX ON orders USING gin (a)", "adds index (unnamed) of orders", True),
        (
            "ALTER TABLE ONLY orders ADD a int NOT NULL",
            "adds column orders.a (must be filled, and has no default)",
            False,
        ),
        ("ALTER TABLE orders ADD a int NOT NULL DEFAULT 0, ADD COLUMN b numeric(10, 2)", "adds column orders.a", True),
        ("ALTER TABLE orders ADD COLUMN a int DEFAULT NULL NOT NULL", "adds column orders.a (must be", False),
        ("ALTER TABLE orders ADD a int NOT NULL REFERENCES serials (id)", "adds column orders.a (must be", False),
        ("ALTER TABLE orders ADD a bigserial NOT NULL", "adds column orders.a", True),
        (
            "ALTER TABLE orders ADD a int REFERENCES b (id) ON DELETE SET DEFAULT NOT NULL",
            "adds column orders.a (must",
            False,
        ),
        ("CREATE OR REPLACE TABLE orders (id int)", "drops table orders (if it was there", False),
        ("ALTER TABLE orders ADD CONSTRAINT c CHECK (a > 0) NOT VALID", "adds constraint c of orders", False),
        ("ALTER TABLE orders ADD FOREIGN KEY (a) REFERENCES b (id)", "adds constraint (foreign key) of orders", False),
        ("ALTER TABLE orders ADD COLUMN b int REFERENCES bills (id) ON DELETE CASCADE", "adds column orders.b", True),
        ("ALTER TABLE IF EXISTS orders DROP IF EXISTS a CASCADE", "drops column orders.a", False),
        ("ALTER TABLE orders DROP CONSTRAINT c", "drops constraint c of orders", None),
        ("ALTER TABLE orders ALTER COLUMN a SET NOT NULL", "changes column orders.a (must be filled)", False),
        ("ALTER TABLE orders ALTER a TYPE text USING a::text", "changes column orders.a (its type)", False),
        ("ALTER TABLE orders ALTER a SET DEFAULT 1", "changes column orders.a", True),
        ("ALTER TABLE orders MODIFY a text", "changes column orders.a", False),
        ("ALTER TABLE orders RENAME TO bills", "changes table orders to bills (renamed)", False),
        ("ALTER TABLE orders ENABLE ROW LEVEL SECURITY", "not understood", None),
        ("DROP TABLE IF EXISTS a, b CASCADE", "drops table a", False),
        ("DROP INDEX CONCURRENTLY i", "drops index i", None),
        ("DROP VIEW totals", "drops view totals", False),
        ("CREATE OR REPLACE FUNCTION f() RETURNS int AS $$ x $$", "changes function f", None),
        ("CREATE TRIGGER t BEFORE INSERT OR UPDATE ON orders EXECUTE FUNCTION f()", "adds trigger t", None),
        (
            "ALTER TYPE state ADD VALUE 'x'",
            "changes type state (it has a value that the old release does not know)",
            None,
        ),
        ("INSERT INTO orders VALUES (1) ON CONFLICT DO UPDATE SET a = 1", "changes data of orders", None),
        ("UPDATE orders SET a = 1", "changes data of orders", None),
        ("TRUNCATE orders", "changes data of orders", None),
        ("COMMENT ON TABLE orders IS 'x'", "", True),
        ("PRAGMA foreign_keys = off", "", True),
        ("PRAGMA writable_schema = 1", "not understood", None),
        ("DO $$ DROP TABLE x $$", "not understood", None),
        ("CALL f()", "not understood", None),
        ("REVOKE ALL ON orders FROM shop", "not understood", None),
        ("CREATE TABLE a (id int)\nGO\nDROP TABLE orders\nGO", "not understood", None),
        ("CREATE INDEX i ON a (b)\nDROP TABLE orders", "not understood", None),
        ("ALTER TABLE a ADD b int\nDROP TABLE orders", "not understood", None),
        ("SET x = 1\nEXEC f", "not understood", None),
        ("SET x = 1 SELECT f()", "not understood", None),
        ("BEGIN SELECT f()", "not understood", None),
        ("ALTER TABLE", "not understood", None),
        ("CREATE", "not understood", None),
        ("CREATE TABLE x", "not understood", None),
    ],
)
def test_what_sql_statements_mean(text: str, said: str, harmless: bool | None) -> None:
    found = _migration_statements.operations(text)
    assert said in "; ".join(map(str, found))
    assert bool(found) == bool(said)
    assert all(one.harmless is harmless for one in found)


def test_a_seed_of_many_statements_is_unknown() -> None:
    with pytest.raises(UnclearError, match="more than 5000 statements"):
        _migration_sql.statements("SELECT 1;" * 5_001)


# Rails


def rails(*lines: str, method: str = "change") -> str:
    return "\n".join(("class X < ActiveRecord::Migration[7.1]", f"def {method}", *lines, "end", "end", ""))


@pytest.mark.parametrize(
    ("lines", "state", "words"),
    [
        (["add_column :orders, :a, :string, null: false"], "breaking", "must be filled"),
        (["add_column :orders, :a, :string, null: false, default: ''"], "compatible", "adds column orders.a"),
        (["add_column(:orders, :a, :string,", "  null: false, # later", "  default: 0)"], "compatible", "orders.a"),
        (["add_column :orders, :a, :string, null: needed"], "unknown", "must be filled is not known"),
        (["add_column :orders, :a, :string unless column_exists?(:orders, :a)"], "unknown", "depends on a condition"),
        (["add_column table, :a, :string"], "unknown", "put together when it runs"),
        (["add_column :orders, :a, :string, { null: false }"], "unknown", "put together when it runs"),
        (["add_index :orders, :a, options"], "unknown", "put together when it runs"),
        (["add_reference :orders, :shop, null: false, foreign_key: true"], "breaking", "orders.shop_id"),
        (["add_reference :orders, :shop, foreign_key: true"], "compatible", "orders.shop_id"),
        (["add_timestamps :orders"], "breaking", "orders.created_at"),
        (["add_index :orders, :a, unique: true"], "breaking", "unique"),
        (["add_index :orders, [:a, :b], algorithm: :concurrently"], "compatible", "index on [:a, :b]"),
        (["remove_index :orders, :a"], "unknown", "may rely on it"),
        (["change_column :orders, :a, :text"], "breaking", "its type"),
        (["change_column_null :orders, :a, false"], "breaking", "must be filled"),
        (["change_column_null :orders, :a, true"], "unknown", "it may be empty"),
        (["change_column_default :orders, :a, from: nil, to: 1"], "compatible", "orders.a"),
        (["change_column_default :orders, :a, nil"], "unknown", "its default is gone"),
        (["rename_table :orders, :bills"], "breaking", "orders to bills"),
        (["drop_table :orders"], "breaking", "drops table orders"),
        (["safety_assured { remove_column :orders, :a, :text }"], "breaking", "drops column orders.a"),
        (["safety_assured do", "rename_column :orders, :a, :b", "end"], "breaking", "orders.a to b"),
        (["change_table :orders, bulk: true do |t|", "t.string :a", "t.remove :b", "end"], "breaking", "drops column orders.b"),
        (["change_table :orders do |t|", "t.mystery :a", "end"], "unknown", "mystery is not known"),
        (["execute <<~SQL", "  DROP TABLE orders;", "SQL"], "breaking", "drops table orders"),
        (["execute <<~SQL", "  DROP TABLE #{name};", "SQL"], "unknown", "put together when it runs"),
        (["execute 'SET lock_timeout = 1'"], "compatible", ""),
        (["# execute <<~SQL", "#   DROP TABLE orders;", "add_index :orders, :a"], "compatible", "adds index"),
        (["execute <<~'SQL'.squish", "  DROP TABLE orders;", "SQL"], "breaking", "drops table orders"),
        (["Order.update_all(a: 1)"], "unknown", "Order.update_all"),
        (["if Rails.env.test?", "drop_table :orders", "end"], "unknown", "if Rails.env.test?"),
        (["%i[a b].each { |t| drop_table t }"], "unknown", ""),
        (["create_table :notes do |t|", "t.text :a, null: false", "end", "add_column :notes, :b, :text, null: false"],
         "compatible", "adds table notes"),
        (["create_table :orders, force: true do |t|", "end"], "breaking", "by force"),
        (["x = 'open"], "unknown", ""),
        (["x = a / b", "drop_table :orders"], "unknown", ""),
    ],
)  # fmt: skip
def test_what_rails_operations_mean(tmp_path: Path, lines: list[str], state: str, words: str) -> None:
    found = between(tmp_path, {"20260101000000_x.rb": rails(*lines)})
    assert found.state == state, found
    assert words in "; ".join(told(found))


@pytest.mark.parametrize(
    ("text", "reversible"),
    [
        (rails("add_column :orders, :a, :text"), True),
        (rails("change_column_default :orders, :a, 1"), None),
        (rails("execute 'SET x = 1'"), False),
        (rails("add_index :orders, :a", method="up"), False),
        (rails("add_index :orders, :a", "end", "def down", "remove_index :orders, :a", method="up"), True),
        (
            rails("add_index :orders, :a", "end", "def down", "raise ActiveRecord::IrreversibleMigration", method="up"),
            False,
        ),
        (rails("remove_column :orders, :a, :text"), False),
    ],
)
def test_whether_rails_migrations_can_be_taken_back(tmp_path: Path, text: str, reversible: bool | None) -> None:
    assert between(tmp_path, {"20260101000000_x.rb": text}).reversible is reversible


@pytest.mark.parametrize("method", ["change()", "up( )", "self.up()"])
def test_a_method_of_rails_with_empty_brackets_is_read_as_well(tmp_path: Path, method: str) -> None:
    found = between(tmp_path, {"20260101000000_x.rb": rails("drop_table :orders", method=method)})
    assert told(found) == ["drops table orders"]


def test_a_method_of_rails_that_takes_what_it_never_gets_is_not_understood(tmp_path: Path) -> None:
    found = between(tmp_path, {"20260101000000_x.rb": rails("drop_table :orders", method="up(how)")})
    assert found.state == "unknown"


def test_strings_that_do_not_end_are_looked_for_once_in_a_line() -> None:
    assert [match.end() for match in _migration_ruby._QUOTED.finditer("\\'" * 1000)] == [2000]


# SQL in files


@pytest.mark.parametrize(
    ("files", "reversible"),
    [
        ({"0002_x.sql": "CREATE TABLE x (a int);"}, False),
        ({"0002_x.up.sql": "CREATE TABLE x (a int);", "0002_x.down.sql": "DROP TABLE x;"}, True),
        ({"0002_x/up.sql": "CREATE TABLE x (a int);", "0002_x/down.sql": "DROP TABLE x;"}, True),
        ({"0002_x.sql": "-- +migrate Up\nCREATE TABLE x (a int);\n-- +migrate Down\nDROP TABLE x;"}, True),
        ({"0002_x.sql": "-- migrate:up\nCREATE TABLE x (a int);\n-- migrate:down\n"}, False),
        ({"0002_x.sql": "CREATE TABLE x (a int);\n-- //@UNDO\nDROP TABLE x;"}, True),
    ],
)
def test_the_way_back_of_numbered_sql_is_beside_or_below_and_is_not_taken_for_the_way_forward(
    tmp_path: Path, files: Files, reversible: bool
) -> None:
    found = between(tmp_path, files)
    assert (found.state, found.reversible) == ("compatible", reversible)
    assert told(found) == ["adds table x"]


@pytest.mark.parametrize(
    ("files", "state"),
    [
        ({"0002_shut_down.sql": "DROP TABLE orders;"}, "breaking"),
        ({"0002_x_up.sql": "CREATE TABLE x (a int);", "0002_x_down.sql": "DROP TABLE orders;"}, "compatible"),
        ({"V2__x.sql": "CREATE TABLE x (a int);\n-- @undo\nDROP TABLE orders;"}, "breaking"),
    ],
)
def test_what_only_looks_like_a_way_back_is_run_forward(tmp_path: Path, files: Files, state: str) -> None:
    assert between(tmp_path, files).state == state


# What is made of it


def test_a_table_whose_name_is_not_known_is_not_taken_for_a_new_one_of_which_the_same_is_true(tmp_path: Path) -> None:
    text = alembic("b", "None", "op.create_table(prefix() + 'x')\n    op.drop_column(prefix() + 'orders', 'price')")
    assert between(tmp_path, {"b.py": text}).state == "breaking"


def test_a_new_table_that_takes_the_place_of_an_old_one_does_not_hide_that_it_went(tmp_path: Path) -> None:
    text = """
        CREATE TABLE orders_new (id int); INSERT INTO orders_new SELECT id FROM orders;
        DROP TABLE orders; ALTER TABLE orders_new RENAME TO orders;
        CREATE TABLE orders (id int); ALTER TABLE orders ADD a int NOT NULL;
    """
    found = between(tmp_path, {"V2__x.sql": text})
    assert found.state == "breaking"
    assert [one.harmless for one in found.migrations[0].operations] == [True, True, False, False, True, False]


def test_facts_are_bounded_clean_and_tell_what_breaks_first(tmp_path: Path) -> None:
    columns = ", ".join(f"ADD a{number} int" for number in range(100))
    text = f'ALTER TABLE "o\x1b[31m{"x" * 500}" {columns}; DROP TABLE orders;'
    schema = _migrations.facts(between(tmp_path, {"V2__x.sql": text}))["schema"]
    assert schema["state"] == "breaking"
    assert schema["operations"][0] == "drops table orders"
    assert (len(schema["operations"]), schema["operations"][-1]) == (51, "and 51 more")
    assert all(text.isprintable() and len(text) <= 200 for text in schema["operations"])
    assert schema["reason"] == "drops table orders in V2__x.sql"


def test_parsing_python_says_why_it_is_not_done() -> None:
    with pytest.raises(UnclearError, match="nested too deeply"):
        _migration_python.parse("x = " + "-" * 1_000 + "1")
    with pytest.raises(UnclearError, match="nested too deeply"):
        _migration_python.parse("x = " + "lambda a, b: " * 1_000 + "1")
    with pytest.raises(UnclearError, match="cannot parse"):
        _migration_python.parse("x = (")
