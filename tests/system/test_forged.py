"""What a put key that was stolen can do to other hosts, and to the one that it was stolen from: index objects and packs.

Whatever is there: the honest host's run ends with 0 and re-uses nothing of it, the full key restores every byte on a new
machine, `verify` finds all whole or names what lies, and nobody needs much memory.
"""
import json
import os
import random
import shutil
import struct
import sys
from types import SimpleNamespace

import nacl.bindings as sodium
import pytest

from support.cli import DAMAGED, DONE, execute
from support.decoder import H, Key, open_envelope
from support.forge import INDEX, Forger, file_record, fitting, index_body, object_key, store
from support.oracle import assert_same_tree
from support.tree import plain_tree

KNOWN = random.Random(5).randbytes(200_000)  # a file that everybody has, one day
MEMORY = 64 << 20

# The most memory that a process had, in KiB; by a small one in between, since a child begins with what its parent has.
MEASURE = 'import resource as r, subprocess, sys; status = subprocess.call(sys.argv[1:]); ' \
    'print(r.getrusage(r.RUSAGE_CHILDREN).ru_maxrss); sys.exit(status)'


def on_a_new_machine(world):
    shutil.rmtree(world.base / 'cache', ignore_errors=True)
    shutil.rmtree(world.base / 'state', ignore_errors=True)


@pytest.fixture
def thief(world, tmp_path):
    """A host with a put key has stored a tree. What the thief of another host's put key can make, and what he knows."""
    world.simple(plain_tree(tmp_path / 'tree', files=8))
    (tmp_path / 'news').mkdir()
    world.source('news', tmp_path / 'news')
    world.job(sources='tree, news')
    world.sink(key=world.put_key('own.key'))
    world.ok('run', 'job')
    made = SimpleNamespace(forger=Forger(world.put_key('web.key', 'web')), copied=Forger(world.base / 'keys' / 'own.key'))
    made.objects = [made.forger.read_index(path) for path in world.objects('index')]
    made.packs = [pack for _, packs in made.objects for pack in packs]
    made.repository, made.known = world.repository, made.forger.chunk_id(KNOWN)
    made.wanted = [row[0] for _, _, rows in made.packs for row in rows] + [made.known]
    return made


# ---- index objects: rows about the honest host's packs

def rows_changed(change):
    return lambda t, f, host: [('index', f.first_index(host, [(name, size, change(t, rows)) for name, size, rows in t.packs]))]


def rotated(_, rows):
    return [(rows[i - 1][0], *row[1:]) for i, row in enumerate(rows)]


def lengths_moved(_, rows):
    """The first chunk a byte longer, the last one shorter."""
    if len(rows) < 2:
        return rows
    moved = [(row[0], row[1] + 1, row[2], row[3]) for row in rows[1:]]
    return [(*rows[0][:2], rows[0][2] + 1, rows[0][3]), *moved[:-1], (*moved[-1][:2], rows[-1][2] - 1, rows[-1][3])]


def others(t, rows):
    """What is in other packs, and what will be."""
    return [(t.wanted[-1 - i], *row[1:]) for i, row in enumerate(rows)]


# ---- index objects: rows about packs that are not what they are said to be

def of_absent(count, size=None):
    """Of packs that nobody has."""
    def make(t, f, host):
        ids = (t.wanted * count)[:count]
        return [('index', f.first_index(host, [(os.urandom(32), size or 104 + 61 * count + 24, fitting(ids, size or 104 + 61 * count + 24))]))]
    return make


def of_another_size(t, f, host):
    grown = [(name, size + 1, [*rows[:-1], (*rows[-1][:2], rows[-1][2] + 1, rows[-1][3])]) for name, size, rows in t.packs]
    return [('index', f.first_index(host, grown))]


def malformed(change):
    """A body that no honest writer makes; the size of the pack, which is there, and its rows are changed."""
    def make(t, f, host):
        name, size, rows = t.packs[0]
        size, rows = change(size, rows)
        return [('index', f.first_index(host, [(name, size, rows)]))]
    return make


def one(size, rows, *change):
    """The first row with that place and lengths instead."""
    return size, [(rows[0][0], *change), *rows[1:]]


