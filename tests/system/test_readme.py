"""The README is a program: every sh block is run as written, in order, on a machine of its own.

The machine is a private mount namespace: /etc is a copy, /mnt, /srv and /var are empty, and cofre is on the PATH.
"""
import os
import re
import subprocess
from pathlib import Path

import pytest

from support.gnupg import stop_agent
from support.oracle import assert_same_tree, tree_state

TOP = Path(__file__).resolve().parents[2]
README = (TOP / 'README.md').read_text()
BLOCK = re.compile(r'^```(\w*)\n(.*?)^```$', re.M | re.S)
CRON = re.compile(r'([0-9*/,-]+ ){5}root (cofre .+)')

SETUP = '''
set -e
mkdir {base}/etc
mount -t tmpfs tmpfs {base}/etc
cp -a /etc/. {base}/etc
mount --bind {base}/etc /etc
for place in /mnt /srv /var; do mount -t tmpfs tmpfs $place; done
mkdir -p /var/lib /var/cache /var/desk /mnt/nas /mnt/disk /srv/gym/uploads/cache
mount -t tmpfs tmpfs /mnt/nas
mount -t tmpfs tmpfs /mnt/disk
cd /srv/gym/uploads
echo '<h1>gym</h1>' >index.html
echo half >upload.tmp
echo again >cache/again
mkdir -p 2026/11
head -c 300000 /dev/urandom >2026/11/logo.png
ln 2026/11/logo.png 2026/11/same.png
echo ready
exec sleep 1000
'''


class Machine:
    def __init__(self, base: Path, binary: Path) -> None:
        self.process = subprocess.Popen(['unshare', '-m', '--propagation', 'private', 'sh', '-c', SETUP.format(base=base)],
                                        stdout=subprocess.PIPE)
        assert self.process.stdout.readline() == b'ready\n', 'the machine could not be set up (it needs root)'
        self.root = Path(f'/proc/{self.process.pid}/root')
        self.environment = {'PATH': f'{binary.parent}:/usr/sbin:/usr/bin:/sbin:/bin', 'HOME': str(base / 'home'), 'SHELL': '/bin/sh'}
        (base / 'home').mkdir(mode=0o700)  # gpg keeps things in it

    def __call__(self, script: str) -> subprocess.CompletedProcess:
        done = subprocess.run(['nsenter', '-t', str(self.process.pid), '-m', 'sh', '-euc', 'cd /var/desk\n' + script],
                              env=self.environment, stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=120,
                              check=False)
        assert done.returncode == 0, f'{script}\nstatus {done.returncode}\n{done.stdout}{done.stderr}'
        return done

    def close(self) -> None:
        for home in (self.root / 'var/lib/cofre/gnupg', Path(self.environment['HOME']) / '.gnupg'):
            stop_agent(home)
        self.process.kill()
        self.process.wait()


@pytest.fixture(scope='module')
def machine(tmp_path_factory, binary):
    machine = Machine(tmp_path_factory.mktemp('machine'), binary)
    yield machine
    machine.close()


@pytest.fixture(scope='module')
def followed(machine):
    """The machine after somebody has followed the README."""
    blocks = [text for kind, text in BLOCK.findall(README) if kind == 'sh']
    assert len(blocks) >= 5
    for text in blocks:
        machine(text)
    return machine


def test_every_block_runs_as_written(followed):
    uploads = followed.root / 'srv/gym/uploads'
    expected = tree_state(uploads)
    for name in (b'upload.tmp', b'cache', b'cache/again'):
        del expected[name]
    assert_same_tree(expected, followed.root / 'srv/restored/uploads')
    assert_same_tree(expected, followed.root / 'srv/yesterday/uploads')
    assert_same_tree(expected, followed.root / 'srv/by-hand')
    desk = followed.root / 'var/desk'
    assert (desk / 'index.html').read_bytes() == (uploads / 'index.html').read_bytes()
    assert 'recovery sheet' in (desk / 'recovery-nas.txt').read_text()
    assert not list((followed.root / 'etc/cofre/conf.d').glob('*.key'))


def test_blocks_are_of_a_known_kind():
    kinds = {kind for kind, _ in BLOCK.findall(README)}
    assert kinds <= {'sh', 'console', 'text', 'ini'}, kinds


