"""The hooks of a job: what they get, when they run, what becomes of a run when they fail, and that what is owed is run once."""
import json
import os
import pty
import re
import signal
import subprocess
import time
from pathlib import Path

import pytest

from support.cli import BAD_CONFIG, CLEAN, DONE, FAILED, INCOMPLETE
from support.durable import strace, whole_lines
from support.wait import wait_until
from support.watchdog import children, kill_with_watchdog, watchdogs

RUN = ('before', 'after', 'on_success', 'on_failure')
RESTORE = ('before_restore', 'after_restore')


class Hooks:
    """A world with one job, and a program that writes down each time it is run."""

    def __init__(self, world, base: Path) -> None:
        self.world, self.calls, self.tree = world, base / 'calls', base / 'tree'
        self.tree.mkdir()
        (self.tree / 'file').write_text('content')
        self.program = base / 'hook'
        self.write('')
        world.simple(self.tree)
        self.job(*RUN, *RESTORE)

    def write(self, more: str) -> None:
        """What the program does besides: lines of shell."""
        self.program.write_text(f'#!/bin/sh\necho "$COFRE_HOOK $COFRE_JOB $COFRE_STATUS" >> {self.calls}\n{more}\n')
        self.program.chmod(0o755)

    def job(self, *names: str, **options: object) -> None:
        self.world.job(**{name: self.program for name in names} | options)

    def ran(self) -> list[str]:
        return [line.split()[0] for line in self.lines()]

    def lines(self) -> list[str]:
        return self.calls.read_text().splitlines() if self.calls.exists() else []

    def record(self, command: str = 'run') -> dict:
        rows = [row for row in self.world.ok('log', '--json').json() if row.get('command') == command and row['type'] == 'record']
        return rows[-1]

    def start(self, *words: object) -> subprocess.Popen:
        return subprocess.Popen(self.world.command(*words), env=CLEAN, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL,
                                stderr=self.world.base.joinpath('stderr').open('wb'))

    def said(self) -> str:
        return self.world.base.joinpath('stderr').read_text()

    def owed(self) -> list[str]:
        return sorted(path.name for path in (self.world.base / 'state' / 'holds').glob('*'))


def runners(process: subprocess.Popen) -> list[int]:
    return [pid for pid in children(process) if Path(f'/proc/{pid}/cmdline').read_bytes() == b'cofre\0hook\0']


@pytest.fixture
def hooks(world, tmp_path) -> Hooks:
    return Hooks(world, tmp_path)


# ---- a run ----

def test_the_order_and_what_each_is_told(hooks):
    hooks.write(f'case $COFRE_HOOK in before) touch {hooks.tree}/made ;; after) rm {hooks.tree}/made ;; esac')
    result = hooks.world.ok('run', 'job')
    assert hooks.lines() == ['before job ', 'after job complete', 'on_success job complete']
    assert (hooks.world.restored() / 'tree' / 'made').exists(), 'before came too late, or after too early'
    assert hooks.owed() == [] and 'hook' not in result.err
    rows = hooks.record()['hooks']
    assert [(row['hook'], row['program'], row['status'], row['error']) for row in rows] == [
        ('before', str(hooks.program), 0, None), ('after', str(hooks.program), 0, None)]


