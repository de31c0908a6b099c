"""cofre report: its numbers against a second opinion of the records, and its page as a strict reader and a browser take it."""
import json
import random
import re
import shutil
import statistics
import subprocess
import time
from datetime import datetime
from html.parser import HTMLParser
from pathlib import Path

import pytest

from support.cli import DAMAGED, FAILED, USAGE
from support.records import moment, place, write
from support.tree import plain_tree

DAY = 86400
HOSTILE = '<script>alert(1)</script>&amp;"\'><img src=x onerror=alert(2)>'
SINKS = {'near': 'local', 'far': 'rsync', 'third': 'rsync'}
SOURCES = ['tree', 'mail']


def sinks_and_sources(world, tmp_path) -> None:
    for name in SOURCES:
        world.source(name, tmp_path / 'nothing')
    world.sink('near', path=tmp_path / 'near', encryption='none')
    for name in ('far', 'third'):
        world.section(f'sink {name}', plugin='rsync', url=f'backup@{name}.example:/x', encryption='none')


# ---- a second opinion ----

def random_run(rng: random.Random, number: int, before: int, at: int, sinks: list[str]) -> dict:
    """It began after the one before had ended."""
    took = rng.randint(1, min(9000, at - before))
    one = {'command': 'run', 'id': f'cofre-{number:06d}', 'started': moment(at - took), 'ended': moment(at), 'at': at, 'elapsed': took + 0.25,
           'asked': [], 'label': rng.choice([None, HOSTILE]), 'snapshot': None}
    kind = rng.choice(['complete'] * 6 + ['partial', 'incomplete', 'failed', 'killed', 'suspect', 'suspect', 'skipped'])
    if kind in ('failed', 'killed', 'skipped'):
        return one | {'status': kind, 'elapsed': None if kind == 'killed' else 0.5, 'error': HOSTILE if kind == 'failed' else None,
                      'sinks': [{'name': sink, 'committed': False, 'added': 7} for sink in sinks]}
    rows = [{'name': sink, 'committed': rng.random() < 0.7, 'added': rng.randrange(1 << 30)} for sink in sinks]
    sources = [{'name': name, 'status': rng.choice(['complete'] * 4 + ['incomplete', 'missing']) if kind == 'incomplete' else 'complete',
                'suspect': 'half of it' if kind == 'suspect' and rng.random() < 0.6 else None, 'error': None} for name in SOURCES]
    if kind == 'partial':
        one, sources = one | {'asked': ['tree']}, sources[:1]
    status = kind if all(row['committed'] for row in rows) or kind == 'suspect' else 'incomplete'
    return one | {'status': status, 'snapshot': f'20261120T020000Z-{number:06x}', 'snapshot_started': moment(at - took), 'snapshot_status': kind,
                  'bytes': rng.randrange(1 << 20, 1 << 40), 'added': rng.randrange(1 << 20), 'sinks': rows, 'sources': sources}


def random_history(rng: random.Random, now: int, sinks: list[str]) -> list[dict]:
    times = sorted({now - rng.randrange(1, rng.choice([3, 200]) * DAY) for _ in range(rng.choice([0, 1, 5, 60]))})
    made = [random_run(rng, number, before, at, sinks) for number, (before, at) in enumerate(zip([0, *times], times))]
    for run in [one for one in made if one['snapshot']]:
        later = {'id': run['id'] + '-later', 'at': run['at'] + rng.choice([1, DAY]), 'snapshot': run['snapshot'],
                 'snapshot_started': run['snapshot_started'], 'snapshot_status': run['snapshot_status']}
        later['started'] = later['ended'] = moment(later['at'])
        if run['status'] == 'suspect' and rng.random() < 0.5:
            made.append(later | {'command': 'accept', 'status': rng.choice(['complete', 'failed']), 'snapshot_status': 'complete',
                                 'sinks': [{'name': sink, 'committed': True} for sink in sinks]})
        lacking = [row['name'] for row in run['sinks'] if not row['committed']]
        if lacking and rng.random() < 0.7:
            made.append(later | {'command': 'copy', 'status': rng.choice(['complete', 'failed']), 'sinks': [{'name': rng.choice(lacking)}]})
        if rng.random() < 0.4:
            made.append(later | {'command': 'restore', 'status': rng.choice(['complete', 'incomplete']), 'sinks': [{'name': rng.choice(sinks)}]})
    return sorted((one for one in made if one['at'] < now), key=lambda one: one['at'])


