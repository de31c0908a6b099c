"""Archives: what cofre stores, standard tools open; what they hold, cofre restores."""
import os
import re
import shutil
import socket
import subprocess
from datetime import datetime, timedelta
from pathlib import Path

import pytest

from support.archive import check_sums, content, extract, manifest, snapshots
from support.cli import BAD_CONFIG, CLEAN, DONE, FAILED, INCOMPLETE, NO_REPOSITORY, USAGE
from support.gnupg import Gnupg, stop_agent
from support.oracle import assert_same_tree, stored_bytes, tree_state
from support.session import watched
from support.tree import make_tree, plain_tree

PHRASE = 'correct horse'


@pytest.fixture(scope='module')
def ring():
    """Two people who can open archives."""
    gnupg = Gnupg()
    gnupg.alice, gnupg.bob = gnupg.generate('alice'), gnupg.generate('bob')
    yield gnupg
    gnupg.close()


@pytest.fixture
def archive(world, tmp_path, ring):
    """A function that makes an archive sink; the agent of the state directory is stopped at the end."""
    def sink(name: str = 'disk', how: str = 'none', **options) -> Path:
        place = tmp_path / name
        if how == 'none':
            options |= {'encryption': 'none'}
        elif how == 'passphrase':
            secret = tmp_path / 'keys' / 'phrase'
            secret.write_text(PHRASE + '\n')
            secret.chmod(0o600)
            options |= {'passphrase': f'@file:{secret}'}
        else:
            options |= {'encrypt_to': f'{ring.alice}, {ring.bob}', 'gnupg_home': ring.home}
        world.section(f'sink {name}', plugin='local', path=place, format='archive', **options)
        return place

    yield sink
    stop_agent(tmp_path / 'state' / 'gnupg')


def opener(ring, how):
    return {'none': None, 'passphrase': lambda p: ring.decrypt(p, PHRASE), 'recipients': ring.decrypt}[how]


@pytest.mark.parametrize('how, compress', [('none', 'zstd'), ('none', 'gzip'), ('none', 'none'), ('passphrase', 'zstd'),
                                           ('recipients', 'zstd'), ('recipients', 'gzip')])
def test_everything_comes_back_both_ways(world, tmp_path, archive, ring, how, compress):
    tree = world.source('tree', make_tree(tmp_path / 'tree', deep=False), one_file_system='no', exclude=None)
    place = archive('disk', how, compress=compress)
    world.job()
    world.ok('init', 'disk')
    world.ok('run', 'job')
    [snapshot] = snapshots(place)
    check_sums(snapshot)
    extension = {'zstd': '.zst', 'gzip': '.gz', 'none': ''}[compress] + ('' if how == 'none' else '.gpg')
    assert {p.name for p in snapshot.iterdir()} == {f'tree.tar{extension}', 'SHA256SUMS', 'manifest.json'}
    assert_same_tree(tree, extract(snapshot / f'tree.tar{extension}', tmp_path / 'by tar', opener(ring, how)))
    assert_same_tree(tree, world.restored('job', 'restored', '--set', 'setuid=yes', '--set', 'devices=yes') / 'tree')
    assert 'all whole' in world.ok('verify', 'job').out


def test_tar_has_nothing_to_say_of_names_that_are_utf8(world, tmp_path, archive):
    """Composed or not, long or short, of files with holes, links and attributes."""
    tree = tmp_path / 'tree'
    tree.mkdir()
    for name in ('ñandú', 'e\u0301', 'o\u0308' * 60, '\u1100\u1161', 'กิ', '😀', 'ž' * 120, 'line\nbreak', 'x'):
        directory = tree / f'd{name}'
        directory.mkdir()
        (directory / name).write_text(name)
        (directory / 'symlink').symlink_to(name)
        (directory / 'hard link').hardlink_to(directory / name)
        with open(directory / f's{name}', 'wb') as file:
            os.pwrite(file.fileno(), b'data', 1 << 20)
            file.truncate(2 << 20)
        for attribute in ('user.plain', 'user.100%', 'user.%41', 'user.a=b'):
            os.setxattr(directory / name, attribute, b'value')
    world.source('tree', tree)
    place = archive()
    world.job()
    world.ok('init', 'disk')
    world.ok('run', 'job')
    assert_same_tree(tree, world.restored() / 'tree')
    assert_same_tree(tree, extract(snapshots(place)[0] / 'tree.tar.zst', tmp_path / 'by tar', quiet=True))


