"""accounts.toml: what is accepted, and that every mistake is one line that says what to do."""

from __future__ import annotations

import pickle
from datetime import date
from pathlib import Path
from zoneinfo import ZoneInfo

import pytest

from resources.accounts import (
    AccountKind,
    Accounts,
    AccountsError,
    AccountSettings,
    AccountsFileMissing,
    MissingSecret,
    UnknownAccount,
    load_accounts,
)
from resources.errors import ConfigurationError
from resources.places import Places
from resources.redaction import redact


class LeasingSettings(AccountSettings):
    relationships: tuple[int, ...] = ()


KINDS = {
    "brightpearl": AccountKind(
        AccountSettings,
        (frozenset({"app_ref", "account_token"}), frozenset({"app_ref", "access_token"})),
    ),
    "quotevine": AccountKind(LeasingSettings, (frozenset({"api_key"}),)),
}

GOOD = """
[brightpearl.acme]
base_url = "https://euw1.brightpearlconnect.com/public-api/acme/"
timezone = "Europe/London"
currency = "GBP"
started_on = 2019-01-01
requests_per_minute = 200

[brightpearl.acme.credentials]
app_ref = "BRIGHTPEARL_ACME_APP_REF"
account_token = "BRIGHTPEARL_ACME_TOKEN"

[brightpearl.acme.order_status]
"27" = "cancelled"
28 = "unknown"

[quotevine.leasing]
base_url = "http://127.0.0.1:8080/leasing"
timezone = "Europe/London"
started_on = 2020-06-01
relationships = [1201, 1202]
paused = true
credentials = { api_key = "QV_KEY" }
"""


def load(tmp_path: Path, text: str) -> Accounts:
    path = tmp_path / "accounts.toml"
    path.write_text(text, encoding="utf-8")
    return load_accounts(path, KINDS)


def test_a_good_file(tmp_path: Path) -> None:
    accounts = load(tmp_path, GOOD)
    assert [account.key for account in accounts] == ["brightpearl.acme", "quotevine.leasing"]
    assert accounts.keys() == ("brightpearl.acme", "quotevine.leasing")
    assert len(accounts) == 2
    assert "brightpearl.acme" in accounts
    acme = accounts.get("brightpearl.acme")
    assert accounts.of_source("brightpearl") == (acme,)
    assert acme.settings.base_url == "https://euw1.brightpearlconnect.com/public-api/acme"
    assert acme.zone == ZoneInfo("Europe/London")
    assert acme.settings.started_on == date(2019, 1, 1)
    assert acme.settings.order_status == {"27": "cancelled", "28": "unknown"}
    assert acme.credentials["app_ref"] == "BRIGHTPEARL_ACME_APP_REF"
    assert acme.budget_key == "brightpearl.acme"
    leasing = accounts.get("quotevine.leasing")
    assert isinstance(leasing.settings, LeasingSettings)
    assert leasing.settings.relationships == (1201, 1202)
    assert leasing.settings.paused


def test_an_empty_file_has_no_accounts(tmp_path: Path) -> None:
    assert list(load(tmp_path, "")) == []


ACME = "table [brightpearl.acme]"

