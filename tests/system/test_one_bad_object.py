"""One object that is odd, hostile or out of reach costs its own row: every other snapshot, source, job and host is as before."""
import json
import os
import re
import shutil
import socket
import subprocess
import time
from pathlib import Path

import pytest

from support import bad_s3, decoder
from support.archive import manifest
from support.bad_s3 import Fault
from support.cli import CLEAN, DAMAGED, DONE, FAILED, FAILURES, INCOMPLETE, World
from support.forge import Forger, store
from support.oracle import assert_same_tree
from support.tree import plain_tree

OLD, MEMORY = '20200101T{:06d}Z-000000', 160 << 20
ZERO = '0' * 64


def peak(command, status):
    """The most memory that its engine had, in bytes; a plugin is a process of its own."""
    most, quiet = 0, subprocess.DEVNULL
    process = subprocess.Popen([str(word) for word in command], env=CLEAN, stdin=quiet, stdout=quiet, stderr=quiet)
    while process.poll() is None:
        found = re.search(r'VmHWM:\s+(\d+) kB', Path(f'/proc/{process.pid}/status').read_text())
        most = max(most, int(found[1]) * 1024 if found else 0)
        time.sleep(0.005)
    assert process.returncode == status and most > 0, command
    return most


def rows(world, *words):
    """Of list: each snapshot with its status, and why it has that."""
    result = world('--json', 'list', 'job', *words)
    assert result.status in (DONE, INCOMPLETE), result
    return {row['id']: row for row in result.json() if row['type'] == 'snapshot'}


def body(snapshot, host='testhost', **changes):
    source = {'name': 'tree', 'plugin': 'directory', 'status': 'complete', 'options': [], 'facts': [], 'left_out_count': 0,
              'left_out': [], 'entries': 0, 'bytes': 0, 'vanished': 0, 'problem_count': 0, 'problems': [],
              'fingerprint_key': '0' * 32, 'catalogue_bytes': 0, 'catalogue': []} | changes.pop('source', {})
    return {'format': 1, 'features': [], 'id': snapshot, 'job': 'job', 'host': host, 'version': '0.1.0', 'started': 1, 'ended': 2,
            'status': 'complete', 'added': 0, 'missed': [], 'indexes': [], 'sources': [source]} | changes


def chunk(length):
    return {'catalogue_bytes': length, 'catalogue': [{'id': ZERO, 'length': length, 'first_record': 0, 'first_path': ''}]}


def bomb(text, count):
    """A member that nobody knows, which holds the text so many times."""
    return b'{"x":[' + (text + b',') * (count - 1) + text + b']}'


# What a put key can store as a manifest: its body, by the id of the snapshot, and what is said of it.
BODIES = {
    'a newer format': (lambda i: {'format': 2}, 'its format is 2'),
    'a format of the far future': (lambda i: {'format': 2**62}, 'its format is 4611686018427387904'),
    'a newer feature': (lambda i: body(i, features=['x']), "it needs the feature 'x'"),
    'no format': (lambda i: {}, "'format' is missing"),
    'no JSON': (lambda i: b'rubbish', 'it is not JSON'),
    'nothing': (lambda i: b'', 'it is not JSON'),
    'a list': (lambda i: b'[]', 'is not an object'),
    '64 MiB of lists': (lambda i: bomb(b'[]', 22369620), 'its body is larger than'),
    'many lists': (lambda i: bomb(b'[]', 300000), 'it has more than 750000 values'),
    'many objects': (lambda i: bomb(b'{}', 300000), 'it has more than 750000 values'),
    'many numbers': (lambda i: bomb(b'1', 1000000), 'it has more than 750000 values'),
    'deep lists': (lambda i: b'[' * 100000 + b']' * 100000, 'it is nested more than 32 deep'),
    'deep objects': (lambda i: b'{"x":' * 50 + b'1' + b'}' * 50, 'it is nested more than 32 deep'),
    'a member twice': (lambda i: json.dumps(body(i)).encode()[:-1] + b',"format":1}', 'it is not JSON'),
    'no sources': (lambda i: body(i, sources=[]), 'it has no source'),
    'sources that are none': (lambda i: body(i, sources=None), "'sources' is not a list"),
    'a source twice': (lambda i: body(i, sources=2 * body(i)['sources']), 'is there twice'),
    'a plugin of another place': (lambda i: body(i, source={'plugin': '../x'}), "'plugin' is not a name"),
    'a chunk that cannot be': (lambda i: body(i, source=chunk(2**63 - 1)), 'a catalogue chunk that cannot be'),
    'a negative count': (lambda i: body(i, source={'entries': -1}), "'entries' is negative"),
    'a status of nothing': (lambda i: body(i, status='fine'), "'status' is not a status"),
    'another host': (lambda i: body(i, host='other'), 'the manifest of another snapshot'),
    'another id': (lambda i: body('20200101T235959Z-ffffff'), 'the manifest of another snapshot'),
    'a previous one without a hash': (lambda i: body(i, previous=OLD.format(0)), "only one of the previous snapshot's"),
    'text that is not escaped': (lambda i: body(i, version='%zz'), "'version' is not escaped"),
}


