"""Kill it, fill the disk, break the disk: exit 0 is never a lie, and the next run puts things right."""
import os
import signal
import subprocess
import time
from pathlib import Path

import pytest

from support.cli import CLEAN, DONE, FAILURES, execute
from support.faults import sample
from support.oracle import assert_same_tree, tree_state
from support.tree import plain_tree


@pytest.fixture
def made(world, tmp_path):
    return world.simple(plain_tree(tmp_path / 'tree', files=12))


def assert_sound(world, state, note: object, needed: bool = False) -> None:
    """Whatever is listed can be verified and restored in full."""
    listed = world.ok('list', 'job').ids
    assert listed or not needed, note
    if listed:
        world.ok('verify', 'job', '--all')
        assert_same_tree(state, world.restored('job', f'sound-{time.monotonic_ns()}') / 'tree')


def kill_run(world, faults, wanted: int) -> None:
    state = tree_state(world.base / 'tree')
    faults.kill_at(0, world, 'run', 'job')
    for number in sample(faults.count(), wanted):
        (world.base / 'tree' / 'changing').write_text(f'{number}\n')
        state = tree_state(world.base / 'tree')
        result = faults.kill_at(number, world, 'run', 'job')
        assert result.status in (0, 137), result
        world.ok('verify', 'job', '--all')
        world.ok('run', 'job')
        assert_sound(world, state, number, needed=True)


def test_kill_run_sample(made, faults):
    kill_run(made, faults, 10)


@pytest.mark.long
def test_kill_run_everywhere(made, faults):
    kill_run(made, faults, 3000)


def test_kill_first_run(world, faults, tmp_path):
    """No snapshot before: either there is none, or a whole one."""
    tree = plain_tree(tmp_path / 'tree', files=12)
    state = tree_state(tree)
    world.simple(tree)
    faults.kill_at(0, world, 'run', 'job', '--dry-run')
    for number in sample(faults.count() * 2, 8):
        subprocess.run(['rm', '-rf', world.repository, tmp_path / 'state', tmp_path / 'cache'], check=True)
        world.ok('init', 'disk')
        faults.kill_at(number, world, 'run', 'job')
        assert_sound(world, state, number)


def test_kill_init(world, faults, tmp_path):
    world.source('tree', plain_tree(tmp_path / 'tree', files=3))
    world.sink()
    world.job()
    faults.kill_at(0, world, 'init', 'disk')
    for number in sample(faults.count(), 12):
        subprocess.run(['rm', '-rf', world.repository, world.key], check=True)
        faults.kill_at(number, world, 'init', 'disk')
        world.ok('init', 'disk')
        world.ok('run', 'job')
    world.ok('verify', 'job')


def test_kill_restore(made, faults, tmp_path):
    made.ok('run', 'job')
    state = tree_state(tmp_path / 'tree')
    faults.kill_at(0, made, 'restore', 'job', '--into', tmp_path / 'count')
    for number in sample(faults.count(), 6):
        into = tmp_path / f'killed-{number}'
        faults.kill_at(number, made, 'restore', 'job', '--into', into)
        made.ok('restore', 'job', '--into', into, '--yes')
        assert_same_tree(state, into / 'tree')


def processes_of_session(session: int) -> list[int]:
    found = []
    for entry in Path('/proc').iterdir():
        try:
            fields = (entry / 'stat').read_text().rpartition(')')[2].split()
        except (OSError, ValueError):
            continue
        if entry.name.isdigit() and int(fields[3]) == session and fields[0] != 'Z':
            found.append(int(entry.name))
    return found


@pytest.mark.parametrize('number', [signal.SIGKILL, signal.SIGTERM, signal.SIGINT, signal.SIGHUP])
def test_no_worker_survives_the_engine(made, tmp_path, number):
    (tmp_path / 'tree' / 'big').write_bytes(os.urandom(64 << 20))
    with subprocess.Popen(made.command('run', 'job'), env=CLEAN, start_new_session=True, stdout=subprocess.DEVNULL,
                          stderr=subprocess.DEVNULL) as process:
        time.sleep(0.3)
        process.send_signal(number)
        process.wait(timeout=30)
        deadline = time.monotonic() + 10
        while processes_of_session(process.pid) and time.monotonic() < deadline:
            time.sleep(0.05)
        assert processes_of_session(process.pid) == []
    assert process.returncode in (0, -number, 128 + number)
    made.ok('run', 'job')
    assert_sound(made, tree_state(tmp_path / 'tree'), number, needed=True)