def test_environment_input_and_descriptors_are_these_alone(hooks, tmp_path):
    texts = {name: f'sh:env > {tmp_path}/{name}.env; cat > {tmp_path}/{name}.json; ls /proc/self/fd > {tmp_path}/{name}.fd; '
                   f'pwd > {tmp_path}/{name}.pwd' for name in ('before', 'after', 'on_success')}
    hooks.world.job(**texts)
    hooks.world.ok('run', 'job', '--label', 'a label', env=CLEAN | {'SECRET': 's3cret', 'TZ': 'UTC', 'LANG': 'C.UTF-8', 'HOME': '/root',
                                                                   'LC_ALL': 'C', 'LD_LIBRARY_PATH': '/nowhere'})
    record = hooks.record()
    for name in texts:
        env = dict(line.split('=', 1) for line in (tmp_path / f'{name}.env').read_text().splitlines())
        env.pop('PWD')  # of the shell
        expected = {'PATH': '/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin', 'HOME': '/root', 'LANG': 'C.UTF-8', 'TZ': 'UTC',
                    'COFRE_JOB': 'job', 'COFRE_HOOK': name, 'COFRE_HOST': 'testhost', 'COFRE_COMMAND': 'run', 'COFRE_LABEL': 'a label',
                    'COFRE_RECORD_ID': record['id'], 'COFRE_SINKS': ''}
        if name != 'before':
            expected |= {'COFRE_STATUS': 'complete', 'COFRE_SNAPSHOT': record['snapshot'], 'COFRE_SINKS': 'disk'}
        if name == 'on_success':
            expected |= {'COFRE_EXIT': '0'}
        assert env == expected
        assert (tmp_path / f'{name}.fd').read_text().split() == ['0', '1', '2', '3']  # 3: the directory that ls reads
        assert (tmp_path / f'{name}.pwd').read_text() == '/\n'
        given = json.loads((tmp_path / f'{name}.json').read_text())
        assert given['id'] == record['id'] and given['job'] == 'job' and given['label'] == 'a label'
        assert given.get('snapshot') == (None if name == 'before' else record['snapshot'])
    assert given == {key: value for key, value in record.items() if key not in ('type',)}, 'on_success gets the whole record'


def test_words_are_split_without_a_shell(hooks, tmp_path):
    hooks.world.job(before=f'''{hooks.program} 'a b'  "c \\" \\\\ d" e\\ f "" $HOME *''')
    hooks.write(f'for word; do echo "<$word>"; done > {tmp_path}/words')
    hooks.world.ok('run', 'job')
    assert (tmp_path / 'words').read_text().splitlines() == ['<a b>', '<c " \\ d>', '<e f>', '<>', '<$HOME>', '<*>']


def test_a_before_that_fails_fails_the_run_before_anything_is_read(hooks):
    hooks.write('test $COFRE_HOOK != before || exit 7')
    hooks.world.section('sink disk', plugin='local', path='/proc/nowhere', key=hooks.world.key)  # it is not even opened
    result = hooks.world.fails(FAILED, 'run', 'job')
    assert "hook 'before' ended with status 7" in result.err and '/proc/nowhere' not in result.err
    assert hooks.lines() == ['before job ', 'after job failed', 'on_failure job failed']
    record = hooks.record()
    assert (record['status'], record['exit'], record.get('snapshot')) == ('failed', 1, None)
    assert [(row['hook'], row['status']) for row in record['hooks']] == [('before', 7), ('after', 0)]


def test_a_before_that_ends_with_75_skips_the_run(hooks):
    hooks.world.ok('run', 'job')
    before = hooks.world.snapshots()
    hooks.write('test $COFRE_HOOK != before || exit 75')
    hooks.calls.unlink()
    result = hooks.world.ok('run', 'job')
    assert "job 'job' was skipped" in result.out
    assert hooks.lines() == ['before job ', 'after job skipped'] and hooks.world.snapshots() == before
    assert (hooks.record()['status'], hooks.record()['exit']) == ('skipped', 0)
    assert hooks.world.ok('run', 'job', '--json').json()[-1]['status'] == 'skipped'
    [status] = [row for row in hooks.world.ok('status', '--json').json() if row['type'] == 'status']
    assert (status['runs'], status['runs_complete'], status['last']['status']) == (1, 1, 'skipped')


def test_what_failed_before_a_skipped_run_is_still_said(hooks):
    hooks.write('exit 1')
    hooks.world.fails(FAILED, 'run', 'job')
    hooks.write('test $COFRE_HOOK != before || exit 75')
    hooks.world.ok('run', 'job')
    result = hooks.world.fails(INCOMPLETE, 'status')
    assert 'the last run' in result.out and "hook 'before' ended with status 1" in result.out
    assert re.search(r'^cofre_\w*exit\w*\{[^}]*\} 1$', hooks.world('status', '--prometheus').out, re.M)


def test_an_after_that_fails_is_named(hooks):
    hooks.write('test $COFRE_HOOK != after || exit 4')
    result = hooks.world.fails(INCOMPLETE, 'run', 'job')
    assert "hook 'after' ended with status 4" in result.err and hooks.owed() == []
    assert hooks.ran() == ['before', 'after', 'on_failure'] and hooks.record()['exit'] == 3
    assert len(hooks.world.snapshots()) == 1
    status = hooks.world.fails(INCOMPLETE, 'status')
    assert "at the end of the last run" in status.out and "hook 'after' ended with status 4" in status.out


