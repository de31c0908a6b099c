"""A PostgreSQL server in a container, over a real Docker daemon: no port is published, its own programs do the work."""
import re
import subprocess
import time
from contextlib import contextmanager

import pytest

from support.cli import BAD_CONFIG, CLEAN, FAILED, execute
from support.docker import docker, running_docker  # noqa: F401
from support.docker_proxy import DockerProxy, cut
from support.postgres import BIN
from support.wait import wait_until
from support.watchdog import kill_with_watchdog

PASSWORD = r"s3cr:et\ 'quoted' pass"
MUSIC = '''CREATE TABLE songs (id int PRIMARY KEY, title text);
INSERT INTO songs SELECT n, 'song ' || n FROM generate_series(1, 2000) n;
CREATE INDEX ON songs (title); CREATE VIEW first AS SELECT * FROM songs WHERE id = 1; SELECT lo_from_bytea(0, 'a large object');'''


def dump(docker, name, database='music'):
    """By the container's own program; each dump has a random word against psql's commands."""
    said = docker.exec(name, 'pg_dump', '-h', '127.0.0.1', '-U', docker.postgres_user(name), database)
    return re.sub(r'(?m)^\\(un)?restrict .*\n?', '', said)


def start(docker, name='db', image='pg15', *options, **more):
    docker.postgres(name, image, *options, **more)
    docker.exec(name, 'createdb', '-U', 'postgres', 'music')
    docker.sql(name, MUSIC, 'music')
    return name


def source(world, daemon, /, **options):
    world.section('source app', plugin='postgres',
                  **{'container': 'db', 'docker': daemon.address, 'user': 'postgres', 'database': 'music'} | options)


def configure(world, daemon, /, **options):
    source(world, daemon, **options)
    world.sink()
    world.job(sources='app')
    world.ok('init', 'disk')
    return world


def facts(world):
    return dict(re.findall(r'^  fact      (.*?) = (.*)$', world.ok('show', 'job').out, re.M))


def left(docker, name='db'):
    """What a run could have left in the container: programs, files, sessions."""
    programs = [line for line in docker('top', name, '-eo', 'pid,args').splitlines() if re.search(r'pg_(dump|restore)|cofre', line)]
    files = docker.exec(name, 'sh', '-c', 'ls -A /dev/shm /tmp | grep -i -e cofre -e pass || true').split()
    sessions = docker.sql(name, "SELECT application_name || ' ' || query FROM pg_stat_activity WHERE backend_type = 'client backend' "
                                "AND application_name <> 'psql'")
    return programs + files + sessions


# ---- back and forth ----

@pytest.mark.parametrize('tools', ['container', 'host'])
def test_everything_comes_back(world, docker, tools):
    start(docker)
    configure(world, docker, tools=tools)
    before = dump(docker, 'db')
    world.ok('run', 'job')
    # In place,
    docker.sql('db', 'DELETE FROM songs WHERE id > 10; CREATE TABLE later_on (a int)', 'music')
    changed = dump(docker, 'db')
    world.ok('restore', 'job', 'app', '--in-place', '--yes')
    assert dump(docker, 'db') == before
    assert dump(docker, 'db', f'music_before_{world.snapshots()[-1]}') == changed
    # and beside.
    world.ok('restore', 'job', 'app:music.dump', '--set', 'database=copy')
    assert dump(docker, 'db', 'copy') == before
    assert left(docker) == []


def test_dumps_are_those_of_the_container(world, docker):
    """The same bytes as its pg_dump gives, but for the time that is in them."""
    start(docker)
    configure(world, docker)
    world.ok('run', 'job')
    ours = (world.restored() / 'app/music.dump').read_bytes()
    theirs = docker.run_in('db', 'pg_dump', '-U', 'postgres', '-Fc', '-Z0', 'music').stdout
    assert len(ours) == len(theirs) and ours[:5] == theirs[:5]
    listing = subprocess.run([BIN / 'pg_restore', '-l'], input=ours, capture_output=True, check=True).stdout.decode()
    assert 'TABLE DATA public songs postgres' in listing