def fifo(path, good):
    os.mkfifo(path)


def link(path, good):
    path.symlink_to(good)


def dangling(path, good):
    path.symlink_to('nowhere')


def endless(path, good):
    path.symlink_to('/dev/zero')


def unix(path, good):
    with socket.socket(socket.AF_UNIX) as s:
        here = os.getcwd()
        os.chdir(path.parent)  # names of sockets are short
        s.bind(path.name)
        os.chdir(here)


def sparse(path, good):
    path.touch()
    os.truncate(path, 8 << 40)


def altered(change):
    return lambda path, good: path.write_bytes(change(good.read_bytes()))


# What whoever has the place can put where a manifest belongs.
THINGS = {
    'a FIFO': (fifo, 'is not a regular file'),
    'a link': (link, 'is not a regular file'),
    'a link to nothing': (dangling, 'is not a regular file'),
    'a link to what never ends': (endless, 'is not a regular file'),
    'a socket': (unix, 'is not a regular file'),
    'a giant': (sparse, 'it is larger than'),
    'an empty file': (altered(lambda data: b''), 'it has not the form of its kind'),
    'rubbish': (altered(lambda data: b'rubbish' * 100), 'it has not the form of its kind'),
    'another manifest': (altered(lambda data: data), 'the manifest of another snapshot'),
    'a part of one': (altered(lambda data: data[:-1]), 'its signature does not match'),
    'one with more': (altered(lambda data: data + b'x'), 'its signature does not match'),
    'one with another byte': (altered(lambda data: data[:200] + bytes([data[200] ^ 1]) + data[201:]), 'its signature does not match'),
}
NAMES = ('garbage', '20200101T000000Z-00000G', '20200101T000000Z-0000000', '~x', 'x y')


def neighbour(world, tmp_path, **sink):
    """Another host that stores in the same place."""
    base = tmp_path / 'second'
    base.mkdir(mode=0o700)
    other = World(base, world.binary)
    other.section('engine', state_dir=base / 'state', cache_dir=base / 'cache', host='other')
    other.source('tree', plain_tree(base / 'tree', files=3))
    other.section('sink disk', **sink)
    other.job()
    other.ok('run', 'job')
    return other


def works(world, tree, name):
    """Everything of the host, and nothing to say about it."""
    before = world.snapshots()
    result = world.ok('run', 'job')
    assert 'cannot be read' not in result.err, result
    after = world.snapshots()
    assert len(after) == len(before) + 1
    assert_same_tree(tree, world.restored('job@latest', name) / 'tree')
    assert_same_tree(tree, world.restored(f'job@{before[0]}', name + '-by-id') / 'tree')


@pytest.fixture
def place(world, tmp_path):
    """Two snapshots of a host with a put key of its own, read with the full key; and those of another host."""
    world.simple(plain_tree(tmp_path / 'tree', files=5))
    world.own = world.put_key('own.key')
    world.sink(key=world.own)
    world.ok('run', 'job')
    world.ok('run', 'job')
    world.sink()
    world.good = world.snapshots()
    world.other = neighbour(world, tmp_path, plugin='local', path=world.repository, key=world.key)
    return world


