"""What others may have put where cofre keeps its own things, or where it runs programs: it is not believed, not followed, not waited for."""
import os
import shutil
import subprocess
import time
from pathlib import Path

import pytest

from support.cli import BAD_CONFIG, CLEAN, DONE, FAILURES, WRONG_KEY, World, execute
from support.gnupg import Gnupg, stop_agent
from support.oracle import assert_same_tree
from support.tree import plain_tree

NOBODY = 65534
AS_NOBODY = ('setpriv', f'--reuid={NOBODY}', f'--regid={NOBODY}', '--clear-groups')
FORMER = ('.tmp', '.new', '.part')  # endings that could be foreseen


@pytest.fixture
def made(world, tmp_path):
    world.simple(plain_tree(tmp_path / 'tree', files=3))
    world.ok('run', 'job')
    return world


def own_files(world) -> list[Path]:
    """All that cofre keeps on this machine, but the objects of the repository."""
    places = (world.base / 'state', world.base / 'cache')
    return sorted(path for place in places for path in place.rglob('*') if path.is_file())


def of_nobody(path: Path) -> None:
    path.write_bytes(b'theirs')
    path.chmod(0o666)
    os.chown(path, NOBODY, NOBODY)


def put_link(path: Path) -> None:
    victim = path.parent / 'victim'
    victim.write_text('precious')
    path.symlink_to(victim)


PUT = {'fifo': lambda path: os.mkfifo(path, 0o666), 'link': put_link, 'foreign': of_nobody, 'directory': os.mkdir}


def take_away(path: Path) -> None:
    shutil.rmtree(path) if path.is_dir() and not path.is_symlink() else path.unlink()


@pytest.mark.parametrize('kind', PUT)
def test_what_stands_where_an_own_file_belongs(made, tmp_path, kind):
    """Either it does not matter, and all is stored, or it is named. Nothing waits, and nothing is written through it."""
    files = own_files(made)
    known = {'lock', 'history', 'expected', 'list', 'sent', 'tree.catalogue'}
    assert known <= {path.name.split('-')[0] for path in files}, files
    for number, path in enumerate(files):
        (tmp_path / 'tree' / 'more').write_text(str(number))
        kept = tmp_path / 'kept'
        path.rename(kept)
        PUT[kind](path)
        for words in (('run', 'job'), ('check',), ('list', 'job')):
            result = made(*words, timeout=60)
            assert result.status in FAILURES | {DONE}, (path, result)
            if result.status != DONE:
                assert str(path) in result.err, (path, result)
        if (victim := path.parent / 'victim').exists():
            assert victim.read_text() == 'precious', path
            victim.unlink()
        if kind == 'foreign' and path.stat().st_uid == NOBODY:
            assert path.read_bytes() == b'theirs', path
        take_away(path)
        kept.rename(path)
    made.ok('run', 'job')
    assert_same_tree(tmp_path / 'tree', made.restored() / 'tree')


@pytest.mark.parametrize('kind', ['fifo', 'foreign'])
def test_names_that_could_be_foreseen(made, tmp_path, kind):
    """Whoever made NAME.tmp before kept a descriptor of what was written there, and the file."""
    for path in own_files(made):
        for ending in FORMER:
            PUT[kind](Path(f'{path}{ending}'))
    (tmp_path / 'tree' / 'more').write_text('more')
    made.ok('run', 'job', timeout=60)
    made.ok('verify', 'job', timeout=60)
    for path in own_files(made):
        if path.suffix not in FORMER:
            assert path.stat().st_uid == 0 and path.read_bytes() != b'theirs', path


def test_what_a_killed_run_left_goes_with_the_next(made):
    [history] = (made.base / 'state').rglob('history')
    left = history.with_name('history.0123456789abcdef.tmp')
    others = [history.with_name(name) for name in ('history.tmp', 'history.0123456789abcdeX.tmp', 'other.0123456789abcdef.tmp')]
    for path in (left, *others):
        path.write_text('half')
    held = subprocess.Popen(['flock', '--no-fork', left, 'sleep', '60'])
    while subprocess.run(['flock', '--nonblock', left, 'true'], check=False).returncode == 0:
        time.sleep(0.01)
    made.ok('run', 'job')
    assert left.exists()  # its writer lives
    held.terminate()
    held.wait()
    made.ok('run', 'job')
    assert not left.exists() and all(path.exists() for path in others)


