"""Archives and those who mean harm, or are just broken: keys, gpg, damage, forgeries, hostile tar archives."""
import os
import random
import shutil
import signal
import subprocess
import tarfile
from pathlib import Path

import pytest

from support import clock
from support.archive import forge, manifest, snapshots, sum_of, tar_of
from support.cli import BAD_CONFIG, DAMAGED, DONE, FAILED, INCOMPLETE, WRONG_KEY, execute, key_id
from support.gnupg import Gnupg, another_gpg, stop_agent
from support.oracle import assert_same_tree, compare_trees, tree_state
from support.records import records
from support.tree import plain_tree

PHRASE = 'correct horse'
FAILURES = {FAILED, WRONG_KEY, DAMAGED}


@pytest.fixture(scope='module')
def ring():
    gnupg = Gnupg()
    for name in ('alice', 'bob', 'mallory'):
        setattr(gnupg, name, gnupg.generate(name))
    gnupg.soon = gnupg.generate('soon', '30d')
    gnupg.expired = gnupg.generate('expired', '1d', when='20200101T000000')
    gnupg.revoked = gnupg.generate('revoked')
    gnupg.revoke(gnupg.revoked)
    gnupg.locked = gnupg.generate('locked', passphrase='key phrase')
    yield gnupg
    gnupg.close()


@pytest.fixture
def public(ring):
    """What a server has: the public keys alone."""
    gnupg = Gnupg()
    ring.give(gnupg)
    yield gnupg
    gnupg.close()


@pytest.fixture
def make(world, tmp_path, ring):
    """A function that makes a job with one small archive, run once; gives its snapshot."""
    def archive(how: str = 'recipients', run: bool = True, **options) -> Path | None:
        tree = tmp_path / 'tree'
        if not tree.exists():
            tree.mkdir()
            (tree / 'a').write_bytes(b'some words ' * 30)
            (tree / 'b').write_bytes(random.Random(1).randbytes(200))
        world.source('tree', tree)
        base = {'none': {'encryption': 'none'}, 'recipients': {'encrypt_to': ring.alice, 'gnupg_home': ring.home}}
        if how == 'passphrase':
            secret = world.write('../keys/phrase', PHRASE)
            base['passphrase'] = {'passphrase': f'@file:{secret}'}
        world.section('sink disk', **({'plugin': 'local', 'path': tmp_path / 'disk', 'format': 'archive'} | base[how] | options))
        world.job()
        world.ok('init', 'disk')
        if not run:
            return None
        world.ok('run', 'job')
        return snapshots(tmp_path / 'disk')[-1]

    yield archive
    stop_agent(tmp_path / 'state' / 'gnupg')


# ---- keys

@pytest.mark.parametrize('key, words', [('expired', 'has expired'), ('revoked', 'was revoked'), (None, 'is not in')])
@pytest.mark.parametrize('option', ['encrypt_to', 'sign_with'])
def test_keys_that_cannot_be_used_are_named_before_anything_is_read(world, tmp_path, make, ring, key, option, words):
    fingerprint = getattr(ring, key) if key else 'A' * 40
    make(run=False, **({'encrypt_to': f'{ring.alice}, {fingerprint}'} if option == 'encrypt_to' else {option: fingerprint}))
    for command in (('check',), ('run', 'job')):
        log = tmp_path / 'trace'
        result = world.fails(WRONG_KEY, *command)
        assert words in result.text and fingerprint in result.text, result
    assert not list((tmp_path / 'disk').glob('job/*/*'))


def test_a_key_without_use_does_not_stop_the_other_sinks(world, tmp_path, make, ring):
    make(run=False, encrypt_to=ring.expired)
    world.section('sink other', plugin='local', path=tmp_path / 'other', format='archive', encryption='none')
    world.job(sinks='disk, other')
    world.ok('init', 'other')
    result = world.fails(INCOMPLETE, 'run', 'job')
    assert ring.expired in result.err and snapshots(tmp_path / 'other') and not snapshots(tmp_path / 'disk')


