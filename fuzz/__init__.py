"""Fuzzing of the parsers (`make fuzz`): coverage-guided, with atheris."""
