"""An attacker who looks: at every process's arguments and environment, at temporary files, at what is stored."""
import base64
import os
import re
import subprocess
import threading
import time
from pathlib import Path

import pytest

from support.cli import CLEAN
from support.tree import plain_tree

CANARY = 'canary-7f3a-secret-in-the-environment'


@pytest.fixture
def made(world, tmp_path):
    tree = plain_tree(tmp_path / 'tree', files=6)
    (tree / 'big').write_bytes(os.urandom(24 << 20))
    return world.simple(tree)


def secret_forms(key: Path) -> list[bytes]:
    """The key's secrets as they stand in the file, as bytes, and as base64."""
    text = '\n'.join(line for line in key.read_text().splitlines() if not line.startswith('id'))
    found = re.findall(r'\b[0-9a-f]{64,}\b', text)
    assert found
    raw = [bytes.fromhex(word) for word in found]
    return [word.encode() for word in found] + raw + [base64.b64encode(r).rstrip(b'=') for r in raw]


class Watch(threading.Thread):
    """Reads arguments and environment of all processes, a thousand times a second, and what lies in some directories."""

    def __init__(self, command: str, places: list[Path]) -> None:
        super().__init__()
        self.command, self.places = command.encode(), places
        self.seen: dict[tuple, bytes] = {}
        self.files: dict[str, bytes] = {}
        self.rounds = 0
        self.over = False

    def look(self, pid: str) -> None:
        for what in ('cmdline', 'environ'):
            try:
                data = Path('/proc', pid, what).read_bytes()
            except OSError:
                continue
            self.seen[pid, what, data] = data

    def run(self) -> None:
        own = str(os.getpid())
        while not self.over:
            self.rounds += 1
            for pid in os.listdir('/proc'):
                if pid.isdigit() and pid != own:
                    self.look(pid)
            if self.rounds % 20 == 0:
                self.look_at_files()
            time.sleep(0.0005)

    def look_at_files(self) -> None:
        for place in self.places:
            for directory, _, names in os.walk(place):
                for name in names:
                    path = os.path.join(directory, name)
                    try:
                        with open(path, 'rb') as file:
                            self.files[path] = file.read(1 << 20)
                    except OSError:
                        continue


def watched(world, places: list[Path], commands: list[tuple], env: dict) -> tuple[Watch, str]:
    watch = Watch(str(world.binary), places)
    watch.start()
    text = ''
    try:
        for words in commands:
            result = world('-v', *words, env=env)
            assert result.status == 0, result
            text += result.text
    finally:
        watch.over = True
        watch.join()
    return watch, text


def test_an_onlooker_learns_no_secret(made, tmp_path):
    """-v, all verbs; children inherit nothing of the engine's environment that they do not need."""
    temporary = tmp_path / 'tmpdir'
    temporary.mkdir(mode=0o700)
    env = CLEAN | {'SECRET_OF_THE_CALLER': CANARY, 'TMPDIR': str(temporary)}
    watch, text = watched(made, [tmp_path / 'state', tmp_path / 'cache', temporary, made.repository / '.tmp'],
                          [('run', 'job'), ('verify', 'job'), ('list', 'job'), ('check',),
                           ('restore', 'job', '--into', tmp_path / 'into')], env)
    workers = [data for (_, what, data) in watch.seen if what == 'cmdline' and b'worker' in data]
    assert watch.rounds > 40 and workers, f'{watch.rounds} rounds, {len(workers)} workers seen'
    forms = secret_forms(made.key)
    for (pid, what, data) in watch.seen:
        assert not any(form in data for form in forms), f'{what} of {pid}: {data!r}'
    environments = [data for (pid, what, data) in watch.seen if what == 'environ']
    engine = made.binary.name.encode()
    names = {pid for (pid, what, data) in watch.seen if what == 'cmdline' and engine in data and b' worker' in data}
    for (pid, what, data) in watch.seen:
        if pid in names and what == 'environ':
            assert CANARY.encode() not in data, f'the worker {pid} inherited it'
    assert environments
    for path, data in watch.files.items():
        assert not any(form in data for form in forms), path
    assert not any(form in text.encode() for form in forms) and CANARY not in text


def test_process_memory_is_out_of_reach(made, tmp_path, open_binary):
    """Neither engine nor workers can be traced or have their memory read by another process of the same user."""
    for path in (tmp_path, made.conf, made.key.parent):
        os.chown(path, 65534, 65534)
    subprocess.run(['chown', '-R', '65534:65534', tmp_path], check=True)
    ordinary = ('setpriv', '--reuid=65534', '--regid=65534', '--clear-groups')
    subprocess.run(['chmod', 'a+x', *[str(p) for p in tmp_path.parents][:-2]], check=True)
    command = [*ordinary, *made.command('run', 'job')]
    with subprocess.Popen(command, env=CLEAN, stderr=subprocess.DEVNULL, start_new_session=True) as process:
        looked = 0
        while process.poll() is None:
            for pid in session(process.pid):
                if b'config-dir' not in cmdline(pid) and b'worker' not in cmdline(pid) or b'setpriv' in cmdline(pid):
                    continue
                done = subprocess.run([*ordinary, 'head', '-c', '1', f'/proc/{pid}/environ'], capture_output=True,
                                      check=False)
                looked += bool(done.returncode)
                # Before main has run it is an ordinary process, and knows nothing yet.
                assert done.returncode or not done.stdout or CANARY.encode() not in done.stdout
    assert process.returncode == 0 and looked > 0


def session(leader: int) -> list[int]:
    found = []
    for entry in Path('/proc').iterdir():
        try:
            if entry.name.isdigit() and os.getsid(int(entry.name)) == leader:
                found.append(int(entry.name))
        except OSError:
            continue
    return found


def cmdline(pid: int) -> bytes:
    try:
        return Path('/proc', str(pid), 'cmdline').read_bytes()
    except OSError:
        return b'setpriv'


def test_the_put_key_run_leaves_no_plain_text(made, tmp_path):
    """With the put key on a server: whatever it keeps (state, cache, repository) and the put key itself open nothing."""
    needle = b'needle-in-the-contents-91c4'
    (tmp_path / 'tree' / 'file-named-needle').write_bytes(needle * 2000)
    put = tmp_path / 'keys' / 'put.key'
    subprocess.run([made.binary, 'key', 'put', made.key, put, '--host', 'testhost'], check=True, env=CLEAN, capture_output=True)
    full = made.key.read_bytes()
    forms = secret_forms(made.key)
    away = tmp_path / 'away'
    made.key.rename(away)
    made.sink(key=put)
    made.ok('run', 'job')
    made.ok('run', 'job')
    for name in ('repository', 'state', 'keys'):
        for path in (tmp_path / name).rglob('*'):
            if path.is_file():
                data = path.read_bytes()
                assert needle not in data and b'file-named-needle' not in data, path
                assert not any(form in data for form in forms) and full not in data, path
    for path in (tmp_path / 'cache').rglob('*'):
        if path.is_file():
            data = path.read_bytes()
            assert needle not in data and not any(form in data for form in forms), path
