"""The power goes while prune or gc is at work: what is kept stays whole, and the next one finishes."""
import subprocess

import pytest
from power import Disk

from support.cuts import Cuts
from support.faults import sample
from support.removal import Directory, Removal

STEPS = {'prune': (lambda removal: None, ('prune', '--yes')), 'plan': (Removal.pruned, ('gc',)), 'sweep': (Removal.planned, ('gc',)),
         'now': (Removal.pruned, ('gc', '--now', '--yes'))}


def test_the_tool_loses_what_was_not_asked_for(tmp_path):
    """Otherwise the tests below prove nothing."""
    cuts = Cuts(tmp_path, {'old': b'o'})
    cuts.after = {'d/new': b'n'}
    cuts.lines = [f'1 write(3<{tmp_path}/.tmp/x>, "n", 1) = 1', f'1 mkdirat(4<{tmp_path}>, "d", 0700) = 0',
                  f'1 renameat2(4<{tmp_path}>, ".tmp/x", 5<{tmp_path}/d>, "new", RENAME_NOREPLACE) = 0',
                  f'1 unlinkat(4<{tmp_path}>, "old", 0) = 0', f'1 fsync(5<{tmp_path}/d>) = 0']
    assert cuts.states(4, 0)[:3] == [{'old': b'o'}, {'d/new': b''}, {}]
    assert {'d/new': b'', 'old': b'o'} in cuts.states(4, 0)
    assert cuts.states(5, 0)[0] == {'old': b'o'}, 'its directory is not durable'


def check_after(removal: Removal, words: tuple) -> None:
    """removal: what a machine that knows nothing finds."""
    removal.check_kept()
    removal.world.ok(*words)
    if words[0] == 'prune':
        removal.check_names()
        removal.check_whole()
    else:
        removal.check_collected()


@pytest.fixture
def removal(world, tmp_path) -> Removal:
    return Removal(world, Directory(tmp_path / 'repository')).make()


def strict(removal: Removal, step: str, wanted: int) -> None:
    before, words = STEPS[step]
    before(removal)
    place = removal.place
    cuts = Cuts(place.root, place.objects())
    removal.keep('begun')
    assert cuts.trace(removal.world, place.objects, *words).status == 0
    assert cuts.before.keys() != cuts.after.keys()
    assert not cuts.at(len(cuts))[1], 'not durable, and it has ended'
    count = 0
    numbers = cuts.numbers()
    for number in (numbers[i - 1] for i in sample(len(numbers), wanted)):
        for state in cuts.states(number, number):
            removal.reset('begun')
            for key in place.objects().keys() - state.keys():
                place.remove(key)
            for key, content in state.items():
                if place.objects().get(key) != content:
                    place.put(key, content)
            check_after(removal.elsewhere(), words)
            count += 1
    print(f'{step}: {count} states of {len(cuts)} calls')


@pytest.mark.parametrize('step', STEPS)
def test_on_a_disk_that_keeps_nothing_else(removal, step):
    strict(removal, step, 3)


@pytest.mark.long
@pytest.mark.parametrize('step', STEPS)
def test_on_a_disk_that_keeps_nothing_else_at_each_call(removal, step):
    strict(removal, step, 10**6)


# ---- real file systems ----

def cut(world, faults, disk: Disk, step: str, wanted: int) -> None:
    """All processes and the power go at one moment."""
    before, words = STEPS[step]
    removal = Removal(world, Directory(disk.path / 'repository')).make()
    before(removal)
    removal.keep('begun')
    faults.kill_at(0, world, *words)
    for number in sample(faults.count(), wanted):
        removal.reset('begun')
        subprocess.run(['sync', '-f', disk.path], check=True)
        faults.kill_at(number, world, *words)
        disk.cut()
        disk.restart()
        check_after(removal.elsewhere(), words)


@pytest.mark.power
@pytest.mark.parametrize(('system', 'step'), [('ext4', 'now'), ('xfs', 'prune')])
def test_cut_after_any_call(world, faults, tmp_path, system, step):
    with Disk(tmp_path, system) as disk:
        cut(world, faults, disk, step, 2)


@pytest.mark.power
@pytest.mark.long
@pytest.mark.parametrize('step', STEPS)
@pytest.mark.parametrize('system', ['ext4', 'xfs'])
def test_cut_after_each_call(world, faults, tmp_path, system, step):
    with Disk(tmp_path, system) as disk:
        cut(world, faults, disk, step, 60)
