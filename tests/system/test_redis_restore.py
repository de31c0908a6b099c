"""What a restore into a running Redis must not lose: keys that do not fit, writes that were confirmed, the room on our disk."""
import shutil
import signal
import subprocess
import threading
import time
from contextlib import closing

import pytest

from support.cli import CLEAN, DONE, FAILED, INCOMPLETE
from support.redis import Pretender, RedisError, assert_same, fill, rdb, state
from support.redis_world import (KEYS, assert_primary, configure, emptied, in_place, listeners, rescues,  # noqa: F401
                                 restorable, restored_in_place, says, servers, vault)
from support.watchdog import kill_with_watchdog

SLOW = 5000  # microseconds per key: 600 keys are a rescue of three seconds
LIMIT = 8 << 20


def config(server, *words):
    with closing(server.client()) as client:
        client('CONFIG', 'SET', *words)


def started(world, *words):
    return subprocess.Popen(world.command('restore', 'job', 'app', '--in-place', '--yes', *words), env=CLEAN, text=True,
                            stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE)


def evicted_by_a_write(server):
    """How many keys one more write costs."""
    with closing(server.client()) as client:
        before = int(client.info()['evicted_keys'])
        client('SET', 'one:more', 1)
        client('DEL', 'one:more')
        return int(client.info()['evicted_keys']) - before


# ---- maxmemory ----

def large(vault, listeners, known):
    """A snapshot of 12 MiB in twelve keys, saved from a server that says how much memory it uses, or that lies. It has no
    checksum, which would take long to compute here."""
    body = b''.join(b'\x00\x03k%02d\x80\x00\x10\x00\x00' % n + bytes([n]) * (1 << 20) for n in range(12))
    info = f'redis_version:7.0.15\r\nrole:master\r\nused_memory:{14 << 20 if known else 1000}\r\n'
    source = listeners(Pretender(INFO=Pretender.bulk(info), PSYNC=Pretender.transfer(b'REDIS0010\xfe\x00' + body + b'\xff' + bytes(8))))
    vault.section('source app', plugin='redis', port=source.port)
    vault.ok('run', 'job')


@pytest.mark.parametrize('policy', ['allkeys-lru', 'allkeys-random', 'volatile-ttl', 'noeviction'])
def test_more_than_maxmemory_is_refused_before_anything_is_touched(vault, servers, listeners, policy):
    large(vault, listeners, known=True)
    server = servers(maxmemory=LIMIT, maxmemory_policy=policy)
    fill(server, 120)
    old = state(server)
    configure(vault, server)
    result = in_place(vault)
    assert result.status == FAILED and not rescues(vault), result
    says(result, 'maxmemory', str(LIMIT), str(14 << 20), policy, 'over_maxmemory=keep',
         'refuse all writes' if policy == 'noeviction' else 'evict keys')
    with closing(server.client()) as client:
        assert client.info()['run_id'] and 'REPLICAOF' not in (server.directory / 'log').read_text()
    assert_same(old, state(server))


@pytest.mark.parametrize('empty', [False, True])
@pytest.mark.parametrize('policy', ['allkeys-lru', 'volatile-ttl', 'noeviction'])
def test_more_than_maxmemory_goes_back(vault, servers, listeners, policy, empty):
    """Nobody knew before; as a replica the server holds it all, as a primary it would not."""
    large(vault, listeners, known=False)
    server = servers(maxmemory=LIMIT, maxmemory_policy=policy)
    if not empty:
        fill(server, 120)
    old = state(server)
    configure(vault, server)
    result = in_place(vault)
    assert result.status == FAILED, result
    says(result, 'maxmemory', str(LIMIT), policy, 'over_maxmemory=keep', 'it is empty, as before' if empty else 'is back')
    assert_same(old, state(server))
    assert evicted_by_a_write(server) == 0
    assert_primary(vault, server)


def test_a_server_that_evicts_while_it_loads(vault, servers, listeners):
    large(vault, listeners, known=False)
    server = servers(maxmemory=LIMIT, maxmemory_policy='allkeys-lru', replica_ignore_maxmemory='no')
    fill(server, 120)
    old = state(server)
    configure(vault, server)
    result = in_place(vault)
    assert result.status not in (DONE, INCOMPLETE), result
    says(result, 'maxmemory', 'is back')
    assert_same(old, state(server))
    assert_primary(vault, server)


