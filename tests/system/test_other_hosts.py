"""A put key is good for one host: what its thief stores under the name of another is damage, and nobody takes it."""
import shutil

import pytest

from support.cli import DAMAGED, DONE, INCOMPLETE, USAGE
from support.forge import Forger, store
from support.oracle import assert_same_tree
from support.tree import plain_tree


@pytest.fixture
def hosts(world, tmp_path):
    """'testhost' with a put key of its own and one snapshot, and the thief of the put key of 'web'; the full key reads."""
    world.simple(plain_tree(tmp_path / 'tree', files=8))
    for host in ('testhost', 'web'):
        world.put_key(host, host)
    world.sink(key=tmp_path / 'keys' / 'testhost')
    world.ok('run', 'job')
    world.sink()
    return world


def forged(world, host='testhost', sequence=2, snapshot='20991231T000000Z-ffffff', key='web'):
    forger = Forger(world.base / 'keys' / key)
    body = {'format': 1, 'features': [], 'id': snapshot, 'job': 'job', 'host': host, 'version': '0.1.0', 'started': 0,
            'ended': 0, 'status': 'incomplete', 'added': 0, 'missed': [], 'indexes': [],
            'sources': [{'name': 'tree', 'plugin': 'directory', 'status': 'missing', 'error': 'none', 'options': [],
                         'facts': [], 'left_out_count': 0, 'left_out': [], 'entries': 0, 'bytes': 0, 'vanished': 0,
                         'problem_count': 0, 'problems': [], 'fingerprint_key': '00' * 16, 'catalogue_bytes': 0,
                         'catalogue': []}]}
    return store(world.repository, f'snapshots/{host}/job/{snapshot}',
                 forger.manifest(host, 'job', snapshot, body, sequence))


def test_a_snapshot_in_the_name_of_another_host(hosts, tmp_path, second_opinion):
    good, path = hosts.snapshots()[0], forged(hosts)
    result = hosts.fails(DAMAGED, 'verify', 'job')
    assert path.name in result.text and "the key of host 'web', not of host 'testhost'" in result.text, result
    assert hosts('cat', 'job@20991231T000000Z-ffffff', 'tree:file-0').status != DONE
    assert_same_tree(tmp_path / 'tree', hosts.restored(f'job@{good}') / 'tree')
    second_opinion(tmp_path / 'tree', good)


def test_it_is_not_gone_on_from(hosts, tmp_path):
    """Not by the host whose name it has, and not where the full key runs; both have lost their state."""
    good = hosts.snapshots()[0]
    path = forged(hosts, snapshot=good[:-6] + 'ffffff')
    for key in (tmp_path / 'keys' / 'testhost', None):
        shutil.rmtree(hosts.base / 'state')
        shutil.rmtree(hosts.base / 'cache')
        hosts.sink(key=key)
        if not key:
            hosts.ok('key', 'accept', 'disk', 'testhost')
        hosts.ok('run', 'job')
    made = [row for row in hosts.fails(INCOMPLETE, '--json', 'list', 'job').json() if row['type'] == 'snapshot']
    assert [row.get('sequence') for row in made if row['id'] != path.name] == [1, 2, 3] and made[0]['id'] == good
    path.unlink()
    hosts.ok('verify', 'job')


def test_one_of_the_future_is_not_gone_on_from(hosts, tmp_path):
    """Also when its signature is right: nobody can have made it yet."""
    forged(hosts, key='testhost')
    shutil.rmtree(hosts.base / 'state')
    hosts.sink(key=tmp_path / 'keys' / 'testhost')
    assert 'lies in the future' in hosts.ok('run', 'job').err
    assert all(name.startswith('20') and not name.startswith('2099') for name in
               (path.name for path in hosts.objects('snapshots')) if 'ffffff' not in name)


def test_the_put_key_of_another_host_stores_nothing(hosts, tmp_path):
    before = hosts.objects()
    hosts.sink(key=tmp_path / 'keys' / 'web')
    for words in (('run', 'job'), ('check', 'disk')):
        result = hosts(*words)
        assert result.status != DONE and "put key of host 'web'" in result.text and '--host testhost' in result.text, result
    assert hosts.objects() == before


def test_a_put_key_is_for_one_host(hosts, tmp_path):
    result = hosts.fails(USAGE, 'key', 'put', hosts.key, tmp_path / 'keys' / 'none')
    assert '--host' in result.err and not (tmp_path / 'keys' / 'none').exists()
    shown = hosts.ok('--json', 'key', 'show', tmp_path / 'keys' / 'web').json()[-1]
    assert (shown['kind'], shown['host']) == ('put', 'web')
    hosts.ok('key', 'put', hosts.key, tmp_path / 'keys' / 'upper', '--host', 'Web.Example')
    assert hosts.ok('--json', 'key', 'show', tmp_path / 'keys' / 'upper').json()[-1]['host'] == 'web-example'


def test_a_run_looks_at_its_own_host(hosts, tmp_path):
    """What others have stored, however much of it and whatever is wrong with it, costs a run nothing."""
    bad = [store(hosts.repository, 'index', b'no index object %d' % i, 'web') for i in range(3)]
    store(hosts.repository, 'packs', b'no pack', 'web')
    result = hosts.ok('run', 'job')
    assert 'web' not in result.err, result
    assert_same_tree(tmp_path / 'tree', hosts.restored() / 'tree')
    result = hosts.fails(DAMAGED, 'verify', 'job')
    assert all(path.name in result.out for path in bad), result
    shutil.rmtree(hosts.base / 'cache')
    hosts.sink(trust_hosts='yes')
    assert 'index/web/' in hosts('run', 'job').err