@pytest.fixture
def hostile(place):
    """All of the above at once: id: what is said of it. Half of them are older than what is good, half newer."""
    forger, said, place.signed = Forger(place.own), {}, set()
    folder = place.repository / 'snapshots' / 'testhost' / 'job'
    newest = place.good[-1]
    for number, (make, words) in enumerate((BODIES | THINGS).values()):
        snapshot = OLD.format(number) if number % 2 else f'{newest[:-6]}ffff{number:02x}'
        said[snapshot] = words
        if (make, words) in BODIES.values():
            place.signed.add(snapshot)
            store(place.repository, f'snapshots/testhost/job/{snapshot}', forger.manifest('testhost', 'job', snapshot, make(snapshot)))
        else:
            make(folder / snapshot, folder / place.good[0])
    for name in NAMES:
        (folder / name).write_bytes(b'x')
    return said


def test_each_is_a_row(place, hostile):
    found = rows(place)
    assert set(found) == set(hostile) | set(place.good)
    wrong = {i: (found[i]['status'], found[i]['error']) for i, words in hostile.items()
             if found[i]['status'] != 'unreadable' or words not in found[i]['error']}
    assert not wrong
    assert {found[i]['status'] for i in place.good} == {'complete'}
    result = place.fails(INCOMPLETE, 'list', 'job')
    assert result.out.count('unreadable') == len(hostile) and 'sealed' not in result.out, result
    assert all(f'snapshot {i} of job' in result.err for i in hostile) and 'is no snapshot\'s name' in result.err, result


def test_the_reference_decoder_decides_the_same(place, hostile):
    repository = decoder.Repository(place.repository, place.key, True)
    for snapshot in place.signed:
        with pytest.raises(decoder.Bad):
            decoder.read_manifest(repository, f'testhost/job/{snapshot}')
    for snapshot in place.good:
        assert decoder.read_manifest(repository, f'testhost/job/{snapshot}')['id'] == snapshot


def test_the_others_are_read(place, hostile, tmp_path):
    """By their ids without a word about what is beside them, and by age with a warning of what is newer."""
    for snapshot in place.good:
        for words in (('ls', f'job@{snapshot}', 'tree'), ('show', f'job@{snapshot}'), ('verify', f'job@{snapshot}')):
            assert 'cannot be read' not in place.ok(*words).err
    assert_same_tree(tmp_path / 'tree', place.restored(f'job@{place.good[0]}') / 'tree')
    newer = [i for i in hostile if i > place.good[-1]]
    for selector, chosen in (('job', 1), ('job@latest', 1), ('job@complete', 1), ('job@latest~1', 0)):
        result = place.fails(INCOMPLETE, 'show', selector)
        assert result.ids[0] == place.good[chosen], result
        assert all(f'snapshot {i} of job' in result.err for i in newer) and f'{len(newer)} newer cannot be read' in result.err, result
        place.fails(INCOMPLETE, 'restore', selector, '--into', tmp_path / f'out {selector}')
        assert_same_tree(tmp_path / 'tree', tmp_path / f'out {selector}' / 'tree')
    for snapshot, words in list(hostile.items())[::5]:
        result = place.fails(FAILURES, 'ls', f'job@{snapshot}', 'tree')
        assert words in result.err and 'cannot be read' in result.err, result


def test_a_run_goes_on(place, hostile):
    """With its history, and without."""
    place.sink(key=place.own)
    first = place.ok('run', 'job').ids[-1]
    for snapshot in place.signed:
        if snapshot > first:  # it would be the newest that the host has signed
            (place.repository / 'snapshots' / 'testhost' / 'job' / snapshot).unlink()
    shutil.rmtree(place.base / 'state')
    shutil.rmtree(place.base / 'cache')
    second = place.ok('run', 'job').ids[-1]
    place.sink()
    shown = [place.ok('--json', 'show', f'job@{i}').json()[-1] for i in (place.good[-1], first, second)]
    assert [s['sequence'] for s in shown] == [2, 3, 4]
    assert [s['previous'] for s in shown] == [place.good[0], place.good[1], first]


def test_verify_names_each(place, hostile):
    result = place.fails(DAMAGED, '--json', 'verify')
    found = [line for line in result.json() if line['type'] == 'damage']
    objects = {line['object'] for line in found}
    assert {f'snapshots/testhost/job/{i}' for i in hostile} <= objects, result
    assert {f'snapshots/testhost/job/{n}' for n in NAMES if n not in ('~x', 'x y')} <= objects, result
    assert not [line for line in found if line['snapshot'] and any(i in line['snapshot'] for i in place.good)], result
    assert place.other('verify', 'job').status == DAMAGED


