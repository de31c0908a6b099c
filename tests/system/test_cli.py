"""The command line: what newcomers type, what scripts read, what happens when nobody listens."""
import os
import re
import shutil
import signal
import subprocess
from pathlib import Path

import pytest

from support.cli import (BAD_CONFIG, BUSY, CLEAN, DAMAGED, DONE, FAILED, INCOMPLETE, NO_REPOSITORY, USAGE, WRONG_KEY,
                         execute)
from support.oracle import assert_same_tree
from support.tree import plain_tree
from support.wait import wait_until

MANUAL = Path(__file__).resolve().parents[2] / 'docs/cofre.8'
COMMANDS = ['init', 'check', 'discover', 'run', 'due', 'daemon', 'status', 'report', 'log', 'notify', 'list', 'show', 'ls', 'cat', 'find', 'diff', 'restore', 'verify', 'prune', 'gc', 'copy', 'accept',
            'pin', 'unpin', 'key', 'plugin', 'version']


@pytest.fixture
def made(world, tmp_path):
    return world.simple(plain_tree(tmp_path / 'tree', files=6))


@pytest.fixture
def saved(made, tmp_path):
    """Three snapshots of job, which grow."""
    for name in ('one', 'two', 'three'):
        (tmp_path / 'tree' / name).write_text(name)
        made.ok('run', 'job')
    return made


def alone(binary, *words, **options):
    """Without configuration, home and anything else."""
    return execute([binary, *words], env={'PATH': '/usr/bin:/bin'} | {k: v for k, v in CLEAN.items() if 'SAN' in k}, **options)


# ---- help, manual, usage

def options_of(text: str) -> set[str]:
    return set(re.findall(r'^ +(?:-\w, )?(--[\w-]+)', text, re.M))


@pytest.fixture(scope='module')
def manual() -> dict[str, str]:
    """The manual as people read it, by sections; those of key and plugin with all of their forms."""
    page = subprocess.run(['groff', '-man', '-Tascii', '-P-cbou', '-rLL=400n', '-rHY=0', MANUAL], capture_output=True, text=True,
                          check=True).stdout
    parts: dict[str, str] = {}
    for title, text in re.findall(r'^(?: {3})?(\S.*)\n((?: {7}.*\n|\n)+)', page, re.M):
        name = title if title.isupper() else title.split()[0]
        parts[name] = parts.get(name, '') + text
    return parts


@pytest.mark.parametrize('command', COMMANDS)
def test_help(binary, command):
    texts = [alone(binary, *words) for words in ((command, '--help'), ('help', command), (command, '-h'), ('--help', command))]
    assert all(t.status == DONE and t.out == texts[0].out and not t.err for t in texts), texts
    text = texts[0].out
    for part in (f'usage: cofre {command}', 'Examples:', 'Exit status:'):
        assert part in text
    assert max(map(len, text.splitlines())) <= 112
    for example in re.search(r'^Examples:\n(.*?)\n\n', text, re.M | re.S)[1].splitlines():
        assert re.match(rf'  cofre (--json )?{command}\b', example), example


@pytest.mark.parametrize('command', COMMANDS)
def test_manual_and_help_name_the_same_options(binary, manual, command):
    text = alone(binary, command, '--help').out
    options = options_of(text)
    assert options == options_of(manual[command])
    assert options == set(re.findall(r'--[\w-]+', text.split('\n\n')[0]))
    line = re.search(rf'^ {{7}}cofre (?:\[OPTION\]\.\.\. )?{command}\b.*\n(?: {{8}}.*\n)*', manual['SYNOPSIS'], re.M)[0]
    assert options == set(re.findall(r'--[\w-]+', line))


def test_manual_and_help_of_the_program(binary, manual):
    text = alone(binary, '--help').out
    assert options_of(text) == options_of(manual['OPTIONS'])
    assert re.findall(r'^  (\w+)  ', text.split('Options')[0], re.M) == [*COMMANDS, 'help']
    statuses = re.findall(r'(?<=[:,] |,\n)(\d+)(?= )', text[text.index('Exit status:'):])
    assert statuses == re.findall(r'^ {7}(\d+) ', manual['EXIT STATUS'], re.M)


