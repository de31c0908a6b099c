"""Objects forged at random, with every key that somebody may have stolen and with none: nobody is given a byte that the honest
host did not store under that name, and no run of the honest host re-uses anything of it."""
import json
import random
import shutil
import subprocess
import sys
from pathlib import Path

import nacl.bindings as sodium
import pytest

from support.cli import DAMAGED, DONE, FAILED, INCOMPLETE, WRONG_KEY, World
from support.decoder import H
from support.forge import Forger, store
from support.oracle import assert_same_tree
from support.tree import plain_tree

COMBINATIONS = 200
DECODER = Path(__file__).parent / 'support' / 'decoder.py'
REFUSED = {FAILED, WRONG_KEY, DAMAGED}


def empty_snapshot(snapshot: str) -> dict:
    """A manifest in which nothing is wrong: a tree in which nothing is."""
    source = {'name': 'tree', 'plugin': 'directory', 'status': 'complete', 'options': [], 'facts': [], 'left_out_count': 0, 'left_out': [],
              'entries': 0, 'bytes': 0, 'vanished': 0, 'problem_count': 0, 'problems': [], 'fingerprint_key': '00' * 16,
              'catalogue_bytes': 0, 'catalogue': []}
    return {'format': 1, 'features': [], 'id': snapshot, 'job': 'job', 'host': 'testhost', 'version': 'x', 'started': 1, 'ended': 2,
            'status': 'complete', 'added': 0, 'missed': [], 'indexes': [], 'sources': [source]}


class Thief:
    """Makes what looks like something of the repository, with a stolen key or without any."""

    def __init__(self, world: World, chance: random.Random) -> None:
        self.world, self.chance, self.made = world, chance, []
        keys = world.base / 'keys'
        self.forgers = {name: Forger(keys / name) for name in ('web', 'revoked')}
        nobody = Forger(keys / 'web')  # a signer of his own, with somebody's certificate
        nobody.signer, nobody.secret = sodium.crypto_sign_seed_keypair(bytes(chance.randrange(256) for _ in range(32)))
        self.forgers['nobody'] = nobody
        web = self.forgers['web']
        self.honest = [pack for path in world.objects('index') for pack in web.read_index(path)[1]]

    def rows(self) -> list:
        """All that the honest host has, or lies about it."""
        length = self.chance.choice((None, 1, 2 << 20))
        shift = self.chance.choice((0, 0, 1))
        return [(name, size, [(chunk, offset + shift, stored, length or plain) for chunk, offset, stored, plain in rows])
                for name, size, rows in self.honest]

    def index(self, forger: Forger) -> None:
        """Of several that are equally good the one that is read first."""
        host = self.chance.choice(('web', 'testhost'))
        packs = self.rows()
        if self.chance.random() < 0.5:
            packs = self.garbage(forger, host)
        self.put('index', min((forger.index(host, packs, created) for created in range(8)), key=H), host)

    def garbage(self, forger: Forger, host: str) -> list:
        """A pack that holds other bytes under the ids of the honest host."""
        chunks = [(row[0], b'stolen ' * 10) for _, _, rows in self.honest for row in rows][:64]
        data, rows = forger.pack(chunks)
        self.put('packs', data, host)
        return [(H(data), len(data), rows)]

    def manifest(self, forger: Forger) -> None:
        """A real one of the thief's own, or none at all, under the name of the honest host."""
        snapshot = self.chance.choice(('20200101T000000Z', '20991231T235959Z', self.world.snapshots_made[-1][:16]))
        snapshot += f'-{self.chance.randrange(1 << 24):06x}'
        body = self.chance.choice((b'{}', b'[' * 5000, json.dumps({'format': 2}).encode(), b'{"format":1,"features":["x"]}',
                                   empty_snapshot(snapshot), empty_snapshot(snapshot)))
        key = f'snapshots/testhost/job/{snapshot}'
        self.put(key, forger.manifest('testhost', 'job', snapshot, body, self.chance.choice((1, 2, 3, 1 << 59))))

    def moved(self, forger: Forger) -> None:
        """An honest object under another name, or with a bit turned."""
        path = Path(self.chance.choice(self.world.objects(self.chance.choice(('snapshots', 'index', 'packs')))))
        data = bytearray(path.read_bytes())
        if self.chance.random() < 0.5:
            data[self.chance.randrange(len(data))] ^= 1 << self.chance.randrange(8)
        place = str(path.relative_to(self.world.repository)).split('/')[0]
        snapshot = f'20991230T000000Z-{self.chance.randrange(1 << 24):06x}'
        self.put(f'snapshots/testhost/job/{snapshot}' if place == 'snapshots' else place, bytes(data))

    def statement(self, forger: Forger) -> None:
        """What only the root may say."""
        kind = self.chance.choice(('revoked', 'accepted'))
        signer = self.world.own.signer
        said = {'format': 1, 'signer': signer.hex(), 'since': '2020-01-01T00:00:00.000000000Z', 'counting': [], 'host': 'testhost'}
        line = json.dumps(said, separators=(',', ':')).encode()
        key = f'signers/{kind}/' + (f'testhost/{forger.signer.hex()}' if kind == 'accepted' else signer.hex())
        self.put(key, line + b'\n' + forger.sign(b'cofre %s 1' % kind.encode() + H(line)).hex().encode() + b'\n')

    def put(self, key: str, data: bytes, host: str = 'testhost') -> None:
        if not (self.world.repository / key).is_file():  # a put key only adds
            self.made.append(store(self.world.repository, key, data, host))

    def strike(self) -> None:
        kinds = (self.index, self.index, self.manifest, self.moved, self.statement)
        for _ in range(self.chance.randrange(1, 5)):
            name, forger = self.chance.choice(sorted(self.forgers.items()))
            self.chance.choice(kinds)(forger)


