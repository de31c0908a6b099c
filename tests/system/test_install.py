"""What `cmake --install` puts into a prefix works from there, also after the prefix was moved."""
import os
import re
import shutil
import subprocess
from contextlib import suppress
from pathlib import Path

import pytest

from support.cli import without_leak_detection
from support.wait import wait_until

TOP = Path(__file__).resolve().parents[2]
GUIDE = (TOP / 'docs/plugin-guide.md').read_text()
CLEAN = {'PATH': '/usr/sbin:/usr/bin:/sbin:/bin', 'HOME': '/nonexistent', 'LC_ALL': 'C.UTF-8'}
CLEAN |= {name: value for name, value in os.environ.items() if name.endswith('SAN_OPTIONS')}

PLUGINS = sorted(path.parent.name for path in TOP.glob('plugins/*/CMakeLists.txt') if path.parent.name != 'common')
LAYOUT = {
    'bin/cofre', 'lib/cofre/cofre-worker', *(f'lib/cofre/plugins/{name}.so' for name in PLUGINS), 'include/cofre/plugin.h',
    'share/man/man8/cofre.8', 'share/bash-completion/completions/cofre', 'share/pkgconfig/cofre.pc',
    'share/cmake/cofre/cofre-config.cmake', 'share/cmake/cofre/cofre-config-version.cmake',
    'share/cmake/cofre/cofre-targets.cmake', 'share/doc/cofre/containers.md', 'share/doc/cofre/format.md',
    'share/doc/cofre/plugin-guide.md',
    *(f'lib/systemd/system/{name}' for name in ('cofre-due.service', 'cofre-due.timer', 'cofre-daemon.service')),
    'share/doc/cofre/examples/cofre.cron', 'share/doc/cofre/examples/compose.yaml',
    'share/doc/cofre/examples/grafana-dashboard.json', 'share/doc/cofre/examples/prometheus-alerts.yml',
    'share/doc/cofre/decoder.py', 'share/doc/cofre/LICENSE',
    *(f'share/doc/cofre/examples/conf.d/{p.name}' for p in (TOP / 'conf.d').glob('*.conf')),
}


def run(*words, status=0, **options):
    done = subprocess.run([str(word) for word in words], capture_output=True, text=True, timeout=120, check=False,
                          **({'env': CLEAN} | options))
    assert done.returncode == status, f'{words}\nstatus {done.returncode}\n{done.stdout}{done.stderr}'
    return done


def block(start: str, kind: str) -> str:
    """The first block of this kind in the guide behind start."""
    return re.search(rf'^```{kind}\n(.*?)^```$', GUIDE[GUIDE.index(start):], re.M | re.S)[1]


@pytest.fixture(scope='module')
def prefix(binary, tmp_path_factory):
    base = tmp_path_factory.mktemp('install')
    run('cmake', '--install', binary.parent, '--prefix', base / 'first')
    (base / 'first').rename(base / 'prefix')
    return base / 'prefix'


@pytest.fixture(scope='module')
def note(prefix, tmp_path_factory):
    """The guide's plugin, built with its command, in a directory of its own."""
    place = tmp_path_factory.mktemp('note')
    place.chmod(0o755)
    (place / 'note.c').write_text(block('## A whole source', 'c'))
    command = block('## Build it', 'console').strip()
    run('sh', '-ec', f'cd {place}\n{command} -Werror', env=CLEAN | {'PKG_CONFIG_PATH': f'{prefix}/share/pkgconfig'})
    return place


def configured(directory: Path, *plugin_dirs: Path) -> Path:
    """A configuration that knows the guide's source and these plugin directories."""
    conf = directory / 'conf.d'
    conf.mkdir(mode=0o700)
    text = re.sub(r'^plugin_dir = .*$', 'plugin_dir = ' + ', '.join(map(str, plugin_dirs)), block('## Try it', 'ini'), flags=re.M)
    text = text.replace('[engine]\n', f'[engine]\nstate_dir = {directory}/state\ncache_dir = {directory}/cache\n')
    text = text.replace('/tmp/note.txt', f'{directory}/note.txt')
    text += (f'\n[sink disk]\nplugin = local\npath = {directory}/repository\nencryption = none\n'
             '\n[job notes]\nsources = greeting\nsinks = disk\n')
    (conf / 'note.conf').write_text(text)
    return conf


