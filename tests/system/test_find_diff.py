"""cofre find and cofre diff against a second implementation over what `find` sees in the trees that were saved."""
import fnmatch
import os
import random
import re
from pathlib import Path

import pytest
from support.cli import FAILED, INCOMPLETE, USAGE


@pytest.fixture(params=['repository', 'archive'])
def saved(world, tmp_path, request):
    """A job of one tree, in both formats."""
    world.tree = tmp_path / 'tree'
    world.tree.mkdir()
    world.source('tree', world.tree)
    if request.param == 'archive':
        world.section('sink disk', plugin='local', path=world.repository, format='archive', encryption='none')
    else:
        world.sink()
    world.format = request.param
    world.job(shrink='off')
    world.ok('init', 'disk')
    return world


def state(tree: Path) -> dict[str, tuple]:
    """path -> (kind, size, time, link, mode)."""
    found = {}
    for place, directories, files in os.walk(tree):
        for name in ['.', *directories, *files]:
            path = Path(place, name)
            st = path.lstat()
            kind = 'symlink' if path.is_symlink() else 'directory' if path.is_dir() else 'file'
            found[str(path.relative_to(tree)).removesuffix('.') if path == tree else str(path.relative_to(tree))] = (
                kind, st.st_size if kind == 'file' else 0, st.st_mtime_ns, os.readlink(path) if kind == 'symlink' else None, st.st_mode)
    return found


def order(path: str) -> list[bytes]:
    return [part.encode() for part in path.split('/')] if path else []


def differences(before: dict, after: dict) -> list[tuple]:
    rows = []
    for path in sorted(before.keys() | after.keys(), key=order):
        was, now = before.get(path), after.get(path)
        if not was or not now:
            rows.append(('added' if now else 'removed', path))
        elif was[0] != now[0] or was[3] != now[3] or (was[0] == 'file' and (was[1] != now[1] or (was[1] and was[2] != now[2]))):
            rows.append(('changed', path))
        elif was[4] != now[4] or (was[0] != 'directory' and was[2] != now[2]):
            rows.append(('metadata', path))
    return rows


def path_of(line: dict) -> str:
    """As it is, not as it is shown."""
    return line['path'].replace('\\n', '\n')


def diff(world, *words) -> list[tuple]:
    lines = world.ok('--json', 'diff', *words).json()
    rows = [(one['what'], path_of(one)) for one in lines if one['type'] == 'difference']
    [summary] = [one for one in lines if one['type'] == 'summary']
    assert [sum(what == word for what, _ in rows) for word in ('added', 'removed', 'changed', 'metadata')] == \
        [summary[word] for word in ('added', 'removed', 'changed', 'metadata')]
    return rows


def alter(r: random.Random, tree: Path, clock: list[int]) -> None:
    """Something else each time; no two files have the same time."""
    def stamp(path: Path) -> None:
        clock[0] += 10**9
        os.utime(path, ns=(clock[0], clock[0]), follow_symlinks=False)

    for _ in range(r.randrange(1, 12)):
        files = [path for path in sorted(tree.rglob('*')) if path.is_symlink() or path.is_file()]
        place = r.choice([tree, *(path for path in sorted(tree.rglob('*')) if path.is_dir() and not path.is_symlink())])
        path, what = place / (r.choice(["a", "b-", "c c", "é", "d\n"]) + str(r.randrange(6))), r.randrange(6)
        if what == 0 and not os.path.lexists(path):
            path.mkdir()
        elif what == 1 and not os.path.lexists(path):
            path.symlink_to(r.choice(['x', 'y']))
            stamp(path)
        elif what == 2 and files:
            r.choice(files).unlink()
        elif what == 3 and files and not (chosen := r.choice(files)).is_symlink():
            chosen.chmod(r.choice([0o600, 0o644, 0o640]))
        elif not os.path.lexists(path) or (path.is_file() and not path.is_symlink()):
            path.write_bytes(r.randbytes(r.choice([0, 3, 2000, 300_000])))
            stamp(path)


def test_a_second_implementation(saved):
    r, clock, states, ids = random.Random(saved.format), [1_700_000_000_000_000_000], [], []
    for _ in range(7):
        alter(r, saved.tree, clock)
        saved.ok('run', 'job')
        states.append(state(saved.tree))
    ids = saved.snapshots()
    for i in range(len(ids)):
        for k in {r.randrange(len(ids)), max(i - 1, 0), i}:
            got = diff(saved, f'job@{ids[i]}', f'job@{ids[k]}')
            assert got == differences(states[i], states[k]), (i, k)
    for pattern in ('a*', '*[0-3]', 'é?', '*', 'nothing', 'b-1'):
        lines = saved.ok('--json', 'find', pattern, 'job').json()
        wanted, last = [], {}
        for id, one in zip(reversed(ids), reversed(states)):
            for path in sorted(one, key=order):
                if not fnmatch.fnmatchcase(path.rsplit('/', 1)[-1], pattern):
                    continue
                kind, size, time, link, _ = one[path]
                version = (kind, size, time if kind != 'directory' else 0, link)
                if last.get(path) != version:
                    wanted.append((id, path, size, kind))
                last[path] = version
        assert [(one['id'], path_of(one), one['size'], one['kind']) for one in lines if one['type'] == 'found'] == wanted, pattern


