"""``python -m bench``: run every measurement and print its table."""

from bench import commands


def main() -> None:
    """Measure and print."""
    print("## Commands and start-up\n")
    print(commands.table(commands.measure()))


if __name__ == "__main__":
    main()