BODIES = {
    'overlapping': malformed(lambda size, rows: (size, [rows[0], *rows])),
    'with a gap': malformed(lambda size, rows: (size, rows[1:])),
    'ending early': malformed(lambda size, rows: (size, rows[:-1])),
    'of the hole': malformed(lambda size, rows: (size, [(bytes(32), *rows[0][1:]), *rows[1:]])),
    'none': malformed(lambda size, rows: (size, [])),
    '65,537': malformed(lambda size, rows: (104 + 61 * 65537 + 24, fitting([rows[0][0]] * 65537, 104 + 61 * 65537 + 24))),
    'beyond the pack': malformed(lambda size, rows: one(size, rows, size, rows[0][2], 5)),
    'far beyond': malformed(lambda size, rows: one(size, rows, 2**32 - 1, 2**32 - 1, 5)),
    'in the header': malformed(lambda size, rows: one(size, rows, 0, rows[0][2], 5)),
    'of no bytes': malformed(lambda size, rows: one(size, rows, *rows[0][1:3], 0)),
    'of 2 MiB + 1': malformed(lambda size, rows: one(size, rows, *rows[0][1:3], (2 << 20) + 1)),
    'of 4 GiB - 1': malformed(lambda size, rows: one(size, rows, *rows[0][1:3], 2**32 - 1)),
    'a bare tag': malformed(lambda size, rows: one(size, rows, 104, 16, 5)),
    'of a huge pack': malformed(lambda size, rows: (1 << 40, rows)),
    'of an empty pack': malformed(lambda size, rows: (0, rows)),
}


def body(change):
    """The bytes of a right body, changed."""
    return lambda t, f, host: [('index', f.envelope(INDEX, b'', change(index_body(host, t.packs))))]


def frame(of_body):
    return lambda t, f, host: [('index', f.envelope(INDEX, b'', b'', frame=of_body(index_body(host, t.packs))))]


def bomb(t, f, host):
    """Much that compresses to little: a few rows again and again, of packs that are not there."""
    row = struct.pack('<32sIII', t.known, 104, 60_000, 5)
    body = index_body(host, [])[:-4] + struct.pack('<I', 2000) + (os.urandom(32) + struct.pack('<QI', 200_000, 3) + row * 3) * 2000
    body += bytes((100 << 20) - len(body))
    return [('index', f.envelope(INDEX, b'', body + bytes([i]))) for i in range(2)]


def many_rows(t, f, host):
    """As many as an object can have, of packs that are not there, in many of them."""
    ids = [random.Random(i).randbytes(32) for i in range(40000)]
    size = 104 + 61 * len(ids) + 24
    rows = fitting(ids, size)
    return [('index', f.index(host, [(os.urandom(32), size, rows) for _ in range(4)])) for _ in range(3)]


def by_nobody(t, f, host):
    """Signed by a pair that nobody certified."""
    other = Forger.__new__(Forger)
    other.__dict__.update(f.__dict__)
    other.signer, other.secret = sodium.crypto_sign_seed_keypair(os.urandom(32))
    return [('index', other.index(host, t.packs))]


def of_another_repository(t, f, host):
    other = Forger.__new__(Forger)
    other.__dict__.update(f.__dict__, id=os.urandom(16))
    return [('index', other.index(host, t.packs))]


def object_changed(change):
    return lambda t, f, host: [('index', change(f.index(host, t.packs)))]


