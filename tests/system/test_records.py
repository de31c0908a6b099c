"""Every attempt leaves one record, durable and chained, whatever became of it."""
import contextlib
import json
import os
import signal
import subprocess
import threading
import time
from pathlib import Path

import pytest

from support import clock
from support.cli import BUSY, CLEAN, DAMAGED, DONE, FAILURES, INCOMPLETE, NO_REPOSITORY
from support.records import moment, open_attempts, place, records, write
from support.tree import plain_tree
from support.wait import wait_until
from support.watchdog import kill_with_watchdog, watchdogs

DAY = 86400


@pytest.fixture
def made(world, tmp_path):
    return world.simple(plain_tree(tmp_path / 'tree', files=5))


def test_a_run_that_is_complete(made, tmp_path):
    made.ok('run', 'job', '--label', 'before the move')
    [one] = records(made)
    [snapshot] = made.ok('list', 'job').ids
    size = sum(p.stat().st_size for p in (tmp_path / 'tree').rglob('*') if p.is_file())
    assert one['command'] == 'run' and one['job'] == 'job' and one['status'] == one['snapshot_status'] == 'complete'
    assert one['exit'] == 0 and one['error'] is None and one['label'] == 'before the move' and one['snapshot'] == snapshot
    assert one['bytes'] == size and one['elapsed'] > 0 and one['started'] < one['snapshot_started'] < one['ended']
    [source], [sink] = one['sources'], one['sinks']
    assert source['name'] == 'tree' and source['plugin'] == 'directory' and source['plugin_version'] == one['version'] == '0.1.0'
    assert source['bytes'] == size and source['entries'] == one['entries'] and source['status'] == 'complete'
    assert sink['name'] == 'disk' and sink['committed'] and sink['added'] == one['added'] > 0 and sink['plugin_version'] == '0.1.0'
    assert place(made, 'job').stat().st_mode & 0o777 == 0o600 and not open_attempts(made)


def test_runs_that_fail_before_a_byte_is_read(made, tmp_path):
    made.sink('none', path=tmp_path / 'none')
    made.job('away', sinks='none')
    assert made('run', 'away').status == NO_REPOSITORY
    [one] = records(made, 'away')
    assert one['status'] == 'failed' and one['exit'] == NO_REPOSITORY and 'holds no repository' in one['error']
    assert one['class'] == 'not initialised' and 'snapshot' not in one
    made.key.write_text('nonsense\n')
    bad = made('run', 'job')
    [one] = records(made)
    assert bad.status in FAILURES and one['exit'] == bad.status and one['status'] == 'failed' and str(made.key) in one['error']


def test_a_run_beside_another_one(made):
    lock = made.base / 'state' / 'jobs' / 'job'
    made.ok('run', 'job')
    with subprocess.Popen(['flock', lock / 'lock', 'sh', '-c', 'echo held; cat'], stdin=subprocess.PIPE, stdout=subprocess.PIPE) as holder:
        assert holder.stdout.readline() == b'held\n'
        assert made('run', 'job').status == BUSY
        holder.stdin.close()
    assert [(one['status'], one['exit']) for one in records(made)] == [('complete', 0), ('failed', BUSY)]


def test_parts_that_are_missing(made, tmp_path):
    made.source('gone', tmp_path / 'gone')
    made.sink('away', path=tmp_path / 'not' / 'there')
    made.job(sources='tree, gone', sinks='disk, away')
    made.fails(INCOMPLETE, 'run', 'job')
    [one] = records(made)
    assert one['status'] == one['snapshot_status'] == 'incomplete' and one['exit'] == INCOMPLETE
    tree, gone = one['sources']
    disk, away = one['sinks']
    assert tree['status'] == 'complete' and gone['status'] == 'missing' and str(tmp_path / 'gone') in gone['error']
    assert disk['committed'] and not away['committed'] and 'away' in away['error'] and disk['error'] is None
    made.fails(INCOMPLETE, 'run', 'job', 'tree')
    assert records(made)[-1]['asked'] == ['tree'] and records(made)[-1]['snapshot_status'] == 'partial'