def test_what_is_in_a_part_of_a_dump(world, docker):
    start(docker)
    configure(world, docker)
    world.ok('run', 'job')
    docker.exec('db', 'createdb', '-U', 'postgres', 'part')
    world.ok('restore', 'job', 'app:music.dump', '--set', 'database=part', '--set', 'section=schema')
    assert docker.sql('db', 'SELECT count(*) FROM songs', 'part') == ['0']
    world.ok('restore', 'job', 'app:music.dump', '--set', 'database=part', '--set', 'section=data')
    assert docker.sql('db', 'SELECT count(*) FROM songs', 'part') == ['2000']
    world.ok('restore', 'job', 'app:music.dump', '--set', 'database=table', '--set', 'tables=public.songs')
    assert docker.sql('db', 'SELECT count(*) FROM songs', 'table') == ['2000']


def test_a_statement_that_fails_is_named(world, docker):
    """And the live database is as it was."""
    start(docker)
    docker.sql('db', 'CREATE FUNCTION f(int) RETURNS int LANGUAGE sql IMMUTABLE AS $$ SELECT id FROM songs WHERE id = $1 $$; '
                     'CREATE TABLE checked (a int CHECK (f(a) > 0)); INSERT INTO checked VALUES (1)', 'music')
    configure(world, docker)
    world.ok('run', 'job')
    before = dump(docker, 'db')
    result = world.fails(FAILED, 'restore', 'job', 'app', '--in-place', '--yes')
    assert 'relation "songs" does not exist' in result.err and 'fill database' in result.err, result
    assert dump(docker, 'db') == before
    assert docker.sql('db', "SELECT datname FROM pg_database WHERE datname ~ '^[0-9]'") == [] and left(docker) == []


def test_all_databases_and_the_roles(world, docker):
    start(docker)
    docker.sql('db', "CREATE ROLE reader LOGIN PASSWORD 'x'; CREATE DATABASE other")
    configure(world, docker, database=None, databases='*')
    world.ok('run', 'job')
    assert {'music.dump', 'other.dump', 'postgres.dump', 'globals.json', 'globals.sql'} == \
        {path.name for path in (world.restored() / 'app').iterdir()}
    first = world.snapshots()[0]
    docker('rm', '-f', 'db')
    docker.postgres('db', 'pg15')
    # A server made anew is another one: that is what the system identifier says.
    result = world('run', 'job')
    assert result.status == 3 and 'postgres.system_identifier' in result.err, result
    world.ok('restore', f'job@{first}', 'app', '--in-place', '--yes')
    assert docker.sql('db', 'SELECT count(*) FROM songs', 'music') == ['2000']
    assert docker.sql('db', "SELECT rolpassword LIKE 'SCRAM-SHA-256%' FROM pg_authid WHERE rolname = 'reader'") == ['t']


@pytest.mark.parametrize('image', [pytest.param('pg15', marks=pytest.mark.long), 'pg17'])
def test_a_server_of_any_version(world, docker, image):
    """This machine has the programs of version 15 alone; those of the container always fit."""
    start(docker, image=image)
    configure(world, docker)
    before = dump(docker, 'db')
    assert f"'pg_dump' of the container is of version {image[2:]}" in world.ok('check').text
    world.ok('run', 'job')
    world.ok('restore', 'job', 'app', '--in-place', '--yes')
    assert dump(docker, 'db') == before
    source(world, docker, tools='host')
    if image == 'pg17':
        result = world.fails(BAD_CONFIG, 'run', 'job')
        assert 'is of version 15' in result.err and 'postgresql-client-17' in result.err and 'tools = container' in result.err, result
    else:
        world.ok('run', 'job')


# ---- finding it ----