def test_an_incomplete_run_is_a_failure_to_the_hooks(hooks):
    hooks.world.source('gone', hooks.world.base / 'gone')
    hooks.job(*RUN, sources='tree, gone')
    hooks.world.fails(INCOMPLETE, 'run', 'job')
    assert hooks.lines() == ['before job ', 'after job incomplete', 'on_failure job incomplete']


def test_on_success_that_fails_is_a_warning(hooks):
    hooks.write('test $COFRE_HOOK != on_success || kill -9 $$')
    result = hooks.world.ok('run', 'job')
    assert "warning: job 'job': hook 'on_success' was ended by signal 9" in result.err


def test_a_run_that_cannot_begin_runs_none_but_on_failure(hooks):
    hooks.world.section('source tree', plugin='directory', path=hooks.tree, nonsense=1)
    hooks.world.fails(BAD_CONFIG, 'run', 'job')
    assert hooks.ran() == ['on_failure']


def test_after_needs_no_before(hooks):
    hooks.job('after')
    hooks.world.ok('run', 'job')
    hooks.world.section('sink disk', plugin='local', path='/proc/nowhere', key=hooks.world.key)
    hooks.world.fails({FAILED, 10}, 'run', 'job')
    assert hooks.lines() == ['after job complete', 'after job failed']


def test_a_dry_run_runs_none(hooks):
    hooks.world.ok('run', 'job', '--dry-run')
    assert hooks.ran() == []


def test_several_jobs_have_their_own(hooks):
    hooks.world.job('second', after=hooks.program)
    hooks.write('test $COFRE_HOOK$COFRE_JOB != beforejob || exit 1')
    hooks.world.fails(FAILED, 'run', '--all')
    assert hooks.lines() == ['before job ', 'after job failed', 'on_failure job failed', 'after second complete']


# ---- time, output, what is left ----

def test_one_that_takes_too_long_is_ended_with_its_group(hooks, tmp_path):
    hooks.world.job(before=f'sh:sleep 600 & echo $! > {tmp_path}/pid; wait', after=hooks.program, hook_timeout='1s')
    result = hooks.world.fails(FAILED, 'run', 'job')
    assert "hook 'before' was not done after 0:01, and was ended" in result.err and 'hook_timeout' in result.err
    assert not Path('/proc', (tmp_path / 'pid').read_text().strip()).exists() and hooks.ran() == ['after']
    assert hooks.record()['hooks'][0]['status'] is None


def test_one_that_does_not_heed_sigterm_is_killed(hooks):
    hooks.world.job(before="sh:trap '' TERM; sleep 600 & wait; sleep 600", after=hooks.program, hook_timeout='1s')
    began = time.monotonic()
    hooks.world.fails(FAILED, 'run', 'job')
    assert time.monotonic() - began >= 11 and hooks.ran() == ['after']


def test_what_a_hook_has_started_stays(hooks, tmp_path):
    hooks.world.job(before=f'sh:sleep 600 > /dev/null 2>&1 & echo $! > {tmp_path}/pid')
    hooks.world.ok('run', 'job')
    pid = int((tmp_path / 'pid').read_text())
    assert Path(f'/proc/{pid}').exists()
    os.kill(pid, signal.SIGKILL)


def test_output_is_labelled_escaped_and_bounded(hooks):
    hooks.world.job(before=r"sh:printf 'a\033[31mb\nc' >&2; printf '\000'; yes x | head -n 1002")
    lines = hooks.world.ok('run', 'job').err.splitlines()
    label = "hook 'before' of job 'job': "
    said = [line.partition(label)[2] for line in lines if label in line]
    assert said[0] == r'a\x1b[31mb' and said[1] == 'cx' and said[-1] == '3 further lines were dropped' and len(said) == 1001
    assert not any(label in line for line in hooks.world.ok('-q', 'run', 'job').err.splitlines()[:-1])


def test_no_word_of_a_hook_is_in_the_record(hooks):
    hooks.world.job(before=f'{hooks.program} s3cret', after='sh:exit 3 # s3cret')
    result = hooks.world.fails(INCOMPLETE, 'run', 'job')
    assert 's3cret' not in result.text
    state = hooks.world.base / 'state'
    assert [path for path in state.rglob('*') if path.is_file() and b's3cret' in path.read_bytes()] == []


