"""Archives of any size whose files hold headers only: described once, written or listed."""

from spheredc_hpc.simulate.archive.files import header_units, write_archive, write_file
from spheredc_hpc.simulate.archive.frames import ArchiveFile
from spheredc_hpc.simulate.archive.nights import Archive
from spheredc_hpc.simulate.archive.settings import ArchiveSettings, load_archive_settings

__all__ = [
    "Archive",
    "ArchiveFile",
    "ArchiveSettings",
    "header_units",
    "load_archive_settings",
    "write_archive",
    "write_file",
]
