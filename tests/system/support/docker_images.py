"""Images for containers, made on the spot: no registry is needed, only the packages of this machine's apt and of Debian 13's.

Each is made once, whatever number of test processes wants it, and kept in a directory in /tmp whose name says what it was
made of. Maintainer scripts do not run: an image is what is in the packages, and a start script.
"""
from __future__ import annotations

import fcntl
import hashlib
import io
import json
import os
import shutil
import subprocess
import tarfile
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from .bare import apt_sources, lines

BUSYBOX = Path('/bin/busybox')  # of busybox-static
LINKS = ('bin', 'sbin', 'lib', 'lib64')
NOT_NEEDED = ('usr/share/doc', 'usr/share/man', 'usr/share/locale', 'usr/share/info', 'usr/share/postgresql/*/man', 'usr/share/lintian',
              'usr/lib/postgresql/*/lib/bitcode', 'usr/lib/postgresql/*/lib/llvmjit*', 'usr/share/zoneinfo/right', 'usr/lib/systemd')
# Stand in the dependencies and are for other things than running the program.
TAKEN_AS_THERE = ('libllvm14', 'libllvm19', 'postgresql-common', 'postgresql-client-common', 'locales', 'ssl-cert', 'perl', 'debconf',
                  'adduser', 'init-system-helpers', 'sysvinit-utils', 'lsb-base', 'ucf', 'passwd', 'logrotate')
USERS = 'root:x:0:0:root:/root:/bin/sh\npostgres:x:999:999::/var/lib/postgresql:/bin/sh\nredis:x:998:998::/data:/bin/sh\n' \
        'nobody:x:65534:65534::/:/bin/false\n'
GROUPS = 'root:x:0:\npostgres:x:999:\nredis:x:998:\nnogroup:x:65534:\n'

# Ends at once when it is told so, as the first process of a container does not by itself.
FOREVER = '''#!/bin/sh
trap 'exit 0' TERM INT
while :; do sleep 3600 & wait $!; done
'''

# As the well-known image does it: a cluster is made at the first start, for the owner POSTGRES_USER, with POSTGRES_PASSWORD
# for whoever does not come from the container itself.
POSTGRES = '''#!/bin/sh
set -eu
[ "${1#-}" = "$1" ] || set -- postgres "$@"
[ "$1" = postgres ] || exec "$@"
if [ "$(id -u)" = 0 ]; then
    mkdir -p "$PGDATA" /run/postgresql
    chown -R postgres "$PGDATA" /run/postgresql
    chmod 700 "$PGDATA"
    exec gosu postgres "$0" "$@"
fi
if [ ! -s "$PGDATA/PG_VERSION" ]; then
    user=${POSTGRES_USER:-postgres} database=${POSTGRES_DB:-${POSTGRES_USER:-postgres}}
    if [ -z "${POSTGRES_PASSWORD:-}" ] && [ "${POSTGRES_HOST_AUTH_METHOD:-}" != trust ]; then
        echo 'Error: Database is uninitialized and superuser password is not specified.' >&2
        exit 1
    fi
    echo "${POSTGRES_PASSWORD:-none}" >/tmp/password
    initdb -D "$PGDATA" -U "$user" --pwfile=/tmp/password -A trust -E UTF8 --locale=C --no-sync >/dev/null
    rm /tmp/password
    echo "host all all all ${POSTGRES_HOST_AUTH_METHOD:-scram-sha-256}" >>"$PGDATA/pg_hba.conf"
    printf '%s\\n' "listen_addresses = '*'" "unix_socket_directories = '/run/postgresql'" 'fsync = off' >>"$PGDATA/postgresql.conf"
    pg_ctl -D "$PGDATA" -o "-c listen_addresses=" -w start >/dev/null
    [ "$database" = postgres ] || createdb -U "$user" "$database"
    for file in /docker-entrypoint-initdb.d/*.sql; do
        [ ! -e "$file" ] || psql -X -q -v ON_ERROR_STOP=1 -U "$user" -d "$database" -f "$file"
    done
    pg_ctl -D "$PGDATA" -m fast -w stop >/dev/null
fi
exec "$@"
'''

