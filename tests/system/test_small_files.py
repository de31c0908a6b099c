"""Small files share chunks: what that keeps of files that are gone, where snapshots go, and what it does not."""
import random
import time

from support.garbage import assert_whole, gc, objects, old
from support.oracle import assert_same_tree

COUNT, SIZE, NIGHTS = 1500, 4000, 3


def write(tree, rng, names):
    for i in names:
        (tree / f'{i:04d}').write_bytes(rng.randbytes(SIZE))
    time.sleep(2.1)  # what has changed less than two seconds before a run is read again by the next


def unchanged(world, job):
    return [row for row in world.ok('--json', 'run', job).json() if row['type'] == 'summary'][0]['unchanged']


def test_what_is_left_of_a_chunk_moves(world, tmp_path):
    """Each night a fifth of the files change, all over the tree, until a third of every chunk is of no use. Where snapshots go,
    the rest is stored again, and the space comes back with them; where none ever goes, it is left alone."""
    tree, rng = tmp_path / 'tree', random.Random(1)
    tree.mkdir()
    world.simple(tree)
    world.job(prune='manual', keep_last=1, keep_min=1)
    world.sink('all', world.base / 'all', world.base / 'all.key')
    world.job('forever', sinks='all')
    world.ok('init', 'all')
    write(tree, rng, range(COUNT))
    for job in ('job', 'forever'):
        assert unchanged(world, job) == 0
    for night in range(NIGHTS):
        write(tree, rng, rng.sample(range(COUNT), COUNT // 5))
        left = unchanged(world, 'job')
        assert unchanged(world, 'forever') == COUNT * 4 // 5 + 1  # and the directory
        assert night > 0 or left == COUNT * 4 // 5 + 1, left
    assert left < COUNT // 2, left
    old(objects(world, ''))
    world.ok('prune', 'job', '--yes')
    gc(world, '--now', '--yes')
    assert sum(path.stat().st_size for path in objects(world, 'packs')) < 1.2 * COUNT * SIZE
    assert_whole(world)
    assert_same_tree(tree, world.restored('job', 'again') / 'tree')


def test_a_file_that_moves_is_stored_once(world, tmp_path):
    """One of some size has chunks of its own, which its new neighbours do not change."""
    tree, rng = tmp_path / 'tree', random.Random(1)
    (tree / 'a').mkdir(parents=True)
    for i in range(100):
        (tree / 'a' / f'{i:02d}').write_bytes(rng.randbytes(20_000))
        (tree / 'a' / f'{i:02d}-small').write_bytes(rng.randbytes(100))
    world.simple(tree)
    world.ok('run', 'job')
    (tree / 'b').mkdir()
    for i in range(0, 100, 3):
        (tree / 'a' / f'{i:02d}').rename(tree / 'b' / f'{i:02d}')
    added = [row for row in world.ok('--json', 'run', 'job').json() if row['type'] == 'summary'][0]['added']
    assert added < 100_000, added
    assert_same_tree(tree, world.restored('job', 'again') / 'tree')
