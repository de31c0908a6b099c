"""People are shown local times with their offset; scripts get UTC."""
import re
from datetime import datetime, timedelta, timezone

from support.cli import CLEAN
from support.tree import plain_tree

BUENOS_AIRES = CLEAN | {'TZ': '<-03>3'}
TIME = re.compile(r'\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(?:Z|[+-]\d\d:\d\d)')


def test_times_of_every_command(world, tmp_path):
    world.simple(plain_tree(tmp_path / 'tree', files=2))
    run = world.ok('run', 'job', env=BUENOS_AIRES)
    started = datetime.strptime(world.snapshots()[0][:16], '%Y%m%dT%H%M%SZ').replace(tzinfo=timezone.utc)
    for words in (('list', 'job'), ('show', 'job')):
        shown = TIME.findall(world.ok(*words, env=BUENOS_AIRES).out)
        assert [time[-6:] for time in shown] == ['-03:00'], shown
        assert abs(datetime.fromisoformat(shown[0]) - started) < timedelta(seconds=2)
        utc = TIME.findall(world.ok('--utc', *words, env=BUENOS_AIRES).out)
        assert utc == TIME.findall(world.ok(*words).out) and utc[0].endswith('Z')
        assert '-03:00' not in world.ok('--json', *words, env=BUENOS_AIRES).out
    listed = TIME.findall(world.ok('ls', 'job', env=BUENOS_AIRES).out)
    assert listed and all(time.endswith('-03:00') for time in listed)
    assert all(time.endswith('Z') for time in TIME.findall(world.ok('--utc', 'ls', 'job', env=BUENOS_AIRES).out))
    logged = TIME.findall(run.err)
    assert logged and all(time.endswith('-03:00') for time in logged), run.err
