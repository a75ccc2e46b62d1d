"""Configuration in layers: defaults < configuration file < environment < flags.

`paths` and `document` import nothing heavy, so that the command line can find a running daemon quickly;
`model` holds the settings themselves, `load` puts the layers together.
"""
