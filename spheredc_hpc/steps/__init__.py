"""Steps: read products, call one room, write one product."""
