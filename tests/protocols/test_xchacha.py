"""The vectors of draft-irtf-cfrg-xchacha-03."""

from vpn.protocols.xchacha import cipher_of, hchacha20

TEXT = (
    b"Ladies and Gentlemen of the class of '99: If I could offer you only one tip for the future, "
    b"sunscreen would be it."
)
SEALED = (
    "bd6d179d3e83d43b9576579493c0e939572a1700252bfaccbed2902c21396cbb731c7f1b0b4aa6440bf3a82f4eda7e39ae64c6708c54c216"
    "cb96b72e1213b4522f8c9ba40db5d945b11b69b982c1bb9e3f3fac2bc369488f76b2383565d3fff921f9664c97637da9768812f615c68b13"
    "b52ec0875924c1c7987947deafd8780acf49"
)


def test_hchacha20():
    """Section 2.2.1."""
    nonce = bytes.fromhex("000000090000004a0000000031415927")
    wanted = "82413b4227b27bfed30e42508a877d73a0f9e4d58a74a853c12ec41326d3ecdc"
    assert hchacha20(bytes(range(32)), nonce).hex() == wanted


def test_the_whole_construction():
    """Appendix A.3.1."""
    cipher, nonce = cipher_of(bytes(range(0x80, 0xA0)), memoryview(bytes(range(0x40, 0x58))))
    extra = bytes.fromhex("50515253c0c1c2c3c4c5c6c7")
    assert cipher.encrypt(nonce, TEXT, extra).hex() == SEALED
    assert cipher.decrypt(nonce, bytes.fromhex(SEALED), extra) == TEXT
