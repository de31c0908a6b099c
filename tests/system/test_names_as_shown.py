"""What ls shows of a name can be given back to ls, cat and restore."""
import os
import subprocess
from pathlib import Path

import pytest

from support.cli import CLEAN, FAILED

HIDDEN = {'r\u202egpj.exe': r'r\xe2\x80\xaegpj.exe', 'a\u200bb': r'a\xe2\x80\x8bb', '\ufeffx': r'\xef\xbb\xbfx', 'l\u2028': r'l\xe2\x80\xa8',
          'p\ue000': r'p\xee\x80\x80', 'u\u0378': r'u\xcd\xb8', 't\U000e0041': r't\xf3\xa0\x81\x81'}
NAMES = [name.encode() for name in HIDDEN] + [b'new\nline', b'\x1b[31mred', b'n\xff.txt', b'back\\slash', 'grün'.encode(), b'tab\there', b'bell\x07/deep\xfe', b'\\x41']


@pytest.fixture
def odd(world, tmp_path):
    tree = tmp_path / 'tree'
    for name in NAMES:
        path = Path(os.fsdecode(os.fsencode(tree) + b'/' + name))
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(name)
    world.simple(tree)
    world.ok('run', 'job')
    return world


def shown(world) -> list[str]:
    return [line['path'] for line in world.ok('--json', 'ls', 'job', 'tree').json()[1:] if line['kind'] == 'file']


def test_every_name_as_it_is_shown(odd, tmp_path):
    assert len(shown(odd)) == len(NAMES)
    for number, path in enumerate(shown(odd)):
        content = subprocess.run(odd.command('cat', 'job', f'tree:{path}'), env=CLEAN, capture_output=True, check=True).stdout
        assert content in NAMES
        assert [line['path'] for line in odd.ok('--json', 'ls', 'job', f'tree:{path}').json()[1:]] == [path]
        into = tmp_path / str(number)
        odd.ok('restore', 'job', f'tree:{path}', '--into', into)
        files = [file for file in into.rglob('*') if file.is_file()]
        assert [file.read_bytes() for file in files] == [content]
        assert os.fsencode(files[0]).endswith(content)


def test_what_hides_or_turns_text(odd, tmp_path):
    """People see what it is, in ls and in messages, and can give it back; programs get the character."""
    listed = odd.ok('ls', 'job', 'tree').out
    for name, seen in HIDDEN.items():
        assert seen in listed and name not in listed, name
        assert odd.ok('cat', 'job', f'tree:{seen}').out == name
        assert odd.ok('--json', 'ls', 'job', f'tree:{seen}').json()[1]['path'] == name
        result = odd.fails(FAILED, 'cat', 'job', f'tree:{name}/none')
        assert seen in result.err.replace('\\\\', '\\') and name not in result.err, result
    assert 'ü' in listed


def test_directories_and_what_is_not_there(odd):
    assert odd.ok('ls', 'job', r'tree:bell\x07').out.count('deep') == 1
    for path in (r'tree:no\xff', r'tree:no\y', r'tree:no\x0', r'tree:no\x00', 'tree:no\\'):
        odd.fails(FAILED, 'cat', 'job', path)


def test_two_entries_of_one_name(world, tmp_path):
    """A newline, and a backslash with an n: the one whose bytes were typed is meant, and it is said."""
    tree = tmp_path / 'tree'
    tree.mkdir()
    (tree / 'a\nb').write_text('newline')
    (tree / 'a\\nb').write_text('backslash')
    world.simple(tree)
    world.ok('run', 'job')
    result = world.ok('cat', 'job', r'tree:a\nb')
    assert result.out == 'backslash' and 'two entries' in result.err
    assert world.ok('cat', 'job', 'tree:a\nb').out == 'newline'
    assert world.ok('cat', 'job', r'tree:a\\nb').out == 'backslash'
