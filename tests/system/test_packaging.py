"""What packaging/ has is what those who read it understand."""
import json
import re
import subprocess
import time
from pathlib import Path

import pytest
import yaml

from support.cli import CLEAN
from support.records import history, place, records, write
from support.tree import plain_tree

TOP = Path(__file__).resolve().parents[2]
PACKAGING = TOP / 'packaging'
UNITS = sorted(path.name for path in PACKAGING.glob('cofre-*.*'))


def commands() -> list[list[str]]:
    """Whatever they call cofre with."""
    compose = (PACKAGING / 'compose.yaml').read_text()
    found = [re.search(r'^ +command: \[(.*)\]$', compose, re.M)[1].split(', '), re.search(r'^ +test: \[CMD, (.*)\]$', compose, re.M)[1].split(', ')]
    found += [line.split() for path in PACKAGING.glob('*.service') for line in re.findall(r'^ExecStart=(.*)$', path.read_text(), re.M)]
    return found + [re.fullmatch(r'\*/5 \* \* \* \* root (.*)', (PACKAGING / 'cofre.cron').read_text().splitlines()[-1])[1].split()]


def test_units(tmp_path, binary):
    """As systemd reads them where cofre is installed."""
    for name in UNITS:
        text = (PACKAGING / name).read_text().replace('ExecStart=cofre', f'ExecStart={binary}')
        (tmp_path / name).write_text(text)
    done = subprocess.run(['systemd-analyze', 'verify', '--man=no', *(tmp_path / name for name in UNITS)], env=CLEAN, capture_output=True,
                          text=True, timeout=60, check=False)
    ours = [line for line in done.stderr.splitlines() if 'cofre' in line]
    assert ours == [], done.stderr
    assert [name for name in UNITS if name.endswith('.service')] == ['cofre-daemon.service', 'cofre-due.service']
    for name in ('cofre-daemon.service', 'cofre-due.service'):
        assert 'KillMode=mixed' in (PACKAGING / name).read_text(), 'a child that gets two signals does not clean up'


def test_both_services_are_hardened_alike():
    def after(name: str) -> list[str]:
        text = (PACKAGING / name).read_text()
        return sorted(line for line in text.splitlines() if re.match(r'Protect|Restrict|No|Lock|System|Read|UMask|Nice|IO|Kill|TimeoutStop', line)
                      if not line.startswith('RestartSec'))
    assert after('cofre-due.service') == after('cofre-daemon.service')


def test_they_call_what_there_is(world, tmp_path):
    world.simple(plain_tree(tmp_path / 'tree', files=2))
    found = commands()
    assert len(found) == 5 and all(words[0] == 'cofre' for words in found)
    for words in found:
        if words[-1] != 'daemon':
            world.ok(*words[1:])
    assert ['cofre', 'daemon'] in found


# ---- what watches it ----

WORDS = {'time', 'sum', 'count', 'max', 'vector', 'or', 'and', 'on', 'group_left', 'instance', 'backup', 'sink', 'host'}


@pytest.fixture(scope='module')
def manual() -> set[str]:
    """The metrics of the manual."""
    text = (TOP / 'docs' / 'cofre.8').read_text()
    return set(re.findall(r'cofre_\w+', text[text.index('.SH METRICS'):text.index('.SH JSON OUTPUT')]))


@pytest.fixture
def written(world, tmp_path) -> dict[str, set[str]]:
    """The metrics that are written, and the labels of each."""
    world.simple(plain_tree(tmp_path / 'tree', files=2))
    world.job(max_age='26h', schedule='0 2 * * *')
    world.ok('run', 'job')
    world.ok('verify', 'job')
    world.ok('due')
    write(place(world, 'job'), history(time.time(), lambda day: 10 + day, 100) + records(world))
    text = world.ok('status', '--prometheus').out + world.ok('status', '--prometheus', '--all-hosts', '--max-age', '26h').out
    found = {name: set() for name in re.findall(r'^# TYPE (\w+) gauge$', text, re.M)}
    for name, labels in re.findall(r'^(\w+)(?:\{(.*)\})? \S+$', text, re.M):
        found[name] |= set(re.findall(r'(\w+)="', labels))
    return found


