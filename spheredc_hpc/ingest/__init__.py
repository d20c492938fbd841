"""From files to frames: read headers, classify, list what cannot be read."""
