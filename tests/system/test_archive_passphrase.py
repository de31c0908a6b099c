"""The passphrase of an archive is proved against what is there, before anything is sealed with it."""
import base64
import json
import subprocess

import pytest

from support.archive import forge, manifest, snapshots
from support.cli import BAD_CONFIG, DAMAGED, FAILED, WRONG_KEY
from support.gnupg import Gnupg, quick_gpg, stop_agent
from support.tree import plain_tree

PHRASE = 'correct horse'


@pytest.fixture
def archive(world, tmp_path):
    """A function that configures an archive with a passphrase; gives its place."""
    def configure(name: str = 'disk', phrase: str | bytes = PHRASE, **options):
        secret = world.base / 'keys' / f'{name}.phrase'
        secret.parent.mkdir(mode=0o700, exist_ok=True)
        secret.write_bytes(phrase if isinstance(phrase, bytes) else phrase.encode())
        secret.chmod(0o600)
        world.section(f'sink {name}', **({'plugin': 'local', 'path': tmp_path / name, 'format': 'archive',
                                          'passphrase': f'@file:{secret}'} | options))
        return tmp_path / name

    world.prefix = quick_gpg(tmp_path)
    world.source('tree', plain_tree(tmp_path / 'tree', files=4))
    world.job()
    yield configure
    stop_agent(tmp_path / 'state' / 'gnupg')


def by_hand(place, phrase: str) -> subprocess.CompletedProcess:
    gnupg = Gnupg()
    try:
        probe = base64.b64decode(json.loads((place / 'archive.json').read_text())['probe'])
        return subprocess.run(gnupg.command('--passphrase', phrase, '--decrypt'), input=probe, capture_output=True, check=False)
    finally:
        gnupg.close()


def test_another_passphrase_is_found_before_anything_is_done(world, archive):
    place = archive()
    world.ok('init', 'disk')
    archive(phrase='wrong')
    for words in (('check',), ('run', 'job'), ('verify',), ('init', 'disk')):
        result = world.fails(WRONG_KEY, *words)
        assert "sink 'disk'" in result.text and 'passphrase' in result.text, result
    assert not snapshots(place)
    archive()
    world.ok('run', 'job')
    archive(phrase='wrong')
    for words in (('check',), ('run', 'job'), ('verify',), ('verify', 'job', '--quick'), ('verify', 'job@latest')):
        world.fails(WRONG_KEY, *words)
    assert len(snapshots(place)) == 1
    archive()
    assert 'opens with the passphrase' in world.ok('check').text
    world.ok('run', 'job')
    assert 'all whole' in world.ok('verify').out
    assert 'already' in world.ok('init', 'disk').text


def test_the_probe_opens_with_gpg_alone(world, archive):
    place = archive()
    world.ok('init', 'disk')
    done = by_hand(place, PHRASE)
    assert done.returncode == 0 and done.stdout == f'cofre archive {json.loads((place / "archive.json").read_text())["id"]}\n'.encode()
    assert by_hand(place, 'wrong').returncode != 0
    assert PHRASE.encode() not in (place / 'archive.json').read_bytes()


@pytest.mark.parametrize('change', [lambda probe: probe[:-8], lambda probe: '', lambda probe: '!', lambda probe: 1,
                                    lambda probe: 'A' * 3000, lambda probe: None])
def test_a_probe_that_is_none(world, archive, change):
    place = archive()
    world.ok('init', 'disk')
    marker = json.loads((place / 'archive.json').read_text())
    marker['probe'] = change(marker['probe'])
    if marker['probe'] is None:
        del marker['probe']
    (place / 'archive.json').write_text(json.dumps(marker))
    assert world('run', 'job').status in (WRONG_KEY, DAMAGED)
    assert world('verify').status in (WRONG_KEY, DAMAGED) and not snapshots(place)


def test_an_archive_that_was_made_without_a_passphrase(world, archive, tmp_path):
    archive(passphrase=None, encryption='none')
    world.ok('init', 'disk')
    assert 'probe' not in json.loads((tmp_path / 'disk' / 'archive.json').read_text())
    archive()
    assert 'without a passphrase' in world.fails(WRONG_KEY, 'run', 'job').text


@pytest.mark.parametrize('phrase', [b'', b'\n', b'one\ntwo\n', b'one\n\n', b'\none\n', b'one\r\n', b'o\tne', b'o\x01ne', b'one\x7f',
                                    b'one\0two', b'x' * 256])
def test_init_refuses_what_later_commands_would(world, archive, phrase):
    place = archive(phrase=phrase)
    result = world.fails(BAD_CONFIG, 'init', 'disk')
    assert 'passphrase' in result.text and not (place / 'archive.json').exists(), result
    assert not place.exists() or not list(place.iterdir())
    archive(encryption='none', passphrase=None)
    world.ok('init', 'disk')
    archive(phrase=phrase)
    for words in (('check', 'disk'), ('run', 'job')):
        world.fails(BAD_CONFIG, *words)


@pytest.mark.parametrize('phrase', [b'one\n', b'x' * 255, ' ñ ü blanks '.encode()])
def test_what_can_be_used(world, archive, phrase):
    place = archive(phrase=phrase)
    world.ok('init', 'disk')
    world.ok('run', 'job')
    assert 'all whole' in world.ok('verify').out
    assert by_hand(place, phrase.decode().rstrip('\n')).returncode == 0


def test_a_file_that_another_passphrase_sealed_is_damage(world, archive):
    """It is no archive that cannot be opened here: the passphrase is there."""
    place, other = archive(), archive('other', 'wrong')
    world.job(sinks='disk, other')
    world.ok('init', 'disk')
    world.ok('init', 'other')
    world.ok('run', 'job')
    [snapshot], [foreign] = snapshots(place), snapshots(other)
    plain = manifest(foreign)['files'][0]['plain']
    forge(snapshot, {'tree.tar.zst.gpg': (foreign / 'tree.tar.zst.gpg').read_bytes()}, plain=plain)
    result = world.fails(DAMAGED, 'verify', '--sink', 'disk')
    assert 'tree' in result.text and 'only their hashes' not in result.text, result


def test_copy_wants_one_passphrase(world, archive):
    archive()
    second = archive('second', 'wrong')
    for sink in ('disk', 'second'):
        world.ok('init', sink)
    world.ok('run', 'job')
    assert 'different passphrases' in world.fails(FAILED, 'copy', 'job', '--from', 'disk', '--to', 'second').text
    archive('second')
    world.fails(WRONG_KEY, 'copy', 'job', '--from', 'disk', '--to', 'second')
    assert not snapshots(second)


def test_the_passphrase_of_a_kept_key(world, tmp_path):
    """Of a repository: recovery_passphrase must open the copy that is kept."""
    world.prefix = quick_gpg(tmp_path)
    world.source('tree', plain_tree(tmp_path / 'tree', files=2))
    secret = world.write('../keys/phrase', PHRASE)
    world.sink(recovery_passphrase=f'@file:{secret}')
    world.job()
    world.ok('init', 'disk')
    world.write('../keys/phrase', 'wrong')
    result = world('check')
    assert result.status in (WRONG_KEY, DAMAGED) and 'copy of the key' in result.text, result
    world.ok('init', 'disk')
    world.ok('check')
    world.write('../keys/phrase', 'two\nlines')
    world.sink('second', path=tmp_path / 'second', recovery_passphrase=f'@file:{secret}')
    world.fails(BAD_CONFIG, 'init', 'second')
    assert not (tmp_path / 'second').exists()
    stop_agent(tmp_path / 'state' / 'gnupg')