def test_manual_names_every_key_of_every_section(world, manual):
    for role, name in (('source', 'directory'), ('sink', 'local')):
        text = world.ok('plugin', 'describe', name).out
        for key in re.findall(r'^  (\w+)  \(', text[text.index('Options of every'):], re.M):
            assert re.search(rf'^ {{7}}(?:\w+, )*{key}\b', manual[f'[{role}'], re.M), f'[{role}]: {key}'


def test_manual_names_every_member_of_json(manual):
    text = manual['JSON OUTPUT']
    for name, form in {'snapshot': SNAPSHOT, 'entry': ENTRY, 'run': SUMMARY['run'], 'source': SOURCE, **OTHERS}.items():
        if name not in ('key', 'plugin', 'version'):
            for member in form:
                assert re.search(rf'\b{member}\b', text), f'{name}: {member}'


def test_nothing_needs_a_configuration_that_can_do_without(binary, tmp_path):
    key, put = tmp_path / 'key', tmp_path / 'put'
    for words in (('version',), ('--version',), ('help',), ('--help',), ('help', 'run'), ('plugin', 'list'),
                  ('plugin', 'describe', 'directory'), ('key', 'create', key), ('key', 'put', key, put, '--host', 'web'), ('key', 'show', put)):
        result = alone(binary, *words)
        assert result.status == DONE and result.out, result
    for words in (('list',), ('run', '--all'), ('check',)):
        result = alone(binary, *words)
        assert result.status == BAD_CONFIG and 'COFRE_CONFIG_DIR' in result.err, result


def test_plugins_are_described_while_the_configuration_is_half_written(made):
    made.write('zz.conf', '[source x]\nplugin = \n')
    result = made.ok('plugin', 'describe', 'directory')
    assert 'zz.conf:2' in result.err and 'exclude' in result.out, result


@pytest.mark.parametrize('words, hint', [
    (('rnu', 'job'), 'cofre run'), (('veryfy',), 'cofre verify'), (('list', '--sinc', 'disk'), '--sink'),
    (('run', '--dryrun', 'job'), '--dry-run'), (('plugin', 'lits'), 'plugin list'), (('key', 'creat', 'x'), 'key create'),
    (('init', 'dsik'), "'disk'"), (('show', 'jbo'), "'job'"), (('--jsno', 'list'), '--json'), ((), '--help'),
    (('run',), '--all'), (('restore', 'job'), '--into'), (('copy', 'job', '--from', 'disk'), '--to'),
    (('list', 'a', 'b'), 'usage: cofre list'), (('ls',), 'usage: cofre ls'), (('list', '--sink'), '--sink SINK'),
    (('list', '-x'), '-x'), (('show', 'job@latest~x'), 'JOB@latest~N'),
    (('ls', 'job@'), 'JOB@ID'), (('run', 'job', '--all'), '--all'), (('restore', 'job', '--into', 'x', '--in-place'), '--into'),
    (('list', '--json=yes'), '--json'), (('--quiet', '--verbose', 'list'), '--verbose'), (('--json', 'cat', 'job', 'tree:x'), 'JSON'),
    (('plugin', 'describe', 'locl'), "'local'"), (('check', 'dsik'), "'disk'"),
    (('restore', 'job', '--into', 'x', '--set', 'path=/y'), '--into'), (('restore', 'job', '--into', 'x', '--set', 'y'), 'KEY=VALUE'),
])
def test_usage_errors_lead_on(made, words, hint):
    result = made.fails(USAGE, *words)
    assert hint in result.err, result
    assert result.out == '' or '--json' in words
    assert '\n\n' not in result.err and len(result.err.splitlines()) <= 2


def test_options_stand_anywhere_and_end(saved):
    expected = saved.ok('list', 'job', '--sink', 'disk').out
    for words in (('list', '--sink=disk', 'job'), ('list', '--sink', 'disk', '--', 'job')):
        assert saved.ok(*words).out == expected
    assert saved.ok('list', 'job', '-q').out == expected
    result = execute([saved.binary, 'list', '--config-dir', saved.conf, 'job'])
    assert result.status == DONE and result.out == expected


