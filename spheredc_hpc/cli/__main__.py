"""`python -m spheredc_hpc.cli` is `spheredc`."""

from spheredc_hpc.cli import main

main()
