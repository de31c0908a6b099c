"""Removal records are joined: each act of pruning leaves one, and what they explain stays explained when there are few again."""
import json
import shutil
from pathlib import Path

import pytest

from conftest import binary_path
from support.beside import beside
from support.cli import DAMAGED, DONE, World
from support.faults import sample
from support.forge import Forger, removed_row
from support.gnupg import Gnupg
from support.oracle import assert_same_tree
from support.tree import plain_tree

JOINED = 64  # so many are joined
PLAIN = {'format': 'archive', 'encryption': 'none'}
PLACES = {'repository': {}, 'archive': PLAIN}
POINTS, SHORT = 400, 6  # of a kill


def begin(world, gnupg, options: dict) -> None:
    world.source('tree', world.base / 'tree')
    world.sink(**options | ({'sign_with': gnupg.fingerprint('signer'), 'gnupg_home': gnupg.home} if gnupg else {}))
    world.job(prune='after_run', keep_last=2, keep_min=1)


@pytest.fixture(scope='module')
def signer():
    gnupg = Gnupg()
    gnupg.generate('signer')
    yield gnupg
    gnupg.close()


def make_begun(base: Path, options: dict, gnupg) -> None:
    world = World(base, binary_path())
    plain_tree(world.base / 'tree', files=2)
    begin(world, gnupg, options)
    world.ok('init', 'disk')
    run(world)
    world.ok('pin', 'job@latest')
    run(world, 2)
    shutil.copytree(place(world), world.base / 'early')
    shutil.copytree(world.base / 'state', world.base / 'early-state')
    run(world, JOINED - 1)
    assert len(records(world)) == JOINED - 1


@pytest.fixture(scope='module')
def begun(tmp_path_factory):
    """Of each kind of place, made once for all: the base of a world with one record less than are joined. The first snapshot is
    pinned: what was removed is a gap between snapshots."""
    bases = {}

    def of(kind: str, options: dict, gnupg) -> Path:
        if kind not in bases:
            bases[kind] = tmp_path_factory.mktemp(kind)
            make_begun(bases[kind], options, gnupg)
        return bases[kind]
    return of


@pytest.fixture(params=[*PLACES, pytest.param('signed', marks=pytest.mark.long)])
def made(request, begun, world):
    options = PLACES.get(request.param, PLAIN)
    gnupg = request.getfixturevalue('signer') if request.param == 'signed' else None
    base = begun(request.param, options, gnupg)
    for name in ('repository', 'state', 'tree', 'keys', 'early', 'early-state'):
        shutil.copytree(base / name, world.base / name, dirs_exist_ok=True)
    begin(world, gnupg, options)
    return world


def place(world) -> Path:
    return world.repository


def records(world) -> list[Path]:
    return sorted(path for path in place(world).glob('removed/**/*') if path.is_file() and path.suffix != '.sig')


def run(world, times: int = 1) -> None:
    for _ in range(times):
        (world.base / 'tree' / 'f').write_text(str(len(records(world))))
        world.ok('run', 'job')


def whole(world) -> None:
    world.ok('verify', '--quick')


def remove(world, id: str) -> None:
    """All that is of that snapshot, and nobody says so."""
    for path in list(place(world).rglob(f'*{id}*')):
        shutil.rmtree(path) if path.is_dir() else path.unlink(missing_ok=True)


def without_state(world) -> None:
    """What explains a gap must not be what this machine remembers."""
    shutil.rmtree(world.base / 'state')


def test_many_become_one(made):
    whole(made)
    run(made)
    assert len(records(made)) == 1
    whole(made)
    [record] = records(made)
    assert record.stat().st_size < 4096
    assert {path.name for path in place(made).glob('removed/**/*.sig')} <= {f'{record.name}.sig'}
    without_state(made)
    whole(made)
    run(made)
    whole(made)
    assert_same_tree(made.base / 'tree', made.restored() / 'tree')


@pytest.mark.long
@pytest.mark.parametrize('made', ['repository'], indirect=True)
def test_the_joined_one_is_joined_again(made):
    run(made, JOINED)
    assert len(records(made)) == JOINED
    whole(made)
    run(made)
    assert len(records(made)) == 1
    without_state(made)
    whole(made)


