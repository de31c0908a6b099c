"""What is needed of packs of which little is, gc packs anew, so that the space of the rest comes back."""
import os
import random
import shutil

import pytest

from support.cli import BAD_CONFIG
from support.garbage import assert_whole, collected, gc, objects, old
from support.needs import assert_needs
from support.oracle import assert_same_tree

FILES = 6
LARGE = 2_000_000


def change(tree, seed, files=range(2, FILES)):
    """These files get other content, which does not compress; by default two thirds of all."""
    rng = random.Random(seed)
    for i in files:
        (tree / f'file-{i}').write_bytes(rng.randbytes(LARGE))


def grow(world, tree):
    """Three runs, in each of which two thirds of the files are others; all of it three days old. The first goes."""
    tree.mkdir()
    world.simple(tree)
    change(tree, 1, range(FILES))
    world.ok('run', 'job')
    for seed in (2, 3):
        change(tree, seed)
        world.ok('run', 'job')
    old(objects(world, ''))
    world.first, world.middle, world.last = sorted(world.snapshots())
    keep(world, 2)
    return world


def keep(world, count):
    world.job(keep_last=count, keep_min=1, prune='manual')
    world.ok('prune', 'job', '--yes')
    assert len(world.snapshots()) == count


@pytest.fixture
def sparse(world, tmp_path):
    return grow(world, tmp_path / 'tree')


def moved(result):
    return [row['moved'] for row in result.json() if row['type'] == 'garbage'][0]


def look_anew(world):
    """Whether it is worth to is forgotten."""
    for path in (world.base / 'state').rglob('repacked'):
        path.unlink()


def size(world):
    return sum(path.stat().st_size for path in objects(world, 'packs'))


def assert_right(world):
    for snapshot in world.snapshots():
        assert_needs(world.repository, world.key, f'testhost/job/{snapshot}')
    assert_whole(world)


def test_the_space_comes_back(sparse, tmp_path):
    """And what is left is whole, is known to the next run, and takes no more than it has to."""
    tree = sparse.restored(f'job@{sparse.middle}', 'before')
    found = gc(sparse)
    assert found['moved']['objects'] == 1 and found['moved']['bytes'] > 5.9 * LARGE, found
    assert found['made']['objects'] == 1 and 1.9 * LARGE < found['made']['bytes'] < 2.1 * LARGE, found
    assert found['fresh']['objects'] == 1, 'the old one is planned at once'
    old(objects(sparse, 'plans'), 2)
    assert gc(sparse)['removed']['bytes'] > 5.9 * LARGE
    assert 9.9 * LARGE < size(sparse) < 10.1 * LARGE, 'two thirds twice, and one third'
    assert_right(sparse)
    assert_same_tree(tree / 'tree', sparse.restored(f'job@{sparse.middle}') / 'tree')
    assert_same_tree(tmp_path / 'tree', sparse.restored('job', 'last') / 'tree')
    before = size(sparse)
    shutil.rmtree(sparse.base / 'cache')
    sparse.ok('run', 'job')
    assert size(sparse) - before < 100_000, 'nothing is stored twice'


def test_now_does_all_of_it(sparse):
    found = gc(sparse, '--now', '--yes')
    assert found['moved']['objects'] == 1 and found['removed']['objects'] == 1, found
    assert size(sparse) < 10.1 * LARGE
    assert_right(sparse)


def test_dry_run_tells_what_is_done(sparse):
    before = objects(sparse, '')
    would = gc(sparse, '--dry-run')
    assert objects(sparse, '') == before
    done = gc(sparse)
    assert would['moved'] == done['moved'] and would['fresh'] == done['fresh'] and would['moved']['objects'] > 0


def test_nothing_goes_nothing_is_looked_at(sparse):
    """When nothing was removed since, catalogues are not read: a damaged one is not met."""
    collected(sparse)
    for path in objects(sparse, 'packs'):
        path.write_bytes(path.read_bytes()[:200])
    result = sparse.ok('--json', 'gc')
    assert 'packed anew' not in result.err and moved(result)['objects'] == 0


def test_what_is_too_young_is_looked_at_again(sparse):
    for path in objects(sparse, 'packs'):
        os.utime(path)
    assert gc(sparse)['moved']['objects'] == 0
    old(objects(sparse, 'packs'))
    assert gc(sparse)['moved']['objects'] == 1


