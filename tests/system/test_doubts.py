"""Prune and gc never act on a doubt: whatever cannot be read, listed or believed, nothing that is wanted goes.

What there is of it elsewhere, by kind:

| kind | prune | gc |
|---|---|---|
| a listing in an archive, a sink with bad habits | test_prune.py test_of_a_sink_with_bad_habits_nothing_wanted_goes | |
| a manifest, a clock, a place in an archive | test_prune.py test_on_a_doubt_nothing_goes, test_a_clock_that_is_wrong | |
| a removal record that is none | test_removed.py test_a_record_that_is_none_explains_nothing, unit test_prune.c | |
| needs that are gone, damaged, of another snapshot | | test_gc.py test_nothing_goes_on_a_doubt |
| a plan, a clock that leapt | | test_gc.py, unit test_plan.c, test_garbage.c, test_gc_model.c |
| here: objects, places, keys (a directory); listings, locks, credentials, the store's clock (a bucket) | DISK, BUCKET | DISK, BUCKET |
"""
from __future__ import annotations

import json
import re
import struct
from collections.abc import Callable
from pathlib import Path

import nacl.bindings as sodium
import pytest

from support import clock
from support.bad_s3 import XML, Fault, cut, error, said
from support.cli import DAMAGED, DONE, FAILED, INCOMPLETE, NO_REPOSITORY, WRONG_KEY, World
from support.decoder import Repository
from support.forge import Forger, removed_row
from support.needs import read_needs
from support.removal import DAY, Bucket, Directory, Removal

PLAN, NEVER = b'cofrepl1', 10**6
CASES = []  # where, what is wrong, the verb, the status, what is said, may what nobody wants go


class Scene:
    """One place, made once: five snapshots, of which prune takes three; and, for gc, two, with a plan that is due."""

    def __init__(self, base: Path, binary: Path, place) -> None:
        self.world = World(base, binary)
        self.removal, self.place = Removal(self.world, place).make(), place
        self.removal.planned()
        self.removal.keep('planned')
        other = World(make(base / 'other'), binary)
        other.key = self.world.key
        self.other = Removal(other, Directory(other.repository)).make()
        self.other.planned()
        self.put_key, self.prune_key = self.world.put_key(), self.world.prune_key()
        self.web_key = self.world.prune_key('web.key', '--host', 'web')
        self.prefix, self.more = (), ()

    def begin(self, verb: str) -> None:
        self.removal.reset('made' if verb == 'prune' else 'planned')
        self.removal.sink(retry_for='1ms')
        self.world.job(keep_last=2, keep_min=1, prune='manual')
        self.prefix, self.more = (), ('--yes',)
        if isinstance(self.place, Bucket):
            self.place.server.faults.clear()
            self.place.store.ahead = 0

    def key(self, kind: str, which: int = -1) -> str:
        """Of the snapshots that are kept the newest is the last."""
        return self.first(f'{kind}/testhost/job/{self.removal.kept[which]}')

    def first(self, prefix: str) -> str:
        """What packing anew is going to leave is planned apart: of more than one it is the first."""
        return min(key for key in self.place.objects() if key.startswith(prefix))

    def repository_id(self) -> bytes:
        return bytes.fromhex(json.loads(self.place.objects()['config'].splitlines()[0])['repository'])

    def run(self, verb: str):
        words = ('prune', *self.more) if verb == 'prune' else ('gc',)
        return self.world(*words, prefix=self.prefix)


def make(path: Path) -> Path:
    path.mkdir(mode=0o700, parents=True)
    return path


@pytest.fixture(scope='module')
def disk(tmp_path_factory, binary) -> Scene:
    base = make(tmp_path_factory.mktemp('disk') / 'world')
    return Scene(base, binary, Directory(base / 'repository'))


@pytest.fixture(scope='module')
def bucket(tmp_path_factory, binary):
    base = make(tmp_path_factory.mktemp('bucket') / 'world')
    bucket = Bucket(base)
    yield Scene(base, binary, bucket)
    bucket.server.stop()


