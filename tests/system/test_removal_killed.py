"""SIGKILL to all processes of prune and gc at any system call, in each kind of place: what is kept stays whole for everybody, the
next one finishes, and nothing is left that no gc would remove."""
import shutil
from pathlib import Path

import pytest

from support.faults import sample
from support.oracle import assert_same_tree
from support.removal import Bucket, Directory, Far, Removal, age
from support.tree import plain_tree

# Of the long sweep: 2,000 for each kind of place. Those of an archive's prune are in test_prune.py.
POINTS = {'prune': 700, 'plan': 400, 'sweep': 500, 'now': 400}
ARCHIVE_POINTS = 1000
PARTS = 4
SHORT = {'local': 2, 's3': 1, 'rsync': 1}


@pytest.fixture
def place(request, tmp_path: Path):
    if request.param == 'rsync':
        yield Far(tmp_path / 'far' / 'repository', request.getfixturevalue('sshd'))
    elif request.param == 's3':
        bucket = Bucket(tmp_path)
        yield bucket
        bucket.server.stop()
        assert not bucket.store.problems, bucket.store.problems
    else:
        yield Directory(tmp_path / 'repository')


@pytest.fixture
def removal(world, place) -> Removal:
    return Removal(world, place).make()


def prune_point(removal: Removal, number: int) -> None:
    removal.elsewhere().check_kept()
    if number % 2:  # what half a prune leaves is no matter to gc
        removal.world.ok('gc')
        removal.elsewhere().check_kept()
    removal.world.ok('prune', '--yes')
    removal.check_restores(number)
    after = removal.elsewhere()
    after.check_names()
    after.check_whole()


def gc_point(removal: Removal, number: int) -> None:
    removal.elsewhere().check_kept()
    removal.world.ok('gc')
    assert not removal.place.debris()
    removal.check_restores(number)
    removal.elsewhere().check_collected()


# What is killed: what was done before, the words, what is looked at afterwards.
STEPS = {'prune': (lambda _: None, ('prune', '--yes'), prune_point),
         'plan': (Removal.pruned, ('gc',), gc_point),
         'sweep': (Removal.planned, ('gc',), gc_point),
         'now': (Removal.pruned, ('gc', '--now', '--yes'), gc_point)}


def sweep(removal: Removal, faults, step: str, wanted: int, part: slice = slice(None)) -> None:
    """All points, also after one went wrong: how many, and which, tells more than the first."""
    before, words, point = STEPS[step]
    removal.reset('made')
    before(removal)
    removal.keep('begun')
    faults.kill_at(0, removal.world, *words)
    points, failures = sample(faults.count(), wanted)[part], []
    for number in points:
        removal.reset('begun')
        killed = faults.kill_at(number, removal.world, *words)
        try:
            assert killed.status in (0, 137), killed
            point(removal, number)
        except AssertionError as error:
            failures.append(f'point {number}: {error}')
    print(f'{step}: {len(points)} points of {faults.count()} calls, {len(failures)} failed')
    assert not failures, f'{len(failures)} of {len(points)} points failed\n' + '\n'.join(failures[:5])


@pytest.mark.parametrize('place', ['local', *(pytest.param(place, marks=pytest.mark.long) for place in ('s3', 'rsync'))], indirect=True)
def test_killed_at_some_points(removal, place, faults, request):
    for step in STEPS:
        sweep(removal, faults, step, SHORT[request.node.callspec.params['place']])


@pytest.mark.long
@pytest.mark.parametrize('part', range(PARTS))
@pytest.mark.parametrize('step', STEPS)
@pytest.mark.parametrize('place', SHORT, indirect=True)
def test_killed_at_many_points(removal, place, faults, step, part):
    sweep(removal, faults, step, POINTS[step], slice(part, None, PARTS))


# ---- archives ----

def archive(world, faults, tmp_path: Path, wanted: int, part: slice = slice(None)) -> None:
    """gc of what killed runs have left beside a snapshot."""
    tree, place, kept = plain_tree(tmp_path / 'tree', files=3), tmp_path / 'archive', tmp_path / 'kept'
    world.source('tree', tree)
    world.section('sink plain', plugin='local', path=place, format='archive', encryption='none')
    world.job(sinks='plain')
    world.ok('init', 'plain')
    world.ok('run', 'job')
    [snapshot] = world.snapshots()
    for number in range(3):
        left = shutil.copytree(place / 'job' / snapshot, place / 'job' / f'2020010{number + 1}T000000Z-abcdef')
        (left / 'manifest.json').unlink()
    age(place)
    whole = {path for path in place.rglob('*') if path.is_file() and (snapshot in str(path) or path.parent == place)}
    shutil.copytree(place, kept)
    faults.kill_at(0, world, 'gc')
    points = sample(faults.count(), wanted)[part]
    for number in points:
        shutil.rmtree(place)
        shutil.copytree(kept, place)
        killed = faults.kill_at(number, world, 'gc')
        assert killed.status in (0, 137), killed
        world.ok('gc')
        assert {path for path in place.rglob('*') if path.is_file()} == whole, number
        world.ok('verify')
        into = world.restored('job', f'into-{number}')
        assert_same_tree(tree, into / 'tree')
        shutil.rmtree(into)
    print(f'archive: {len(points)} points of {faults.count()} calls')


def test_gc_of_an_archive_killed_at_some_points(world, faults, tmp_path):
    archive(world, faults, tmp_path, 4)


@pytest.mark.long
@pytest.mark.parametrize('part', range(PARTS))
def test_gc_of_an_archive_killed_at_many_points(world, faults, tmp_path, part):
    archive(world, faults, tmp_path, ARCHIVE_POINTS, slice(part, None, PARTS))
