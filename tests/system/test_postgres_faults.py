"""What goes wrong with a PostgreSQL source is named, and nothing half is ever committed, nothing live is ever lost."""
import contextlib
import os
import random
import signal
import socket
import subprocess
import threading
import time
from pathlib import Path

import pytest

from support.cli import BAD_CONFIG, CLEAN, DONE, FAILED, INCOMPLETE, WRONG_KEY
from support.postgres import BIN, PASSWORD, cluster, running_cluster, tools  # noqa: F401
from support.tree import plain_tree
from support.watchdog import kill_with_watchdog


def fill(cluster, name='gym', rows=2000):
    return cluster.create(name, f"CREATE TABLE t AS SELECT i, repeat(md5(i::text), 8) AS x FROM generate_series(1, {rows}) i; "
                                'CREATE TABLE u AS SELECT 1 AS a; CREATE INDEX ON t (x)')


def check_nothing_half(world, cluster, name='gym', known=()):
    """Every snapshot that there is has the whole database."""
    for snapshot in set(world.snapshots()) - set(known):
        listing = world('ls', f'job@{snapshot}').out
        if f'db:{name}.dump' not in listing:
            continue
        into = world.base / f'look-{snapshot}'
        restored = world('restore', f'job@{snapshot}', f'db:{name}.dump', '--into', into)
        dump = into / 'db' / f'{name}.dump'
        if restored.status == DONE and dump.exists():
            done = subprocess.run([BIN / 'pg_restore', '-f', '/dev/null', dump], capture_output=True, check=False)
            assert done.returncode == 0, done.stderr


def one_error(result, *words):
    for word in words:
        assert word in result.err, result
    assert 'hint:' in result.err, result


@pytest.mark.sample
def test_other_sources_still_run(world, cluster, tmp_path):
    fill(cluster)
    world.source('tree', plain_tree(tmp_path / 'tree'))
    cluster.world(world, database='missing')
    world.job(sources='db, tree')
    result = world.fails(INCOMPLETE, 'run', 'job')
    one_error(result, "source 'db'", 'database "missing" does not exist')
    assert 'tree:' in world.ok('ls', 'job').out and 'db:' not in world.ok('ls', 'job').out


@pytest.mark.parametrize('options, status, words', [
    ({'database': 'missing'}, FAILED, ('database "missing" does not exist',)),
    ({'user': 'nobody_here'}, WRONG_KEY, ('role "nobody_here" does not exist',)),
    ({'host': '127.0.0.1'}, WRONG_KEY, ('no password supplied', 'PGPASSWORD')),
    ({'port': 1, 'host': '127.0.0.1'}, FAILED, ('Connection refused',)),
    ({'host': '/nowhere'}, FAILED, ('/nowhere/.s.PGSQL', 'is the server running')),
    ({'host': '192.0.2.1'}, BAD_CONFIG, ("'192.0.2.1'", "sslmode 'prefer'", 'verify-full', 'allow_unverified')),
    ({'host': '192.0.2.1', 'sslmode': 'require'}, BAD_CONFIG, ("sslmode 'require'",)),
    ({'host': '127.0.0.1,192.0.2.1'}, BAD_CONFIG, ('not on this machine',)),
    ({'host': '192.0.2.1', 'allow_unverified': 'yes', 'connect_timeout': '1s'}, FAILED, ('connect',)),
    ({'sslmode': 'nonsense'}, FAILED, ('invalid sslmode value',)),
    ({'databases': '*'}, BAD_CONFIG, ("'database' and 'databases' exclude each other",)),
    ({'bin_dir': '/nowhere'}, FAILED, ("pg_dump of version 15 or newer was not found in '/nowhere'", 'postgresql-client-15')),
    ({'schemas': 'missing'}, FAILED, ('no matching schemas were found',)),
    ({'max_size': '1KiB'}, FAILED, ('more than 1024 bytes', 'max_size is how large')),
])
def test_what_cannot_work_is_named(world, cluster, options, status, words):
    fill(cluster)
    cluster.world(world, **{'database': 'gym'} | options)
    result = world.fails(status, 'run', 'job')
    for word in words:
        assert word in result.err, result
    assert world.snapshots() == []


