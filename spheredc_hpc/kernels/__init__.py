"""Arithmetic on arrays; knows no file, header, unit object or scheduler."""

from spheredc_hpc.kernels.caches import watch_imports

watch_imports()
