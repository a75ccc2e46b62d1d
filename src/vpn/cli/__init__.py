"""The command line: one Typer file per command group, each a client of the API.

Start-up time is a feature: nothing here imports pydantic, SQLAlchemy, FastAPI or asyncio at module level.
"""