def test_what_check_says(world, docker):
    start(docker)
    configure(world, docker)
    result = world.ok('check', 'app')
    digest = docker.inspect('db')['Image']
    assert f"container 'db' runs, of image 'pg15' ({digest}): its network was entered" in result.text
    assert 'connected to PostgreSQL 15' in result.text and "'pg_restore' of the container is of version 15" in result.text
    world.ok('run', 'job')
    assert facts(world)['container'] == 'db' and facts(world)['container.image'] == digest
    assert 'postgres.system_identifier' in facts(world)


def test_made_anew_with_another_address(world, docker):
    """As `docker compose down` and `up` do it; somebody else has the old address."""
    docker.network('net')
    start(docker, 'db', 'pg15', '--network=net', volume='data')
    configure(world, docker)
    world.ok('run', 'job')
    before, address = dump(docker, 'db'), docker.ip('db')
    docker('rm', '-f', 'db')
    docker.run('other', 'tiny', '--network=net')
    assert docker.ip('other') == address
    docker.postgres('db', 'pg15', '--network=net', volume='data')
    assert docker.ip('db') != address
    world.ok('run', 'job')
    world.ok('restore', 'job', 'app', '--in-place', '--yes')
    assert dump(docker, 'db') == before


def test_by_project_and_service(world, docker):
    labels = ('--label=com.docker.compose.project=echo', '--label=com.docker.compose.service=postgres')
    start(docker, 'echo-postgres-1', 'pg15', *labels)
    configure(world, docker, container='echo/postgres')
    world.ok('run', 'job')
    assert facts(world)['container'] == 'echo-postgres-1'
    source(world, docker, container='echo/web')
    result = world.fails(FAILED, 'run', 'job')
    assert 'echo/web' in result.err, result


@pytest.mark.parametrize('network', ['none', pytest.param('bridge', marks=pytest.mark.long), 'container:other', pytest.param('host', marks=pytest.mark.long)])
def test_networks(world, docker, network):
    docker.network('net')
    docker.run('other', 'tiny', '--network=net')
    port = 5999 if network == 'host' else 5432
    docker.image('pg15')
    docker('run', '-d', '--name', 'db', f'--network={network.replace("bridge", "net")}', '-e', 'POSTGRES_PASSWORD=x',
           '-e', f'PGPORT={port}', 'pg15', 'postgres', '-p', port)
    docker.wait_for_postgres('db')
    docker.exec('db', 'createdb', '-U', 'postgres', 'music')
    docker.sql('db', MUSIC, 'music')
    configure(world, docker, port=port)
    world.ok('check')
    world.ok('run', 'job')
    world.ok('restore', 'job', 'app:music.dump', '--set', 'database=copy')
    assert docker.sql('db', 'SELECT count(*) FROM songs', 'copy') == ['2000']


STATES = {'exited': ("container 'db' does not run: it is exited", 'docker start db', 'wait = 60s'),
          'created': ("container 'db' does not run: it is created", 'docker start db', 'wait = 60s'),
          'paused': ("container 'db' does not run: it is paused", 'docker unpause db')}


@pytest.mark.parametrize('state', STATES)
def test_one_that_does_not_run(world, docker, state):
    if state == 'created':
        docker.create('db', 'pg15')
    else:
        docker.postgres('db', 'pg15')
        docker('pause' if state == 'paused' else 'stop', 'db')
    configure(world, docker)
    for words in (('run', 'job'), ('check', 'app')):
        result = world.fails(FAILED, *words)
        for text in STATES[state]:
            assert text in result.text, result
    if state == 'paused':
        docker('unpause', 'db')


def test_one_that_is_not_there(world, docker):
    docker.run('redis', 'tiny')
    configure(world, docker)
    for words in (('run', 'job'), ('check', 'app')):
        result = world.fails(FAILED, *words)
        assert "'db'" in result.text and 'redis' in result.text, result


