"""check says what an operator believes wrongly: of rules that do nothing, and of secrets that are not what they seem."""
import pytest

from support.cli import WRONG_KEY
from support.tree import plain_tree


@pytest.fixture
def made(world, tmp_path):
    return world.simple(plain_tree(tmp_path / 'tree', files=2))


def test_rules_with_a_key_that_may_not_remove(made):
    """Nothing would ever go, and nobody looks at the log of a run that worked."""
    words = "the key at hand may not remove the snapshots of job 'job' that no rule keeps"
    made.job('job', keep_daily=7)
    assert words not in made.ok('check').text
    made.sink(key=made.put_key())
    assert words in made.ok('check').err
    made.job('job', keep_daily=7, prune='elsewhere')
    assert words not in made.ok('check').text
    made.job('job')
    assert words not in made.ok('check').text


@pytest.mark.parametrize('text, words', [
    (b'hunter7', None), (b'hunter7\n', None), (b'hunter7\r\n', 'carriage return'), (b'hunter7\n\n', 'newline'),
    (b'hunter7 ', 'blank'), (b'hunter7\t\n', 'blank'), (b'\xef\xbb\xbfhunter7', 'byte order mark')])
def test_secrets_with_something_at_their_ends(made, tmp_path, text, words):
    secret = tmp_path / 'password'
    secret.write_bytes(text)
    secret.chmod(0o600)
    kinds = {f'@file:{secret}': f'@file:{secret}', f'@cmd:cat {secret}': 'from @cmd'}
    for value, origin in kinds.items():
        made.section('sink away', plugin='rsync', target='rsync://127.0.0.1:1/m', password=value, encryption='none')
        result = made('check', 'away')
        assert b'hunter7' not in result.text.replace(str(secret), '').replace("'secret", '').encode(), result
        if words:
            assert f"'password', {origin}, " in result.err and words in result.err, result
        else:
            assert "'password'" not in result.err, result
    assert words is None or words not in made('check', '--offline', 'away').err


def test_a_secret_from_the_environment(made, tmp_path):
    made.section('sink away', plugin='local', path=tmp_path / 'away', format='archive', passphrase='@env:ARCHIVE_SECRET')
    result = made('check', 'away', env={'ARCHIVE_SECRET': 'x\r', 'PATH': '/usr/bin:/bin'})
    assert "'passphrase', @env:ARCHIVE_SECRET, ends with a carriage return" in result.err, result


def test_a_key_file_that_came_by_mail(made):
    good = made.key.read_bytes()
    for changed in (good[:-1], good.replace(b'\n', b'\r\n'), good + b'\n\r\n', b'\xef\xbb\xbf' + good, good.replace(b'\n', b' \n')):
        made.key.write_bytes(changed)
        made.ok('list', 'job')
    made.key.write_bytes(good.replace(b'\n', b'\r\n').replace(b'a', b'b', 1))
    made.fails(WRONG_KEY, 'list', 'job')


def test_a_file_that_is_not_read(made):
    """What its author believes to be saved is not."""
    assert 'is not read' not in made.ok('check').text
    (made.conf / 'photos.ini').write_text('[source photos]\nplugin = directory\n')
    (made.conf / 'notes.txt').write_text('later')
    result = made.ok('check')
    assert f"'{made.conf}/photos.ini' is not read" in result.err and 'end in .conf' in result.err, result
    assert 'notes.txt' not in result.text