def test_the_neighbour_is_as_before(place, hostile, tmp_path):
    works(place.other, tmp_path / 'second' / 'tree', 'out')


def test_what_they_cost(place, hostile):
    """Nothing that is worth a word: as measured, a few MiB more than without them."""
    assert peak(place.command('-q', 'list', 'job'), INCOMPLETE) < MEMORY
    assert peak(place.command('-q', 'ls', 'job', 'tree'), INCOMPLETE) < MEMORY
    assert peak(place.command('-q', 'run', 'job'), DONE) < MEMORY
    assert peak(place.other.command('-q', 'list', 'job'), DONE) < MEMORY


def test_sealed_is_what_is_whole(place, hostile):
    """A put key opens none, and tells by their signatures which are."""
    place.sink(key=place.own)
    found = rows(place)
    sealed = {i for i, row in found.items() if row['status'] == 'sealed'}
    assert sealed == set(place.good) | place.signed
    assert {i for i, row in found.items() if row['status'] == 'unreadable'} == set(hostile) - place.signed != set()
    assert place('verify', 'job').status == DAMAGED


@pytest.mark.long
@pytest.mark.parametrize('store', ['rsync-daemon'], indirect=True)
def test_over_rsync(world, tmp_path):
    """Which lists what is no file, and does not bring it."""
    world.simple(plain_tree(tmp_path / 'tree', files=3))
    world.ok('run', 'job')
    world.ok('run', 'job')
    good, said = world.snapshots(), {}
    folder = world.store.as_directory() / 'snapshots' / 'testhost' / 'job'
    for number, thing in enumerate(('a FIFO', 'a link', 'rubbish')):
        said[OLD.format(number)] = f'{good[1][:-6]}ffff{number:02x}'
        for name in (OLD.format(number), said[OLD.format(number)]):
            THINGS[thing][0](folder / name, folder / good[0])
    found = rows(world)
    assert {i for i, row in found.items() if row['status'] == 'unreadable'} == set(said) | set(said.values()), found
    result = world.fails(INCOMPLETE, 'show', 'job')
    assert result.ids[0] == good[1] and '3 newer cannot be read' in result.err, result
    world.ok('run', 'job')


def test_none_can_be_read(place):
    for path in (place.repository / 'snapshots' / 'testhost' / 'job').iterdir():
        path.write_bytes(b'x')
    result = place.fails(DAMAGED, 'ls', 'job', 'tree')
    assert '2 cannot be read' in result.err, result
    works(place.other, place.other.base / 'tree', 'out')


def test_a_manifest_that_cannot_be_read_is_no_gap(place):
    """What follows it is whole; what is gone is still missed."""
    third = place.ok('run', 'job').ids[-1]
    middle = place.repository / 'snapshots' / 'testhost' / 'job' / place.good[1]
    middle.write_bytes(b'x')
    result = place.fails(DAMAGED, '--json', 'verify', 'job')
    assert [line['object'] for line in result.json() if line['type'] == 'damage'] == [f'snapshots/testhost/job/{place.good[1]}'], result
    middle.unlink()
    result = place.fails(DAMAGED, '--json', 'verify', 'job')
    assert [third in line['snapshot'] for line in result.json() if line['type'] == 'damage'] == [True], result


def test_members_that_may_be_left_out_are_left_out(place):
    """By another writer than this one."""
    snapshot = OLD.format(0)
    source = {'name': 'gone', 'status': 'missing', 'error': 'it is gone'}
    odd = body(snapshot, status='incomplete', version='%1B[31m', sources=[body(snapshot)['sources'][0] | {'status': 'incomplete'},
                                                                         body(snapshot)['sources'][0] | source])
    store(place.repository, f'snapshots/testhost/job/{snapshot}',
          Forger(place.own).manifest('testhost', 'job', snapshot, odd))
    for words in (('show',), ('--json', 'show'), ('ls',)):
        result = place.ok(*words, f'job@{snapshot}')
        assert '(null)' not in result.text and '\x1b' not in result.text, result
    place.ok('list', 'job')
    place.fails({DONE, INCOMPLETE}, 'restore', f'job@{snapshot}', '--into', place.base / 'odd')


# ---- packs