TIME = re.compile(r'\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{9}Z')


def test_times_in_the_manifest_are_readable_and_exact(world, tmp_path, archive):
    tree = tmp_path / 'tree'
    tree.mkdir()
    times = {'epoch': 0, 'last ns': 999_999_999, 'before': -1, 'long before': -2_000_000_000_123_456_789, 'after': 5_000_000_000_000_000_001}
    for name, ns in times.items():
        with socket.socket(socket.AF_UNIX) as server:  # a socket stands in the manifest alone
            server.bind(str(tree / name))
        os.utime(tree / name, ns=(ns, ns))
    world.source('tree', tree)
    place = archive()
    world.job()
    world.ok('init', 'disk')
    world.ok('run', 'job')
    stored = manifest(snapshots(place)[0])
    texts = [stored['started'], stored['ended'], *(row['mtime'] for row in stored['apart'])]
    assert len(texts) == 7 and all(TIME.fullmatch(text) for text in texts), texts
    found = {row['path']: row['mtime'] for row in stored['apart']}
    epoch = datetime(1970, 1, 1)
    for name, ns in times.items():
        seconds, fraction = divmod(ns, 1_000_000_000)
        assert found[name] == f'{(epoch + timedelta(seconds=seconds)).isoformat()}.{fraction:09}Z', (name, found)
    assert_same_tree(tree, world.restored() / 'tree')


def test_attributes_with_odd_names_come_back(world, tmp_path, archive):
    tree = tmp_path / 'tree'
    tree.mkdir()
    for name in ('ñ', 'e\u0301', 'a b', '%', '%41', '%zz', '100%', 'a=b', 'new\nline', '\udcff', 'x' * 200):
        os.setxattr(tree, f'user.{name}', os.fsencode(name))
    world.source('tree', tree)
    archive()
    world.job()
    world.ok('init', 'disk')
    world.ok('run', 'job')
    assert_same_tree(tree, world.restored() / 'tree')


def test_a_sparse_file_stays_sparse(world, tmp_path, archive):
    tree = tmp_path / 'tree'
    tree.mkdir()
    for name, parts in {'middle': [(0, b'a' * 5000), (30 << 20, b'b' * 5000)], 'all': [], 'front': [(20 << 20, b'c')],
                        'late': [(0, os.urandom(9 << 20)), (40 << 20, b'd')]}.items():
        with open(tree / name, 'wb') as file:
            for offset, data in parts:
                os.pwrite(file.fileno(), data, offset)
            file.truncate(50 << 20)
    world.source('tree', tree)
    place = archive()
    world.job()
    world.ok('init', 'disk')
    world.ok('run', 'job')
    by_tar = extract(snapshots(place)[0] / 'tree.tar.zst', tmp_path / 'by tar')
    restored = world.restored() / 'tree'
    for found in (by_tar, restored):
        assert_same_tree(tree, found)
        for name in ('middle', 'all', 'front'):
            assert stored_bytes(found / name) < 1 << 20, name
    # tar wants to know of holes before it has seen 9 MiB of data; cofre notes that there were some.
    assert stored_bytes(restored / 'late') < 10 << 20


def memory(world, binary, **options):
    """A source with streams."""
    plugins = binary.parent
    world.section('engine', state_dir=world.base / 'state', cache_dir=world.base / 'cache', host='testhost',
                  plugin_dir=f'{plugins / "plugins"}, {plugins / "tests" / "plugins"}')
    world.section('source memory', plugin='memory-source', **options)
    world.job(sources='memory')


