"""Everything that touches the outside world: accounts, APIs, lake, ledger, warehouse."""