def test_what_stays_is_between(made):
    """Gaps between snapshots that are kept have each a row of their own."""
    _, _, second = made.snapshots()
    made.ok('pin', f'job@{second}')
    run(made, 3)
    assert len(records(made)) < 4
    third = made.snapshots()[-1]
    made.ok('pin', f'job@{third}')
    run(made, 3)
    whole(made)
    kept = place(made).rename(made.base / 'kept')
    shutil.copytree(kept, place(made))
    remove(made, third)
    result = made.fails(DAMAGED, 'verify', '--quick')
    assert 'missing' in result.text, result
    shutil.rmtree(place(made))
    kept.rename(place(made))
    without_state(made)
    whole(made)


def test_one_more_that_is_gone_is_still_found(made):
    run(made)
    _, newest, last = made.snapshots()
    remove(made, newest)
    result = made.fails(DAMAGED, 'verify', '--quick')
    assert 'missing' in result.text and last in result.text, result


def test_what_comes_back_is_named_and_stays(made):
    """What a range stands for was removed by those that it replaced, and by itself it removes nothing."""
    early = made.base / 'early'
    back = sorted(path.parent.name if path.name == 'manifest.json' else path.name
                  for path in [*early.glob('job/*/manifest.json'), *early.glob('snapshots/testhost/job/*')])[1]
    run(made)
    for path in early.rglob('*'):
        there = place(made) / path.relative_to(early)
        if path.is_file() and back in str(path.relative_to(early)):
            there.parent.mkdir(parents=True, exist_ok=True)
            shutil.copy(path, there)
    result = made.fails(DAMAGED, 'verify', '--quick')
    assert 'says that it was removed, and it is here' in result.text and back in result.text and 'missing' not in result.text, result
    told = [row for row in made.ok('prune', 'job', '--dry-run', '--json').json() if row.get('id') == back]
    assert told and not any('interrupted' in reason for row in told for reason in row['reasons']), told
    made.ok('pin', f'job@{back}')
    made.ok('prune', 'job')
    assert back in made.snapshots()


def test_old_records_that_come_back_say_the_same(made):
    """As when some could not be removed, or a place was put back in part."""
    shutil.copytree(place(made) / 'removed', made.base / 'removed')
    run(made)
    whole(made)
    shutil.copytree(made.base / 'removed', place(made) / 'removed', dirs_exist_ok=True)
    whole(made)
    run(made)
    whole(made)


def test_a_state_from_before(made):
    """A machine that was put back knows of no snapshot that is there; a range explains why."""
    run(made)
    without_state(made)
    shutil.copytree(made.base / 'early-state', made.base / 'state')
    whole(made)
    result = made.ok('list', 'job')
    assert 'is gone' not in result.text, result
    made.job(prune='manual', keep_last=1, keep_min=1)
    result = made.ok('prune', 'job')
    assert '1 removed' in result.text, result
    without_state(made)
    shutil.copytree(made.base / 'early-state', made.base / 'state')
    run(made)
    whole(made)


# A record is listed and read, and later listed and read once more for what it explains: each looks at it.
@pytest.mark.parametrize('nth', [1, 2, 3, 4])
def test_records_that_go_while_they_are_read(made, nth):
    """They were listed, and are joined before they are opened: whoever reads them then lists anew."""
    made.job(prune='manual', keep_last=2, keep_min=1)
    run(made)
    without_state(made)
    result = beside(made, records(made)[-1], nth, lambda: made.ok('prune', 'job'), 'verify', '--quick')
    assert len(records(made)) == 1
    assert result.status == DONE, result


def test_one_that_cannot_be_removed(made, faults):
    """The others are, and it goes when they are joined again; a signature stays for as long as what it is of."""
    result = faults.fail_at('unlinkat', 'EPERM', 9, made, 'run', 'job', below=place(made) / 'removed')
    assert len(records(made)) <= 2, result
    assert {path.stem for path in place(made).glob('removed/**/*.sig')} <= {path.name for path in records(made)}
    whole(made)


@pytest.mark.parametrize('made', ['repository'], indirect=True)
def test_anothers_records_stay(made):
    """A key joins what it has signed itself: what another says counts as long as that other may say it."""
    other = made.prune_key()
    made.sink(key=other)
    made.job(prune='manual', keep_last=1, keep_min=1)
    made.ok('prune', 'job')
    [theirs] = set(records(made)) - set(records(made)[:JOINED - 1])
    made.sink()
    run(made)
    made.ok('prune', 'job')
    assert len(records(made)) == 2 and theirs in records(made)
    whole(made)
    made.ok('key', 'revoke', 'disk', other, '--since', '2020-01-01')
    assert 'missing' in made.fails(DAMAGED, 'verify', '--quick').text


