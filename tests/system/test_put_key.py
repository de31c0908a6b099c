"""A put key adds and cannot read."""
import pytest

from support.cli import FAILURES, WRONG_KEY, execute
from support.oracle import assert_same_tree
from support.tree import plain_tree


@pytest.fixture
def put_key(world, tmp_path):
    """The world with the put key configured; returns the path of the put key."""
    world.simple(plain_tree(tmp_path / 'tree', files=8))
    put = world.put_key()
    world.sink(key=put)
    return put


@pytest.mark.every_sink(slow=True)
def test_adds_but_cannot_read(world, put_key, tmp_path, second_opinion):
    world.ok('run', 'job')
    (tmp_path / 'tree' / 'new').write_text('new')
    world.ok('run', 'job')
    for words in (('restore', 'job', '--into', tmp_path / 'x'), ('cat', 'job', 'tree:new'), ('ls', 'job', 'tree')):
        result = world.fails(WRONG_KEY, *words)
        assert 'put key' in result.err, result
    world.sink(key=world.key)
    assert_same_tree(tmp_path / 'tree', world.restored() / 'tree')
    world.ok('verify', 'job', '--all')
    for snapshot in world.snapshots()[-1:]:
        second_opinion(tmp_path / 'tree', snapshot)


@pytest.mark.every_sink
def test_second_run_adds_little(world, put_key, tmp_path):
    (tmp_path / 'tree' / 'big').write_bytes(bytes(range(256)) * 40_000)
    world.ok('run', 'job')
    before = sum(p.stat().st_size for p in world.objects('packs'))
    world.ok('run', 'job')
    after = sum(p.stat().st_size for p in world.objects('packs'))
    assert after - before < 100_000


@pytest.mark.every_sink
def test_what_can_be_checked_without_opening(world, put_key):
    world.ok('run', 'job')
    assert world.ok('verify', 'job').status == 0
    pack = world.objects('packs')[0]
    data = bytearray(pack.read_bytes())
    data[len(data) // 2] ^= 1
    pack.write_bytes(data)
    result = world.fails(13, 'verify', 'job')
    assert pack.name in result.text


@pytest.mark.every_sink
def test_snapshots_are_listed_by_id(world, put_key):
    world.ok('run', 'job')
    assert len(world.snapshots()) == 1


def test_the_put_key_holds_no_secret_of_the_full_key(world, put_key):
    seed = next(line.split()[1] for line in world.key.read_text().splitlines() if line.startswith('seed'))
    assert seed not in put_key.read_text()
    assert put_key.stat().st_mode & 0o7777 == 0o600


def test_a_put_key_makes_no_repository_and_no_put_key(world, put_key, tmp_path):
    world.sink('other', path=tmp_path / 'other', key=put_key)
    world.fails(FAILURES, 'init', 'other')
    assert execute([world.binary, 'key', 'put', put_key, tmp_path / 'keys' / 'third', '--host', 'testhost']).status != 0


def test_a_prune_key_stores_and_reads_nothing(world, tmp_path):
    """Whatever is asked of it, it says which key it is, and the sink stays as it was."""
    world.simple(plain_tree(tmp_path / 'tree', files=8))
    world.ok('run', 'job')
    world.sink('other', path=tmp_path / 'other')
    world.ok('init', 'other')
    prune = world.prune_key()
    before = {path.name for path in world.objects()}
    world.sink('other', path=tmp_path / 'other', key=prune)
    assert 'prune key' in world.fails(WRONG_KEY, 'copy', 'job', '--from', 'disk', '--to', 'other').err
    assert not [path for kind in ('packs', 'index', 'snapshots') for path in world.objects(kind, tmp_path / 'other')]
    world.sink(key=prune)
    for words in (('run', 'job'), ('restore', 'job', '--into', tmp_path / 'x'), ('ls', 'job', 'tree')):
        result = world.fails({WRONG_KEY, 3}, *words)
        assert 'prune key' in result.err and 'put key,' not in result.err, result
    assert 'prune key' in world.ok('check').text
    assert 'prune key' in world.ok('check', '--offline').text
    assert len(world.snapshots()) == 1
    world.ok('verify', 'job')
    assert {path.name for path in world.objects()} == before
    assert execute([world.binary, 'key', 'put', prune, tmp_path / 'keys' / 'third', '--host', 'testhost']).status != 0


def test_copy_with_the_put_key_of_another_host_is_refused(world, tmp_path):
    """What it signs of that host would be damage."""
    world.simple(plain_tree(tmp_path / 'tree', files=8))
    world.ok('run', 'job')
    world.sink('other', path=tmp_path / 'other')
    world.ok('init', 'other')
    world.sink('other', path=tmp_path / 'other', key=world.put_key('db.key', host='db'))
    world.fails(WRONG_KEY, 'copy', 'job', '--from', 'disk', '--to', 'other')
    assert not world.objects('index', tmp_path / 'other')