def test_a_key_file_that_others_could_take(world, tmp_path):
    theirs, shared = tmp_path / 'theirs', tmp_path / 'shared'
    theirs.mkdir(mode=0o755)
    os.chown(theirs, NOBODY, NOBODY)
    shared.mkdir()
    shared.chmod(0o1777)
    result = execute([world.binary, 'key', 'create', theirs / 'k.key'])
    assert result.status not in (DONE, 128) and str(theirs) in result.err and 'chown' in result.err, result
    assert list(theirs.iterdir()) == []
    tmp_path.chmod(0o755)
    foreseen = shared / 'k.key.tmp'
    of_nobody(foreseen)
    assert execute([world.binary, 'key', 'create', shared / 'k.key']).status == DONE
    key = shared / 'k.key'
    assert foreseen.read_bytes() == b'theirs' and key.stat().st_uid == 0 and key.stat().st_mode & 0o777 == 0o600
    assert b'seed' in key.read_bytes()
    shutil.copy2(key, theirs)
    result = execute([world.binary, 'key', 'show', theirs / 'k.key'])
    assert result.status == BAD_CONFIG and str(theirs) in result.err and 'chown' in result.err, result


@pytest.mark.parametrize('name', ['tree.incomplete', 'tree.incomplete.tmp'])
def test_a_restore_into_a_directory_of_somebody_else(made, tmp_path, name):
    """A marker of theirs says nothing, and a FIFO holds nothing up."""
    for kind in ('fifo', 'foreign', 'link'):
        into = tmp_path / kind
        into.mkdir(mode=0o755)
        os.chown(into, NOBODY, NOBODY)
        PUT[kind](into / name)
        result = made('restore', 'job', '--into', into, timeout=60)
        assert result.status == DONE and str(into) in result.err, result
        assert_same_tree(tmp_path / 'tree', into / 'tree')
        if kind == 'link':
            assert (into / 'victim').read_text() == 'precious'


def refused(world, path, *words):
    """By the command and by check: the place is named, and what mends it does."""
    for command in (words, ('check',), ('check', '--offline')):
        result = world.fails(BAD_CONFIG, *command)
        assert f"'{path}'" in result.err, result
        hints = [line.split('hint: ')[1] for line in result.err.splitlines() if 'hint: ch' in line]
        assert hints, result
    subprocess.run(['sh', '-c', hints[0]], check=True)
    world.ok(*words)


def owned(path: Path) -> None:
    os.chown(path, NOBODY, NOBODY)


def writable(path: Path) -> None:
    path.chmod(0o777)


def writable_by_group(path: Path) -> None:
    path.chmod(0o770)


@pytest.mark.parametrize('spoil', [owned, writable, writable_by_group])
@pytest.mark.parametrize('name', ['state', 'cache'])
def test_places_of_our_own(made, name, spoil):
    for path in (made.base / name, made.base):
        spoil(path)
        refused(made, path, 'run', 'job')
    assert made.base.stat().st_uid == 0


def test_a_state_made_first(world, tmp_path):
    """As below /tmp: it is theirs, and so would be what gpg reads there."""
    shared = tmp_path / 'tmp'
    shared.mkdir()
    shared.chmod(0o1777)
    world.section('engine', state_dir=shared / 'state', cache_dir=shared / 'cache', host='testhost')
    world.source('tree', plain_tree(tmp_path / 'tree', files=1))
    world.sink(format='archive', key=None, encryption=None, passphrase=f'@file:{world.write("../keys/phrase", "a long passphrase")}')
    world.section('sink disk', plugin='local', path=world.repository, format='archive', passphrase=f'@file:{tmp_path}/keys/phrase')
    world.job()
    (shared / 'state').mkdir(mode=0o755)
    os.chown(shared / 'state', NOBODY, NOBODY)
    for words in (('init', 'disk'), ('run', 'job'), ('check',), ('list', 'job')):
        result = world.fails(BAD_CONFIG, *words)
        assert f"'{shared}/state'" in result.err and 'state_dir' in result.err and 'chown' in result.err, result
    (shared / 'state').rmdir()
    world.ok('init', 'disk')
    world.ok('run', 'job')
    assert (shared / 'state').stat().st_mode & 0o7777 == 0o700
    stop_agent(shared / 'state' / 'gnupg')


