import pytest
from cryptography.fernet import InvalidToken

from portal.lib import crypto


def test_what_was_encrypted_can_be_read_again_and_is_not_to_be_seen():
    encrypted = crypto.encrypt("grün")
    assert "grün" not in encrypted
    assert crypto.decrypt(encrypted) == "grün"


def test_after_a_new_key_came_first_old_texts_are_still_read(settings):
    settings.ENCRYPTION_KEYS = ["old"]
    encrypted = crypto.encrypt("text")
    settings.ENCRYPTION_KEYS = ["new", "old"]
    assert crypto.decrypt(encrypted) == "text"
    fresh = crypto.encrypt("text")
    settings.ENCRYPTION_KEYS = ["new"]
    assert crypto.decrypt(fresh) == "text"


def test_without_its_key_a_text_is_lost(settings):
    settings.ENCRYPTION_KEYS = ["old"]
    encrypted = crypto.encrypt("text")
    settings.ENCRYPTION_KEYS = ["new"]
    with pytest.raises(InvalidToken):
        crypto.decrypt(encrypted)