@pytest.fixture
def victim(world, tmp_path):
    """'testhost' runs with a put key of its own; 'web' had one and lost it; so had 'testhost' before, which is revoked."""
    world.simple(plain_tree(tmp_path / 'tree', files=8))
    for name, host in (('own', 'testhost'), ('revoked', 'testhost'), ('web', 'web')):
        world.put_key(name, host)
    world.ok('key', 'revoke', 'disk', tmp_path / 'keys' / 'revoked')
    world.own = Forger(tmp_path / 'keys' / 'own')
    world.be = lambda machine, key=None: (
        world.section('engine', state_dir=tmp_path / machine / 'state', cache_dir=tmp_path / machine / 'cache', host='testhost'),
        world.sink(key=tmp_path / 'keys' / key if key else None))
    world.be('host', 'own')
    world.ok('run', 'job')
    shutil.copytree(tmp_path / 'tree', tmp_path / 'tree-1', symlinks=True)
    world.snapshots_made = [path.name for path in world.objects('snapshots')]
    return world


def decoded(world, snapshot: str, out: Path) -> bool:
    done = subprocess.run(['/usr/bin/python3', DECODER, world.repository, '--key', world.key, 'restore',
                           f'testhost/job/{snapshot}', out], capture_output=True, check=False)
    return done.returncode == 0


def one_combination(world, tmp_path, seed: int) -> None:
    chance = random.Random(seed)
    thief = Thief(world, chance)
    thief.strike()
    (tmp_path / 'tree' / 'new').write_bytes(chance.randbytes(50_000))
    if chance.random() < 0.3:
        shutil.rmtree(tmp_path / 'host', ignore_errors=True)  # the worst time to lose the state
    world.be('host', 'own')
    before = set(world.objects('snapshots'))
    world.ok('run', 'job')
    second, = (path.name for path in set(world.objects('snapshots')) - before)
    world.be('new')
    trees = {world.snapshots_made[0]: tmp_path / 'tree-1', second: tmp_path / 'tree'}
    for snapshot, tree in trees.items():
        assert_same_tree(tree, world.restored(f'job@{snapshot}', f'out-{snapshot}') / 'tree')
    for path in thief.made:
        snapshot = path.name
        if 'snapshots' in path.parts:
            assert world('restore', f'job@{snapshot}', '--into', tmp_path / f'out-{snapshot}').status in REFUSED
            assert not decoded(world, snapshot, tmp_path / 'out-forged')
    assert decoded(world, second, tmp_path / 'out-decoded')
    result = world('restore', 'job@latest', '--into', tmp_path / 'out-latest')
    assert result.status in REFUSED | {DONE, INCOMPLETE}
    if result.status == DONE:
        assert_same_tree(tmp_path / 'tree', tmp_path / 'out-latest' / 'tree')
    assert world('verify', 'job').status in {DONE, DAMAGED}


def reset(world, tmp_path, kept: Path) -> None:
    for place in ('repository', 'host', 'tree'):
        shutil.rmtree(tmp_path / place, ignore_errors=True)
        shutil.copytree(kept / place, tmp_path / place, symlinks=True)
    for path in (*tmp_path.glob('out-*'), tmp_path / 'new'):
        shutil.rmtree(path, ignore_errors=True)


def combinations(world, tmp_path, seeds) -> None:
    kept = tmp_path / 'kept'
    for place in ('repository', 'host', 'tree'):
        shutil.copytree(tmp_path / place, kept / place, symlinks=True)
    for seed in seeds:
        try:
            one_combination(world, tmp_path, seed)
        except AssertionError:
            print(f'combination {seed}', file=sys.stderr)
            raise
        reset(world, tmp_path, kept)


def test_forged_objects(victim, tmp_path):
    combinations(victim, tmp_path, range(8))


@pytest.mark.long
def test_forged_objects_in_every_combination(victim, tmp_path):
    combinations(victim, tmp_path, range(COMBINATIONS))
