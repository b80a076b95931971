"""Random texts that open doors: 256 bits behind a readable prefix, of which only the SHA-256 is kept.

A password hash such as PBKDF2 protects what people choose; nobody guesses 256 random bits, and it costs 230 ms a call.
"""

import hashlib
import secrets

ACCESS_KEY_ID = "mck_"
SECRET_ACCESS_KEY = "mcs_"  # noqa: S105 (a prefix)
ACCESS_TOKEN = "mct_"  # noqa: S105 (a prefix)


def new_token(prefix: str) -> str:
    """A new one: ``prefix`` and 64 hexadecimal digits, so that a double click selects all of it."""
    return prefix + secrets.token_hex(32)


def digest(token: str) -> str:
    """What is kept of it: SHA-256, hexadecimal."""
    return hashlib.sha256(token.encode()).hexdigest()
