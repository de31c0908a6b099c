"""Another server in the place of the one that is wanted is found, and one that was merely started anew is not taken for another."""
import re
import signal
import time
from contextlib import closing

import pytest

from support.cli import INCOMPLETE
from support.redis_world import configure, restored_in_place, servers, vault  # noqa: F401


def put(server, *words, count=200, **options):
    """Keys named after these words."""
    with closing(server.client()) as client:
        client.many(('SET', f'{word}:{n}:{"x" * (n % 40)}', n, *(('PX', 3600_000) if options.get('passing') else ()))
                    for word in words for n in range(count))


def flush(server):
    with closing(server.client()) as client:
        client('FLUSHALL')


def identity(world):
    return re.search(r'redis\.identity = (\w+)', world.ok('show', 'job').out)[1]


def saved(world):
    world.ok('run', 'job')
    return identity(world)


def run_id(server):
    with closing(server.client()) as client:
        return client.info()['run_id']


@pytest.mark.parametrize('settings, end', [
    ({'save': '3600 1'}, signal.SIGTERM), ({'appendonly': 'yes'}, signal.SIGTERM), ({'appendonly': 'yes'}, signal.SIGKILL)])
def test_a_start_with_the_data_is_the_same_server(vault, servers, settings, end):
    server = servers(**settings)
    put(server, 'session', 'bull')
    configure(vault, server)
    first, before = saved(vault), run_id(server)
    server.stop(end)
    server.start()
    assert run_id(server) != before
    assert saved(vault) == first
    # Once more, the other keys of the same application.
    put(server, 'session', 'mail', count=300)
    server.stop(end)
    server.start()
    assert saved(vault) == first


def test_a_start_without_the_data_is_the_same_server(vault, servers):
    """A cache: its keys come and go, and are all new after a start."""
    server = servers()
    put(server, 'cache', 'tag', passing=True)
    configure(vault, server)
    first = saved(vault)
    server.stop()
    server.start()
    put(server, 'cache', 'user', count=50, passing=True)
    assert saved(vault) == first


def test_an_empty_server_is_not_the_one_that_had_keys(vault, servers):
    """It has lost them, or a new one stands in its place: that is said until they are back."""
    server = servers()
    put(server, 'session')
    configure(vault, server)
    first = saved(vault)
    server.stop()
    server.start()
    for _ in range(2):
        result = vault('run', 'job')
        assert result.status == INCOMPLETE and 'redis.identity' in result.err, result
    put(server, 'session', count=20)
    assert saved(vault) == first


def test_a_server_may_be_empty_at_first(vault, servers):
    server = servers()
    configure(vault, server)
    first = saved(vault)
    server.stop()
    server.start()
    assert saved(vault) == first
    server.stop()
    server.start()
    put(server, 'session')
    assert saved(vault) == first


def test_the_same_process_may_hold_whatever_it_likes(vault, servers):
    server = servers()
    put(server, 'one')
    configure(vault, server)
    first = saved(vault)
    flush(server)
    put(server, 'two')
    assert saved(vault) == first


def test_a_failover_is_the_same_server(vault, servers):
    """The replica becomes the primary: it knows the replication id, although its keys are others by then."""
    primary = servers()
    replica = servers('replica', replicaof=f'127.0.0.1 {primary.port}')
    put(primary, 'one')
    with closing(replica.client()) as client:
        while client.info().get('master_link_status') != 'up' or client('DBSIZE') != 200:
            time.sleep(0.05)
        configure(vault, primary)
        first = saved(vault)
        client('REPLICAOF', 'NO', 'ONE')
    primary.stop()
    flush(replica)
    put(replica, 'two')
    configure(vault, replica)
    assert saved(vault) == first


def test_another_server_is_found(vault, servers):
    server, other = servers(), servers('other')
    put(server, 'session', 'bull')
    put(other, 'laravel_cache', 'horizon', count=400)
    configure(vault, server)
    first = saved(vault)
    configure(vault, other)
    for _ in range(2):
        result = vault('run', 'job')
        assert result.status == INCOMPLETE and 'redis.identity' in result.err and first in result.err, result
        other.stop()  # also when that one is started anew
        other.start()
        put(other, 'horizon')
    # The right one again, started anew meanwhile: nothing is to be accepted.
    server.stop()
    server.start()
    put(server, 'bull')
    configure(vault, server)
    assert saved(vault) == first
    # And one that was changed on purpose.
    configure(vault, other)
    vault.fails(INCOMPLETE, 'run', 'job')
    vault.ok('accept', 'job')
    assert saved(vault) != first


def test_a_restore_does_not_make_it_another_server(vault, servers):
    server = servers()
    put(server, 'session')
    configure(vault, server)
    first = saved(vault)
    flush(server)
    restored_in_place(vault)
    assert saved(vault) == first
