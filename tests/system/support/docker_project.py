"""A project as `docker compose up` leaves it: five services that depend on each other, labels and all, and an application that
writes to two volumes and a database all the time, so that what is saved of them must be of one moment."""
from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from .docker import Dockerd
from .wait import wait_until

PASSWORD = 'password-of-the-database-5d1c'
TOKEN = 'token-of-the-application-77aa'

# Counts: the number goes into the one volume, then the other, then the database. When it starts it first does what is missing
# of the last number. A name that replaces another one, beside a file that grows.
APPLICATION = r'''
trap 'exit 0' TERM INT
ask() { psql -X -q -A -t -h "$DATABASE" -U postgres -d postgres -c "$1"; }
until ask 'CREATE TABLE IF NOT EXISTS steps (n integer PRIMARY KEY)'; do sleep 0.1; done
put() { echo $1 >>$2/log; echo $1 >$2/last.new; mv $2/last.new $2/last; }
count() { [ ! -e $1/log ] || tail -n 1 $1/log; }
n=$(count /data); n=${n:-0}
[ "$(count /uploads)" = "$(count /data)" ] || put $n /uploads
[ "$(ask 'SELECT coalesce(max(n), 0) FROM steps')" = $n ] || ask "INSERT INTO steps VALUES ($n)"
while :; do
    n=$((n + 1))
    put $n /data
    put $n /uploads
    until ask "INSERT INTO steps VALUES ($n) ON CONFLICT DO NOTHING"; do sleep 0.1; done
    sleep 0.1
done
'''

COMPOSE = '''# {name}
services:
  db: {{image: postgres, environment: {{POSTGRES_PASSWORD: {password}}}, volumes: ['dbdata:/var/lib/postgresql/data']}}
  cache: {{image: cache}}
  app: {{image: app, depends_on: [db, cache], volumes: ['data:/data', 'uploads:/uploads']}}
  worker: {{image: worker, depends_on: [app], volumes: ['uploads:/uploads']}}
  web: {{image: web, depends_on: [app], volumes: ['uploads:/uploads:ro']}}
volumes: {{dbdata: , data: , uploads: }}
'''
DEPENDS = {'db': '', 'cache': '', 'app': 'db:service_started:false,cache:service_started:false', 'worker': 'app:service_started:false',
           'web': 'app:service_started:true'}
WRITERS = ('app', 'worker')   # mount what the application's volumes hold, and may write
FILLER = 400                  # files beside what is counted, so that reading takes its time


@dataclass
class Count:
    """How far each of the three was."""
    data: int
    uploads: int
    rows: int

    def of_one_moment(self) -> bool:
        return self.data >= self.uploads >= self.rows >= self.data - 1


def counted(text: str) -> int:
    """Lines, which are 1, 2, 3 ..."""
    numbers = [int(line) for line in text.split()]
    assert numbers == list(range(1, len(numbers) + 1)), 'a line is torn, missing, or there twice'
    return len(numbers)


def counted_files(directory: Path) -> int:
    """Of a volume of the application's."""
    count = counted((directory / 'log').read_text())
    last = int((directory / 'last').read_text())
    assert last in (count, count - 1), f'{directory}: {count} in the log, {last} was the last'
    return count


class Project:
    def __init__(self, docker: Dockerd, base: Path, name: str = 'shop', image: str = 'pg15') -> None:
        self.docker, self.name, self.image = docker, name, image
        self.directory = base / f'compose-{name}'
        self.directory.mkdir()
        self.file = self.directory / 'compose.yaml'
        self.file.write_text(COMPOSE.format(name=name, password=PASSWORD))

    def container(self, service: str) -> str:
        return f'{self.name}-{service}-1'

    def volume(self, name: str) -> str:
        return f'{self.name}_{name}'

    def labels(self, service: str) -> list[str]:
        labels = {'project': self.name, 'service': service, 'depends_on': DEPENDS[service], 'project.config_files': self.file,
                  'project.working_dir': self.directory, 'container-number': 1, 'oneoff': False, 'version': '2.26.1'}
        return [f'--label=com.docker.compose.{name}={value}' for name, value in labels.items()]

    def mounts(self, service: str) -> list[str]:
        places = {'db': ['dbdata:/var/lib/postgresql/data'], 'app': ['data:/data', 'uploads:/uploads'], 'worker': ['uploads:/uploads'],
                  'web': ['uploads:/uploads:ro']}
        return [f'--volume={self.name}_{one}' for one in places.get(service, [])]

    def start(self, service: str, *options: object, image: str = 'tiny', command: tuple = ()) -> None:
        network = [f'--network={self.name}_default', f'--network-alias={service}'] if image != 'tiny' else []
        self.docker.run(self.container(service), image, *network, '--restart=unless-stopped', *self.labels(service),
                        *self.mounts(service), *options, command=command)

    def up(self) -> 'Project':
        self.docker.network(f'{self.name}_default', f'--label=com.docker.compose.project={self.name}',
                            '--label=com.docker.compose.network=default')
        for name in ('dbdata', 'data', 'uploads'):
            files = self.docker.volume(self.volume(name), f'--label=com.docker.compose.project={self.name}',
                                       f'--label=com.docker.compose.volume={name}')
            for number in range(0 if name == 'dbdata' else FILLER):
                (files / f'filler{number}').write_bytes(b'%d\n' % number * 2000)
        self.start('db', f'--env=POSTGRES_PASSWORD={PASSWORD}', image=self.image)
        self.docker.wait_for_postgres(self.container('db'))
        self.start('cache')
        self.start('app', f'--env=PGPASSWORD={PASSWORD}', f'--env=TOKEN={TOKEN}', '--env=DATABASE=db', '--entrypoint=sh',
                   image=self.image, command=('-c', APPLICATION))
        self.start('worker')
        self.start('web')
        self.wait_for(3)
        return self

    def files(self, name: str) -> Path:
        return self.docker.files(self.volume(name))

    def rows(self, database: str = 'postgres') -> int:
        return counted('\n'.join(self.docker.sql(self.container('db'), 'SELECT n FROM steps ORDER BY n', database)))

    def now(self) -> Count:
        """Of one moment only while the application does nothing."""
        return Count(counted_files(self.files('data')), counted_files(self.files('uploads')), self.rows())

    def wait_for(self, number: int) -> None:
        """Until the application has done so many steps."""
        log = self.files('data') / 'log'

        def reached() -> bool:
            assert self.docker.state(self.container('app')) in ('running', 'paused'), self.docker.raw('logs', self.container('app'))
            return log.exists() and len(log.read_text().split()) > number

        wait_until(reached, f'{number} steps of the application')

    def works(self) -> None:
        """The application counts on."""
        self.wait_for(len((self.files('data') / 'log').read_text().split()) + 2)

    def at_rest(self) -> Count:
        """Stops the application, and counts."""
        self.docker('stop', self.container('app'))
        return self.now()