OBJECTS = {
    'with bytes to spare': body(lambda b: b + b'\0'),
    'cut in its body': body(lambda b: b[:-7]),
    'of more packs than it has': body(lambda b: b[:2 + b[0] + 8] + struct.pack('<I', 2**32 - 1) + b[2 + b[0] + 12:]),
    'of more rows than it has': body(lambda b: b[:2 + b[0] + 12 + 40] + struct.pack('<I', 65536) + b[2 + b[0] + 12 + 44:]),
    'of a host without a name': body(lambda b: b'\0\0' + b[2 + b[0]:]),
    'of a host with a long name': body(lambda b: struct.pack('<H', 300) + b'a' * 300 + b[2 + b[0]:]),
    'of a host that is a path': body(lambda b: b'\x09\0../../etc' + b[2 + b[0]:]),
    'empty inside': body(lambda b: b''),
    'a frame that says 1 GiB': frame(lambda b: b'\x28\xb5\x2f\xfd\xa0' + struct.pack('<I', 1 << 30) + b'\x01\0\0'),
    'a frame of unknown size': frame(lambda b: b'\x28\xb5\x2f\xfd\x00\x58\x01\0\0'),
    'no frame': frame(lambda b: b),
    'two frames': frame(lambda b: b'\x28\xb5\x2f\xfd\x20\x00\x01\0\0' * 2),
    'with a clear part': lambda t, f, host: [('index', f.envelope(INDEX, b'clear', index_body(host, t.packs)))],
    'cut': object_changed(lambda o: o[:-1]),
    'cut short': object_changed(lambda o: o[:100]),
    'empty': object_changed(lambda o: b''),
    'not signed': object_changed(lambda o: o[:-64] + bytes(64)),
    'garbage': object_changed(lambda o: os.urandom(5000)),
    'under another name': lambda t, f, host: [('index/' + os.urandom(32).hex(), f.index(host, t.packs))],
    'under no name': lambda t, f, host: [('index/notes.txt', b'hello')],
    'signed by nobody': by_nobody,
    'of another repository': of_another_repository,
    'a bomb': bomb,
    'many rows': many_rows,
    'large': lambda t, f, host: [('index', os.urandom(9 << 20))],
}


# ---- packs

def with_rows(make):
    """A pack, and an index object that says that it has every chunk that is wanted."""
    def both(t, f, host):
        data, rows = make(t, f)
        return [('packs', data), ('index', f.first_index(host, [(H(data), len(data), rows)]))]
    return both


def garbage(t, f):
    data = os.urandom(104 + 61 * len(t.wanted) + 2000)
    return data, fitting(t.wanted, len(data))


def zeros(t, f):
    data = bytes(104 + 61 * len(t.wanted) + 2000)
    return data, fitting(t.wanted, len(data))


def begins_well(t, f):
    data, _ = f.pack([(f.chunk_id(b'one'), b'one')])
    return data[:104] + garbage(t, f)[0][104:], fitting(t.wanted, len(garbage(t, f)[0]))


def other_content(t, f):
    """Sealed for the ids that are wanted, with content that has another."""
    return f.pack([(chunk_id, b'not this ' * 20) for chunk_id in t.wanted])


def false_directory(t, f):
    """It says of itself what is not in it, and so does the index object."""
    chunks = [(f.chunk_id(b'%d' % i), b'%d' % i) for i, _ in enumerate(t.wanted)]
    _, rows = f.pack(chunks)
    lies = [(wanted, *row[1:]) for wanted, row in zip(t.wanted, rows)]
    data, _ = f.pack(chunks, directory=lies)
    return data, lies


def false_lengths(t, f):
    chunks = [(chunk_id, b'x' * 99) for chunk_id in t.wanted]
    _, rows = f.pack(chunks)
    lies = [(*row[:3], 2 << 20) for row in rows]
    data, _ = f.pack(chunks, directory=lies)
    return data, lies


def unlike_its_directory(t, f):
    """The pack is well; the index object says that other chunks are in it."""
    data, rows = f.pack([(f.chunk_id(b'%d' % i), b'%d' % i) for i, _ in enumerate(t.wanted)])
    return data, [(wanted, *row[1:]) for wanted, row in zip(t.wanted, rows)]


def too_long(t, f):
    """Frames of more than a chunk can have."""
    data, rows = f.pack([(chunk_id, bytes(3 << 20)) for chunk_id in t.wanted[:3]])
    return data, [(*row[:3], 2 << 20) for row in rows]


def no_directory(t, f):
    data, rows = f.pack([(chunk_id, b'y' * 50) for chunk_id in t.wanted])
    return data[:-8] + bytes(8), rows


