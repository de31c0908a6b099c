"""What CONTRIBUTING.md says of the code holds: layers, names, sizes."""
import json
import re
import shlex
import subprocess
from pathlib import Path

import pytest

TOP = Path(__file__).resolve().parents[2]
CORE = sorted(p.parent.name for p in TOP.glob('core/*/CMakeLists.txt'))
SOURCES = sorted(p for place in ('core', 'plugins', 'include') for p in (TOP / place).rglob('*.[ch]'))
LINES_OF_FILE, LINES_OF_FUNCTION = 500, 60


def links(folder: str) -> set[str]:
    """The layers that a folder's CMakeLists.txt links."""
    text = re.sub(r'#.*', '', (TOP / 'core' / folder / 'CMakeLists.txt').read_text())
    call = re.search(r'cofre_library\((.*?)\)', text, re.S)[1]
    return {word for word in call.partition(' LINKS ')[2].split() if word in CORE}


def rows() -> dict[str, set[str]]:
    """The layer map of CONTRIBUTING.md: folder to what it may use."""
    table = re.findall(r'^\| `core/(\w+)/` \|.*?\| ([^|]*) \|$', (TOP / 'CONTRIBUTING.md').read_text(), re.M)
    result: dict[str, set[str]] = {}
    for folder, uses in table:
        above = {*result, 'include'} if 'all above' in uses else set()
        result[folder] = above | {word for word in re.findall(r'\w+', uses) if word in (*CORE, 'include')}
    return result


def includes(path: Path) -> set[str]:
    """The folders of cofre whose headers a file includes."""
    found = re.findall(r'^ *# *include [<"](\w+)/\w+\.h[>"]', path.read_text(), re.M)
    return {'include' if folder == 'cofre' else folder for folder in found if folder in (*CORE, 'cofre')}


def test_the_layer_map_is_what_is_linked():
    map_ = rows()
    assert sorted(map_) == CORE
    for folder in CORE:
        assert links(folder) <= map_[folder], folder
        if folder != 'cli':
            assert links(folder) == map_[folder] - {'include'}, folder


@pytest.mark.parametrize('folder', CORE)
def test_includes_follow_the_layers(folder):
    allowed = rows()[folder] | {folder}
    wrong = [f'{path.relative_to(TOP)}: {used}' for path in sorted((TOP / 'core' / folder).glob('*.[ch]'))
             for used in includes(path) - allowed]
    assert not wrong, '\n'.join(wrong)


def compiles(folder: str, other: str, binary: Path) -> bool:
    """May a file of one layer include a header of the other? As the build calls the compiler for that layer."""
    commands = json.loads((binary.parent / 'compile_commands.json').read_text())
    command = next(c for c in commands if Path(c['file']).parent == TOP / 'core' / folder)
    words = [word for word in shlex.split(command['command']) if word.startswith(('-I', '-D', '-isystem')) or word.startswith('/usr')]
    header = next(iter(sorted((TOP / 'core' / other).glob('*.h'))))
    return subprocess.run(['cc', '-fsyntax-only', '-x', 'c', *words[1:], '-'], input=f'#include "{other}/{header.name}"\n', text=True,
                          capture_output=True, cwd=command['directory'], check=False).returncode == 0


def below(folder: str) -> set[str]:
    """All layers that it links, and those that they link."""
    direct = links(folder)
    return direct.union(*(below(other) for other in direct))


@pytest.mark.parametrize('folder', [folder for folder in CORE if folder != 'cli'])
def test_an_upward_include_does_not_compile(folder, binary):
    allowed = {folder} | below(folder)
    assert {other for other in CORE if compiles(folder, other, binary)} == allowed


def test_plugins_use_the_public_header_alone():
    wrong = [str(path.relative_to(TOP)) for path in SOURCES if path.is_relative_to(TOP / 'plugins') and includes(path) - {'include'}]
    assert not wrong, wrong
    assert not includes(TOP / 'include/cofre/plugin.h')


def test_threads_are_made_in_flow_only():
    wrong = [str(path.relative_to(TOP)) for path in SOURCES if path.is_relative_to(TOP / 'core')
             and re.search(r'\bpthread_create\b|\bthrd_create\b', path.read_text()) and path.parent.name != 'flow']
    assert not wrong, wrong


