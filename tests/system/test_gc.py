"""gc removes what no snapshot needs, in two steps with a day between them, and nothing on a doubt."""
import os
import shutil
import time

import pytest

from support import clock
from support.cli import DAMAGED, INCOMPLETE, USAGE, WRONG_KEY
from support.faults import sample
from support.garbage import assert_whole, collected, forget, gc, objects, old
from support.oracle import assert_same_tree
from support.tree import plain_tree

DAY = 86400


@pytest.fixture
def garbage(world, tmp_path):
    """Three snapshots, all three days old; the one in the middle, which had a file of its own, is removed."""
    world.simple(plain_tree(tmp_path / 'tree', files=8))
    world.ok('run', 'job')
    own = tmp_path / 'tree' / 'only-in-the-middle'
    world.content = os.urandom(3000000)
    own.write_bytes(world.content)
    world.ok('run', 'job')
    own.unlink()
    (tmp_path / 'tree' / 'file-0').write_bytes(os.urandom(200000))
    world.ok('run', 'job')
    world.first, world.middle, world.last = sorted(world.snapshots())
    old(objects(world, ''))
    forget(world, world.middle)
    return world


def test_two_steps(garbage, tmp_path):
    before = objects(garbage, 'packs')
    found = gc(garbage)
    assert found['planned']['objects'] > 0 and found['fresh'] == found['planned'], found
    assert found['removed']['objects'] == 0 and objects(garbage, 'packs') == before
    assert gc(garbage)['removed']['objects'] == 0, 'the plan has not stood for a day'
    old(objects(garbage, 'plans'), 2)
    found = gc(garbage)
    gone = set(before) - set(objects(garbage, 'packs'))
    assert found['removed']['objects'] == len(gone) > 0 and found['planned']['objects'] == 0, found
    assert len(objects(garbage, 'plans')) == 1, 'a plan stays until the next gc sees that nothing of it is left'
    gc(garbage)
    assert objects(garbage, 'plans') == []
    assert_whole(garbage)
    assert_same_tree(tmp_path / 'tree', garbage.restored(f'job@{garbage.last}') / 'tree')


def test_index_objects_are_cleaned(garbage):
    """One speaks of nothing that is gone; the cache of this machine is right; what was stored before is re-used."""
    collected(garbage)
    kept = len(objects(garbage, 'index'))
    assert kept == 2, 'the index object of the removed snapshot alone is gone'
    garbage.ok('run', 'job')
    assert_whole(garbage)


def test_index_objects_are_written_anew(garbage, tmp_path):
    """Two packs in one index object, of which one goes. Nothing is stored twice afterwards, and nothing lost."""
    (tmp_path / 'tree' / '0-goes').write_bytes(os.urandom(18 << 20))
    (tmp_path / 'tree' / 'stays').write_bytes(os.urandom(1 << 20))
    garbage.ok('run', 'job')
    goes = garbage.snapshots()
    (tmp_path / 'tree' / '0-goes').unlink()
    garbage.ok('run', 'job')
    old(objects(garbage, ''))
    forget(garbage, [one for one in goes if one not in (garbage.first, garbage.last)][0])
    indexes = set(objects(garbage, 'index'))
    found = collected(garbage)
    assert found['removed']['bytes'] > 16 << 20, found
    assert set(objects(garbage, 'index')) - indexes, 'one was written anew'
    assert_whole(garbage)
    shutil.rmtree(tmp_path / 'cache')
    before = set(objects(garbage, 'packs'))
    garbage.ok('run', 'job')
    assert sum(path.stat().st_size for path in set(objects(garbage, 'packs')) - before) < 500000, 'what stays is known'
    assert_same_tree(tmp_path / 'tree', garbage.restored() / 'tree')


def test_a_run_relies_on_nothing_planned(garbage, tmp_path):
    """The file of the removed snapshot comes back, and its content is stored anew."""
    middle = [path for path in objects(garbage, 'packs') if path.stat().st_size > 2900000]
    own = tmp_path / 'tree' / 'only-in-the-middle'
    assert len(middle) == 1
    gc(garbage)
    own.write_bytes(garbage.content)
    garbage.ok('run', 'job')
    assert len([path for path in objects(garbage, 'packs') if path.stat().st_size > 2900000]) == 2
    old(objects(garbage, 'plans'), 2)
    assert gc(garbage)['removed']['objects'] > 0
    assert not middle[0].exists()
    assert_same_tree(tmp_path / 'tree', garbage.restored() / 'tree')