def test_warning_before_a_key_expires(world, make, ring):
    make(run=False, encrypt_to=f'{ring.alice}, {ring.soon}')
    for command in (('check',), ('run', 'job')):
        result = world.ok(*command)
        assert ring.soon in result.text and 'expires in 29 days' in result.text and ring.alice not in result.err
    [sink] = records(world)[-1]['sinks']
    assert ring.soon in sink['warning'] and sink['error'] is None


@pytest.mark.preload
def test_old_archives_open_with_keys_that_have_expired(world, tmp_path, make, ring, binary):
    make(encrypt_to=ring.soon, sign_with=ring.soon)
    result = world('restore', 'job', '--into', tmp_path / 'later', prefix=clock.ahead(90 * clock.DAY))
    assert result.status == DONE, result
    assert_same_tree(tmp_path / 'tree', tmp_path / 'later' / 'tree')


def test_a_secret_key_with_a_passphrase(world, tmp_path, make, ring):
    make(encrypt_to=ring.locked)
    stop_agent(ring.home)
    result = world.fails(WRONG_KEY, 'restore', 'job', '--into', tmp_path / 'no', timeout=30)
    assert 'key_passphrase' in result.text
    for text, status in (('wrong', WRONG_KEY), ('key phrase', DONE)):
        secret = world.write('../keys/locked', text)
        make(run=False, encrypt_to=ring.locked, key_passphrase=f'@file:{secret}')
        stop_agent(ring.home)
        result = world('restore', 'job', '--into', tmp_path / text, timeout=30)
        assert result.status == status, result
    assert_same_tree(tmp_path / 'tree', tmp_path / 'key phrase' / 'tree')


def test_a_server_with_public_keys_alone(world, tmp_path, make, public):
    """It saves, and checks hashes; it cannot read."""
    make(gnupg_home=public.home)
    result = world.ok('verify')
    assert 'only their hashes' in result.err
    assert 'no secret key' in world.fails(WRONG_KEY, 'restore', 'job', '--into', tmp_path / 'no').text


def test_a_snapshot_that_does_not_open_leaves_no_other_unread(world, tmp_path, make, ring, public):
    """Recipients have changed over time, and only one of them has his secret key here."""
    for name in ('bob', 'alice', 'bob'):
        make(run=False, encrypt_to=getattr(ring, name))
        world.ok('run', 'job')
    ring.give(public, ring.alice, secret=True)
    make(run=False, encrypt_to=ring.alice, gnupg_home=public.home)
    assert world.ok('verify').err.count('only their hashes') == 1
    [snapshot] = [s for s in snapshots(tmp_path / 'disk') if public('--decrypt', s / 'tree.tar.zst.gpg', check=False).returncode == 0]
    forge(snapshot, {'tree.tar.zst.gpg': ring('--recipient', ring.alice, '--encrypt', data=b'something else').stdout})
    assert snapshot.name in world.fails(DAMAGED, 'verify').text


def test_a_wrong_passphrase(world, tmp_path, make):
    make('passphrase')
    world.write('../keys/phrase', 'wrong')
    result = world.fails(WRONG_KEY, 'restore', 'job', '--into', tmp_path / 'no')
    assert 'passphrase' in result.text
    assert not [p for p in (tmp_path / 'no' / 'tree').rglob('*') if p.is_file()]


# ---- gpg

def fake_gpg(tmp_path: Path, script: str) -> dict:
    return {'prefix': another_gpg(tmp_path, script)}


FAULTS = {
    'killed at once': 'case "$*" in *--encrypt*) kill -9 $$;; esac; exec $real "$@"',
    'nonsense': 'case "$*" in *--encrypt*) cat >/dev/null; echo nonsense; exit 0;; esac; exec $real "$@"',
    'nothing': 'case "$*" in *--encrypt*) cat >/dev/null; exit 0;; esac; exec $real "$@"',
    'not encrypted': 'case "$*" in *--encrypt*) exec cat;; esac; exec $real "$@"',
    'fails': 'case "$*" in *--encrypt*) exit 2;; esac; exec $real "$@"',
}


