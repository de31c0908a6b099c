"""Pins, labels, and what verify notes of snapshots that are whole."""
import json
import os

import pytest

from support.cli import DAMAGED, DONE, FAILED, INCOMPLETE, USAGE
from support.tree import plain_tree

NOTE = 'year\'s end: 100% "ä"'


@pytest.fixture
def saved(world, tmp_path):
    """A job with two repositories and an archive; three snapshots, of which the second has a label."""
    plain_tree(tmp_path / 'tree', files=3)
    world.source('tree', tmp_path / 'tree')
    world.sink()
    world.sink('other', path=tmp_path / 'other')
    world.sink('plain', path=tmp_path / 'plain', format='archive', encryption='none')
    world.job(sinks='disk, other, plain')
    for sink in ('disk', 'other', 'plain'):
        world.ok('init', sink)
    for label in ((), ('--label', NOTE), ()):
        world.ok('run', 'job', *label)
    return world.snapshots()


def shown(world, snapshot, *options):
    [found] = world.ok('--json', 'show', f'job@{snapshot}', *options).json()[1:]
    return found


def test_a_pin_is_in_each_sink(world, saved, tmp_path):
    pins = world.ok('--json', 'pin', f'job@{saved[0]}', '--until', '2099-01-01T00:00Z', '--note', NOTE).json()[1:]
    assert [(pin['sink'], pin['pinned']) for pin in pins] == [('disk', True), ('other', True), ('plain', True)]
    for sink in ('disk', 'other', 'plain'):
        assert shown(world, saved[0], '--sink', sink)['pinned'] == {'until': '2099-01-01T00:00:00.000000000Z', 'note': NOTE}
        assert shown(world, saved[1], '--sink', sink)['pinned'] is None
    text = world.ok('--utc', 'show', f'job@{saved[0]}').out
    assert f'pinned    until 2099-01-01T00:00:00Z: {NOTE}' in text, text
    assert [line for line in world.ok('list', 'job').out.splitlines() if 'pinned' in line and saved[0] in line]
    stored = json.loads((tmp_path / 'plain' / 'pins' / 'job' / f'{saved[0]}.json').read_text())
    assert (stored['kind'], stored['until'], stored['snapshot']) == ('cofre pin', '2099-01-01T00:00:00.000000000Z', saved[0])
    world.ok('pin', f'job@{saved[0][:17]}' if len({i[:17] for i in saved}) == 3 else f'job@{saved[0]}', '--sink', 'disk')
    assert shown(world, saved[0], '--sink', 'disk')['pinned'] == {'until': None, 'note': ''}
    world.ok('unpin', f'job@{saved[0]}', '--sink', 'plain')
    assert shown(world, saved[0], '--sink', 'plain')['pinned'] is None
    result = world.ok('unpin', f'job@{saved[0]}')
    assert result.out.count(': unpinned') == 2 and result.out.count('was not pinned') == 1, result
    assert shown(world, saved[0])['pinned'] is None
    world.ok('verify', '--all')


def test_any_key_of_the_host_may_pin(world, saved):
    for key, allowed in ((world.put_key(), True), (world.prune_key(), True), (world.put_key('web.key', 'web'), False)):
        world.sink(key=key)
        result = world('pin', f'job@{saved[0]}', '--sink', 'disk')
        assert result.status == (DONE if allowed else FAILED), result
        assert allowed or "says nothing of snapshots of host 'testhost'" in result.err or 'may say nothing' in result.err, result


def test_what_cannot_be_pinned(world, saved, tmp_path):
    world.fails(FAILED, 'pin', 'job@20010101T000000Z-aaaaaa')
    world.fails(USAGE, 'pin', f'job@{saved[0]}', '--until', '2001-01-01')
    world.fails(USAGE, 'pin', f'job@{saved[0]}', '--until', 'soon')
    world.fails(USAGE, 'pin', f'job@{saved[0]}', '--note', 'x' * 1001)
    world.fails(USAGE, 'pin', 'nobody@latest')
    (tmp_path / 'other').rename(tmp_path / 'away')
    assert "sink 'other'" in world.fails(INCOMPLETE, 'pin', f'job@{saved[0]}').err
    assert shown(world, saved[1], '--sink', 'disk')['pinned'] is None


def test_a_label_is_shown(world, saved, second_opinion, tmp_path):
    assert [row['label'] for row in world.ok('--json', 'list', 'job').json()[1:]] == [None, NOTE, None]
    assert shown(world, saved[1], '--sink', 'plain')['label'] == NOTE
    assert NOTE in world.ok('list', 'job').out and f'label     {NOTE}' in world.ok('show', f'job@{saved[1]}').out
    second_opinion(tmp_path / 'tree', saved[1])
    for label in ('', 'x' * 201):
        world.fails(USAGE, 'run', 'job', '--label', label)