def doubt(where: str, words: str = '', prune: int | None = None, gc: int | None = None, name: str = '', marks=(),
          goes: bool | None = None):
    """What befalls a scene. status of each verb that it befalls. Nothing at all goes but when that is 0, or as goes says."""
    def register(spoil):
        for verb, status in (('prune', prune), ('gc', gc)):
            if status is not None:
                CASES.append(pytest.param(where, spoil, verb, status, words, status == DONE if goes is None else goes,
                                          id=f'{name or spoil.__name__}-{verb}', marks=marks))
        return spoil
    return register


# ---- an object that cannot be read ----

HARMS = {'garbage': lambda scene, key: b'garbage' * 40, 'truncated': lambda scene, key: scene.place.objects()[key][:-30],
         'empty': lambda scene, key: b'', 'newer': lambda scene, key: b'cofre?x2' + scene.place.objects()[key][8:],
         'turned': lambda scene, key: flipped(scene.place.objects()[key]),
         'of another repository': lambda scene, key: of_another(scene, key)}


def parts_of(key: Path) -> dict[str, bytes]:
    lines = dict(line.split(': ', 1) for line in key.read_text().splitlines()[1:])
    return {name: bytes.fromhex(value) for name, value in lines.items()}


ALIKE = {'empty', 'turned'}


def flipped(content: bytes) -> bytes:
    at = len(content) // 2
    return content[:at] + bytes([content[at] ^ 1]) + content[at + 1:]


def of_another(scene: Scene, key: str) -> bytes:
    kind = key.split('/')[0]
    return next(content for name, content in scene.other.place.objects().items() if name.startswith(kind + '/'))


def harm(kind: str, name: str, words: str = '', by: str = '', **statuses: int) -> None:
    """words: what is said instead of the object's name."""
    @doubt('disk', name=f'{kind} {name}' + (f', by a {by}' if by else ''), marks=pytest.mark.long if name in ALIKE else (), **statuses)
    def spoil(scene: Scene):
        if by:
            scene.removal.sink(key=scene.prune_key)
        key = scene.first('plans/') if kind == 'plans' else scene.key(kind, 0)
        scene.place.put(key, HARMS[name](scene, key))
        return words or key


for name in HARMS:
    harm('snapshots', name, prune=INCOMPLETE, gc=INCOMPLETE)
    harm('needs', name, 'written down anew', gc=INCOMPLETE)
    harm('needs', name, ' ', prune=DONE)
    harm('needs', name, by='prune key', gc=INCOMPLETE)
    harm('plans', name, gc=DONE)


# ---- what says more than is true ----

@doubt('disk', gc=DONE, words='holds what it should not')
def a_plan_of_all_by_a_put_key(scene: Scene):
    return forge_plan(scene, scene.put_key)


@doubt('disk', gc=DONE)
def a_plan_of_all_by_a_prune_key(scene: Scene):
    """It may say so. What is needed is struck off all the same."""
    forge_plan(scene, scene.prune_key)
    return ''


@doubt('disk', gc=DONE)
def a_plan_of_another_repository(scene: Scene):
    key = forge_plan(scene, scene.prune_key, repository=bytes(16))
    return key


def forge_plan(scene: Scene, key: Path, repository: bytes | None = None) -> str:
    name = 'plans/testhost/20260101T000000Z-abcdef'
    packs = sorted(bytes.fromhex(found.rpartition('/')[2]) for found in scene.place.objects() if found.startswith('packs/'))
    body = struct.pack('<qqI', 1, 1, len(packs)) + b''.join(packs)
    scene.place.put(name, Forger(key).placed(PLAN, name, repository or scene.repository_id(), body))
    return name


@doubt('disk', prune=DONE)
def a_record_of_what_is_kept_by_a_put_key(scene: Scene):
    return forge_record(scene, scene.put_key)