def test_the_notifier_of_the_guide(prefix, tmp_path):
    """Built as the source is, it rings."""
    tmp_path.chmod(0o755)
    (tmp_path / 'beep.c').write_text(block('## A whole notifier', 'c'))
    command = block('## Build it', 'console').strip().replace('note', 'beep')
    run('sh', '-ec', f'cd {tmp_path}\n{command} -Werror', env=CLEAN | {'PKG_CONFIG_PATH': f'{prefix}/share/pkgconfig'})
    bell, conf = tmp_path / 'bell', configured(tmp_path, tmp_path, prefix / 'lib/cofre/plugins')
    bell.touch()
    (conf / 'note.conf').write_text(f'[engine]\nplugin_dir = {tmp_path}\nstate_dir = {tmp_path}/state\ncache_dir = {tmp_path}/cache\n'
                                    f'[notify bell]\nplugin = beep\nterminal = {bell}\n')
    run(prefix / 'bin/cofre', '--config-dir', conf, 'check')
    run(prefix / 'bin/cofre', '--config-dir', conf, 'notify', 'test', 'bell')
    assert bell.read_text() == ''  # good news
    assert 'rings a bell' in run(prefix / 'bin/cofre', '--config-dir', conf, 'plugin', 'list').stdout


def test_layout(prefix):
    assert {str(p.relative_to(prefix)) for p in prefix.rglob('*') if p.is_file()} == LAYOUT
    for path in prefix.rglob('*'):
        assert path.stat().st_mode & 0o022 == 0, path


def test_staged_with_destdir(binary, tmp_path):
    run('cmake', '--install', binary.parent, env=CLEAN | {'DESTDIR': str(tmp_path)})
    found = [p for p in tmp_path.rglob('*.so')]
    assert found and all(p.parent.parts[-3:] == ('lib', 'cofre', 'plugins') for p in found)


def test_finds_its_plugins_without_a_configuration(prefix):
    listing = run(prefix / 'bin/cofre', 'plugin', 'list').stdout
    for name in PLUGINS:
        assert f'{prefix}/lib/cofre/plugins/{name}.so' in listing, listing
        assert 'required' in run(prefix / 'bin/cofre', 'plugin', 'describe', name).stdout


def open_files(pid: int) -> set[str]:
    found = set()
    for path in Path('/proc', str(pid), 'fd').iterdir():
        with suppress(FileNotFoundError):  # closed meanwhile
            found.add(os.readlink(path))
    return found


def test_a_command_goes_on_while_another_build_is_installed(prefix, note, tmp_path):
    """Whatever comes in its place meanwhile, or does not, a command's workers are of its own build. The next one says what is missing."""
    worker, kept = prefix / 'lib/cofre/cofre-worker', tmp_path / 'kept'
    cofre = [prefix / 'bin/cofre', '--config-dir', configured(tmp_path, note, prefix / 'lib/cofre/plugins')]
    run(*cofre, 'init', 'disk')
    shutil.copy2(worker, kept)
    # Each worker starts late. The tracer is the child here.
    trace = ['strace', '-D', '-f', '-qq', '-o', tmp_path / 'trace', '-e', 'inject=execveat:delay_enter=700000']
    with subprocess.Popen([*trace, *cofre, 'run', 'notes'], env=without_leak_detection(CLEAN), stderr=subprocess.PIPE, text=True) as engine:
        wait_until(lambda: str(worker) in open_files(engine.pid), 'the first worker')
        worker.unlink()
        said = engine.communicate(timeout=120)[1]
    assert engine.returncode == 0 and (tmp_path / 'trace').read_text().count('"cofre", "worker"') >= 2, said
    refused = run(*cofre, 'plugin', 'describe', 'note', status=1)
    assert "cofre/cofre-worker', in which plugins run: No such file" in refused.stderr and 'install all of it' in refused.stderr
    shutil.copy2(kept, worker)
    assert 'cofre starts it' in run(worker, status=2).stderr


def test_needs_only_system_libraries(prefix):
    for path in (prefix / 'bin/cofre', prefix / 'lib/cofre/cofre-worker', *prefix.rglob('*.so')):
        dynamic = run('readelf', '-d', path).stdout
        assert 'RPATH' not in dynamic and 'RUNPATH' not in dynamic, path