@pytest.mark.parametrize('words', [pytest.param(('check', 'app'), marks=pytest.mark.long), ('run', 'job')])
def test_one_that_is_starting_is_waited_for(world, docker, words):
    start(docker)
    docker('stop', 'db')
    configure(world, docker, wait='60s')
    process = subprocess.Popen(world.command(*words), env=CLEAN, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                               stderr=subprocess.STDOUT, text=True)
    said = ''
    while 'it is exited' not in said:
        line = process.stdout.readline()
        assert line, said
        said += line
    docker('start', 'db')
    said += process.communicate(timeout=90)[0]
    assert process.returncode == 0, said


def test_one_that_listens_elsewhere(world, docker):
    start(docker)
    configure(world, docker, port=5433)
    result = world.fails(FAILED, 'run', 'job')
    assert "container 'db' runs, but nothing in it listens there" in result.err, result


# ---- who may ----

def demanding(docker, password=PASSWORD, **options):
    """A server that lets nobody in by address without a password, itself included."""
    start(docker, **options)
    docker.sql('db', f'ALTER ROLE postgres PASSWORD $pw${password}$pw$')
    docker.exec('db', 'sed', '-i', 's/^host.*127.0.0.1.*trust/host all all 127.0.0.1\\/32 scram-sha-256/', '/var/lib/postgresql/data/pg_hba.conf')
    docker.sql('db', 'SELECT pg_reload_conf()')


@pytest.fixture
def secret(world):
    path = world.base / 'secret'
    path.write_text(PASSWORD)
    path.chmod(0o600)
    return f'@file:{path}'


@pytest.mark.parametrize('tools', ['container', pytest.param('host', marks=pytest.mark.long)])
def test_a_password(world, docker, secret, tools):
    demanding(docker)
    configure(world, docker, tools=tools)
    result = world.fails(12, 'run', 'job')
    assert 'set password or passfile' in result.err, result
    source(world, docker, tools=tools, password=secret)
    with docker.busy('events', '--filter', 'event=exec_create', '--format', '{{.Action}}') as events:
        time.sleep(0.3)
        world.ok('run', 'job')
        world.ok('restore', 'job', 'app:music.dump', '--set', 'database=copy')
        events.terminate()
        said = events.stdout.read().decode()
    # The daemon shows everybody what is run in a container.
    assert ('pg_dump' in said) == (tools == 'container') and 's3cr' not in said, said
    assert docker.sql('db', 'SELECT count(*) FROM songs', 'copy') == ['2000']
    assert left(docker) == []


@pytest.mark.parametrize('place', [pytest.param('/tmp', marks=pytest.mark.long), None])
def test_a_password_where_little_can_be_written(world, docker, secret, place):
    """Without /dev/shm, and with nothing but what a server needs; then without a place for the password, too."""
    demanding(docker, volume='data')
    docker('rm', '-f', 'db')
    docker('run', '-d', '--name=db', '--network=none', '--read-only', '--ipc=none', '--tmpfs=/run/postgresql:uid=999', '--volume=data:/var/lib/postgresql/data',
           *([f'--tmpfs={place}'] if place else []), 'pg15', 'postgres', '-c', 'dynamic_shared_memory_type=mmap')
    wait_until(lambda: docker.run_in('db', 'psql', '-U', 'postgres', '-c', 'SELECT').returncode == 0, 'the server')
    configure(world, docker, password=secret)
    result = world('run', 'job')
    assert result.status == (0 if place else FAILED), result
    assert place or ('Read-only file system' in result.err and 's3cr' not in result.err), result
    assert left(docker) == []


# ---- programs ----

def test_an_image_without_pg_dump(world, docker):
    start(docker)
    docker.exec('db', 'sh', '-c', 'rm -f /usr/lib/postgresql/15/bin/pg_dump /usr/bin/pg_dump')
    configure(world, docker)
    for words in (('run', 'job'), ('check', 'app')):
        result = world.fails(FAILED, *words)
        assert "container 'db' has no pg_dump" in result.text and 'tools = host' in result.text, result
    source(world, docker, tools='host')
    world.ok('run', 'job')


