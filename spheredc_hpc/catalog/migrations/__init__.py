"""Migrations of the catalogue, made by Django."""
