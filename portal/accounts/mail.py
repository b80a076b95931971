"""Mail where no mail server is set: printed to the terminal of `make up`, short, so that the link in it stands out."""

from textwrap import indent

from django.core.mail import EmailMessage
from django.core.mail.backends.console import EmailBackend


class TerminalBackend(EmailBackend):
    """Django's console backend without the MIME around the text."""

    def write_message(self, message: EmailMessage) -> None:
        headline = f"Mail to {', '.join(message.recipients())}: {message.subject}"
        self.stream.write(f"\n{headline}\n\n{indent(message.body.strip(), '    ')}\n\n")