def tiny_chunks(t, f):
    """As many as a pack can have, with the wanted ones among them."""
    rng = random.Random(3)
    data = rng.randbytes(104 + 61 * 65536 + 24)
    return data, fitting(t.wanted + [rng.randbytes(32) for _ in range(65536 - len(t.wanted))], len(data))


def many_places(t, f, host):
    """Thirty packs of garbage, each said to have what is wanted, each in an index object of its own."""
    made = []
    for _ in range(30):
        data, rows = garbage(t, f)
        made += [('packs', data), ('index', f.index(host, [(H(data), len(data), rows)]))]
    return made


def strays(t, f, host):
    """Packs that no index object describes, and whose directories lie."""
    return [('packs', make(t, f)[0]) for make in (other_content, false_directory, false_lengths, garbage)]


def garbage_first(t, f, host):
    """The chunk that everybody will have, twice: garbage, and right."""
    data, rows = f.pack([(t.known, KNOWN)])
    return with_rows(lambda *_: (os.urandom(len(data)), rows))(t, f, host) + \
        [('packs', data), ('index', f.index(host, [(H(data), len(data), rows)]))]


PACKS = {
    'garbage': with_rows(garbage), 'zeros': with_rows(zeros), 'begin well': with_rows(begins_well),
    'of other content': with_rows(other_content), 'that lie about themselves': with_rows(false_directory),
    'that lie about lengths': with_rows(false_lengths), 'unlike their directory': with_rows(unlike_its_directory),
    'of long frames': with_rows(too_long), 'without a directory': with_rows(no_directory),
    'of tiny chunks': with_rows(tiny_chunks), 'in many places': many_places, 'that nobody describes': strays,
    'garbage first': garbage_first,
}

CASES = {
    'one byte': rows_changed(lambda t, rows: [(*row[:3], 1) for row in rows]),
    '2 MiB': rows_changed(lambda t, rows: [(*row[:3], 2 << 20) for row in rows]),
    'one byte less': rows_changed(lambda t, rows: [(*row[:3], max(1, row[3] - 1)) for row in rows]),
    'other ids': rows_changed(rotated), 'other lengths': rows_changed(lengths_moved), 'ids of others': rows_changed(others),
    'all of one chunk': rows_changed(lambda t, rows: [(t.wanted[0], *row[1:]) for row in rows]),
    'all of a known file': rows_changed(lambda t, rows: [(t.known, *row[1:3], len(KNOWN)) for row in rows]),
    'of absent packs': of_absent(20), 'of a large absent pack': of_absent(65536), 'of another size': of_another_size,
}
CASES = {f'rows: {name}': make for name, make in CASES.items()} | {f'rows {name}': make for name, make in BODIES.items()} | \
    {f'object: {name}': make for name, make in OBJECTS.items()} | {f'packs {name}': make for name, make in PACKS.items()}

# Whose key, and whose name: another host's, for itself or for the victim, or the victim's own, that was copied.
SIGNERS = {'web': ('forger', 'web'), 'as victim': ('forger', 'testhost'), 'own': ('copied', 'testhost')}


def look(world, made, tmp_path):
    """The honest host stores one file more, and then somebody restores on a new machine."""
    (tmp_path / 'news' / 'known').write_bytes(KNOWN)
    shutil.rmtree(world.base / 'cache')
    added = [line for line in world.ok('--json', 'run', 'job').json() if 'added' in line]
    assert len(KNOWN) < added[-1]['added'] < len(KNOWN) + 10_000, added
    on_a_new_machine(world)
    world.sink()
    restored = world.restored()
    for source in ('tree', 'news'):
        assert_same_tree(tmp_path / source, restored / source)
    names = {path.name for path in made}
    for words in (('verify', 'job'), ('verify', 'job', '--all')):
        result = world(*words)
        assert result.status == DONE or (result.status == DAMAGED and any(name in result.out for name in names)), result


def attack(world, thief, case, signer):
    key, host = SIGNERS[signer]
    return [store(thief.repository, *put, host=host) for put in CASES[case](thief, getattr(thief, key), host)]


@pytest.mark.parametrize('case, signer', [(case, list(SIGNERS)[i % 3]) for i, case in enumerate(CASES)])
def test_what_a_thief_stores(world, thief, tmp_path, case, signer):
    look(world, attack(world, thief, case, signer), tmp_path)


