"""A database that somebody alters between the snapshot of it and its turn: older snapshots no longer see its rows."""
import subprocess
import time
from contextlib import contextmanager

import pytest

from support.cli import CLEAN, FAILED, INCOMPLETE
from support.postgres import cluster, running_cluster, tools  # noqa: F401

SHOP = '''CREATE TABLE orders AS SELECT i, i AS j, repeat('x', 3000) AS text FROM generate_series(1, 1000) i;
CREATE TABLE feed AS SELECT i FROM generate_series(1, 500) i;
CREATE TABLE parts (i int, x int) PARTITION BY RANGE (i); CREATE TABLE parts1 PARTITION OF parts DEFAULT;
INSERT INTO parts SELECT i, i FROM generate_series(1, 300) i;
CREATE FUNCTION twice(a int) RETURNS int LANGUAGE sql AS 'SELECT 2 * a'; CREATE VIEW v AS SELECT i FROM feed;
CREATE MATERIALIZED VIEW totals AS SELECT count(*) FROM feed'''


class Run:
    """A run of the job that can be waited for."""

    def __init__(self, world):
        self.process = subprocess.Popen(world.command('run', 'job'), env=CLEAN, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                                        stderr=subprocess.STDOUT, text=True)

    def until(self, question):
        deadline = time.monotonic() + 60
        while not question():
            assert self.process.poll() is None, self.process.communicate()
            assert time.monotonic() < deadline
            time.sleep(0.02)

    def end(self):
        self.text = self.process.communicate(timeout=120)[0]
        return self.process.returncode


@contextmanager
def held(world, cluster, tools, **options):
    """A run in which the snapshot is taken, and pg_dump has not begun."""
    mark, go = world.base / 'mark', world.base / 'go'
    place = tools('pg_dump', f'touch {mark}; while [ ! -e {go} ]; do sleep 0.02; done; exec REAL "$@"')
    cluster.world(world, **{'database': 'shop', 'bin_dir': place} | options)
    run = Run(world)
    run.until(mark.exists)
    yield run
    go.touch()
    run.end()


def same(world, cluster, name='shop'):
    world.ok('restore', 'job', f'db:{name}.dump', '--set', 'database=copy', '--set', 'bin_dir=/usr/lib/postgresql/15/bin')
    assert cluster.checksums('copy') == cluster.checksums(name)


@pytest.mark.parametrize('sql', [
    'BEGIN; TRUNCATE feed; INSERT INTO feed SELECT i FROM generate_series(1, 500) i; COMMIT',
    'ALTER TABLE orders ALTER i TYPE bigint',
    'ALTER TABLE parts ALTER x TYPE bigint',
    'DROP TABLE orders; CREATE TABLE orders AS SELECT i FROM generate_series(1, 10) i',
    'CREATE TABLE fresh AS SELECT * FROM orders LIMIT 10; ALTER TABLE orders RENAME TO old; ALTER TABLE fresh RENAME TO orders',
    'ALTER TABLE feed RENAME TO other; ALTER TABLE orders RENAME TO feed; ALTER TABLE other RENAME TO orders',
    'ALTER TABLE orders RENAME i TO k; ALTER TABLE orders RENAME j TO i; UPDATE orders SET i = -i',
    'DROP TABLE orders',
    'ALTER TABLE orders DROP COLUMN j',
    'CREATE SCHEMA s; ALTER TABLE feed SET SCHEMA s',
], ids=['truncate', 'type', 'partition', 'drop and create', 'replaced', 'swapped', 'columns', 'drop', 'column', 'schema'])
def test_altered_before_its_turn(world, cluster, tools, sql):
    """The snapshot is taken anew, and what is saved is the database as it is then."""
    cluster.create('shop', SHOP)
    with held(world, cluster, tools) as run:
        cluster.sql(sql, 'shop')
    assert run.process.returncode == 0, run.text
    assert 'a new snapshot is taken, of a later moment' in run.text
    same(world, cluster)


@pytest.mark.parametrize('sql', [
    'DROP VIEW v', 'DROP FUNCTION twice', 'DROP MATERIALIZED VIEW totals', 'DROP TYPE mood', 'DROP INDEX odd', 'DROP TRIGGER tick ON feed',
    'ALTER TABLE feed DROP CONSTRAINT few', "CREATE OR REPLACE FUNCTION twice(a int DEFAULT 3) RETURNS int LANGUAGE sql AS 'SELECT 2 * a'",
    'CREATE OR REPLACE VIEW v AS SELECT i, i AS j FROM feed'])
def test_definition_altered_before_its_turn(world, cluster, tools, sql):
    """Of what is gone pg_dump would write half a definition."""
    cluster.create('shop', SHOP + '''; CREATE TYPE mood AS ENUM ('a'); CREATE INDEX odd ON feed (i);
        ALTER TABLE feed ADD CONSTRAINT few CHECK (i < 1000);
        CREATE FUNCTION tick() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN RETURN NEW; END';
        CREATE TRIGGER tick BEFORE INSERT ON feed FOR EACH ROW EXECUTE FUNCTION tick()''')
    with held(world, cluster, tools) as run:
        cluster.sql(sql, 'shop')
    assert run.process.returncode == 0 and 'later moment' in run.text, run.text
    same(world, cluster)
    assert cluster.dump('copy') == cluster.dump('shop')


@pytest.mark.parametrize('sql', [
    'ALTER TABLE feed ADD k int', 'CREATE INDEX ON feed (i)', 'REFRESH MATERIALIZED VIEW totals', 'DELETE FROM feed', 'VACUUM ANALYZE',
    'CREATE TABLE new AS SELECT 1 AS a', 'GRANT SELECT ON feed TO public', 'REINDEX TABLE feed',
    "CREATE TEMP TABLE t (a int PRIMARY KEY, b text CHECK (b <> '')); TRUNCATE t; ALTER TABLE t ADD c text; DROP TABLE t"])
