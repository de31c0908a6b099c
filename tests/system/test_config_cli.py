"""The configuration is strict, the command line explains itself, statuses are those of the manual."""
import json
import os
import subprocess

import pytest

from support.cli import BAD_CONFIG, CLEAN, NO_REPOSITORY, USAGE, WRONG_KEY, execute
from support.tree import plain_tree


@pytest.fixture
def made(world, tmp_path):
    return world.simple(plain_tree(tmp_path / 'tree', files=8))


BAD = {
    'unknown section': ('[bucket x]\npath = /x\n', ['bucket']),
    'unknown key of the engine': ('[engine]\nstate_dri = /x\n', ['state_dri', 'state_dir']),
    'unknown key of a job': ('[job x]\nsources = tree\nsink = disk\n', ['sink', 'sinks']),
    'unknown key of a plugin': ('[source x]\nplugin = directory\npaht = /x\n', ['paht', 'path']),
    'unknown plugin': ('[source x]\nplugin = directroy\npath = /x\n', ['directroy']),
    'no plugin': ('[source x]\npath = /x\n', ['plugin']),
    'required option missing': ('[source x]\nplugin = directory\n', ['path']),
    'a sink as a source': ('[source x]\nplugin = local\npath = /x\n', ['local']),
    'dangling source': ('[job x]\nsources = tre\nsinks = disk\n', ['tre', 'tree']),
    'dangling sink': ('[job x]\nsources = tree\nsinks = dsik\n', ['dsik', 'disk']),
    'job without sinks': ('[job x]\nsources = tree\n', ['sinks']),
    'duplicate section': ('[source tree]\nplugin = directory\npath = /x\n', ['tree']),
    'duplicate key': ('[source x]\nplugin = directory\npath = /x\npath = /y\n', ['path']),
    'bad name': ('[source Upper Case]\nplugin = directory\npath = /x\n', ['NAME']),
    'relative path': ('[source x]\nplugin = directory\npath = x/y\n', ['x/y']),
    'bare m': ('[job x]\nsources = tree\nsinks = disk\nmax_age = 5m\n', ['5m', 'min']),
    'bad number': ('[job x]\nsources = tree\nsinks = disk\nkeep_daily = seven\n', ['seven']),
    'bad boolean': ('[sink x]\nplugin = local\npath = /x\nkey = /k\ntrust_hosts = maybe\n', ['maybe']),
    'log without file:': ('[engine]\nlog = /var/log/cofre.log\n', ['log', 'file:']),
    'log with a relative path': ('[engine]\nlog = file:cofre.log\n', ['log', 'absolute']),
    'undefined variable': ('[source x]\nplugin = directory\npath = ${COFRE_TEST_UNDEFINED}\n', ['COFRE_TEST_UNDEFINED']),
    'no equals sign': ('[source x]\nplugin = directory\nthis is not a key\n', ['3']),
    'sink without key': ('[sink x]\nplugin = local\npath = /x\n', ['key']),
    'bad encryption': ('[sink x]\nplugin = local\npath = /x\nencryption = rot13\n', ['rot13']),
    'override of an unknown sink': ('[job job on nowhere]\nkeep_daily = 3\n', ['nowhere']),
    'line too long': ('[source x]\nplugin = directory\nexclude = ' + 'a' * 250_000 + '\n', ['3']),
}


# What only the plugin's table of options tells, and so only a command that asks the plugin; and what only who uses it needs.
PLUGIN_LEVEL = {'unknown key of a plugin', 'unknown plugin', 'required option missing', 'a sink as a source', 'relative path',
                'undefined variable'}


@pytest.mark.parametrize('name', BAD)
def test_bad_configuration(made, name):
    text, words = BAD[name]
    if text.startswith('[engine]'):
        (made.conf / 'engine.conf').unlink()
    made.write('zz.conf', text)
    for command in [('check', '--offline')] if name in PLUGIN_LEVEL else [('check', '--offline'), ('run', 'job')]:
        result = made.fails(BAD_CONFIG, *command)
        assert 'zz.conf:' in result.text, result
        for word in words:
            assert word in result.text, result


def test_nothing_runs_with_a_bad_configuration(made):
    made.write('zz.conf', '[job x]\nnonsense = 1\n')
    made.fails(BAD_CONFIG, 'run', 'job')
    (made.conf / 'zz.conf').unlink()
    assert made.snapshots() == []


@pytest.mark.sample
def test_long_lines_work(made, tmp_path):
    """Debian's inih cuts lines at 200 bytes."""
    made.source('tree', tmp_path / 'tree', exclude=', '.join(f'no-such-name-{i}' for i in range(100)))
    made.ok('check', '--offline')
    made.ok('run', 'job')


def test_configuration_that_others_can_write_is_refused(made):
    made.conf.joinpath('job-job.conf').chmod(0o666)
    result = made.fails(BAD_CONFIG, 'run', 'job')
    assert 'chmod' in result.err


