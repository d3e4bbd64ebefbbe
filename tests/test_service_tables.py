"""The tables of accounts.toml that are no sources: what they hold, and how mistakes are told."""

from __future__ import annotations

import re
import tomllib
from pathlib import Path

import dagster as dg
import pytest
from dagster._utils.schedules import is_valid_cron_string

from resources import cron
from resources.accounts import AccountKind, Accounts, AccountsError, AccountSettings, load_accounts
from resources.mistakes import MissingSecret
from resources.redaction import redact
from resources.service import AlertSettings, RetentionSettings, ScheduleSettings

KINDS = {
    "brightpearl": AccountKind(AccountSettings, (frozenset({"token"}),)),
    "quotevine": AccountKind(AccountSettings, (frozenset({"token"}),), can_be_swept=False),
}
ACME = """
[brightpearl.acme]
base_url = "https://api.example.com"
timezone = "Europe/London"
started_on = 2026-01-01
stale_after_hours = 6
credentials = { token = "ACME_TOKEN" }
"""
HOOK = "https://hooks.example.com/services/T0/B0/canary?sig=1"


def load(tmp_path: Path, text: str) -> Accounts:
    path = tmp_path / "accounts.toml"
    path.write_text(ACME + text, encoding="utf-8")
    return load_accounts(path, KINDS)


def test_without_tables_everything_has_its_default(tmp_path: Path) -> None:
    accounts = load(tmp_path, "")
    assert accounts.get("brightpearl.acme").settings.stale_after_hours == 6
    assert AccountSettings.model_fields["stale_after_hours"].default == 24
    schedule = accounts.service.schedule("brightpearl")
    assert (schedule.cron, schedule.enabled, schedule.accounts) == ("*/15 * * * *", False, None)
    assert accounts.service.webhook_url() is None


def test_every_table_at_once(tmp_path: Path) -> None:
    text = f"""
[schedules.brightpearl]
cron = "0 6-20/2 * * mon-fri"
sweep_cron = "30 2 * * 7"
timezone = "Europe/London"
accounts = ["acme"]
enabled = true
[alerts]
webhook_url = "{HOOK}"
[retention]
successful_runs_days = 7
failed_runs_days = 30
run_history_days = 500
"""
    service = load(tmp_path, text).service
    schedule = service.schedule("brightpearl")
    assert (schedule.accounts, schedule.enabled) == (("acme",), True)
    assert (schedule.timezone, schedule.sweep_cron) == ("Europe/London", "30 2 * * 7")
    assert service.schedule("quotevine").enabled is False
    assert service.retention.failed_runs_days == 30
    assert service.webhook_url() == HOOK
    assert "canary" not in redact(f"POST {HOOK} failed")