def test_by_a_machine_that_knows_nothing(garbage):
    """Each time another one, with the key alone."""
    def forget_all():
        shutil.rmtree(garbage.base / 'state')
        shutil.rmtree(garbage.base / 'cache')

    forget_all()
    assert gc(garbage)['fresh']['objects'] > 0
    old(objects(garbage, 'plans'), 2)
    forget_all()
    assert gc(garbage)['removed']['objects'] > 0
    assert_whole(garbage)


def test_young_packs_are_not_planned(garbage):
    for path in objects(garbage, 'packs'):
        os.utime(path)
    found = gc(garbage)
    assert found['planned']['objects'] == 0 and found['young']['objects'] > 0, found


def test_now(garbage):
    garbage.fails(USAGE, 'gc', '--now')
    found = gc(garbage, '--now', '--yes')
    assert found['removed']['objects'] > 0, found
    assert_whole(garbage)
    [plan] = objects(garbage, 'plans')
    gc(garbage)
    assert objects(garbage, 'plans') == [plan], 'a run may go by what it has listed before it'
    old([plan], 2)
    gc(garbage)
    assert objects(garbage, 'plans') == []


def test_dry_run_tells_what_is_done(garbage):
    before = objects(garbage, '')
    would = gc(garbage, '--dry-run')
    assert objects(garbage, '') == before
    assert would['fresh'] == gc(garbage)['fresh'] and would['fresh']['objects'] > 0
    old(objects(garbage, 'plans'), 2)
    before = objects(garbage, '')
    would = gc(garbage, '--dry-run')
    assert objects(garbage, '') == before
    assert would['removed'] == gc(garbage)['removed'] and would['removed']['objects'] > 0


def test_needs_that_a_killed_run_left(garbage):
    place = garbage.repository / 'needs/testhost/job'
    gc(garbage)
    assert len(objects(garbage, 'needs')) == 2
    (garbage.repository / 'snapshots/testhost/job' / garbage.first).unlink()
    assert gc(garbage)['planned']['objects'] > 0, 'they count as long as they are there'
    assert list(place.glob(f'{garbage.first}*')) == [] and list(place.glob(f'{garbage.last}*'))


def test_a_put_key_may_not(garbage):
    garbage.sink(key=garbage.put_key())
    assert 'may remove nothing' in garbage.fails(WRONG_KEY, 'gc').text
    garbage.job(prune='elsewhere')
    assert 'may remove nothing' in garbage.ok('gc').err


@pytest.mark.every_sink
def test_every_sink(world, tmp_path):
    """Without a grace, since times of objects in a bucket cannot be changed: what is needed stays, the rest goes."""
    tree = plain_tree(tmp_path / 'tree', files=8)
    world.simple(tree)
    world.ok('run', 'job')
    own = tree / 'only-in-the-middle'
    own.write_bytes(os.urandom(1000000))
    world.ok('run', 'job')
    own.unlink()
    world.ok('run', 'job')
    [first, middle, last] = sorted(world.snapshots())
    for kind in ('snapshots', 'needs'):
        [one] = [item for item in world.store.objects(kind) if item.name == middle]
        one.unlink()
    kept = len(world.store.objects('packs'))
    assert gc(world)['removed']['objects'] == 0
    found = gc(world, '--now', '--yes')
    assert found['removed']['bytes'] > 1000000, found
    assert len(world.store.objects('packs')) == kept - found['removed']['objects']
    assert_whole(world)
    world.restored(f'job@{first}', 'first')
    assert_same_tree(tree, world.restored(f'job@{last}') / 'tree')


# ---- killed ----

POINTS, SHORT = 300, 5