def test_altered_without_harm(world, cluster, tools, sql):
    """What the snapshot shows is there, and its moment stays."""
    cluster.create('shop', SHOP + '; CREATE INDEX ON feed (i); CREATE INDEX ON totals (count)')
    before = cluster.sql('SELECT count(*), sum(i) FROM feed', 'shop')
    with held(world, cluster, tools) as run:
        cluster.sql(sql, 'shop')
    assert run.process.returncode == 0 and 'later moment' not in run.text, run.text
    world.ok('restore', 'job', 'db:shop.dump', '--set', 'database=copy', '--set', 'bin_dir=/usr/lib/postgresql/15/bin')
    assert cluster.sql('SELECT count(*), sum(i) FROM feed', 'copy') == before
    assert cluster.sql('SELECT (SELECT count(*) FROM orders), (SELECT count(*) FROM parts)', 'copy') == ['1000|300']


def test_altered_in_vain(world, cluster):
    """Who gave up has changed nothing, although he has left his mark, and somebody older is still at work."""
    cluster.create('shop', SHOP)
    cluster.world(world, database='shop')
    with cluster.session('postgres', 'BEGIN; CREATE TABLE never (a int)'):
        cluster.sql('BEGIN; ALTER TABLE feed RENAME i TO k; DROP FUNCTION twice; TRUNCATE orders; ROLLBACK', 'shop')
        assert 'later moment' not in world.ok('run', 'job').text
    same(world, cluster)


def test_rewritten_with_its_rows(world, cluster, tools):
    """VACUUM FULL and CLUSTER look the same from outside, and do no harm either."""
    cluster.create('shop', SHOP)
    with held(world, cluster, tools) as run:
        cluster.sql('VACUUM FULL orders', 'shop')
    assert run.process.returncode == 0, run.text
    same(world, cluster)


@pytest.mark.parametrize('options', [{'exclude_table_data': 'public.feed'}, {'exclude_tables': 'feed'}, {'schemas': 'other'}])
def test_altered_but_not_saved(world, cluster, tools, options):
    """What nobody wants to have saved may be emptied as often as one likes."""
    cluster.create('shop', SHOP + '; CREATE SCHEMA other; CREATE TABLE other.t AS SELECT 1 AS a')
    with held(world, cluster, tools, **options) as run:
        cluster.sql('TRUNCATE feed', 'shop')
    assert run.process.returncode == 0 and 'later moment' not in run.text, run.text


def test_one_of_several_databases(world, cluster, tools):
    """The moment of the others stays what it was."""
    cluster.create('other', 'CREATE TABLE t AS SELECT 1 AS a')
    cluster.create('shop', SHOP)
    with held(world, cluster, tools, database=None, databases='other, shop') as run:
        cluster.sql('INSERT INTO t VALUES (2)', 'other')
        cluster.sql('TRUNCATE orders; INSERT INTO orders VALUES (7)', 'shop')
    assert run.process.returncode == 0 and "dump database 'shop': 'public.orders' was emptied" in run.text, run.text
    assert run.text.count('later moment') == 1
    facts = world.ok('show', 'job').out
    assert 'other.rows.public.t = 1\n' in facts and 'shop.rows.public.orders = 1\n' in facts
    same(world, cluster)


@pytest.mark.parametrize('sql', ['TRUNCATE feed; INSERT INTO feed SELECT i FROM generate_series(1, 500) i',
                                 'ALTER TABLE feed ADD j int GENERATED ALWAYS AS IDENTITY'])
def test_altered_while_pg_dump_waits(world, cluster, sql):
    """pg_dump has read the catalogue, and waits for a lock that somebody holds who then alters the table."""
    cluster.create('shop', SHOP)
    cluster.world(world, database='shop')
    with cluster.session('shop', 'BEGIN; LOCK TABLE feed') as session:
        run = Run(world)
        run.until(lambda: cluster.sql("SELECT count(*) FROM pg_locks WHERE NOT granted AND relation IS NOT NULL") != ['0'])
        session.stdin.write(f'{sql}; COMMIT;\n\\echo done\n')
        session.stdin.flush()
        assert any(line.strip() == 'done' for line in session.stdout)
        status = run.end()
    assert status == 0 and 'later moment' in run.text, run.text
    same(world, cluster)


def test_altered_again_and_again(world, cluster, tools):
    """It is given up after some attempts, by name; and never is it complete."""
    cluster.create('other', 'CREATE TABLE t AS SELECT 1 AS a')
    cluster.create('shop', SHOP)
    empty = f'psql -X -q -h {cluster.sockets} -p {cluster.port} -U postgres -d shop -c "TRUNCATE feed" -c "INSERT INTO feed VALUES (1)"'
    place = tools('pg_dump', f'[[ "$*" != *shop* ]] || {empty}; exec REAL "$@"')
    cluster.world(world, database='shop', bin_dir=place)
    result = world.fails(FAILED, 'run', 'job')
    assert "dump database 'shop': 'public.feed' was emptied, rewritten or altered" in result.err and 'exclude_table_data' in result.err
    assert result.err.count('later moment') == 4 and world.snapshots() == []
    cluster.source(world, databases='other, shop', bin_dir=place)
    assert "'public.feed' was emptied" in world.fails(INCOMPLETE, 'run', 'job').err
    assert 'other.rows.public.t = 1\n' in world.ok('show', 'job').out
