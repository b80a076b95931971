"""Texts that must not lie in the database as they are: encrypted under keys apart from SECRET_KEY, rotatable.

The first of settings.ENCRYPTION_KEYS encrypts; each of them decrypts.
"""

import base64
import hashlib
from functools import lru_cache

from cryptography.fernet import Fernet, MultiFernet
from django.conf import settings


def encrypt(text: str) -> str:
    """``text`` under the first key."""
    return _fernet(*settings.ENCRYPTION_KEYS).encrypt(text.encode()).decode()


def decrypt(encrypted: str) -> str:
    """What `encrypt` was given. Raises cryptography.fernet.InvalidToken where no key fits."""
    return _fernet(*settings.ENCRYPTION_KEYS).decrypt(encrypted.encode()).decode()


@lru_cache(maxsize=4)
def _fernet(*keys: str) -> MultiFernet:
    # The keys are long random texts of any alphabet; Fernet wants 32 bytes.
    return MultiFernet([Fernet(base64.urlsafe_b64encode(hashlib.sha256(key.encode()).digest())) for key in keys])
