"""What an order is: schemas, keys and codes. No I/O beyond the package's own files, no Dagster."""