def test_every_command_that_does_something(made, tmp_path):
    made.sink('second', path=tmp_path / 'second')
    made.ok('init', 'second')
    made.job(keep_last=1, keep_min=1)
    made.ok('run', 'job')
    made.ok('run', 'job', '--dry-run')
    made.ok('restore', 'job', 'tree', '--into', tmp_path / 'out')
    made.ok('verify', 'job')
    made.ok('prune', 'job')
    made.ok('prune', 'job', '--dry-run')
    made.ok('copy', 'job', '--from', 'disk', '--to', 'second')
    made('restore', 'job@20200101T000000Z-000000', '--into', tmp_path / 'out')
    found = records(made)
    snapshot = found[0]['snapshot']
    assert [(one['command'], one['status']) for one in found] == [
        ('run', 'complete'), ('restore', 'complete'), ('verify', 'verified'), ('prune', 'done'), ('copy', 'complete'), ('restore', 'failed')]
    assert all(one.get('snapshot', snapshot) == snapshot for one in found)
    assert found[1]['into'] == str(tmp_path / 'out') and found[1]['asked'] == ['tree'] and found[1]['entries'] == found[0]['entries']
    assert found[2]['sinks'][0]['name'] == 'disk' and found[4]['sinks'] == [{'name': 'second'}] and found[4]['from'] == 'disk'
    made.ok('verify', '--quick')
    made.ok('gc', 'disk')
    made.ok('gc', 'disk', '--dry-run')
    assert [(one['command'], one['status'], one['sink']) for one in records(made, None, 'disk')] == [
        ('verify', 'verified', 'disk'), ('gc', 'collected', 'disk')]
    assert records(made, None, 'disk')[0]['quick'] and len(records(made)) == 6


def test_damage(made):
    made.ok('run', 'job')
    for pack in filter(Path.is_file, made.repository.rglob('packs/**/*')):
        pack.write_bytes(pack.read_bytes()[:-1] + b'\0')
    made.fails(DAMAGED, 'verify')
    made.fails(DAMAGED, 'verify', 'job')
    for one in (records(made)[-1], records(made, None, 'disk')[-1]):
        assert one['status'] == one['sinks'][0]['status'] == 'damaged' and one['exit'] == DAMAGED and one['sinks'][0]['damages'] > 0


def test_what_is_typed_wrongly_is_no_attempt(made, tmp_path):
    for words in (['run', 'jbo'], ['restore', 'jbo', '--into', tmp_path / 'out'], ['verify', 'jbo'], ['prune', 'jbo'], ['gc', 'dsik'],
                  ['copy', 'job', '--from', 'disk'], ['restore', 'job']):
        made.fails(2, *words)
    assert not place(made, 'job').exists() and not place(made, 'jbo').parent.exists() and not place(made, None, 'dsik').parent.exists()


# ---- what was killed ----

@pytest.fixture
def at_work(made, tmp_path):
    """A run that is at work, waiting for its passphrase."""
    pipe = tmp_path / 'pipe'
    os.mkfifo(pipe)
    made.section('sink stuck', plugin='local', path=tmp_path / 'stuck', format='archive',
                 passphrase=f'@cmd:echo > {tmp_path}/at-work; cat {pipe}')
    made.job(sinks='stuck')
    process = subprocess.Popen(made.command('run', 'job'), stderr=subprocess.DEVNULL, stdin=subprocess.DEVNULL)
    wait_until(lambda: (tmp_path / 'at-work').exists(), 'the run to be at work')
    yield process
    process.kill()
    process.wait()
    with contextlib.suppress(OSError):
        os.close(os.open(pipe, os.O_WRONLY | os.O_NONBLOCK))