@pytest.mark.parametrize('how', ['none', 'passphrase', 'recipients'])
def test_streams_are_files_of_their_own(world, tmp_path, binary, archive, ring, how):
    memory(world, binary, streams='db.dump, globals.sql', size='3MiB')
    place = archive('disk', how)
    world.ok('init', 'disk')
    world.ok('run', 'job')
    [snapshot] = snapshots(place)
    end = '' if how == 'none' else '.gpg'
    check_sums(snapshot)
    files = {p.name for p in snapshot.iterdir()} - {'SHA256SUMS', 'manifest.json'}
    assert files == {f'memory.db.dump.zst{end}', f'memory.globals.sql.zst{end}'}
    restored = world.restored() / 'memory'
    for name in ('db.dump', 'globals.sql'):
        expected = content(snapshot / f'memory.{name}.zst{end}', opener(ring, how))
        assert len(expected) == 3 << 20
        assert (restored / name).read_bytes() == expected
        cat = subprocess.run(world.command('cat', 'job', f'memory:{name}'), capture_output=True, check=True).stdout
        assert cat == expected
    assert [e['kind'] for e in world.ok('--json', 'ls', 'job').json() if e['type'] == 'entry'] == ['stream'] * 2


@pytest.mark.long
def test_a_stream_of_20_gib_in_bounded_memory(world, tmp_path, binary, archive, ring):
    """gpg included; and no file beside the one that is stored is larger than 64 MiB, be it deleted or not."""
    size = 20 << 30
    memory(world, binary, streams='db.dump', size='20GiB')
    place = archive('disk', 'recipients')
    world.ok('init', 'disk')
    most, largest = watched(world.command('run', 'job'), place)
    assert most <= 160 << 20, most
    assert largest <= 64 << 20, largest
    [snapshot] = snapshots(place)
    words = ' '.join(ring.command('--decrypt', snapshot / 'memory.db.dump.zst.gpg'))
    by_tools = subprocess.run(f'{words} | zstd -dc | tee >(wc -c >{tmp_path}/count) | sha256sum', shell=True, check=True,
                              executable='/bin/bash', capture_output=True, stdin=subprocess.DEVNULL).stdout
    assert int((tmp_path / 'count').read_text()) == size
    with subprocess.Popen(world.command('cat', 'job', 'memory:db.dump'), stdout=subprocess.PIPE) as cat:
        assert subprocess.run(['sha256sum'], stdin=cat.stdout, capture_output=True, check=True).stdout == by_tools
    assert cat.returncode == DONE


def test_files_and_streams_of_one_source(world, tmp_path, binary, archive):
    """A stream that comes while the tar archive is open has a worker of its own."""
    memory(world, binary, streams='tar, zz', size='100000', files=5, file_size='20000')
    place = archive()
    world.ok('init', 'disk')
    world.ok('run', 'job')
    [snapshot] = snapshots(place)
    names = {f['name'] for f in manifest(snapshot)['files']}
    assert names == {'memory.tar.zst', 'memory.tar-2.zst', 'memory.zz.zst'} or len(names) == 7, names
    restored = world.restored() / 'memory'
    assert len(list(restored.iterdir())) == 7
    assert 'all whole' in world.ok('verify').out


def test_names_of_streams_are_safe_and_different(world, tmp_path, binary, archive):
    memory(world, binary, streams='A b, a b, a-b, a.b/c, a.b/d, a_b, ' + 'x' * 150 + ', ' + 'x' * 151, size='10')
    place = archive()
    world.ok('init', 'disk')
    result = world('run', 'job')
    assert result.status == DONE, result
    [snapshot] = snapshots(place)
    names = [f['name'] for f in manifest(snapshot)['files']]
    assert len(names) == len({n.lower() for n in names}) == 8
    assert all(len(n) < 120 for n in names)
    world.ok('verify')


