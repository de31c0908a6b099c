"""The redis source against real servers: what comes back is what was there at one moment, key by key."""
import os
import shutil
import signal
import socket
import subprocess
import threading
import time
from contextlib import closing

import pytest

from support import redis
from support.cli import BAD_CONFIG, CLEAN, DAMAGED, DONE, FAILED, INCOMPLETE, USAGE, WRONG_KEY
from support.faults import sample
from support.redis import Ancient, Pretender, Proxy, Writer, assert_same, fill, rdb, state, written
from support.redis_world import (ACL, KEYS, PASSWORD, SAVING, assert_primary, configure, emptied, in_place,  # noqa: F401
                                 listeners, rescues, restorable, restored_in_place, says, servers, user, vault)
from support.watchdog import kill_with_watchdog

NOTHING = {FAILED, DAMAGED}  # committed


# ---- there and back ----

def round_trip(vault, server, count, **options):
    fill(server, count)
    original = state(server)
    writer = Writer(server)
    configure(vault, server, **options)
    while writer.count == 0:
        time.sleep(0.01)
    before = writer.count
    vault.ok('run', 'job')
    after = writer.count + 50
    writer.end()
    emptied(server)
    fill(server, 60, seed=99, functions=4)
    other = state(server)
    restored_in_place(vault)
    assert_same(original, state(server))
    assert before <= written(server) <= after
    assert_primary(vault, server)
    return other


CONNECTIONS = {
    'aof, password': ({'password': PASSWORD, 'appendonly': 'yes'}, {}),
    'disk-based transfer': ({'repl_diskless_sync': 'no'}, {}),
    'socket': ({'password': PASSWORD}, {'port': None, 'socket': True}),
    'acl user': ({}, {'user': 'saver', 'password': 'secret'}),
    'no checksum': ({'rdbchecksum': 'no', 'rdbcompression': 'no'}, {}),
}


def connected(servers, name):
    """A server with the settings of CONNECTIONS, and the options of a source for it."""
    settings, options = CONNECTIONS[name]
    server = servers(**settings)
    if 'user' in options:
        user(server, 'saver', *ACL)
    if 'socket' in options:
        options = options | {'socket': server.socket}
    return server, settings, options


@pytest.mark.parametrize('name', CONNECTIONS)
def test_everything_comes_back(vault, servers, name):
    server, settings, options = connected(servers, name)
    other = round_trip(vault, server, 3000, **options)
    # What was replaced is kept, and can be loaded by a server that starts.
    rescue, = rescues(vault)
    assert rescue.stat().st_mode & 0o777 == 0o600
    second = servers('second', **{k: v for k, v in settings.items() if k.startswith('rdb')})
    second.stop()
    shutil.copy(rescue, second.directory / 'dump.rdb')
    second.start()
    assert_same(other, state(second))


@pytest.mark.parametrize('empty', [False, True])
def test_after_a_restore_the_data_outlives_a_crash(vault, servers, empty):
    server = servers(appendonly='yes')
    fill(server, KEYS)
    original = state(server)
    configure(vault, server)
    vault.ok('run', 'job')
    if empty:
        emptied(server)
    else:
        fill(server, KEYS, seed=2)
    restored_in_place(vault)
    server.stop(signal.SIGKILL)
    server.start()
    assert_same(original, state(server))


def test_into_another_server_and_into_a_directory(vault, servers, tmp_path):
    server = servers()
    fill(server, KEYS)
    configure(vault, server)
    vault.ok('run', 'job')
    vault.section('source app', plugin='redis', socket=server.socket)
    second = servers('second', password=PASSWORD)
    secret = tmp_path / 'secret'
    secret.write_text(PASSWORD)
    secret.chmod(0o600)
    restored_in_place(vault, '--set', 'socket=', '--set', f'port={second.port}', '--set', f'password=@file:{secret}')
    assert_same(state(server), state(second))
    assert_primary(vault, second)
    assert not rescues(vault), 'there was nothing to rescue'
    dump = vault.restored() / 'app' / 'dump.rdb'
    checked = subprocess.run(['redis-check-rdb', dump], capture_output=True, text=True, check=False)
    assert checked.returncode == 0 and 'Checksum OK' in checked.stdout, checked.stdout


def setting(server, name='repl-diskless-load'):
    with closing(server.client()) as client:
        return client('CONFIG', 'GET', name)[1].decode()