MISTAKES = {
    "malformed": ("timezone = ", "timezone = = ", ("is not TOML", "line 4")),
    "twice": ("[quotevine.leasing]", "[brightpearl.acme]", ("is not TOML", "line 17")),
    "unknown source": (
        "[quotevine.leasing]",
        "[quotevein.leasing]",
        ("table [quotevein]", "did you mean quotevine?"),
    ),
    "source without account": (
        "[quotevine.leasing]",
        "[quotevine]",
        ("key base_url stands outside an account", "[quotevine.NAME]"),
    ),
    "unknown key": (
        "currency =",
        "curency =",
        (ACME, "key curency", "unknown key", "did you mean currency?"),
    ),
    "missing key": ('timezone = "Europe/London"\ncurr', "curr", (ACME, "key timezone", "add it")),
    "account name": ("[quotevine.leasing]", '[quotevine."a b"]', ("'a b'", "letters, digits")),
    "time zone": ("Europe/London", "Europe/Londn", ("key timezone", "did you mean Europe/London?")),
    "time zone is a path": ("Europe/London", "../../etc/passwd", ("key timezone", "IANA")),
    "time zone is a folder": ("Europe/London", "Europe", ("key timezone", "IANA")),
    "not https": ("https://euw1", "http://euw1", ("key base_url", "https")),
    "looks like loopback": ("https://euw1", "http://127.0.0.1.euw1", ("key base_url", "https")),
    "no host": ("https://euw1.brightpearlconnect.com", "https://", ("key base_url", "host")),
    "user in URL": ("https://euw1", "https://me:hunter22@euw1", ("key base_url", "no user")),
    "query in URL": ("/acme/", "/acme?token=hunter22", ("key base_url", "query")),
    "port": ("connect.com/", "connect.com:99999/", ("key base_url", "https://HOST/PATH")),
    "currency": ('"GBP"', '"gbp"', ("key currency", "ISO 4217", "GBP")),
    "future": ("2019-01-01", "2919-01-01", ("key started_on", "future")),
    "date as text": ("2019-01-01", '"2019-01-01"', ("key started_on", "without quotes")),
    "date with time": ("2019-01-01", "2019-01-01T00:00:00", ("key started_on", "date")),
    "date as number": ("2019-01-01", "86400", ("key started_on", "date")),
    "limit as text": ("= 200", '= "200"', ("key requests_per_minute", "integer")),
    "limit of nothing": ("= 200", "= 0", ("key requests_per_minute", "greater than 0")),
    "canonical code": (
        '"cancelled"',
        '"canceled"',
        ("key order_status", "'27'", "take one of", "cancelled"),
    ),
    "code is a number": ('"cancelled"', "5", ("key order_status.27", "string")),
    "own key of a source": ("[1201, 1202]", '["x"]', ("key relationships.0", "integer")),
    "credential missing": (
        'account_token = "BRIGHTPEARL_ACME_TOKEN"',
        "",
        ("[brightpearl.acme.credentials]", "account_token + app_ref or access_token + app_ref"),
    ),
    "credential unknown": (
        "account_token =",
        "acount_token =",
        ("key acount_token", "did you mean account_token?"),
    ),
    "no credentials": ('credentials = { api_key = "QV_KEY" }', "", ("no credentials", "api_key")),
    "credentials no table": ('{ api_key = "QV_KEY" }', '"QV_KEY"', ("is not a table", "api_key")),
    "secret instead of a name": (
        '"BRIGHTPEARL_ACME_TOKEN"',
        '"hunter22/abc="',
        ("key account_token", "may be the secret itself"),
    ),
    "secret that could be a name": (
        '"BRIGHTPEARL_ACME_TOKEN"',
        '"HUNTER22ABCDEFGHIJKLMNOPQRSTUV"',
        ("key account_token", "may be the secret itself"),
    ),
    "same account twice": (
        "[quotevine.leasing]",
        "[quotevine.again]\n"
        'base_url = "http://127.0.0.1:8080/leasing/"\n'
        'timezone = "Europe/London"\nstarted_on = 2020-06-01\nrelationships = [1201, 1202]\n'
        'credentials = { api_key = "QV_KEY" }\n[quotevine.leasing]',
        ("same account as quotevine.again",),
    ),
    "budget key is a path": (
        "= 200",
        '= 200\nbudget_key = "../../x"',
        ("key budget_key", "pattern"),
    ),
    "one budget, two limits": (
        "[quotevine.leasing]",
        '[quotevine.leasing]\nrequests_per_minute = 60\nbudget_key = "brightpearl.acme"',
        ("budget_key brightpearl.acme", "key requests_per_minute"),
    ),
}


@pytest.mark.parametrize("mistake", MISTAKES)
def test_every_mistake_is_one_line_with_file_table_and_key(tmp_path: Path, mistake: str) -> None:
    before, after, expected = MISTAKES[mistake]
    assert before in GOOD
    with pytest.raises(AccountsError) as caught:
        load(tmp_path, GOOD.replace(before, after, 1))
    text = str(caught.value)
    assert str(tmp_path / "accounts.toml") in text
    assert "\n" not in text
    assert [part for part in expected if part not in text] == []
    assert "hunter22" not in text.lower()
    assert caught.value.remedy


