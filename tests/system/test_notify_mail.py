"""The notifier `mail` against a real mail server, with TLS and authentication, and against those that misbehave."""
import re
import subprocess
from email.utils import parsedate_to_datetime

import pytest

from support.bad_http import context
from support.cli import BAD_CONFIG, DONE, FAILED, WRONG_KEY
from support.ports import free_port
from support.records import records
from support.smtp import BadSmtp, SmtpServer
from support.tree import plain_tree

PASSWORD = 'Pa55-w0rd-of-mail'


@pytest.fixture
def server():
    made = []

    def start(*words, **options) -> SmtpServer:
        made.append(SmtpServer(*words, **options))
        return made[-1]

    yield start
    for one in made:
        one.close()


def mail(world, name: str = 'ops', **options) -> None:
    world.section(f'notify {name}', **{'plugin': 'mail', 'to': 'ops@example.org', 'from': 'cofre <backup@example.org>', 'retry_for': 0,
                                       'timeout': '10s', 'tls': 'none'} | options)


def well_formed(raw: bytes) -> None:
    """Seven-bit lines that end as they should, none too long."""
    assert raw.isascii() and raw.endswith(b'\r\n') and b'\n' not in raw.replace(b'\r\n', b'') and b'\r' not in raw.replace(b'\r\n', b'')
    assert max(map(len, raw.split(b'\r\n'))) <= 78


def test_what_a_mail_looks_like(world, server, tmp_path):
    world.simple(plain_tree(tmp_path / 'tree', files=3))
    there = server()
    mail(world, server=there.address, to='ops@example.org, Señora López <lopez@example.org>, "x, y" <xy@example.org>'.replace(', y', '\\, y'),
         on='success, failure', **{'from': 'Die Sicherung, täglich\\, vollständig <backup@example.org>'.replace('\\,', '')})
    world.source('tree', tmp_path / ('n€' * 300 + '/.dots\\.and = signs'))
    world.job(notify='ops')
    world.fails(FAILED, 'run', 'job')
    [(sender, recipients, raw)], [one] = there.mailbox.raw, there.mailbox.mails
    record = records(world)[-1]
    well_formed(raw)
    assert sender == 'backup@example.org' and recipients == ['ops@example.org', 'lopez@example.org', 'xy@example.org']
    assert one['subject'] == "testhost: run of job 'job' failed" and one['auto-submitted'] == 'auto-generated' and one['x-cofre-job'] == 'job'
    assert [str(a.addr_spec) for a in one['to'].addresses] == recipients and one['to'].addresses[1].display_name == 'Señora López'
    assert one['from'].addresses[0].display_name == 'Die Sicherung, täglich vollständig'
    assert abs((parsedate_to_datetime(one['date']) - parsedate_to_datetime(one['date']).astimezone()).total_seconds()) == 0
    text = one.get_content()
    assert one.get_content_type() == 'text/plain' and record['error'] in text and 'cofre log job' in text and 'n€n€' in text
    assert re.fullmatch(r'<[a-z0-9-]+@example\.org>', one['message-id'])


def test_titles_that_are_not_plain(world, server):
    """Long ones are folded, and other letters encoded, whole; what comes out is what went in."""
    there = server()
    world.section('engine', state_dir=world.base / 'state', cache_dir=world.base / 'cache', host='h' * 60)
    mail(world, 'n' * 60, server=there.address)
    world.ok('notify', 'test', 'n' * 60)
    [(_, _, raw)], [one] = there.mailbox.raw, there.mailbox.mails
    assert one['subject'] == f"{'h' * 60}: a test of notifier '{'n' * 60}'" and b'\r\n ' in raw and raw.isascii()


def test_tls_and_authentication(world, server, tmp_path):
    good, ca = context(tmp_path / 'good')
    _, other_ca = context(tmp_path / 'other')
    for place in (tmp_path, ca.parent, other_ca.parent):
        place.chmod(0o755)
    secret = tmp_path / 'password'
    secret.write_text(PASSWORD + '\n')
    secret.chmod(0o600)
    for tls in ('starttls', 'implicit'):
        there = server(good, tls, PASSWORD)
        fine = {'server': there.address, 'tls': tls, 'ca_file': ca, 'user': 'backup', 'password': f'@file:{secret}'}
        mail(world, 'fine', **fine)
        mail(world, 'wrong', **fine | {'password': 'wrong-' + PASSWORD})
        mail(world, 'nobody', **fine | {'user': None, 'password': None})
        mail(world, 'unknown', **fine | {'ca_file': other_ca})
        mail(world, 'system', **fine | {'ca_file': None})
        mail(world, 'plain', **fine | {'user': None, 'password': None, 'tls': 'none', 'timeout': '1s'})
        assert 'takes the password' in world.ok('check', 'fine').out and not there.mailbox.raw
        traced = tmp_path / 'trace'
        done = world.ok('-v', 'notify', 'test', 'fine', prefix=('strace', '-f', '-e', 'trace=execve', '-v', '-s', '9999', '-o', traced))
        assert len(there.mailbox.raw) == 1 and there.logins and PASSWORD not in done.text + traced.read_text()
        wrong = world.fails(WRONG_KEY, 'notify', 'test', 'wrong')
        assert 'password' in wrong.err and PASSWORD not in wrong.text
        assert world('check', 'wrong').status == WRONG_KEY
        for name in ('unknown', 'system'):
            assert 'ca_file' in world.fails(BAD_CONFIG, 'notify', 'test', name).err
        for name in ('nobody', 'plain'):
            assert world('notify', 'test', name).status != DONE
        assert len(there.mailbox.raw) == 1