def test_the_watchdog_closes_what_was_killed(made, at_work):
    [left] = open_attempts(made)
    begun = json.loads(left.read_text())
    assert left.stat().st_mode & 0o777 == 0o600 and watchdogs(at_work) and begun['command'] == 'run' and not records(made)
    at_work.kill()
    at_work.wait()
    wait_until(lambda: not open_attempts(made), 'the watchdog')
    [one] = records(made)
    assert one['status'] == 'killed' and one['id'] == begun['id'] and one['started'] == begun['started'] < one['ended']
    assert one['exit'] is None and one['elapsed'] is None


def test_the_next_start_closes_what_was_killed(made, at_work):
    kill_with_watchdog(at_work)
    assert len(open_attempts(made)) == 1 and not records(made)
    made.job()
    made.ok('run', 'job')
    assert [one['status'] for one in records(made)] == ['killed', 'complete'] and not open_attempts(made)


def test_killed_when_its_snapshot_was_stored(made, tmp_path):
    """As when the machine goes down: what is stored stands in the record, and status says the same before anybody has closed it."""
    made.job(before='true', after=f'sh:[ ! -e {tmp_path}/stored ] || exit 0; touch {tmp_path}/stored; exec sleep 100')
    with subprocess.Popen(['unshare', '--pid', '--fork', '--kill-child', *made.command('run', 'job')], stderr=subprocess.DEVNULL) as process:
        wait_until((tmp_path / 'stored').exists, 'the hook')
        process.kill()
    made.job()
    [stored] = made.snapshots()
    wait_until(lambda: 'was killed' in made('status').out, 'the end of the processes')

    def said() -> tuple:
        [of] = [row for row in made.fails(INCOMPLETE, '--json', 'status').json() if row['type'] == 'status']
        return of['last']['status'], of['last']['snapshot'], of['sinks'][0]['snapshot'], of['bytes']
    before = said()
    made.section('job job', sources='tree', sinks='disk', schedule='0 0 1 1 *')
    made('due')
    [one] = records(made)
    assert one['status'] == 'killed' and one['snapshot'] == stored and [row['committed'] for row in one['sinks']] == [True] and not open_attempts(made)
    assert before == said() == ('killed', stored, stored, one['bytes'])


def test_what_is_at_work_is_left_alone(made, at_work, tmp_path):
    made.sink('disk')
    made.ok('verify', 'job', '--sink', 'disk')
    assert [one['command'] for one in records(made)] == ['verify'] and len(open_attempts(made)) == 1
    at_work.send_signal(signal.SIGTERM)
    at_work.wait()
    assert [one['exit'] for one in records(made)] == [0, 128 + signal.SIGTERM] and not open_attempts(made)


def test_killed_between_the_record_and_the_end_of_the_attempt(made):
    made.ok('run', 'job')
    [one] = records(made)
    attempt = place(made, 'job').parent / 'attempts' / one['id']
    attempt.write_text(json.dumps({name: one[name] for name in ('id', 'command', 'job', 'started')}))
    attempt.chmod(0o600)
    made.ok('run', 'job')
    assert [one['status'] for one in records(made)] == ['complete', 'complete'] and not attempt.exists()


