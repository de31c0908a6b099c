"""One bad spot in a repository keeps back what it holds, and nothing else."""
import os

from support.cli import DAMAGED
from support.oracle import tree_state


def differing(into, tree) -> set[bytes]:
    want, have = tree_state(tree), tree_state(into)
    return {path for path in want if have.get(path) != want[path]}


def test_everything_else_comes_back(world, tmp_path):
    tree = tmp_path / 'tree'
    tree.mkdir()
    for number in range(6):
        (tree / f'large{number}').write_bytes(os.urandom(900_000))
    for number in range(30):
        (tree / f'small{number}').write_text(f'{number}\n' * 100)
    world.simple(tree)
    world.ok('run', 'job')
    [pack] = world.objects('packs')
    data = bytearray(pack.read_bytes())
    data[len(data) // 2] ^= 1
    pack.write_bytes(data)

    into = tmp_path / 'restored'
    result = world('restore', 'job', '--into', into)
    assert result.status == DAMAGED, result
    lost = {os.fsdecode(path) for path in differing(into / 'tree', tree) if path}
    assert len(lost) == 1, lost
    [name] = lost
    assert not (into / 'tree' / name).exists()
    assert name in result.text, result
    assert (into / 'tree.incomplete').exists()

    again = world('cat', 'job', f'tree:{name}')
    assert again.status == DAMAGED, again
    assert 'small7' in world.ok('ls', 'job', 'tree').text
    world.ok('restore', 'job', 'tree:small7', '--into', tmp_path / 'one')