def test_an_empty_server_loads_what_comes(vault, servers):
    """Without a file on its disk; what it was told for that is as before, afterwards."""
    server, second, third = servers(), servers('second'), servers('third')
    fill(server, KEYS)
    configure(vault, server)
    vault.ok('run', 'job')
    restored_in_place(vault, '--set', f'port={second.port}')
    assert_same(state(server), state(second))
    assert_primary(vault, second)
    assert 'to parser' in (second.directory / 'log').read_text() and setting(second) == 'disabled'
    # Whoever may not change that restores all the same.
    user(third, 'saver', *ACL, '+config|get')
    configure(vault, third, user='saver', password='secret')
    restored_in_place(vault)
    assert_same(state(server), state(third))
    assert 'to disk' in (third.directory / 'log').read_text()
    assert_primary(vault, third)


@pytest.mark.parametrize('value', ['swapdb', 'on-empty-db'])
def test_a_server_that_is_set_to_load_what_comes(restorable, value):
    world, server, new, _ = restorable
    with closing(server.client()) as client:
        client('CONFIG', 'SET', 'repl-diskless-load', value)
    restored_in_place(world)
    assert_same(new, state(server))
    emptied(server)
    restored_in_place(world)
    assert_same(new, state(server))
    assert setting(server) == value


