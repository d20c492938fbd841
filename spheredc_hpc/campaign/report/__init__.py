"""The report of a run: one HTML page for people and one JSON file for programs."""

from spheredc_hpc.campaign.report.write import write_report

__all__ = ["write_report"]
