"""Measurements: ``make bench``. Ratios in one run mean something, absolute times only on a quiet machine."""