@pytest.mark.parametrize('fault', FAULTS)
def test_a_gpg_that_fails(world, tmp_path, make, fault):
    before = make()
    kept = {p.name: p.read_bytes() for p in before.iterdir()}
    result = world.fails(FAILURES, 'run', 'job', timeout=60, **fake_gpg(tmp_path, FAULTS[fault]))
    assert 'gpg' in result.err or 'encrypt' in result.err
    assert snapshots(tmp_path / 'disk') == [before]
    assert kept == {p.name: p.read_bytes() for p in before.iterdir()}


def test_a_gpg_that_is_not_there(world, tmp_path, make):
    make()
    empty = tmp_path / 'empty'
    empty.mkdir()
    script = f'mount --bind {empty / "x"} /usr/bin/gpg && exec "$@"'
    (empty / 'x').write_text('')
    result = world.fails(FAILURES, 'run', 'job', prefix=('unshare', '-m', 'sh', '-c', script, 'sh'), timeout=60)
    assert 'gpg' in result.text and 'install' in result.text, result
    assert len(snapshots(tmp_path / 'disk')) == 1


def test_a_gpg_that_is_killed_in_the_middle(world, tmp_path, make):
    make()
    (tmp_path / 'tree' / 'large').write_bytes(os.urandom(40 << 20))
    fake = fake_gpg(tmp_path, 'case "$*" in *--encrypt*) [ -e %s/second ] && { $real "$@" & p=$!; sleep 0.02; kill -9 $p; wait $p; exit 2; };'
                             ' touch %s/second;; esac; exec $real "$@"' % (tmp_path, tmp_path))
    result = world.fails(FAILURES, 'run', 'job', timeout=60, **fake)
    assert len(snapshots(tmp_path / 'disk')) == 1, result
    assert not [p for p in (tmp_path / 'disk' / 'job').glob('*/*') if p.parent != snapshots(tmp_path / 'disk')[0]]


def test_a_gpg_that_hangs(world, tmp_path, make):
    make(stall_timeout='3s')
    (tmp_path / 'tree' / 'large').write_bytes(os.urandom(40 << 20))
    fake = fake_gpg(tmp_path, 'case "$*" in *--encrypt*) [ -e %s/second ] && { echo $$ > %s/hangs; exec sleep 1000; }; touch %s/second;; esac;'
                             ' exec $real "$@"' % (tmp_path, tmp_path, tmp_path))
    try:
        result = world.fails(FAILURES, 'run', 'job', **fake)
    finally:
        os.kill(int((tmp_path / 'hangs').read_text()), signal.SIGKILL)  # it is no child of ours: GPGME disowns it
    assert 'moved no byte' in result.err, result
    assert len(snapshots(tmp_path / 'disk')) == 1


def test_a_gpg_that_is_slow(world, tmp_path, make):
    make()
    fake = fake_gpg(tmp_path, 'case "$*" in *--encrypt*) sleep 2;; esac; exec $real "$@"')
    world.ok('run', 'job', **fake)
    assert len(snapshots(tmp_path / 'disk')) == 2
    world.ok('verify')


# ---- damage

