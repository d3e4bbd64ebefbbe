"""Wiring only: definitions, schedules, command line."""