@pytest.mark.parametrize('known', [False, True])
def test_more_than_maxmemory_is_kept_where_that_is_asked_for(vault, servers, listeners, known):
    large(vault, listeners, known)
    server = servers(maxmemory=LIMIT, maxmemory_policy='noeviction')
    fill(server, 120)
    configure(vault, server)
    result = in_place(vault, '--set', 'over_maxmemory=keep')
    assert result.status == INCOMPLETE, result
    says(result, 'maxmemory', str(LIMIT), 'refuse all writes')
    assert len(state(server)) == 12
    assert_primary(vault, server)
    # And with room for it nothing is to be said.
    config(server, 'maxmemory', 1 << 30)
    assert restored_in_place(vault).status == DONE


# ---- writes that were confirmed ----

class Counter:
    """A client that writes w:1, w:2, ... and counts what the server confirmed; what it refuses is written no more."""

    def __init__(self, server):
        self.server, self.confirmed, self.refused, self.ended = server, [], 0, threading.Event()
        self.thread = threading.Thread(target=self.run, daemon=True)
        self.thread.start()

    def run(self):
        with closing(self.server.client()) as client:
            number = 0
            while not self.ended.is_set():
                number += 1
                try:
                    client('SET', f'w:{number}', number)
                    self.confirmed.append(number)
                except RedisError:
                    self.refused += 1
                time.sleep(0.001)

    def end(self):
        self.ended.set()
        self.thread.join(60)
        return self.confirmed


def numbers(server):
    with closing(server.client()) as client:
        return {int(key[2:]) for key in client('KEYS', 'w:*')}


@pytest.mark.parametrize('settings', [{}, {'appendonly': 'yes'}, {'repl_diskless_sync': 'no'}], ids=['plain', 'aof', 'disk'])
def test_what_was_confirmed_during_the_rescue_is_in_it(vault, servers, settings):
    server = servers(**settings)
    fill(server, KEYS)
    new = state(server)
    configure(vault, server)
    vault.ok('run', 'job')
    config(server, 'rdb-key-save-delay', 500)
    counter = Counter(server)
    restored_in_place(vault)
    time.sleep(0.1)
    confirmed = counter.end()
    assert counter.refused > 0, 'the server took writes all the time'
    config(server, 'rdb-key-save-delay', 0)
    rescue, = rescues(vault)
    second = servers('second')
    second.stop()
    shutil.copy(rescue, second.directory / 'dump.rdb')
    second.start()
    kept = numbers(server) | numbers(second)
    assert not set(confirmed) - kept, f'{len(set(confirmed) - kept)} of {len(confirmed)} are lost'
    assert_same(new, {key: value for key, value in state(server).items()})
    assert_primary(vault, server)


@pytest.mark.parametrize('why', ['maxmemory', 'counts'])
def test_going_back_gives_back_what_was_confirmed(vault, servers, listeners, why):
    """Nobody writes between the data that does not fit and the one that comes back."""
    if why == 'maxmemory':
        large(vault, listeners, known=False)
    else:
        body = b'\xfe\x00' + b'\x00\x01k\x01v' + b'\x02\x05empty\x00'
        source = listeners(Pretender(PSYNC=Pretender.transfer(rdb(body))))
        vault.section('source app', plugin='redis', port=source.port)
        vault.ok('run', 'job')
    server = servers(maxmemory=LIMIT, maxmemory_policy='allkeys-lru', rdb_key_save_delay=500)
    fill(server, 120)
    old = state(server)
    configure(vault, server)
    counter = Counter(server)
    result = in_place(vault)
    time.sleep(0.1)
    confirmed = counter.end()
    assert result.status not in (DONE, INCOMPLETE) and 'is back' in result.err, result
    assert counter.refused > 0 and set(confirmed) <= numbers(server), set(confirmed) - numbers(server)
    assert_same(old, state(server))
    assert_primary(vault, server)


def test_what_came_back_outlives_a_crash(vault, servers, listeners):
    large(vault, listeners, known=False)
    server = servers(maxmemory=LIMIT, appendonly='yes')
    fill(server, KEYS)
    old = state(server)
    configure(vault, server)
    result = in_place(vault)
    assert result.status == FAILED and 'is back' in result.err, result
    server.stop(signal.SIGKILL)
    server.start()
    assert_same(old, state(server))


def test_a_replica_that_takes_writes_is_refused(restorable):
    world, server, _, old = restorable
    config(server, 'replica-read-only', 'no')
    result = in_place(world)
    assert result.status == FAILED and not rescues(world), result
    says(result, 'takes writes as a replica', 'replica-read-only')
    assert_same(old, state(server))
    assert_primary(world, server)