@pytest.mark.parametrize('points', [SHORT, pytest.param(POINTS, marks=pytest.mark.long)])
@pytest.mark.parametrize('step', ['plan', 'sweep'])
def test_killed_anywhere_it_goes_on(garbage, faults, tmp_path, step, points):
    if step == 'sweep':
        gc(garbage)
        old(objects(garbage, 'plans'), 2)
    parts = [garbage.repository, garbage.base / 'state', garbage.base / 'cache']
    for part in parts:
        shutil.copytree(part, tmp_path / 'kept' / part.name)

    def reset():
        for part in parts:
            shutil.rmtree(part)
            shutil.copytree(tmp_path / 'kept' / part.name, part)

    faults.kill_at(0, garbage, 'gc')
    for number in sample(faults.count(), points):
        reset()
        killed = faults.kill_at(number, garbage, 'gc')
        assert killed.status in (0, 137), killed
        for _ in range(3):
            gc(garbage)
            old(objects(garbage, 'plans'), 2)
        assert objects(garbage, 'plans') == [], number
        assert_whole(garbage)
        found = gc(garbage)
        assert found['planned']['objects'] == found['young']['objects'] == 0, (number, found)
        assert found['needed']['objects'] == len(objects(garbage, 'packs')) > 0, (number, found)
    assert_same_tree(tmp_path / 'tree', garbage.restored(f'job@{garbage.last}') / 'tree')


# ---- archives ----

def test_archive(world, tmp_path):
    """What a killed run has left goes, when it is old; a snapshot stays."""
    tree, place = plain_tree(tmp_path / 'tree', files=4), tmp_path / 'archive'
    world.source('tree', tree)
    world.section('sink plain', plugin='local', path=place, format='archive', encryption='none')
    world.job(sinks='plain')
    world.ok('init', 'plain')
    world.ok('run', 'job')
    [snapshot] = world.snapshots()
    left = place / 'job' / '20200101T000000Z-abcdef'
    shutil.copytree(place / 'job' / snapshot, left)
    (left / 'manifest.json').unlink()
    before = sorted(place.rglob('*'))

    def found(*words):
        [row] = [row for row in world.ok('--json', 'gc', *words).json() if row['type'] == 'garbage']
        return row

    for path in left.iterdir():
        os.utime(path)
    assert found()['young']['objects'] == len(list(left.iterdir())) and sorted(place.rglob('*')) == before
    old([path for path in place.rglob('*') if path.is_file()], 2)
    would = found('--dry-run')
    assert would['removed']['objects'] > 0 and sorted(place.rglob('*')) == before
    assert found()['removed'] == would['removed'] and not any(path.is_file() for path in left.rglob('*'))
    world.ok('verify')
    path = place / 'job' / snapshot / 'manifest.json'
    path.write_bytes(path.read_bytes()[:-9])
    assert 'nothing was removed, as ' in world.fails(INCOMPLETE, 'gc').err


def test_a_prune_key_collects_where_a_put_key_stores(garbage, tmp_path):
    """The host has a put key, another machine the prune key: after both steps the host goes on, and all is whole."""
    put, prune = garbage.put_key(), garbage.base / 'keys/prune.key'
    garbage.ok('key', 'prune', garbage.key, prune)
    garbage.sink(key=prune)
    assert gc(garbage)['fresh']['objects'] > 0
    old(objects(garbage, 'plans'), 2)
    assert gc(garbage)['removed']['objects'] > 0
    garbage.sink(key=put)
    (tmp_path / 'tree' / 'only-in-the-middle').write_bytes(garbage.content)
    garbage.ok('run', 'job')
    garbage.sink()
    garbage.ok('key', 'accept', 'disk', 'testhost')
    assert_whole(garbage)
    assert_same_tree(tmp_path / 'tree', garbage.restored() / 'tree')


