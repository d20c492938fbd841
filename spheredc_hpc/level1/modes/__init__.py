"""Recipes, one per observing mode; importing the package registers nothing by itself."""
