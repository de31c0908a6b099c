"""Several environments on one machine: env_file, defaults, variables that are not needed, state of their own."""
import re
import shutil
from pathlib import Path

import pytest

from support.cli import BAD_CONFIG, CLEAN, execute
from support.tree import plain_tree


@pytest.fixture
def made(world, tmp_path):
    world.env = tmp_path / 'env'
    world.section('engine', state_dir=world.base / 'state', cache_dir=world.base / 'cache', host='testhost', env_file=world.env)
    write(world, '')
    return world.simple(plain_tree(tmp_path / 'tree', files=2))


def write(world, text: str, mode: int = 0o600) -> None:
    world.env.write_text(text)
    world.env.chmod(mode)


LINES = {
    'plain': ('WHERE=@', '@'), 'blanks': ('  WHERE = @  ', '@'), 'comment': ('# x\n\nWHERE=@ # there\n', '@'),
    'export': ('export WHERE=@', '@'), 'single': ("WHERE='@' # x", '@'), 'double': ('WHERE="@"', '@'),
    'windows': ('\ufeffWHERE=@\r\nOTHER=x\r\n', '@'), 'the last counts': ('WHERE=/nowhere\nWHERE=@', '@'),
    'literal': ("WHERE='@/a $b #c'", '@/a $b #c'), 'escapes': (r'WHERE="@/a\$b\"c\\d"', r'@/a$b"c\d'),
    'number sign': ('WHERE=@/a#b', '@/a#b'),
}


@pytest.mark.parametrize('name', LINES)
def test_lines(made, tmp_path, name):
    line, path = (text.replace('@', str(tmp_path / 'place')) for text in LINES[name])
    Path(path).mkdir(parents=True)
    write(made, line)
    made.section('source tree', plugin='directory', path='${WHERE}')
    made.ok('run', 'job')


@pytest.mark.parametrize('text, words', [('WHERE', 'env:1'), ('A=1\n=x', 'env:2'), ("A='x", 'env:1'), ('A="x\ny"', 'env:1'),
                                         ('1A=x', 'env:1'), ('WHERE=$HOME/x', "'single quotes'")])
def test_lines_that_are_wrong(made, text, words):
    write(made, text + '\n')
    made.section('source tree', plugin='directory', path='${WHERE}')
    result = made.fails(BAD_CONFIG, 'check', '--offline')
    assert words in result.err and '=x' not in result.err, result


def test_the_environment_of_the_process_comes_first(made, tmp_path):
    write(made, 'WHERE=/nowhere\nKIND=directory\n')
    made.section('source tree', plugin='${KIND}', path='${WHERE}')
    made.ok('run', 'job', env=CLEAN | {'WHERE': str(tmp_path / 'tree')})


def test_defaults(made, tmp_path):
    made.section('source tree', plugin='directory', path='${WHERE:-' + str(tmp_path / 'tree') + '}', exclude='${SKIP:-}')
    made.ok('run', 'job')
    write(made, 'WHERE=/nowhere\n')
    made.fails(1, 'run', 'job')


def test_a_file_that_others_can_touch(made, tmp_path):
    made.section('sink away', plugin='local', path=tmp_path / 'away', format='archive', passphrase='@env:PASS')
    made.section('sink box', plugin='local', path=tmp_path / 'box', format='archive', passphrase='${PASS}')
    write(made, 'PASS=hunter7\n', 0o666)
    assert 'chmod' in made.fails(BAD_CONFIG, 'list').err
    write(made, 'PASS=hunter7\n', 0o644)
    for sink in ('away', 'box'):
        result = made.fails(BAD_CONFIG, 'init', sink)
        assert 'others can read' in result.err and 'hunter7' not in result.err, result
    write(made, 'PASS=hunter7\n')
    for sink in ('away', 'box'):
        made.ok('init', sink)
    made.env.unlink()
    assert str(made.env) in made.fails(BAD_CONFIG, 'list').err


def test_what_is_not_used_may_lack_its_variables(made, tmp_path):
    """A restore on the day when the database's host is not known needs neither its address nor its password."""
    made.ok('run', 'job')
    made.section('source gym', plugin='postgres', host='${GYM_HOST}', password='@env:GYM_PASSWORD')
    made.section('source tree', plugin='directory', path='${TREE}')
    made.section('sink away', plugin='local', path=tmp_path / 'away', key='${AWAY_KEY}')
    made.job('job2', 'gym', 'away')
    for words in (('list', 'job'), ('show', 'job'), ('ls', 'job'), ('restore', 'job', '--into', tmp_path / 'into'), ('verify', 'job')):
        made.ok(*words)
    for words, missing in ((('run', 'job2'), 'GYM_HOST'), (('run', 'job'), 'TREE'), (('init', 'away'), 'AWAY_KEY'),
                           (('list', '--sink', 'away'), 'AWAY_KEY'), (('check', '--offline', 'away'), 'AWAY_KEY'),
                           (('restore', 'job', '--in-place', '--yes'), 'TREE')):
        result = made.fails(BAD_CONFIG, *words)
        assert f"'{missing}' is not set" in result.err and '.conf:' in result.err, result
    result = made.fails(BAD_CONFIG, 'check', '--offline')
    assert all(name in result.err for name in ('GYM_HOST', 'TREE', 'AWAY_KEY')), result
    made.section('job job2', sources='${NOTHING}', sinks='disk')
    made.fails(BAD_CONFIG, 'list', 'job')


def test_each_configuration_has_a_state_of_its_own(world, tmp_path):
    """The same names in two directories, as one machine has them for two environments; and the system's own."""
    world.write('engine.conf', '[engine]\nhost = testhost\n')
    world.source('tree', plain_tree(tmp_path / 'tree', files=2))
    world.sink(encryption='none')
    world.job()
    script = ['for place in /var/lib /var/cache /etc; do mount -t tmpfs none $place || exit 99; done', 'mkdir /etc/cofre']
    for name in ('staging', 'testing'):
        shutil.copytree(world.conf, tmp_path / name / 'conf.d')
        script.append(f'"$0" --config-dir {tmp_path}/{name}/conf.d run job')
    script += [f'cp -r {world.conf} /etc/cofre/conf.d', '"$0" run job', 'find /var/lib/cofre /var/cache/cofre -mindepth 1 -maxdepth 2 -type d']
    world.ok('init', 'disk', prefix=('unshare', '-m', 'sh', '-c', script[0] + ' && exec "$0" "$@"'))
    result = execute(['unshare', '-m', 'sh', '-e', '-c', '\n'.join(script), world.binary])
    assert result.status == 0, result
    for place in ('/var/lib/cofre', '/var/cache/cofre'):
        for name in ('staging', 'testing'):
            assert len(re.findall(f'^{place}/by-config/{name}-[0-9a-f]{{16}}$', result.out, re.M)) == 1, result
    assert '/var/lib/cofre/jobs/job' in result.out, result