def test_a_source_is_a_table(tmp_path: Path) -> None:
    with pytest.raises(AccountsError, match=r"\[brightpearl\]\): write \[brightpearl\.NAME\]"):
        load(tmp_path, "brightpearl = 1")


def test_no_file(tmp_path: Path) -> None:
    with pytest.raises(AccountsFileMissing, match="orderloom sandbox"):
        load_accounts(tmp_path / "accounts.toml", KINDS)
    with pytest.raises(AccountsError, match="cannot be read"):
        load_accounts(tmp_path, KINDS)
    (tmp_path / "latin.toml").write_bytes(b"# caf\xe9")
    with pytest.raises(AccountsError, match="UTF-8"):
        load_accounts(tmp_path / "latin.toml", KINDS)


def test_a_byte_order_mark_does_no_harm(tmp_path: Path) -> None:
    assert len(load(tmp_path, "\ufeff" + GOOD)) == 2


def test_an_unknown_account(tmp_path: Path) -> None:
    with pytest.raises(UnknownAccount, match=r"did you mean brightpearl\.acme\?") as caught:
        load(tmp_path, GOOD).get("brightpearl.acmee")
    assert isinstance(caught.value, ConfigurationError)


def test_secrets_come_from_the_environment_and_are_registered(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    account = load(tmp_path, GOOD).get("quotevine.leasing")
    monkeypatch.delenv("QV_KEY", raising=False)
    with pytest.raises(MissingSecret) as caught:
        account.secrets()
    for part in ("accounts.toml", "[quotevine.leasing.credentials]", "key api_key", "QV_KEY"):
        assert part in str(caught.value)
    monkeypatch.setenv("QV_KEY", "quotevine-canary")
    assert account.secrets() == {"api_key": "quotevine-canary"}
    assert redact("api-key quotevine-canary") == "api-key [redacted]"


@pytest.mark.parametrize("value", ["", "line-canary\n", " line-canary", "line\tcanary", "canaryé"])
def test_unusable_secrets(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, value: str) -> None:
    account = load(tmp_path, GOOD).get("quotevine.leasing")
    monkeypatch.setenv("QV_KEY", value)
    with pytest.raises(MissingSecret, match="QV_KEY") as caught:
        account.secrets()
    assert value.strip() == "" or value.strip() not in str(caught.value)


def test_errors_survive_pickling(tmp_path: Path) -> None:
    with pytest.raises(UnknownAccount) as caught:
        load(tmp_path, GOOD).get("x")
    assert str(pickle.loads(pickle.dumps(caught.value))) == str(caught.value)


def test_places(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    places = Places.from_environment()
    assert places.home == tmp_path / "var"
    assert places.lake == str(tmp_path / "var/lake")
    assert places.ledger == f"sqlite:///{tmp_path}/var/ledger.sqlite"
    assert places.marts == tmp_path / "var/marts.duckdb"
    assert places.accounts == tmp_path / "accounts.toml"
    places.prepare()
    assert places.home.stat().st_mode & 0o777 == 0o700
    monkeypatch.setenv("ORDERLOOM_HOME", "elsewhere")
    monkeypatch.setenv("ORDERLOOM_LAKE", "s3://bucket/lake")
    monkeypatch.setenv("ORDERLOOM_LEDGER", "postgresql+psycopg2://db/ledger")
    monkeypatch.setenv("ORDERLOOM_ACCOUNTS", "")
    places = Places.from_environment()
    assert places.dagster == tmp_path / "elsewhere/dagster"
    assert (places.lake, places.ledger) == ("s3://bucket/lake", "postgresql+psycopg2://db/ledger")
    assert places.accounts == tmp_path / "accounts.toml"
    (tmp_path / "elsewhere").write_text("a file")
    with pytest.raises(ConfigurationError, match="ORDERLOOM_HOME"):
        places.prepare()
