"""What a selector costs: of thirty snapshots one manifest is read, and the sink's worker is started once."""
import re

import pytest

from support.cli import SNAPSHOT_ID

RUNS = 30
FORMATS = {'repository': {}, 'archive': {'format': 'archive', 'key': None, 'encryption': 'none'}}
OPENED = re.compile(r'openat\([^<]+<([^>]*)>, "([^"]+)", ([A-Z_|]+)[^)]*\) = \d')


class Cost:
    """What a command did, as its system calls show it."""

    def __init__(self, trace, sink) -> None:
        text = trace.read_text()
        opened = [(f'{place}/{name}', flags) for place, name, flags in OPENED.findall(text) if place.startswith(str(sink))]
        self.manifests = {SNAPSHOT_ID.search(path)[0] for path, flags in opened if 'O_DIRECTORY' not in flags
                          and re.search(r'(/snapshots/testhost/job/[^/]+|/job/[^/]+/manifest.json)$', path)}
        listed = re.findall(r'getdents64\(\d+<([^>]*)>', text)
        self.listed = any(re.fullmatch(rf'{re.escape(str(sink))}(/snapshots/testhost)?/job', path) for path in listed)
        self.workers = len(re.findall(r'execveat\([^\n]*"cofre", "worker"', text))


@pytest.fixture
def cost(world, tmp_path):
    def measure(*words) -> Cost:
        trace = tmp_path / 'trace'
        world.ok(*words, prefix=('strace', '-f', '-y', '-qq', '-s', '300', '-e', 'trace=execveat,openat,getdents64', '-o', trace))
        return Cost(trace, world.repository)

    return measure


@pytest.fixture
def made(world, tmp_path, format_name):
    tree = tmp_path / 'tree'
    tree.mkdir()
    world.source('tree', tree)
    world.sink(**FORMATS[format_name])
    world.job()
    world.ok('init', 'disk')
    for number in range(RUNS):
        (tree / 'file').write_text(str(number))
        world.ok('run', 'job')
    return world


@pytest.mark.parametrize('format_name', FORMATS)
def test_one_manifest_and_one_worker(made, cost, tmp_path):
    ids = made.snapshots()
    assert len(ids) == RUNS
    middle, newest = ids[RUNS // 2], ids[-1]
    second = {ids[-2], newest}  # one that cannot be read is not counted
    for selector, read in {f'job@{middle}': {middle}, 'job': {newest}, 'job@latest': {newest}, 'job@latest~1': second,
                           'job@complete': {newest}, f'job@{middle[:-1]}': {middle}}.items():
        done = cost('ls', selector, 'tree')
        assert (done.manifests, done.workers, done.listed) == (read, 1, selector != f'job@{middle}'), (selector, vars(done))
    assert cost('show', f'job@{middle}').workers == 1, 'which sinks have it is asked of the one that is open'
    for number, (selector, chosen) in enumerate(((f'job@{middle}', middle), ('job', newest))):
        # The other worker is that of the target.
        done = cost('restore', selector, '--into', tmp_path / f'restored-{number}')
        assert (done.manifests, done.workers) == ({chosen}, 2), (selector, vars(done))
        assert (tmp_path / f'restored-{number}' / 'tree' / 'file').read_text() == str(ids.index(chosen))
