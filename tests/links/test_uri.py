import pytest
from hypothesis import given
from hypothesis import strategies as st

from vpn.domain.errors import Invalid
from vpn.links import uri
from vpn.links.uri import Form

FORM = Form("test", ("x", "y"), "x://HOST")


def test_it_is_taken_apart():
    parts = uri.split("X://a%20b@[2001:db8::1]:5/way?k=%26&l=a+b&m#n%23 m", FORM)
    assert parts == ("x", "a%20b", "2001:db8::1", 5, {"k": "&", "l": "a+b", "m": ""}, "n# m")
    assert uri.split("y://host", FORM) == ("y", "", "host", None, {}, "")


def test_base64_with_a_slash_is_no_path():
    assert uri.split("x://a/b+c=@host:1", FORM)[1:4] == ("a/b+c=", "host", 1)


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("z://h", "does not begin with x:// or y://"),
        ("x:h", "does not begin"),
        ("x://h?a=1&a=2", "it says a twice"),
        ("x://h?a b=1&a=2", "a space"),
        ("x://h?%20=1&%20=2", "it says something twice"),
        ("x://h?a=%ff", "query is not UTF-8"),
        ("x://h#%c3%28", "name is not UTF-8"),
        ("x://\x00", "control character"),
        ("x://\u2028h", "a space or"),
        ("x://[::1", "brackets"),
        ("x://::1:5", "stands in brackets"),
        ("x://h:٣", "port is no number"),
        ("x://" + "h" * 8192, "longer than 8192"),
    ],
)
def test_what_is_wrong_is_said(text, why):
    with pytest.raises(Invalid, match=r"this is no test link: .*") as caught:
        uri.split(text, FORM)
    assert why in caught.value.message
    assert caught.value.hint == "write it as x://HOST"


@given(st.text(st.characters(exclude_categories=["Cs"])))
def test_encoding_leaves_nothing_that_means_something(text):
    encoded = uri.encode(text)
    assert encoded.isascii()
    assert not set(encoded) & set("+ #?&=@:/[]")
    assert uri.decode(encoded, FORM, "x") == text
    assert uri.decode_base64(uri.encode_base64(text)) == text


@pytest.mark.parametrize("encoded", ["Pz8_", "Pz8/", "Pz8/Pw==", "Pz8_Pw"])
def test_base64_of_every_kind(encoded):
    assert set(uri.decode_base64(encoded) or "") == {"?"}


@pytest.mark.parametrize("encoded", ["a", "ä", "a b", "/w=="])
def test_what_is_no_base64_of_text(encoded):
    assert uri.decode_base64(encoded) is None