def queries() -> list[tuple[str, str]]:
    """Each expression of both files, and the text that names labels of what it gives."""
    rules = yaml.safe_load((PACKAGING / 'prometheus-alerts.yml').read_text())
    dashboard = json.loads((PACKAGING / 'grafana-dashboard.json').read_text())
    found = [(rule['expr'], ' '.join(rule['annotations'].values())) for group in rules['groups'] for rule in group['rules']]
    return found + [(target['expr'], target.get('legendFormat', '')) for panel in dashboard['panels'] for target in panel.get('targets', [])]


def test_they_ask_for_metrics_that_there_are(written, manual):
    """And for labels that these have; Prometheus adds the instance."""
    assert set(written) == manual
    asked = set()
    for expression, text in queries():
        first, *others = re.findall(r'\bcofre_\w+', expression)
        names = {first, *others}
        asked |= names
        assert names <= manual, expression
        assert set(re.findall(r'[a-z_]+', re.sub(r'"[^"]*"', '', expression))) - names <= WORDS, expression
        assert expression.count('(') == expression.count(')') and expression.count('{') == expression.count('}')
        shown = re.findall(r'\$labels\.(\w+)', text) + re.findall(r'\{\{(\w+)\}\}', text)
        assert set(shown) <= written[first] | {'instance'}, (expression, text)
        labels = re.findall(r'(\w+)[=!]~?"', expression) + [word for inside in re.findall(r'\bon \(([^)]*)\)', expression) for word in inside.split(', ')]
        for name in names:
            assert set(labels) <= written[name] | {'instance'}, (expression, name)
    assert {name for name in manual if name.startswith('cofre_snapshot') or name.startswith('cofre_run')} <= asked


def test_the_dashboard():
    """As Grafana wants it: every panel has its place, and no two have the same."""
    dashboard = json.loads((PACKAGING / 'grafana-dashboard.json').read_text())
    panels = dashboard['panels']
    assert dashboard['schemaVersion'] >= 36 and dashboard['uid'] == 'cofre' and 'id' not in dashboard and len(panels) > 10
    assert len({panel['id'] for panel in panels}) == len(panels)
    taken = set()
    for panel in panels:
        place = panel['gridPos']
        cells = {(x, y) for x in range(place['x'], place['x'] + place['w']) for y in range(place['y'], place['y'] + place['h'])}
        assert panel['title'] and max(x for x, _ in cells) < 24 and not cells & taken, panel
        taken |= cells
        assert panel['type'] == 'row' or (panel['targets'] and panel['datasource']['uid'] == '${datasource}' and panel['type'] in ('stat', 'bargauge', 'timeseries'))
    assert [one['name'] for one in dashboard['templating']['list']] == ['datasource', 'instance']


def test_the_rules():
    """As Prometheus wants them."""
    rules = yaml.safe_load((PACKAGING / 'prometheus-alerts.yml').read_text())
    assert list(rules) == ['groups'] and len({group['name'] for group in rules['groups']}) == len(rules['groups'])
    names = [rule['alert'] for group in rules['groups'] for rule in group['rules']]
    assert len(set(names)) == len(names) >= 10
    for rule in (rule for group in rules['groups'] for rule in group['rules']):
        assert set(rule) == {'alert', 'expr', 'for', 'labels', 'annotations'} and re.fullmatch(r'\d+[mhd]', rule['for']), rule
        assert rule['labels']['severity'] in ('warning', 'critical') and 'summary' in rule['annotations'] and re.match('[A-Z][A-Za-z]+$', rule['alert'])
        for text in rule['annotations'].values():
            assert re.sub(r'\{\{ (\$labels\.\w+|\$value( \| humanize(Duration|Percentage))?) \}\}', '', text).count('{') == 0, text
