"""A store far away, where each request takes its time: what is asked for is what is read."""
import os
import re
from collections import Counter

import pytest

from support import bad_s3
from support.cli import INCOMPLETE

RUNS = 6


@pytest.fixture
def server(bad_s3_server):
    return bad_s3_server


def put_into(world, server, key) -> None:
    world.section('sink disk', plugin='s3', bucket='b', endpoint=server.endpoint, access_key=bad_s3.ACCESS,
                  secret_key=f'@file:{world.base / "secret"}', region=bad_s3.REGION, key=key, parallel=1)


@pytest.fixture
def far(world, server, tmp_path):
    """Some snapshots of one job."""
    tree = tmp_path / 'tree'
    tree.mkdir()
    world.source('tree', tree)
    secret = tmp_path / 'secret'
    secret.write_text(bad_s3.SECRET)
    secret.chmod(0o600)
    put_into(world, server, world.key)
    world.job()
    world.ok('init', 'disk')
    for _ in range(RUNS):
        (tree / 'file').write_bytes(os.urandom(1000))
        world.ok('run', 'job')
    return world


def test_one_snapshot_is_one_manifest(far, server, tmp_path):
    chosen = far.snapshots()[2]
    for number, selector in enumerate(('job', 'job@latest', 'job@latest~2', 'job@complete', f'job@{chosen}', f'job@{chosen[:-1]}')):
        for words in (('ls', selector, 'tree'), ('cat', selector, 'tree:file'), ('show', selector),
                      ('restore', selector, '--into', tmp_path / str(number))):
            server.store.got.clear()
            far.ok(*words)
            read = [key for key in server.store.got if key.startswith('snapshots/')]
            # Whether what is newer counts cannot be told from its name.
            assert len(read) == (3 if '~2' in selector else 1), (words, read)
            assert chosen in read[0] or chosen not in selector, (words, read)


def test_a_newest_snapshot_without_the_source_is_passed_over(far, server, tmp_path):
    """As before, and with all that is said about it: it cannot be told from the names."""
    (tmp_path / 'tree').rename(tmp_path / 'away')
    (tmp_path / 'other').mkdir()
    far.source('other', tmp_path / 'other')
    far.job(sources='tree, other')
    assert far('run', 'job').status == INCOMPLETE
    result = far.ok('ls', 'job', 'tree')
    assert 'file' in result.out and 'the newest that has it' in result.err, result


def test_a_damaged_older_manifest_is_in_nobodys_way(far, server):
    oldest = min(key for key in server.store.objects if key.startswith('snapshots/'))
    server.store.objects[oldest] = b'x' + server.store.objects[oldest][1:]
    far.ok('ls', 'job', 'tree')
    newest = max(key for key in server.store.objects if key.startswith('snapshots/'))
    server.store.objects[newest] = b'x' + server.store.objects[newest][1:]
    result = far.fails(INCOMPLETE, 'ls', 'job', 'tree')
    assert newest in result.err and 'file' in result.out, result


def requests_of_a_run(world, server) -> Counter:
    """But for the pack that it reads back, or does not, by chance."""
    server.store.seen.clear()
    server.store.got.clear()
    world.ok('run', 'job')
    assert [name for name in server.store.got if re.search(r'/host\d+/', name)] == []
    read = [name.split('/')[0] for name in server.store.got if not name.startswith('packs/')]
    return Counter(operation for operation in server.store.seen if operation != 'get') + Counter(read)


def least_of_runs(world, server) -> Counter:
    """What has only just been written is read, and its catalogue stored, again."""
    return min((requests_of_a_run(world, server) for _ in range(3)), key=Counter.total)


@pytest.mark.parametrize('key', ['full', 'put'])
def test_what_other_hosts_store_costs_a_run_nothing(far, server, key):
    """A hundred hosts in one bucket: a run asks as often as one that is alone, and reads nothing of theirs."""
    if key == 'put':
        put_into(far, server, far.put_key())
    server.store.page = 100  # keys in an answer
    alone = least_of_runs(far, server)
    own = {name: data for name, data in server.store.objects.items() if '/testhost/' in name}
    for number in range(99):
        server.store.objects |= {name.replace('/testhost/', f'/host{number}/'): data for name, data in own.items()}
    assert len(server.store.objects) > 20 * server.store.page
    assert least_of_runs(far, server) == alone