@pytest.mark.parametrize('sink', ['disk', 'plain'])
def test_what_cannot_be_read_is_said(world, saved, tmp_path, sink):
    """It may be what keeps the snapshot, and so it does: list and show do not pass over it in silence."""
    world.ok('pin', f'job@{saved[0]}', '--sink', sink)
    [pin] = [path for path in ((world.repository if sink == 'disk' else tmp_path / 'plain') / 'pins').rglob('*') if path.is_file()]
    pin.write_bytes(b'garbage')
    for words in (('list', 'job'), ('show', f'job@{saved[0]}')):
        result = world.fails(INCOMPLETE, *words, '--sink', sink)
        assert pin.name in result.err and 'cannot all be read' in result.err, result
        assert 'pinned?' in result.out or 'keeps it as a pin does' in result.out, result
        assert pin.name in world.fails(INCOMPLETE, '--json', *words, '--sink', sink).err
    assert 'pinned?' not in world.fails(INCOMPLETE, 'show', f'job@{saved[1]}', '--sink', sink).out
    world.job(sinks='disk, other, plain', keep_last=1, keep_min=1)
    result = world('prune', 'job', '--sink', sink, '--yes')
    assert pin.name in result.err and pin.exists(), result
    left = {row['id'] for row in world('--json', 'list', 'job', '--sink', sink).json()[1:]}
    assert left == {saved[0], saved[2]}, left


@pytest.mark.every_sink
def test_verify_notes_what_is_whole(world, tmp_path):
    """Of all content that was read, and not of names alone; and not of a snapshot that is damaged."""
    tree = plain_tree(tmp_path / 'tree', files=3)
    world.simple(tree)
    world.ok('run', 'job')
    (tree / 'more').write_bytes(os.urandom(500_000))
    world.ok('run', 'job')
    first, second = world.snapshots()
    assert not world.ok('verify', 'job', '--quick').err and not world.objects('proofs')
    world.ok('verify', f'job@{second}')
    assert [found.name for found in world.objects('proofs/verified/testhost/job')] == [second]
    world.ok('verify', 'job')
    proofs = world.objects('proofs')
    assert sorted(found.name for found in proofs) == [first, second]
    assert all(row['verified'] for row in world.ok('--json', 'list', 'job').json()[1:])
    new = max(world.objects('packs'), key=lambda pack: pack.stat().st_size)
    data = bytearray(new.read_bytes())
    data[len(data) // 2] ^= 1
    new.write_bytes(data)
    world.fails(DAMAGED, 'verify', 'job')  # what was noted of the second is taken back
    assert [found.name for found in world.objects('proofs')] == [first]


def test_that_it_cannot_be_noted_is_a_warning(world, tmp_path):
    world.simple(plain_tree(tmp_path / 'tree', files=3))
    world.ok('run', 'job')
    (world.repository / 'proofs').write_text('in the way')
    result = world.ok('verify', 'job')
    assert 'warning' in result.err and 'could not be noted' in result.err, result


@pytest.mark.parametrize('change, said', [
    ({'kind': 'cofre poem'}, "'kind'"), ({'archive': '0' * 32}, "'archive'"), ({'snapshot': 'another'}, "'snapshot'"), ({'features': 'x'}, "'features'"),
    ({'features': ['x']}, 'another format than 1'), ({'format': 2}, 'another format than 1'), ({'host': '../x'}, "'host'"),
    ({'created': 'once'}, "'created'"), ({'until': 7}, "'until'"), ({'note': None}, "'note'"), ({'note': 'x' * 2000}, "'note'"), (None, 'it is not JSON')])
def test_a_pin_of_an_archive_that_cannot_be_read_is_one(world, tmp_path, change, said):
    world.source('tree', plain_tree(tmp_path / 'tree', files=1))
    world.section('sink disk', plugin='local', path=tmp_path / 'disk', format='archive', encryption='none')
    world.job(keep_last=1, keep_min=1, prune='manual')
    world.ok('init', 'disk')
    for _ in range(2):
        world.ok('run', 'job')
    first, last = sorted(world.snapshots())
    world.ok('pin', f'job@{first}')
    pin = tmp_path / 'disk' / 'pins' / 'job' / f'{first}.json'
    pin.write_text(json.dumps(json.loads(pin.read_text()) | change) if change else '{')
    assert said in world.fails(INCOMPLETE, 'list').text
    pruned = world.ok('prune', 'job', '--yes')
    assert f"pins/job/{first}.json" in pruned.text and said in pruned.text and 'its snapshot is kept' in pruned.text
    assert sorted(world('list').ids) == [first, last]
    assert said not in world.ok('pin', f'job@{first}').text and said not in world.ok('prune', 'job', '--yes').text
    pin.unlink()
    world.ok('prune', 'job', '--yes')
    assert world.snapshots() == [last]
