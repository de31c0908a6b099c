"""prune when the way to the place breaks in the middle: it is not waited for once for each snapshot."""
import re

import pytest

from support.bad_s3 import Fault
from support.cli import INCOMPLETE
from support.removal import Bucket
from support.tree import plain_tree

OLD = 4


@pytest.mark.parametrize('options, kind', [({'format': 'archive', 'encryption': 'none'}, r'job/([^/]+)/manifest.json'), ({}, r'snapshots/testhost/job/([^/]+)')])
def test_the_place_answers_no_more(world, tmp_path, options, kind):
    """All of them are named as not removed, and the next prune finishes."""
    bucket = Bucket(tmp_path)
    world.source('tree', plain_tree(tmp_path / 'tree', files=2))
    world.section('sink disk', **bucket.options(), **options or {'key': world.key}, retry_for='1s')
    world.job(prune='manual', keep_last=1, keep_min=1)
    world.ok('init', 'disk')
    for _ in range(OLD + 1):
        world.ok('run', 'job')
    asked = set()

    def hang_up(h):
        named = [h.key] if h.operation == 'remove' else re.findall('<Key>(.*?)</Key>', h.drain().decode())
        if h.operation == 'remove':
            asked.update(key for key in named if re.fullmatch(kind, key))
        h.hang_up()

    bucket.server.faults += [Fault('remove', hang_up, 10**6), Fault('remove-many', hang_up, 10**6)]
    result = world.fails(INCOMPLETE, 'prune', '--yes', '--json')
    assert len(asked) <= 1, asked
    assert result.json()[-1]['held'] == OLD, result
    bucket.server.faults.clear()
    world.ok('prune', '--yes')
    assert len(world.snapshots()) == 1 and 'all whole' in world.ok('verify').out
    bucket.server.stop()