def test_wrong_password(world, cluster):
    fill(cluster)
    secret = world.base / 'secret'
    secret.write_text('wrong')
    secret.chmod(0o600)
    cluster.world(world, database='gym', host='127.0.0.1', password=f'@file:{secret}')
    one_error(world.fails(WRONG_KEY, 'run', 'job'), 'password authentication failed for user "postgres"')
    assert 'ERROR' in world('check').text.upper()


def test_tables_that_may_not_be_read(world, cluster):
    fill(cluster)
    cluster.sql('CREATE ROLE backup LOGIN; GRANT SELECT ON t TO backup', 'gym')
    cluster.world(world, database='gym', user='backup', globals='no')
    one_error(world.fails(FAILED, 'run', 'job'), 'permission denied for table u', 'pg_read_all_data')
    one_error(world.fails(FAILED, 'check'), "database 'gym': the user may not read public.u")
    cluster.sql('GRANT pg_read_all_data TO backup')
    world.ok('run', 'job')
    # Row security would leave out rows in silence.
    cluster.sql('ALTER TABLE u ENABLE ROW LEVEL SECURITY', 'gym')
    one_error(world.fails(FAILED, 'run', 'job'), 'row-level security', 'BYPASSRLS')
    one_error(world.fails(FAILED, 'check'), "row security hides rows of public.u")
    assert len(world.snapshots()) == 1


def test_database_that_fails_leaves_the_others(world, cluster):
    fill(cluster, 'bad')
    fill(cluster, 'good')
    cluster.sql('CREATE ROLE backup LOGIN; GRANT pg_read_all_data TO backup; REVOKE CONNECT ON DATABASE bad FROM PUBLIC')
    cluster.world(world, databases='bad, good', user='backup', globals='no')
    result = world.fails(INCOMPLETE, 'run', 'job')
    assert "'bad.dump'" in result.err and 'permission denied for database "bad"' in result.err
    world.ok('restore', 'job', 'db:good.dump', '--set', 'database=copy', '--set', 'user=postgres')
    assert cluster.checksums('copy') == cluster.checksums('good')
    result = world.fails({FAILED, INCOMPLETE}, 'restore', 'job', 'db:bad.dump', '--set', 'database=copy2', '--set', 'user=postgres')
    assert 'not readable' in result.err and 'copy2' not in cluster.databases()


def test_locked_table(world, cluster):
    fill(cluster)
    cluster.world(world, database='gym', lock_timeout='1s')
    with cluster.session('gym', 'BEGIN; LOCK TABLE u IN ACCESS EXCLUSIVE MODE'):
        one_error(world.fails(FAILED, 'run', 'job'), 'LOCK TABLE public.u', 'lock_timeout')
    world.ok('run', 'job')
    assert cluster.sessions() == []


# What a pg_dump might do that is broken, killed, or older than the disk is full. The first column is a script.
BROKEN = {
    'half and success': ('REAL "$@" | head -c 60000', ('ends early', "dump database 'gym'")),
    'nothing and success': ('exit 0', ('table of contents',)),
    'less by one byte': ('REAL "$@" >$0.out; head -c -1 $0.out', ('ends early',)),
    'one byte more': ('REAL "$@"; printf "\\1"', ('ends early',)),
    'something else': ('echo "-- PostgreSQL database dump"', ('does not begin as a dump does',)),
    'a block twice': ('REAL "$@" >$0.out; cat $0.out; tail -c 1000 $0.out', ('not sound',)),
    'all of it and failure': ('REAL "$@"; exit 3', ('status 3',)),
    'half and an error': ('REAL "$@" | head -c 60000; echo "pg_dump: error: disk on fire" >&2; exit 1', ('disk on fire',)),
    'killed': ('REAL "$@" | head -c 60000; kill -9 $$', ('killed by signal 9',)),
    'a row less': ("REAL \"$@\" | /usr/bin/python3 -c 'if True:\n import sys, hashlib, struct\n"
                   ' row = b"7\\t" + hashlib.md5(b"7").hexdigest().encode() * 8 + b"\\n"\n'
                   ' piece = struct.pack("<BI", 0, len(row)) + row\n'
                   " sys.stdout.buffer.write(sys.stdin.buffer.read().replace(piece, b\"\", 1))'", ('it has 1999 rows', 'server counted 2000')),
    'another moment': ('args=(); for a; do case $a in --snapshot=*) ;; *) args+=("$a");; esac; done; '
                       'PSQL -d gym -c "INSERT INTO u VALUES (2)" >/dev/null; REAL "${args[@]}"', ('the server counted 1',)),
}


