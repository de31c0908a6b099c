"""What did not change is not opened; what changes while it is read is said."""
import ctypes
import os
import re
import threading
import time

from support.cli import DONE, INCOMPLETE
from support.oracle import assert_same_tree, contents
from support.tree import make_tree, plain_tree


def age() -> None:
    """Files that changed less than two seconds ago are not trusted, rightly: let the clock go on."""
    time.sleep(2.1)


def opened(trace, tree) -> set[str]:
    return set(re.findall(r'openat2?\([^"]*"([^"]*(?:file\d+|nanoseconds|regular))"', trace.read_text()))


def test_unchanged_files_are_not_opened(world, tmp_path):
    tree = make_tree(tmp_path / 'tree')
    age()
    world.simple(tree)
    strace = ('strace', '-f', '-e', 'trace=openat,openat2', '-o')
    world.ok('run', 'job', prefix=(*strace, tmp_path / 'first'))
    assert len(opened(tmp_path / 'first', tree)) > 20
    world.ok('run', 'job', prefix=(*strace, tmp_path / 'second'))
    assert opened(tmp_path / 'second', tree) == set()
    everything = ('--set', 'setuid=yes', '--set', 'devices=yes')
    assert_same_tree(tree, world.restored('job', 'restored', *everything) / 'tree')


def test_only_the_changed_file_is_opened(world, tmp_path):
    tree = plain_tree(tmp_path / 'tree')
    age()
    world.simple(tree)
    world.ok('run', 'job')
    changed = sorted(p for p in tree.rglob('file*'))[3]
    changed.write_bytes(b'changed')
    trace = tmp_path / 'trace'
    world.ok('run', 'job', prefix=('strace', '-f', '-e', 'trace=openat,openat2', '-o', trace))
    assert {os.path.basename(name) for name in opened(trace, tree)} == {changed.name}
    assert_same_tree(tree, world.restored() / 'tree')


def test_same_size_same_mtime_other_content(world, tmp_path):
    """rsync -t, tar, or a hostile touch: the change time tells."""
    tree = plain_tree(tmp_path / 'tree')
    age()
    world.simple(tree)
    world.ok('run', 'job')
    path = next(p for p in sorted(tree.rglob('file*')) if p.stat().st_size > 100)
    st = path.stat()
    path.write_bytes(bytes(reversed(path.read_bytes())))
    os.utime(path, ns=(st.st_atime_ns, st.st_mtime_ns))
    world.ok('run', 'job')
    assert_same_tree(tree, world.restored() / 'tree')


def test_changed_in_the_same_tick(world, tmp_path):
    """Written right before the run, and again right after it, faster than the clock of the file system."""
    tree = plain_tree(tmp_path / 'tree', files=4)
    world.simple(tree)
    path = tree / 'racy'
    for i in range(5):
        path.write_bytes(b'a%d' % i)
        world.ok('run', 'job')
        path.write_bytes(b'b%d' % i)
        world.ok('run', 'job')
        assert_same_tree(tree, world.restored('job', f'tick{i}') / 'tree')


def test_changed_attributes_and_links(world, tmp_path):
    tree = plain_tree(tmp_path / 'tree')
    age()
    world.simple(tree)
    world.ok('run', 'job')
    files = sorted(tree.rglob('file*'))
    os.chmod(files[0], 0o751)
    os.chown(files[1], 5, 6)
    os.setxattr(files[2], 'user.new', b'value')
    os.link(files[3], tree / 'second name')
    files[4].rename(tree / 'renamed')
    os.replace(files[5], files[6])
    files[7].unlink()
    files[7].symlink_to('file')
    world.ok('run', 'job')
    assert_same_tree(tree, world.restored() / 'tree')


def while_running(change, world, *words):
    stop = threading.Event()
    thread = threading.Thread(target=change, args=(stop,))
    thread.start()
    try:
        return world(*words)
    finally:
        stop.set()
        thread.join()


def test_a_file_that_grows(world, tmp_path):
    tree = plain_tree(tmp_path / 'tree')
    (tree / 'log').write_bytes(b'')
    world.simple(tree)

    def grow(stop) -> None:
        with open(tree / 'log', 'ab', buffering=0) as file:
            while not stop.is_set():
                file.write(b'0123456789abcdef' * 4096)
                time.sleep(0.001)

    result = while_running(grow, world, 'run', 'job')
    assert result.status in (DONE, INCOMPLETE), result
    if result.status == INCOMPLETE:
        assert 'log' in result.err, result
    saved = (world.restored() / 'tree' / 'log').read_bytes()
    assert (tree / 'log').read_bytes().startswith(saved)
    world.ok('verify', 'job')


def test_a_file_that_shrinks_is_not_padded(world, tmp_path):
    tree = plain_tree(tmp_path / 'tree')
    path = tree / 'shrinking'
    world.simple(tree)

    def shrink(stop) -> None:
        while not stop.is_set():
            path.write_bytes(b'x' * 20_000_000)
            time.sleep(0.002)
            os.truncate(path, 1000)
            time.sleep(0.002)

    path.write_bytes(b'x' * 20_000_000)
    result = while_running(shrink, world, 'run', 'job')
    assert result.status in (DONE, INCOMPLETE), result
    world('restore', 'job', '--into', tmp_path / 'into')
    saved = tmp_path / 'into' / 'tree' / 'shrinking'
    assert not saved.exists() or set(saved.read_bytes()) <= {ord('x')}


def test_files_that_vanish_and_appear(world, tmp_path):
    tree = plain_tree(tmp_path / 'tree')
    before = contents(tree)
    churn = tree / 'churn'
    churn.mkdir()
    world.simple(tree)

    def change(stop) -> None:
        i = 0
        while not stop.is_set():
            (churn / f'c{i % 50}').write_bytes(b'x' * 1000)
            (churn / f'c{(i + 25) % 50}').unlink(missing_ok=True)
            i += 1

    result = while_running(change, world, 'run', 'job')
    assert result.status in (DONE, INCOMPLETE), result
    saved = contents(world.restored() / 'tree')
    assert {p: v for p, v in saved.items() if not p.startswith(b'churn')} == before
    world.ok('verify', 'job')


RENAME_EXCHANGE = 2


def exchange(libc, a: bytes, b: bytes) -> None:
    libc.renameat2(-100, a, -100, b, RENAME_EXCHANGE)


def test_a_directory_that_becomes_a_link_leads_nowhere(world, tmp_path):
    """Somebody who can write in the source swaps directories for links to what only root can read."""
    secret = tmp_path / 'secret'
    secret.mkdir()
    (secret / 'inside').write_bytes(b'SECRET' * 1000)
    tree = plain_tree(tmp_path / 'tree', files=4)
    for i in range(40):
        (tree / f'swap{i}').mkdir()
        (tree / f'swap{i}' / 'inside').write_bytes(b'public' * 1000)
        (tree / f'link{i}').symlink_to(secret)
    world.simple(tree)
    libc = ctypes.CDLL(None, use_errno=True)

    def swap(stop) -> None:
        while not stop.is_set():
            for i in range(40):
                exchange(libc, os.fsencode(tree / f'swap{i}'), os.fsencode(tree / f'link{i}'))

    for number in range(5):
        result = while_running(swap, world, 'run', 'job')
        assert result.status in (DONE, INCOMPLETE), result
        into = tmp_path / f'into{number}'
        world('restore', 'job', '--into', into)
        leaked = [p for p in into.rglob('inside') if not p.is_symlink() and b'SECRET' in p.read_bytes()]
        assert leaked == []