def result(run: dict, accepted: set) -> str:
    if run['status'] == 'skipped' or run['asked']:
        return 'aside'
    if run['status'] == 'complete' or (run['status'] == 'suspect' and run['snapshot'] in accepted):
        return 'complete'
    return 'incomplete' if run['status'] in ('incomplete', 'suspect') else 'failed'


def expected(made: list[dict], sinks: list[str], since: int) -> dict:
    accepted = {one['snapshot'] for one in made if one['command'] == 'accept' and one['status'] == 'complete'}
    every = [one for one in made if one['command'] == 'run']
    runs = [one for one in every if one['at'] >= since]
    results = [result(one, accepted) for one in runs]
    whole = [one for one in runs if not one['asked'] and (one.get('snapshot_status') == 'complete' or one['snapshot'] in accepted)]
    took = sorted(int(1000 * one['elapsed']) for one, word in zip(runs, results) if word != 'aside' and one['elapsed'] is not None)
    counted = [word for word in results if word != 'aside']
    size, added = (sum(one[name] for one in whole) for name in ('bytes', 'added'))
    rows = {sink: [row for one in runs for row in one['sinks'] if row['name'] == sink] for sink in sinks}
    restored = {sink: [one['ended'] for one in made if one['command'] == 'restore' and one['status'] == 'complete' and one['at'] >= since
                       and one['sinks'][0]['name'] == sink] for sink in sinks}
    copied = {(one['snapshot'], one['sinks'][0]['name']) for one in made if one['command'] == 'copy' and one['status'] == 'complete'}
    kept = {name: max([one['snapshot_started'] for one in every for source in one.get('sources', []) for row in one['sinks']
                       if source['name'] == name and source['status'] == 'complete' and (not source['suspect'] or one['snapshot'] in accepted)
                       and SINKS[row['name']] != 'local' and (row['committed'] or (one['snapshot'], row['name']) in copied)], default=None)
            for name in SOURCES}
    return {'runs': len(runs), **{word: results.count(word) for word in ('complete', 'incomplete', 'failed', 'aside')},
            'success': pytest.approx(counted.count('complete') / len(counted)) if counted else None, 'bytes': size, 'added': added,
            'deduplication': pytest.approx(1 - added / size) if size else None,
            'elapsed': statistics.median_low(took) / 1000 if took else None, 'elapsed_most': took[-1] / 1000 if took else None,
            'sinks': {sink: (len(rows[sink]), sum(row['committed'] for row in rows[sink]), sum(row['added'] for row in rows[sink] if row['committed']),
                             max(restored[sink], default=None)) for sink in sinks},
            'sources': kept}


def told(row: dict) -> dict:
    """The members that are compared, of what it says of a job."""
    sinks = {one['name']: (one['runs'], one['committed'], one['added'], one['restored']) for one in row['sinks']}
    plain = {name: value for name, value in row.items() if name not in ('type', 'job')}
    return plain | {'sinks': sinks, 'sources': {one['name']: one['last_good'] for one in row['sources']}}