def test_every_call_names_its_room(binary):
    """foo.c exports only foo and foo_*; foo_bar.c may also hold a part of foo.h."""
    wrong = []
    archives = [path for path in sorted((binary.parent / 'core').glob('*/*.a')) if path.stem == f'lib{path.parent.name}']
    assert len(archives) >= len(CORE) - 1
    for archive in archives:
        listing = subprocess.run(['nm', '-A', '--defined-only', '--extern-only', archive], capture_output=True, text=True,
                                 check=True).stdout
        for file, symbol in re.findall(r':(\w+)\.c\.o:[0-9a-f]+ [A-Z] (\w+)$', listing, re.M):
            parts = file.split('_')
            rooms = {file} | {room for n in range(1, len(parts)) if (archive.parent.name, room := '_'.join(parts[:n]))
                              and (TOP / 'core' / archive.parent.name / f'{room}.h').exists()}
            if symbol not in rooms and not symbol.startswith(('__', *(f'{room}_' for room in rooms))):
                wrong.append(f'core/{archive.parent.name}/{file}.c: {symbol}')
    assert not wrong, '\n'.join(wrong)


def dictionary() -> tuple[set[str], set[str]]:
    """The pictures and the plain terms of CONTRIBUTING.md."""
    text = (TOP / 'CONTRIBUTING.md').read_text()
    text = text[text.index('## The dictionary'):text.index('## How the code is written')]
    pictures = {word for row in re.findall(r'^\| ([a-z, ]+) \| ', text, re.M)[1:] for word in row.split(', ')}
    return pictures, set(re.findall(r'`([a-z]+)`', text.partition('need no table:')[2]))


def test_the_names_of_files_are_in_the_dictionary():
    pictures, plain = dictionary()
    used = {word for path in (TOP / 'core').glob('*/*.h') for word in path.stem.split('_')}
    assert used - pictures - plain == set(), 'say in CONTRIBUTING.md what it stands for, or use the field\'s own word'
    assert (pictures | plain) - used == set(), 'of no file any more'


def test_no_two_rooms_have_one_name():
    names = [path.name for path in (TOP / 'core').glob('*/*.h')]
    assert sorted(names) == sorted(set(names))


def test_files_are_short():
    # plugin.h is one file, to be read from top to bottom.
    long = [f'{path.relative_to(TOP)}: {count}' for path in SOURCES
            if (count := len(path.read_text().splitlines())) > LINES_OF_FILE and path.name != 'plugin.h']
    assert not long, '\n'.join(long)


def test_functions_are_short():
    tags = subprocess.run(['ctags', '--languages=C', '--langmap=C:.c.h', '--c-kinds=f', '--fields=ne', '--excmd=number', '-f', '-',
                           *SOURCES], capture_output=True, text=True, check=True).stdout
    found = re.findall(r'^(\w+)\t(\S+)\t\d+;".*line:(\d+).*end:(\d+)', tags, re.M)
    assert len(found) > 500
    long = [f'{Path(file).relative_to(TOP)}: {name}: {lines}' for name, file, start, end in found
            if (lines := int(end) - int(start) + 1) > LINES_OF_FUNCTION]
    assert not long, '\n'.join(long)


def test_lines_are_at_most_120_columns():
    wide = [f'{path.relative_to(TOP)}:{number}' for path in SOURCES
            for number, line in enumerate(path.read_text().splitlines(), 1) if len(line) > 120 or '\t' in line]
    assert not wide, '\n'.join(wide)


def test_files_of_our_own_are_opened_by_one_room():
    """core/base/file.h refuses links, FIFOs and what belongs to others; a log file is what the operator named."""
    allowed = {'core/base/file_temporary.c', 'core/cli/run_log.c'}
    found = {str(path.relative_to(TOP)) for path in (TOP / 'core').rglob('*.c')
             if re.search(r'\b(?:open|openat)\([^;]*O_CREAT|\bfopen\([^;]*"[wa]', path.read_text())}
    assert found == allowed


def test_what_does_not_come_into_json_is_noticed():
    """Short of memory it would be left out, and nobody would know."""
    ignored = re.compile(r'[;{})]\s*(?:\(void\)\s*)?(json_(?:array_append|object_set)(?:_new)?)\(')
    found = [f'{path.relative_to(TOP)}: {call}' for root in ('core', 'plugins') for path in (TOP / root).rglob('*.c')
             for call in ignored.findall(re.sub(r'/\*.*?\*/', '', path.read_text(), flags=re.S))]
    assert not found, '\n'.join(found)