def test_cron_lines(followed):
    """They have the form that cron wants, and say nothing when all is well."""
    lines = [line for kind, text in BLOCK.findall(README) if kind == 'text' for line in text.splitlines()]
    assert lines
    for line in lines:
        match = CRON.fullmatch(line)
        assert match, line
        assert '%' not in line  # cron would take it as a line end
        done = followed(match[2])
        assert done.stdout + done.stderr == '', done


def test_the_put_key_of_the_readme(followed):
    followed('sed -i "s#keys/gym.key#keys/gym-put.key#" /etc/cofre/conf.d/gym.conf && mv /etc/cofre/keys/gym.key /var/desk')
    followed('cofre run nightly && cofre list nightly | grep -q sealed && cofre verify nightly')
    followed('if cofre restore nightly --into /srv/stolen; then exit 1; else test $? = 12; fi; test ! -e /srv/stolen/uploads')
    followed('sed -i "s#keys/gym-put.key#keys/gym.key#" /etc/cofre/conf.d/gym.conf && mv /var/desk/gym.key /etc/cofre/keys')
    followed('cofre key accept nas "$(hostname)"')
    followed('cofre restore nightly --into /srv/after')


def test_recovery_sheet_on_a_new_machine(followed):
    """Nothing is left but the repository, the key and the sheet: do what it says."""
    sheet = (followed.root / 'var/desk/recovery-nas.txt').read_text()
    section = re.search(r'^\[engine\]\n.*?(?=\n  3\. )', sheet, re.M | re.S)[0]
    followed('cp /etc/cofre/keys/gym.key /var/desk/COPY-OF-KEY-FILE && mv /etc/cofre /var/desk/etc-cofre &&'
             'rm -rf /var/lib/cofre /var/cache/cofre /srv/restored')
    followed(re.search(r'^ +(install .*)$', sheet, re.M)[1])
    followed(re.search(r'first: (mkdir .*)\)', sheet)[1])
    (followed.root / 'etc/cofre/conf.d/recovery.conf').write_text(section)
    commands = re.findall(r'^ +(cofre .*)$', sheet, re.M)
    assert len(commands) == 2, sheet
    for command in commands:
        assert '--sink nas' in command
        followed(command)
    assert_same_tree(followed.root / 'srv/yesterday/uploads', followed.root / 'srv/restored/uploads')
    followed('rm -rf /etc/cofre && mv /var/desk/etc-cofre /etc/cofre')


def test_without_cofre(followed):
    """The lines of the README with the decoder, names filled in."""
    lines = re.findall(r'^/usr/bin/python3 \S*decoder.py .*$', README, re.M)
    assert len(lines) == 2
    host, snapshot = followed('cofre list --all-hosts nightly | tail -1').stdout.split()[0:3:2]
    words = {'gym.key': '/etc/cofre/keys/gym.key', 'HOST': host, 'SNAPSHOT': snapshot, 'OUTPUT-DIRECTORY': '/srv/decoded'}
    for line in lines:
        for word, value in words.items():
            line = re.sub(rf'(?<![/\w-]){word}\b|(?<=/){word}\b', value, line)
        followed(f'cd {TOP}\n{line}')
    assert_same_tree(followed.root / 'srv/yesterday/uploads', followed.root / 'srv/decoded/uploads')


def test_install_line_names_the_packages():
    words = re.search(r'^apt-get install --no-install-recommends (.*)$', README, re.M)[1]
    found = subprocess.run(f'echo {words}', shell=True, cwd=TOP, capture_output=True, text=True, check=True).stdout.split()
    assert {'cmake', 'gcc', 'libsodium-dev'} <= set(found) <= set((TOP / 'tests/packages').read_text().split())
    assert 'python3-pytest' not in found


@pytest.mark.parametrize('page', sorted(str(p.relative_to(TOP)) for p in [*TOP.glob('*.md'), *TOP.glob('docs/*.md'),
                                                                         *TOP.glob('plugins/*/README.md')]))
def test_links_lead_somewhere(page):
    text = re.sub(r'```.*?```', '', (TOP / page).read_text(), flags=re.S)
    for target in re.findall(r'\]\(([^)#\s]+)[^)]*\)', text):
        if '://' not in target:
            assert (TOP / page).parent.joinpath(target).exists(), target