def test_the_home_of_gpg(world, tmp_path):
    ring = Gnupg()
    try:
        alice = ring.generate('alice')
        home = tmp_path / 'gnupg'
        shutil.copytree(ring.home, home, ignore=lambda _, names: [name for name in names if name.startswith('S.')])
        world.source('tree', plain_tree(tmp_path / 'tree', files=1))
        world.section('sink disk', plugin='local', path=world.repository, format='archive', encrypt_to=alice, gnupg_home=home)
        world.job()
        world.ok('init', 'disk')
        for spoil in (owned, writable):
            home.chmod(0o700)
            spoil(home)
            refused(world, home, 'run', 'job')
        stop_agent(home)
    finally:
        ring.close()


@pytest.mark.parametrize('plugin, option, more', [
    ('postgres', 'bin_dir', {'database': 'x'}), ('postgres', 'sslrootcert', {'database': 'x'}), ('redis', 'server', {}),
    ('rsync', 'known_hosts', {'target': 'u@h:p'})])
def test_programs_and_what_tells_whom_to_believe(world, tmp_path, plugin, option, more):
    place = tmp_path / 'place'
    place.mkdir(mode=0o755)
    thing = place / 'thing'
    thing.write_text('')
    role = 'sink' if plugin == 'rsync' else 'source'
    world.section(f'{role} one', plugin=plugin, **{option: thing} | more, **({'encryption': 'none'} if role == 'sink' else {}))
    for spoil, path in ((owned, thing), (writable, thing), (owned, place), (writable, place)):
        thing.chmod(0o755)
        spoil(path)
        for command in (('check', 'one'), ('check', 'one', '--offline')):
            result = world(*command)
            assert result.status != DONE and f"'{path}'" in result.err and option in result.err and ' ch' in result.err, result
        os.chown(path, 0, 0)
        path.chmod(0o755)
    assert f"'{thing}'" not in world('check', 'one', '--offline').err


def test_somebody_in_his_own_home(tmp_path, binary):
    """Without a word about places: those of the user are used, made with mode 0700, and trusted."""
    home = tmp_path / 'home'
    home.mkdir(mode=0o755)
    for parent in (tmp_path, *list(tmp_path.parents)[:-2]):
        os.chmod(parent, os.stat(parent).st_mode | 0o011)
    world = World(home, binary)
    with world.for_everybody():
        world.section('engine', host='testhost')
        world.source('tree', plain_tree(home / 'tree', files=3))
        world.sink()
        world.job()
        subprocess.run(['chown', '-R', f'{NOBODY}:{NOBODY}', home], check=True)
        env = CLEAN | {'HOME': str(home)}
        for words in (('init', 'disk'), ('run', 'job'), ('check',), ('restore', 'job', '--into', home / 'back')):
            world.ok(*words, prefix=AS_NOBODY, env=env)
    assert_same_tree(home / 'tree', home / 'back' / 'tree')
    for below in ('.local/state/cofre', '.cache/cofre'):
        assert (home / below).stat().st_mode & 0o7777 == 0o700


# ---- what comes back with a file

@pytest.mark.parametrize('form', ['repository', 'archive'])
def test_attributes_that_give_rights(world, tmp_path, form):
    tree = plain_tree(tmp_path / 'tree', files=3)
    given = {'user.note': b'mine', 'trusted.overlay.opaque': b'y', 'security.foo': b'z'}
    for name in ('one', 'two'):
        (tree / name).write_text(name)
        for attribute, value in given.items():
            os.setxattr(tree / name, attribute, value)
    world.source('tree', tree)
    world.section('sink disk', plugin='local', path=world.repository, **(
        {'format': 'archive', 'encryption': 'none'} if form == 'archive' else {'key': world.key}))
    world.job()
    world.ok('init', 'disk')
    world.ok('run', 'job')
    result = world('restore', 'job', '--into', tmp_path / 'plain')
    for attribute in ('trusted.overlay.opaque', 'security.foo'):
        [line] = [line for line in result.err.splitlines() if f"'{attribute}'" in line]
        assert '(2)' in line and 'setuid' in line, result
    assert "'user.note'" not in result.err
    for name in ('one', 'two'):
        assert os.listxattr(tmp_path / 'plain' / 'tree' / name) == ['user.note']
    result = world.ok('restore', 'job', '--into', tmp_path / 'all', '--set', 'setuid=yes')
    assert_same_tree(tree, tmp_path / 'all' / 'tree')


# ---- the key that comes back