@doubt('disk', prune=DONE)
def a_record_of_what_is_kept_of_another_repository(scene: Scene):
    return forge_record(scene, scene.prune_key, repository=bytes(16))


@doubt('disk', prune=DONE)
def a_record_of_what_is_kept_of_a_newer_version(scene: Scene):
    return forge_record(scene, scene.prune_key, features=['more'])


@doubt('disk', prune=DONE)
def a_record_of_what_is_kept_of_another_job(scene: Scene):
    return forge_record(scene, scene.prune_key, job='other')


@doubt('disk', prune=DONE)
def a_record_that_is_cut(scene: Scene):
    key = forge_record(scene, scene.prune_key)
    scene.place.put(key, scene.place.objects()[key][:-9])
    return key


@doubt('disk', prune=DONE)
def a_record_that_is_empty(scene: Scene):
    key = forge_record(scene, scene.prune_key)
    scene.place.put(key, b'')
    return key


def forge_record(scene: Scene, by: Path, repository: bytes | None = None, **members) -> str:
    key, found = 'removed/testhost/job/20260101T000000Z-abcdef', scene.place.objects()
    rows = [removed_row(id, found[f'snapshots/testhost/job/{id}']) for id in scene.removal.kept]
    scene.place.put(key, Forger(by).removal(key, repository or scene.repository_id(), rows, **members))
    return key


@doubt('disk', 'written down anew', gc=INCOMPLETE)
def needs_of_another_snapshot(scene: Scene):
    scene.place.put(scene.key('needs', 0), scene.place.objects()[scene.key('needs', 1)])


@doubt('disk', 'written down anew', gc=INCOMPLETE)
def needs_gone(scene: Scene):
    scene.place.remove(scene.key('needs', 0))


@doubt('disk', gc=INCOMPLETE)
def needs_gone_for_a_prune_key(scene: Scene):
    scene.removal.sink(key=scene.prune_key)
    scene.place.remove(scene.key('needs', 0))
    return scene.key('snapshots', 0)


@doubt('disk', prune=INCOMPLETE, gc=INCOMPLETE)
def a_manifest_of_another_snapshot(scene: Scene):
    scene.place.put(scene.key('snapshots', 0), scene.place.objects()[scene.key('snapshots', 1)])
    return scene.key('snapshots', 0)


# ---- clocks ----

def wrong_clock(name: str, prefix: Callable[[], tuple], words: str = '', **statuses) -> None:
    @doubt('disk', words, name=name, marks=pytest.mark.preload, **statuses)
    def spoil(scene: Scene):
        scene.prefix, scene.more = prefix(), ()


wrong_clock('in 1970', lambda: clock.at('1970-01-02 00:00:00'), prune=INCOMPLETE, gc=INCOMPLETE, words='1970')
wrong_clock('in 2099', lambda: clock.at('2099-01-01 00:00:00'), prune=INCOMPLETE, words='years between')
wrong_clock('in 2099', lambda: clock.at('2099-01-01 00:00:00'), gc=DONE, goes=False)
wrong_clock('an hour back', lambda: clock.ahead(-clock.HOUR), prune=INCOMPLETE, gc=INCOMPLETE, words="clock")


# ---- not the place that it was ----

def replace(scene: Scene, objects: dict[str, bytes]) -> None:
    for key in scene.place.objects():
        scene.place.remove(key)
    for key, content in objects.items():
        scene.place.put(key, content)


@doubt('disk', prune=INCOMPLETE, gc=INCOMPLETE, words='never')
def another_repository(scene: Scene):
    replace(scene, scene.other.place.objects())


@doubt('disk', prune=INCOMPLETE, gc=INCOMPLETE)
def rolled_back(scene: Scene):
    """As it was before the newest snapshot."""
    newest = scene.key('snapshots')
    replace(scene, {key: content for key, content in scene.place.objects().items()
                    if key not in (newest, scene.key('needs'))})
    return newest.rpartition('/')[2]