def test_where_needs_may_not_be_removed_they_do_not_pile_up(sparse):
    """As in a bucket that keeps everything for a while, whatever cofre knows of it."""
    for _ in range(6):
        before = {path: path.read_bytes() for path in objects(sparse, 'needs')}
        gc(sparse)
        for path, content in before.items():
            path.write_bytes(content)
        look_anew(sparse)
    assert len(objects(sparse, 'needs')) <= 2 * 4
    assert_whole(sparse)


def test_as_much_as_is_allowed(sparse, tmp_path):
    sparse.sink(gc_repack='0')
    assert gc(sparse)['moved']['objects'] == 0
    sparse.sink(gc_repack='1MiB')
    assert gc(sparse)['moved']['objects'] == 0, 'a pack is larger'
    change(tmp_path / 'tree', 4, [FILES - 1])
    sparse.ok('run', 'job')
    old(objects(sparse, ''))
    keep(sparse, 1)
    sparse.sink(gc_repack='13MiB')
    assert [gc(sparse)['moved']['objects'] for _ in range(3)] == [1, 1, 0], 'one after the other'
    assert_right(sparse)


def test_an_archive_has_none_of_it(world, tmp_path):
    (tmp_path / 'tree').mkdir()
    world.source('tree', tmp_path / 'tree')
    world.sink(format='archive', encryption='none', gc_repack='1GiB')
    world.job()
    result = world.fails(BAD_CONFIG, 'check', '--offline')
    assert "'gc_repack' is for format = repository" in result.err


def test_a_host_with_a_put_key_relies_on_it(world, tmp_path):
    """It has not stored what was packed anew, but the full key has: nothing is stored twice."""
    tree = tmp_path / 'tree'
    tree.mkdir()
    world.simple(tree)
    put = world.put_key('own', 'testhost')
    world.sink(key=put)
    change(tree, 1, range(FILES))
    world.ok('run', 'job')
    change(tree, 2)
    world.ok('run', 'job')
    old(objects(world, ''))
    world.sink()
    keep(world, 1)
    shutil.move(world.base / 'state', world.base / 'state-of-the-host')
    shutil.move(world.base / 'cache', world.base / 'cache-of-the-host')
    world.section('engine', host='keeper', state_dir=world.base / 'state', cache_dir=world.base / 'cache')
    world.sink()
    found = collected(world)
    assert found['removed']['bytes'] > 5.9 * LARGE, found
    assert_right(world)
    world.section('engine', host='testhost', state_dir=world.base / 'state-of-the-host',
                  cache_dir=world.base / 'cache-of-the-host')
    world.sink(key=put)
    before = size(world)
    world.ok('run', 'job')
    assert size(world) - before < 100_000
    world.sink()
    assert_same_tree(tree, world.restored('job') / 'tree')


def at(world, host, place):
    """On a machine with that state and cache."""
    world.section('engine', host=host, state_dir=world.base / place / 'state', cache_dir=world.base / place / 'cache')


def at_keeper(world):
    """On another machine that has the full key; the first one keeps what it has."""
    (world.base / 'host').mkdir()
    shutil.move(world.base / 'state', world.base / 'host/state')
    shutil.move(world.base / 'cache', world.base / 'host/cache')
    at(world, 'keeper', 'keeper')


def test_a_host_with_the_full_key_does_its_own(sparse):
    """As long as it stores snapshots: another machine that packed anew for it would do its work a second time."""
    at_keeper(sparse)
    old(objects(sparse, ''), 50)
    assert gc(sparse)['moved']['objects'] == 0
    old(objects(sparse, ''), 10)
    os.utime(sparse.repository / 'snapshots/testhost/job' / sparse.last)
    look_anew(sparse)
    assert gc(sparse)['moved']['objects'] == 0, 'its newest one tells'


def test_one_that_stores_none_any_more_is_done_for(sparse, tmp_path):
    """And should it come back all the same, it relies on what was packed anew: nothing is stored twice, nothing lost."""
    at_keeper(sparse)
    old(objects(sparse, ''), 61)
    found = collected(sparse)
    assert found['removed']['bytes'] > 5.9 * LARGE, found
    assert_right(sparse)
    at(sparse, 'testhost', 'host')
    before = size(sparse)
    sparse.ok('run', 'job')
    assert size(sparse) - before < 100_000
    assert_right(sparse)
    assert_same_tree(tmp_path / 'tree', sparse.restored('job') / 'tree')


