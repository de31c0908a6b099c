"""What compiler and linker did for the program and each plugin, read from the files; and that no type of build does without it."""
import json
import os
import platform
import re
import shutil
import subprocess
from pathlib import Path

import pytest

TOP = Path(__file__).resolve().parents[2]
SANITIZED = (b'__asan_init', b'__tsan_init')


def readelf(option: str, path: Path) -> str:
    return subprocess.run(['readelf', '-W', option, path], check=True, capture_output=True, text=True, env={'LC_ALL': 'C', 'PATH': '/usr/bin'}).stdout


def built(binary: Path) -> list[Path]:
    return [binary, binary.with_name('cofre-worker'), *sorted((binary.parent / 'plugins').glob('*.so'))]


def begins_protected() -> bool:
    """The note is in a program when every object that is linked into it has one. The C library's own beginning (crti.o) has none in
    Debian, which loses it there: then that of each object of ours is looked at."""
    crti = subprocess.run(['cc', '-print-file-name=crti.o'], check=True, capture_output=True, text=True).stdout.strip()
    return 'IBT' in readelf('-n', Path(crti))


@pytest.mark.skipif(platform.machine() != 'x86_64', reason='of x86_64')
def test_every_object_has_control_flow_protection(binary):
    if any(name in binary.read_bytes() for name in SANITIZED):
        pytest.skip('a build with sanitizers')
    objects = [path for place in ('core', 'plugins') for path in (binary.parent / place).rglob('*.o')]
    assert len(objects) > 200
    done = subprocess.run(['readelf', '-Wn', *objects], check=True, capture_output=True, text=True, env={'LC_ALL': 'C', 'PATH': '/usr/bin'})
    without = [part.split('\n')[0] for part in done.stdout.split('File: ')[1:] if 'IBT, SHSTK' not in part]
    assert not without, 'objects without it: ' + ', '.join(without)
    code = subprocess.run(['objdump', '-d', '--no-show-raw-insn', binary.parent / 'plugins' / 'local.so'], check=True, capture_output=True,
                          text=True).stdout
    assert re.search(r'<cofre_plugin_v1>:\n.*endbr64', code)


def test_program_and_plugins(binary):
    paths = built(binary)
    assert len(paths) > 5
    checked = {}
    for path in paths:
        if any(name in path.read_bytes() for name in SANITIZED):
            pytest.skip('a build with sanitizers')
        headers, dynamic, symbols = readelf('-l', path), readelf('-d', path), readelf('--dyn-syms', path)
        assert 'Elf file type is DYN' in headers, f'{path}: not position independent'
        assert 'GNU_RELRO' in headers and re.search(r'FLAGS.*NOW', dynamic), f'{path}: symbols stay writable'
        assert re.search(r'GNU_STACK.* RW +0x', headers), f'{path}: the stack can be executed'
        segments = [line.split() for line in headers.splitlines() if line.strip().startswith('LOAD')]
        assert not any('W' in ''.join(s[6:-1]) and 'E' in ''.join(s[6:-1]) for s in segments), f'{path}: code can be written'
        code = [s for s in segments if 'E' in ''.join(s[6:-1])]
        assert code and all(int(s[1], 16) % 4096 == 0 for s in code), f'{path}: code shares its pages'
        assert '__stack_chk_fail' in symbols, f'{path}: no stack protector'
        checked[path.name] = len(set(re.findall(r'__\w+_chk\b', symbols)))
        if platform.machine() == 'x86_64' and begins_protected():
            notes = readelf('-n', path)
            assert 'IBT' in notes and 'SHSTK' in notes, f'{path}: no note of control-flow protection'
    assert all(count > 0 for count in checked.values()) and checked[binary.name] > 5, f'calls that are not checked: {checked}'


def commands(place: Path, *options: str) -> str:
    """How a file of cofre and one of a plugin would be compiled."""
    done = subprocess.run(['cmake', '-G', 'Ninja', '-S', TOP, '-B', place, *options], check=False, capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, done.stdout + done.stderr
    listed = json.loads((place / 'compile_commands.json').read_text())
    found = [c['command'] for c in listed if c['file'].endswith(('core/base/text.c', 'plugins/local/place.c'))]
    assert len(found) == 2
    return found


def level(command: str) -> list[str]:
    return re.findall(r'-[DU]_FORTIFY_SOURCE\S*', command)


@pytest.mark.parametrize('options', [
    ['-DCMAKE_BUILD_TYPE=None', '-DCMAKE_C_FLAGS=-g -O2 -Wp,-D_FORTIFY_SOURCE=2'],
    ['-DCMAKE_BUILD_TYPE=RelWithDebInfo'],
    ['-DCMAKE_BUILD_TYPE=Debug'],
], ids=lambda options: options[0].partition('=')[2])
def test_every_optimised_build(tmp_path, options):
    for command in commands(tmp_path, *options):
        assert level(command) == ([] if 'Debug' in options[0] else ['-U_FORTIFY_SOURCE', '-D_FORTIFY_SOURCE=3'])
        assert '-fstack-clash-protection' in command and '-ftrivial-auto-var-init=zero' in command


@pytest.fixture
def blake3(tmp_path):
    """A copy of the source that the build takes."""
    source = sorted(Path('/usr/share/cargo/registry').glob('blake3-*'))
    if subprocess.run(['pkg-config', '--exists', 'libblake3'], check=False).returncode == 0 or not source:
        pytest.skip('the library is there')
    return Path(shutil.copytree(source[0], tmp_path / 'registry' / source[0].name, ignore=shutil.ignore_patterns('media', 'benches')))


@pytest.mark.parametrize('change, said', [('file', 'somebody changed it'), ('version', 'blake3-9.9.9')])
def test_another_blake3_is_refused(blake3, tmp_path, change, said):
    if change == 'file':
        with open(blake3 / 'c' / 'blake3_portable.c', 'a', encoding='ascii') as file:
            file.write('\n')
    else:
        os.rename(blake3, blake3.parent / 'blake3-9.9.9')
    done = subprocess.run(['cmake', '-G', 'Ninja', '-S', TOP, '-B', tmp_path / 'build', f'-DCOFRE_BLAKE3_ROOT={blake3.parent}'],
                          check=False, capture_output=True, text=True, timeout=300)
    assert done.returncode != 0 and said in ' '.join(done.stderr.split())