@pytest.mark.parametrize('fault, said', [pytest.param('kill -9 $$', 'killed by signal 9', marks=pytest.mark.long),
                                         ('exec REAL "$@" | head -c 5000', 'ends early'),
                                         pytest.param('echo "pg_dump: error: odd" >&2; exit 1', 'odd', marks=pytest.mark.long),
                                         ('REAL "$@"; echo >&2 strange', 'strange')])
def test_pg_dump_in_there_fails(world, docker, fault, said):
    start(docker)
    real = '/usr/lib/postgresql/15/bin/pg_dump'
    script = f'#!/bin/sh\n[ "$1" = --version ] && exec {real}.real --version\n{fault.replace("REAL", real + ".real")}\n'
    docker.exec('db', 'mv', real, f'{real}.real')
    docker.exec('db', 'sh', '-c', f'cat >{real} && chmod 755 {real}', text=script)
    configure(world, docker)
    result = world('run', 'job')
    assert result.status in (FAILED, 3) and said in result.err, result


def test_the_daemon_goes_away_meanwhile(world, docker):
    start(docker)
    docker.sql('db', "CREATE TABLE much AS SELECT n, repeat(md5(n::text), 30) FROM generate_series(1, 60000) n", 'music')
    with DockerProxy(docker.socket) as proxy:
        configure(world, docker, docker=proxy.address)
        proxy.fault('POST', '/exec/.*/start', cut(3 << 20), after=2)
        result = world('run', 'job')
        assert result.status in (FAILED, 3) and 'music' in result.err, result
        proxy.well()
        world.ok('run', 'job')
    wait_until(lambda: left(docker) == [], 'nothing left')


# ---- interrupted ----

@contextmanager
def held(docker):
    """A table is locked, so pg_dump waits. Who was started by `docker exec` stays when that is killed."""
    with docker.busy('exec', 'db', 'psql', '-U', 'postgres', '-d', 'music', '-c', 'BEGIN', '-c', 'LOCK TABLE held', '-c',
                     'SELECT pg_sleep(600)'):
        wait_until(lambda: docker.sql('db', "SELECT count(*) FROM pg_locks WHERE mode = 'AccessExclusiveLock' AND granted "
                                            "AND relation > 16384") != ['0'], 'a lock')
        yield
        docker.sql('db', "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE query ~ '^SELECT pg_sleep'")


def started(world, *words):
    return subprocess.Popen(world.command(*words), env=CLEAN, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL,
                            stderr=subprocess.PIPE, text=True)


def wait_for_the_lock(docker):
    wait_until(lambda: docker.sql('db', "SELECT count(*) FROM pg_stat_activity WHERE wait_event_type = 'Lock'") == ['1'], 'pg_dump waits')


def test_killed_in_the_middle(world, docker, secret):
    """Nothing is left in the container when cofre has been started again: no program, no file, no session."""
    demanding(docker)
    docker.sql('db', 'CREATE TABLE held (a int)', 'music')
    configure(world, docker, password=secret)
    with held(docker):
        process = started(world, 'run', 'job')
        wait_for_the_lock(docker)
        kill_with_watchdog(process)
        assert any('pg_dump' in line for line in left(docker))
    world.ok('check', 'app')
    wait_until(lambda: left(docker) == [], 'nothing is left', 10)
    world.ok('run', 'job')


def test_killed_beside_its_watchdog(world, docker):
    """That needs no other start."""
    start(docker)
    docker.sql('db', 'CREATE TABLE held (a int)', 'music')
    configure(world, docker)
    with held(docker):
        process = started(world, 'run', 'job')
        wait_for_the_lock(docker)
        process.kill()
        process.wait()
        wait_until(lambda: left(docker) == [], 'nothing is left', 10)


def test_cancelled_in_the_middle(world, docker):
    """SIGTERM: the program in the container ends with us."""
    start(docker)
    docker.sql('db', 'CREATE TABLE held (a int)', 'music')
    configure(world, docker)
    with held(docker):
        process = started(world, 'run', 'job')
        wait_for_the_lock(docker)
        process.terminate()
        said = process.communicate(timeout=60)[1]
        assert process.returncode != 0, said
        wait_until(lambda: left(docker) == [], 'nothing is left', 10)


