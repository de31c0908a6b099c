"""A baseline that is fetched while packs of the source before are on their way: one worker, two threads."""
import os
import shutil

from support.tree import plain_tree


def test_lost_cache_with_uploads_in_flight(world, tmp_path):
    names = [f's{i}' for i in range(6)]
    for name in names:
        (tmp_path / name).mkdir()
        world.source(name, tmp_path / name)
        (tmp_path / name / 'f').write_bytes(os.urandom(18 << 20))
    world.sink()
    world.job(sources=', '.join(names))
    world.ok('init', 'disk')
    world.ok('run', 'job')
    for turn in range(3):
        for name in names:
            (tmp_path / name / 'f').write_bytes(os.urandom((17 << 20) + turn * 65536))
        shutil.rmtree(tmp_path / 'cache')
        world.ok('run', 'job')
    world.ok('verify', 'job')
