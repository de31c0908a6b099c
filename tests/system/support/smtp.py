"""Mail servers: one that works (aiosmtpd), and those that do not."""
from __future__ import annotations

import socket
import ssl
import threading
import time
from email import message_from_bytes, policy

from aiosmtpd.controller import Controller
from aiosmtpd.smtp import AuthResult


class Mailbox:
    """Takes mail, but for the recipients that it does not know."""

    def __init__(self, refused: dict[str, str] | None = None) -> None:
        self.refused, self.raw = refused or {}, []

    async def handle_RCPT(self, server, session, envelope, address, options):
        if address in self.refused:
            return self.refused[address]
        envelope.rcpt_tos.append(address)
        return '250 OK'

    async def handle_DATA(self, server, session, envelope):
        self.raw.append((envelope.mail_from, envelope.rcpt_tos, envelope.original_content))
        return '250 OK'

    @property
    def mails(self) -> list:
        return [message_from_bytes(raw, policy=policy.default) for _, _, raw in self.raw]


class SmtpServer:
    """tls: 'starttls', 'implicit' or 'none'; password: of the user `backup`, without which nothing is taken."""

    def __init__(self, context: ssl.SSLContext | None = None, tls: str = 'none', password: str | None = None, refused: dict | None = None) -> None:
        self.mailbox = Mailbox(refused)
        options = {'tls_context': context, 'require_starttls': True} if tls == 'starttls' else {}
        if password:
            options |= {'authenticator': self.authenticate, 'auth_required': True, 'auth_require_tls': tls == 'starttls'}
        with socket.create_server(('127.0.0.1', 0)) as free:
            port = free.getsockname()[1]
        self.password, self.logins = password, []
        self.controller = Controller(self.mailbox, hostname='127.0.0.1', port=port, ssl_context=context if tls == 'implicit' else None, **options)
        self.controller.start()
        self.address = f'127.0.0.1:{port}'

    def authenticate(self, server, session, envelope, mechanism, data) -> AuthResult:
        self.logins.append(mechanism)
        good = data.login == b'backup' and data.password == self.password.encode()
        return AuthResult(success=good, handled=good)

    def close(self) -> None:
        self.controller.stop()


class BadSmtp:
    """Answers each command by what stands under its first word in answers: text; None = it hangs up; 'silence'."""

    USUAL = {'': '220 bad ESMTP\r\n', 'EHLO': '250-bad\r\n250 8BITMIME\r\n', 'HELO': '250 bad\r\n', 'MAIL': '250 OK\r\n', 'RCPT': '250 OK\r\n',
             'DATA': '354 go on\r\n', '.': '250 OK\r\n', 'QUIT': '221 bye\r\n', 'NOOP': '250 OK\r\n'}

    def __init__(self, answers: dict) -> None:
        self.answers, self.taken = self.USUAL | answers, []
        self.listener = socket.create_server(('127.0.0.1', 0))
        self.address = f'127.0.0.1:{self.listener.getsockname()[1]}'
        threading.Thread(target=self.serve, daemon=True).start()

    def serve(self) -> None:
        while True:
            try:
                connection, _ = self.listener.accept()
            except OSError:
                return
            threading.Thread(target=self.talk, args=(connection,), daemon=True).start()

    def talk(self, connection: socket.socket) -> None:
        try:
            with connection, connection.makefile('rb') as lines:
                going = self.say(connection, '')
                while going:
                    line = lines.readline()
                    word = line.split(b' ')[0].split(b':')[0].strip().decode('latin-1').upper()
                    if not line:
                        return
                    going = self.say(connection, word)
                    if word == 'DATA' and going and self.answers['DATA'].startswith('354'):
                        body = b''
                        while (line := lines.readline()) not in (b'.\r\n', b''):
                            body += line
                        going = self.say(connection, '.')
                        self.taken.append(body)
        except OSError:
            pass

    def say(self, connection: socket.socket, word: str) -> bool:
        answer = self.answers.get(word, '500 what?\r\n')
        if answer == 'silence':
            time.sleep(15)
        if answer:
            connection.sendall(answer.encode('latin-1'))
        return bool(answer)

    def close(self) -> None:
        self.listener.close()
