"""What reads while snapshots are removed beside it: what went is not there, and for verify it is damage when no removal record says
so."""
import pytest

from support.beside import beside
from support.cli import DAMAGED, DONE
from support.tree import plain_tree

PLACES = {'repository': {}, 'archive': {'format': 'archive', 'encryption': 'none'}}


@pytest.fixture(params=PLACES)
def made(request, world, tmp_path):
    """Three snapshots, of which prune leaves the newest."""
    world.source('tree', plain_tree(tmp_path / 'tree', files=2))
    world.sink(**PLACES[request.param])
    world.job(prune='manual', keep_last=1, keep_min=1)
    world.ok('init', 'disk')
    for i in range(3):
        (tmp_path / 'tree' / 'f').write_text(str(i))
        world.ok('run', 'job')
    return world


def manifests(world):
    return sorted([*world.repository.glob('snapshots/testhost/job/*'), *world.repository.glob('job/*/manifest.json')])


@pytest.mark.parametrize('which', [0, 1])
def test_what_is_removed_meanwhile_is_no_damage(made, which):
    result = beside(made, manifests(made)[which], 1, lambda: made.ok('prune', 'job', '--yes'), 'verify')
    assert result.status == DONE and 'was removed while it was verified' in result.err, result
    made.ok('verify')


def test_what_is_stolen_meanwhile_is_damage(made):
    path = manifests(made)[1]
    result = beside(made, path, 1, path.unlink, 'verify')
    assert result.status == DAMAGED, result
    made.fails(DAMAGED, 'verify')


@pytest.mark.parametrize('command', [('list', 'job'), ('list',), ('list', '--all-hosts'), ('find', 'f', 'job')], ids=' '.join)
def test_what_is_removed_meanwhile_is_not_listed(made, command):
    """It is not called unreadable: it is no longer there."""
    newest = made.snapshots()[-1]
    result = beside(made, manifests(made)[1], 1, lambda: made.ok('prune', 'job', '--yes'), *command, '--json')
    assert result.status == DONE and 'cannot be read' not in result.err, result
    assert {row['id'] for row in result.json() if 'id' in row} <= {newest}, result