REDIS = '''#!/bin/sh
set -eu
[ "${1#-}" = "$1" ] || set -- redis-server "$@"
if [ "$1" = redis-server ] && [ "$(id -u)" = 0 ]; then
    chown -R redis .
    exec gosu redis "$@"
fi
exec "$@"
'''


@dataclass
class Recipe:
    suite: str = ''
    packages: tuple[str, ...] = ()
    files: dict[str, str] = field(default_factory=dict)     # executable
    directories: dict[str, tuple[int, int]] = field(default_factory=dict)  # owner, mode
    config: dict[str, object] = field(default_factory=dict)


def postgres(suite: str, version: int) -> Recipe:
    return Recipe(suite, (f'postgresql-{version}', f'postgresql-client-{version}', 'gosu'), {'entrypoint': POSTGRES},
                  {'var/lib/postgresql/data': (999, 0o700), 'run/postgresql': (999, 0o775)},
                  {'Env': [f'PATH=/usr/lib/postgresql/{version}/bin:/usr/sbin:/usr/bin:/sbin:/bin', f'PG_MAJOR={version}',
                           'PGDATA=/var/lib/postgresql/data'],
                   'Entrypoint': ['/usr/bin/entrypoint'], 'Cmd': ['postgres'], 'StopSignal': 'SIGINT',
                   'ExposedPorts': {'5432/tcp': {}}, 'Volumes': {'/var/lib/postgresql/data': {}}})


def redis(suite: str, version: str) -> Recipe:
    return Recipe(suite, ('redis-server', 'redis-tools', 'gosu'), {'entrypoint': REDIS}, {'data': (998, 0o755)},
                  {'Env': ['PATH=/usr/sbin:/usr/bin:/sbin:/bin', f'REDIS_VERSION={version}'], 'WorkingDir': '/data',
                   'Entrypoint': ['/usr/bin/entrypoint'], 'Cmd': ['redis-server', '--protected-mode', 'no'],
                   'ExposedPorts': {'6379/tcp': {}}, 'Volumes': {'/data': {}}})


RECIPES = {
    'tiny': Recipe(config={'Cmd': ['forever'], 'Env': ['PATH=/usr/sbin:/usr/bin:/sbin:/bin']}),
    'pg15': postgres('bookworm', 15),
    'pg17': postgres('trixie', 17),
    'redis70': redis('bookworm', '7.0.15'),
    'redis80': redis('trixie', '8.0.2'),
}


# ---- packages ----

def apt(place: Path, *words: str) -> None:
    """With lists, archives and a state of its own: nothing of this machine's is asked or changed but where its sources are."""
    options = {'Dir::State': place / 'state', 'Dir::State::status': place / 'status', 'Dir::Cache': place / 'cache',
               'Dir::Etc::SourceList': place / 'sources.list', 'Dir::Etc::SourceParts': '/dev/null', 'APT::Sandbox::User': 'root',
               'Acquire::Languages': 'none', 'APT::Install-Recommends': 'false', 'DPkg::Use-Pty': 'false'}
    command = ['apt-get', '-q', *(word for name, value in options.items() for word in ('-o', f'{name}={value}')), *words]
    done = subprocess.run(command, stdin=subprocess.DEVNULL, capture_output=True, text=True, check=False)
    assert done.returncode == 0, f'{" ".join(command)}\n{done.stdout[-4000:]}{done.stderr[-4000:]}'


def stand_in(name: str) -> str:
    return f'Package: {name}\nStatus: install ok installed\nPriority: optional\nSection: misc\nMaintainer: none <none@localhost>\n' \
           f'Architecture: {lines("dpkg", "--print-architecture")[0]}\nMulti-Arch: {"allowed" if name == "perl" else "foreign"}\n' \
           'Version: 99:1\nDescription: taken as there\n\n'


def packages(place: Path, recipe: Recipe) -> list[Path]:
    """Fetched with all that they depend on."""
    for name in ('state/lists/partial', 'cache/archives/partial'):
        (place / name).mkdir(parents=True)
    (place / 'sources.list').write_text('\n'.join(apt_sources(recipe.suite)) + '\n')
    (place / 'status').write_text(''.join(map(stand_in, TAKEN_AS_THERE)))
    apt(place, 'update')
    apt(place, 'install', '--download-only', '--yes', *recipe.packages)
    return sorted((place / 'cache/archives').glob('*.deb'))