def test_a_pack_costs_what_it_holds(world, tmp_path):
    """Whatever stands in its place: every file has a pack of its own here."""
    tree, good = tmp_path / 'tree', tmp_path / 'good'
    tree.mkdir()
    world.simple(tree)
    for name in 'abc':
        (tree / name).write_bytes(os.urandom(17 << 20))
        before = set(world.objects('packs'))
        world.ok('run', 'job')
        if name == 'b':
            pack = max(set(world.objects('packs')) - before, key=lambda path: path.stat().st_size)
    other = neighbour(world, tmp_path, plugin='local', path=world.repository, key=world.key)
    pack.rename(good)
    for thing in ('a FIFO', 'a link to what never ends', 'a giant'):
        THINGS[thing][0](pack, good)
        out = tmp_path / thing
        result = world.fails(DAMAGED, 'restore', 'job', '--into', out)
        assert sorted(path.name for path in (out / 'tree').iterdir()) == ['a', 'c'], result
        result = world.fails(DAMAGED, 'verify', '--quick')
        assert pack.name in result.text, result
        other.ok('run', 'job')
        pack.unlink()
    assert_same_tree(tmp_path / 'second' / 'tree', other.restored() / 'tree')


# ---- archives

ARCHIVES = {
    'a newer format': (lambda m: m.update(format=2), 'its format is 2'),
    'a newer feature': (lambda m: m.update(features=['x']), "it needs the feature 'x'"),
    'a newer compression': (lambda m: m.update(format=2, compress='x'), 'its format is 2'),
    'no files': (lambda m: m.pop('files'), 'files is not as it must be'),
    'a file outside': (lambda m: m['files'][0].update(name='../../x'), 'a stored file is not as it must be'),
    'many lists': (lambda m: m.update(x=[[]] * 300000), 'it has more than 750000 values'),
    'another job': (lambda m: m.update(job='x'), 'it is the manifest of x/'),
    'another kind': (lambda m: m.update(kind='x'), 'it is not the manifest of an archive'),
}
ARCHIVE_THINGS = {name: THINGS[name][0] for name in ('a FIFO', 'a link', 'a link to what never ends', 'a socket', 'a giant',
                                                     'an empty file', 'rubbish', 'a part of one')}


@pytest.fixture
def archive(world, tmp_path):
    world.source('tree', plain_tree(tmp_path / 'tree', files=5))
    world.section('sink disk', plugin='local', path=tmp_path / 'archive', format='archive', encryption='none')
    world.job()
    world.ok('init', 'disk')
    world.ok('run', 'job')
    world.ok('run', 'job')
    world.good = world.snapshots()
    world.other = neighbour(world, tmp_path, plugin='local', path=tmp_path / 'archive', format='archive', encryption='none')
    return world


def test_archives_likewise(archive, tmp_path):
    """Manifests of hostile archives, older and newer: each is a row."""
    place, said = tmp_path / 'archive', {}
    good = place / 'job' / archive.good[0]
    for number, (name, row) in enumerate((ARCHIVES | ARCHIVE_THINGS).items()):
        snapshot = OLD.format(number) if number % 2 else f'{archive.good[-1][:-6]}ffff{number:02x}'
        shutil.copytree(good, place / 'job' / snapshot)
        path = place / 'job' / snapshot / 'manifest.json'
        path.unlink()
        if name in ARCHIVES:
            whole = manifest(good) | {'id': snapshot}
            row[0](whole)
            path.write_text(json.dumps(whole))
        else:
            row(path, good / 'manifest.json')
        said[snapshot] = row[1] if name in ARCHIVES else ''
    found = rows(archive)
    assert {i for i, row in found.items() if row['status'] == 'unreadable'} == set(said)
    assert all(words in found[i]['error'] for i, words in said.items()), found
    newer = [i for i in said if i > archive.good[-1]]
    result = archive.fails(INCOMPLETE, 'show', 'job@latest')
    assert result.ids[0] == archive.good[-1] and all(f'snapshot {i} of job' in result.err for i in newer), result
    assert_same_tree(tmp_path / 'tree', archive.restored(f'job@{archive.good[0]}') / 'tree')
    made = archive.ok('run', 'job').ids[-1]
    assert archive.ok('--json', 'show', f'job@{made}').json()[-1]['sequence'] == 3
    result = archive.fails(DAMAGED, '--json', 'verify', 'job')
    objects = {line['object'] for line in result.json() if line['type'] == 'damage'}
    assert {f'job/{i}/manifest.json' for i in said} <= objects and not any(i in o for i in archive.good for o in objects), result
    assert peak(archive.command('-q', 'list', 'job'), INCOMPLETE) < MEMORY
    made = archive.other.ok('run', 'job').ids[-1]
    assert_same_tree(tmp_path / 'second' / 'tree', archive.other.restored(f'job@{made}', 'out') / 'tree')


