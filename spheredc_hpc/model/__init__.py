"""Frozen records that the rooms exchange; one module per type."""
