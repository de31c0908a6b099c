"""The postgres source and what its server is: a standby that must replay, one with a certificate, one whose disk is full."""
import shutil
import subprocess
import time
from pathlib import Path

import pytest

from support.cli import BAD_CONFIG, CLEAN, FAILED, INCOMPLETE, WRONG_KEY
from support.postgres import PASSWORD, Cluster, Standby, cluster, running_cluster, tools  # noqa: F401
from support.tree import plain_tree
from support.wait import wait_until

ROWS = "CREATE TABLE t AS SELECT i, repeat(md5(i::text), 8) AS x FROM generate_series(1, %d) i"


# ---- a standby ----

@pytest.fixture
def standby(cluster):
    """A server that follows `cluster`, which has a database 'gym'. It lets no query hold up its replay."""
    cluster.create('gym', ROWS % 60000)
    server = Standby(cluster)
    try:
        server.settings |= {'max_standby_streaming_delay': 0, 'wal_receiver_status_interval': "'100ms'"}
        server.start()
        server.catch_up()
        yield server
    finally:
        server.remove()


def in_the_way(standby, target):
    """Replay has met whoever reads what it removes. It waits for him, and has asked him to go: half a second later the server
    says so; or he was gone at once, and it is done up to `target`."""
    startup, done = standby.sql("SELECT pid, pg_last_wal_replay_lsn() >= '%s' FROM pg_stat_activity "
                                "WHERE backend_type = 'startup'" % target)[0].split('|')
    return done == 't' or b' waiting' in Path('/proc', startup, 'cmdline').read_bytes()


def run_while_rows_go(world, standby, tools):
    """Run the job; while the dump waits in the middle, its rows go on the primary, and the standby hears of it."""
    mark, go = world.base / 'mark', world.base / 'go'
    place = tools('pg_dump', f'REAL "$@" | {{ head -c 100000; touch {mark}; while [ ! -e {go} ]; do sleep 0.02; done; cat; }}; '
                             'exit ${PIPESTATUS[0]}')
    standby.source(world, database='gym', bin_dir=place)
    process = subprocess.Popen(world.command('run', 'job'), env=CLEAN, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                               stderr=subprocess.STDOUT, text=True)
    while not mark.exists() and process.poll() is None:
        time.sleep(0.01)
    feedback = 'hot_standby_feedback' in standby.settings
    if feedback:
        standby.primary.sql_until('SELECT backend_xmin IS NOT NULL FROM pg_stat_replication')
    standby.primary.sql('DELETE FROM t', 'gym')
    standby.primary.sql('VACUUM t', 'gym')
    target = standby.primary.sql('SELECT pg_current_wal_flush_lsn()')[0]
    if feedback:
        standby.catch_up()
    else:
        # Who is asked first may be the session that counts, and then cofre has ended by itself.
        wait_until(lambda: process.poll() is not None or in_the_way(standby, target), 'the conflict')
        time.sleep(1)  # who is in the way is asked, not waited for: he must not be done before
    go.touch()
    text = process.communicate(timeout=60)[0]
    return process.returncode, text


def test_standby_that_replays_what_a_dump_needs(world, standby, tools, tmp_path):
    """The standby ends the dump's query: that is named, nothing of it is kept, and the job's other sources are saved."""
    standby.world(world, database='gym')
    world.source('tree', plain_tree(tmp_path / 'tree'))
    world.job(sources='db, tree')
    status, text = run_while_rows_go(world, standby, tools)
    assert status == INCOMPLETE, text
    assert "source 'db'" in text and 'conflict with recovery' in text and 'max_standby_streaming_delay' in text, text
    listing = world.ok('ls', 'job').out
    assert 'tree:' in listing and 'db:' not in listing
    # Alone it is a run that failed.
    standby.source(world, database='gym')
    world.job(sources='db')
    world.ok('run', 'job')
    standby.primary.sql("INSERT INTO t SELECT i, repeat(md5(i::text), 8) FROM generate_series(1, 60000) i", 'gym')
    standby.catch_up()
    for name in ('mark', 'go'):
        (world.base / name).unlink()
    known = world.snapshots()
    status, text = run_while_rows_go(world, standby, tools)
    assert status == FAILED and 'conflict with recovery' in text and world.snapshots() == known, text