@pytest.mark.parametrize('name', BROKEN)
def test_dumps_that_are_not_whole_are_not_kept(world, cluster, tools, name):
    fill(cluster)
    script, words = BROKEN[name]
    psql = f'{BIN}/psql -X -q -h {cluster.sockets} -p {cluster.port} -U postgres'
    cluster.world(world, database='gym', bin_dir=tools('pg_dump', script.replace('PSQL', psql)))
    result = world.fails(FAILED, 'run', 'job')
    for word in words:
        assert word in result.err, result
    assert world.snapshots() == []
    assert cluster.sessions() == []


def test_remarks_of_pg_dump_make_the_snapshot_incomplete(world, cluster, tools):
    fill(cluster)
    cluster.world(world, database='gym', bin_dir=tools('pg_dump', 'REAL "$@"; echo "pg_dump: warning: something is odd" >&2'))
    result = world.fails(INCOMPLETE, 'run', 'job')
    assert "'gym.dump'" in result.err and 'something is odd' in result.err
    world.ok('restore', 'job', 'db:gym.dump', '--set', 'database=copy')
    assert cluster.checksums('copy') == cluster.checksums('gym')


def test_foreign_keys_in_a_circle_are_no_remark(world, cluster):
    cluster.create('gym', 'CREATE TABLE a (id int PRIMARY KEY, b int); CREATE TABLE b (id int PRIMARY KEY, a int REFERENCES a); '
                          'ALTER TABLE a ADD FOREIGN KEY (b) REFERENCES b')
    cluster.world(world, database='gym')
    world.ok('run', 'job')


def test_older_programs_are_refused(world, cluster, tools):
    fill(cluster)
    place = tools('pg_dump', '')
    (place / 'pg_dump').write_text('#!/bin/sh\necho "pg_dump (PostgreSQL) 13.4"\n')
    cluster.world(world, database='gym', bin_dir=place)
    one_error(world.fails(BAD_CONFIG, 'run', 'job'), 'is of version 13.4, and the server of version 15', 'postgresql-client-15')


def test_names_are_never_commands(world, cluster, tmp_path):
    """Nothing on the way is a shell, and nothing that was stored is run as SQL."""
    name = f"a';touch {tmp_path}/x;$(touch {tmp_path}/y) \\ \"b"[:60]
    cluster.run('createdb', name)
    cluster.sql('CREATE TABLE "t\'; SELECT 1/0; --" AS SELECT 1 AS a', name)
    cluster.sql("""CREATE ROLE "r'; SELECT 1/0; --" LOGIN PASSWORD 'p'; ALTER ROLE "r'; SELECT 1/0; --" SET search_path TO 'a''; --'""")
    cluster.world(world, databases='*')
    sums = cluster.checksums(name)
    world.ok('run', 'job')
    cluster.sql('DROP ROLE "r\'; SELECT 1/0; --"')
    world.ok('restore', 'job', 'db', '--in-place', '--yes', '--set', 'drop_old=yes')
    assert cluster.checksums(name) == sums
    assert cluster.sql("SELECT rolconfig FROM pg_roles WHERE rolname LIKE 'r''%'") == ['''{"search_path=\\"a'; --\\""}''']
    assert not (tmp_path / 'x').exists() and not (tmp_path / 'y').exists()