@pytest.fixture
def on_small_disk(world, tmp_path, tmpfs):
    tree = plain_tree(tmp_path / 'tree', files=12)
    disk = tmpfs('disk', 'size=6m')
    world.source('tree', tree)
    world.sink(path=disk / 'cofre')
    world.job()
    world.ok('init', 'disk')
    world.ok('run', 'job')
    return disk


def test_full_disk(world, on_small_disk, tmp_path):
    state = tree_state(tmp_path / 'tree')
    (tmp_path / 'tree' / 'big').write_bytes(os.urandom(20 << 20))
    result = world.fails({1}, 'run', 'job')
    assert 'space' in result.err.lower(), result
    assert_sound(world, state, 'full', needed=True)
    subprocess.run(['mount', '-o', 'remount,size=64m', on_small_disk], check=True)
    world.ok('run', 'job')
    assert_sound(world, tree_state(tmp_path / 'tree'), 'more room', needed=True)


def test_read_only_disk(world, on_small_disk, tmp_path):
    state = tree_state(tmp_path / 'tree')
    subprocess.run(['mount', '-o', 'remount,ro', on_small_disk], check=True)
    (tmp_path / 'tree' / 'new').write_text('new')
    result = world.fails({1}, 'run', 'job')
    assert 'read-only' in result.err.lower(), result
    assert_sound(world, state, 'read-only', needed=True)


def test_no_space_for_the_restore(world, on_small_disk, tmp_path, tmpfs):
    (tmp_path / 'tree' / 'big').write_bytes(b'text' * 500_000)
    world.ok('run', 'job')
    small = tmpfs('small', 'size=256k')
    result = world.fails(FAILURES, 'restore', 'job', '--into', small / 'into')
    assert 'space' in result.err.lower(), result


CALLS = [('pwrite64', 'ENOSPC', False), ('pwrite64', 'EIO', False), ('fsync', 'EIO', False), ('fsync', 'EIO', True),
         ('renameat2', 'EIO', False), ('openat', 'EIO', False), ('close', 'EIO', False), ('pwrite64', 'EINTR', False)]


@pytest.mark.parametrize('call,cause,sticky', CALLS)
def test_the_disk_fails_once(made, faults, tmp_path, call, cause, sticky):
    """The n-th call on the repository fails. A status of 0 must then be true all the same."""
    faults.fail_at(call, cause, 0, made, 'run', 'job', below=made.repository)
    total = faults.count()
    assert total > 0, 'the tool saw no call'
    for number in sample(total, 4):
        (tmp_path / 'tree' / 'changing').write_text(f'{call} {number}\n')
        state = tree_state(tmp_path / 'tree')
        result = faults.fail_at(call, cause, number, made, 'run', 'job', below=made.repository, sticky=sticky)
        assert result.status in FAILURES | {DONE}, result
        if call == 'fsync' and faults.count() >= number:
            assert result.status != DONE, f'a failed fsync was ignored\n{result}'
        if result.status == DONE:
            assert_sound(made, state, number, needed=True)
        else:
            assert result.err.strip(), result
        made.ok('verify', 'job', '--all')
    made.ok('run', 'job')
    assert_sound(made, tree_state(tmp_path / 'tree'), call, needed=True)


@pytest.mark.parametrize('call', ['read', 'pread64', 'openat', 'getdents64'])
def test_the_source_cannot_be_read(made, faults, tmp_path, call):
    """An unreadable file is named and makes the run incomplete; nothing is invented."""
    tree = tmp_path / 'tree'
    faults.fail_at(call, 'EIO', 0, made, 'run', 'job', '--dry-run', below=tree)
    for number in sample(faults.count(), 3):
        for path in tree.rglob('file*'):
            os.utime(path)  # so that it is read again
        result = faults.fail_at(call, 'EIO', number, made, 'run', 'job', below=tree)
        if faults.count() >= number:
            assert result.status in (1, 3), result
        made.ok('verify', 'job')


@pytest.mark.preload
def test_memory_runs_out(made, faults):
    execute(made.command('run', 'job'), env=CLEAN | faults.alloc_environment(0))
    total = max(map(int, faults.out.read_text().split()))
    for number in sample(total, 12):
        result = execute(made.command('run', 'job'), env=CLEAN | faults.alloc_environment(number))
        assert result.status in FAILURES | {DONE}, result
    made.ok('run', 'job')
    made.ok('verify', 'job', '--all')


