"""[engine] log = syslog | journal: the lines beside standard error, and one of each run that monitoring can look for."""
import os
import re
import socket
from pathlib import Path

import pytest

from support.cli import BAD_CONFIG, DONE, FAILURES
from support.tree import plain_tree

MANUAL = Path(__file__).resolve().parents[2] / 'docs/cofre.8'
PLACES = {'syslog': 'log', 'journal': 'socket'}


class Service:
    """A socket where the log of the system is, as cofre sees it: in a mount namespace of its own, so that this machine's is not touched."""

    def __init__(self, world, base: Path, kind: str) -> None:
        self.kind, self.base = kind, base / 'service'
        self.base.mkdir()
        target = '/dev' if kind == 'syslog' else '/run/systemd/journal'
        devices = f'mkdir -p {self.base} && cp -a /dev/null /dev/zero /dev/full /dev/random /dev/urandom {self.base} && '
        script = (devices if kind == 'syslog' else f'mount -t tmpfs none /run && mkdir -p {target} && ') + f'mount --bind {self.base} {target}'
        world.prefix = ('unshare', '-m', 'sh', '-c', script + ' && exec "$@"', 'sh')
        self.listen()
        world.section('engine', state_dir=world.base / 'state', cache_dir=world.base / 'cache', host='testhost', log=kind)

    def listen(self) -> None:
        self.socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        os.chdir(self.base)  # the path of a socket is short
        try:
            self.socket.bind(PLACES[self.kind])
        finally:
            os.chdir('/')
        self.socket.setblocking(False)

    def messages(self) -> list[str]:
        found = []
        while True:
            try:
                found.append(self.socket.recv(65536).decode())
            except BlockingIOError:
                return found

    def close(self) -> None:
        self.socket.close()
        (self.base / PLACES[self.kind]).unlink(missing_ok=True)


@pytest.fixture
def service(world, tmp_path, request):
    plain_tree(tmp_path / 'tree', files=3)
    made = Service(world, tmp_path, request.param)
    world.simple(tmp_path / 'tree')
    made.messages()
    yield made
    made.close()


def fields(message: str) -> dict[str, str]:
    return dict(line.split('=', 1) for line in message.rstrip('\n').split('\n'))


def documented() -> dict[str, str]:
    """Ids of the manual page, by status."""
    return {status: one for one, status in re.findall(r'^\.BR ([0-9a-f]{32}) " \((\w+)\)"', MANUAL.read_text(), re.M)}


@pytest.mark.parametrize('service', ['journal'], indirect=True)
def test_the_journal(world, tmp_path, service):
    assert world.ok('-q', 'run', 'job').text == '', 'standard error is as it was'
    [run] = [fields(one) for one in service.messages() if 'MESSAGE_ID' in one]
    [snapshot] = world.snapshots()
    assert run['MESSAGE'].startswith(f'job=job status=complete exit=0 snapshot={snapshot} ')
    assert (run['PRIORITY'], run['SYSLOG_IDENTIFIER'], run['COFRE_JOB'], run['COFRE_STATUS'], run['COFRE_EXIT'], run['COFRE_SNAPSHOT']) == (
        '5', 'cofre', 'job', 'complete', '0', snapshot)
    assert set(documented()) == {'complete', 'partial', 'skipped', 'incomplete', 'suspect', 'failed'}
    assert run['MESSAGE_ID'] == documented()['complete']
    os.symlink('b\nPRIORITY=0', tmp_path / 'tree' / 'a\nMESSAGE_ID=x')
    world.key.rename(tmp_path / 'away')
    failed = world.fails(FAILURES, 'run', 'job')
    said = [fields(one) for one in service.messages()]
    [run] = [one for one in said if 'MESSAGE_ID' in one]
    assert run['MESSAGE_ID'] == documented()['failed'] and run['PRIORITY'] == '3' and run['COFRE_SNAPSHOT'] == ''
    [error] = [one for one in said if one['MESSAGE'].startswith('error: ')]
    assert error['MESSAGE'][7:].split(';')[0] in failed.err


@pytest.mark.parametrize('service', ['syslog'], indirect=True)
def test_syslog(world, tmp_path, service):
    world.job(before='sh:echo to the log; exit 75')
    world.ok('run', 'job')
    said = service.messages()
    line = re.compile(r"<(\d+)>[A-Z][a-z]{2} [ \d]\d \d\d:\d\d:\d\d cofre\[\d+\]: (.*)", re.S)
    rows = [line.fullmatch(one).groups() for one in said]
    assert ('29', "hook 'before' of job 'job': to the log") in rows, 'the process that runs a hook writes there, too'
    assert [text for _, text in rows if text.startswith('job=job status=skipped exit=0 ')], rows


@pytest.mark.parametrize('service', ['syslog', 'journal'], indirect=True)
def test_nobody_listens(world, tmp_path, service):
    """It is said once, and changes nothing else."""
    service.close()
    done = world.ok('run', 'job')
    assert done.status == DONE and done.err.count(f'no line comes into the {service.kind}') == 1, done
    service.listen()
    world.ok('run', 'job')
    assert service.messages()


def test_what_else_it_may_be(world, tmp_path):
    plain_tree(tmp_path / 'tree', files=1)
    world.simple(tmp_path / 'tree')
    world.section('engine', log='the journal')
    said = world.fails(BAD_CONFIG, 'check').err
    assert "'log': it must be syslog, journal, or file: and an absolute path" in said, said