def test_paths_as_people_type_them(saved):
    expected = saved.ok('ls', 'job', 'tree:d0').out
    assert len(expected.splitlines()) > 1
    for path in ('d0/', '/d0', './d0/', './/d0//'):
        assert saved.ok('ls', 'job', f'tree:{path}').out == expected
    assert saved.ok('ls', 'job', 'tree:./').out == saved.ok('ls', 'job', 'tree').out


def test_a_wrong_option_leaves_nothing_behind(saved, tmp_path):
    saved.fails(USAGE, 'restore', 'job', '--into', tmp_path / 'into', '--set', 'nonsense=1')
    assert not list((tmp_path / 'into').iterdir())


# ---- what goes wrong first

def test_init_without_the_key_file_of_the_repository(saved, tmp_path):
    """It must not put a new key, which opens nothing, where the old one belongs."""
    saved.key.rename(tmp_path / 'safe')
    result = saved.fails(FAILED, 'init', 'disk')
    assert str(saved.key) in result.err and not saved.key.exists(), result
    (tmp_path / 'safe').rename(saved.key)
    saved.ok('init', 'disk')
    saved.ok('verify')


def test_a_key_file_is_never_overwritten(made):
    before = made.key.read_bytes()
    for words in (('create', made.key), ('put', made.key, made.key, '--host', 'web')):
        result = execute([made.binary, 'key', *words])
        assert result.status == FAILED and 'already' in result.err, result
    assert made.key.read_bytes() == before


def test_an_unmounted_disk_is_said_once(saved, tmp_path):
    saved.repository.rename(tmp_path / 'away')
    for words in (('list',), ('verify',), ('run', 'job'), ('restore', 'job', '--into', tmp_path / 'x'), ('check', 'disk')):
        result = saved.fails({NO_REPOSITORY, FAILED}, *words)
        assert result.err.count('mounted?') == 1, result
    assert not saved.repository.exists()


# ---- statuses

