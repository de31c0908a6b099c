"""Restores of PostgreSQL databases: what stands in their way, and what does not follow."""
import re

import pytest

from support.cli import FAILED
from support.postgres import cluster, running_cluster, tools  # noqa: F401

TABLE = 'CREATE TABLE t AS SELECT 1 AS a'


@pytest.fixture
def filled(tools, tmp_path):  # noqa: F811
    """A bin_dir for the source, and a function that says whether anything was filled."""
    place = tools('pg_restore', f'touch {tmp_path}/filled; exec REAL "$@"')
    yield place, (tmp_path / 'filled').exists


# ---- what stands in the way ----

def test_prepared_transaction_is_found_before_anything_is_filled(world, cluster, filled):
    place, was_filled = filled
    cluster.create('gym', TABLE)
    cluster.world(world, database='gym', bin_dir=place)
    world.ok('run', 'job')
    cluster.sql("BEGIN; INSERT INTO t VALUES (2); PREPARE TRANSACTION 'left over'", 'gym')
    result = world.fails(FAILED, 'restore', 'job', 'db', '--in-place', '--yes')
    assert "'left over' of postgres since" in result.err and "COMMIT PREPARED 'left over'" in result.err
    assert not was_filled() and cluster.databases() == ['gym', 'postgres']
    # It keeps nobody from a copy.
    world.ok('restore', 'job', 'db:gym.dump', '--set', 'database=copy')
    cluster.sql("ROLLBACK PREPARED 'left over'", 'gym')
    world.ok('restore', 'job', 'db:gym.dump', '--in-place', '--yes')


def test_prepared_transaction_that_comes_while_it_is_filled(world, cluster, tools):
    cluster.create('gym', TABLE)
    cluster.world(world, database='gym')
    world.ok('run', 'job')
    prepare = f'''{cluster.env['PATH'].split(':')[0]}/psql -X -q -h {cluster.sockets} -p {cluster.port} -U postgres -d gym \
-c 'BEGIN' -c 'INSERT INTO t VALUES (2)' -c "PREPARE TRANSACTION 'late'"'''
    cluster.source(world, database='gym', bin_dir=tools('pg_restore', f'{prepare}; exec REAL "$@"'))
    result = world.fails(FAILED, 'restore', 'job', 'db:gym.dump', '--in-place', '--yes')
    assert "'late' of postgres since" in result.err
    assert cluster.databases() == ['gym', 'postgres']


@pytest.mark.parametrize('who, words', [
    ('LOGIN CREATEDB', "it belongs to 'postgres', and 'somebody' may not rename it"),
    ('LOGIN', "it belongs to 'postgres', and 'somebody' may not rename it")])
def test_user_who_may_not_rename(world, cluster, filled, who, words):
    place, was_filled = filled
    cluster.create('gym', TABLE)
    cluster.sql(f'CREATE ROLE somebody {who}; GRANT pg_read_all_data TO somebody')
    cluster.world(world, database='gym', user='somebody', globals='no', bin_dir=place)
    world.ok('run', 'job')
    result = world.fails(FAILED, 'restore', 'job', 'db', '--in-place', '--yes')
    assert words in result.err and 'CREATEDB' in result.err and not was_filled()


def test_sessions_that_cannot_be_ended_are_found_before(world, cluster, filled):
    place, was_filled = filled
    cluster.sql('CREATE ROLE owner LOGIN CREATEDB; CREATE DATABASE gym OWNER owner')
    cluster.sql(TABLE, 'gym', 'owner')
    cluster.world(world, database='gym', user='owner', globals='no', bin_dir=place)
    world.ok('run', 'job')
    with cluster.session('gym', "SET application_name = 'the admin'"), cluster.session('gym', 'SELECT 1', 'owner'):
        result = world.fails(FAILED, 'restore', 'job', 'db', '--in-place', '--yes')
    # Its own sessions it may end.
    assert re.search(r'using it: postgres the admin \(process \d+\)\n', result.err) and not was_filled()


# ---- what does not follow ----

@pytest.fixture
def replicating(cluster):
    """Two databases of which the second subscribes to the first, and has its row."""
    cluster.create('pub', 'CREATE TABLE s (a int PRIMARY KEY); INSERT INTO s VALUES (1); CREATE PUBLICATION p FOR TABLE s')
    cluster.create('sub', 'CREATE TABLE s (a int PRIMARY KEY)')
    cluster.sql("SELECT pg_create_logical_replication_slot('sl', 'pgoutput')", 'pub')
    cluster.sql(f"CREATE SUBSCRIPTION su CONNECTION 'host={cluster.sockets} port={cluster.port} dbname=pub user=postgres' "
                "PUBLICATION p WITH (create_slot = false, slot_name = 'sl')", 'sub')
    cluster.sql_until("SELECT active FROM pg_replication_slots WHERE slot_name = 'sl'")
    yield
    for name in cluster.sql("SELECT datname FROM pg_database JOIN pg_subscription ON subdbid = pg_database.oid"):
        cluster.drop(name)
    cluster.sql("SELECT pg_terminate_backend(active_pid) FROM pg_replication_slots WHERE active")
    cluster.sql_until('SELECT count(*) = 0 FROM pg_replication_slots WHERE active')
    cluster.sql('SELECT pg_drop_replication_slot(slot_name) FROM pg_replication_slots')


def test_subscription_stays_with_what_is_replaced(world, cluster, replicating):
    cluster.world(world, database='sub')
    world.ok('run', 'job')
    result = world.ok('restore', 'job', 'db', '--in-place', '--yes')
    old = f'sub_before_{world.snapshots()[-1]}'
    assert f"subscription 'su' is with '{old}' now" in result.err
    # Once before anything was done, once after.
    assert result.err.index("subscription 'su' belongs to database 'sub'") < result.err.index("'sub' was replaced")
    assert "subscription 'su' of the snapshot is in database 'sub', and disabled" in result.err
    assert cluster.sql('SELECT datname, subenabled FROM pg_subscription JOIN pg_database d ON d.oid = subdbid ORDER BY 1') == [
        'sub|f', f'{old}|t']


def test_slot_stays_with_what_is_replaced(world, cluster, replicating):
    cluster.world(world, database='pub')
    world.ok('run', 'job')
    result = world.ok('restore', 'job', 'db', '--in-place', '--yes')
    old = f'pub_before_{world.snapshots()[-1]}'
    assert "replication slot 'sl' belongs to database 'pub'" in result.err
    assert f"replication slot 'sl' is with '{old}' now" in result.err
    assert cluster.sql('SELECT database FROM pg_replication_slots') == [old]


def test_restored_subscription_does_not_keep_a_failed_copy(world, cluster, tools, replicating):
    """The server drops no database that has one: neither after a failure, nor after a kill, nor after a trial."""
    cluster.world(world, database='sub', bin_dir=tools('pg_restore', 'REAL "$@"; exit 1'))
    world.ok('run', 'job')
    world.fails(FAILED, 'restore', 'job', 'db', '--in-place', '--yes')
    world.fails(FAILED, 'restore', 'job', 'db:sub.dump', '--set', 'database=copy')
    cluster.source(world, database='sub', bin_dir=tools('pg_restore', 'REAL "$@"; kill -9 $(ps -o ppid= -p $PPID) $PPID; exit 1'))
    world('restore', 'job', 'db:sub.dump', '--set', 'database=copy')
    cluster.source(world, database='sub')
    world.ok('run', 'job')
    assert cluster.databases() == ['postgres', 'pub', 'sub']
    assert cluster.sql('SELECT count(*) FROM pg_subscription') == ['1']