def test_empty_and_missing_directory(world, tmp_path):
    for path in world.conf.iterdir():
        path.unlink()
    world.fails(BAD_CONFIG, 'list')
    result = execute([world.binary, '--config-dir', tmp_path / 'nowhere', 'list'])
    assert result.status == BAD_CONFIG and 'nowhere' in result.err


def test_config_dir_from_the_environment(made):
    result = execute([made.binary, 'check', '--offline'], env=CLEAN | {'COFRE_CONFIG_DIR': str(made.conf)})
    assert result.status == 0, result


@pytest.mark.parametrize('words', [(), ('nonsense',), ('run',), ('init',), ('restore', 'job'), ('list', '--nonsense'),
                                   ('restore', 'job', '--into'), ('worker',), ('run', 'nobody'), ('init', 'nowhere'),
                                   ('list', '--sink', 'nowhere'), ('restore', 'job@', '--into', '/tmp/x')])
def test_usage(made, words):
    made.fails({USAGE, BAD_CONFIG} if 'nobody' in words or 'nowhere' in words else USAGE, *words)


def test_suggestions(made):
    assert 'restore' in made.fails(USAGE, 'restroe', 'job').err
    assert "'job'" in made.fails({USAGE, BAD_CONFIG}, 'run', 'jbo').err


def test_help_and_version(made):
    for words in (('--help',), ('run', '--help'), ('--version',)):
        result = execute([made.binary, *words])
        assert result.status == 0 and result.out.strip(), result


def test_not_initialised(world, tmp_path):
    world.source('tree', plain_tree(tmp_path / 'tree', files=3))
    world.sink()
    world.job()
    world.key.parent.mkdir(exist_ok=True)
    world.repository.mkdir(mode=0o700)
    execute([world.binary, 'key', 'create', world.key])
    result = world.fails(NO_REPOSITORY, 'run', 'job')
    assert 'cofre init disk' in result.err, result


def test_init_twice_is_fine_and_changes_nothing(made):
    before = {p: p.read_bytes() for p in made.objects()} | {made.key: made.key.read_bytes()}
    made.ok('init', 'disk')
    assert before == {p: p.read_bytes() for p in made.objects()} | {made.key: made.key.read_bytes()}


def test_another_key_is_refused(made, tmp_path):
    made.ok('run', 'job')
    made.sink(key=tmp_path / 'keys' / 'other.key')
    assert execute([made.binary, 'key', 'create', tmp_path / 'keys' / 'other.key']).status == 0
    for words in (('run', 'job'), ('restore', 'job', '--into', tmp_path / 'x'), ('verify', 'job')):
        made.fails(WRONG_KEY, *words)
    made.fails({1, WRONG_KEY}, 'init', 'disk')


def test_json_is_one_object_per_line(made):
    made.ok('run', 'job')
    for words in (('list',), ('show', 'job'), ('ls', 'job', 'tree'), ('verify', 'job'), ('check', '--offline'), ('run', 'job')):
        lines = made.ok('--json', *words).json()
        assert lines and 'schema' in lines[0] and all('type' in line for line in lines), lines


def test_json_of_odd_names_is_valid(world, tmp_path):
    tree = tmp_path / 'tree'
    tree.mkdir()
    for name in (b'new\nline', b'\xff\xfe', b'quo"te', b'\x1b[31m'):
        with open(os.fsencode(tree) + b'/' + name, 'wb'):
            pass
    world.simple(tree)
    world.ok('run', 'job')
    lines = world.ok('--json', 'ls', 'job', 'tree').json()
    assert len([line for line in lines if 'path' in line]) >= 4
    plain = world.ok('ls', 'job', 'tree').out
    assert '\x1b' not in plain and 'new\nline' not in plain


def test_human_text_goes_to_stderr(made):
    result = made.ok('-v', 'run', 'job')
    assert result.err.strip()
    for line in made.ok('--json', '-v', 'run', 'job').out.splitlines():
        json.loads(line)


def test_dry_run_stores_nothing(made):
    before = made.objects()
    made.ok('run', 'job', '--dry-run')
    assert made.objects() == before


def test_no_terminal_no_control_characters(made):
    result = made.ok('run', 'job')
    assert '\x1b' not in result.text and '\r' not in result.text


def test_exit_status_of_a_signal(made, tmp_path):
    (tmp_path / 'tree' / 'big').write_bytes(os.urandom(100 << 20))
    with subprocess.Popen(made.command('run', 'job'), env=CLEAN, stderr=subprocess.PIPE) as process:
        try:
            process.wait(timeout=0.3)
        except subprocess.TimeoutExpired:
            process.terminate()
        process.communicate(timeout=30)
    assert process.returncode in (0, 143, -15), process.returncode
    made.ok('run', 'job')
