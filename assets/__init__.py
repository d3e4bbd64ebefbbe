"""What is made: the sources, their assets, the marts and the checks."""
