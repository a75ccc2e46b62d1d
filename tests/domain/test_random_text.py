from vpn.domain.random_text import random_text


def test_random_text_is_as_long_as_asked_and_never_the_same():
    texts = {random_text(20) for _ in range(1000)}
    assert len(texts) == 1000
    assert {len(text) for text in texts} == {20}
    assert not set("".join(texts)) & set("l1I0O'\"\\ &%+/=")
