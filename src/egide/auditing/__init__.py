"""Audit a dataset: sources → shards → parts → tables, summary and report."""
