from pathlib import Path

from snakemake.utils import min_version

from spheredc_hpc.campaign.sheet import Sheet

min_version("9.0")

SHEET = Sheet.find(Path(), config.get("plan"))


wildcard_constraints:
    kind="[a-z][a-z0-9_]*",
    key="[0-9a-z][0-9a-z_-]*",
    observation="[0-9a-z][0-9a-z_-]*",
    recipe="[0-9a-z][0-9a-z-]*",


include: "workflow/rules/calibrations.smk"
include: "workflow/rules/level1.smk"
include: "workflow/rules/level2.smk"


rule all:
    default_target: True
    input:
        SHEET.targets(),