@pytest.mark.parametrize('name', ['SHA256SUMS', 'tree.tar.zst'])
def test_a_file_of_an_archive_is_one_file(archive, tmp_path, name):
    """Whatever stands in its place."""
    for thing in ('a FIFO', 'a link', 'a giant', 'a part of one'):
        make = ARCHIVE_THINGS[thing]
        path = tmp_path / 'archive' / 'job' / archive.good[0] / name
        kept = tmp_path / 'kept'
        path.rename(kept)
        make(path, kept)
        archive.fails(DAMAGED, 'restore', f'job@{archive.good[0]}', '--into', tmp_path / f'bad {thing}')
        assert_same_tree(tmp_path / 'tree', archive.restored('job@latest', f'out {thing}') / 'tree')
        result = archive.fails(DAMAGED, 'verify', 'job')
        assert name in result.text and archive.good[1] not in result.out, result
        kept.rename(path)
    archive.ok('run', 'job')


@pytest.mark.parametrize('text', ['{"format":2', '{"kind":"cofre archive","format":2,"id":"' + '0' * 32 + '"}', '[' * 4000, ''])
def test_what_makes_an_archive_is_refused_in_words(archive, tmp_path, text):
    """The other sink of a job goes on."""
    (tmp_path / 'archive' / 'archive.json').write_text(text)
    assert 'archive.json' in archive.fails(FAILURES, 'list', 'job').err
    archive.sink('second', path=tmp_path / 'repository')
    archive.ok('init', 'second')
    archive.job(sinks='disk, second')
    archive.fails(INCOMPLETE, 'run', 'job')
    assert_same_tree(tmp_path / 'tree', archive.restored('job@latest') / 'tree')


# ---- a store that answers strangely

def on(key, act):
    """The answer to one key; all others as ever."""
    return lambda h: act(h) if h.key.endswith(key) else True


# What an S3 says to a get of one manifest, and what is said of it.
ANSWERS = {
    'denied': (bad_s3.error(403, 'AccessDenied'), 'AccessDenied'),
    'gone': (bad_s3.error(404, 'NoSuchKey'), ''),
    'archived': (bad_s3.error(403, 'InvalidObjectState'), 'InvalidObjectState'),
    'nothing': (bad_s3.said(''), 'it has not the form of its kind'),
    'a page': (bad_s3.said('<html>log in</html>'), 'it has not the form of its kind'),
    'too much': (bad_s3.said('x' * (17 << 20)), 'it is larger than'),
    'cut': (bad_s3.harmed(lambda body, headers: (body[:-1], headers | {'Content-Length': str(len(body) - 1)})), 'signature does not match'),
    'longer': (bad_s3.harmed(lambda body, headers: (body + b'x', headers | {'Content-Length': str(len(body) + 1)})), 'signature does not match'),
    'other bytes': (bad_s3.harmed(lambda body, headers: (body[::-1], headers)), 'it has not the form of its kind'),
    'elsewhere': (bad_s3.error(301, 'PermanentRedirect'), ''),
    'not at all': (bad_s3.error(503, 'SlowDown'), ''),
}


@pytest.fixture
def server(bad_s3_server):
    return bad_s3_server


@pytest.fixture
def far(world, server, tmp_path, request):
    """As many snapshots as the test asks for."""
    secret = tmp_path / 'secret'
    secret.write_text(bad_s3.SECRET)
    secret.chmod(0o600)
    sink = {'plugin': 's3', 'bucket': 'b', 'endpoint': server.endpoint, 'access_key': bad_s3.ACCESS, 'retry_for': '1ms',
            'secret_key': f'@file:{secret}', 'region': bad_s3.REGION, 'key': world.key}
    world.source('tree', plain_tree(tmp_path / 'tree', files=3))
    world.section('sink disk', **sink)
    world.job()
    world.ok('init', 'disk')
    for _ in range(request.param):
        world.ok('run', 'job')
    world.good = world.snapshots()
    world.other = neighbour(world, tmp_path, **sink)
    return world