@pytest.mark.parametrize('made', ['archive'], indirect=True)
def test_of_several_hosts(made):
    """Each host's are its own, also where one folder holds those of all."""
    host = dict(cache_dir=made.base / 'cache')
    made.section('engine', state_dir=made.base / 'other', host='other', **host)
    run(made, 3)
    assert len(records(made)) == JOINED
    made.section('engine', state_dir=made.base / 'state', host='testhost', **host)
    run(made)
    assert len(records(made)) == 2
    whole(made)


@pytest.mark.parametrize('lie', [{'first_sequence': 0}, {'first_sequence': 9}, {'first_id': 'x'}, {'first_id': '20991120T000000Z-aaaaaa'},
                                 {'first_sequence': '1'}, {'first_sequence': None}, {'first_id': None}], ids=str)
def test_a_range_that_is_none(world, tmp_path, lie):
    """Such a record is damage, and explains nothing."""
    world.sink(**PLAIN)
    world.source('tree', plain_tree(tmp_path / 'tree', files=2))
    world.job(prune='manual', keep_last=1, keep_min=1)
    world.ok('init', 'disk')
    run(world, 4)
    world.ok('prune', '--yes')
    [record] = records(world)
    told = json.loads(record.read_text())
    rows = sorted(told['snapshots'], key=lambda row: row['sequence'])
    row = rows[2] | {'first_sequence': 1, 'first_id': rows[0]['id']}
    del row['previous']
    record.write_text(json.dumps(told | {'snapshots': [row]}))
    whole(world)
    record.write_text(json.dumps(told | {'snapshots': [{name: value for name, value in (row | lie).items() if value is not None}]}))
    assert record.name in world.fails(DAMAGED, 'verify', '--quick').text


def test_a_range_of_a_repository_is_held_against_its_neighbours(world, tmp_path):
    world.simple(plain_tree(tmp_path / 'tree', files=2))
    run(world, 6)
    ids, prune = world.snapshots(), Forger(world.prune_key())
    rows = [removed_row(id, (place(world) / 'snapshots' / 'testhost' / 'job' / id).read_bytes()) for id in ids]
    repository = bytes.fromhex(json.loads((place(world) / 'config').read_bytes().splitlines()[0])['repository'])
    for id in ids[1:4]:
        (place(world) / 'snapshots' / 'testhost' / 'job' / id).unlink()
    key = 'removed/testhost/job/20261120T000000Z-aaaaaa'
    (place(world) / key).parent.mkdir(parents=True, mode=0o700)
    joined = rows[3] | {'first_sequence': 2, 'first_id': ids[1], 'previous': rows[1]['previous']}
    for lie, fits in (({}, True), ({'hash': '11' * 32}, False), ({'previous': '22' * 32}, False), ({'first_sequence': 3, 'first_id': ids[2]}, False),
                      ({'sequence': 3}, False), ({'first_sequence': 9}, False), ({'first_id': ids[4]}, False)):
        (place(world) / key).write_bytes(prune.removal(key, repository, [joined | lie]))
        result = world('verify', '--quick')
        assert result.status == (DONE if fits else DAMAGED), (lie, result)


# ---- interrupted ----


def sweep(made, faults, tmp_path: Path, points: int) -> None:
    """Killed anywhere in it: nothing is less explained than it was, and the next one joins them."""
    made.job(prune='manual', keep_last=2, keep_min=1)
    run(made)
    changed = (place(made), made.base / 'state')
    for path in changed:
        shutil.copytree(path, tmp_path / f'kept-{path.name}')
    faults.kill_at(0, made, 'prune', 'job')
    for number in sample(faults.count(), points):
        for path in changed:
            shutil.rmtree(path)
            shutil.copytree(tmp_path / f'kept-{path.name}', path)
        faults.kill_at(number, made, 'prune', 'job')
        result = made('verify', '--quick')
        assert not any(word in result.text for word in ('missing', 'is gone', 'no removal record')), (number, result)
        made.ok('prune', 'job')
        whole(made)
        run(made)
        made.ok('prune', 'job')
        assert len(records(made)) <= JOINED + 2, number  # what stands in both stays until they are joined again
        whole(made)


def test_killed_anywhere(made, faults, tmp_path):
    sweep(made, faults, tmp_path, SHORT)


@pytest.mark.long
def test_killed_at_all_points(made, faults, tmp_path):
    sweep(made, faults, tmp_path, POINTS)
