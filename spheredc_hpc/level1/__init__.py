"""Level 1: from raw frames to recentred master cubes."""