# ---- what is configured ----

@pytest.mark.parametrize('text, said', [('"/bin/true', 'a quote (") is not closed'), ('bin/true', 'is not absolute'),
                                        ('/bin/true && /bin/false', "'&&' is for a shell"), ('sh:', 'nothing stands behind sh:'),
                                        ('/bin/true \\', 'backslash'), ("''", 'names no program')])
def test_what_is_no_hook_is_said_with_its_place(hooks, text, said):
    hooks.world.job(before=text)
    result = hooks.world.fails(BAD_CONFIG, 'run', 'job')
    assert said in result.err and re.search(r"job-job\.conf:\d+: 'before': ", result.err), result


def test_a_program_that_others_can_change_is_not_run(hooks):
    hooks.program.chmod(0o777)
    for words in (('check', '--offline'), ('run', 'job')):
        result = hooks.world.fails(BAD_CONFIG, *words)
        assert 'can be written by others' in result.text and "hook 'before'" in result.text
    assert hooks.ran() == [] and hooks.owed() == []
    hooks.program.chmod(0o755)
    hooks.program.parent.chmod(0o777)
    assert 'can be written by others' in hooks.world.fails(BAD_CONFIG, 'run', 'job').err
    hooks.program.parent.chmod(0o755)


def test_check_names_the_program_of_each(hooks):
    hooks.world.job(before='true', after=hooks.program, on_failure='no-such-program')
    hooks.world.section('job other', sources='tree', sinks='disk', before='/no/such/program')
    result = hooks.world.fails(BAD_CONFIG, 'check', '--offline')
    assert "hook 'before' is /usr/bin/true" in result.text or "hook 'before' is /bin/true" in result.text
    assert f"hook 'after' is {hooks.program}" in result.text
    assert "hook 'on_failure': program 'no-such-program' is in none of" in result.text
    assert "hook 'before': find program '/no/such/program'" in result.text


def test_before_is_not_run_when_after_cannot_be(hooks):
    hooks.world.job(before=hooks.program, after='/no/such/program')
    hooks.world.fails(BAD_CONFIG, 'run', 'job')
    assert hooks.ran() == []


# ---- signals ----

def test_a_signal_is_passed_on_to_before(hooks, tmp_path):
    hooks.world.job(before=f"sh:trap 'echo heard > {tmp_path}/heard; exit 0' TERM; echo > {tmp_path}/at; while :; do sleep 0.05; done",
                    after=hooks.program, on_failure=hooks.program)
    process = hooks.start('run', 'job')
    wait_until((tmp_path / 'at').exists, 'the hook is at work')
    process.send_signal(signal.SIGTERM)
    assert process.wait(60) == 128 + signal.SIGTERM
    assert (tmp_path / 'heard').exists() and hooks.lines() == ['after job failed', 'on_failure job failed']


def test_a_signal_does_not_end_after(hooks, tmp_path):
    hooks.write(f'test $COFRE_HOOK != after || {{ echo > {tmp_path}/at; sleep 1; echo ended >> {hooks.calls}; }}')
    process = hooks.start('run', 'job')
    wait_until((tmp_path / 'at').exists, 'the hook is at work')
    process.send_signal(signal.SIGTERM)
    assert process.wait(60) == DONE
    assert hooks.ran() == ['before', 'after', 'ended', 'on_success']


# ---- what is killed ----

def slow(hooks, name: str) -> None:
    """This hook says when it is at work, and goes on when `go` is there."""
    hooks.write(f'test $COFRE_HOOK != {name} || {{ touch {hooks.world.base}/at; while ! test -e {hooks.world.base}/go; do sleep 0.02; done; '
                f'echo ended >> {hooks.calls}; }}')


def killed_at(hooks, name: str, how) -> None:
    slow(hooks, name)
    process = hooks.start('run', 'job')
    wait_until((hooks.world.base / 'at').exists, 'the hook is at work')
    how(process)
    process.wait()


def test_killed_in_before_it_is_ended_and_after_runs(hooks):
    killed_at(hooks, 'before', subprocess.Popen.kill)
    wait_until(lambda: not hooks.owed(), 'what is owed is done')
    assert hooks.lines() == ['before job ', 'after job killed']
    assert 'was left by a run that was killed' in hooks.said()
    assert hooks.record()['status'] == 'killed'