def test_standby_that_tells_the_primary_what_it_needs(world, standby, tools):
    """hot_standby_feedback, which the hint names, is what helps."""
    standby.settings['hot_standby_feedback'] = 'on'
    standby.stop()
    standby.start()
    standby.world(world, database='gym')
    status, text = run_while_rows_go(world, standby, tools)
    assert status == 0, text
    world.ok('restore', 'job', 'db:gym.dump', '--set', 'database=then', '--set', f'host={standby.primary.sockets}',
             '--set', f'port={standby.primary.port}')
    assert standby.primary.sql('SELECT count(*) FROM t', 'then') == ['60000']
    assert 'fact      postgres.standby = yes' in world.ok('show', 'job').out


def test_check_warns_of_a_standby_that_does_not_wait(world, standby):
    standby.world(world, database='gym')
    result = world('check')
    assert 'the server is a standby that ends long queries' in result.text and 'hot_standby_feedback = on' in result.text
    standby.settings['max_standby_streaming_delay'] = -1
    standby.stop()
    standby.start()
    assert 'ends long queries' not in world.ok('check').text


# ---- TLS ----

def openssl(place, *words):
    subprocess.run(['openssl', *map(str, words)], cwd=place, check=True, capture_output=True)


def certificate(place, authority, name, subject, alternative):
    openssl(place, 'req', '-newkey', 'rsa:2048', '-nodes', '-keyout', f'{name}.key', '-out', f'{name}.csr', '-subj', f'/CN={subject}')
    (place / 'extensions').write_text(f'subjectAltName = {alternative}\n')
    openssl(place, 'x509', '-req', '-in', f'{name}.csr', '-CA', f'{authority}.crt', '-CAkey', f'{authority}.key', '-CAcreateserial',
            '-days', 2, '-extfile', 'extensions', '-out', f'{name}.crt')
    (place / f'{name}.key').chmod(0o600)


@pytest.fixture(scope='module')
def tls():
    """A server with a certificate for 0.0.0.0: to cofre an address like any elsewhere, and Linux connects it to loopback."""
    server = Cluster()
    place = server.base / 'tls'
    place.mkdir()
    for name in ('ca', 'stranger'):
        openssl(place, 'req', '-x509', '-newkey', 'rsa:2048', '-nodes', '-keyout', f'{name}.key', '-out', f'{name}.crt',
                '-subj', f'/CN={name}', '-days', 2)
    certificate(place, 'ca', 'server', 'db.example', 'IP:0.0.0.0')
    certificate(place, 'ca', 'client', 'by_certificate', 'DNS:client.example')
    for name in ('server.crt', 'server.key', 'ca.crt'):
        shutil.copy(place / name, server.data / name)
        shutil.chown(server.data / name, 'postgres', 'postgres')
    (server.data / 'server.key').chmod(0o600)
    server.settings |= {'ssl': 'on', 'ssl_ca_file': "'ca.crt'"}
    try:
        server.start()
        server.sql(f'ALTER ROLE postgres PASSWORD $pw${PASSWORD}$pw$; CREATE ROLE by_certificate SUPERUSER LOGIN')
        server.create('gym', ROWS % 100)
        yield server
    finally:
        server.remove()


def far(world, server, **options):
    """A source at an address that is not of this machine, as far as cofre can know."""
    secret = world.base / 'secret'
    secret.write_text(PASSWORD)
    secret.chmod(0o600)
    server.source(world, **{'host': '0.0.0.0', 'database': 'gym', 'password': f'@file:{secret}'} | options)


def test_server_elsewhere_that_proves_who_it_is(world, tls):
    ca = tls.base / 'tls' / 'ca.crt'
    tls.world(world, database='gym')
    far(world, tls, sslmode='verify-full', sslrootcert=ca)
    assert "at '0.0.0.0'" in world.ok('check').out and 'TLSv1.3' in world.ok('check').out
    world.ok('run', 'job')
    world.ok('restore', 'job', 'db:gym.dump', '--set', 'database=there')
    assert tls.checksums('there') == tls.checksums('gym')
    tls.run('dropdb', 'there')


