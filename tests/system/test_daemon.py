"""cofre daemon does what is due when it is due, hears of changes, and ends when it is told to."""
import os
import signal
import socket
import subprocess
import time
from contextlib import contextmanager, suppress
from pathlib import Path

import pytest

from support.cli import CLEAN
from support.clock import LIBRARY
from support.due import age, marks
from support.notify import Told
from support.records import open_attempts, place, records
from support.tree import plain_tree
from support.wait import wait_until

YEARLY = f'0 0 1 {(time.localtime().tm_mon + 5) % 12 + 1} *'


@pytest.fixture
def made(world, tmp_path):
    world.simple(plain_tree(tmp_path / 'tree', files=3))
    world.job(schedule=YEARLY)
    world.sink(gc_every=0)
    return world


@contextmanager
def daemon(world, env: dict | None = None):
    """A daemon at work, whose output and errors are the files .out and .err; it is ended by SIGTERM, with 0."""
    out, err = world.base / 'out', world.base / 'err'
    with out.open('w') as one, err.open('w') as two:
        process = subprocess.Popen(world.command('daemon'), env=CLEAN | (env or {}), stdin=subprocess.DEVNULL, stdout=one, stderr=two)
    process.out, process.err = out, err
    try:
        wait_until(lambda: 'at work: ' in err.read_text() or process.poll() is not None, 'the daemon')
        yield process
        process.send_signal(signal.SIGTERM)
        assert process.wait(timeout=100) == 0, err.read_text()
    finally:
        process.kill()
        process.wait()


class Clock:
    """A clock that is ahead, and can be set while the program runs; the kernel's timers do not know it, so the daemon looks more often."""

    def __init__(self, place: Path):
        self.place = place
        self.env = {'LD_PRELOAD': str(LIBRARY), 'FAKETIME_TIMESTAMP_FILE': str(place), 'FAKETIME_NO_CACHE': '1', 'WATCHDOG_USEC': '500000'}

    def show(self, second: int, minutes: int = 0) -> None:
        """It is this second now, of the next minute or of so many after that."""
        new = self.place.with_suffix('.new')
        new.write_text(f'+{second + 60 - time.time() % 60 + 60 * minutes:.3f}s')
        new.rename(self.place)


def runs(world, job: str = 'job') -> int:
    return len(records(world, job))


def test_that_something_is_too_old_is_told(made, tmp_path):
    """At its start, and while it waits."""
    tmp_path.chmod(0o755)
    ops = Told(made, tmp_path, on='stale')
    made.job(schedule=YEARLY, notify='ops', max_age='1s')
    with daemon(made):
        wait_until(lambda: ops.names == ['stale'], 'who is told')


def test_what_was_missed_is_done_at_once_and_a_line_says_so(made):
    made.ok('due')
    age(made, 400)
    with daemon(made) as process:
        wait_until(lambda: 'run job: done in' in process.out.read_text(), 'the run')
        assert runs(made) == 1 and len(process.out.read_text().splitlines()) == 1
        assert process.out.read_text()[:4].isdigit(), 'the time is in front'
        assert made.ok('status', '--health').out == 'healthy: 1 job\n'
        assert 'does what is due' in made.ok('due').err
    assert 'ended by signal 15' in process.err.read_text() and runs(made) == 1


@pytest.mark.preload
def test_its_time_comes(made):
    """At a full minute of the daemon's clock; while the configuration is broken nothing is begun, and then it is caught up."""
    made.job(schedule='* * * * *')
    clock = Clock(made.base / 'clock')
    clock.show(second=5)
    with daemon(made, env=clock.env) as process:
        assert runs(made) == 0
        clock.show(second=59)
        wait_until(lambda: runs(made) == 1, 'the run')
        [one] = records(made)
        assert one['status'] == 'complete'
    clock.show(second=5, minutes=2)
    with daemon(made, env=clock.env) as process:
        wait_until(lambda: runs(made) == 2, 'the run that was missed')
        broken = made.write('broken.conf', '[job x]\n')
        process.send_signal(signal.SIGHUP)
        wait_until(lambda: 'nothing is begun until it can' in process.err.read_text(), 'what is broken is said')
        clock.show(second=1, minutes=3)
        time.sleep(5)
        assert runs(made) == 2 and 'run job' not in process.err.read_text()
        broken.unlink()
        process.send_signal(signal.SIGHUP)
        wait_until(lambda: runs(made) == 3, 'the run')
        assert 'the configuration was read again' in process.err.read_text()


def test_a_new_job_is_heard_of(made):
    with daemon(made) as process:
        made.job('other', schedule=YEARLY)
        process.send_signal(signal.SIGHUP)
        wait_until(lambda: (made.base / 'state' / 'due').exists() and 'run other' in marks(made)['things'], 'the mark of the other job')
        made.section('engine', state_dir=made.base / 'elsewhere', cache_dir=made.base / 'cache', host='testhost')
        process.send_signal(signal.SIGHUP)
        wait_until(lambda: 'state_dir is another one' in process.err.read_text(), 'what cannot be taken over')


def test_what_is_at_work_ends_with_it(made):
    built = made.binary.parent
    made.section('engine', state_dir=made.base / 'state', cache_dir=made.base / 'cache', host='testhost',
                 plugin_dir=f'{built / "plugins"}, {built / "tests" / "plugins"}')
    made.section('source tree', plugin='faulty-source', habit='hang', at='backup', count=made.base / 'calls')
    made.ok('due')
    age(made, 400)
    with daemon(made):
        wait_until(lambda: open_attempts(made) and (made.base / 'calls').exists(), 'the run')
    [one] = records(made)
    assert (one['status'], one['class'], one['exit']) == ('failed', 'cancelled', 143) and not open_attempts(made)


def test_a_service_manager_hears_of_it(made):
    address = str(made.base / 'manager')
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as manager:
        manager.bind(address)
        manager.settimeout(60)
        with daemon(made, env={'NOTIFY_SOCKET': address, 'WATCHDOG_USEC': '400000'}):
            assert manager.recv(100) == b'READY=1'
            assert [manager.recv(100) for _ in range(3)] == [b'WATCHDOG=1'] * 3


def test_as_process_1_it_takes_care_of_orphans(made):
    """A child that it never began ends, and is no zombie."""
    def zombies(process) -> list[str]:
        found = []
        for one in Path(f'/proc/{process.pid}/task/{process.pid}/children').read_text().split():
            for child in Path(f'/proc/{one}/task/{one}/children').read_text().split():
                with suppress(OSError):  # it ends meanwhile
                    found.append(Path(f'/proc/{child}/stat').read_text().split()[2])
        return found
    pause = made.base / 'pause'
    os.mkfifo(pause)
    with subprocess.Popen(['unshare', '--pid', '--fork', '--kill-child', 'sh', '-c', f'cat {pause} & exec "$@"', 'sh', *made.command('daemon')],
                          env=CLEAN, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True) as process:
        try:
            assert 'at work' in process.stderr.readline()
            wait_until(lambda: zombies(process) == ['S'], 'the orphan')
            pause.write_text('go on\n')
            wait_until(lambda: zombies(process) == [], 'the orphan is taken care of')
        finally:
            process.kill()
    assert place(made, 'job').exists() is False


def test_a_broken_configuration_at_its_start(made):
    made.write('broken.conf', '[job x]\n')
    made.fails(78, 'daemon')