def known_hosts(text: str, tmp_path: Path) -> str:
    """With a file of ssh's that is there."""
    (tmp_path / 'known_hosts').touch()
    return text.replace('/etc/cofre/known_hosts', str(tmp_path / 'known_hosts'))


def test_samples_load(binary, tmp_path):
    """conf.d/ as one configuration and each file by itself, with keys and secrets that are there."""
    secret = tmp_path / 'secret'
    secret.write_text('sesame\n')
    secret.chmod(0o600)
    key = tmp_path / 'keys' / 'key'
    key.parent.mkdir()
    subprocess.run([binary, 'key', 'create', key], check=True, capture_output=True)
    samples = sorted((TOP / 'conf.d').glob('*.conf'))
    for number, chosen in enumerate([samples, *([sample] for sample in samples)]):
        directory = tmp_path / str(number)
        directory.mkdir(mode=0o700)
        for sample in chosen:
            text = re.sub(r'/etc/cofre/keys/\S+', str(key), sample.read_text())
            text = re.sub(r'/etc/cofre/secrets/\S+', str(secret), text)
            (directory / sample.name).write_text(known_hosts(text, tmp_path))
        done = subprocess.run([binary, '--config-dir', directory, 'check', '--offline'], capture_output=True, text=True,
                              check=False)
        assert done.returncode == 0, f'{chosen}\n{done.stdout}{done.stderr}'


@pytest.mark.parametrize('page', ['README.md', 'docs/containers.md', *sorted(str(p.relative_to(TOP)) for p in TOP.glob('plugins/*/README.md'))])
def test_sections_of_pages_load(binary, tmp_path, page):
    """The `ini` blocks of a page are one configuration."""
    key = tmp_path / 'keys' / 'key'
    key.parent.mkdir()
    subprocess.run([binary, 'key', 'create', key], check=True, capture_output=True)
    text = '\n'.join(re.findall(r'^```ini\n(.*?)^```', (TOP / page).read_text(), re.M | re.S))
    text = re.sub(r'/etc/cofre/(keys|secrets)/\S+', str(key), text)
    conf = tmp_path / 'conf.d'
    conf.mkdir(mode=0o700)
    (conf / 'page.conf').write_text(known_hosts(text, tmp_path))
    done = subprocess.run([binary, '--config-dir', conf, 'check', '--offline'], capture_output=True, text=True, check=False)
    assert done.returncode == 0 or not text.strip(), f'{text}\n{done.stdout}{done.stderr}'


def test_samples_name_commands_that_exist(binary):
    known = subprocess.run([binary, '--help'], capture_output=True, text=True, check=True).stdout
    for sample in (TOP / 'conf.d').glob('*.conf'):
        for command in re.findall(r"(?:'|:  +|root |  +)cofre (?:-q )?([a-z]+)\b", sample.read_text()):
            assert re.search(rf'^  {command} ', known, re.M), f'{sample.name}: cofre {command}'


def test_quickstart(binary, tmp_path):
    tree = tmp_path / 'a tree'
    (tree / 'sub').mkdir(parents=True)
    (tree / 'sub' / 'file').write_bytes(os.urandom(1000))
    (tree / 'new\nline').symlink_to('sub')
    place = tmp_path / 'trial'
    place.mkdir()
    environment = os.environ | {'COFRE_BINARY': str(binary), 'TMPDIR': str(place)}

    def run(*words):
        return subprocess.run([TOP / 'tests/quickstart', *words], env=environment, capture_output=True, text=True,
                              stdin=subprocess.DEVNULL, timeout=120, check=False)

    for _ in range(2):  # the second run is not in the way of the first
        done = run(tree)
        assert done.returncode == 0 and 'Done.' in done.stdout, done.stdout + done.stderr
    remove = re.search(r'^  rm -rf (.*)$', done.stdout, re.M)[1]
    assert remove.startswith(str(place)) and 'build' not in remove, remove
    for words in ((tmp_path / 'nowhere',), ('--help',), (tree, tree), (tmp_path,)):
        done = run(*words)
        assert done.returncode == 2 and done.stderr + done.stdout, words
    assert len(list(place.iterdir())) == 2