def test_replicas_of_the_server_follow_it(restorable, servers):
    world, server, new, _ = restorable
    replica = servers('replica', replicaof=f'127.0.0.1 {server.port}')
    restored_in_place(world)
    end = time.monotonic() + 60
    while state(replica).keys() != new.keys():
        assert time.monotonic() < end
        time.sleep(0.1)
    assert_same(new, state(replica))


# ---- connections that wait ----

@pytest.mark.parametrize('login', [{}, {'password': 'sesame'}], ids=['open', 'password'])
def test_the_server_ends_idle_connections(vault, servers, login):
    """timeout: while a rescue is taken, and while the data is loaded, nothing is said on the first connection."""
    server = servers(timeout=1, **login)
    fill(server, KEYS)
    new = state(server)
    configure(vault, server)
    vault.ok('run', 'job')
    config(server, 'rdb-key-save-delay', SLOW)
    restored_in_place(vault)
    assert len(rescues(vault)) == 1
    assert_same(new, state(server))
    assert_primary(vault, server)


def test_a_server_with_little_patience_for_its_primary(vault, servers):
    """repl-timeout: it follows us while the rescue is taken, and must not give us up."""
    server = servers(repl_timeout=2, repl_ping_replica_period=1)
    fill(server, KEYS)
    new = state(server)
    configure(vault, server)
    vault.ok('run', 'job')
    config(server, 'rdb-key-save-delay', SLOW)
    restored_in_place(vault)
    log = (server.directory / 'log').read_text()
    assert 'MASTER timeout' not in log and 'Timeout' not in log, log
    assert_same(new, state(server))


# ---- rescue files ----

def test_attempts_that_change_nothing_leave_no_rescue(restorable):
    world, server, _, old = restorable
    pack = max(world.objects('packs'), key=lambda p: p.stat().st_size)
    content = bytearray(pack.read_bytes())
    content[len(content) // 3] ^= 1
    pack.chmod(0o600)
    pack.write_bytes(content)
    for _ in range(2):
        result = in_place(world)
        assert result.status not in (DONE, INCOMPLETE) and not rescues(world), result
        says(result, 'still has what it held', 'is removed')
    assert_same(old, state(server))
    assert_primary(world, server)


@pytest.mark.parametrize('number', [signal.SIGTERM, signal.SIGKILL])
def test_a_restore_that_ends_during_the_rescue(restorable, number):
    """Nothing half is left, and nothing under the name of a whole one."""
    world, server, _, old = restorable
    config(server, 'rdb-key-save-delay', 50000)
    process = started(world)
    end = time.monotonic() + 60
    while not rescues(world):
        assert process.poll() is None and time.monotonic() < end
        time.sleep(0.01)
    part, = rescues(world)
    assert part.suffix == '.part' and part.stat().st_mode & 0o777 == 0o600
    if number == signal.SIGKILL:
        kill_with_watchdog(process)
    else:
        process.send_signal(number)
    process.communicate(timeout=60)
    config(server, 'rdb-key-save-delay', 0)
    world.ok('check', 'app')
    assert not rescues(world)
    assert_same(old, state(server))
    assert_primary(world, server)


def test_a_restore_that_dies_names_what_it_kept(restorable):
    world, server, new, old = restorable
    config(server, 'key-load-delay', 3000, 'loading-process-events-interval-bytes', 1024)
    process = started(world)
    end = time.monotonic() + 60
    while not any(path.suffix == '.rdb' for path in rescues(world)):
        assert process.poll() is None and time.monotonic() < end
        time.sleep(0.01)
    kill_with_watchdog(process)
    process.communicate(timeout=60)
    config(server, 'key-load-delay', 0)
    rescue, = rescues(world)
    assert str(rescue) in world.ok('check', 'app').err
    assert_primary(world, server)
    now = state(server)
    assert_same(new if now.keys() == new.keys() else old, now)


def test_no_room_for_the_rescue(vault, servers, tmpfs):
    (vault.base / 'state' / 'sources').mkdir(mode=0o700, parents=True, exist_ok=True)
    small = tmpfs('state/sources/app', 'size=1m')
    server = servers()
    fill(server, KEYS)
    configure(vault, server)
    vault.ok('run', 'job')
    emptied(server)
    with closing(server.client()) as client:
        client.many(('SET', f'k{n}', bytes([n]) * 200_000 + n.to_bytes(2, 'big') * 50_000) for n in range(30))
        client('CONFIG', 'SET', 'rdbcompression', 'no')
    old = state(server)
    result = in_place(vault)
    assert result.status == FAILED and not rescues(vault), result
    says(result, 'rescue file', 'No space left', 'make room in', str(small))
    assert_same(old, state(server))
    assert_primary(vault, server)