@doubt('disk', prune=INCOMPLETE, gc=INCOMPLETE)
def no_snapshot_is_there(scene: Scene):
    replace(scene, {key: content for key, content in scene.place.objects().items() if not key.startswith('snapshots/')})
    return scene.removal.kept[-1]


@doubt('disk', prune=NO_REPOSITORY, gc=NO_REPOSITORY)
def nothing_is_there(scene: Scene):
    replace(scene, {})


@doubt('disk', prune=DAMAGED, gc=DAMAGED)
def its_config_is_garbage(scene: Scene):
    scene.place.put('config', b'garbage')


# ---- keys ----

@doubt('disk', prune=INCOMPLETE, gc=WRONG_KEY)
def a_put_key(scene: Scene):
    scene.removal.sink(key=scene.put_key)
    return 'cofre key prune'


@doubt('disk', prune=DONE, gc=DONE)
def a_put_key_and_another_machine_prunes(scene: Scene):
    scene.removal.sink(key=scene.put_key)
    scene.world.job(keep_last=2, keep_min=1, prune='elsewhere')


@doubt('disk', prune=INCOMPLETE, gc=DONE)
def the_prune_key_of_another_host(scene: Scene):
    """gc has nothing of that host to look after."""
    scene.removal.sink(key=scene.web_key)


@doubt('disk', prune=INCOMPLETE, gc=WRONG_KEY)
def a_prune_key_that_was_revoked(scene: Scene):
    signer = sodium.crypto_sign_seed_keypair(parts_of(scene.prune_key)['signer'])[0].hex()
    scene.world.ok('key', 'revoke', 'disk', signer)
    scene.removal.sink(key=scene.prune_key)


# ---- listings ----

def answer_list(keys: list[str], h, more: str = '') -> None:
    body = ''.join(f'<Contents><Key>{key}</Key><Size>{len(h.store.objects[key])}</Size><LastModified>{h.time_of(key)}</LastModified>'
                   '</Contents>' for key in keys)
    more = f'<NextContinuationToken>{more}</NextContinuationToken>' if more else ''
    said(f'{XML}<ListBucketResult><IsTruncated>{"true" if more else "false"}</IsTruncated>{more}{body}</ListBucketResult>')(h)


def all_of(h) -> list[str]:
    return [key for key in sorted(h.store.objects) if key.startswith(h.query['prefix'])]


def last_is_not_told(h) -> None:
    answer_list(all_of(h)[:-1], h)


def first_is_not_told(h) -> None:
    answer_list(all_of(h)[1:], h)


def nothing_is_told(h) -> None:
    answer_list([], h)


def fails_on_its_second_page(h) -> None:
    if 'continuation-token' in h.query:
        return error(403, 'AccessDenied')(h)
    return answer_list(all_of(h)[:1], h, 'more')


def repeats_a_page(h) -> None:
    answer_list(all_of(h)[:2], h, h.query.get('continuation-token', '') + 'x' if len(h.query.get('continuation-token', '')) < 3 else '')


def is_out_of_order(h) -> None:
    answer_list(all_of(h)[::-1], h)


def is_cut(h) -> bool:
    return cut(0.5)(h)


def listing(prefix: str, act, **statuses: int) -> None:
    @doubt('bucket', name=f'{prefix} {act.__name__}', **statuses)
    def spoil(scene: Scene):
        def of_those(h):
            return act(h) if h.query['prefix'].startswith(prefix) else True
        if prefix in ('removed/', 'pins/'):
            for number in range(3):
                scene.place.put(f'{prefix}testhost/job/2026010{number + 1}T000000Z-abcdef', b'garbage')
        scene.place.server.faults.append(Fault('list', of_those, NEVER))


# What keeps quiet about an object is found out where this machine knows better, and is no matter elsewhere.
for act in (last_is_not_told, nothing_is_told):
    listing('snapshots/', act, prune=INCOMPLETE, gc=INCOMPLETE)
    listing('plans/', act, gc=INCOMPLETE)  # its clock is among them
