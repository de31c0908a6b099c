"""gc of archives: what a listing does not tell is there."""
from support.bad_s3 import Fault
from support.cli import INCOMPLETE
from support.removal import Bucket
from support.tree import plain_tree
from test_doubts import NEVER, answer_list


def test_a_manifest_that_is_not_listed(world, tmp_path):
    """Its snapshot is whole, and old. That it is there tells its own name."""
    bucket = Bucket(tmp_path)
    world.source('tree', plain_tree(tmp_path / 'tree', files=4))
    world.section('sink plain', **bucket.options(), format='archive', encryption='none', retry_for='1ms')
    world.job(sinks='plain')
    world.ok('init', 'plain')
    world.ok('run', 'job')
    world.ok('run', 'job')
    snapshot = min(world.snapshots())
    bucket.age()
    before = bucket.objects()

    def hide(h):
        keys = [key for key in sorted(h.store.objects) if key.startswith(h.query.get('prefix', ''))]
        return answer_list([key for key in keys if key != f'job/{snapshot}/manifest.json'], h)

    bucket.server.faults.append(Fault('list', hide, NEVER))
    result = world.fails(INCOMPLETE, 'gc')
    assert f"'job/{snapshot}/manifest.json' is there and was not listed" in result.err, result
    assert bucket.objects() == before
    bucket.server.stop()
