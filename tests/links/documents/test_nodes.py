from hypothesis import given, settings
from hypothesis import strategies as st

from tests.support.links import links, texts
from vpn.links.documents.nodes import LONGEST_NAME, Node, named
from vpn.links.proxy import ProxyLink

LINK = ProxyLink("http", "::1", 1080, "a", "b")


def names(*given, taken=()):
    return [node.name for node in named([Node(name, LINK) for name in given], taken)]


def test_names_are_made_different():
    assert names("a", "A", "a", "a 2", "Proxy", taken=("PROXY",)) == ["a", "A 2", "a 3", "a 2 2", "Proxy 2"]


def test_names_are_in_one_line_and_not_empty():
    assert names("", " a\nb\t\x00c ", "👩‍💻", "x" * 500) == ["[::1]:1080", "a b c", "👩‍💻", "x" * LONGEST_NAME]


@settings(max_examples=30)
@given(st.lists(st.builds(Node, texts, links)))
def test_every_name_is_there_once_and_in_its_link(nodes):
    found = named(nodes)
    assert len({node.name for node in found}) == len(nodes)
    assert all(node.name and node.name == node.link.name for node in found)
