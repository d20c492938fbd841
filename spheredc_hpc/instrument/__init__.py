"""The instrument: header dictionary, filters, detectors, constants with their sources."""
