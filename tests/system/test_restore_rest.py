"""What a restore that was killed left in its target goes with the next one; what only looks like it stays."""
from support.tree import plain_tree


def test_left_overs_are_removed(world, tmp_path):
    world.simple(plain_tree(tmp_path / 'tree'))
    world.ok('run', 'job')
    into = tmp_path / 'restored'
    world.ok('restore', 'job', '--into', into)
    dead = [into / 'tree' / '.cofre-0123456789abcdef', into / 'tree' / '.cofre-0123456789abcdef_3']
    alive = [into / 'tree' / '.cofre-notes', into / 'tree' / '.cofre-0123456789abcdef_x']
    for path in dead + alive:
        path.write_text('x')
    world.ok('restore', 'job', '--into', into, '--yes')
    assert not [path for path in dead if path.exists()]
    assert all(path.exists() for path in alive)