def test_killed_at_any_system_call(made, faults, tmp_path):
    """One record for each attempt that had begun, none twice, and a chain that is whole."""
    words = ['verify', 'job', '--quick']
    faults.kill_at(0, made, *words)
    count = faults.count()
    for number in range(1, count, max(1, count // 25)):
        before = len(records(made))
        faults.kill_at(number, made, *words)
        made.ok(*words)
        found = records(made)[before:]
        assert [one['status'] for one in found] in (['verified'], ['killed', 'verified'], ['verified', 'verified']), number
        assert not open_attempts(made) and len({one['id'] for one in records(made)}) == len(records(made))


def test_what_was_left_is_damaged(made):
    """It says nothing: status goes by the records, and the next start removes it."""
    made.ok('run', 'job')
    left = place(made, 'job').parent / 'attempts' / 'cofre-20260101t000000z-abcdef'
    left.touch(0o600)
    status = made('status').text
    assert 'cannot be read' not in status and 'no complete snapshot' not in status, status
    assert f"'{left}' is no attempt that was begun" in made.ok('run', 'job').err
    assert not open_attempts(made) and 'no attempt' not in made.ok('run', 'job').err and len(records(made)) == 3


# ---- the file ----

@pytest.mark.parametrize('half', [b'{"id":"cofre-x","comm', b'\0' * 700, b'x' * 200000], ids=['half', 'zeros', 'long'])
def test_half_a_line_is_taken_off(made, half):
    made.ok('verify', 'job')
    made.ok('verify', 'job')
    with place(made, 'job').open('ab') as file:
        file.write(half)
    made.ok('verify', 'job')
    assert len(records(made)) == 3


def test_many_at_once_write_whole_lines(made):
    made.ok('run', 'job')
    threads = [threading.Thread(target=made.ok, args=('verify', 'job', '--quick')) for _ in range(12)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(records(made)) == 13 and not open_attempts(made)


def test_two_years_are_kept_and_the_chain_stays_whole(made):
    now = time.time()
    old = [{'status': 'complete', 'started': moment(now - n * DAY), 'ended': moment(now - n * DAY + 60)} for n in range(2500, 0, -1)]
    write(place(made, 'job'), old)
    made.ok('verify', 'job')
    found = records(made)
    assert len(found) == 1000 and found[-1]['command'] == 'verify' and found[0]['previous'] is not None, 'a thousand are'
    often = [{'status': 'complete', 'started': moment(now - n * DAY / 4), 'ended': moment(now - n * DAY / 4)} for n in range(4000, 0, -1)]
    write(place(made, 'job'), often)
    made.ok('verify', 'job')
    found = records(made)
    assert 4 * 731 - 1 <= len(found) - 1 <= 4 * 731 + 1 and found[-1]['command'] == 'verify'
    assert made.ok('verify', 'job') and len(records(made)) == len(found) + 1, 'not each time'


@pytest.mark.preload
def test_a_clock_that_jumps_takes_nothing_away(made):
    for _ in range(3):
        made.ok('verify', 'job')
    made('verify', 'job', prefix=clock.at('2099-01-01 00:00:00'))
    assert len(records(made)) == 4


def test_a_full_disk(made, tmpfs):
    """The work goes on, and that no record tells of it is said."""
    state = tmpfs('small', 'size=64k')
    made.section('engine', state_dir=state, cache_dir=made.base / 'cache', host='testhost')
    (state / 'jobs' / 'job').mkdir(parents=True, mode=0o700)
    (state / 'filler').write_bytes(b'')
    with (state / 'filler').open('wb') as file, pytest.raises(OSError):
        while True:
            os.write(file.fileno(), b'x' * 4096)
    done = made('verify', '--quick')
    assert done.status == DONE and done.err.count('the record of this verify was not written') >= 1 and 'No space' in done.err, done


def test_a_place_that_cannot_be_used(made):
    made.ok('run', 'job')
    place(made, 'job').unlink()
    place(made, 'job').symlink_to('/dev/null')
    done = made.ok('verify', 'job')
    assert 'the record of this verify was not written' in done.err and 'records' in done.err
    assert len(open_attempts(made)) == 1
    place(made, 'job').unlink()
    made.ok('verify', 'job')
    assert [one['status'] for one in records(made)] == ['killed', 'verified'], 'how it ended is not known any more'


def test_no_secret_in_a_record(made):
    made.section('source db', plugin='postgres', host='127.0.0.1', port=1, user='somebody', database='some', password='@env:CANARY')
    made.job(sources='tree, db')
    done = made('run', 'job', env=CLEAN | {'CANARY': 'canary-3f1b'})
    text = place(made, 'job').read_text()
    assert done.status == INCOMPLETE and '127.0.0.1' in text and 'canary' not in done.text + text