# ---- restores that fail ----

@pytest.mark.parametrize('script, word', [
    ('exit 1', 'status 1'), ('kill -9 $$', 'signal 9'), ('REAL "$@"; echo "pg_restore: warning: odd" >&2', 'odd'),
    ('REAL "$@"; PSQL -d "$(PSQL -Atd postgres -c "SELECT datname FROM pg_database WHERE datname LIKE \'cofre%\'")" '
     '-c "DELETE FROM t WHERE i = 1"', "table 'public.t' has 1999 rows, and the snapshot says 2000"),
    ('REAL "$@" --schema-only', "has 0 rows, and the snapshot says")])
def test_failed_restore_leaves_the_live_database(world, cluster, tools, script, word):
    fill(cluster)
    cluster.world(world, database='gym')
    world.ok('run', 'job')
    cluster.sql('CREATE TABLE newer AS SELECT 1 AS a', 'gym')
    before, databases = cluster.dump('gym', '-C'), cluster.databases()
    psql = f'{BIN}/psql -X -q -h {cluster.sockets} -p {cluster.port} -U postgres'
    cluster.source(world, database='gym', bin_dir=tools('pg_restore', script.replace('PSQL', psql)))
    result = world.fails({FAILED, INCOMPLETE, 13}, 'restore', 'job', 'db:gym.dump', '--in-place', '--yes')
    assert word in result.err, result
    assert cluster.dump('gym', '-C') == before and cluster.databases() == databases


def test_no_room_for_the_dump(world, cluster, tmpfs):
    fill(cluster, rows=30000)
    cluster.world(world, database='gym')
    world.ok('run', 'job')
    before = cluster.dump('gym')
    small = tmpfs('small', 'size=1m')
    result = world.fails({FAILED, INCOMPLETE}, 'restore', 'job', 'db:gym.dump', '--in-place', '--yes', '--set', f'stage_dir={small}')
    assert 'No space left' in result.err and 'stage_dir' in result.err
    assert cluster.dump('gym') == before and cluster.databases() == ['gym', 'postgres'] and not list(small.iterdir())


def databases_of_ours(cluster):
    return [name for name in cluster.databases() if name.startswith('cofre')]