def test_a_mixture_reads_its_sources_once(world, tmp_path, archive):
    tree = world.source('tree', plain_tree(tmp_path / 'tree', files=12))
    expected = tree_state(tree)
    world.sink('repo')
    archive('plain')
    archive('phrase', 'passphrase', compress='gzip')
    archive('people', 'recipients')
    world.job(sinks='repo, plain, phrase, people')
    for sink in ('repo', 'plain', 'phrase', 'people'):
        world.ok('init', sink)
    log = tmp_path / 'trace'
    world.ok('run', 'job')  # and the agent of gpg runs, which strace would wait for
    world.ok('run', 'job', prefix=('strace', '-f', '-qq', '-e', 'trace=openat', '-o', log))
    lines = [line for line in log.read_text().splitlines() if '"file7"' in line and '= -1' not in line]
    assert len(lines) == 1, lines
    for sink in ('repo', 'plain', 'phrase', 'people'):
        assert_same_tree(expected, world.restored('job', f'from {sink}', '--sink', sink) / 'tree')
        assert len(world.ok('list', 'job', '--sink', sink).ids) == 2
    assert world.ok('verify').out.count('all whole') == 4


def test_a_failing_archive_is_dropped_by_name(world, tmp_path, archive, tmpfs):
    world.source('tree', plain_tree(tmp_path / 'tree'))
    (tmp_path / 'tree' / 'large').write_bytes(os.urandom(6_000_000))
    world.sink('repo')
    archive('good')
    archive('full')
    tmpfs('full', 'size=2m')
    world.job(sinks='full, repo, good')
    for sink in ('repo', 'good', 'full'):
        world.ok('init', sink)
    result = world.fails(INCOMPLETE, 'run', 'job')
    assert "sink 'full'" in result.err and 'No space left' in result.err
    assert not list((tmp_path / 'full').glob('job/*/manifest.json'))
    for sink in ('repo', 'good'):
        assert_same_tree(tmp_path / 'tree', world.restored('job', f'from {sink}', '--sink', sink) / 'tree')
    world.ok('verify', '--sink', 'good')


def test_failing_repositories_leave_the_archive(world, tmp_path, archive, tmpfs):
    world.source('tree', plain_tree(tmp_path / 'tree'))
    (tmp_path / 'tree' / 'large').write_bytes(os.urandom(6_000_000))
    world.sink('repo', tmp_path / 'small')
    tmpfs('small', 'size=2m')
    archive('good')
    world.job(sinks='repo, good')
    for sink in ('repo', 'good'):
        world.ok('init', sink)
    result = world.fails(INCOMPLETE, 'run', 'job')
    assert "sink 'repo'" in result.err
    assert_same_tree(tmp_path / 'tree', world.restored('job', 'x', '--sink', 'good') / 'tree')


def test_partial_restores_and_listings(world, tmp_path, archive):
    tree = tmp_path / 'tree'
    for path in ('a/1', 'a/2', 'b/1', 'ab'):
        (tree / path).parent.mkdir(parents=True, exist_ok=True)
        (tree / path).write_text(path)
    os.link(tree / 'a/1', tree / 'b/linked')
    world.source('tree', tree)
    archive()
    world.job()
    world.ok('init', 'disk')
    world.ok('run', 'job')
    world.ok('run', 'job')
    assert len(world.ok('list').ids) == 2
    shown = world.ok('--json', 'show', 'job@latest~1').json()
    assert next(s for s in shown if s['type'] == 'snapshot')['sequence'] == 1
    paths = [e['path'] for e in world.ok('--json', 'ls', 'job', 'tree:a').json() if e['type'] == 'entry']
    assert paths == ['a', 'a/1', 'a/2']
    world.ok('restore', 'job', 'tree:a', '--into', tmp_path / 'part')
    assert {str(p.relative_to(tmp_path / 'part')) for p in (tmp_path / 'part').rglob('*')} == {'tree', 'tree/a', 'tree/a/1', 'tree/a/2'}
    assert world.ok('cat', 'job@latest~1', 'tree:a/2').out == 'a/2'
    assert 'there is no entry' in world.fails(FAILED, 'restore', 'job', 'tree:none', '--into', tmp_path / 'none').err
    assert 'no source' in world.fails(USAGE, 'ls', 'job', 'other').err