def test_killed_in_after_it_is_seen_through(hooks):
    killed_at(hooks, 'after', kill_with_watchdog)
    (hooks.world.base / 'go').touch()
    wait_until(lambda: not hooks.owed(), 'what is owed is done')
    assert hooks.ran() == ['before', 'after', 'ended']
    hooks.world.ok('run', 'job')
    assert hooks.ran()[3:] == ['before', 'after', 'ended', 'on_success']


def kill_all(process):
    """As when the machine goes down: none sees how the others end."""
    process.send_signal(signal.SIGSTOP)
    pids = [*watchdogs(process), *runners(process)]
    for pid in pids:
        os.kill(pid, signal.SIGKILL)
    process.kill()
    wait_until(lambda: all(is_gone(Path(f'/proc/{pid}')) for pid in pids), 'all are gone')


def kill_runner(process):
    """And what it runs goes with it, before it is told to go on."""
    [pid] = runners(process)
    hook = Path(f'/proc/{Path(f"/proc/{pid}/task/{pid}/children").read_text().split()[0]}')
    os.kill(pid, signal.SIGKILL)
    wait_until(lambda: is_gone(hook), 'the hook is gone')
    (Path(process.args[2]).parent / 'go').touch()


def is_gone(process: Path) -> bool:
    try:
        return (process / 'stat').read_text().rpartition(')')[2].split()[0] == 'Z'
    except OSError:
        return True


def test_when_everything_is_killed_the_next_start_runs_after(hooks):
    killed_at(hooks, 'after', kill_all)
    time.sleep(0.2)
    (hooks.world.base / 'go').touch()
    time.sleep(0.2)
    assert hooks.ran() == ['before', 'after'], 'it dies with its runner'
    hooks.world.job()  # as it was configured when it was owed
    result = hooks.world.ok('run', 'job')
    assert hooks.lines()[2:] == ['after job killed', 'ended'] and hooks.owed() == []
    assert re.search(r"hook 'after' of job 'job' \(cofre-[0-9a-z-]+\) was left by a run that was killed: running it", result.err)


def test_a_runner_that_is_killed_is_replaced(hooks):
    killed_at(hooks, 'after', kill_runner)
    assert hooks.ran() == ['before', 'after', 'after', 'ended', 'on_success'] and hooks.owed() == []


def test_what_fails_at_the_next_start_is_named(hooks):
    killed_at(hooks, 'before', kill_all)
    hooks.write('exit 9')
    hooks.world.job()
    result = hooks.world.fails(INCOMPLETE, 'run', 'job')
    assert "hook 'after' ended with status 9" in result.err and hooks.owed() == []


def test_what_others_could_have_written_is_not_run(hooks):
    killed_at(hooks, 'before', kill_all)
    (hooks.world.base / 'go').touch()
    holds = hooks.world.base / 'state' / 'holds'
    holds.chmod(0o777)
    assert 'can be written by others' in hooks.world.fails(FAILED, 'check').text
    assert hooks.ran() == ['before']
    holds.chmod(0o700)
    hooks.world.ok('check')
    assert hooks.ran() == ['before', 'after']


def test_the_next_run_waits_for_the_after_of_the_last(hooks):
    killed_at(hooks, 'after', subprocess.Popen.kill)
    process = hooks.start('run', 'job')
    wait_until(lambda: 'waiting: ' in hooks.said(), 'it waits')
    assert hooks.ran() == ['before', 'after']
    (hooks.world.base / 'go').touch()
    assert process.wait(60) == DONE
    assert hooks.ran() == ['before', 'after', 'ended', 'before', 'after', 'ended', 'on_success']


def test_what_is_owed_is_durable_before_anything_is_run(hooks, tmp_path):
    """And is forgotten when it has been done."""
    hooks.world.job(before=f'touch {tmp_path}/began', after=f'touch {tmp_path}/ended')
    assert strace(hooks.world, tmp_path / 'trace', 'run', 'job').status == DONE
    lines = whole_lines((tmp_path / 'trace').read_text())

    def first(call: str, text: str, begin: int = 0) -> int:
        return next(number for number, line in enumerate(lines) if number >= begin and re.match(rf'\d+ +{call}', line) and text in line)

    written = first('rename', '/holds/')
    durable = first('fsync', '/holds>', written)
    began, ended = first('openat', f'"{tmp_path}/began"'), first('openat', f'"{tmp_path}/ended"')
    assert durable < began < ended < first('unlink', '/holds/', written)