def test_manual_renders_without_warnings(prefix):
    page = prefix / 'share/man/man8/cofre.8'
    done = run('man', '--warnings', '-l', page, env=CLEAN | {'MANWIDTH': '80', 'MANROFFSEQ': ''})
    assert done.stderr == '' and 'EXIT STATUS' in done.stdout, done.stderr
    assert run('groff', '-man', '-Tutf8', '-ww', '-z', page).stderr == ''


def test_completion(prefix):
    script = f'''
        . {prefix}/share/bash-completion/completions/cofre
        complete_words() {{ COMP_WORDS=("$@"); COMP_CWORD=$(($# - 1)); _cofre; echo "${{COMPREPLY[@]}}"; }}
        export COFRE_CONFIG_DIR={TOP}/conf.d
        complete_words cofre res
        complete_words cofre run ho
        complete_words cofre init na
        complete_words cofre restore homes --in
        complete_words cofre key pu
        complete_words cofre list --sink dis
    '''
    lines = run('bash', '-c', script).stdout.splitlines()
    assert lines == ['restore', 'homes homes-to-ceph', 'nas', '--in-process --into --in-place', 'put', 'disk']


def test_completion_knows_every_command_and_option(prefix):
    cofre = prefix / 'bin/cofre'
    completion = (prefix / 'share/bash-completion/completions/cofre').read_text()
    completed = re.search(r"^    ''\) echo '(.*)' ;;$", completion, re.M)[1].split()
    listing = run(cofre, '--help').stdout
    commands = re.findall(r'^  (\w+) ', re.search(r'^Commands:\n(.*?)\n\n', listing, re.M | re.S)[1], re.M)
    assert completed == [word for word in commands if word != 'help'] + ['help']
    for command in commands:
        if command != 'help':
            options = re.findall(r'^ +(?:-\w, )?(--[\w-]+)', run(cofre, command, '--help').stdout, re.M)
            line = re.search(rf"^    (?:[\w |]*\| )?{command}(?: \|[\w |]*)?\) echo '(--[^']*)'", completion, re.M)
            assert set(options) == set(line[1].split() if line else []), command


def test_the_plugin_of_the_guide(prefix, note, tmp_path):
    """Describe, check, save, restore: all that the guide promises."""
    cofre = [prefix / 'bin/cofre', '--config-dir', configured(tmp_path, note, prefix / 'lib/cofre/plugins')]
    assert 'note' in run(*cofre, 'plugin', 'list').stdout
    described = run(*cofre, 'plugin', 'describe', 'note').stdout
    assert 'the text that is saved' in described and '--set at restore' in described
    run(*cofre, 'check', 'greeting')
    run(*cofre, 'init', 'disk')
    run(*cofre, 'run', 'notes')
    assert run(*cofre, 'cat', 'notes', 'greeting:note.txt').stdout == 'hello'
    run(*cofre, 'restore', 'notes', '--in-place', '--yes')
    assert (tmp_path / 'note.txt').read_text() == 'hello'
    run(*cofre, 'restore', 'notes', '--into', tmp_path / 'into')
    assert (tmp_path / 'into/greeting/note.txt').read_text() == 'hello'
    run(*cofre, 'restore', 'notes', '--in-place', '--yes', '--set', f'file={tmp_path}/other.txt')
    assert (tmp_path / 'other.txt').read_text() == 'hello'
    run(*cofre, 'restore', 'notes', '--in-place', '--yes', '--set', 'text=x', status=2)
    # A plugin that does not say whether it replaces what is there needs --in-place.
    refused = run(*cofre, 'restore', 'notes', 'greeting', '--set', f'file={tmp_path}/third.txt', status=2)
    assert '--in-place' in refused.stderr and not (tmp_path / 'third.txt').exists()


