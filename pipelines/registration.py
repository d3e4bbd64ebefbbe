"""Accounts of accounts.toml as Dagster's partitions.

Belongs here: bringing the two in line. An account that left the file keeps its partition: what was
pulled of it is not forgotten. Does not belong here: reading the file (`resources/accounts.py`).
"""

import dagster as dg

from assets.partitions import accounts_of
from assets.sources import SOURCES
from assets.workshop import Workshop
from resources.accounts import Accounts
from resources.errors import ConfigurationError


def missing(instance: dg.DagsterInstance, accounts: Accounts) -> dict[str, list[str]]:
    """Accounts without a partition, by source."""
    found: dict[str, list[str]] = {}
    for name in SOURCES:
        known = set(instance.get_dynamic_partitions(str(accounts_of(name).name)))
        new = [each.name for each in accounts.of_source(name) if each.name not in known]
        if new:
            found[name] = new
    return found


def register(instance: dg.DagsterInstance, accounts: Accounts) -> None:
    """Add a partition for every account that has none."""
    for name, new in missing(instance, accounts).items():
        instance.add_dynamic_partitions(str(accounts_of(name).name), new)


def build() -> dg.SensorDefinition:
    """The sensor that registers accounts while a service runs."""

    @dg.sensor(
        name="accounts",
        minimum_interval_seconds=30,
        default_status=dg.DefaultSensorStatus.RUNNING,
        description="Registers the accounts of accounts.toml as partitions.",
    )
    def registering(
        context: dg.SensorEvaluationContext, workshop: dg.ResourceParam[Workshop]
    ) -> dg.SensorResult | dg.SkipReason:
        try:
            new = missing(context.instance, workshop.accounts)
        except ConfigurationError as fault:
            return dg.SkipReason(str(fault))
        if not new:
            return dg.SkipReason("every account has its partition")
        return dg.SensorResult(
            dynamic_partitions_requests=[
                accounts_of(name).build_add_request(names) for name, names in new.items()
            ]
        )

    return registering