def test_certificate_instead_of_a_password(world, tls):
    place = tls.base / 'tls'
    tls.world(world, database='gym')
    far(world, tls, user='by_certificate', password=None, sslmode='verify-full', sslrootcert=place / 'ca.crt',
        sslcert=place / 'client.crt', sslkey=place / 'client.key')
    world.ok('run', 'job')
    world.ok('restore', 'job', 'db:gym.dump', '--in-place', '--yes', '--set', 'drop_old=yes')
    far(world, tls, user='by_certificate', password=None, sslmode='verify-full', sslrootcert=place / 'ca.crt')
    assert 'requires a valid client certificate' in world.fails(WRONG_KEY, 'run', 'job').err


@pytest.mark.parametrize('options, status, words', [
    ({'sslrootcert': 'stranger.crt'}, WRONG_KEY, ('certificate verify failed', 'sslrootcert')),
    ({'sslrootcert': 'missing.crt'}, BAD_CONFIG, ('root certificate file', 'missing.crt', 'sslrootcert')),
    ({'sslrootcert': 'ca.crt', 'host': '127.0.0.1'}, WRONG_KEY, ('server certificate for', '"127.0.0.1"', 'set host to the name')),
    ({'sslmode': 'verify-ca', 'sslrootcert': 'ca.crt'}, BAD_CONFIG, ("'0.0.0.0'", "sslmode 'verify-ca'", 'allow_unverified')),
    ({'sslmode': 'require'}, BAD_CONFIG, ("sslmode 'require'", 'verify-full')),
    ({'sslmode': None}, BAD_CONFIG, ("sslmode 'prefer'", 'verify-full')),
])
def test_server_that_proves_nothing_is_refused(world, tls, options, status, words):
    """By `run`, before a password is sent, and by `check`."""
    if 'sslrootcert' in options:
        options = options | {'sslrootcert': tls.base / 'tls' / options['sslrootcert']}
    tls.world(world, database='gym')
    far(world, tls, **{'sslmode': 'verify-full'} | options)
    refused, checked = world.fails(status, 'run', 'job'), world('check')
    assert checked.status != 0 and world.snapshots() == []
    for word in words:
        assert word in refused.err and word in checked.text, (refused, checked)


def test_server_without_tls_is_refused(world, cluster):
    cluster.create('gym', ROWS % 10)
    cluster.world(world, database='gym')
    far(world, cluster, sslmode='verify-full', sslrootcert='/etc/ssl/certs/ca-certificates.crt')
    result = world.fails(WRONG_KEY, 'run', 'job')
    assert 'does not support SSL' in result.err and 'allow_unverified' in result.err


def test_unverified_when_that_is_written_down(world, tls):
    tls.world(world, database='gym')
    far(world, tls, allow_unverified='yes')
    world.ok('run', 'job')
    result = world('check')
    assert 'allow_unverified is set: nothing proves that this is the right server' in result.text


# ---- no room ----

def test_disk_of_the_server_is_full(world, tmpfs, cluster):
    """Where the database is there is no room for a second one."""
    disk = tmpfs(cluster.base / 'disk', 'size=34m,uid=postgres,gid=postgres')
    cluster.sql(f"CREATE TABLESPACE small LOCATION '{disk}'")
    cluster.sql('CREATE DATABASE gym TABLESPACE small')
    cluster.sql(ROWS % 60000, 'gym')
    cluster.world(world, database='gym')
    world.ok('run', 'job')
    # What is live is on the disk: the server puts off writing, and with it the discovery that there is no room.
    cluster.sql('CREATE TABLE newer AS SELECT 1 AS a', 'gym')
    cluster.sql('CHECKPOINT', 'gym')
    before = cluster.dump('gym', '-C')
    result = world.fails(FAILED, 'restore', 'job', 'db:gym.dump', '--in-place', '--yes')
    for word in ("fill database 'cofre-", 'No space left on device', 'make room on the disk that is full'):
        assert word in result.err, result
    assert cluster.dump('gym', '-C') == before and cluster.databases() == ['gym', 'postgres']
    # With the old one out of the way there is room.
    cluster.run('dropdb', 'gym')
    world.ok('restore', 'job', 'db:gym.dump', '--set', 'database=gym')
    assert cluster.sql("SELECT count(*), (SELECT spcname FROM pg_tablespace t JOIN pg_database d ON dattablespace = t.oid "
                       "WHERE datname = 'gym') FROM t", 'gym') == ['60000|small']
