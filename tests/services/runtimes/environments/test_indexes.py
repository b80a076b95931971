"""What of the operator's settings reaches uv, with and without the network."""

from services.runtimes.environments import indexes

ENVIRON = {
    "UV_DEFAULT_INDEX": "https://me:hunter2@packages.example/simple",
    "UV_INDEX": "inner=https://me:hunter2@inner.example/simple https://plain.example/simple",
    "UV_INDEX_INNER_USERNAME": "me",
    "UV_INDEX_INNER_PASSWORD": "hunter2",
    "UV_HTTP_TIMEOUT": "5",
    "HTTPS_PROXY": "http://me:hunter2@proxy.example:3128",
    "no_proxy": "localhost",
    "SSL_CERT_FILE": "/etc/ssl/ours.pem",
    "SECRET_KEY": "hunter2",
    "DATABASE_URL": "postgres://me:hunter2@db/x",
    "UV_CACHE_DIR": "/var/cache/uv",
    "UV_PYTHON": "3.9",
    "PIP_INDEX_URL": "https://pip.example/simple",
}


def test_with_the_network_uv_gets_indexes_logins_proxies_and_certificates_and_nothing_else():
    found = indexes.variables(online=True, environ=ENVIRON)
    assert found.keys() == ENVIRON.keys() - {"SECRET_KEY", "DATABASE_URL", "UV_CACHE_DIR", "UV_PYTHON", "PIP_INDEX_URL"}


def test_without_the_network_it_gets_addresses_without_passwords():
    assert indexes.variables(online=False, environ=ENVIRON) == {
        "UV_DEFAULT_INDEX": "https://packages.example/simple",
        "UV_INDEX": "inner=https://inner.example/simple https://plain.example/simple",
    }


def test_what_pip_was_told_counts_where_uv_was_told_nothing():
    environ = {"PIP_INDEX_URL": "https://a.example/simple", "PIP_EXTRA_INDEX_URL": "https://b.example/simple"}
    assert indexes.variables(online=True, environ=environ) == {
        "UV_DEFAULT_INDEX": "https://a.example/simple",
        "UV_INDEX": "https://b.example/simple",
    }


def test_the_operators_file_loses_its_passwords_without_the_network(tmp_path):
    file = tmp_path / "uv.toml"
    file.write_text('[[index]]\nurl = "https://me:hunter2@packages.example/simple"\n')
    environ = {"UV_CONFIG_FILE": str(file)}
    assert "hunter2" in indexes.config(online=True, environ=environ)
    offline = indexes.config(online=False, environ=environ)
    assert offline == '[[index]]\nurl = "https://packages.example/simple"\n'


def test_folders_of_wheels_are_named_where_they_exist(tmp_path):
    environ = {"UV_FIND_LINKS": f"{tmp_path} {tmp_path}/none https://files.example/"}
    assert indexes.folders(environ=environ) == {str(tmp_path): tmp_path}