@pytest.mark.long
@pytest.mark.parametrize('signer', SIGNERS)
@pytest.mark.parametrize('case', CASES)
def test_whatever_any_thief_stores(world, thief, tmp_path, case, signer):
    look(world, attack(world, thief, case, signer), tmp_path)


# ---- what costs others

@pytest.mark.parametrize('case', ['object: a bomb', 'object: many rows', 'rows: of a large absent pack', 'packs of tiny chunks',
                                  'packs in many places', 'object: large'])
def test_memory_and_cache_of_others(world, thief, tmp_path, case):
    """Also when somebody stores it again and again."""
    def costs(*words):
        result = execute([sys.executable, '-c', MEASURE, *world.command('-q', *words)])
        assert result.status == DONE, result
        return int(result.out.split()[-1]) << 10, sum(path.stat().st_size for path in (world.base / 'cache').glob('*/segments/*'))
    before = costs('run', 'job'), costs('verify', 'job', '--quick')
    for _ in range(2):
        attack(world, thief, case, 'web')
    for words, (memory, cache) in zip((('run', 'job'), ('run', 'job')), before):
        shutil.rmtree(world.base / 'cache')
        more, larger = costs(*words)
        assert more - memory < MEMORY and larger - cache < MEMORY, (more >> 20, memory >> 20, larger >> 20)
    shutil.rmtree(world.base / 'cache')
    world.sink()
    more, larger = costs('restore', 'job', '--into', tmp_path / 'out')
    assert more - before[1][0] < 2 * MEMORY and larger - before[1][1] < MEMORY, (more >> 20, larger >> 20)


def test_a_false_place_is_said_once(world, thief, tmp_path):
    """However many rows point there; and few of others' places are tried at all."""
    for _ in range(6):
        attack(world, thief, 'packs garbage', 'web')
    # What the host itself says is gone.
    for path in world.objects('index'):
        if thief.forger.read_index(path)[0] == 'testhost':
            path.unlink()
    on_a_new_machine(world)
    world.sink()
    result = world.ok('restore', 'job', '--into', tmp_path / 'out')
    assert_same_tree(tmp_path / 'tree', tmp_path / 'out' / 'tree')
    assert 1 <= result.err.count('warning: ') <= 10, result


# ---- what is re-used

def first_of(world, tmp_path):
    """What a run with the file that everybody has adds, in bytes."""
    (tmp_path / 'news' / 'known').write_bytes(KNOWN)
    return [line for line in world.ok('--json', 'run', 'job').json() if 'added' in line][-1]['added']


def claim(thief):
    """With a copy of the host's key: an index object that says where the file is, and a pack of that size."""
    data, rows = thief.copied.pack([(thief.known, KNOWN)])
    name = store(thief.repository, 'packs', os.urandom(len(data))).name
    return store(thief.repository, 'index', thief.copied.index('testhost', [(bytes.fromhex(name), len(data), rows)]))


@pytest.mark.parametrize('lost', [(), ('cache',), ('state',), ('cache', 'state')])
def test_a_copied_key_says_what_is_there(world, thief, tmp_path, lost):
    claim(thief)
    for name in lost:
        shutil.rmtree(world.base / name)
    (tmp_path / 'news' / 'known').write_bytes(KNOWN)
    result = world.ok('run', 'job')
    assert 'does not remember to have stored' in result.err, result
    assert 'does not remember to have stored' not in world.ok('run', 'job').err
    on_a_new_machine(world)
    world.sink()
    assert_same_tree(tmp_path / 'news', world.restored() / 'news')


def test_a_lost_cache_costs_nothing(world, thief, tmp_path):
    first_of(world, tmp_path)
    shutil.rmtree(world.base / 'cache')
    assert first_of(world, tmp_path) < 10_000


def test_a_put_key_whose_state_was_lost_stores_again_once(world, thief, tmp_path):
    first_of(world, tmp_path)
    shutil.rmtree(world.base / 'state')
    assert first_of(world, tmp_path) > len(KNOWN)
    assert first_of(world, tmp_path) < 10_000


