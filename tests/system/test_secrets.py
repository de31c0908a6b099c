"""Keys and contents stay where they belong."""
import re
import subprocess

import pytest

from support.cli import BAD_CONFIG, CLEAN, FAILED, NO_REPOSITORY
from support.tree import plain_tree

CANARY = b'canary-7f3a-do-not-leak'


@pytest.fixture
def made(world, tmp_path):
    tree = plain_tree(tmp_path / 'tree', files=4)
    (tree / 'name-canary-51d2').write_bytes(CANARY * 100)
    return world.simple(tree)


def secrets_of(key) -> list[str]:
    """Every long hexadecimal text of the key file but its id, which is public."""
    text = '\n'.join(line for line in key.read_text().splitlines() if not line.startswith('id'))
    return re.findall(r'\b[0-9a-f]{64,}\b', text)


def test_the_repository_tells_nothing(made):
    made.ok('run', 'job')
    secret = secrets_of(made.key)
    assert secret
    for path in made.objects():
        data = path.read_bytes()
        assert CANARY not in data and b'name-canary' not in data and str(made.base).encode() not in data, path
        assert not any(s.encode() in data or bytes.fromhex(s) in data for s in secret), path


def test_the_key_is_in_no_argument_environment_or_log(made, tmp_path):
    trace = tmp_path / 'trace'
    result = made.ok('-v', 'run', 'job', prefix=('strace', '-f', '-v', '-s', '4096', '-e', 'trace=execve', '-o', trace))
    for secret in secrets_of(made.key):
        assert secret not in trace.read_text() and secret not in result.text
    for words in (('--json', 'show', 'job'), ('list',), ('check',), ('status',)):
        text = made(*words).text
        assert not any(secret in text for secret in secrets_of(made.key)), words


def test_a_key_that_others_can_read_is_refused(made):
    for mode in (0o644, 0o640, 0o604):
        made.key.chmod(mode)
        result = made.fails({BAD_CONFIG, 12}, 'run', 'job')
        assert 'chmod' in result.err and str(made.key) in result.err, result
    made.key.chmod(0o400)
    made.ok('run', 'job')


def test_a_damaged_key_is_noticed(made):
    text = made.key.read_text()
    for changed in (text[:-2], text[:len(text) // 2], text.replace('a', 'b', 1) if 'a' in text else text[1:], '', 'x\n'):
        made.key.write_text(changed)
        result = made.fails({BAD_CONFIG, 12}, 'run', 'job')
        assert str(made.key) in result.err, result


def test_the_key_is_never_overwritten(made):
    before = made.key.read_text()
    made('key', 'create', made.key)
    made('init', 'disk')
    assert made.key.read_text() == before


def test_no_core_file_with_secrets(made, tmp_path):
    """The engine and its workers forbid core dumps of secret memory, or dumps at all."""
    script = 'ulimit -c unlimited; cd "$0"; "$@" & sleep 0.2; kill -ABRT $! 2>/dev/null; wait $!'
    subprocess.run(['/bin/sh', '-c', script, tmp_path, *made.command('run', 'job')], env=CLEAN, check=False,
                   stderr=subprocess.DEVNULL)
    for core in tmp_path.glob('core*'):
        data = core.read_bytes()
        assert not any(bytes.fromhex(s) in data for s in secrets_of(made.key)), core


def test_state_and_cache_are_private(made, tmp_path):
    made.ok('run', 'job')
    for name in ('state', 'cache'):
        for path in [tmp_path / name, *(tmp_path / name).rglob('*')]:
            assert path.stat().st_mode & 0o077 == 0, path
            if path.is_file():
                assert not any(s.encode() in path.read_bytes() for s in secrets_of(made.key)), path


def test_a_key_that_nobody_keeps_cannot_be_had_back(made, tmp_path):
    """Neither from a repository without a copy of it, nor where no repository is."""
    recover = ('key', 'recover', 'disk', tmp_path / 'again', '--id', '0' * 32)
    assert 'neither recovery_to nor recovery_passphrase' in made.fails(BAD_CONFIG, *recover).text
    (tmp_path / 'phrase').write_text('what nobody ever said')
    (tmp_path / 'phrase').chmod(0o600)
    made.sink(recovery_passphrase=f'@file:{tmp_path}/phrase')
    told = made.fails(FAILED, *recover).text
    assert 'no copy of its key is kept in the repository' in told and "when 'cofre init' was last run" in told, told
    made.sink(path=tmp_path / 'none', recovery_passphrase=f'@file:{tmp_path}/phrase')
    told = made.fails(NO_REPOSITORY, *recover).text
    assert "sink 'disk'" in told and 'it holds no repository' in told, told
    assert not (tmp_path / 'again').exists()