@pytest.mark.parametrize('far', [len(ANSWERS) + 1], indirect=True)
def test_a_store_that_answers_strangely(far, server, tmp_path):
    odd = dict(zip(far.good, ANSWERS.values()))
    server.faults = [Fault('get', lambda h: next((act(h) for i, (act, _) in odd.items() if h.key.endswith(i)), True), times=1 << 30)]
    found = rows(far)
    assert {i for i, row in found.items() if row['status'] == 'unreadable'} == set(odd)
    wrong = {i: (words, found[i]['error']) for i, (_, words) in odd.items() if words not in found[i]['error']}
    assert not wrong
    assert_same_tree(tmp_path / 'tree', far.restored() / 'tree')
    far.ok('run', 'job')
    assert peak(far.command('-q', 'list', 'job'), INCOMPLETE) < MEMORY
    works(far.other, tmp_path / 'second' / 'tree', 'out')
    odd.pop(far.good[list(ANSWERS).index('not at all')])
    result = far.fails(DAMAGED, '--json', 'verify', 'job', '--quick')
    assert {f'snapshots/testhost/job/{i}' for i in odd} == {line['object'] for line in result.json() if line['type'] == 'damage'}, result


@pytest.mark.parametrize('far', [2], indirect=True)
def test_the_newest_in_a_store_that_answers_strangely(far, server):
    """What is wrong with the object is passed over; what may be right in a moment is waited for, and then it is the sink."""
    for name in ('denied', 'nothing', 'too much', 'not at all'):
        act = ANSWERS[name][0]
        server.faults = [Fault('get', on(far.good[-1], act), times=1 << 30)]
        if name == 'not at all':
            assert 'SlowDown' in far.fails(FAILED, 'ls', 'job', 'tree').err
        else:
            result = far.fails(INCOMPLETE, 'show', 'job')
            assert far.good[-2] in result.out and f'snapshot {far.good[-1]} of job' in result.err, result
        far.ok('ls', f'job@{far.good[0]}', 'tree')


# ---- listings

def page(keys, token):
    body = ''.join(f'<Contents><Key>{key}</Key><Size>1</Size><LastModified>2013-05-24T00:00:00.000Z</LastModified></Contents>' for key in keys)
    return (f'{bad_s3.XML}<ListBucketResult><EncodingType>url</EncodingType><IsTruncated>true</IsTruncated>'
            f'<NextContinuationToken>{token}</NextContinuationToken>{body}</ListBucketResult>')


class Endless:
    """Keys in order, with a new token for each page; how many pages there were."""

    def __init__(self, form, count):
        self.pages, self.form, self.count = 0, form, count

    def __call__(self, h):
        if not h.query.get('prefix', '').startswith('snapshots/'):
            return True
        first = self.pages * self.count
        self.pages += 1
        keys = [self.form.format(h.query['prefix'], n) for n in range(first, first + self.count)]
        bad_s3.said(page(keys, f't{self.pages}'))(h)
        return None


@pytest.mark.parametrize('far', [1], indirect=True)
@pytest.mark.parametrize('form, count, said', [
    ('{}{:08d}', 1, 'with hardly an object in them'),
    ('{}{:08d}', 0, 'lists without end'),
    ('{}%01{:08d}', 5, 'with hardly an object in them'),
    ('{}' + 'x' * 100 + '{:08d}', 1000, 'listing of snapshots'),
])
def test_a_listing_that_never_ends(far, server, tmp_path, form, count, said):
    act = Endless(form, count)
    far.sink('second', path=tmp_path / 'second-sink')
    far.ok('init', 'second')
    server.faults = [Fault('list', act, times=1 << 30)]
    for words in (('list', 'job'), ('run', 'job'), ('ls', 'job', 'tree')):
        act.pages = 0
        result = far.fails(FAILURES, *words)
        assert said in result.err, result
    far.job(sinks='disk, second')
    act.pages = 0
    far.fails(INCOMPLETE, 'run', 'job')
    assert_same_tree(tmp_path / 'tree', far.restored('job@latest', 'out', '--sink', 'second') / 'tree')


