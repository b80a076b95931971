from io import StringIO

from django.core.mail import EmailMessage

from portal.accounts.mail import TerminalBackend


def test_the_terminal_shows_whom_what_and_the_link_and_no_mime():
    stream = StringIO()
    mail = EmailMessage("Confirm your e-mail address", "Open:\n\nhttp://localhost/x/\n", to=["ada@example.com"])
    TerminalBackend(stream=stream).send_messages([mail])
    shown = stream.getvalue()
    assert "Mail to ada@example.com: Confirm your e-mail address\n" in shown
    assert "\n    http://localhost/x/\n" in shown
    assert "Content-Type" not in shown