@pytest.mark.parametrize('words', [('--in-place', '--yes'), ('--set', 'database=new')])
def test_killed_restore_is_cleaned_up_by_the_next_start(world, cluster, tools, words):
    fill(cluster)
    cluster.world(world, database='gym')
    world.ok('run', 'job')
    before = cluster.dump('gym', '-C')
    cluster.source(world, database='gym', bin_dir=tools('pg_restore', 'REAL "$@"; sleep 60'))
    process = subprocess.Popen(world.command('restore', 'job', 'db:gym.dump', *words), env=CLEAN, stdin=subprocess.DEVNULL,
                               stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    for _ in range(200):
        if databases_of_ours(cluster):
            break
        time.sleep(0.05)
    kill_with_watchdog(process)
    assert databases_of_ours(cluster)
    cluster.source(world, database='gym')
    world.ok('run', 'job')
    assert cluster.databases() == ['gym', 'postgres'] and list((world.base / 'state').glob('holds/*')) == []
    assert cluster.dump('gym', '-C') == before


@pytest.mark.parametrize('number', [signal.SIGTERM, signal.SIGKILL])
def test_ended_run_leaves_nothing(world, cluster, tools, number):
    """No snapshot of the repository, and no session that holds a snapshot of the database open."""
    fill(cluster)
    mark = world.base / 'mark'
    cluster.world(world, database='gym', bin_dir=tools('pg_dump', f'REAL "$@" | head -c 50000; touch {mark}; sleep 60'))
    process = subprocess.Popen(world.command('run', 'job'), env=CLEAN, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL,
                               stderr=subprocess.DEVNULL)
    while not mark.exists() and process.poll() is None:
        time.sleep(0.02)
    assert cluster.sessions() != []
    process.send_signal(number)
    assert process.wait(timeout=20) in (128 + number, -number)
    assert world.snapshots() == []
    for _ in range(50):
        if cluster.sessions() == []:
            break
        time.sleep(0.1)
    assert cluster.sessions() == []


# ---- the server goes away ----

SLOW = 'REAL "$@" | {{ head -c {after}; touch {mark}; until [ -e {mark}-done ]; do sleep 0.02; done; cat; }}; exit ${{PIPESTATUS[0]}}'


def run_and(world, cluster, tools, after, what):
    """Run; when so many bytes of the dump have passed, do `what`. The pipe of pg_dump is then full, and it waits."""
    mark = world.base / f'mark-{after}-{random.random()}'
    place = tools('pg_dump', SLOW.format(after=after, mark=mark))
    cluster.source(world, database='gym', bin_dir=place)
    process = subprocess.Popen(world.command('run', 'job'), env=CLEAN, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                               stderr=subprocess.STDOUT, text=True)
    while not mark.exists() and process.poll() is None:
        time.sleep(0.005)
    what()
    Path(f'{mark}-done').touch()
    text = process.communicate(timeout=60)[0]
    return process.returncode, text


def end_dump_session(cluster):
    cluster.sql("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE application_name = 'pg_dump'")


def end_our_session(cluster):
    cluster.sql("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE application_name ~ '^cofre'")


def kill_dump(cluster):
    lines = subprocess.run(['ps', '-eo', 'pid,args'], capture_output=True, text=True, check=True).stdout.splitlines()
    ours = [line for line in lines if f'{BIN}/pg_dump --' in line and str(cluster.sockets) in line and 'bash' not in line]
    assert ours
    for line in ours:
        os.kill(int(line.split()[0]), signal.SIGKILL)


FAULTS = {'session ended': end_dump_session, 'our session ended': end_our_session, 'pg_dump killed': kill_dump,
          'server stopped': lambda cluster: cluster.stop('immediate')}


def one_fault(world, cluster, tools, fault, after):
    known = world.snapshots()
    status, text = run_and(world, cluster, tools, after, lambda: FAULTS[fault](cluster))
    if fault == 'server stopped':
        cluster.start()
    # Without our session there are no counts, and all the rest.
    counts_lost = fault == 'our session ended' and status == INCOMPLETE and 'whole, but for a count' in text
    assert status in (DONE, FAILED) or counts_lost, text
    new = set(world.snapshots()) - set(known)
    assert bool(new) == (status == DONE or counts_lost), text
    if status == FAILED:
        assert 'hint:' in text, text
    check_nothing_half(world, cluster, known=known)
    return status


@pytest.mark.parametrize('fault', FAULTS)
def test_server_that_goes_away(world, cluster, tools, fault):
    fill(cluster, rows=60000)
    cluster.world(world, database='gym')
    # Ours may or may not have seen by then that pg_dump has its locks.
    assert one_fault(world, cluster, tools, fault, 100000) == FAILED or fault == 'our session ended'
    cluster.source(world, database='gym')
    world.ok('run', 'job')


class Proxy:
    """Between cofre and the server: cuts all connections when so many bytes have come from the server."""

    def __init__(self, port, most):
        self.port_behind, self.left, self.open = port, most, []
        self.lock, self.listener = threading.Lock(), socket.create_server(('127.0.0.1', 0))
        self.port = self.listener.getsockname()[1]
        threading.Thread(target=self.accept, daemon=True).start()

    def accept(self):
        while True:
            try:
                client = self.listener.accept()[0]
                server = socket.create_connection(('127.0.0.1', self.port_behind))
            except OSError:
                return
            self.open += [client, server]
            for one, other, counted in ((client, server, False), (server, client, True)):
                threading.Thread(target=self.pass_on, args=(one, other, counted), daemon=True).start()

    def pass_on(self, one, other, counted):
        try:
            while piece := one.recv(65536):
                with self.lock:
                    self.left -= len(piece) if counted else 0
                    if self.left < 0:
                        break
                other.sendall(piece)
        except OSError:
            pass
        if counted and self.left < 0:
            self.cut()
        for end in (one, other):
            with contextlib.suppress(OSError):
                end.shutdown(socket.SHUT_RDWR)

    def cut(self):
        for end in [self.listener, *self.open]:
            with contextlib.suppress(OSError):
                end.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b'\1\0\0\0\0\0\0\0')
                end.shutdown(socket.SHUT_RDWR)
                end.close()