def test_standard_streams(made):
    """Closed descriptors 0-2 must not become the repository's; a full stdout is an error."""
    closed = execute(['/bin/sh', '-c', 'exec "$@" 0<&- 1>&- 2>&-', 'sh', *made.command('run', 'job')])
    assert closed.status == DONE
    made.ok('verify', 'job', '--all')
    with open('/dev/full', 'wb') as full:
        result = made('list', 'job', stdout=full)
    assert result.status not in (DONE, 134, 139), result


def test_broken_pipe(made, tmp_path):
    made.ok('run', 'job')
    result = execute(['/bin/sh', '-c', '"$@" | head -c 1 >/dev/null', 'sh', *made.command('ls', 'job', 'tree')])
    assert result.status == DONE


def test_few_descriptors(made):
    for limit in (3, 6, 10, 16, 24, 64):
        result = made('run', 'job', prefix=('/bin/sh', '-c', f'ulimit -n {limit}; exec "$@"', 'sh'))
        assert result.status in FAILURES | {DONE, 127}, result
    made.ok('run', 'job')
    made.ok('verify', 'job', '--all')


def test_file_size_limit(made, tmp_path):
    """SIGXFSZ would end the process that writes."""
    (tmp_path / 'tree' / 'big').write_bytes(os.urandom(3 << 20))
    result = made('run', 'job', prefix=('/bin/sh', '-c', 'ulimit -f 8; exec "$@"', 'sh'))
    assert result.status in FAILURES and result.err.strip(), result
    made.ok('run', 'job')
    made.ok('verify', 'job', '--all')


@pytest.mark.parametrize('variables', [{'HOME': '/nonexistent'}, {'LC_ALL': 'tr_TR.UTF-8'}, {'TZ': 'Asia/Kathmandu'},
                                       {'LC_ALL': 'C', 'PATH': ''}, {'TMPDIR': '/nonexistent'}])
def test_odd_environment(made, tmp_path, variables):
    made.ok('run', 'job', env=CLEAN | variables)
    made.ok('verify', 'job', env=CLEAN | variables)
    into = tmp_path / 'into'
    made.ok('restore', 'job', '--into', into, env=CLEAN | variables)
    assert_same_tree(tmp_path / 'tree', into / 'tree')


def test_working_directory_that_is_gone(made, tmp_path):
    gone = tmp_path / 'gone'
    script = f'mkdir {gone}; cd {gone}; rmdir {gone}; exec "$@"'
    made.ok('run', 'job', prefix=('/bin/sh', '-c', script, 'sh'))


def test_without_home_as_an_ordinary_user(world, open_binary, tmp_path):
    """No HOME and no configured directories: said, not guessed. With them, all works without any privilege."""
    for path in (tmp_path, world.conf, world.key.parent):
        os.chown(path, 65534, 65534)
    tree = plain_tree(tmp_path / 'tree', files=6)
    world.source('tree', tree)
    world.sink()
    world.job()
    subprocess.run(['chown', '-R', '65534:65534', tmp_path], check=True)
    ordinary = ('setpriv', '--reuid=65534', '--regid=65534', '--clear-groups')
    if execute([*ordinary, 'ls', tmp_path]).status:
        subprocess.run(['chmod', 'a+x', *[str(p) for p in tmp_path.parents][:-2]], check=True)
    for words in (('init', 'disk'), ('run', 'job'), ('verify', 'job'), ('restore', 'job', '--into', tmp_path / 'into')):
        world.ok(*words, prefix=ordinary)
    assert_same_tree(tree, tmp_path / 'into' / 'tree', ignore=('owner',))
    (world.conf / 'engine.conf').unlink()
    result = world('run', 'job', prefix=ordinary)
    assert result.status == 78 and 'HOME' in result.err, result


def test_only_one_run_of_a_job(made, tmp_path):
    (tmp_path / 'tree' / 'big').write_bytes(os.urandom(200 << 20))
    with subprocess.Popen(made.command('run', 'job'), env=CLEAN, stderr=subprocess.DEVNULL) as first:
        time.sleep(0.3)
        second = made('run', 'job')
        assert first.wait(timeout=60) == 0
    assert second.status == 11 and 'job' in second.err, second
