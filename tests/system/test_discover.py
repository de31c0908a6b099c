"""cofre discover: what could be a source, as ready sections; and what a plugin knows of the configuration."""
import configparser

import pytest

from support.cli import CLEAN, DONE, FAILED, INCOMPLETE


@pytest.fixture
def app(world, tmp_path):
    """Things in an application; nothing of it is configured."""
    built = world.binary.parent
    world.section('engine', state_dir=tmp_path / 'state', cache_dir=tmp_path / 'cache', host='testhost',
                  plugin_dir=f'{built / "plugins"}, {built / "tests" / "plugins"}')
    world.place = tmp_path / 'app'
    world.place.mkdir()
    world.env = CLEAN | {'SERVING_PLACE': str(world.place)}
    things(world, 'alpha', 'Beta Gamma')
    return world


def things(world, *names):
    (world.place / 'things').write_text(''.join(f'{name}\n' for name in names))


def source(world, name, thing, **options):
    world.section(f'source {name}', plugin='serving-source', place=world.place, thing=thing, **options)


def sections(result):
    parser = configparser.ConfigParser(delimiters=('=',), comment_prefixes=('#', ';'))
    parser.read_string(result.out)
    return {name: dict(parser[name]) for name in parser.sections()}


def comments(result):
    return [line[2:] for line in result.out.splitlines() if line.startswith('#')]


def test_by_defaults(app):
    result = app.ok('discover', env=app.env)
    assert sections(result) == {'source alpha': {'plugin': 'serving-source', 'thing': 'alpha'},
                                'source beta-gamma': {'plugin': 'serving-source', 'thing': 'Beta Gamma'}}
    assert "the thing 'alpha'\\x09(tab)" in comments(result)


def test_what_is_printed_can_be_configured(app):
    app.write('found.conf', app.ok('discover', env=app.env).out)
    app.ok('check', 'alpha', 'beta-gamma', env=app.env)
    result = app.ok('discover', env=app.env)
    assert sections(result) == {}
    told = comments(result)
    assert told.index('configured, and in no job:') + 1 == told.index("the thing 'alpha'\\x09(tab) (source 'alpha')")


def test_names_are_unique(app):
    things(app, 'alpha', 'ALPHA', 'über alpha', '---', 'x' * 80, 'x' * 90)
    source(app, 'alpha', 'something else')
    names = [name.removeprefix('source ') for name in sections(app.ok('discover'))]
    assert names == ['alpha-2', 'alpha-3', 'ber-alpha', 'source', 'x' * 63, 'x' * 61 + '-2']


def test_what_is_covered_and_by_which(app):
    source(app, 'first', 'alpha')
    source(app, 'second', 'Beta Gamma')
    app.sink()
    app.job(sources='second')
    result = app.ok('discover')
    told = comments(result)
    assert sections(result) == {} and told[0] == 'all that was found is configured'
    assert told[1:3] == ['configured, and in no job:', "the thing 'alpha'\\x09(tab) (source 'first')"]
    assert told[3:] == ['saved already:', "the thing 'Beta Gamma'\\x09(tab) (source 'second')"]


def test_each_once(app):
    """Two sources that reach the same place; the third, without one, is not asked as there are sources of its plugin."""
    source(app, 'first', 'x')
    source(app, 'second', 'y')
    assert list(sections(app.ok('discover'))) == ['source alpha', 'source beta-gamma']
    assert (app.place / 'calls').read_text().count('discover') == 2


def test_json(app):
    source(app, 'first', 'alpha')
    offers = [line for line in app.ok('--json', 'discover').json() if line['type'] == 'offer']
    assert offers == [
        {'type': 'offer', 'name': 'alpha', 'options': 'plugin = serving-source\nthing = alpha\n',
         'about': "the thing 'alpha'\\x09(tab)", 'covered_by': 'first', 'in_job': False},
        {'type': 'offer', 'name': 'beta-gamma', 'options': 'plugin = serving-source\nthing = Beta Gamma\n',
         'about': "the thing 'Beta Gamma'\\x09(tab)", 'covered_by': None, 'in_job': False}]
    assert app.ok('--json', 'discover').json()[-1] == {'type': 'summary', 'status': 'complete', 'offers': 2, 'covered': 1,
                                                       'failed': 0}


def test_who_is_not_there_is_a_notice(app):
    result = app.ok('discover')
    assert "plugin 'serving-source': reach '/nonexistent': nobody is there" in result.err
    assert comments(result) == ['nothing was found that could be a source']


def test_a_configured_source_that_cannot_look_is_a_failure(app):
    source(app, 'first', 'x', habit='fail', at='discover')
    assert "source 'first'" in app.fails(FAILED, 'discover').err
    source(app, 'second', 'y')
    result = app.fails(INCOMPLETE, 'discover')
    assert "source 'first'" in result.err and list(sections(result)) == ['source alpha', 'source beta-gamma']


@pytest.mark.parametrize('options, said', [
    ('thing = x', "'plugin' is not the first"), ('[sink nas]', 'there is a section'), ('plugin', 'offer:2: '),
    ('plugin = a\x1b[31m', 'control character'), ('plugin = a\u009b31m', 'cannot be printed')])
def test_options_that_are_no_section(app, options, said):
    things(app, f'raw {options}')
    result = app.fails({FAILED, INCOMPLETE}, 'discover', env=app.env)
    assert 'broke its contract in discover' in result.err and said in result.err and '\x1b' not in result.text
    assert '\u009b' not in result.text


def test_without_a_configuration(app):
    """As on a new machine: the plugins are those beside the program, and there is no place for anything."""
    for path in app.conf.iterdir():
        path.unlink()
    assert app('discover', env=app.env).status == DONE


# ---- what a plugin is told

def findings(result):
    return [line['text'] for line in result.json() if line['type'] == 'finding']


def test_what_a_plugin_knows_of_the_configuration(app, tmp_path):
    (tmp_path / 'tree').mkdir()
    app.source('tree', tmp_path / 'tree', exclude='*.tmp')
    source(app, 'first', 'alpha', password='hunter2', timeout='1h')
    app.section('source away', plugin='no-such-plugin', password='hunter2')
    app.section('source unset', plugin='serving-source', thing='${NO_SUCH_VARIABLE}')
    app.sink()
    app.job(sources='tree')
    result = app('--json', 'check', 'first')
    told = [text for text in findings(result) if text.startswith('configured')]
    assert told == ['configured away (no-such-plugin)',
                    f'configured first (serving-source) place={app.place} thing=alpha',
                    f'configured tree (directory, in a job) path={tmp_path / "tree"} exclude=*.tmp',
                    'configured unset ()'], told
    assert 'hunter2' not in result.text
    offline = app('--json', 'check', 'first', '--offline')
    assert [text for text in findings(offline) if text.startswith('configured')] == told


def test_the_common_directory(app):
    source(app, 'first', 'alpha')
    source(app, 'second', 'beta')
    told = {text for text in findings(app.ok('--json', 'check', 'first', 'second')) if text.startswith('common')}
    common = app.base / 'state' / 'plugins' / 'serving-source'
    assert told == {f'common directory {common}'} and common.stat().st_mode & 0o777 == 0o700