@pytest.mark.parametrize('how', ['none', 'recipients'])
def test_hard_links_out_of_what_is_restored_bring_their_content(world, tmp_path, archive, how):
    """In the order of the first names and against it; two links to one file stay links."""
    tree = tmp_path / 'tree'
    for day in ('day1', 'day2', 'day2/sub'):
        (tree / day).mkdir(parents=True)
    contents = {'1': b'one', '2': os.urandom(300_000), '3': b'', '4': b'four' * 3_000_000}
    for name, data in contents.items():
        (tree / 'day1' / name).write_bytes(data)
        os.link(tree / 'day1' / name, tree / 'day2' / name)
        os.link(tree / 'day1' / name, tree / 'day2' / 'sub' / f'{9 - int(name)}')
    (tree / 'day2' / 'own').write_text('own')
    os.link(tree / 'day1' / '3', tree / 'zz')
    with open(tree / 'day1' / 'sparse', 'wb') as file:
        file.truncate(30 << 20)
    os.symlink('nowhere', tree / 'day1' / 'symlink')
    for name in ('sparse', 'symlink'):
        os.link(tree / 'day1' / name, tree / 'day2' / name, follow_symlinks=False)
    os.setxattr(tree / 'day1' / '2', 'user.note', b'kept')
    world.source('tree', tree)
    archive('disk', how)
    world.job()
    world.ok('init', 'disk')
    world.ok('run', 'job')
    for part in ('day2', 'day2/sub'):
        world.ok('restore', 'job', f'tree:{part}', '--into', tmp_path / part)
        subprocess.run(['cp', '-a', tree / part, tmp_path / 'expected'], check=True)
        assert_same_tree(tmp_path / 'expected', tmp_path / part / 'tree' / part)
        shutil.rmtree(tmp_path / 'expected')
    for part, name in {'day2/sub/7': '2', 'zz': '3'}.items():
        world.ok('restore', 'job', f'tree:{part}', '--into', tmp_path / name)
        assert (tmp_path / name / 'tree' / part).read_bytes() == contents[name]
    assert (tmp_path / 'day2' / 'tree/day2/1').stat().st_nlink == 2
    assert stored_bytes(tmp_path / 'day2' / 'tree/day2/sparse') < 1 << 20
    cat = subprocess.run(world.command('cat', 'job', 'tree:day2/2'), capture_output=True, check=True).stdout
    assert cat == contents['2']


def test_copy_between_archives(world, tmp_path, archive, ring):
    world.source('tree', plain_tree(tmp_path / 'tree'))
    one, two = archive('one', 'recipients', sign_with=ring.alice), archive('two', 'recipients', sign_with=ring.alice)
    archive('other', 'passphrase')
    world.sink('repo')
    world.job(sinks='one')
    for sink in ('one', 'two', 'other', 'repo'):
        world.ok('init', sink)
    world.ok('run', 'job')
    [source] = snapshots(one)
    world.ok('copy', 'job', '--from', 'one', '--to', 'two')
    [target] = snapshots(two)
    for file in source.iterdir():
        assert file.read_bytes() == (target / file.name).read_bytes()
    assert 'already' in world.ok('copy', 'job', '--from', 'one', '--to', 'two').out
    (target / 'manifest.json').unlink()
    (target / 'tree.tar.zst.gpg').write_bytes(b'half')
    world.ok('copy', 'job', '--from', 'one', '--to', 'two')
    world.ok('verify', '--sink', 'two')
    for to in ('other', 'repo'):
        world.fails(FAILED, 'copy', 'job', '--from', 'one', '--to', to)
    data = source / 'tree.tar.zst.gpg'
    data.write_bytes(data.read_bytes()[:-1] + b'x')
    shutil.rmtree(target)
    assert 'damaged' in world('copy', 'job', '--from', 'one', '--to', 'two').err
    assert not snapshots(two) and not (target / 'tree.tar.zst.gpg').exists()