@pytest.mark.parametrize('seed', [0, *(pytest.param(seed, marks=pytest.mark.long) for seed in range(1, 12))])
def test_numbers(world, tmp_path, seed):
    rng = random.Random(seed)
    sinks_and_sources(world, tmp_path)
    now = int(time.time()) - 60
    made, uses = {}, {}
    for name in (f'job{number:02}' for number in range(30)):
        uses[name] = rng.sample(list(SINKS), rng.randrange(1, 4))
        made[name] = random_history(rng, now, uses[name])
        world.job(name, sources=', '.join(SOURCES), sinks=', '.join(uses[name]))
        write(place(world, name), made[name])
    for words, days in (((), 90), (('--since', '1y'), 365), (('--since', '2d'), 2)):
        rows = world.ok('--json', 'report', *words).json()
        begin = int(datetime.fromisoformat(rows[1]['since'][:19] + '+00:00').timestamp())
        assert abs(now - days * DAY - begin) < 600
        found = {row['job']: row for row in rows if row['type'] == 'job'}
        for name in made:
            # Nothing ends within the minutes in which this may begin.
            assert told(found[name]) == expected(made[name], uses[name], begin), (name, uses[name])
            listed = [row for row in rows if row['type'] == 'run' and row['job'] == name]
            assert [row['id'] for row in listed] == [one['id'] for one in made[name] if one['command'] == 'run' and one['at'] >= begin]
            assert {row['label'] for row in listed} <= {None, HOSTILE}
        assert rows[-1]['type'] == 'summary' and rows[-1]['chains_broken'] == 0 and rows[-1]['problems'] == sum(
            row['type'] == 'finding' for row in rows)
        text = world.ok('report', *words).out
        for row in found.values():
            assert f"job '{row['job']}': {row['runs'] or 'No'} run" in text


def test_a_copy_elsewhere_is_left(world, tmp_path):
    """Also one that was made later than the run, and is older than the time of the report."""
    sinks_and_sources(world, tmp_path)
    world.job(sources='tree, mail', sinks='near, far')
    then = int(time.time()) - 10 * DAY
    run = {'id': 'one', 'snapshot': '20261120T020000Z-000001', 'snapshot_started': moment(then), 'started': moment(then), 'ended': moment(then + 5),
           'status': 'incomplete', 'snapshot_status': 'complete', 'sources': [{'name': 'tree', 'status': 'complete'}],
           'sinks': [{'name': 'near', 'committed': True}, {'name': 'far', 'committed': False}]}
    copy = {name: run[name] for name in ('snapshot', 'snapshot_started', 'snapshot_status', 'started')} | {
        'id': 'two', 'command': 'copy', 'status': 'complete', 'ended': moment(then + 9), 'sinks': [{'name': 'far'}]}
    for made, left in (([run], None), ([run, copy | {'status': 'failed'}], None), ([run, copy], 'far')):
        write(place(world, 'job'), made)
        [job] = [row for row in world.ok('--json', 'report', '--since', '1d').json() if row['type'] == 'job']
        assert [(row['name'], row['elsewhere']) for row in job['sources']] == [('tree', left), ('mail', None)]


# ---- the page ----

VOID = {'meta', 'br', 'hr'}
CLOSED = {'line', 'rect', 'path', 'circle'}
TAGS = VOID | CLOSED | {'html', 'head', 'title', 'style', 'body', 'header', 'main', 'section', 'h1', 'h2', 'h3', 'p', 'ul', 'li', 'strong', 'small',
                        'div', 'table', 'thead', 'tbody', 'tr', 'th', 'td', 'figure', 'figcaption', 'svg', 'desc', 'text'}


