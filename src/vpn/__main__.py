"""`python -m vpn` is the `vpn` command."""

from vpn.cli.main import run

if __name__ == "__main__":
    run()
