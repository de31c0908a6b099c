"""All databases of a server: which ones are saved, which are named as left out, and with how many connections."""
import pytest

from support.cli import INCOMPLETE
from support.postgres import Cluster, Standby, cluster, running_cluster, tools  # noqa: F401


def test_closed_database_is_named(world, cluster):
    """It cannot be saved as it is; who closes one later is asked whether that was meant."""
    cluster.create('archive', 'CREATE TABLE t AS SELECT 42 AS a')
    cluster.create('gym')
    cluster.world(world, databases='*')
    world.ok('run', 'job')
    cluster.sql('ALTER DATABASE archive ALLOW_CONNECTIONS false')
    try:
        assert "database 'archive' takes no connections: it is not saved" in world('check').text
        result = world.fails(INCOMPLETE, 'run', 'job')
        assert 'archive.dump' in result.err and 'takes no connections' in result.err, result
        assert 'archive.dump' in world.ok('show', 'job').out
        world.ok('accept', 'job')
        world.ok('run', 'job')
        # Asked for by name it is an error.
        cluster.source(world, databases='archive, gym')
        result = world.fails(INCOMPLETE, 'run', 'job')
        assert 'is not currently accepting connections' in result.err, result
    finally:
        cluster.sql('ALTER DATABASE archive ALLOW_CONNECTIONS true')


def test_unlogged_tables_of_a_standby(world, cluster):
    cluster.create('gym', 'CREATE UNLOGGED TABLE cache AS SELECT 1 AS a; CREATE TABLE t AS SELECT 1 AS a; CREATE SCHEMA s; '
                          'CREATE UNLOGGED TABLE s.other AS SELECT 1 AS a')
    standby = Standby(cluster)
    try:
        standby.start()
        standby.catch_up()
        standby.world(world, database='gym', schemas='public')
        assert 'the rows of unlogged tables cannot be read: public.cache, s.other' in world('check').text
        result = world.ok('run', 'job')
        assert "gym.dump/public.cache" in result.err and 'cannot be read on a standby' in result.err, result
        assert 's.other' not in result.text
        # The same server, for what it is: the two have one identity.
        standby.source(world, database='gym', schemas='public', host=cluster.sockets, port=cluster.port)
        world.ok('run', 'job')
    finally:
        standby.remove()


def test_another_server_in_its_place(world, cluster):
    """Same address, same names, other contents: initdb makes another identity."""
    cluster.create('gym', 'CREATE TABLE t AS SELECT 1 AS a')
    cluster.world(world, database='gym')
    world.ok('run', 'job')
    identity = cluster.sql('SELECT system_identifier FROM pg_control_system()')[0]
    assert f'postgres.system_identifier = {identity}\n' in world.ok('show', 'job').out
    other = Cluster()
    try:
        other.start()
        other.create('gym', 'CREATE TABLE t AS SELECT 1 AS a')
        other.source(world, database='gym')
        assert 'postgres.system_identifier' in world.fails(INCOMPLETE, 'run', 'job').err
        world.ok('accept', 'job')
        world.ok('run', 'job')
    finally:
        other.remove()


def test_collation_of_another_version(world, cluster):
    """As after an upgrade of the system: said once in our words, and the dump is whole."""
    cluster.sql("CREATE DATABASE gym TEMPLATE template0 LOCALE_PROVIDER icu ICU_LOCALE 'de' LOCALE 'C.UTF-8'")
    cluster.sql("CREATE TABLE t AS SELECT 'ä' AS a", 'gym')
    cluster.sql("UPDATE pg_database SET datcollversion = '1.1' WHERE datname = 'gym'")
    cluster.world(world, database='gym')
    checked, result = world('check'), world.ok('run', 'job')
    assert checked.text.count("its collation is of version 1.1") == 1 and 'REFRESH COLLATION VERSION' in checked.text
    assert result.err.count("its collation is of version 1.1") == 1, result
    for word in ('WARNING:', 'DETAIL:', 'HINT:', 'with a remark'):
        assert word not in checked.text + result.text
    world.ok('restore', 'job', 'db:gym.dump', '--set', 'database=copy')
    assert cluster.checksums('copy') == cluster.checksums('gym')


# ---- connections ----

@pytest.fixture(scope='module')
def small():
    """A server with more databases than connections, and a role of its application."""
    server = Cluster()
    server.settings |= {'max_connections': 13}
    try:
        server.start()
        for i in range(14):
            server.create(f'd{i:02}', 'CREATE TABLE t (a int)')
        server.sql('CREATE ROLE app LOGIN; CREATE ROLE few LOGIN CONNECTION LIMIT 8; GRANT pg_read_all_data TO few')
        yield server
    finally:
        server.remove()


@pytest.mark.parametrize('user', ['postgres', 'few'])
def test_more_databases_than_connections(world, small, tools, user):
    """All are saved, some at a time, and whoever comes meanwhile finds connections left."""
    refused = world.base / 'refused'
    psql = f'psql -X -q -h {small.sockets} -p {small.port}'
    place = tools('pg_dump', f'for i in 1 2 3; do {psql} -U app -d postgres -c "SELECT pg_sleep(0.2)" >/dev/null 2>>{refused} & done; wait; '
                             f'exec REAL "$@"')
    small.world(world, databases='*', user=user, globals='no', bin_dir=place)
    assert 'too few free connections for snapshots of all 15 databases at once' in world('check').text
    result = world.ok('run', 'job')
    assert result.err.count('each such group as of a moment of its own') == 1, result
    assert world.ok('ls', 'job').out.count('.dump') == 15
    assert refused.read_text() == ''
    assert small.sessions() == []
