"""The catalogue: raw frames, observations, products; scan, plan, publish and queries.

Importing this package makes Django ready; `setup.setup` names the database. Batch jobs never
import it.
"""

from spheredc_hpc.catalog.setup import prepare

prepare()