def unpack(root: Path, archives: list[Path]) -> None:
    for archive in archives:
        content = subprocess.Popen(['dpkg-deb', '--fsys-tarfile', archive], stdout=subprocess.PIPE)
        subprocess.run(['tar', '-C', root, '--keep-directory-symlink', '-x'], stdin=content.stdout, check=True)
        content.stdout.close()
        assert content.wait() == 0, archive
    for pattern in NOT_NEEDED:
        for path in root.glob(pattern):
            shutil.rmtree(path) if path.is_dir() else path.unlink()


# ---- images ----

def furnish(root: Path, recipe: Recipe) -> None:
    """Users, a shell with what belongs to it, a place for temporary files, and the recipe's own."""
    for name in ('etc', 'root', 'tmp', 'run', 'proc', 'sys', 'dev', 'var'):
        (root / name).mkdir(exist_ok=True)
    (root / 'tmp').chmod(0o1777)
    (root / 'etc/passwd').write_text(USERS)
    (root / 'etc/group').write_text(GROUPS)
    if not (root / 'var/run').is_symlink():
        (root / 'var/run').symlink_to('/run')
    shutil.copy2(BUSYBOX, root / 'usr/bin/busybox')
    for applet in lines(str(BUSYBOX), '--list'):
        if not (root / 'usr/bin' / applet).exists() and not (root / 'usr/sbin' / applet).exists():
            (root / 'usr/bin' / applet).symlink_to('busybox')
    for name, text in ({'forever': FOREVER} | recipe.files).items():
        (root / 'usr/bin' / name).write_text(text)
        (root / 'usr/bin' / name).chmod(0o755)
    for name, (owner, mode) in recipe.directories.items():
        (root / name).mkdir(parents=True, exist_ok=True)
        (root / name).chmod(mode)
        os.chown(root / name, owner, owner)


def pack(root: Path, name: str, recipe: Recipe, target: Path) -> None:
    """As `docker save` would, with one layer."""
    layer = target.with_name(f'{name}.layer')
    subprocess.run(['tar', '-C', root, '--sort=name', '--numeric-owner', '-cf', layer, '.'], check=True)
    with open(layer, 'rb') as file:
        digest = hashlib.file_digest(file, 'sha256')
    config = {'architecture': lines('dpkg', '--print-architecture')[0], 'os': 'linux', 'config': recipe.config,
              'rootfs': {'type': 'layers', 'diff_ids': [f'sha256:{digest.hexdigest()}']}}
    manifest = [{'Config': 'config.json', 'RepoTags': [f'{name}:latest'], 'Layers': ['layer.tar']}]
    fresh = target.with_name(f'{name}.new')
    with tarfile.open(fresh, 'w') as archive:
        for member, content in (('manifest.json', manifest), ('config.json', config)):
            data = json.dumps(content).encode()
            entry = tarfile.TarInfo(member)
            entry.size = len(data)
            archive.addfile(entry, io.BytesIO(data))
        archive.add(layer, 'layer.tar')
    layer.unlink()
    fresh.rename(target)


def make(name: str, target: Path) -> None:
    recipe, place = RECIPES[name], target.with_name(f'{name}.work')
    shutil.rmtree(place, ignore_errors=True)
    root = place / 'root'
    for link in LINKS:
        (root / 'usr' / link).mkdir(parents=True)
        (root / link).symlink_to(f'usr/{link}')
    if recipe.packages:
        unpack(root, packages(place, recipe))
    furnish(root, recipe)
    pack(root, name, recipe, target)
    shutil.rmtree(place)


@contextmanager
def locked(path: Path):
    with open(path, 'w', encoding='ascii') as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield


def cache() -> Path:
    made_of = hashlib.sha256(Path(__file__).read_bytes() + BUSYBOX.read_bytes()).hexdigest()[:12]
    path = Path(f'/tmp/cofre-images-{made_of}')
    path.mkdir(mode=0o700, exist_ok=True)
    assert path.stat().st_uid == os.getuid() and not path.is_symlink(), f"'{path}' is somebody else's"
    return path


def archive_of(name: str) -> Path:
    """What `docker load` takes."""
    target = cache() / f'{name}.tar'
    with locked(target.with_suffix('.lock')):
        if not target.exists():
            make(name, target)
    return target
