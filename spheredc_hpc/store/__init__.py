"""Products on disk: receipts, cubes, images, raw files; one module per format."""