# ---- restore ----

def test_a_restore_in_place_has_its_own(hooks):
    hooks.write('')
    hooks.world.ok('run', 'job')
    hooks.calls.unlink()
    hooks.write(f'ls {hooks.tree} | wc -l >> {hooks.calls}')
    (hooks.tree / 'file').unlink()
    hooks.world.ok('restore', 'job', '--in-place', '--yes')
    assert hooks.lines() == ['before_restore job ', '0', 'after_restore job complete', '1']
    assert [row['hook'] for row in hooks.record('restore')['hooks']] == list(RESTORE)
    hooks.calls.unlink()
    hooks.world.restored()
    assert hooks.ran() == [], 'beside the running application nothing is stopped'


def test_a_before_restore_that_fails_restores_nothing(hooks):
    hooks.world.ok('run', 'job')
    hooks.calls.unlink()
    hooks.write('test $COFRE_HOOK != before_restore || exit 75')
    (hooks.tree / 'file').unlink()
    result = hooks.world.fails(FAILED, 'restore', 'job', '--in-place', '--yes')
    assert 'nothing was restored' in result.err and "hook 'before_restore' ended with status 75" in result.err
    assert hooks.lines() == ['before_restore job ', 'after_restore job failed'] and not (hooks.tree / 'file').exists()


def test_an_after_restore_that_fails_is_named(hooks):
    hooks.world.ok('run', 'job')
    hooks.write('test $COFRE_HOOK != after_restore || exit 5')
    result = hooks.world.fails(INCOMPLETE, 'restore', 'job', '--in-place', '--yes')
    assert "hook 'after_restore' ended with status 5" in result.err


def test_a_part_that_is_not_there_stops_nothing(hooks):
    hooks.world.ok('run', 'job')
    hooks.calls.unlink()
    hooks.world.fails({FAILED, INCOMPLETE}, 'restore', 'job', 'tree:nowhere', '--in-place', '--yes')
    assert hooks.ran() == []


def answered(hooks, answer: str) -> subprocess.CompletedProcess:
    """A restore in place by somebody at a terminal."""
    master, slave = pty.openpty()
    os.write(master, answer.encode() + b'\n')
    done = subprocess.run(hooks.world.command('restore', 'job', '--in-place'), env=CLEAN, stdin=slave, capture_output=True, timeout=60,
                          check=False)
    os.close(slave)
    os.close(master)
    return done


def test_the_question_shows_them_and_none_runs_before_the_answer(hooks):
    hooks.job(*RESTORE, before_restore=f"{hooks.program} 'two words'")
    hooks.world.ok('run', 'job')
    refused = answered(hooks, 'no')
    assert f'Hook before_restore: {hooks.program} two words\n'.encode() in refused.stderr, refused.stderr
    assert f'Hook after_restore: {hooks.program}\n'.encode() in refused.stderr and refused.returncode == FAILED
    assert hooks.ran() == []
    assert answered(hooks, 'yes').returncode == DONE and hooks.ran() == list(RESTORE)


def test_services_are_stopped_for_a_restore_and_started_after_it_whatever_happens(hooks, tmp_path):
    """A service that holds its file open must not run while that is put back."""
    running = tmp_path / 'running'
    hooks.write(f'case $COFRE_HOOK in before_restore) rm {running} ;; after_restore) touch {running} ;; esac\n'
                f'while ! test -e {tmp_path}/go; do sleep 0.02; done')
    hooks.job(*RESTORE)
    (tmp_path / 'go').touch()
    hooks.world.ok('run', 'job')
    (tmp_path / 'go').unlink()
    running.touch()
    process = hooks.start('restore', 'job', '--in-place', '--yes')
    wait_until(lambda: not running.exists(), 'the service is stopped')
    kill_all(process)
    process.wait()
    (tmp_path / 'go').touch()
    assert not running.exists()
    hooks.world.ok('check')
    assert running.exists() and hooks.lines()[-1] == 'after_restore job killed'
