"""Tables of the catalogue, one file each."""

from spheredc_hpc.catalog.models.calibration_use import CalibrationUse
from spheredc_hpc.catalog.models.missing_calibration import MissingCalibration
from spheredc_hpc.catalog.models.observation import Observation
from spheredc_hpc.catalog.models.observation_frame import ObservationFrame
from spheredc_hpc.catalog.models.plan_entry import PlanEntry
from spheredc_hpc.catalog.models.product import Product
from spheredc_hpc.catalog.models.raw_frame import RawFrame
from spheredc_hpc.catalog.models.raw_header import RawHeader
from spheredc_hpc.catalog.models.raw_problem import RawProblem

__all__ = [
    "CalibrationUse",
    "MissingCalibration",
    "Observation",
    "ObservationFrame",
    "PlanEntry",
    "Product",
    "RawFrame",
    "RawHeader",
    "RawProblem",
]