def write(world, name: str, text: str, time: int = 1_700_000_000) -> Path:
    path = world.tree / name
    path.parent.mkdir(exist_ok=True)
    path.write_text(text)
    os.utime(path, (time, time))
    return path


def test_what_diff_says(saved, tmp_path):
    write(saved, 'a', 'one')
    write(saved, 'sub/b', 'two')
    kept = write(saved, 'sub/kept', 'three')
    saved.ok('run', 'job')
    write(saved, 'a', 'three', 1_700_000_001)
    (saved.tree / 'sub' / 'b').unlink()
    write(saved, 'sub/new', 'n' * 2048)
    kept.chmod(0o600)
    saved.ok('run', 'job')
    result = saved.ok('diff', 'job@latest~1', 'job')
    assert [re.split(r'  +', line) for line in result.out.splitlines()] == [
        ['changed', '3 B -> 5 B', 'tree:a'], ['removed', '3 B', 'tree:sub/b'], ['metadata', '5 B', 'tree:sub/kept'],
        ['added', '2.0 KiB', 'tree:sub/new'],
        ['1 added, 1 removed, 1 changed, 1 with other metadata; 2.0 KiB more, 6 B less']], result
    assert diff(saved, 'job@latest~1', 'job', 'tree:sub/kept') == [('metadata', 'sub/kept')]
    assert [path for _, path in diff(saved, 'job', 'job@latest~1', 'tree:sub')] == ['sub/b', 'sub/kept', 'sub/new']
    assert diff(saved, 'job', 'job') == []
    assert "neither snapshot has an entry 'x'" in saved.fails(FAILED, 'diff', 'job@latest~1', 'job', 'tree:x').err
    assert "did you mean 'tree'" in saved.fails(USAGE, 'diff', 'job@latest~1', 'job', 'tre').err
    saved.source('other', tmp_path / 'tree' / 'sub')
    saved.job(sources='tree, other', shrink='off')
    saved.ok('run', 'job')
    result = saved.ok('diff', 'job@latest~1', 'job')
    assert "nothing of source 'other' is in snapshot" in result.err and 'other:new' in result.out, result


def test_what_find_says(saved):
    write(saved, '2026/letter.odt', 'one')
    write(saved, 'letter.odt', 'other')
    saved.ok('run', 'job')
    saved.ok('run', 'job')
    write(saved, '2026/letter.odt', 'three', 1_700_000_001)
    saved.ok('run', 'job')
    first, second, third = saved.snapshots()

    def found(*words) -> list[tuple]:
        return [(one['id'], one['path'], one['size']) for one in saved.ok('--json', 'find', *words).json() if one['type'] == 'found']

    assert found('letter.*') == found('letter.odt', 'job') == found('*letter.odt', 'job', '--sink', 'disk') == \
        [(third, '2026/letter.odt', 5), (third, 'letter.odt', 5), (second, '2026/letter.odt', 3)]
    assert found('2026/*') == found('/2026/letter.odt') == [(third, '2026/letter.odt', 5), (second, '2026/letter.odt', 3)]
    assert found('/letter.odt') == found('/*.odt') == [(third, 'letter.odt', 5)]
    assert found('26/letter.odt') == [] and found('*/letter.odt') == found('2026/*.odt')
    result = saved.ok('find', 'nothing')
    assert not result.out and "what 'nothing' names" in result.err, result
    assert f'job@{second}' in saved.ok('find', 'letter.odt').out
    saved.fails(USAGE, 'find', 'x', 'jbo')


def test_one_that_cannot_be_read_is_in_no_way(world, tmp_path):
    tree = tmp_path / 'tree'
    tree.mkdir()
    (tree / 'file').write_text('x')
    world.simple(tree)
    world.ok('run', 'job')
    world.ok('run', 'job', '--label', 'damaged')
    first, second = world.snapshots()
    manifest = world.repository / 'snapshots' / 'testhost' / 'job' / second
    manifest.chmod(0o600)
    manifest.write_bytes(manifest.read_bytes()[:-1])
    result = world.fails(INCOMPLETE, 'find', 'file')
    assert first in result.out and second not in result.out and 'could not be looked through' in result.err, result


def test_what_is_not_a_plain_file(saved):
    """A device, an owner without a name, attributes: ls has them, and diff calls another value of one metadata."""
    os.mknod(saved.tree / 'null', 0o20666, os.makedev(1, 3))
    (saved.tree / 'noted').write_bytes(b'x' * 100)
    os.setxattr(saved.tree / 'noted', 'user.note', b'one')
    os.chown(saved.tree / 'noted', 54321, 54322)
    saved.ok('run', 'job')
    rows = {row['path']: row for row in saved.ok('--json', 'ls', 'job', 'tree').json() if row['type'] == 'entry'}
    assert rows['null']['device'] == '1:3' and rows['noted']['attributes'] == ['user.note'], rows
    assert re.search(r'54321 +54322 .*noted', saved.ok('ls', 'job', 'tree').out)
    os.setxattr(saved.tree / 'noted', 'user.note', b'two')
    saved.ok('run', 'job')
    told = [row for row in saved.ok('--json', 'diff', 'job@latest~1', 'job').json() if row['type'] == 'difference']
    assert [(row['path'], row['what']) for row in told] == [('noted', 'metadata')], told
    assert 'names no path' in saved.fails(USAGE, 'cat', 'job', 'tree').text
