import pytest
import typer
from typer.testing import CliRunner

from vpn.cli.late_options import LateCommand, LateOption, said

TABLE = (LateOption("a_b", "--a-b", "X", "The first."), LateOption("c", "--c", "Y", "Many.", repeatable=True))


class Adds(LateCommand):
    options = TABLE


class Changes(Adds):
    clearing = ("WHAT", "Nothing more of it.")


@pytest.fixture
def call():
    app, heard = typer.Typer(rich_markup_mode=None), []

    def hear(ctx: typer.Context) -> None:
        heard.append(said(ctx, TABLE))

    app.command("add", cls=Adds)(hear)
    app.command("change", cls=Changes)(hear)

    def call(*arguments):
        heard.clear()
        result = CliRunner().invoke(app, arguments)
        return heard[0] if result.exit_code == 0 and heard else result

    return call


@pytest.mark.parametrize(
    ("arguments", "fields"),
    [
        (("add",), {}),
        (("add", "--a-b", "1"), {"a_b": "1"}),
        (("add", "--c", "1", "--c", "2"), {"c": ["1", "2"]}),
        (("add", "--c", "none"), {"c": []}),
        (("change", "--clear", "a-b"), {"a_b": None}),
        (("change", "--clear", "all", "--c", "1"), {"a_b": None, "c": ["1"]}),
    ],
)
def test_what_is_said(call, arguments, fields):
    assert call(*arguments) == fields


@pytest.mark.parametrize(
    ("arguments", "says"),
    [(("change", "--clear", "d"), "give one of a-b, c, or all"), (("add", "--clear", "c"), "No such option")],
)
def test_what_cannot_be(call, arguments, says):
    result = call(*arguments)
    assert result.exit_code == 2
    assert says in " ".join(result.output.split())


def test_help_has_them(call):
    text = call("change", "--help").output
    assert "--a-b X" in text
    assert "--clear WHAT" in text
    assert "--clear" not in call("add", "--help").output