# How the listing of an S3 lies, and what is said of it; None: nothing needs to be.
LIES = {
    'sizes': (lambda body: re.sub(rb'<Size>\d+', lambda m: m[0] + b'0', body), None),
    'no sizes': (lambda body: re.sub(rb'<Size>\d+', b'<Size>-1', body), 'without key or size'),
    'times': (lambda body: body.replace(b'2013-05-24', b'9999-99-99'), None),
    'twice': (lambda body: re.sub(rb'(?s)(<Contents>.*?</Contents>)', rb'\1\1', body), 'out of order, or again'),
    'others': (lambda body: re.sub(rb'<Key>', b'<Key>x', body), 'not asked for'),
    'nothing': (lambda body: re.sub(rb'(?s)<Contents>.*</Contents>', b'', body), None),
    'rubbish': (lambda body: body[::-1], ''),
}


@pytest.mark.parametrize('far', [2], indirect=True)
def test_a_listing_that_lies(far, server, tmp_path):
    """What comes is right, or a refusal that names the sink; the other sink of the job has the snapshot."""
    far.sink('second', path=tmp_path / 'second-sink')
    far.ok('init', 'second')
    far.job(sinks='disk, second')
    for name, (lie, words) in LIES.items():
        server.faults = [Fault('list', bad_s3.harmed(
            lambda body, headers, lie=lie: ((changed := lie(body)), headers | {'Content-Length': str(len(changed))})), times=1 << 30)]
        shutil.rmtree(far.base / 'cache')
        into = tmp_path / f'out {name}'
        restored = far('restore', f'job@{far.good[0]}', '--sink', 'disk', '--into', into)
        assert restored.status in FAILURES | {DONE}, restored
        if restored.status == DONE:
            assert_same_tree(tmp_path / 'tree', into / 'tree')
        else:
            assert "sink 'disk'" in restored.err, restored
        if words is not None:
            result = far.fails(FAILURES, 'list', 'job', '--sink', 'disk')
            assert words in result.err and "sink 'disk'" in result.err, result
        assert far('run', 'job').status in (DONE, INCOMPLETE)
        server.faults = []
    assert_same_tree(tmp_path / 'tree', far.restored('job@latest', 'out', '--sink', 'second') / 'tree')
    assert_same_tree(tmp_path / 'tree', far.restored('job@latest', 'out of disk', '--sink', 'disk') / 'tree')


# ---- a great many

def plant(world, prefix: str, count: int) -> None:
    (world.repository / prefix).mkdir(parents=True, exist_ok=True)
    for i in range(count):
        (world.repository / prefix / f'20200101T{i // 3600:02}{i // 60 % 60:02}{i % 60:02}Z-{i:06x}').write_bytes(b'x' * 300)


def test_of_many_a_few_are_said(world, tmp_path):
    """Whoever may add can add as many as he likes: nobody gets a line, or a row, for each."""
    world.simple(plain_tree(tmp_path / 'tree', files=2))
    world.ok('run', 'job')
    plant(world, 'snapshots/testhost/job', 1100)
    plant(world, 'pins/testhost/job', 70)
    plant(world, 'plans/testhost', 70)
    result = world('list', 'job')
    assert result.status == INCOMPLETE and len(result.ids) == 1001, result.status
    assert 'warning: sink \'disk\': 100 more snapshots cannot be read, and are not shown' in result.err
    assert 'warning: sink \'disk\': 20 more such warnings were left out; -v says all' in result.err
    assert result.err.count("'pins/") == 50
    assert world('-v', 'list', 'job').err.count("'pins/") == 70
    result = world.ok('run', 'job')
    assert result.err.count("'plans/") == 50 and 'more such warnings were left out' in result.err
    assert_same_tree(tmp_path / 'tree', world.restored() / 'tree')


@pytest.mark.long
def test_of_many_hosts_a_few_are_shown(world, tmp_path):
    """Those of this machine's own jobs are, whatever comes before them in the alphabet."""
    world.simple(plain_tree(tmp_path / 'tree', files=2))
    world.ok('run', 'job')
    for i in range(10_050):
        plant(world, f'snapshots/a{i}/job', 1)
    result = world('status', '--all-hosts', '--sink', 'disk')
    assert result.status == DAMAGED and 'there are more than 10000 hosts and jobs' in result.text, result.err
    assert 'the 51 snapshots of the others' in result.text and 'testhost' in result.out