class Page(HTMLParser):
    """Refuses what is not nested rightly, what a report has no use for, and whatever would be fetched."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.open: list[str] = []
        self.seen: list[tuple[str, dict]] = []
        self.words: list[tuple[str, str]] = []
        self.feed(text)
        self.close()
        assert not self.open

    def handle_starttag(self, tag, attributes):
        assert tag in TAGS, tag
        names = [name for name, _ in attributes]
        assert len(set(names)) == len(names) and not any(name.startswith('on') or name in ('src', 'href', 'style', 'srcset') for name in names), names
        self.seen.append((tag, dict(attributes)))
        if tag not in VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag, attributes):
        assert tag in CLOSED, tag
        self.handle_starttag(tag, attributes)
        self.open.pop()

    def handle_endtag(self, tag):
        assert self.open and self.open.pop() == tag, tag

    def handle_data(self, data):
        if data.strip():
            self.words.append((self.open[-1] if self.open else '', data))

    def all(self, tag: str) -> list[dict]:
        return [attributes for name, attributes in self.seen if name == tag]

    def text(self, *tags: str) -> list[str]:
        return [data for tag, data in self.words if tag in tags]


def page_of(world, *words) -> tuple[Page, str]:
    path = world.base / 'page.html'
    world.ok('report', '--html', path, *words)
    assert path.stat().st_mode & 0o777 == 0o600
    text = path.read_text()
    assert text.startswith('<!DOCTYPE html>\n') and not re.search(r'url\(|@import|https?:|javascript:', text)
    return Page(text), text


@pytest.fixture
def reported(world, tmp_path):
    """Two jobs with every kind of result, and hostile texts."""
    sinks_and_sources(world, tmp_path)
    rng, now = random.Random(5), int(time.time())
    for name in ('alpha', 'beta'):
        world.job(name, sources='tree, mail', sinks='near, far', max_age='26h')
        runs = [random_run(rng, number, now - DAY * (61 - number) - 60, now - DAY * (60 - number) - 60, ['near', 'far']) for number in range(60)]
        last = {'command': 'run', 'id': 'cofre-last', 'started': moment(now - 50), 'ended': moment(now - 20), 'status': 'failed', 'asked': [],
                'label': HOSTILE + '\\x1b', 'error': f"read '{HOSTILE}\\x1b[31m\\x00\u202e': no"}
        write(place(world, name), [*runs, last])
    world.job('never', sources='tree', sinks='near')
    return world


def test_page(reported):
    page, text = page_of(reported)
    rows = reported.ok('--json', 'report').json()
    assert page.all('html') == [{'lang': 'en'}] and len(page.all('h1')) == len(page.all('main')) == 1
    assert {'name': 'viewport', 'content': 'width=device-width, initial-scale=1'} in page.all('meta')
    assert any(one.get('http-equiv') == 'Content-Security-Policy' and "default-src 'none'" in one['content'] for one in page.all('meta'))
    levels = [int(tag[1]) for tag, _ in page.seen if re.fullmatch(r'h\d', tag)]
    assert levels[0] == 1 and all(below - above <= 1 for above, below in zip(levels, levels[1:]))
    assert all(one.get('scope') in ('row', 'col') for one in page.all('th')) and not any('<table><tr' in line for line in text.splitlines())
    ids = [one['id'] for _, one in page.seen if 'id' in one]
    assert len(ids) == len(set(ids)) and len(page.all('svg')) == 15
    for one in page.all('svg'):
        assert one['role'] == 'img' and set(one['aria-labelledby'].split()) <= set(ids)
    assert all(svg.startswith('<title id=') and '</title><desc id=' in svg for svg in re.findall(r'<svg[^>]*>(.*)', text))
    for row in (row for row in rows if row['type'] == 'job'):
        counts = f'{row["complete"]} complete, {row["incomplete"]} incomplete or suspect, {row["failed"]} failed'
        assert (f'{row["runs"]} runs: {counts}' in text) == (row['runs'] > 0) and counts in text
    findings = [row['text'] for row in rows if row['type'] == 'finding']
    assert all(any(finding in words for words in page.text('li')) for finding in findings if 'script' not in finding)
    assert len(page.all('li')) == len(findings) == rows[-1]['problems'] and f'{len(findings)} problems' in text


def test_what_comes_from_outside_is_text(reported):
    page, text = page_of(reported)
    assert '<script' not in text and '<img' not in text and '\x1b' not in text and '\0' not in text and '\u202e' not in text
    assert {HOSTILE, HOSTILE + r'\x1b'} <= set(page.text('td')) and any(HOSTILE in words and r'\x1b[31m' in words for words in page.text('td', 'li'))


def test_colours_can_be_read(reported):
    """WCAG 2: 4.5 for text, on both backgrounds, light and dark; 3 for what is drawn."""
    _, text = page_of(reported)

    def luminance(color: str) -> float:
        color = color if len(color) == 6 else ''.join(2 * digit for digit in color)
        parts = [int(color[n:n + 2], 16) / 255 for n in (0, 2, 4)]
        red, green, blue = (part / 12.92 if part <= 0.03928 else ((part + 0.055) / 1.055) ** 2.4 for part in parts)
        return 0.2126 * red + 0.7152 * green + 0.0722 * blue

    themes = [dict(re.findall(r'--(\w+):#([0-9a-f]+)', block)) for block in re.findall(r':root\{([^}]*)', text)]
    assert len(themes) == 2 and themes[0].keys() == themes[1].keys() and '@media (prefers-color-scheme:dark)' in text
    for theme in themes:
        for back in ('back', 'box'):
            for name in ('ink', 'soft', 'good', 'warn', 'bad', 'line'):
                light, dark = sorted((luminance(theme[back]), luminance(theme[name])), reverse=True)
                assert (light + 0.05) / (dark + 0.05) >= 4.5, (back, name, theme)


@pytest.mark.long
def test_in_a_browser(reported):
    """Nothing on the console, all plots drawn, light and dark, and nothing wider than a telephone."""
    browser = shutil.which('chromium')
    if not browser:
        pytest.skip('chromium is not installed (apt-get install chromium): nothing else here needs its 300 MB')
    _, text = page_of(reported)
    for mode, width in (('light', 1200), ('dark', 1200), ('light', 360), ('dark', 360)):
        shot = reported.base / f'{mode}-{width}.png'
        # A frame, as a window is never narrower than 500.
        frame = reported.base / 'frame.html'
        (reported.base / 'inner.html').write_text(text.replace('(prefers-color-scheme:dark)', 'all' if mode == 'dark' else 'not all'))
        frame.write_text(f'<iframe id=f src=inner.html width={width} height=900></iframe><pre id=o></pre><script>onload=()=>{{let d=f.contentDocument;'
                         'o.textContent="wide="+d.documentElement.scrollWidth+" back="+getComputedStyle(d.body).backgroundColor+" svg="+'
                         '[...d.querySelectorAll("svg")].filter(s=>s.getBoundingClientRect().width>100).length+"."}</script>')
        options = [browser, '--headless', '--no-sandbox', '--disable-gpu', '--allow-file-access-from-files', '--enable-logging=stderr',
                   f'--user-data-dir={reported.base / "profile"}', '--virtual-time-budget=2000']
        done = subprocess.run([*options, '--dump-dom', frame.as_uri()], capture_output=True, text=True, timeout=120, check=True)
        found = re.search(r'wide=(\d+) back=rgb\((\d+), \d+, \d+\) svg=(\d+)\.', done.stdout)
        assert found and int(found[1]) <= width and (int(found[2]) < 60) == (mode == 'dark') and int(found[3]) == 15, done.stdout[-500:]
        assert 'CONSOLE' not in done.stderr, done.stderr
        subprocess.run([*options, f'--screenshot={shot}', f'--window-size={max(width, 500)},1600', (reported.base / 'inner.html').as_uri()],
                       capture_output=True, timeout=120, check=True)
        assert shot.read_bytes().startswith(b'\x89PNG') and shot.stat().st_size > 20000


# ---- evidence ----

def test_a_chain_that_is_broken(reported):
    path = place(reported, 'beta')
    lines = path.read_bytes().splitlines(keepends=True)
    path.write_bytes(b''.join(lines[:10] + lines[12:]))
    page = reported.base / 'page.html'
    done = reported.fails(DAMAGED, 'report', '--html', page)
    assert 'in 1 of 6 files' in done.err and 'line 11: it does not follow' in page.read_text()
    rows = reported.fails(DAMAGED, '--json', 'report').json()
    chains = {row['of']: (row['records'], row['flaws'], row['cut'], row['error'] is None) for row in rows if row['type'] == 'chain'}
    assert chains == {"job 'alpha'": (61, 0, False, True), "job 'beta'": (59, 1, False, False), "job 'never'": (0, 0, False, True),
                      **{f"sink '{name}'": (0, 0, False, True) for name in SINKS}}
    assert 'line 11: it does not follow' in reported.fails(DAMAGED, 'report').out
    path.write_bytes(b'nonsense\n' + b''.join(lines))
    assert 'line 1: it is no record' in reported.fails(DAMAGED, 'report').out
    path.unlink()
    path.mkdir()
    assert "job 'beta': 0, chain: " in reported.fails(DAMAGED, 'report').out


def test_after_real_runs(world, tmp_path):
    world.simple(plain_tree(tmp_path / 'tree', files=3))
    for words in (['run', 'job'], ['verify', 'job'], ['restore', 'job', '--into', tmp_path / 'out'], ['run', 'job']):
        world.ok(*words)
    rows = world.ok('--json', 'report').json()
    [job] = [row for row in rows if row['type'] == 'job']
    [sink] = job['sinks']
    assert job['runs'] == job['complete'] == sink['runs'] == sink['committed'] == 2 and job['success'] == 1 and not sink['elsewhere']
    assert sink['verified'] and sink['restored'] and sink['state'] == 'ok' and sink['age'] < 600
    assert job['sources'] == [{'name': 'tree', 'elsewhere': None, 'snapshot': None, 'last_good': None, 'age': None}], 'local counts as here'
    assert "source 'tree': all would be lost" in world.ok('report').out
    page_of(world)


def test_records_that_say_impossible_things(world, tmp_path):
    sinks_and_sources(world, tmp_path)
    now = time.time()
    odd = [{'bytes': -5, 'added': -(1 << 62), 'elapsed': -1}, {'bytes': (1 << 63) - 1, 'added': (1 << 63) - 1, 'elapsed': 1e300},
           {'bytes': 'x', 'added': None, 'elapsed': 'x', 'sinks': 7, 'sources': {}, 'label': 5, 'asked': 'x'}, {'bytes': 1, 'added': 1 << 40, 'snapshot': 'x' * 900}]
    made = [{'status': 'complete', 'snapshot_status': 'complete', 'snapshot': f'20261120T020000Z-{n:06x}', 'snapshot_started': moment(now - 9),
             'started': moment(now - 9), 'ended': moment(now - 5), 'sinks': [{'name': 'far', 'committed': True, 'added': -1}],
             'sources': [{'name': 'tree', 'status': 'complete'}]} | one for n, one in enumerate(odd)]
    world.job(sinks='far')
    write(place(world, 'job'), made + [{'status': 'complete', 'started': moment(now + 9999), 'ended': moment(now + 99999)}])
    assert [row['runs'] for row in world.ok('--json', 'report').json() if row['type'] == 'job'] == [5]
    page_of(world)


# ---- the file ----

def test_a_page_that_cannot_be_written(reported, tmpfs):
    small = tmpfs('small', 'size=16k')
    page = small / 'page.html'
    page.write_text('the old one')
    assert 'page.html' in reported.fails(FAILED, 'report', '--html', page).err
    assert page.read_text() == 'the old one' and list(small.iterdir()) == [page]
    link = reported.base / 'link.html'
    link.symlink_to(page)
    for place_ in (link, reported.base, '/dev/null'):
        assert 'no regular file' in reported.fails(set(range(1, 79)), 'report', '--html', place_).err
    assert link.is_symlink() and Path('/dev/null').is_char_device()
    reported.fails(set(range(1, 79)), 'report', '--html', reported.base / 'not' / 'there.html')


def test_since(reported):
    assert 'No run ended' in reported.ok('report', '--since', '1s').out
    assert json.loads(reported.ok('--json', 'report', '--since', '2026-01-01T00:00Z').out.splitlines()[1])['since'].startswith('2026-01-01T00:00:00')
    reported.ok('report', '--since', '1000y')
    reported.ok('log', '--since', '1000y')
    for words in (['--since', 'x'], ['--since', '2200-01-01'], ['job']):
        reported.fails(USAGE, 'report', *words)
    reported.ok('-q', 'report', '--html', 'here.html', cwd=reported.base)
    assert (reported.base / 'here.html').stat().st_size > 5000