def test_what_was_collected_is_no_damage(world, tmp_path):
    """A host with a put key stores four packs with one index object, and another machine removes two of them. That the object
    still describes them is no damage for either, long after the plan has gone; that one is missing which is needed, is."""
    tree, put = tmp_path / 'tree', world.base / 'keys/put.key'
    tree.mkdir()
    for i in range(4):
        (tree / f'{i}').write_bytes(os.urandom(17 << 20))
    world.simple(tree)
    world.ok('key', 'put', world.key, put, '--host', 'testhost')
    world.sink(key=put)
    world.ok('run', 'job')
    for i in range(2):
        (tree / f'{i}').unlink()
    world.ok('run', 'job')
    here = {'state_dir': world.base / 'state', 'cache_dir': world.base / 'cache', 'host': 'testhost'}
    world.section('engine', state_dir=world.base / 'keeper-state', cache_dir=world.base / 'keeper-cache', host='keeper')
    world.sink(keep_last=1, keep_min=1, gc_repack=0)
    world('key', 'accept', 'disk', 'testhost')
    old(objects(world, ''))
    world.ok('prune', '--all-hosts', '--yes')
    before = set(objects(world, 'packs'))
    assert collected(world)['removed']['bytes'] > 32 << 20
    gone = before - set(objects(world, 'packs'))
    for _ in range(2):
        old(objects(world, 'plans'), 3)
        gc(world)
    assert len(gone) == 2 and not objects(world, 'plans') and len(objects(world, 'index')) == 2
    world.ok('verify', '--all')
    said = world.ok('-v', 'verify', '--quick').err
    assert 'index objects describe 2 packs that are gone and that no snapshot needs' in said, said
    world.section('engine', **here)
    world.sink(key=put)
    world.ok('verify', '--all')
    largest = max(objects(world, 'packs'), key=lambda path: path.stat().st_size)
    largest.unlink()
    for key in (put, world.key):
        world.sink(key=key)
        for words in (('--all',), ('--quick',)):
            assert f'{largest.name}: it is missing' in world.fails(DAMAGED, 'verify', *words).out


# ---- doubts ----

def needs_gone(world):
    (world.repository / 'needs/testhost/job' / world.first).unlink()


def needs_damaged(world):
    path = world.repository / 'needs/testhost/job' / world.first
    path.write_bytes(path.read_bytes()[:-1])


def needs_of_another(world):
    place = world.repository / 'needs/testhost/job'
    shutil.copy(place / world.last, place / world.first)


def manifest_damaged(world):
    path = world.repository / 'snapshots/testhost/job' / world.first
    path.write_bytes(path.read_bytes()[:-1])


def newest_gone(world):
    forget(world, world.last)


def needs_cannot_be_listed(world):
    place = world.repository / 'needs'
    shutil.rmtree(place)
    place.write_text('')


def clock_went_back(world):
    gc(world)
    [memory] = (world.base / 'state/repositories').glob('*/gc')
    store, machine, since = memory.read_text().split()
    memory.write_text(f'{store} {int(machine) + 3600 * 10**9} {since}\n')


@pytest.mark.parametrize('doubt', [needs_gone, needs_damaged, needs_of_another, manifest_damaged, newest_gone,
                                   needs_cannot_be_listed, clock_went_back])
def test_nothing_goes_on_a_doubt(garbage, doubt):
    gc(garbage)
    old(objects(garbage, 'plans'), 2)
    doubt(garbage)
    before = objects(garbage, 'packs'), objects(garbage, 'plans')
    result = garbage.fails(INCOMPLETE, 'gc')
    assert 'nothing was removed, as ' in result.err, result
    assert (objects(garbage, 'packs'), objects(garbage, 'plans')) == before


@pytest.mark.parametrize('doubt', [needs_gone, needs_damaged, needs_of_another])
def test_needs_are_made_anew(garbage, tmp_path, doubt):
    """With the full key: what the snapshot needs is in its catalogues. The gc after that goes on."""
    gc(garbage)
    old(objects(garbage, 'plans'), 2)
    doubt(garbage)
    assert 'written down anew' in garbage.fails(INCOMPLETE, 'gc').err
    assert gc(garbage)['removed']['objects'] > 0
    assert_whole(garbage)
    garbage.restored(f'job@{garbage.first}')


def test_another_place(garbage, tmp_path):
    """The same section, and a repository to which this machine has never saved."""
    shutil.move(garbage.repository, tmp_path / 'elsewhere')
    garbage.ok('init', 'disk')
    assert 'never to' in garbage.fails(INCOMPLETE, 'gc').err