def test_the_key_of_somebody_else_does_not_come_back(world, tmp_path):
    """Who controls the sink can put a repository of his own there, with its id and wrapped to the same passphrase's recipient."""
    ring = Gnupg()
    try:
        there = {'recovery_to': ring.generate('alice'), 'gnupg_home': ring.home}
        world.source('tree', plain_tree(tmp_path / 'tree', files=2))
        world.job()
        sheets = {}
        for who in ('thief', 'admin'):
            world.sink(path=tmp_path / who, key=tmp_path / 'keys' / f'{who}.key', **there)
            sheets[who] = world.ok('init', 'disk').out
        world.ok('run', 'job')
        [command] = [line.strip() for line in sheets['admin'].splitlines() if 'cofre key recover' in line]
        words = command.split()[1:]
        ids = {who: sheet.split('Key id:')[1].split()[0] for who, sheet in sheets.items()}
        repository = sheets['thief'].split('Repository:')[1].split(',')[0].strip()
        assert words[:4] == ['key', 'recover', 'disk', str(tmp_path / 'keys/admin.key')] and words[4:] == ['--id', ids['admin']]
        key, found = tmp_path / 'keys' / 'admin.key', tmp_path / 'keys' / 'found.key'
        assert 'recovery sheet' in world.fails(2, *words[:4]).text
        assert 'recovery sheet' in world.fails(2, 'key', 'recover', 'disk', found, '--id', 'x').text
        (tmp_path / 'admin').rename(tmp_path / 'kept')
        shutil.copytree(tmp_path / 'thief', tmp_path / 'admin')
        for given in (ids['admin'], repository):
            result = world.fails(WRONG_KEY, 'key', 'recover', 'disk', found, '--id', given)
            assert given in result.err and not found.exists(), result
        assert 'replaced' in world.fails(WRONG_KEY, 'key', 'recover', 'disk', found, '--id', ids['admin']).err
        result = world.ok('key', 'recover', 'disk', found, '--id', ids['thief'].upper())
        assert 'never to ' + repository in result.err  # what this machine's state knows
        shutil.rmtree(tmp_path / 'admin')
        (tmp_path / 'kept').rename(tmp_path / 'admin')
        before = key.read_bytes()
        key.unlink()
        result = world.ok(*words)
        assert key.read_bytes() == before and 'never to' not in result.err
    finally:
        ring.close()


def test_a_config_that_was_replaced_is_no_reason_to_save_in_the_clear(made, tmp_path):
    made.sink('plain', path=tmp_path / 'plain', encryption='none')
    made.ok('init', 'plain')
    shutil.copy(tmp_path / 'plain' / 'config', made.repository / 'config')
    result = made.fails(WRONG_KEY, 'run', 'job')
    hint = result.err.split('hint: ')[1]
    assert hint.startswith('somebody may have replaced the repository'), result


@pytest.mark.parametrize('owner, changed', [(0, False), (NOBODY, True)])
def test_links_on_the_way(world, tmp_path, owner, changed):
    """An operator may have moved /srv elsewhere; who can change such a link must not choose what root reads, or where it writes."""
    plain_tree(tmp_path / 'data' / 'tree', files=3)
    (tmp_path / 'srv').symlink_to('data')
    os.lchown(tmp_path / 'srv', owner, owner)
    world.source('tree', tmp_path / 'data' / 'tree')
    world.source('far', tmp_path / 'srv' / 'tree')
    world.section('sink disk', plugin='local', path=tmp_path / 'repository', key=world.key)
    world.section('sink far', plugin='local', path=tmp_path / 'srv' / 'repository', key=world.key)
    world.job('job', 'tree', 'disk')
    world.job('sources', 'far', 'disk')
    world.job('sinks', 'tree', 'far')
    world.ok('init', 'disk')
    world.ok('run', 'job')
    for words in (('init', 'far'), ('check', 'far'), ('run', 'sources'), ('run', 'sinks')):
        result = world(*words)
        assert (f"'{tmp_path}/srv' is a symlink that others can change" in result.text) == changed, result
        assert result.status == DONE or (changed and result.status in FAILURES), result
    assert {path.name for path in (tmp_path / 'data').iterdir()} == {'tree'} | (set() if changed else {'repository'})
    result = world.ok('restore', 'job', '--into', tmp_path / 'srv' / 'into')
    assert (f"the link '{tmp_path}/srv' belongs to user {NOBODY}" in result.err) == changed, result