# Members in the order of the header: C++11 has no designated initialisers.
CPLUSPLUS = '''#include <cofre/plugin.h>
struct conf { const char *path; int64_t number; };
static const struct cofre_option rows[] = {
    COFRE_OPTION(conf, path, PATH, COFRE_O_REQUIRED, NULL, "a path"),
    COFRE_OPTION_RANGE(conf, number, INTEGER, 0, "1", 0, 9, "a number"),
};
static int32_t do_open(struct cofre_call *, const void *, void **, struct cofre_error *) { return COFRE_OK; }
static void do_close(void *) {}
static int32_t do_check(void *, struct cofre_call *, int32_t depth, struct cofre_error *error)
{
    return cofre_unknown(error, "check", "depth", (uint32_t)depth);
}
static int32_t run(void *, struct cofre_call *call, struct cofre_error *error)
{
    int64_t sent;
    return COFRE_HAS(cofre, pause) ? cofre_send_fd(call, 0, -1, &sent, "read", error) : COFRE_OK;
}
static const struct cofre_source source = {sizeof source, 0, COFRE_SOURCE_RECORDED, do_open, do_close, do_check, NULL, run, run,
                                           NULL, NULL, NULL, NULL, NULL, NULL, NULL};
static const struct cofre_plugin plugin = {sizeof plugin, COFRE_API_LEVEL, COFRE_API_LEVEL, 0, "cplusplus", "1", "", "0BSD", "",
                                           COFRE_OPTIONS(conf, rows), &source, NULL, NULL, NULL, NULL};
COFRE_PLUGIN(plugin)
'''


def test_a_plugin_in_cplusplus(prefix, tmp_path):
    tmp_path.chmod(0o755)
    (tmp_path / 'plugin.cc').write_text(CPLUSPLUS)
    run('c++', '-std=c++11', '-Wall', '-Wextra', '-Wpedantic', '-Werror', '-shared', '-fPIC', '-Wl,-z,defs', f'-I{prefix}/include',
        '-o', tmp_path / 'cplusplus.so', tmp_path / 'plugin.cc')
    conf = configured(tmp_path, tmp_path, prefix / 'lib/cofre/plugins')
    assert 'a number' in run(prefix / 'bin/cofre', '--config-dir', conf, 'plugin', 'describe', 'cplusplus').stdout


@pytest.mark.parametrize('standard', ['c99', 'c11', 'gnu17'])
def test_the_plugin_of_the_guide_in_any_standard(prefix, note, standard):
    """The guide promises C99, without extensions; and the header C++11."""
    warnings = ['-Wall', '-Wextra', '-Wpedantic', '-Werror', '-fsyntax-only', f'-I{prefix}/include']
    run('cc', f'-std={standard}', *warnings, note / 'note.c')
    (note / 'empty.cc').write_text('#include <cofre/plugin.h>\n')
    run('c++', '-std=c++11', *warnings, note / 'empty.cc')


def test_find_package(prefix, note, tmp_path):
    text = 'cmake_minimum_required(VERSION 3.25)\nproject(note C)\n' + block('or with CMake', 'cmake')
    (tmp_path / 'CMakeLists.txt').write_text(text)
    shutil.copy(note / 'note.c', tmp_path)
    run('cmake', '-G', 'Ninja', '-S', tmp_path, '-B', tmp_path / 'build', f'-DCMAKE_PREFIX_PATH={prefix}')
    run('cmake', '--build', tmp_path / 'build')
    run('cmake', '--install', tmp_path / 'build')
    try:
        assert 'the text that is saved' in run(prefix / 'bin/cofre', 'plugin', 'describe', 'note').stdout
    finally:
        (prefix / 'lib/cofre/plugins/note.so').unlink()


def test_plugins_that_others_can_write_are_refused(prefix, note, tmp_path):
    place = tmp_path / 'plugins'
    place.mkdir(mode=0o755)
    shutil.copy(note / 'note.so', place)
    cofre = [prefix / 'bin/cofre', '--config-dir', configured(tmp_path, place)]
    for path, mode in ((place / 'note.so', 0o777), (place, 0o777)):
        before = path.stat().st_mode & 0o7777
        path.chmod(mode)
        for words in (('plugin', 'describe', 'note'), ('check', '--offline', 'greeting')):
            done = subprocess.run([*cofre, *words], env=CLEAN, capture_output=True, text=True, check=False)
            assert done.returncode != 0 and str(path) in done.stderr and 'chmod' in done.stderr, done
        path.chmod(before)
    run(*cofre, 'plugin', 'describe', 'note')
    if os.geteuid() == 0:
        os.chown(place / 'note.so', 65534, 65534)
        run(*cofre, 'plugin', 'describe', 'note', status=1)