for prefix, statuses in {'snapshots/': {'prune': DONE, 'gc': DONE}, 'plans/': {'gc': DONE}}.items():
    listing(prefix, first_is_not_told, **statuses)
for act in (first_is_not_told, last_is_not_told, nothing_is_told):
    listing('needs/', act, prune=DONE, gc=INCOMPLETE)  # those that were written anew are found by their listing alone
    listing('removed/', act, prune=DONE)
    listing('packs/', act, gc=DONE)
for act in (repeats_a_page, is_out_of_order, is_cut):
    for prefix in ('snapshots/', 'needs/'):
        listing(prefix, act, prune=FAILED, gc=INCOMPLETE)
    for prefix in ('removed/', 'pins/'):
        listing(prefix, act, prune=FAILED)
    for prefix in ('packs/', 'plans/'):
        listing(prefix, act, gc=INCOMPLETE)
listing('snapshots/', fails_on_its_second_page, prune=FAILED, gc=INCOMPLETE)
listing('needs/', fails_on_its_second_page, prune=FAILED, gc=FAILED)
for prefix in ('removed/', 'pins/'):
    listing(prefix, fails_on_its_second_page, prune=FAILED)
for prefix in ('packs/', 'plans/'):
    listing(prefix, fails_on_its_second_page, gc=FAILED)


@doubt('bucket', 'has a pin that was not listed', prune=INCOMPLETE)
def a_pin_that_is_not_listed(scene: Scene):
    scene.world.ok('pin', f'job@{min(scene.removal.states)}')
    scene.place.server.faults.append(Fault('list', lambda h: nothing_is_told(h) if h.query['prefix'].startswith('pins/') else True, NEVER))


def needed_packs(scene: Scene) -> list[str]:
    copy = scene.removal.elsewhere().world
    repository = Repository(str(copy.repository), str(copy.key), True)
    begins = {name.hex() for id in scene.removal.kept for _, name in read_needs(repository, f'testhost/job/{id}')}
    return sorted(key for key in scene.place.objects() if key.startswith('packs/') and key.rpartition('/')[2][:16] in begins)


# ---- credentials, locks, the store's clock ----

def refuse(operation: str, kind: str, answer, **statuses: int):
    def befall(scene: Scene):
        def of_those(h):
            named = h.key if h.operation != 'remove-many' else re.findall('<Key>(.*?)</Key>', h.drain().decode())[0]
            return answer(h) if named.startswith(kind) else True
        for one in [operation] + ['remove-many'] * (operation == 'remove'):
            scene.place.server.faults.append(Fault(one, of_those, NEVER))
    return befall


def told(name: str, operation: str, kind: str, answer, words: str, **statuses) -> None:
    doubt('bucket', words, name=name, **statuses)(refuse(operation, kind, answer))


denied, locked = error(403, 'AccessDenied'), error(423)
told('may remove no manifest', 'remove', 'snapshots/', denied, 'may not', prune=INCOMPLETE)
told('may remove no needs', 'remove', 'needs/', denied, 'may not', prune=INCOMPLETE, goes=True)
told('may remove no pack', 'remove', 'packs/', denied, 'may not', gc=FAILED)
told('may remove no plan', 'remove', 'plans/', denied, '', gc=DONE)
told('may store no record', 'put', 'removed/', denied, 'may not', prune=INCOMPLETE)
told('may store no plan', 'put', 'plans/', denied, 'may not', gc=FAILED)
told('may read no manifest', 'get', 'snapshots/', denied, 'may not', prune=INCOMPLETE, gc=FAILED)
told('may read no needs', 'get', 'needs/', denied, 'may not', gc=FAILED)
told('manifests are locked', 'remove', 'snapshots/', locked, 'lock', prune=INCOMPLETE)
told('needs are locked', 'remove', 'needs/', locked, 'lock', prune=INCOMPLETE, goes=True)
told('packs are locked', 'remove', 'packs/', locked, 'locked', gc=DONE, goes=False)
told('plans are locked', 'remove', 'plans/', locked, '', gc=DONE)
told('index objects are locked', 'remove', 'index/', locked, '', gc=DONE)


