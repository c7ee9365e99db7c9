"""The experiments: train on the past, trade a test year, report."""
