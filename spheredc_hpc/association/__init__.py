"""Which frames make an observation, and which calibrations serve it, how well, and why."""
