"""Snapshots that go, days that pass, and what gc makes of it."""
import os


def old(paths, days=3):
    """As if these objects had been stored so many days earlier."""
    for path in paths:
        when = path.stat().st_mtime - days * 86400
        os.utime(path, (when, when))


def objects(world, prefix):
    return sorted(path for path in (world.repository / prefix).rglob('*') if path.is_file())


def forget(world, snapshot):
    """Take a snapshot away, as prune does."""
    (world.repository / 'snapshots/testhost/job' / snapshot).unlink()
    for path in (world.repository / 'needs/testhost/job').glob(f'{snapshot}*'):
        path.unlink()


def assert_whole(world):
    """All that is there is whole. That a snapshot was taken away without a record of it is said, and is no matter here."""
    said = [row['text'] for row in world('--json', 'verify', '--all').json() if row['type'] == 'damage']
    assert all('are missing here' in text for text in said), said


def gc(world, *arguments):
    result = world.ok('--json', 'gc', *arguments)
    return {row['host']: row for row in result.json() if row['type'] == 'garbage'}['testhost']


def collected(world):
    gc(world)
    old(objects(world, 'plans'), 2)
    return gc(world)
