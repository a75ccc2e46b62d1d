"""The one way in: a REST API that the command line, the terminal UI, the dashboard and bots all use.

`client` is imported by the command line and imports nothing heavy.
"""
