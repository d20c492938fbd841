"""Raw frames of the integral field spectrograph with known truth."""
