"""Any whole copy of a chunk is good enough: docs/format.md section 7, "each copy is as good as the others"."""
import os
import shutil
import time

import pytest

from support.cli import DONE
from support.oracle import compare_trees, tree_state
from support.tree import plain_tree


@pytest.fixture
def stored_twice(world, tmp_path):
    """Two hosts have saved the same tree into one repository, so each chunk of it is in two packs."""
    tree = plain_tree(tmp_path / 'tree', files=4)
    (tree / 'large').write_bytes(os.urandom(3_000_000))
    world.simple(tree)
    time.sleep(2.1)  # younger files are not trusted, so that the catalogues of the two would not be the same
    world.ok('run', 'job')
    world.section('engine', state_dir=tmp_path / 'state2', cache_dir=tmp_path / 'cache2', host='otherhost')
    world.ok('run', 'job')
    world.section('engine', state_dir=tmp_path / 'state', cache_dir=tmp_path / 'cache', host='testhost')
    shutil.copytree(world.repository, tmp_path / 'intact')
    return tree_state(tree)


@pytest.mark.parametrize('where', ['first-chunk', 'header'])
def test_restore_takes_the_whole_copy(world, tmp_path, stored_twice, where):
    # Not the two catalogues' packs alone: every pack, one at a time, damaged where its first chunk or its header lies.
    for i, pack in enumerate(world.objects('packs')):
        shutil.rmtree(world.repository)
        shutil.copytree(tmp_path / 'intact', world.repository)
        data = bytearray(pack.read_bytes())
        data[30 if where == 'header' else 150] ^= 1
        pack.write_bytes(data)
        into = tmp_path / f'{where}{i}'
        result = world('restore', 'job', '--into', into)
        assert result.status == DONE, f'pack {i} of {len(world.objects("packs"))}\n{result}'
        assert not compare_trees(stored_twice, tree_state(into / 'tree'))


def test_a_copy_relies_on_no_other_host(world, tmp_path):
    """Another host may put anything under a chunk's id: what is copied brings its own chunks along."""
    tree = plain_tree(tmp_path / 'tree', files=4)
    state = tree_state(tree)
    world.source('tree', tree)
    for name in ('one', 'two'):
        world.sink(name, path=tmp_path / name)
        world.ok('init', name)
    world.job(sinks='two')
    world.section('engine', state_dir=tmp_path / 'state2', cache_dir=tmp_path / 'cache2', host='otherhost')
    world.ok('run', 'job')
    theirs = world.objects('packs', tmp_path / 'two')
    world.section('engine', state_dir=tmp_path / 'state', cache_dir=tmp_path / 'cache', host='testhost')
    world.job(sinks='one')
    world.ok('run', 'job')
    world.job(sinks='one, two')
    first = world.ok('--json', 'copy', 'job', '--from', 'one', '--to', 'two').json()[-1]
    assert not first['existed'] and first['objects'] > 1, first
    again = world.ok('--json', 'copy', 'job', '--from', 'one', '--to', 'two').json()[-1]
    assert again['existed'] and again['objects'] == 0, again
    for pack in theirs:
        pack.unlink()
    shutil.rmtree(tmp_path / 'one')
    world.ok('restore', 'job', '--into', tmp_path / 'into', '--sink', 'two')
    assert not compare_trees(state, tree_state(tmp_path / 'into' / 'tree'))
