"""The report: one HTML page about everything that is published."""