@pytest.mark.parametrize('when, in_tar', [('1+', 0), ('20+', 1)])
def test_a_file_that_cannot_be_read_is_named(world, tmp_path, archive, when, in_tar):
    """At once, or after so much of it that the tar archive holds its beginning."""
    tree = plain_tree(tmp_path / 'tree', files=5)
    (tree / 'large').write_bytes(os.urandom(12 << 20))
    (tree / 'zz').write_text('after it')
    world.source('tree', tree)
    place = archive()
    world.job()
    world.ok('init', 'disk')
    fault = ('strace', '-f', '-qq', '-o', tmp_path / 'trace', '-P', tree / 'large', '-e', 'trace=pread64', '-e',
             f'inject=pread64:error=EIO:when={when}')
    result = world.fails(INCOMPLETE, 'run', 'job', prefix=fault)
    assert 'large' in result.err
    [snapshot] = snapshots(place)
    [row] = manifest(snapshot)['apart']
    assert (row['path'], row['status'], row['void']) == ('large', 'unreadable', in_tar)
    assert 'all whole' in world.ok('verify').out
    into = tmp_path / 'into'
    world.fails(INCOMPLETE, 'restore', 'job', '--into', into)
    assert not (into / 'tree' / 'large').exists()
    (tree / 'large').unlink()
    assert_same_tree(tree, into / 'tree', ignore=('mtime',))
    unreadable = [e for e in world.ok('--json', 'ls', 'job').json() if e.get('status') == 'unreadable']
    assert [e['path'] for e in unreadable] == ['large']


def test_a_file_that_grows_while_it_is_read(world, tmp_path, archive, ring):
    tree = plain_tree(tmp_path / 'tree', files=3)
    with open(tree / 'growing.log', 'wb') as log:
        log.write(os.urandom(30 << 20))
    world.source('tree', tree)
    place = archive()
    world.job()
    world.ok('init', 'disk')
    writer = subprocess.Popen(['sh', '-c', f'while :; do echo more >>{tree}/growing.log; sleep 0.01; done'])
    try:
        result = world('run', 'job')
    finally:
        writer.kill()
        writer.wait()
    assert result.status == INCOMPLETE, result
    [snapshot] = snapshots(place)
    [row] = manifest(snapshot)['apart']
    assert (row['path'], row['status']) == ('growing.log', 'changed')
    into = tmp_path / 'into'
    world('restore', 'job', '--into', into)
    for found in (into / 'tree', extract(snapshot / 'tree.tar.zst', tmp_path / 'by tar')):
        data = (found / 'growing.log').read_bytes()
        assert len(data) >= 30 << 20 and (tree / 'growing.log').read_bytes().startswith(data)
    world.ok('verify')


def test_nothing_is_asked_of_cron(world, tmp_path, archive, ring):
    """No HOME, no agent, no terminal: run, verify and restore, for each kind of encryption."""
    world.source('tree', plain_tree(tmp_path / 'tree', files=3))
    archive('phrase', 'passphrase')
    archive('people', 'recipients', sign_with=ring.alice)
    world.job(sinks='phrase, people')
    stop_agent(ring.home)
    for command in (('init', 'phrase'), ('init', 'people'), ('check',), ('run', 'job'), ('verify',)):
        world.ok(*command, env={'PATH': '/usr/bin:/bin'}, timeout=60, start_new_session=True)
    for sink in ('phrase', 'people'):
        stop_agent(ring.home)
        into = tmp_path / f'from {sink}'
        world.ok('restore', 'job', '--sink', sink, '--into', into, env={'PATH': '/usr/bin:/bin'}, timeout=60)
        assert_same_tree(tmp_path / 'tree', into / 'tree')


def test_passphrases_and_keys_leave_no_trace(world, tmp_path, archive):
    world.source('tree', plain_tree(tmp_path / 'tree', files=3))
    archive('disk', 'passphrase')
    world.job()
    world.ok('init', 'disk')
    world.ok('run', 'job')  # now the agent of gpg runs, which strace would wait for
    log = tmp_path / 'trace'
    result = world.ok('-v', 'run', 'job', prefix=('strace', '-f', '-v', '-s', '4000', '-qq', '-e', 'trace=execve', '-o', log))
    assert 'gpg' in log.read_text()
    assert PHRASE not in log.read_text() + result.text
    for path in (tmp_path / 'state', tmp_path / 'cache', tmp_path / 'disk'):
        assert not [p for p in path.rglob('*') if p.is_file() and PHRASE.encode() in p.read_bytes()]