def test_killed_restore(world, docker, secret):
    """The next start removes what was half filled, and ends who fills it."""
    demanding(docker)
    body = 'FUNCTION slow(n int) RETURNS int IMMUTABLE LANGUAGE plpgsql AS $$ BEGIN %s RETURN n; END $$'
    for statement in ('CREATE ' + body % '', 'CREATE TABLE held AS SELECT 1 AS n', 'CREATE INDEX ON held (slow(n))',
                      'CREATE OR REPLACE ' + body % 'PERFORM pg_catalog.pg_sleep(120);'):  # pg_restore waits when it makes the index
        docker.sql('db', statement, 'music')
    configure(world, docker, password=secret)
    before = docker.sql('db', 'SELECT datname FROM pg_database ORDER BY 1')
    world.ok('run', 'job')
    process = started(world, 'restore', 'job', 'app', '--in-place', '--yes')
    wait_until(lambda: any('pg_restore' in line for line in left(docker)), 'pg_restore')
    kill_with_watchdog(process)
    world.ok('check', 'app')
    wait_until(lambda: left(docker) == [], 'nothing is left', 10)
    assert docker.sql('db', 'SELECT datname FROM pg_database ORDER BY 1') == before


# ---- without entering ----

def in_network_of(docker, name, *command):
    """As in a container of that network: root, but with nothing of what entering another one takes."""
    pid = docker.inspect(name)['State']['Pid']
    return execute(['nsenter', '-t', pid, '-n', 'setpriv', '--bounding-set=-sys_admin', '--inh-caps=-sys_admin', *command])


def test_by_an_address_in_a_common_network(world, docker):
    docker.network('net')
    start(docker, 'db', 'pg15', '--network=net')
    docker.run('ours', 'tiny', '--network=net')
    docker.run('theirs', 'tiny', '--network=none')
    path = world.base / 'secret'
    path.write_text('secret')
    path.chmod(0o600)
    configure(world, docker, password=f'@file:{path}')
    result = in_network_of(docker, 'ours', *world.command('check', 'app'))
    assert result.status == 0 and f"it is at {docker.ip('db')} in network 'net'" in result.text, result
    for words in (('run', 'job'), ('restore', 'job', 'app:music.dump', '--set', 'database=copy')):
        result = in_network_of(docker, 'ours', *world.command(*words))
        assert result.status == 0, result
    assert docker.sql('db', 'SELECT count(*) FROM songs', 'copy') == ['2000']
    result = in_network_of(docker, 'theirs', *world.command('run', 'job'))
    assert result.status == FAILED and 'docker network connect' in result.err, result


def test_a_daemon_elsewhere_proves_nothing(world, docker):
    """Its container's address is that of another one here."""
    docker.network('net')
    start(docker, 'db', 'pg15', '--network=net')
    with DockerProxy(docker.socket, tcp=True) as proxy:
        configure(world, docker, docker=proxy.address)
        for words in (('run', 'job'), ('check', 'app')):
            result = world.fails(FAILED, *words)
            assert 'nothing proves that we are in a network of it' in result.text and docker.ip('db') in result.text, result


# ---- configuration ----

def test_host_and_container(world, docker):
    configure(world, docker)
    source(world, docker, host='127.0.0.1')
    for words in (('run', 'job'), ('check', 'app'), ('check', '--offline')):
        assert "options 'container' and 'host' exclude each other" in world.fails({BAD_CONFIG, FAILED}, *words).text


def test_another_server_for_one_restore(world, docker):
    """--set container= takes the section's away."""
    docker.network('net')
    start(docker, 'db', 'pg15', '--network=net')
    docker.postgres('second', 'pg15', '--network=net')
    configure(world, docker)
    world.ok('run', 'job')
    world.ok('restore', 'job', 'app', '--in-place', '--yes', '--set', 'container=second')
    assert docker.sql('second', 'SELECT count(*) FROM songs', 'music') == ['2000']