def test_a_full_key_whose_state_was_lost_looks_into_packs(world, thief, tmp_path):
    world.sink()
    first_of(world, tmp_path)
    shutil.rmtree(world.base / 'state')
    result = world.ok('run', 'job')
    assert 'does not remember' in result.err and 'are compared' in result.err, result
    assert first_of(world, tmp_path) < 10_000
    shutil.rmtree(world.base / 'state')
    for path in world.objects('packs'):
        path.write_bytes(bytes(path.stat().st_size))
    assert first_of(world, tmp_path) > len(KNOWN)
    on_a_new_machine(world)
    assert_same_tree(tmp_path / 'news', world.restored() / 'news')


def test_hosts_that_trust_each_other(world, thief, tmp_path):
    """They re-use what anybody says; a lost state is nothing to them."""
    first_of(world, tmp_path)
    shutil.rmtree(world.base / 'state')
    world.sink(key=world.put_key('new.key'), trust_hosts='yes')
    world.ok('key', 'accept', 'disk', 'testhost')
    assert first_of(world, tmp_path) < 10_000


def test_what_a_revoked_key_stored_is_not_relied_on(world, thief, tmp_path):
    """Not where hosts trust each other either; it is read, and what the machine itself has stored stays its own."""
    first_of(world, tmp_path)
    world.sink()
    world.ok('key', 'revoke', 'disk', world.base / 'keys' / 'own.key')
    world.sink(key=world.put_key('new.key'), trust_hosts='yes')
    assert first_of(world, tmp_path) < 10_000
    for place in ('state', 'cache'):
        shutil.rmtree(world.base / place)
    world.ok('key', 'accept', 'disk', 'testhost')
    assert first_of(world, tmp_path) > len(KNOWN)
    on_a_new_machine(world)
    world.sink()
    world.ok('key', 'accept', 'disk', 'testhost')
    assert_same_tree(tmp_path / 'news', world.restored() / 'news')


def test_emptied_packs_are_stored_again(world, thief, tmp_path):
    """Names and sizes stay, the content is gone: once that was found, it is not relied on."""
    for path in world.objects('packs'):
        path.write_bytes(bytes(path.stat().st_size))
    world.fails(DAMAGED, 'verify', 'job')
    world.ok('run', 'job')
    on_a_new_machine(world)
    world.sink()
    assert_same_tree(tmp_path / 'tree', world.restored() / 'tree')


# ---- copy

@pytest.mark.parametrize('case', ['rows: one byte', 'rows: other ids', 'packs garbage', 'packs of other content',
                                  'packs that lie about themselves', 'packs unlike their directory'])
def test_copy_takes_what_is_right(world, thief, tmp_path, case):
    attack(world, thief, case, 'web')
    on_a_new_machine(world)
    world.sink()
    world.sink('other', path=tmp_path / 'other')
    world.ok('init', 'other')
    world.ok('copy', 'job', '--from', 'disk', '--to', 'other')
    on_a_new_machine(world)
    shutil.rmtree(world.repository)
    world.job(sources='tree, news', sinks='other')
    assert_same_tree(tmp_path / 'tree', world.restored() / 'tree')
    world.ok('verify', 'job', '--all')


# ---- content that reaches beyond its chunk

def beyond(world, thief, length):
    """A snapshot of host web, of a patched program: a file of more bytes than its chunk has, and an index object that gives
    the chunk that length."""
    key = Key.load(world.key)
    path = world.objects('snapshots')[0]
    *_, manifest = open_envelope(key, b'cofremf1', 80, path.read_bytes(), path.name, 1 << 20)
    manifest = json.loads(manifest)
    small = thief.forger.chunk_id(b'only these')
    catalogue = file_record(b'', [], 0) + file_record(b'long', [(small, 0, 1_000_000)], 1_000_000) + \
        file_record(b'well', [(small, 5, 5)], 5)
    data, rows = thief.forger.pack([(small, b'only these'), (thief.forger.chunk_id(catalogue), catalogue)])
    store(thief.repository, 'packs', data, 'web')
    rows = [(*rows[0][:3], length), rows[1]]
    store(thief.repository, 'index', thief.forger.first_index('web', [(H(data), len(data), rows)]), 'web')
    source = next(source for source in manifest['sources'] if source['name'] == 'tree')
    source |= {'entries': 3, 'bytes': 1_000_005, 'catalogue_bytes': len(catalogue), 'catalogue': [
        {'id': thief.forger.chunk_id(catalogue).hex(), 'length': len(catalogue), 'first_record': 0, 'first_path': ''}]}
    manifest |= {'host': 'web', 'sources': [source], 'indexes': []}
    manifest.pop('previous', None)
    store(thief.repository, f'snapshots/web/job/{manifest["id"]}', thief.forger.manifest('web', 'job', manifest['id'], manifest))


