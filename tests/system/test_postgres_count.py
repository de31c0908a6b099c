"""Counting the rows beside pg_dump works wherever pg_dump does, and never costs the dump."""
import subprocess

import pytest

from support.cli import INCOMPLETE
from support.postgres import BIN, Cluster, cluster, running_cluster, tools  # noqa: F401


@pytest.mark.parametrize('sql', [
    'CREATE EXTENSION cube; CREATE EXTENSION earthdistance; CREATE TABLE places AS SELECT 1::float8 AS lat, 2::float8 AS lng; '
    'CREATE INDEX ON places USING gist (ll_to_earth(lat, lng))',
    "CREATE FUNCTION base(text) RETURNS text IMMUTABLE LANGUAGE sql AS 'SELECT lower($1)'; "
    "CREATE FUNCTION plain(text) RETURNS text IMMUTABLE LANGUAGE sql AS 'SELECT base($1)'; "
    "CREATE TABLE places AS SELECT 'Ä' AS name; CREATE INDEX ON places (plain(name))",
], ids=['earthdistance', 'function'])
def test_index_over_a_function_without_schemas(world, cluster, sql):
    """What is evaluated when the server plans a count finds what the database's own sessions find."""
    cluster.create('gym', f'CREATE SCHEMA app; ALTER DATABASE gym SET search_path = app, public; SET search_path = app, public; {sql}')
    cluster.world(world, database='gym')
    world.ok('run', 'job')
    assert 'rows.app.places = 1\n' in world.ok('show', 'job').out


def test_count_that_fails(world, cluster):
    """The dump is kept, the table is named, and the others are counted."""
    cluster.create('gym', "CREATE TABLE t AS SELECT 1 AS a; CREATE TABLE u AS SELECT 2 AS a; "
                          "CREATE FUNCTION one(int) RETURNS int IMMUTABLE LANGUAGE plpgsql AS 'BEGIN RETURN $1; END'; CREATE INDEX ON t ((one(1) + a)); "
                          "CREATE OR REPLACE FUNCTION one(int) RETURNS int IMMUTABLE LANGUAGE plpgsql AS 'BEGIN RAISE ''no more''; END'")
    cluster.world(world, database='gym')
    result = world.fails(INCOMPLETE, 'run', 'job')
    assert "count the rows of 'public.t': no more" in result.err and 'see row_counts' in result.err
    facts = world.ok('show', 'job').out
    assert 'rows.public.u = 1\n' in facts and 'rows.public.t' not in facts
    dump = world.restored() / 'db' / 'gym.dump'
    assert '1\n' in subprocess.run([BIN / 'pg_restore', '-t', 't', '-f', '-', dump], check=True, capture_output=True, text=True).stdout
    cluster.source(world, database='gym', row_counts='no')
    world.ok('run', 'job')


def test_more_locks_than_a_server_has(world):
    """pg_dump locks tables; a count locks their indexes as well, of one table at a time."""
    server = Cluster()
    server.settings |= {'max_connections': 10, 'max_locks_per_transaction': 10, 'max_worker_processes': 0, 'max_wal_senders': 0}
    try:
        server.start()
        server.create('gym', ''.join(f'CREATE TABLE t{i} (a int, b int, c int); CREATE INDEX ON t{i} (a); CREATE INDEX ON t{i} (b); '
                                     f'CREATE INDEX ON t{i} (c); CREATE INDEX ON t{i} (a, b); INSERT INTO t{i} VALUES (1);'
                                     for i in range(120)))
        server.world(world, database='gym')
        world.ok('run', 'job')
        assert world.ok('show', 'job').out.count(' = 1\n') >= 120
    finally:
        server.remove()


@pytest.mark.parametrize('encoding, table', [('LATIN1', 'Übersicht'), ('EUC_JP', '表'), ('SQL_ASCII', 'größe'),
                                             ('MULE_INTERNAL', 'Übersicht')])
def test_names_in_the_encoding_of_the_database(world, cluster, encoding, table):
    """Comments and rows too; what is not UTF-8 and cannot be made so is written in another way, in facts and messages."""
    own = {'LATIN1': 'latin-1', 'EUC_JP': 'euc_jp'}.get(encoding, 'latin-1')
    raw = table.encode(own) if encoding != 'MULE_INTERNAL' else b''.join(
        bytes([0x81, b]) if b >= 0x80 else bytes([b]) for b in table.encode('latin-1'))
    cluster.sql(f"CREATE DATABASE gym TEMPLATE template0 ENCODING '{encoding}' LOCALE 'C'")
    script = world.base / 'raw.sql'
    script.write_bytes(b'CREATE TABLE "' + raw + b'" AS SELECT 1 AS "' + raw + b'"; COMMENT ON DATABASE gym IS \'' + raw + b"';")
    raw_env = cluster.env | {'PGCLIENTENCODING': 'SQL_ASCII'}
    psql = [BIN / 'psql', '-X', '-q', '-A', '-t', '-v', 'ON_ERROR_STOP=1']
    subprocess.run([*psql, '-d', 'gym', '-f', script], env=raw_env, check=True)
    cluster.world(world, database='gym')
    world.ok('check')
    world.ok('run', 'job')
    assert 'rows.public.' in world.ok('show', 'job').out
    world.ok('restore', 'job', 'db:gym.dump', '--set', 'database=copy')
    question = ["-c", "SELECT relname, (SELECT attname FROM pg_attribute WHERE attrelid = c.oid AND attnum = 1) FROM pg_class c "
                      "WHERE relnamespace = 'public'::regnamespace AND relkind = 'r'"]
    for name in ('gym', 'copy'):
        said = subprocess.run([*psql, '-d', name, *question], env=raw_env, check=True, capture_output=True).stdout
        assert said == raw + b'|' + raw + b'\n', name
    if encoding in ('LATIN1', 'EUC_JP'):
        assert table in '\n'.join(cluster.sql("SELECT shobj_description(oid, 'pg_database') FROM pg_database WHERE datname = 'copy'"))