def test_every_status_of_the_manual(saved, tmp_path):
    """0 1 2 3 10 11 12 13 78; signals have tests of their own."""
    saved.ok('run', 'job')
    saved.fails(FAILED, 'cat', 'job', 'tree:nowhere')
    saved.fails(USAGE, 'nonsense')
    with open(tmp_path / 'tree' / 'big', 'wb') as file:
        file.write(os.urandom(150 << 20))
    with subprocess.Popen(saved.command('run', 'job'), env=CLEAN, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) as busy:
        try:
            lock = (tmp_path / 'state' / 'jobs' / 'job' / 'lock').stat().st_ino
            wait_until(lambda: re.search(rf' {busy.pid} \S+:{lock} ', Path('/proc/locks').read_text()), 'the lock of the job')
            busy.send_signal(signal.SIGSTOP)
            assert "'job'" in saved.fails(BUSY, 'run', 'job').err
            busy.send_signal(signal.SIGCONT)
            assert busy.wait(timeout=60) == DONE
        finally:
            busy.kill()  # one that is stopped would be waited for for ever
    saved.sink('empty', path=tmp_path / 'empty')
    (tmp_path / 'empty').mkdir(mode=0o700)
    saved.job('two', sinks='disk, empty')
    saved.fails(INCOMPLETE, 'run', 'two')
    saved.fails(NO_REPOSITORY, 'list', '--sink', 'empty')
    saved.fails(NO_REPOSITORY, 'verify', '--sink', 'empty')
    saved.sink('empty', key=tmp_path / 'keys' / 'other')
    execute([saved.binary, 'key', 'create', tmp_path / 'keys' / 'other'])
    saved.sink(key=tmp_path / 'keys' / 'other')
    saved.fails(WRONG_KEY, 'list', 'job')
    saved.sink()
    for pack in saved.objects('packs/'):
        pack.chmod(0o600)
        data = bytearray(pack.read_bytes())
        data[len(data) // 3] ^= 1
        pack.write_bytes(data)
    saved.fails(DAMAGED, 'verify', 'job')
    saved.write('zz.conf', 'nonsense\n')
    saved.fails(BAD_CONFIG, 'list')


def test_several_jobs_in_one_run(made, tmp_path):
    """Each has its turn; the worst counts; one summary for each."""
    made.source('gone', tmp_path / 'gone')
    made.source('other', plain_tree(tmp_path / 'other', 2, files=3))
    made.job('broken', sources='gone')
    made.job('fine', sources='other')
    result = made('--json', 'run', 'broken', 'fine')
    summaries = [line for line in result.json() if line['type'] == 'summary']
    assert [(s['job'], s['status']) for s in summaries] == [('broken', 'failed'), ('fine', 'complete')], result
    assert result.status == FAILED
    assert made.ok('run', 'fine', 'job').out.count('saved as') == 2
    result = made.fails(FAILED, 'run', '--all')
    assert "'gone'" in result.err and len(made.snapshots('fine')) == 3 and len(made.snapshots('job')) == 2
    made.fails(USAGE, 'run', 'fine', 'nobody')
    assert len(made.snapshots('fine')) == 3, 'a name that is wrong must be noticed before anything runs'


def test_quiet_says_nothing_when_all_is_well(made, tmp_path):
    for words in (('run', '--all'), ('verify',), ('check', '--offline'), ('restore', 'job', '--into', tmp_path / 'x')):
        result = made.ok('-q', *words)
        assert result.text == '' or 'check' in words, result
    assert made.ok('-q', 'list', 'job').ids


# ---- JSON

SNAPSHOT = {'partial': bool, 'suspect': bool, 'accepted': bool, 'id': str, 'job': str, 'host': str, 'time': str, 'ended': str, 'status': str, 'sequence': int,
            'previous': (str, type(None)), 'version': str, 'sources': list, 'sinks': list, 'bytes': int, 'added': int,
            'label': (str, type(None)), 'pinned': (dict, type(None)), 'verified': (str, type(None)), 'proven': (str, type(None))}
SOURCE = {'name': str, 'plugin': str, 'plugin_version': str, 'status': str, 'error': (str, type(None)), 'suspect': (str, type(None)), 'entries': int,
          'bytes': int, 'parts': list, 'vanished': int, 'problem_count': int, 'problems': list,
          'left_out_count': int, 'left_out': list, 'facts': dict, 'fact_kinds': dict, 'options': dict}
ENTRY = {'source': str, 'path': str, 'kind': str, 'mode': str, 'size': (int, type(None)), 'mtime': (str, type(None)),
         'uid': int, 'gid': int, 'user': (str, type(None)), 'group': (str, type(None)), 'link': (str, type(None)),
         'attributes': list, 'status': str, 'error': (str, type(None))}
SUMMARY = {'run': {'job': str, 'snapshot': (str, type(None)), 'status': str, 'dry_run': bool, 'unpruned': bool, 'sinks': list, 'entries': int,
                   'unchanged': int, 'bytes': int, 'added': int, 'elapsed': float},
           'restore': {'snapshot': str, 'job': str, 'into': (str, type(None)), 'status': str, 'entries': int, 'bytes': int,
                       'without_metadata': int, 'problems': int},
           'verify': {'status': str, 'quick': bool, 'damages': int, 'sinks': list},
           'prune': {'status': str, 'dry_run': bool, 'kept': int, 'removed': int, 'held': int, 'sinks': list},
           'check': {'status': str, 'errors': int, 'warnings': int},
           'discover': {'status': str, 'offers': int, 'covered': int, 'failed': int},
           'diff': {'before': str, 'after': str, 'added': int, 'removed': int, 'changed': int, 'metadata': int, 'bytes_added': int,
                    'bytes_removed': int},
           'copy': {'snapshot': str, 'job': str, 'from': str, 'to': str, 'status': str, 'existed': bool, 'objects': int,
                    'bytes': int}}
OTHERS = {'restored': {'source': str, 'status': str, 'entries': int, 'bytes': int, 'without_metadata': int, 'problems': int},
          'services': {'by': str, 'status': str},
          'offer': {'name': str, 'options': str, 'about': str, 'covered_by': (str, type(None)), 'in_job': bool},
          'pin': {'sink': str, 'job': str, 'host': str, 'id': str, 'pinned': bool, 'until': (str, type(None)), 'note': (str, type(None))},
          'accepted': {'job': str, 'source': str, 'difference': str},
          'acceptance': {'job': str, 'id': str, 'sink': str, 'was_suspect': bool},
          'found': {'job': str, 'id': str, 'time': str, 'source': str, 'path': str, 'kind': str, 'size': int, 'mtime': str},
          'difference': {'source': str, 'path': str, 'what': str, 'kind': str, 'size_before': (int, type(None)), 'size': (int, type(None)),
                         'mtime_before': (str, type(None)), 'mtime': (str, type(None))},
          'finding': {'level': str, 'subject': str, 'text': str, 'hint': (str, type(None)), 'class': (str, type(None))},
          'repository': {'sink': str, 'plugin': str, 'repository': str, 'encryption': str, 'key_file': (str, type(None)),
                         'key': (str, type(None)), 'key_created': bool, 'existed': bool},
          'key': {'file': str, 'kind': str, 'roles': list, 'id': str, 'sealing': str, 'root': str, 'signer': str},
          'plugin': {'name': str, 'version': str, 'role': str, 'summary': str, 'license': str, 'path': str, 'api_level': int},
          'version': {'version': str, 'format': int, 'abi': int, 'libraries': dict},
          'error': {'class': str, 'message': str, 'hint': (str, type(None)), 'exit': int},
          'damage': {'sink': str, 'object': (str, type(None)), 'text': str, 'snapshot': (str, type(None)),
                     'source': (str, type(None)), 'path': (str, type(None))}}


def matches(line: dict, form: dict, *more: str) -> None:
    assert set(line) == {'type', *form, *more}, line
    for name, kind in form.items():
        assert isinstance(line[name], kind), (name, line[name])


def check_lines(command: str, lines: list[dict]) -> list[dict]:
    assert set(lines[0]) == {'type', 'schema', 'version', 'command'}
    assert (lines[0]['type'], lines[0]['schema'], lines[0]['command']) == ('cofre', 1, command)
    for line in lines[1:]:
        if line['type'] == 'snapshot':
            matches(line, SNAPSHOT)
            for source in line['sources']:
                assert set(source) == set(SOURCE)
                assert all(isinstance(source[name], kind) for name, kind in SOURCE.items()), source
        elif line['type'] == 'entry':
            matches(line, ENTRY)
        elif line['type'] == 'summary':
            matches(line, SUMMARY[command])
        elif line['type'] == 'plugin' and 'options' in line:
            matches(line, OTHERS['plugin'], 'options', 'example')
        else:
            matches(line, OTHERS[line['type']])
    return lines[1:]


def test_json_of_every_command(made, tmp_path):
    made.sink('other', path=tmp_path / 'other')
    key = tmp_path / 'keys' / 'new'

    def lines(command, *words):
        return check_lines(command, made.ok('--json', command, *words).json())

    assert [line['type'] for line in lines('init', 'other')] == ['repository']
    ran = lines('run', 'job')
    assert [line['type'] for line in ran] == ['snapshot', 'summary']
    snapshot, summary = ran
    assert summary['snapshot'] == snapshot['id'] and summary['status'] == 'complete' == snapshot['status']
    assert snapshot['sinks'] == ['disk'] and summary['sinks'][0]['committed'] is True
    assert snapshot['time'].endswith('Z') and snapshot['time'][:4].isdigit()
    assert lines('list', 'job') == [snapshot] == lines('show', 'job')
    [pin] = lines('pin', 'job@latest', '--until', '2099-01-01T00:00Z')
    assert (pin['id'], pin['pinned'], pin['until'], pin['note']) == (snapshot['id'], True, '2099-01-01T00:00:00.000000000Z', None)
    assert lines('show', 'job')[0]['pinned'] == {'until': pin['until'], 'note': ''}
    assert lines('unpin', 'job@latest')[0]['pinned'] is False
    assert lines('accept', f'job@{snapshot["id"]}')[0]['was_suspect'] is False
    entries = lines('ls', 'job', 'tree')
    assert len(entries) == snapshot['sources'][0]['entries'] and entries[0]['path'] == ''
    assert len(lines('find', '*', 'job')) == len(entries)
    (tmp_path / 'tree' / 'one-more').touch()
    lines('run', 'job')
    difference, total = lines('diff', 'job@latest~1', 'job')
    assert (difference['what'], difference['path'], total['added']) == ('added', 'one-more', 1)
    (tmp_path / 'tree' / 'one-more').unlink()
    assert lines('restore', 'job@latest~1', '--into', tmp_path / 'into')[-1]['entries'] == len(entries)
    assert lines('verify', 'job')[-1]['status'] == 'verified'
    assert lines('check', '--offline')[-1]['status'] == 'ok'
    assert lines('discover')[-1]['status'] == 'complete'
    assert lines('copy', 'job', '--from', 'disk', '--to', 'other')[-1]['existed'] is False
    assert lines('key', 'create', key)[0]['kind'] == 'full'
    [pruning] = lines('key', 'prune', key, tmp_path / 'keys' / 'prune')
    assert (pruning['kind'], pruning['roles']) == ('prune', ['remove'])
    assert {line['name'] for line in lines('plugin', 'list')} >= {'directory', 'local'}
    assert {option['name'] for option in lines('plugin', 'describe', 'directory')[0]['options']} >= {'path', 'exclude'}
    assert lines('version')[0]['format'] >= 1
    dry = lines('run', 'job', '--dry-run')
    assert [line['type'] for line in dry] == ['summary'] and dry[0]['snapshot'] is None and dry[0]['dry_run'] is True


def test_json_of_failures(made):
    made.ok('run', 'job')
    for status, words in ((USAGE, ('run', 'nobody')), (USAGE, ('list', '--nonsense')), (FAILED, ('ls', 'job', 'tree:nowhere')),
                          (FAILED, ('show', 'job@20010101'))):
        result = made.fails(status, '--json', *words)
        assert check_lines(words[0], result.json())[-1]['exit'] == status
    result = made.fails(USAGE, '--json', 'nonsense')
    assert result.json()[0]['command'] is None and result.json()[-1]['type'] == 'error'
    for pack in made.objects('packs/'):
        pack.unlink()
    lines = check_lines('verify', made.fails(DAMAGED, '--json', 'verify', 'job').json())
    assert {'damage', 'summary', 'error'} == {line['type'] for line in lines}
    made.write('zz.conf', 'nonsense\n')
    result = made.fails(BAD_CONFIG, '--json', 'list')
    assert result.json()[-1]['class'] == 'config'


def test_hostile_names_are_escaped_everywhere(world, tmp_path):
    tree = tmp_path / 'tree'
    names = {b'new\nline': r'new\nline', b'\x1b[31mred': r'\x1b[31mred', b'\xff': r'\xff', b'back\\slash': r'back\\slash',
             b'\xc2\x9b31m': r'\xc2\x9b31m', 'grün'.encode(): 'grün', b'\r': r'\x0d'}
    tree.mkdir()
    for name in names:
        Path(os.fsdecode(os.fsencode(tree) + b'/' + name)).write_bytes(name)
    world.simple(tree)
    world.ok('run', 'job')
    plain, lines = world.ok('ls', 'job', 'tree'), world.ok('--json', 'ls', 'job', 'tree').json()
    assert set(names.values()) <= {line.get('path') for line in lines}
    assert '\x1b' not in plain.out and '\r' not in plain.out and len(plain.out.splitlines()) == len(names) + 1
    for name, shown in names.items():
        assert plain.out.count(shown + '\n') == 1
        done = subprocess.run([os.fsencode(word) for word in world.command('cat', 'job')] + [b'tree:' + name], env=CLEAN,
                              capture_output=True, check=False)
        assert (done.returncode, done.stdout) == (0, name), done
        done = subprocess.run([os.fsencode(word) for word in world.command('cat', 'job')] + [b'tree:no' + name], env=CLEAN,
                              capture_output=True, check=False)
        assert done.returncode == FAILED and name not in done.stderr.replace(shown.encode(), b'') or name.isalpha() or name[0] > 0x7f


# ---- nothing there, selectors

def test_nothing_there_yet(made):
    assert 'no snapshots' in made.ok('list').err and made.ok('list', 'job').out == ''
    assert [line['type'] for line in made.ok('--json', 'list').json()] == ['cofre']
    for words in (('show', 'job'), ('ls', 'job'), ('cat', 'job', 'tree:x'), ('restore', 'job', '--into', '/nonexistent/x')):
        result = made.fails(FAILED, *words)
        assert 'cofre run job' in result.err, result
    made.ok('verify')


def test_selectors(saved):
    ids = saved.snapshots()

    def chosen(selector):
        return saved.ok('--json', 'show', selector).json()[-1]['id']

    assert [chosen(s) for s in ('job', 'job@latest', 'job@latest~0', 'job@latest~1', 'job@latest~2')] == \
        [ids[2], ids[2], ids[2], ids[1], ids[0]]
    for snapshot in ids:
        assert chosen(f'job@{snapshot}') == snapshot == chosen(f'job@{snapshot[:-1]}')
    result = saved.fails(USAGE, 'show', f'job@{os.path.commonprefix(ids)}')
    assert 'more than one' in result.err
    result = saved.fails(FAILED, 'show', 'job@latest~3')
    assert '3 snapshots' in result.err
    result = saved.fails(FAILED, 'show', 'job@19990101')
    assert 'cofre list job' in result.err
    for bad in ('job@LATEST', 'job@latest~', 'job@latest~-1', 'job@../x', '@latest', 'Job', 'job@20261120 '):
        saved.fails(USAGE, 'show', bad)


# ---- standard output

LISTENERS = ('list', 'show job', 'ls job', 'cat job tree:one', 'check --offline', 'plugin list', 'plugin describe local',
             'version', '--help', 'init disk')


@pytest.mark.parametrize('words', LISTENERS)
def test_output_that_cannot_be_written_is_a_failure(saved, words):
    with open('/dev/full', 'wb') as full:
        result = saved(*words.split(), stdout=full)
    assert result.status == FAILED and 'standard output' in result.err, result
    result = execute(['sh', '-c', 'exec "$@" >&-', 'sh', *saved.command(*words.split())])
    assert result.status == FAILED and 'standard output' in result.err, result


@pytest.mark.parametrize('words', ['run job', 'verify job', 'restore job --into INTO', '--json run job'])
def test_work_counts_when_nobody_listens(saved, tmp_path, words):
    words = [str(tmp_path / 'into') if word == 'INTO' else word for word in words.split()]
    before = len(saved.snapshots())
    with open('/dev/full', 'wb') as full:
        result = saved.ok(*words, stdout=full)
    assert 'standard output' in result.err, result
    assert len(saved.snapshots()) == before + ('run' in words)
    result = execute(['sh', '-c', 'exec "$@" >&- 2>&- <&-', 'sh', *saved.command(*words, *['--yes'] * ('restore' in words))])
    assert result.status == DONE, result


def test_a_reader_that_leaves(saved):
    done = subprocess.run(['bash', '-c', '"$@" | head -1; exit ${PIPESTATUS[0]}', 'sh', *saved.command('ls', 'job')], env=CLEAN,
                          capture_output=True, text=True, check=False, timeout=60)
    assert done.returncode in (DONE, FAILED) and len(done.stdout.splitlines()) == 1


# ---- a new machine

@pytest.fixture
def new_machine(saved, tmp_path):
    """Only a [sink] section, as the recovery sheet says; no state, no cache, no job."""
    for path in saved.conf.iterdir():
        path.unlink()
    for name in ('state', 'cache'):
        shutil.rmtree(tmp_path / name)
    saved.section('engine', state_dir=tmp_path / 'new/state', cache_dir=tmp_path / 'new/cache', host='testhost')
    saved.sink()
    return saved


@pytest.mark.parametrize('sink', [('--sink', 'disk'), ()])
def test_recovery_on_a_new_machine(new_machine, tmp_path, sink):
    ids = new_machine.ok('list', *sink).ids
    assert len(ids) == 3 == len(new_machine.ok('list', 'job', *sink).ids)
    new_machine.ok('restore', 'job', '--into', tmp_path / 'into', *sink)
    assert_same_tree(tmp_path / 'tree', tmp_path / 'into' / 'tree')
    new_machine.ok('show', f'job@{ids[0]}', *sink)
    assert new_machine.ok('cat', 'job@latest~2', 'tree:one', *sink).out == 'one'
    new_machine.ok('verify', *sink)
    new_machine.ok('verify', 'job', *sink)
    new_machine.ok('verify', 'job@latest~1', *sink)
    new_machine.ok('check')
    result = new_machine.fails(BAD_CONFIG, 'run', '--all')
    assert 'no job' in result.err
    new_machine.fails(USAGE, 'run', 'job')


def test_the_wrong_host_name_is_noticed(new_machine, tmp_path):
    new_machine.section('engine', state_dir=tmp_path / 'new/state', cache_dir=tmp_path / 'new/cache', host='newhost')
    result = new_machine.ok('list')
    assert "'testhost'" in result.err and '--all-hosts' in result.err, result
    assert len(new_machine.ok('list', '--all-hosts').ids) == 3
    result = new_machine.fails(FAILED, 'restore', 'job', '--into', tmp_path / 'into')
    assert '--all-hosts' in result.err and "'newhost'" in result.err, result


def test_a_job_that_is_no_longer_configured(saved, tmp_path):
    saved.source('other', tmp_path / 'tree')
    (saved.conf / 'job-job.conf').unlink()
    saved.job('another', sources='other')
    result = saved.fails(USAGE, 'restore', 'job', '--into', tmp_path / 'into')
    assert '--sink' in result.err, result
    saved.ok('restore', 'job', '--into', tmp_path / 'into', '--sink', 'disk')


# ---- hard links in a part of a snapshot

@pytest.fixture
def linked(world, tmp_path):
    tree = tmp_path / 'tree'
    for name in ('a', 'b', 'c/d'):
        (tree / name).mkdir(parents=True)
    (tree / 'a/small').write_text('small')
    (tree / 'a/large').write_bytes(os.urandom(5 << 20))
    (tree / 'a/symbolic').symlink_to('elsewhere')
    os.mkfifo(tree / 'a/fifo')
    with open(tree / 'a/sparse', 'wb') as file:
        file.write(b'begin')
        file.truncate(30 << 20)
    for name in ('b/1 small', 'b/2 small', 'c/small'):
        os.link(tree / 'a/small', tree / name)
    os.link(tree / 'a/large', tree / 'b/large')
    os.link(tree / 'a/sparse', tree / 'b/sparse')
    os.link(tree / 'a/symbolic', tree / 'c/symbolic', follow_symlinks=False)
    os.link(tree / 'a/fifo', tree / 'c/d/fifo')
    (tree / 'b/own').write_text('own')
    os.link(tree / 'b/own', tree / 'b/own too')
    world.simple(tree)
    world.ok('run', 'job')
    return world, tree


@pytest.mark.parametrize('part', ['b', 'c', 'c/d', 'b/2 small', 'b/large', 'c/symbolic', 'a/small', 'a'])
def test_a_part_is_whole_without_the_first_names_of_its_links(linked, tmp_path, part):
    world, tree = linked
    world.ok('restore', 'job', f'tree:{part}', '--into', tmp_path / 'into')
    restored, wanted = tmp_path / 'into/tree' / part, tmp_path / 'copy'
    subprocess.run(['cp', '-a', tree / part, wanted], check=True)  # keeps the links within the part
    if wanted.is_symlink():
        assert os.readlink(restored) == os.readlink(wanted)
    elif wanted.is_dir():
        assert_same_tree(wanted, restored)
    else:
        assert (restored.read_bytes(), restored.stat().st_mtime_ns) == (wanted.read_bytes(), wanted.stat().st_mtime_ns)


def test_cat_of_a_hard_link(linked):
    world, tree = linked
    assert 'SOURCE:PATH' in world.fails(USAGE, 'cat', 'job', 'tree').err
    for name in ('a/small', 'b/1 small', 'b/2 small', 'c/small', 'b/large', 'b/sparse', 'b/own too'):
        done = subprocess.run(world.command('cat', 'job', f'tree:{name}'), env=CLEAN, capture_output=True, check=False)
        assert (done.returncode, done.stdout) == (0, (tree / name).read_bytes()), done.stderr
    for name, word in (('c/symbolic', 'no content'), ('c/d', 'directory'), ('c/d/fifo', 'no content')):
        assert word in world.fails(USAGE, 'cat', 'job', f'tree:{name}').err


def test_ls_shows_where_a_hard_link_leads(linked):
    world, _ = linked
    out = world.ok('ls', 'job', 'tree:b').out
    assert re.search(r'^h.* b/1 small = a/small$', out, re.M), out
    line = next(line for line in world.ok('--json', 'ls', 'job', 'tree:c').json() if line.get('path') == 'c/small')
    assert (line['kind'], line['link']) == ('hardlink', 'a/small')