def test_what_gpg_encrypts_is_aes_256_and_not_compressed(world, tmp_path, archive, ring):
    world.source('tree', plain_tree(tmp_path / 'tree', files=3))
    places = {how: archive(how, how) for how in ('passphrase', 'recipients')}
    world.job(sinks='passphrase, recipients')
    for how, place in places.items():
        world.ok('init', how)
    world.ok('run', 'job')
    for how, place in places.items():
        packets = ring.packets(snapshots(place)[0] / 'tree.tar.zst.gpg', PHRASE)
        assert 'session key: ' in packets and "'9:" in packets, packets  # algorithm 9 is AES-256
        assert ':compressed packet:' not in packets and 'mdc_method: 2' in packets
        assert how == 'recipients' or 's2k 3, hash 10' in packets and 'count 65011712 (255)' in packets, packets


def test_init_and_configuration(world, tmp_path, archive, ring):
    world.source('tree', plain_tree(tmp_path / 'tree', files=1))
    archive()
    world.job()
    world.fails({FAILED, NO_REPOSITORY}, 'run', 'job')
    (tmp_path / 'disk').mkdir()
    world.fails(NO_REPOSITORY, 'run', 'job')
    sheet = world.ok('init', 'disk').out
    assert 'format = archive' in sheet and 'encryption = none' in sheet
    assert 'already' in world.ok('init', 'disk').err
    world.sink('disk', tmp_path / 'disk')
    world.fails({FAILED, NO_REPOSITORY}, 'init', 'disk')
    world.sink('disk', tmp_path / 'repo')
    world.ok('init', 'disk')
    archive('disk2')
    world.section('sink disk2', plugin='local', path=tmp_path / 'repo', format='archive', encryption='none')
    assert 'there is a repository' in world.fails(FAILED, 'init', 'disk2').err


@pytest.mark.parametrize('options, words', [
    ({}, ['does not say how']),
    ({'encryption': 'none', 'key': '/x'}, ["'key'", 'format = repository']),
    ({'encryption': 'none', 'encrypt_to': 'A' * 40, 'gnupg_home': '/x'}, ['both']),
    ({'passphrase': '@file:/x', 'encrypt_to': 'A' * 40, 'gnupg_home': '/x'}, ['both']),
    ({'encrypt_to': 'A' * 40}, ['gnupg_home']),
    ({'encrypt_to': 'alice@example.org', 'gnupg_home': '/x'}, ['no full fingerprint', 'alice@example.org']),
    ({'encrypt_to': 'A' * 16, 'gnupg_home': '/x'}, ['no full fingerprint']),
    ({'encryption': 'none', 'compress': 'xz'}, ['compress', 'zstd']),
    ({'encryption': 'none', 'compress': 'gzip', 'level': 12}, ['no level 12']),
    ({'encryption': 'none', 'sign_with': 'A' * 40}, ['gnupg_home']),
    ({'encryption': 'none', 'recovery_to': 'A' * 40}, ['recovery_to', 'format = repository']),
])
def test_configurations_that_cannot_be(world, options, words):
    world.section('sink disk', plugin='local', path='/x', format='archive', **options)
    result = world.fails(BAD_CONFIG, 'check', '--offline')
    assert all(word in result.err for word in words), result


def test_libarchive_is_loaded_when_there_is_a_tar(world, tmp_path, archive):
    """What has to do with none goes without it; what has says what is missing."""
    (tmp_path / 'none').mkdir()
    (tmp_path / 'none' / 'libarchive.so.13').touch()
    none = CLEAN | {'LD_LIBRARY_PATH': str(tmp_path / 'none')}
    world.source('tree', plain_tree(tmp_path / 'tree', files=2))
    archive()
    world.job()
    world.ok('init', 'disk')
    result = world.fails(BAD_CONFIG, 'run', 'job', env=none)
    assert 'libarchive' in result.err and 'apt-get install libarchive13' in result.err, result
    world.ok('run', 'job')
    world.ok('list', 'job', env=none)
    result = world.fails(BAD_CONFIG, 'restore', 'job', '--into', tmp_path / 'to', env=none)
    assert 'apt-get install libarchive13' in result.err, result