def test_a_webhook_may_stand_in_a_variable(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    service = load(tmp_path, '[alerts]\nwebhook_url = "ALERTS_URL"').service
    with pytest.raises(MissingSecret, match=r"ALERTS_URL is not set .*table \[alerts\], key webh"):
        service.webhook_url()
    monkeypatch.setenv("ALERTS_URL", "http://hooks.example.com/canary")
    with pytest.raises(MissingSecret, match="is not https") as told:
        service.webhook_url()
    assert "canary" not in str(told.value)
    monkeypatch.setenv("ALERTS_URL", HOOK)
    assert service.webhook_url() == HOOK
    assert "canary" not in redact(HOOK)


def test_the_page_shows_every_key_and_the_defaults(tmp_path: Path) -> None:
    page = (Path(__file__).parents[1] / "docs/schedules.md").read_text(encoding="utf-8")
    (text,) = re.findall(r"```toml\n(.+?)```", page, re.DOTALL)
    load(tmp_path, text)
    shown = tomllib.loads(text)
    for given, model in (
        (shown["schedules"]["brightpearl"], ScheduleSettings),
        (shown["alerts"], AlertSettings),
        (shown["retention"], RetentionSettings),
    ):
        assert set(given) == set(model.model_fields)
        for key in set(given) - {"accounts", "enabled", "webhook_url"}:
            assert given[key] == model.model_fields[key].default


MISTAKES = [
    ("[schedules.brightpear]", r"unknown source 'brightpear' .*did you mean brightpearl\?"),
    ("[schedules]\nbrightpearl = 1", r"is not a table .*table \[schedules.brightpearl\]"),
    ("[schedule.brightpearl]", r"unknown source 'schedule' .*did you mean schedules\?"),
    ('[schedules.brightpearl]\ncrom = "x"', r"unknown key .*key crom\): did you mean cron\?"),
    ('[schedules.brightpearl]\ncron = "hourly"', r"1 fields instead of 5 .*key cron\): write min"),
    ('[schedules.brightpearl]\ncron = "0 24 * * *"', r"its hour is none .*key cron"),
    ('[schedules.brightpearl]\ncron = "0 0 31 2 *"', r"is never due"),
    ('[schedules.brightpearl]\naccounts = ["acm"]', r"unknown account 'acm' .*mean acme\?"),
    ("[schedules.brightpearl]\naccounts = []", r"key accounts\): name one at least"),
    ("[schedules.brightpearl]\nenabled = 1", r"key enabled\): write true or false"),
    ('[schedules.brightpearl]\ntimezone = "Europe/Lodnon"', r"did you mean Europe/London\?"),
    ('[schedules.quotevine]\nsweep_cron = "0 3 * * *"', r"cannot tell .*key sweep_cron"),
    ('[schedules.quotevine]\naccounts = ["acme"]', r"there is none, so add its table first"),
    ("[alerts]\nwebhook = 1", r"unknown key .*\[alerts\], key webhook\): did you mean webhook_url"),
    ('[alerts]\nwebhook_url = "http://hooks.example.com/x"', r"is not https .*key webhook_url"),
    ('[alerts]\nwebhook_url = "https://a:b@hooks.example.com/x"', r"may have no user"),
    ('[alerts]\nwebhook_url = "hooks.example.com"', r"is no URL with a host .*write https://"),
    ("[retention]\nfailed_runs_days = 0", r"\[retention\], key failed_runs_days"),
    ("[retention]\nfailed_runs_days = 1.5", r"key failed_runs_days\): write a whole number"),
]


@pytest.mark.parametrize(("text", "told"), MISTAKES)
def test_a_mistake_is_one_line_that_says_what_to_do(tmp_path: Path, text: str, told: str) -> None:
    with pytest.raises(AccountsError, match=told) as error:
        load(tmp_path, text)
    assert str(tmp_path / "accounts.toml") in str(error.value)
    assert "\n" not in str(error.value)


@pytest.mark.parametrize("hours", ["0", "-1", "true", '"6"', "inf", "nan"])
def test_staleness_is_a_number_of_hours_above_nought(tmp_path: Path, hours: str) -> None:
    path = tmp_path / "accounts.toml"
    path.write_text(ACME.replace("= 6", f"= {hours}"), encoding="utf-8")
    with pytest.raises(AccountsError, match="key stale_after_hours"):
        load_accounts(path, KINDS)


GOOD = [
    "* * * * *",
    "*/15 * * * *",
    "0 6-20/2 * * mon-fri",
    "0,30 8 1,15 * *",
    "5 4 29 2 *",
    "0 0 31 */2 *",
    "0 0 31 1 mon",
    "30 2 * jan sun",
    "0 0 * * 7",
    "1-59/2 * * * *",
]
BAD = [
    "",
    "* * * *",
    "60 * * * *",
    "*/0 * * * *",
    "a * * * *",
    "5-1 * * * *",
    "0 0 0 * *",
    "0 0 30 feb *",
    "0 0 31 4,6 *",
    "0 0 31 2 mon",
    "0 0 30-31 2 *",
    "* * * * 8",
    "@daily",
    "* * * * * *",
    "1/ * * * *",
]


@pytest.mark.parametrize("expression", GOOD)
def test_what_is_accepted_is_due_in_dagster(expression: str) -> None:
    assert cron.fault(expression) is None
    assert is_valid_cron_string(expression)

    @dg.job
    def nothing() -> None:
        pass

    schedule = dg.ScheduleDefinition(job=nothing, cron_schedule=expression)
    assert schedule.cron_schedule == expression


@pytest.mark.parametrize("expression", BAD)
def test_what_is_wrong_with_an_expression_is_said(expression: str) -> None:
    assert cron.fault(expression)
