"""What lies between cofre and a PostgreSQL server's session: pools, limits, the server's language."""
import pytest

from support.cli import BAD_CONFIG, FAILED, WRONG_KEY
from support.postgres import PASSWORD, German, Pool, Standby, cluster, running_cluster, tools  # noqa: F401


def secret(world, text):
    path = world.base / 'secret'
    path.write_text(text)
    path.chmod(0o600)
    return f'@file:{path}'


# ---- pools ----

@pytest.fixture
def pool(cluster):
    """A function that puts a pool in front of a server whose database 'gym' has a table 'mine'."""
    cluster.create('gym', 'CREATE TABLE mine AS SELECT 7 AS a')
    pools = []

    def make(mode):
        pools.append(Pool(cluster, mode))
        return pools[-1]

    yield make
    for each in pools:
        each.remove()


def test_pool_of_transactions_is_refused(world, cluster, pool):
    """In check, run and restore; what the application gets next is as it was before."""
    cluster.world(world, database='gym')
    world.ok('run', 'job')
    pooled = pool('transaction')
    settings = "SELECT current_setting('search_path') || current_setting('row_security') || current_setting('statement_timeout')"
    before = pooled.sql(settings, 'gym')
    cluster.source(world, database='gym', host='127.0.0.1', port=pooled.port)
    for words in (['check'], ['run', 'job'], ['restore', 'job', 'db:gym.dump', '--set', 'database=copy'],
                  ['restore', 'job', 'db', '--in-place', '--yes']):
        result = world(*words)
        assert result.status in (BAD_CONFIG, FAILED), result
        assert "a pool there shares the server's sessions" in result.text and 'set host and port to the server itself' in result.text
        for _ in range(4):
            assert pooled.sql('SELECT a FROM mine', 'gym') == ['7'] and pooled.sql(settings, 'gym') == before, words
    assert len(world.snapshots()) == 1 and cluster.databases() == ['gym', 'postgres']


def test_pool_of_sessions_is_not(world, cluster, pool):
    """It can be saved through; restoring needs the server itself, since a pool keeps its sessions in the new database."""
    cluster.world(world, database='gym', host='127.0.0.1', port=pool('session').port)
    world.ok('check')
    world.ok('run', 'job')
    world.ok('restore', 'job', 'db:gym.dump', '--set', 'database=copy', '--set', f'host={cluster.sockets}', '--set', f'port={cluster.port}')
    assert cluster.checksums('copy') == cluster.checksums('gym')


# ---- what a server says ----

@pytest.fixture(scope='module')
def german():
    server = German()
    try:
        server.start()
        server.sql(f'ALTER ROLE postgres PASSWORD $pw${PASSWORD}$pw$')
        server.create('gym', 'CREATE TABLE t AS SELECT 1 AS a')
        yield server
    finally:
        server.remove()


def test_wrong_password_in_german(world, german):
    german.world(world, database='gym', host='127.0.0.1', password=secret(world, 'falsch'))
    for result in (world.fails(WRONG_KEY, 'run', 'job'), world('check')):
        assert 'Passwort-Authentifizierung für Benutzer »postgres«' in result.text and 'set user and password' in result.text, result
        assert '28P01: ' not in result.err and '.c:' not in result.err
    secret(world, PASSWORD)
    world.ok('run', 'job')


@pytest.mark.parametrize('options, words', [
    ({'database': 'fehlt'}, ('Datenbank »fehlt« existiert nicht', 'check the names')),
    ({'user': 'keiner'}, ('Rolle »keiner« existiert nicht', 'is there such a role')),
    ({'user': 'einer'}, ('CONNECTION LIMIT of the role or the database',)),
])
def test_refusals_in_german(world, german, options, words):
    german.sql('DROP ROLE IF EXISTS einer; CREATE ROLE einer LOGIN CONNECTION LIMIT 0')
    german.world(world, **{'database': 'gym'} | options)
    for result in (world('run', 'job'), world('check')):
        assert result.status != 0
        for word in words:
            assert word in result.text, result


def test_no_database_postgres_in_german(world, german):
    """Then template1 is where the server as a whole can be seen."""
    german.sql('ALTER DATABASE postgres RENAME TO eigene', 'template1')
    try:
        german.world(world, databases='*')
        world.ok('check')
        world.ok('run', 'job')
        assert 'db:eigene.dump' in world.ok('ls', 'job').out
    finally:
        german.sql('ALTER DATABASE eigene RENAME TO postgres', 'template1')


@pytest.mark.parametrize('superuser', ['SUPERUSER', 'NOSUPERUSER'])
def test_locked_table_in_german(world, german, superuser):
    german.sql(f'DROP ROLE IF EXISTS sicherung; CREATE ROLE sicherung {superuser} LOGIN; GRANT pg_read_all_data TO sicherung')
    german.world(world, database='gym', user='sicherung', globals='no', lock_timeout='1s')
    with german.session('gym', 'BEGIN; LOCK TABLE t IN ACCESS EXCLUSIVE MODE'):
        result = world.fails(FAILED, 'run', 'job')
    assert 'LOCK TABLE public.t' in result.err and 'a longer lock_timeout' in result.err, result


@pytest.mark.parametrize('limit', ['ALTER ROLE few CONNECTION LIMIT 0', 'ALTER DATABASE gym CONNECTION LIMIT 0'])
def test_connection_limit(world, cluster, limit):
    cluster.create('gym')
    cluster.sql(f'CREATE ROLE few LOGIN; {limit}')
    cluster.world(world, database='gym', user='few')
    for result in (world('run', 'job'), world('check')):
        assert result.status != 0 and 'too many connections for' in result.text, result
        assert 'CONNECTION LIMIT of the role or the database' in result.text and 'is the server running' not in result.text


@pytest.mark.parametrize('limit, whose', [('ALTER ROLE few CONNECTION LIMIT 2', 'the user'),
                                          ('ALTER DATABASE gym CONNECTION LIMIT 2', 'the database')])
def test_connection_limit_that_is_too_low(world, cluster, limit, whose):
    """One for the server as a whole, one for the snapshot, one for pg_dump."""
    cluster.create('gym')
    cluster.sql(f'CREATE ROLE few LOGIN; {limit}')
    cluster.world(world, database='gym', user='few', globals='no')
    assert f'no connection left for pg_dump within the CONNECTION LIMIT of {whose}' in world.fails(FAILED, 'check').text
    assert 'too many connections for' in world.fails(FAILED, 'run', 'job').err
    cluster.sql(limit.replace('2', '3'))
    world.ok('check')
    world.ok('run', 'job')


def test_server_that_lets_nobody_in_yet(world, cluster):
    """As one that starts, replays, or stops."""
    server = Standby(cluster)
    server.settings |= {'hot_standby': 'off'}
    try:
        server.start()
        server.world(world, database='postgres')
        result = world.fails(FAILED, 'check')
        assert 'the database system is not accepting connections' in result.text and 'starting or stopping: try again' in result.text
    finally:
        server.remove()


def test_host_that_has_no_address(world, cluster):
    cluster.world(world, database='gym', host='postgres-container.invalid')
    for result in (world('run', 'job'), world('check')):
        assert result.status != 0 and 'postgres-container.invalid' in result.text, result
        assert 'container = postgres-container.invalid, not host' in result.text
