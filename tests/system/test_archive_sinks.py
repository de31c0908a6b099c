"""Archives on every kind of sink: they come back, and what is damaged there is found and named."""
import random
import shutil

import pytest

from support.cli import DAMAGED, FAILURES
from support.gnupg import quick_gpg, stop_agent
from support.oracle import assert_same_tree, compare_trees, tree_state
from support.tree import make_tree, plain_tree

PHRASE = 'correct horse'


def archive(world, sealed: bool = True) -> None:
    world.prefix = quick_gpg(world.base) if sealed else ()
    phrase = world.write('../keys/phrase', PHRASE)
    world.section('sink disk', **world.store.options(), format='archive',
                  **{'passphrase': f'@file:{phrase}'} if sealed else {'encryption': 'none'})
    world.ok('init', 'disk')


@pytest.fixture(autouse=True)
def agent(world):
    yield
    stop_agent(world.base / 'state' / 'gnupg')


@pytest.mark.every_sink(slow=True)
def test_everything_comes_back(world, tmp_path):
    tree = make_tree(tmp_path / 'tree', deep=False)
    world.source('tree', tree, one_file_system='no')
    world.job()
    archive(world)
    world.ok('run', 'job')
    assert {o.name for o in world.objects('job/')} == {'tree.tar.zst.gpg', 'SHA256SUMS', 'manifest.json'}
    restored = world.restored('job', 'restored', '--set', 'setuid=yes', '--set', 'devices=yes') / 'tree'
    assert_same_tree(tree, restored)
    assert 'all whole' in world.ok('verify').out


@pytest.mark.every_sink(slow=True)
def test_files_and_streams_are_durable_before_the_manifest(world, tmp_path, binary):
    """A stream that comes while the tar archive is open goes through a connection of its own, and a sink may keep what it
    took in a place of its own until it is asked to have it durable: on each connection, before the manifest."""
    plugins = binary.parent
    world.section('engine', state_dir=world.base / 'state', cache_dir=world.base / 'cache', host='testhost',
                  plugin_dir=f'{plugins / "plugins"}, {plugins / "tests" / "plugins"}')
    world.section('source memory', plugin='memory-source', streams='y.dump, z.dump', size='100000', files=5, file_size='20000')
    world.job(sources='memory')
    archive(world, sealed=False)
    world.ok('run', 'job')
    assert {o.name for o in world.objects('job/')} == {
        'memory.tar.zst', 'memory.y.dump.zst', 'memory.z.dump.zst', 'SHA256SUMS', 'manifest.json'}
    assert 'all whole' in world.ok('verify').out
    restored = world.restored() / 'memory'
    assert {p.name: p.stat().st_size for p in restored.iterdir()}['z.dump'] == 100000 and len(list(restored.iterdir())) == 7


def flip(data: bytes, rng) -> bytes:
    at = rng.randrange(len(data))
    return data[:at] + bytes([data[at] ^ 1 << rng.randrange(8)]) + data[at + 1:]


def cut(data: bytes, rng) -> bytes:
    return data[:rng.randrange(len(data))]


@pytest.mark.every_sink
@pytest.mark.parametrize('name', ['tree.tar.zst', 'tree.tar.zst.gpg', 'SHA256SUMS', 'manifest.json'])
def test_damage_is_found(world, tmp_path, name):
    tree = plain_tree(tmp_path / 'tree', files=5)
    world.source('tree', tree)
    world.job()
    archive(world, sealed=name.endswith('.gpg'))
    world.ok('run', 'job')
    world.store.keep()
    state = tree_state(tree)
    for change in (flip, cut, None):
        [stored] = [o for o in world.objects('job/') if o.name == name]
        if change:
            stored.write_bytes(change(stored.read_bytes(), random.Random(name)))
        else:
            stored.unlink()
        assert_noticed(world, tmp_path, state, name)
        world.store.reset()
    world.ok('verify')


def assert_noticed(world, tmp_path, state, name: str) -> None:
    found = world.fails(DAMAGED, 'verify')
    assert name in found.text or 'is gone' in found.text, found
    into = tmp_path / 'into'
    result = world('restore', 'job', '--into', into)
    assert result.status in FAILURES, result
    if (into / 'tree').exists():
        wrong = [line for line in compare_trees(state, tree_state(into / 'tree')) if 'sha256' in line]
        assert not wrong, wrong
    shutil.rmtree(into, ignore_errors=True)