def test_a_killed_restore_into_an_empty_server(vault, servers):
    server, second = servers(), servers('second', loading_process_events_interval_bytes=1024)
    fill(server, KEYS)
    configure(vault, server)
    vault.ok('run', 'job')
    configure(vault, second)
    with closing(second.client()) as client:
        client('CONFIG', 'SET', 'key-load-delay', 3000)
        process = subprocess.Popen(vault.command('restore', 'job', 'app', '--in-place', '--yes'), env=CLEAN,
                                   stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        while client.info()['loading'] == '0':
            time.sleep(0.005)
        kill_with_watchdog(process)
        client('CONFIG', 'SET', 'key-load-delay', 0)
    vault.ok('check', 'app')
    assert_primary(vault, second)
    assert setting(second) == 'disabled'
    now = state(second)
    assert not now or assert_same(state(server), now) is None


def test_an_empty_server(vault, servers):
    server = servers()
    configure(vault, server)
    vault.ok('run', 'job')
    fill(server, KEYS)
    restored_in_place(vault)
    assert state(server) == {}


def test_expired_keys_are_accounted_for(vault, servers):
    server = servers()
    with closing(server.client()) as client:
        client.many(('SET', f'k{n}', n, 'PX', 1200) for n in range(500))
        client('SET', 'stays', 1)
    configure(vault, server)
    vault.ok('run', 'job')
    time.sleep(1.3)
    restored_in_place(vault)
    assert [key for _, key in state(server)] == [b'stays']


def test_facts_are_counted_in_the_rdb(vault, servers):
    server = servers()
    fill(server, KEYS, databases=(0, 3))
    configure(vault, server)
    vault.ok('run', 'job')
    with closing(server.client()) as client:
        info = client.info()
    shown = vault.ok('show', 'job').out
    for number in (0, 3):
        keys, expires = (part.split('=')[1] for part in info[f'db{number}'].split(',')[:2])
        assert f'redis.db{number}.keys = {keys}\n' in shown and f'redis.db{number}.expires = {expires}\n' in shown
    assert 'redis.libraries = 2\n' in shown and f'redis.version = {info["redis_version"]}\n' in shown
    assert 'redis.role = master' in shown and 'rdb.counted = yes' in shown and 'redis.used_memory = ' in shown


def test_without_yes_nothing_is_touched(vault, servers):
    server = servers()
    fill(server, KEYS)
    configure(vault, server)
    vault.ok('run', 'job')
    vault.fails(USAGE, 'restore', 'job', 'app', '--in-place')
    assert_primary(vault, server)


# ---- errors by name ----

def test_passwords_and_rights(vault, servers):
    server = servers(password=PASSWORD)
    vault.section('source app', plugin='redis', port=server.port)
    says(vault.fails(WRONG_KEY, 'run', 'job'), 'NOAUTH', "set 'password'")
    configure(vault, server, password='wrong')
    says(vault.fails(WRONG_KEY, 'run', 'job'), 'WRONGPASS')
    configure(vault, server, password='${SECRET}')
    user(server, 'weak', '+ping', '+info')
    configure(vault, server, user='weak', password='secret')
    says(vault.fails(FAILED, 'run', 'job'), 'NOPERM', 'ACL SETUSER', '+replconf +psync')
    assert 'ACL SETUSER' in vault.fails(FAILED, 'check', 'app').err
    user(server, 'weak', '+replconf')
    assert 'ACL SETUSER' in vault.fails(FAILED, 'check', 'app').err
    says(vault.fails(FAILED, 'run', 'job'), 'PSYNC was refused', 'NOPERM')
    user(server, 'weak', *SAVING)
    assert 'may replicate' in vault.ok('check', 'app').out
    vault.ok('run', 'job')
    # Enough to save, and not to restore.
    fill(server, 60)
    old = state(server)
    result = in_place(vault)
    assert result.status == FAILED and 'REPLICAOF was refused' in result.err and '+replicaof' in result.err, result
    assert_same(old, state(server))
    assert_primary(vault, server)


def test_no_server_and_no_redis(vault, servers, listeners):
    says(vault.fails(FAILED, 'run', 'job'), "connect to redis '127.0.0.1:1'", 'refused')
    vault.section('source app', plugin='redis', socket='nowhere')
    says(vault.fails(BAD_CONFIG, 'run', 'job'), 'no absolute path')
    vault.section('source app', plugin='redis', socket=vault.base / 'nowhere')
    says(vault.fails({FAILED}, 'run', 'job'), 'nowhere')
    web = listeners(Pretender(INFO='HTTP/1.1 400 Bad Request'))
    vault.section('source app', plugin='redis', port=web.port)
    says(vault.fails(FAILED, 'run', 'job'), 'Protocol error')
    vault.section('source app', plugin='redis', port=web.port, tls='yes')
    says(vault.fails(BAD_CONFIG, 'run', 'job'), 'TLS', 'stunnel')


REFUSALS = {
    'LOADING Redis is loading the dataset in memory': 'still loading',
    'MASTERDOWN Link with MASTER is down': 'lost its primary',
    'MISCONF Redis is configured to save RDB snapshots': 'cannot write its own snapshots',
    'NOMASTERLINK Can\'t SYNC while not connected with my master': 'lost its primary',
    'ERR BGSAVE failed, replication can\'t continue': 'could not fork',
    'ERR max number of clients reached': 'maxclients',
}


@pytest.mark.parametrize('reply', REFUSALS)
def test_refusals_have_a_hint(vault, listeners, reply):
    server = listeners(Pretender(PSYNC=f'-{reply}'))
    vault.section('source app', plugin='redis', port=server.port)
    says(vault.fails({FAILED, 11}, 'run', 'job'), reply.partition(' ')[0], REFUSALS[reply])
    assert vault.snapshots() == []


def test_too_little_memory_to_fork_is_said_before(vault, listeners):
    info = 'redis_version:7.0.15\r\nrole:master\r\nused_memory_rss:6000000000\r\ntotal_system_memory:8000000000\r\n'
    server = listeners(Pretender(INFO=Pretender.bulk(info), PSYNC=Pretender.transfer(rdb(b''))))
    vault.section('source app', plugin='redis', port=server.port)
    says(vault.ok('run', 'job'), '5722 MiB of 7629 MiB', 'forks')
    says(vault('check', 'app'), '5722 MiB of 7629 MiB', 'replica')


def test_in_this_process(vault, servers):
    server = servers()
    fill(server, KEYS)
    original = state(server)
    configure(vault, server)
    vault.ok('--in-process', 'run', 'job')
    fill(server, KEYS, seed=3)
    vault.ok('--in-process', 'restore', 'job', 'app', '--in-place', '--yes')
    assert_same(original, state(server))
    assert_primary(vault, server)


def test_a_server_that_is_loading(vault, servers):
    server = servers(appendonly='no')
    fill(server, KEYS)
    configure(vault, server)
    with closing(server.client()) as client:
        client('SAVE')
    server.stop()
    server.options |= {'key-load-delay': 20000, 'loading-process-events-interval-bytes': 1024}
    server.start(wait=False)
    time.sleep(0.3)
    says(vault.fails({FAILED, 11}, 'run', 'job'), 'LOADING')
    assert 'loading' in vault.fails({FAILED, 11}, 'check', 'app').err


def test_replicas_and_clusters(vault, servers):
    primary, replica = servers(), servers('replica')
    fill(primary, KEYS)
    with closing(replica.client()) as client:
        client('REPLICAOF', '127.0.0.1', primary.port)
        while client.info().get('master_link_status') != 'up':
            time.sleep(0.05)
    configure(vault, replica)
    vault.ok('run', 'job')  # a replica can be saved
    result = in_place(vault)
    assert result.status == FAILED and 'it is a replica' in result.err and 'primary' in result.err, result
    primary.stop()
    time.sleep(0.2)
    says(vault.fails(FAILED, 'run', 'job'), 'lost its primary')
    assert 'lost its primary' in vault.fails(FAILED, 'check', 'app').err
    node = servers('node', cluster_enabled='yes')
    configure(vault, node)
    says(vault.fails(INCOMPLETE, 'run', 'job'), 'node of a cluster', 'redis.identity')  # and not the one that was saved before
    assert 'cluster' in vault.ok('check', 'app').err
    result = in_place(vault)
    assert result.status == FAILED and 'cluster' in result.err, result


# ---- never less than the whole ----

def test_pretended_transfers(vault, listeners):
    """Both forms; and streams that end too early, too late, or hold something else."""
    keys = b''.join(b'\x00\x02k%d\x01v' % n for n in range(5))
    whole = rdb(b'\xfe\x00\xfb\x05\x00' + keys)

    def run(data, mark=True, version_of=None):
        server = listeners(Pretender(PSYNC=Pretender.transfer(data, mark)))
        vault.section('source app', plugin='redis', port=server.port, patience='5s')
        return vault('run', 'job')

    for mark in (True, False):
        assert run(whole, mark).status == DONE
        assert 'redis.db0.keys = 5\n' in vault.ok('show', 'job').out
    committed = vault.snapshots()
    bad = {'no end': whole[:-9], 'no checksum': whole[:-8], 'half a checksum': whole[:-4], 'wrong checksum': whole[:-1] + b'!',
           'too long': whole + b'more', 'two': whole + whole, 'nothing': b'', 'no RDB': b'-ERR something', 'half a key': whole[:20],
           'end in a key': rdb(b'\xfe\x00\x00\x0akey')[:-9] + b'\xff' + bytes(8), 'old': rdb(keys, version=4)}
    for name, data in bad.items():
        for mark in (True, False):
            result = run(data, mark)
            assert result.status in NOTHING, f'{name}: {result}'
    assert vault.snapshots() == committed


@pytest.mark.parametrize('version, diskless', [('6.0.16', True), ('6.0.16', False), ('2.8.3', False)])
def test_what_comes_from_older_servers(vault, servers, listeners, version, diskless):
    """A server of today loads it."""
    format_, sizes = (9, b'\xfb\x05\x01') if version >= '6' else (6, b'')
    keys = b'\xfe\x00' + sizes + b''.join(b'\x00\x02k%d\x01v' % n for n in range(4))
    keys += b'\xfc' + (4102444800000).to_bytes(8, 'little') + b'\x00\x02k4\x01v'
    old = listeners(Ancient(rdb(keys, version=format_), version, diskless))
    vault.section('source app', plugin='redis', port=old.port)
    vault.ok('run', 'job')
    assert b'capa eof' in old.asked and b'rdb-only 1' in old.asked
    shown = vault.ok('show', 'job').out
    assert f'redis.version = {version}\n' in shown and f'rdb.version = {format_}\n' in shown
    assert 'redis.db0.keys = 5\n' in shown and 'redis.db0.expires = 1\n' in shown and 'redis.libraries = 0\n' in shown
    server = servers()
    configure(vault, server)
    restored_in_place(vault)
    assert {key: ttl > 0 for (_, key), (_, ttl) in state(server).items()} == {b'k%d' % n: n == 4 for n in range(5)}
    assert_primary(vault, server)


def test_types_of_a_newer_server(vault, listeners):
    """A type that is not known: kept whole, by its checksum, and not counted."""
    server = listeners(Pretender(PSYNC=Pretender.transfer(rdb(b'\xfe\x00\xc7\x02k1odd things', version=99))))
    vault.section('source app', plugin='redis', port=server.port)
    vault.ok('run', 'job')
    assert 'rdb.counted = no' in vault.ok('show', 'job').out and 'rdb.version = 99' in vault.ok('show', 'job').out


def broken_streams(vault, servers, listeners, wanted):
    server = servers()
    fill(server, 300)
    proxy = listeners(Proxy(server))
    configure(vault, server, port=proxy.port)
    vault.ok('run', 'job')
    committed, size = vault.snapshots(), proxy.size
    for how in ('cut', 'flip'):
        for number in sample(size - 41 if how == 'flip' else size - 1, wanted):
            broken = listeners(Proxy(server, **{how: number}))
            configure(vault, server, port=broken.port)
            result = vault('run', 'job')
            assert result.status in NOTHING, f'{how} at {number} of {size}: {result}'
            assert vault.snapshots() == committed
    return size


def test_broken_streams_sample(vault, servers, listeners):
    broken_streams(vault, servers, listeners, 8)


@pytest.mark.long
@pytest.mark.parametrize('transfer', ['yes', 'no'])
def test_broken_streams_everywhere(vault, servers, listeners, transfer):
    broken_streams(vault, lambda **options: servers(repl_diskless_sync=transfer, **options), listeners, 200)


@pytest.mark.parametrize('transfer', ['yes', 'no'])
@pytest.mark.parametrize('end', ['child', 'shutdown', 'kill'])
def test_the_server_ends_in_the_middle(vault, servers, end, transfer):
    server = servers(repl_diskless_sync=transfer, rdb_key_save_delay=3000)
    fill(server, KEYS)
    configure(vault, server)
    process = subprocess.Popen(vault.command('run', 'job'), env=CLEAN, stderr=subprocess.PIPE, stdin=subprocess.DEVNULL,
                               stdout=subprocess.DEVNULL, text=True)
    while server.child() == 0 and process.poll() is None:
        time.sleep(0.01)
    time.sleep(0.3)
    if end == 'child':
        os.kill(server.child(), signal.SIGKILL)
    else:
        server.stop(signal.SIGTERM if end == 'shutdown' else signal.SIGKILL)
    _, err = process.communicate(timeout=60)
    assert process.returncode == FAILED and "redis '127.0.0.1" in err, err
    assert vault.snapshots() == []


# ---- restores that do not go as planned ----

def killed_restores(restorable, faults, wanted, empty):
    world, server, new, old = restorable
    words = ('restore', 'job', 'app', '--in-place', '--yes')
    if empty:
        emptied(server)
    faults.kill_at(0, world, *words)
    outcomes = []
    for number in sample(faults.count(), wanted):
        emptied(server)
        if not empty:
            fill(server, 120, seed=5, functions=1)
        old = state(server)
        for rescue in rescues(world):
            rescue.unlink()
        assert faults.kill_at(number, world, *words).status in (0, 137)
        world.ok('check', 'app')
        assert_primary(world, server)
        now = state(server)
        replaced = now.keys() == new.keys()
        outcomes.append(replaced)
        assert_same(new if replaced else old, now)
        assert setting(server) == 'disabled'
        if replaced and not empty:
            rescue, = rescues(world)
            checked = subprocess.run(['redis-check-rdb', rescue], capture_output=True, check=False)
            assert checked.returncode == 0, number
    return outcomes


@pytest.mark.parametrize('empty', [False, True])
def test_killed_restores_sample(restorable, faults, empty):
    killed_restores(restorable, faults, 8, empty)


@pytest.mark.long
@pytest.mark.parametrize('empty', [False, True])
def test_killed_restores_everywhere(restorable, faults, empty):
    outcomes = killed_restores(restorable, faults, 100, empty)
    assert True in outcomes and False in outcomes


def test_a_restore_killed_while_the_server_is_told(restorable):
    """It takes data from us, and we are gone: the next start finds the server so, and puts it right."""
    world, server, new, old = restorable
    with closing(server.client()) as client:
        client('CONFIG', 'SET', 'key-load-delay', 3000, 'loading-process-events-interval-bytes', 1024)
    process = subprocess.Popen(world.command('restore', 'job', 'app', '--in-place', '--yes'), env=CLEAN,
                               stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    with closing(server.client()) as client:
        while client.info()['role'] != 'slave':
            time.sleep(0.005)
        kill_with_watchdog(process)
        time.sleep(0.2)
        assert client.info()['role'] == 'slave'
        client('CONFIG', 'SET', 'key-load-delay', 0)
    result = world.ok('check', 'app')
    assert "restore of source 'app'" in result.err and 'is undone' in result.err
    assert_primary(world, server)
    now = state(server)
    assert_same(new if now.keys() == new.keys() else old, now)


def test_the_watchdog_puts_a_killed_restore_right(restorable):
    world, server, new, old = restorable
    with closing(server.client()) as client:
        client('CONFIG', 'SET', 'key-load-delay', 3000, 'loading-process-events-interval-bytes', 1024)
        process = subprocess.Popen(world.command('restore', 'job', 'app', '--in-place', '--yes'), env=CLEAN,
                                   stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        while client.info()['role'] != 'slave':
            time.sleep(0.005)
        process.kill()
        process.wait()
        client('CONFIG', 'SET', 'key-load-delay', 0)
    deadline = time.monotonic() + 60
    while list((world.base / 'state' / 'holds').iterdir()):
        assert time.monotonic() < deadline, 'the watchdog did nothing'
        time.sleep(0.05)
    assert_primary(world, server)
    now = state(server)
    assert_same(new if now.keys() == new.keys() else old, now)


def test_ctrl_c_in_a_restore(restorable):
    world, server, new, old = restorable
    with closing(server.client()) as client:
        client('CONFIG', 'SET', 'key-load-delay', 2000, 'loading-process-events-interval-bytes', 1024)
        process = subprocess.Popen(world.command('restore', 'job', 'app', '--in-place', '--yes'), env=CLEAN,
                                   stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        while client.info()['role'] != 'slave':
            time.sleep(0.005)
        process.send_signal(signal.SIGTERM)
        assert process.wait(60) in (128 + signal.SIGTERM, DONE)
        client('CONFIG', 'SET', 'key-load-delay', 0)
    assert_primary(world, server)
    now = state(server)
    assert_same(new if now.keys() == new.keys() else old, now)


@pytest.mark.parametrize('empty', [False, True])
def test_a_damaged_snapshot_leaves_the_server_as_it_was(restorable, empty):
    world, server, _, old = restorable
    if empty:
        old = emptied(server)
    pack = max(world.objects('packs'), key=lambda p: p.stat().st_size)
    content = bytearray(pack.read_bytes())
    content[len(content) // 3] ^= 1
    pack.chmod(0o600)
    pack.write_bytes(content)
    result = in_place(world)
    assert result.status not in (DONE, INCOMPLETE), result
    assert_same(old, state(server))
    assert_primary(world, server)


def test_counts_that_differ_put_the_old_data_back(vault, servers, listeners):
    """A server passes over keys without content: then it has less than the snapshot, and all goes back."""
    body = b'\xfe\x00' + b'\x00\x01k\x01v' + b'\x02\x05empty\x00'
    source = listeners(Pretender(PSYNC=Pretender.transfer(rdb(body))))
    vault.section('source app', plugin='redis', port=source.port)
    vault.ok('run', 'job')
    server = servers()
    fill(server, KEYS)
    old = state(server)
    configure(vault, server)
    result = in_place(vault)
    assert result.status in NOTHING and 'keys after the restore' in result.err and 'is back' in result.err, result
    assert_same(old, state(server))
    assert_primary(vault, server)


ALIEN = {'newer': (b'\xfe\x00\x00\x01k\x01v', 42), 'databases': (b'\xfe\x30\x00\x01k\x01v', 10),
         'modules': (b'\xfe\x00\x07\x01k\x81\x01\x02\x03\x04\x05\x06\x07\x08\x02\x05\x00', 10)}


@pytest.mark.parametrize('name', ALIEN)
def test_what_the_server_cannot_load_is_not_given_to_it(vault, servers, listeners, name):
    """A newer format, a database, a module that it does not have: it would end itself, or be left empty."""
    source = listeners(Pretender(PSYNC=Pretender.transfer(rdb(*ALIEN[name]))))
    vault.section('source app', plugin='redis', port=source.port)
    vault.ok('run', 'job')
    server, empty = servers(), servers('empty')
    fill(server, 60)
    for target, said in (server, 'the snapshot'), (empty, 'a newer format' if name == 'newer' else 'the snapshot'):
        old = state(target)
        configure(vault, target)
        result = in_place(vault)
        assert result.status == FAILED and said in result.err, result
        assert target.process.poll() is None
        assert_same(old, state(target))
        assert_primary(vault, target)
        assert setting(target) == 'disabled'


def test_the_data_is_shown_to_nobody_else(restorable, listeners):
    """Whoever connects in the server's place without knowing its replication id is turned away, before it follows us and
    when it is to get the data."""
    world = restorable[0]
    known, got, threads, role = 'ab' * 20, [], [], ['role:master']

    def connect(port):
        for name, end in ('?', b'!'), ('cd' * 20, b'!'), ('silent', b'!'), (known, b'CONTINUE'), ('?', b'!'), (known, b'FULLRESYNC'):
            with closing(socket.create_connection(('127.0.0.1', port), 20)) as peer:
                if name != 'silent':
                    peer.sendall(redis.Client.encode(('REPLCONF', 'capa', 'eof')) + redis.Client.encode(('PSYNC', name, '1')))
                parts = []
                while end not in b''.join(parts) and (part := peer.recv(4096)):
                    parts.append(part)
                got.append((name, b''.join(parts)))
                if end == b'CONTINUE':
                    role[0] = 'role:slave\r\nmaster_link_status:up'

    def told(_, __, port):
        if port != b'ONE':
            threads.append(threading.Thread(target=connect, args=(int(port),), daemon=True))
            threads[-1].start()
        return '+OK'

    def info(*_):
        return Pretender.bulk(f'{role[0]}\r\nmaster_replid:{known}\r\n')

    target = listeners(Pretender(REPLICAOF=told, INFO=info))
    result = in_place(world, '--set', f'port={target.port}', '--set', 'patience=6s')
    threads[0].join(30)
    assert result.status == FAILED
    assert result.err.count('turned away') == 4, result
    answered = [name for name, reply in got if b'CONTINUE' in reply or b'FULLRESYNC' in reply]
    assert answered == [known, known] and len(got) == 6, got


def test_a_server_that_cannot_reach_us(restorable):
    world, server, _, old = restorable
    configure(world, server, announce_host='192.0.2.1', patience='2s')
    result = in_place(world)
    assert result.status == FAILED and 'announce_host' in result.err and '192.0.2.1' in result.err, result
    assert_same(old, state(server))
    assert_primary(world, server)


def test_no_secret_leaks(vault, servers):
    server = servers(password=PASSWORD)
    fill(server, 60)
    configure(vault, server)
    seen = []
    process = subprocess.Popen(vault.command('-v', 'run', 'job'), env=CLEAN, stderr=subprocess.PIPE, stdin=subprocess.DEVNULL,
                               stdout=subprocess.PIPE)
    while process.poll() is None:
        for path in subprocess.run(['pgrep', '-g', str(os.getpgid(process.pid))], capture_output=True, text=True,
                                   check=False).stdout.split():
            for name in ('cmdline', 'environ'):
                try:
                    seen.append(open(f'/proc/{path}/{name}', 'rb').read())
                except OSError:
                    pass
    out, err = process.communicate()
    restored_in_place(vault)
    assert process.returncode == DONE and PASSWORD.encode() not in out + err
    for place in ('state', 'cache'):
        for path in (vault.base / place).rglob('*'):
            assert not path.is_file() or PASSWORD.encode() not in path.read_bytes(), path


@pytest.mark.long
@pytest.mark.parametrize('name', ['aof, password', 'acl user', 'socket'])
def test_a_million_keys(vault, servers, name):
    """While others write; a million and more in the end."""
    server, _, options = connected(servers, name)
    round_trip(vault, server, 1_000_000, **options)


def test_a_server_that_is_being_started(servers, vault):
    """Each command comes before the server does, as after `docker compose up`."""
    server = servers()
    with closing(server.client()) as client:
        client('SET', 'key', 'value')
    server.options['appendonly'] = 'no'
    configure(vault, server, wait='5min')
    for words in (('run', 'job'), ('check', 'app'), ('restore', 'job', 'app', '--in-place', '--yes')):
        server.stop()
        log = vault.base / 'log'
        with log.open('w') as out, subprocess.Popen(vault.command(*words), env=CLEAN, stderr=out, stdout=out) as process:
            while 'trying again in' not in log.read_text():
                assert process.poll() is None, log.read_text()
                time.sleep(0.02)
            server.start()
            with closing(server.client()) as client:
                client('SET', 'key', 'value')
            process.wait(120)
        assert process.returncode == DONE, (words, log.read_text())