def test_a_clock_that_leapt(garbage):
    """The store's time is three days ahead of what it was, and this machine's is not: plans count from now on."""
    gc(garbage)
    [memory] = (garbage.base / 'state/repositories').glob('*/gc')
    store, machine, since = memory.read_text().split()
    memory.write_text(f'{int(store) - 3 * DAY * 10**9} {machine} {since}\n')
    old(objects(garbage, 'plans'), 2)
    assert gc(garbage)['removed']['objects'] == 0
    assert int(memory.read_text().split()[2]) > time.time_ns() - 3600 * 10**9


def test_plans_end_beside_a_snapshot_that_lacks_a_pack(garbage):
    """The listing may lack others as well: those of the plan are asked for by their names, and are gone."""
    collected(garbage)
    objects(garbage, 'packs')[0].unlink()
    gc(garbage)
    assert objects(garbage, 'plans') == []


@pytest.mark.preload
def test_the_clock_was_ahead_at_the_last_gc(garbage):
    """It is right since, and does not come there before 2099: what to do is said, and done, gc goes on."""
    garbage.ok('gc', prefix=clock.at('2099-01-01 00:00:00'))
    old(objects(garbage, 'plans'), 2)
    result = garbage.fails(INCOMPLETE, 'gc')
    [memory] = (garbage.base / 'state/repositories').glob('*/gc')
    assert f"'{memory}'" in result.err.partition('hint: ')[2], result
    memory.unlink()
    assert gc(garbage)['removed']['objects'] > 0
    assert_whole(garbage)


def test_what_was_stored_when_the_clock_was_ahead(garbage):
    """Of packs and plans of the future nobody knows how old they are. They go all the same: by a plan of their own."""
    old(objects(garbage, 'packs'), -3650)
    planned = gc(garbage)['planned']
    assert planned['objects'] > 0
    old(objects(garbage, 'plans'), -3650)
    found = gc(garbage)
    assert found['fresh'] == found['planned'] == planned and found['removed']['objects'] == 0, found
    [plan] = [path for path in objects(garbage, 'plans') if path.stat().st_mtime < time.time() + DAY]
    old([plan], 2)
    assert gc(garbage)['removed'] == planned
    gc(garbage)
    assert objects(garbage, 'plans') == []
    assert_whole(garbage)


@pytest.mark.preload
def test_a_snapshot_of_a_clock_that_was_ahead(garbage):
    """It is in the way until the next one is made by a clock that is right, and no longer."""
    garbage.ok('run', 'job', prefix=clock.ahead(400 * DAY))
    assert 'lies in the future' in garbage.fails(INCOMPLETE, 'gc').err
    garbage.ok('run', 'job')
    assert collected(garbage)['removed']['objects'] > 0
    assert_whole(garbage)


@pytest.mark.preload
def test_a_run_in_which_the_clock_was_set_right(garbage, tmp_path):
    """It did not take half a century, and plans do not stand for twice as long."""
    now, steps = tmp_path / 'now', ('FAKETIME_NO_CACHE=1', 'FAKETIME_DONT_FAKE_MONOTONIC=1', 'DONT_FAKE_MONOTONIC=1')
    now.write_text('1974-01-01 00:00:00')
    garbage.job(before=f"sh: echo +0 > {now}")
    garbage.ok('run', 'job', prefix=('env', f'LD_PRELOAD={clock.LIBRARY}', f'FAKETIME_TIMESTAMP_FILE={now}', *steps))
    assert '1974' in garbage.ok('list').out
    assert collected(garbage)['removed']['objects'] > 0


def test_needs_that_a_killed_run_left_are_damaged(garbage):
    """What they name nobody knows. When they are so old that no run can be at work on them, nothing does need it."""
    left = garbage.repository / 'needs/testhost/job/20260101T000000Z-abcdef'
    left.write_bytes((garbage.repository / 'needs/testhost/job' / garbage.last).read_bytes()[:-1])
    gone = garbage.fails(INCOMPLETE, 'gc').err
    assert f"'{left.relative_to(garbage.repository)}' cannot be read" in gone and 'gc removes it' in gone
    old([left], 2)
    assert collected(garbage)['removed']['objects'] > 0 and not left.exists()
    assert_whole(garbage)


