"""The catalogue as a Django application."""

from __future__ import annotations

from django.apps import AppConfig


class CatalogConfig(AppConfig):
    """Tables of the catalogue."""

    name = "spheredc_hpc.catalog"
    label = "catalog"
    verbose_name = "Catalogue"