def changes(data: bytes, every: bool):
    """Each byte flipped, and every length cut; or a sample of it."""
    places = range(len(data)) if every else sorted({0, len(data) // 2, len(data) - 1, *random.Random(2).sample(range(len(data)), 2)})
    for i in places:
        yield f'byte {i}', data[:i] + bytes([data[i] ^ (1 << i % 8)]) + data[i + 1:]
    for n in places:
        yield f'cut to {n}', data[:n]


def sweep(world, tmp_path, snapshot, every):
    expected = tree_state(tmp_path / 'tree')
    for path in sorted(snapshot.iterdir()):
        data = path.read_bytes()
        for what, changed in changes(data, every):
            path.write_bytes(changed)
            found = world('verify')
            assert found.status == DAMAGED, f'{path.name}: {what}\n{found}'
            into = tmp_path / 'into'
            result = world('restore', 'job', '--into', into)
            assert result.status != DONE, f'{path.name}: {what}\n{result}'
            wrong = [line for line in compare_trees(expected, tree_state(into / 'tree')) if 'sha256' in line] if (into / 'tree').exists() else []
            assert not wrong, f'{path.name}: {what}\n{wrong}'
            shutil.rmtree(into, ignore_errors=True)
        path.write_bytes(data)
    world.ok('verify')


@pytest.mark.parametrize('signed', [pytest.param(False, marks=pytest.mark.long), True])
def test_every_change_is_found(world, tmp_path, make, ring, signed):
    sweep(world, tmp_path, make(**({'sign_with': ring.bob} if signed else {})), every=False)


@pytest.mark.long
def test_every_byte_and_every_length(world, tmp_path, make, ring):
    sweep(world, tmp_path, make(sign_with=ring.bob), every=True)


@pytest.mark.parametrize('name', ['tree.tar.zst.gpg', 'SHA256SUMS', 'manifest.json.sig'])
def test_a_missing_file_is_found(world, tmp_path, make, ring, name):
    (make(sign_with=ring.alice) / name).unlink()
    assert ('not signed' if name.endswith('.sig') else name) in world.fails(DAMAGED, 'verify').text
    world.fails(FAILURES | {3}, 'restore', 'job', '--into', tmp_path / 'x')


# ---- forgeries

def by_somebody(public, ring, data: bytes) -> bytes:
    """Encrypted by one who has the public key."""
    return public('--recipient', ring.alice, '--compress-algo', 'none', '--encrypt', data=data).stdout


def false_tar(snapshot) -> bytes:
    info = tarfile.TarInfo('a')
    data = subprocess.run(['zstd', '-c'], input=tar_of([(info, b'false')]), capture_output=True, check=True).stdout
    return data


def one_entry(m: dict) -> None:
    m['sources'][0] |= {'entries': 1, 'bytes': 5}


def test_what_somebody_else_made_is_refused_with_sign_with(world, tmp_path, make, ring, public):
    snapshot = make(sign_with=ring.bob)
    forge(snapshot, {'tree.tar.zst.gpg': by_somebody(public, ring, false_tar(snapshot))}, one_entry)
    for command in (('restore', 'job', '--into', tmp_path / 'no'), ('ls', 'job'), ('cat', 'job', 'tree:a')):
        result = world.fails(FAILURES, *command)
        assert 'false' not in result.out
    assert 'signature' in world.fails(DAMAGED, 'verify').text
    # Signed by a key that is in the keyring, but is not the one.
    text = snapshot / 'manifest.json'
    signature = ring('--local-user', ring.mallory, '--detach-sign', '--output', '-', data=text.read_bytes()).stdout
    (snapshot / 'manifest.json.sig').write_bytes(signature)
    forge(snapshot, {'tree.tar.zst.gpg': (snapshot / 'tree.tar.zst.gpg').read_bytes()}, one_entry)
    (snapshot / 'manifest.json.sig').write_bytes(
        ring('--local-user', ring.mallory, '--detach-sign', '--output', '-', data=text.read_bytes()).stdout)
    assert ring.mallory in world.fails(FAILURES, 'restore', 'job@' + snapshot.name, '--into', tmp_path / 'no').text
    (snapshot / 'manifest.json.sig').unlink()
    assert 'not signed' in world.fails(FAILURES, 'restore', 'job@' + snapshot.name, '--into', tmp_path / 'no').text
    assert not list((tmp_path / 'no').rglob('a'))


@pytest.mark.parametrize('said', ['recipients', 'none', 'passphrase'])
def test_what_is_not_encrypted_as_configured_is_refused(world, tmp_path, make, ring, said):
    snapshot = make()
    data = false_tar(snapshot)
    packet = bytes([0xcb, 0xff]) + (len(data) + 6).to_bytes(4, 'big') + b'b\0' + bytes(4) + data  # a literal data packet
    variants = {'plain': data, 'literal packet': packet,
                'symmetric': ring('--passphrase', 'x', '--symmetric', data=data).stdout}
    for what, stored in variants.items():
        forge(snapshot, {'tree.tar.zst' + ('.gpg' if said != 'none' else ''): stored},
              lambda m: (one_entry(m), m.update(encryption=said)))
        result = world.fails(FAILURES, 'restore', 'job@' + snapshot.name, '--into', tmp_path / f'{said}-{what}')
        assert 'encrypted' in result.text, f'{what}\n{result}'
        assert not [p for p in (tmp_path / f'{said}-{what}').rglob('*') if p.is_file() and b'false' in p.read_bytes()]


# ---- hostile archives

def entry(name, kind=tarfile.REGTYPE, data=b'x', link='', **more):
    info = tarfile.TarInfo(name)
    info.type, info.linkname = kind, link
    for key, value in more.items():
        setattr(info, key, value)
    return info, data if kind == tarfile.REGTYPE else b''


OUTSIDE = ['../evil', '/tmp/evil-absolute', 'a/../../evil', '..', '/', './/../evil', 'a/./../../evil', '../../../../../../tmp/evil-up',
           'a//../../evil', '....//evil/..', 'a/..', './..']


def hostile() -> dict[str, bytes]:
    """At least 100 archives that want to write outside of their target, or to break the reader."""
    S, H, D, R = tarfile.SYMTYPE, tarfile.LNKTYPE, tarfile.DIRTYPE, tarfile.REGTYPE
    found = {}
    for i, name in enumerate(OUTSIDE):
        found[f'file {name}'] = tar_of([entry(name)])
        found[f'directory {name}'] = tar_of([entry(name, D)])
        found[f'symlink named {name}'] = tar_of([entry(name, S, link='x')])
        found[f'hard link to {name}'] = tar_of([entry('h', H, link=name)])
        found[f'pax path {name}'] = tar_of([entry('fine', pax_headers={'path': name})])
        found[f'through a symlink to {name}'] = tar_of([entry('s', S, link=name), entry('s/evil')])
        found[f'symlink then file {name}'] = tar_of([entry('s', S, link=name), entry('s')])
        found[f'hard link through a symlink {name}'] = tar_of([entry('s', S, link=name), entry('t', H, link='s/evil')])
    for kind in (tarfile.CHRTYPE, tarfile.BLKTYPE, tarfile.FIFOTYPE, tarfile.CONTTYPE, b'Z', b'M', b'V', b'N'):
        found[f'kind {kind}'] = tar_of([entry('odd', kind), entry('odd/evil')])
    plain = tar_of([entry('a'), entry('b')])
    found |= {
        'out of order': tar_of([entry('b'), entry('a')]), 'twice': tar_of([entry('a'), entry('a')]),
        'file as directory': tar_of([entry('a'), entry('a/b')]), 'empty': b'', 'zeros': bytes(10240), 'noise': os.urandom(5000),
        'cut': plain[:700], 'no end': plain[:1024], 'trailing': plain + b'evil' * 200, 'two archives': plain + plain,
        'negative size': plain[:124] + b'-0000000001\0' + plain[136:], 'huge size': plain[:124] + b'77777777777\0' + plain[136:],
        'base-256 size': plain[:124] + b'\x80' + b'\xff' * 11 + plain[136:], 'root as file': tar_of([entry('.')]),
        'long name': tar_of([entry('x' * 70000)]), 'deep': tar_of([entry('d/' * 3000 + 'x')]), 'empty name': tar_of([entry('')]),
        'NUL in pax': tar_of([entry('n', pax_headers={'path': 'n\0../evil'})]),
        'setuid': tar_of([entry('suid', mode=0o4777)]), 'huge uid': tar_of([entry('u', pax_headers={'uid': str(1 << 40)})]),
        'bad pax': plain.replace(b'ustar', b'ustaX'), 'xattr': tar_of([entry('x', pax_headers={'SCHILY.xattr.security.capability': 'x' * 20})]),
        'sparse map': tar_of([entry('s', pax_headers={'GNU.sparse.major': '1', 'GNU.sparse.minor': '0', 'GNU.sparse.name': '../evil',
                                                     'GNU.sparse.realsize': '9999999999'})]),
        'sparse 0.1': tar_of([entry('s', pax_headers={'GNU.sparse.map': '99999,1,0,1', 'GNU.sparse.size': '5'})]),
    }
    return found


def test_hostile_archives_write_nothing_outside(world, tmp_path, make):
    snapshot = make('none')
    cases = hostile()
    assert len(cases) >= 100
    watched = tmp_path / 'watched'
    watched.mkdir()
    evil = [Path('/tmp/evil'), Path('/tmp/evil-absolute'), Path('/tmp/evil-up'), tmp_path / 'evil', Path('/evil')]
    for number, (what, data) in enumerate(cases.items()):
        stored = subprocess.run(['zstd', '-c', '-1'], input=data, capture_output=True, check=True).stdout
        forge(snapshot, {'tree.tar.zst': stored}, plain=len(data))
        target = watched / str(number) / 'deep'
        target.mkdir(parents=True)
        result = world('restore', 'job', '--into', target / 'into', timeout=30)
        assert result.status in FAILURES | {INCOMPLETE}, f'{what}\n{result}'
        # find and rm, since what is there may be deeper than Python goes.
        found = set(execute(['find', watched, '-mindepth', '1', '-print0']).out.split('\0')[:-1])
        others = {path for path in found - {str(target), str(target.parent)} if not f'{path}/'.startswith(f'{target}/into/')}
        assert not others, f'{what}: {others}'
        assert not [p for p in evil if os.path.lexists(p)], what
        names = {path.rpartition('/')[2] for path in found} if what.startswith(('file', 'pax')) else set()
        assert 'evil' not in names, what
        subprocess.run(['rm', '-rf', watched / str(number)], check=True)


def test_what_lies_below_a_file_is_named_and_left_out(world, tmp_path, make):
    """It alone: all the others come back, also the file."""
    snapshot = make('none')
    data = tar_of([entry('a', data=b'aa'), entry('a/b', data=b'bb'), entry('a/c/d', data=b'dd'), entry('z', data=b'zz')])
    stored = subprocess.run(['zstd', '-c', '-1'], input=data, capture_output=True, check=True).stdout
    forge(snapshot, {'tree.tar.zst': stored}, lambda m: m['sources'][0].update(entries=4, bytes=8), plain=len(data))
    result = world.fails(INCOMPLETE, 'restore', f'job@{snapshot.name}', '--into', tmp_path / 'x')
    for path in ('a/b', 'a/c/d'):
        assert f"'{path}': in the snapshot it lies below 'a', which is no directory" in result.err, result
    assert '2 of 4 entries restored' in result.err
    assert {p.name: p.read_bytes() for p in (tmp_path / 'x/tree').iterdir()} == {'a': b'aa', 'z': b'zz'}


@pytest.mark.parametrize('change', [
    lambda m: m['files'][0].update(name='../../../etc/passwd'), lambda m: m['files'][0].update(name='/etc/passwd'),
    lambda m: m['files'][0].update(stored=-1), lambda m: m.update(files=None), lambda m: m.update(compress='rot13'),
    lambda m: m.update(apart=[{'source': 'tree', 'path': '../x', 'kind': 'file'}]), lambda m: m.update(sequence=0),
    lambda m: m.update(apart=[{'source': 'tree', 'path': 'x', 'kind': 'stream', 'status': 'whole', 'file': 'none', 'size': 1, 'void': 0,
                               'mode': 0, 'uid': 0, 'gid': 0}]),
    lambda m: m['sources'].append(m['sources'][0]), lambda m: m.update(job='other'), lambda m: m.update(kind='other'),
    lambda m: m.update(format=2), lambda m: m.update(features=['x']), lambda m: m.update(encryption='rot13'),
])
def test_manifests_that_cannot_be(world, tmp_path, make, change):
    snapshot = make('none')
    data = (snapshot / 'tree.tar.zst').read_bytes()
    forge(snapshot, {'tree.tar.zst': data}, change, plain=1)
    world.fails(FAILURES, 'restore', f'job@{snapshot.name}', '--into', tmp_path / 'x')
    world.fails(FAILURES, 'verify')


# ---- keys of repositories

@pytest.mark.parametrize('how', ['recipients', 'passphrase'])
def test_the_key_of_a_repository_comes_back(world, tmp_path, ring, how, public):
    tree = world.source('tree', plain_tree(tmp_path / 'tree', files=5))
    secret = world.write('../keys/phrase', PHRASE)
    there = {'recipients': {'recovery_to': f'{ring.alice}, {ring.bob}', 'gnupg_home': public.home},
             'passphrase': {'recovery_passphrase': f'@file:{secret}'}}[how]
    world.sink(**there)
    world.job()
    sheet = world.ok('init', 'disk').out
    there_is = key_id(world.key)
    assert f'cofre key recover disk {world.key} --id {there_is}' in sheet
    world.ok('run', 'job')
    assert 'a copy of the key is kept' in world.ok('check').text
    [wrapped] = world.objects('keys')
    key = world.key.read_bytes()
    assert (ring.decrypt(wrapped, PHRASE if how == 'passphrase' else None)) == key
    world.key.unlink()
    # A new host: nothing but the section, and the key of OpenPGP.
    if how == 'recipients':
        world.fails(WRONG_KEY, 'key', 'recover', 'disk', world.key, '--id', there_is)
        assert not world.key.exists()
        world.sink(**(there | {'gnupg_home': ring.home}))
    world.ok('key', 'recover', 'disk', world.key, '--id', there_is)
    assert world.key.read_bytes() == key and world.key.stat().st_mode & 0o777 == 0o600
    world.fails(FAILED, 'key', 'recover', 'disk', world.key, '--id', there_is)
    assert_same_tree(tree, world.restored() / 'tree')
    stop_agent(tmp_path / 'state' / 'gnupg')


def test_an_archive_has_no_key_to_recover(world, tmp_path):
    world.sink('plain', format='archive', encryption='none')
    result = world.fails(BAD_CONFIG, 'key', 'recover', 'plain', tmp_path / 'k')
    assert "sink 'plain': holds an archive, which has no key" in result.err and not (tmp_path / 'k').exists()


def test_without_recovery_init_says_what_is_lost(world, tmp_path, ring):
    world.source('tree', plain_tree(tmp_path / 'tree', files=2))
    world.sink()
    world.job()
    assert 'WITHOUT THE KEY FILE NOTHING IN THE REPOSITORY CAN EVER BE READ' in world.ok('init', 'disk').out
    assert 'recovery_to' in world.fails(BAD_CONFIG, 'key', 'recover', 'disk', tmp_path / 'k', '--id', key_id(world.key)).text
    world.sink(recovery_to=ring.expired, gnupg_home=ring.home)
    assert ring.expired in world.fails(WRONG_KEY, 'init', 'disk').text
    world.sink(recovery_to=ring.alice, gnupg_home=ring.home)
    assert 'no copy of the key' in world.ok('check').text
    world.ok('init', 'disk')
    world.ok('key', 'recover', 'disk', tmp_path / 'k', '--id', key_id(world.key))
    assert (tmp_path / 'k').read_bytes() == world.key.read_bytes()