def test_a_server_that_offers_no_tls_gets_nothing(world, server):
    there = server()
    mail(world, server=there.address, tls='starttls', user='backup', password=PASSWORD)
    done = world.fails(BAD_CONFIG, 'notify', 'test', 'ops')
    assert 'no TLS' in done.err and not there.mailbox.raw and PASSWORD not in done.text


def test_one_recipient_is_refused(world, server):
    there = server(refused={'gone@example.org': '550 5.1.1 no such user', 'late@example.org': '450 try later'})
    mail(world, server=there.address, to='gone@example.org, ops@example.org, late@example.org')
    done = world.ok('notify', 'test', 'ops')
    assert re.search("<gone@example.org>' is refused.*550 5.1.1 no such user", done.err) and 'late@example.org' in done.err
    assert there.mailbox.raw[0][1] == ['ops@example.org'] and "<ops@example.org>' is refused" not in done.err
    mail(world, server=there.address, to='gone@example.org')
    assert 'status 550' in world.fails(FAILED, 'notify', 'test', 'ops').err and len(there.mailbox.raw) == 1


WAYS = {
    'busy': ({'': '421 come back later\r\n'}, 'send the mail'),
    'refuses-us': ({'': '554 go away\r\n'}, 'send the mail'),
    'hangs-up': ({'': None}, 'send the mail'),
    'silent': ({'': 'silence'}, 'took longer'),
    'no-smtp': ({'': 'HTTP/1.1 400 Bad Request\r\n\r\n'}, 'send the mail|took longer'),
    'no-hello': ({'EHLO': '500 what\r\n', 'HELO': '500 what\r\n'}, 'send the mail'),
    'sender-refused': ({'MAIL': '550 not you\r\n'}, "status 550.*'from'"),
    'sender-later': ({'MAIL': '451 not now\r\n'}, 'status 451'),
    'recipient-refused': ({'RCPT': '550 nobody\r\n'}, "status 550.*'to'"),
    'grey': ({'RCPT': '450 greylisted\r\n'}, 'status 450'),
    'no-data': ({'DATA': '554 no\r\n'}, 'status 554'),
    'gone-at-data': ({'DATA': None}, 'send the mail'),
    'spam': ({'.': '554 5.7.1 spam\r\n'}, 'status 554'),
    'full': ({'.': '452 disk full\r\n'}, 'status 452'),
    'gone-at-end': ({'.': None}, 'send the mail'),
    'silent-at-end': ({'.': 'silence'}, 'took longer'),
    'endless-greeting': ({'': '220-x\r\n' * 100000 + '220 x\r\n', 'EHLO': None}, ''),
    'control': ({'RCPT': '550 \x1b[31mred\r\n'}, r'\\x1b'),
}


def test_servers_that_misbehave(world):
    servers = {way: BadSmtp(answers) for way, (answers, _) in WAYS.items()}
    for way, there in servers.items():
        mail(world, way, server=there.address, timeout='2s')
    mail(world, 'nobody', server=f'127.0.0.1:{free_port()}')
    mail(world, 'good', server=BadSmtp({}).address)
    world.ok('notify', 'test', 'good')
    assert 'running' in world.fails(FAILED, 'notify', 'test', 'nobody').err
    running = {way: subprocess.Popen(world.command('notify', 'test', way), stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                                     stderr=subprocess.STDOUT, text=True) for way in WAYS}
    wrong = []
    for way, process in running.items():
        said = process.communicate(timeout=120)[0]
        if process.returncode != FAILED or not re.search(WAYS[way][1], said, re.S) or '\x1b' in said:
            wrong.append(f'{way}: {process.returncode}\n{said}')
    assert not wrong, '\n'.join(wrong)


def test_sendmail(world, tmp_path):
    tmp_path.chmod(0o755)
    program, log = tmp_path / 'sendmail', tmp_path / 'log'
    program.write_text(f'#!/bin/sh\nprintf "%s\\n" "$@" > {log}.words\ncat > {log}\n')
    program.chmod(0o755)
    mail(world, sendmail=program, tls=None, to='root, ops@example.org', **{'from': None})
    assert 'is there' in world.ok('check', 'ops').out and not log.exists()
    world.ok('notify', 'test', 'ops')
    option, flag, sender, *to = log.with_name('log.words').read_text().splitlines()
    assert (option, flag, to) == ('-i', '-f', ['root', 'ops@example.org']) and sender.startswith('cofre@')
    assert '\r' not in log.read_text() and 'To: <root>,\n <ops@example.org>\n' in log.read_text()
    program.write_text('#!/bin/sh\necho "no route to anywhere" >&2; exit 75\n')
    assert 'no route to anywhere' in world.fails(FAILED, 'notify', 'test', 'ops').err
    program.unlink()
    assert 'msmtp' in world('check', 'ops').err


@pytest.mark.parametrize('options, says', [
    ({'to': 'no blanks@example.org'}, 'is no address'), ({'to': '-oQ/tmp@example.org'}, 'is no address'),
    ({'to': 'a@b@c'}, 'is no address'), ({'to': 'x@example.org>\\, <y@example.org'}, 'is no address'), ({'from': 'Nobody <>'}, 'is no address'),
    ({'to': 'ü@example.org'}, 'is no address'), ({'server': 'smtp.example.org/x'}, 'HOST'), ({'server': None, 'user': 'x', 'password': 'y'}, "'server'"),
    ({'user': 'x'}, 'go together'), ({'user': 'x', 'password': 'y'}, 'tls = none'), ({'to': ', '.join(['x@example.org'] * 51)}, '1 to 50')], ids=str)
def test_what_can_never_work(world, options, says):
    mail(world, **{'server': '127.0.0.1:1'} | options)
    assert says in world.fails(BAD_CONFIG, 'check', '--offline', 'ops').err
