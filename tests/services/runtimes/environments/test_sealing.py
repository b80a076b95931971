"""What a build wrote becomes the system's own, and leads nowhere else."""

import pytest

from services.runtimes.base import PlatformError
from services.runtimes.environments import sealing


@pytest.fixture
def cache(tmp_path):
    (tmp_path / "cache" / "archive").mkdir(parents=True)
    (tmp_path / "cache" / "archive" / "tool.py").write_text("x = 1\n")
    (tmp_path / "environment").mkdir()
    return tmp_path / "cache"


def test_a_link_into_the_cache_becomes_the_file_itself(cache):
    environment = cache.parent / "environment"
    (environment / "tool.py").symlink_to("/build/cache/archive/tool.py")
    sealing.seal(environment, cache=cache, mounted_at="/build/cache")
    assert not (environment / "tool.py").is_symlink()
    assert (environment / "tool.py").samefile(cache / "archive" / "tool.py")
    assert (environment / "tool.py").stat().st_mode & 0o777 == 0o444
    sealing.remove(environment)
    assert not environment.exists()


@pytest.mark.parametrize("target", ["/build/cache/../secret", "/build/cache/archive/link"])
def test_a_link_that_leads_out_of_the_cache_is_refused(cache, target):
    secret = cache.parent / "secret"
    secret.write_text("secret")
    secret.chmod(0o600)
    (cache / "archive" / "link").symlink_to(secret)
    (cache.parent / "environment" / "tool.py").symlink_to(target)
    with pytest.raises(PlatformError, match="not in the cache"):
        sealing.seal(cache.parent / "environment", cache=cache, mounted_at="/build/cache")
    assert secret.stat().st_mode & 0o777 == 0o600


def test_an_environment_that_is_a_link_is_refused(cache):
    link = cache.parent / "link"
    link.symlink_to(cache)
    with pytest.raises(PlatformError, match="no folder"):
        sealing.seal(link, cache=cache, mounted_at="/build/cache")