@pytest.mark.parametrize('days', [0, 2])
def test_one_that_comes_back_in_the_middle_of_it(sparse, tmp_path, days):
    """What was packed anew is stored and the old packs are planned, for no time or for longer than their grace, when it runs, and
    collects as well."""
    at_keeper(sparse)
    old(objects(sparse, ''), 61)
    assert gc(sparse)['moved']['objects'] == 1
    old(objects(sparse, 'plans'), days)
    at(sparse, 'testhost', 'host')
    change(tmp_path / 'tree', 4, [FILES - 1])
    sparse.ok('run', 'job')
    at(sparse, 'keeper', 'keeper')
    gc(sparse)
    assert_right(sparse)
    at(sparse, 'testhost', 'host')
    collected(sparse)
    assert_right(sparse)
    assert_same_tree(tmp_path / 'tree', sparse.restored('job') / 'tree')


def test_a_damaged_pack_stays_as_it_is(sparse):
    """Whatever of it is whole restores as before; what is wrong with it is said."""
    emptiest = min(objects(sparse, 'packs'), key=lambda path: path.stat().st_mtime)
    data = bytearray(emptiest.read_bytes())
    data[len(data) // 2] ^= 1
    emptiest.write_bytes(data)
    old([emptiest])
    result = sparse.ok('--json', 'gc')
    assert emptiest.name in result.err and 'is not packed anew' in result.err
    assert moved(result)['objects'] == 0
    before = objects(sparse, 'packs')
    old(objects(sparse, 'plans'), 2)
    gc(sparse)
    assert emptiest in objects(sparse, 'packs') and emptiest in before


def test_a_snapshot_that_cannot_be_read_keeps_its_packs(sparse):
    """Its catalogue is gone. What it needs is not known, so its packs stay; what it does not need goes."""
    before = {path: path.read_bytes() for path in objects(sparse, 'packs')}
    manifest = sparse.repository / 'snapshots/testhost/job' / sparse.middle
    other = sparse.repository / 'snapshots/testhost/job' / sparse.last
    needed = {path for path in before if path.name[:16] in needs_of(sparse, sparse.middle)}
    catalogue = min(needed, key=lambda path: path.stat().st_size)
    assert manifest.exists() and other.exists() and len(needed) > 1
    catalogue.write_bytes(catalogue.read_bytes()[:300])
    result = sparse.ok('--json', 'gc')
    assert 'is not packed anew' in result.err and sparse.middle in result.err, result.err
    assert moved(result)['objects'] == 0, result
    assert needed <= set(objects(sparse, 'packs'))


def needs_of(world, snapshot):
    needs = assert_needs(world.repository, world.key, f'testhost/job/{snapshot}')
    return {name.hex() for _, name in needs}


def test_one_that_was_interrupted_goes_on(sparse):
    """Killed before the old needs were removed: what is in new packs already is not stored twice."""
    needs = {path: path.read_bytes() for path in objects(sparse, 'needs')}
    gc(sparse)
    for path, content in needs.items():
        path.write_bytes(content)
    look_anew(sparse)
    packs = objects(sparse, 'packs')
    found = gc(sparse)
    assert objects(sparse, 'packs') == packs and found['made']['objects'] == 0, found
    assert len(objects(sparse, 'needs')) == 2, 'one of each snapshot'
    old(objects(sparse, 'plans'), 2)
    gc(sparse)
    assert size(sparse) < 10.1 * LARGE
    assert_right(sparse)


def test_of_two_machines_one_is_late(sparse):
    """Both have packed anew, and one was held up for days before it removed the old needs: nothing is lost."""
    before = {path: path.read_bytes() for path in objects(sparse, 'needs')}
    gc(sparse)
    first = {path: path.read_bytes() for path in objects(sparse, 'needs')}
    old(objects(sparse, 'plans'), 2)
    gc(sparse)
    for path, content in before.items():
        path.write_bytes(content)
    assert set(first) <= set(objects(sparse, 'needs'))
    assert_whole(sparse)
    gc(sparse)
    assert_whole(sparse)
