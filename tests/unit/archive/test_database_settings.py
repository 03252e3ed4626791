"""Settings of the database: what is refused is named, and its password never."""

from pathlib import Path

import pytest

from sympozium_api.settings_parser import InvalidSetting
from sympozium_archive.database_settings import DatabaseSettings

POSTGRES = "postgresql+asyncpg://sympozium:s3cret@db.example.com:5432/archive"
PASSWORDS = ("s3cret", "p@ss")


def test_the_defaults_are_those_of_the_reference() -> None:
    settings = DatabaseSettings.from_environment({"DATABASE_URL": POSTGRES})
    assert settings.url.password == "s3cret"
    assert (settings.pool_size, settings.max_overflow) == (20, 30)
    assert (settings.pool_timeout_seconds, settings.pool_recycle_seconds) == (30, 1800)
    assert settings.max_connections == 50


def test_every_variable_is_read() -> None:
    variables = {
        "DATABASE_URL": "sqlite+aiosqlite:////var/lib/sympozium/archive.db",
        "DB_POOL_SIZE": "2",
        "DB_MAX_OVERFLOW": "3",
        "DB_POOL_TIMEOUT_SECONDS": "4",
        "DB_POOL_RECYCLE_SECONDS": "5",
    }
    settings = DatabaseSettings.from_environment(variables)
    assert settings.is_sqlite
    assert settings.url.database == "/var/lib/sympozium/archive.db"
    assert settings.max_connections == 5
    assert (settings.pool_timeout_seconds, settings.pool_recycle_seconds) == (4, 5)


def test_a_file_has_fewer_connections_than_a_server() -> None:
    assert DatabaseSettings.of_file("/tmp/archive.db").max_connections == 8


def test_the_url_may_be_a_mounted_file(tmp_path: Path) -> None:
    (tmp_path / "url").write_text(f"{POSTGRES}\n")
    assert DatabaseSettings.from_environment({}, str(tmp_path / "url")).url.host == "db.example.com"


@pytest.mark.parametrize(
    "url",
    [
        "s3cret",
        "postgresql://sympozium:s3cret@db.example.com/archive",
        "postgresql+asyncpg://sympozium:s3cret@db.example.com:port/archive",
        "postgresql+asyncpg://sympozium:s3cret@db.example.com:5432",
        "postgresql+asyncpg://sympozium:s3cret",
        "postgresql+psycopg://sympozium:s3cret@p@ss@db.example.com/archive",
        "postgresql+asyncpg://sympozium:p@ss/s3cret@db.example.com:port/archive?password=s3cret",
        "mysql://db.example.com/archive?password=s3cret",
        "http://sympozium:s3cret@db.example.com/",
        "sqlite+aiosqlite:///archive.db",
        "sqlite+aiosqlite://",
        "sqlite+aiosqlite:///:memory:",
    ],
)
def test_a_wrong_url_is_named_without_its_password(url: str) -> None:
    with pytest.raises(InvalidSetting) as refused:
        DatabaseSettings.from_environment({"DATABASE_URL": url})
    message = str(refused.value)
    assert message.startswith("DATABASE_URL: ")
    assert [password for password in PASSWORDS if password in message] == []
    if "@db" in url:
        assert "db.example.com" in message


def test_settings_are_printed_without_the_password() -> None:
    settings = DatabaseSettings.from_environment({"DATABASE_URL": POSTGRES})
    assert str(settings) == "postgresql+asyncpg://sympozium:***@db.example.com:5432/archive"
    assert "s3cret" not in repr(settings)


def test_without_a_url_the_start_ends_with_the_variables_name(tmp_path: Path) -> None:
    with pytest.raises(InvalidSetting, match="DATABASE_URL is not set"):
        DatabaseSettings.from_environment({}, str(tmp_path / "url"))


@pytest.mark.parametrize("variable", ["DB_POOL_SIZE", "DB_MAX_OVERFLOW", "DB_POOL_TIMEOUT_SECONDS"])
@pytest.mark.parametrize("text", ["-1", "1.5", "many", "99999"])
def test_a_number_out_of_its_bounds_is_named(variable: str, text: str) -> None:
    with pytest.raises(InvalidSetting, match=f"{variable}: '{text}' is not a whole number from"):
        DatabaseSettings.from_environment({"DATABASE_URL": POSTGRES, variable: text})