def store_clock(name: str, days: float) -> None:
    """Plans count from that moment on; prune goes by the times of snapshots."""
    def spoil(scene: Scene):
        scene.place.store.ahead = days * DAY
    doubt('bucket', name=name, prune=DONE)(spoil)
    doubt('bucket', name=name, gc=DONE, goes=False)(spoil)


store_clock('the store is two days ahead', 2)
store_clock('the store is two days behind', -2)


# ---- what is done of it ----

def check(scene: Scene, verb: str, status: int, words: str, goes: bool, spoil) -> None:
    scene.begin(verb)
    before = scene.place.objects()
    words = spoil(scene) or words
    spoilt = scene.place.objects()
    result = scene.run(verb)
    after = scene.place.objects()
    assert result.status == status and words in result.text, result
    if not goes:
        kinds = ('packs/', 'snapshots/', 'needs/', 'index/', 'config')
        assert not [key for key in spoilt if key.startswith(kinds) and key not in after], result
    if status in (INCOMPLETE, FAILED, WRONG_KEY):
        assert 'hint: ' in result.err, result
    take_back(scene, before, spoilt)
    scene.removal.elsewhere().check_kept()


def take_back(scene: Scene, before: dict[str, bytes], spoilt: dict[str, bytes]) -> None:
    """What has befallen it, and that alone."""
    for key, content in before.items():
        if spoilt.get(key) != content:
            scene.place.put(key, content)
    for key in spoilt.keys() - before.keys() & scene.place.objects().keys():
        scene.place.remove(key)


@pytest.mark.parametrize('where, spoil, verb, status, words, goes', CASES)
def test_nothing_wanted_goes(request, where, spoil, verb, status, words, goes):
    check(request.getfixturevalue(where), verb, status, words, goes, spoil)


def test_a_planned_pack_that_is_needed_and_not_listed(bucket):
    """A run that began before the plan needs it. It is there, and its index object stays as well."""
    bucket.begin('gc')
    forge_plan(bucket, bucket.prune_key)
    hidden = needed_packs(bucket)[0]

    def hide(h):
        return answer_list([key for key in all_of(h) if key != hidden], h) if h.query['prefix'].startswith('packs/') else True

    bucket.place.server.faults.append(Fault('list', hide, NEVER))
    assert bucket.removal.gc()['removed']['objects'] > 0
    bucket.place.server.faults.clear()
    said = bucket.removal.elsewhere().world.ok('verify', '--all')
    assert 'no index describes' not in said.err, said


def test_a_pack_that_stands_in_two_plans(disk):
    """Of two machines that planned at the same time. It is removed, and counted, once."""
    disk.begin('gc')
    before = len([key for key in disk.place.objects() if key.startswith('packs/')])
    forge_plan(disk, disk.prune_key)
    found = disk.removal.gc()
    after = len([key for key in disk.place.objects() if key.startswith('packs/')])
    assert found['removed']['objects'] == before - after > 0, found
    assert found['planned']['objects'] < before, found


def test_what_another_prune_removes_meanwhile(bucket):
    """It was listed, and is gone when it is asked for: that is no damage, and in nobody's way."""
    bucket.begin('prune')
    gone, *others = sorted(key for key in bucket.place.objects() if key.startswith('snapshots/'))

    def take(h):
        if h.key == gone and gone in bucket.place.objects():
            bucket.place.remove(gone)
        return True

    bucket.place.server.faults.append(Fault('get', take, NEVER))
    result = bucket.run('prune')
    assert result.status == DONE and 'warning' not in result.err, result
    assert sorted(key for key in bucket.place.objects() if key.startswith('snapshots/')) == others[-2:]


def test_there_are_enough_of_them():
    assert len(CASES) >= 60