def one_cut(world, cluster, most):
    secret = world.base / 'secret'
    secret.write_text(PASSWORD)
    secret.chmod(0o600)
    proxy, known = Proxy(cluster.port, most), world.snapshots()
    cluster.source(world, database='gym', host='127.0.0.1', port=proxy.port, password=f'@file:{secret}')
    result = world('run', 'job', timeout=60)
    left = proxy.left
    proxy.cut()
    assert result.status in (DONE, FAILED, INCOMPLETE), result
    check_nothing_half(world, cluster, known=known)
    if result.status != DONE:
        assert left < 0 and 'hint:' in result.err, result
    return result.status, most - left


def test_connection_cut(world, cluster):
    fill(cluster, rows=6000)
    cluster.world(world, database='gym')
    status, size = one_cut(world, cluster, 1 << 40)
    assert status == DONE and size > 6000 * 256
    for most in (3000, size // 2):
        assert one_cut(world, cluster, most)[0] == FAILED


@pytest.mark.long
def test_connection_cut_at_fifty_points(world, cluster):
    fill(cluster, rows=6000)
    cluster.world(world, database='gym')
    size = one_cut(world, cluster, 1 << 40)[1]
    ends = [one_cut(world, cluster, point * size // 50)[0] for point in range(50)]
    assert ends.count(DONE) == 0, ends


def test_server_stopped_while_restoring(world, cluster, tools):
    """The live database is as it was when the server is back, and what was half filled goes with the next start."""
    fill(cluster)
    cluster.world(world, database='gym')
    world.ok('run', 'job')
    before, mark = cluster.dump('gym', '-C'), world.base / 'mark'
    cluster.source(world, database='gym', bin_dir=tools('pg_restore', f'REAL "$@"; touch {mark}; sleep 2'))
    process = subprocess.Popen(world.command('restore', 'job', 'db:gym.dump', '--in-place', '--yes'), env=CLEAN,
                               stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
    while not mark.exists() and process.poll() is None:
        time.sleep(0.02)
    cluster.stop('immediate')
    text = process.communicate(timeout=60)[0]
    assert process.returncode in (FAILED, INCOMPLETE) and 'hint:' in text, text
    cluster.start()
    cluster.source(world, database='gym')
    world.ok('run', 'job')
    assert cluster.databases() == ['gym', 'postgres']
    assert cluster.dump('gym', '-C') == before


@pytest.mark.long
@pytest.mark.parametrize('fault', FAULTS)
def test_server_that_goes_away_at_fifty_points(world, cluster, tools, fault):
    fill(cluster, rows=60000)
    cluster.world(world, database='gym')
    size = 60000 * 268
    ends = [one_fault(world, cluster, tools, fault, point * size // 50 + 1) for point in range(50)]
    # Our own session is not needed any more once pg_dump has its locks.
    assert fault == 'our session ended' or ends.count(FAILED) >= 40, ends


@pytest.mark.long
@pytest.mark.parametrize('points', [200])
def test_dump_cut_anywhere(world, cluster, tools, points):
    fill(cluster, rows=500)
    cluster.world(world, database='gym')
    world.ok('run', 'job')
    whole = (world.restored() / 'db' / 'gym.dump').read_bytes()
    random.seed(4)
    for cut in sorted(random.sample(range(len(whole)), points)):
        (world.base / 'cut').write_bytes(whole[:cut])
        cluster.source(world, database='gym', row_counts='no', bin_dir=tools('pg_dump', f'cat {world.base}/cut'))
        world.fails(FAILED, 'run', 'job')
    assert len(world.snapshots()) == 1
