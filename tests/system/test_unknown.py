"""What a reader does with what it does not know: docs/format.md, 2. The reference decoder does the same."""
import json
import os

import nacl.bindings as sodium
import pytest

from support import decoder
from support.cli import DAMAGED, DONE, INCOMPLETE
from support.decoder import H
from support.forge import Forger, store
from support.tree import plain_tree

NEW = '20200101T000000Z-ffffff'


@pytest.fixture
def made(world, tmp_path):
    world.simple(plain_tree(tmp_path / 'tree', files=6))
    world.sink(key=world.put_key('own', 'testhost'))
    world.ok('run', 'job')
    world.sink()
    world.forger = Forger(tmp_path / 'keys' / 'own')
    return world


def body_of(**members):
    """A snapshot with nothing in it, in which something may be other than it should."""
    return {'format': 1, 'features': [], 'id': NEW, 'job': 'job', 'host': 'testhost', 'version': '0.1.0', 'started': 5, 'ended': 6,
            'status': 'incomplete', 'added': 0, 'missed': [], 'indexes': [],
            'sources': [{'name': 'tree', 'plugin': 'directory', 'status': 'missing', 'error': 'none', 'options': [], 'facts': [],
                         'left_out_count': 0, 'left_out': [], 'entries': 0, 'bytes': 0, 'vanished': 0, 'problem_count': 0,
                         'problems': [], 'fingerprint_key': '00' * 16, 'catalogue_bytes': 0, 'catalogue': []}]} | members


def put(world, more_flags=0, sequence=1 << 40, **members):
    store(world.repository, f'snapshots/testhost/job/{NEW}',
          world.forger.manifest('testhost', 'job', NEW, body_of(**members), sequence, more_flags=more_flags))
    rows = world('--json', 'list', 'job').json()
    return next(row for row in rows if row.get('id') == NEW)


def decoded(world):
    return decoder.read_manifest(decoder.Repository(str(world.repository), str(world.key), True), f'testhost/job/{NEW}')


def test_another_kind_of_object(made):
    """Under a key of its own it is nobody's business."""
    for key in ('novelties/testhost/1', 'packs.old/x', 'README'):
        store(made.repository, key, os.urandom(99))
    for words in (('list', 'job'), ('run', 'job'), ('verify', 'job'), ('verify', 'job', '--all')):
        result = made.ok(*words)
        assert 'novelties' not in result.text and 'README' not in result.text, result


@pytest.mark.parametrize('key', ['packs/testhost/00/short', 'packs/testhost/x', 'index/testhost/notes', 'index/notes'])
def test_a_stranger_between_objects_is_named(made, key):
    store(made.repository, key, b'x')
    result = made('verify', 'job', '--all')
    assert key in result.text, result
    assert made('run', 'job').status == DONE


def test_a_member_of_json(made):
    assert put(made, novelty={'a': [1, 2]})['status'] == 'incomplete'
    assert decoded(made)['status'] == 'incomplete'


def test_a_flag(made):
    """It can be read; and no rule removes it, which would go without the flag."""
    made.ok('run', 'job')
    made.job(keep_last=1, keep_min=1)
    whole = body_of()['sources'][0] | {'status': 'complete'}
    del whole['error']
    for flags, action in ((0, 'remove'), (1 << 20, 'keep')):
        assert put(made, flags, sequence=1, status='complete', sources=[whole])['status'] == 'complete'
        assert decoded(made)['status'] == 'complete'
        decisions = made('--json', 'prune', 'job', '--dry-run', '--yes').json()
        mine, = (row for row in decisions if row.get('id') == NEW)
        assert mine['action'] == action, decisions
    assert mine['reasons'] == ['its status is unknown to this version'], decisions


@pytest.mark.parametrize('members', [{'format': 2}, {'features': ['novelty']}])
def test_a_newer_manifest(made, members):
    assert put(made, **members)['status'] == 'unreadable'
    with pytest.raises(decoder.Bad):
        decoded(made)
    made.ok('run', 'job')
    assert made('list', 'job').status == INCOMPLETE


def test_another_magic(made):
    data = made.forger.envelope(b'cofremf9', bytes(92), json.dumps(body_of()).encode())
    store(made.repository, f'snapshots/testhost/job/{NEW}', data)
    result = made.fails(DAMAGED, 'verify', 'job')
    assert NEW in result.out and 'it has not the form of its kind' in result.out, result


@pytest.mark.parametrize('member, value', [('format', 2), ('features', ['novelty']), ('encryption', 'rot13')])
def test_a_newer_config(world, tmp_path, member, value):
    """Nothing of the repository is read, and nothing is stored in it."""
    world.simple(plain_tree(tmp_path / 'tree', files=6))
    world.ok('run', 'job')
    path = world.repository / 'config'
    line = json.loads(path.read_text().splitlines()[0]) | {member: value}
    text = json.dumps(line, separators=(',', ':')).encode()
    _, root = sodium.crypto_sign_seed_keypair(derive(world.key, 5))
    signature = sodium.crypto_sign(b'cofre config 1' + H(text), root)[:64]
    path.chmod(0o600)
    path.write_bytes(text + b'\n' + signature.hex().encode() + b'\n')
    for words in (('list', 'job'), ('run', 'job'), ('verify', 'job')):
        result = world(*words)
        assert result.status not in (DONE, INCOMPLETE) and "object 'config'" in result.err, result
    with pytest.raises(decoder.Bad):
        decoder.Repository(str(world.repository), str(world.key), True)


def derive(key, i):
    seed = bytes.fromhex(key.read_text().splitlines()[2].split(': ')[1])
    return decoder.hashlib.blake2b(b'', digest_size=32, key=seed, salt=decoder.struct.pack('<QQ', i, 0),
                                   person=b'cofrekey' + bytes(8)).digest()


def test_a_role(made):
    """A certificate with one that nobody knows is none, however well it is signed."""
    _, root = sodium.crypto_sign_seed_keypair(derive(made.key, 5))
    grant = bytes([1 | 4]) + b'testhost'.ljust(63, b'\0')
    signed = sodium.crypto_sign(b'cofre signer 1' + made.forger.id + made.forger.signer + grant, root)[:64]
    made.forger.certificate = grant + signed
    assert put(made)['status'] == 'unreadable'
    with pytest.raises(decoder.Bad):
        decoded(made)