@pytest.mark.parametrize('length', [len(b'only these'), 2 << 20])
def test_no_byte_beyond_a_chunk_reaches_a_file(world, thief, tmp_path, length):
    beyond(world, thief, length)
    on_a_new_machine(world)
    world.sink()
    world.section('engine', state_dir=world.base / 'state', cache_dir=world.base / 'cache', host='web')
    result = world.fails(DAMAGED, 'restore', 'job', '--into', tmp_path / 'out')
    assert 'beyond the end of a chunk' in result.err, result
    found = {path.name: path.read_bytes() for path in (tmp_path / 'out' / 'tree').rglob('*') if path.is_file()}
    assert found.pop('well') == b'these'
    assert not any(content.strip(b'\0') for content in found.values()), found
    assert 'long' in world.fails(DAMAGED, 'verify', 'job').text
    world.fails(DAMAGED, 'cat', 'job', 'tree:long')
    world.sink('other', path=tmp_path / 'other')
    world.ok('init', 'other')
    why = 'the pack itself does not' if length > 10 else 'beyond the end of a chunk'
    assert why in world.fails(DAMAGED, 'copy', 'job', '--from', 'disk', '--to', 'other').err


# ---- who is to blame

def pack_of_size(forger, size):
    """A right one, of something else."""
    content = random.Random(9).randbytes(size)
    for _ in range(9):
        data, _ = forger.pack([(forger.chunk_id(content), content)])
        if len(data) == size:
            return data
        content = content[:len(content) + size - len(data)]
    raise AssertionError('no such pack')


def test_a_pack_that_was_replaced_blames_nobody(world, thief, tmp_path):
    """It is the pack that is damaged, and not what describes it."""
    path = max(world.objects('packs'), key=lambda path: path.stat().st_size)
    path.write_bytes(pack_of_size(thief.forger, path.stat().st_size))
    on_a_new_machine(world)
    world.sink()
    result = world.fails(DAMAGED, 'verify', 'job')
    assert path.name in result.out and not any(found.name in result.out for found in world.objects('index')), result


def test_a_false_place_does_not_make_a_pack_doubted(world, thief, tmp_path):
    """Else anybody could have everything stored again."""
    attack(world, thief, 'rows: other ids', 'own')
    on_a_new_machine(world)
    world.sink()
    world.restored()
    assert not list((world.base / 'state').glob('repositories/*/damaged/*'))


# ---- the reference decoder

@pytest.mark.parametrize('case', ['rows: one byte', 'rows with a gap', 'object: cut', 'object: a frame that says 1 GiB', 'packs garbage',
                                  'packs of other content', 'packs that nobody describes', 'object: under no name'])
def test_the_decoder_decides_alike(world, thief, tmp_path, second_opinion, case):
    attack(world, thief, case, 'as victim')
    second_opinion(tmp_path / 'tree', world.snapshots()[0])


@pytest.mark.long
@pytest.mark.parametrize('store', ['s3'], indirect=True)
@pytest.mark.parametrize('case', CASES)
def test_what_a_thief_stores_in_a_bucket(world, thief, tmp_path, case):
    key, host = SIGNERS['web']
    made = []
    for kind, data in CASES[case](thief, getattr(thief, key), host):
        made.append(world.store.object(object_key(kind, data, host)))
        made[-1].write_bytes(data)
    look(world, made, tmp_path)
