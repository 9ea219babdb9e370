"""Header compression: `generic/5` and `hpack/`."""

from harness.h2 import Code, Setting, headers

from . import expect
from .cases import case

# Literals as RFC 7541 appendix B has them.
USER_AGENT = b"\x0auser-agent"
USER_AGENT_HUFFMAN = b"\x87\xb5\x05\xb1\x61\xcc\x5a\x93"
X_TEST = b"\x06x-test"
X_TEST_HUFFMAN = b"\x85\xf2\xb2\x4a\x84\xff"
H2SPEC = b"\x06h2spec"
H2SPEC_HUFFMAN = b"\x84\x9c\x48\xac\xa4"

ACCEPTED = [
    ("an indexed field", b"\xba"),
    ("incremental indexing, a known name", b"\x40" + USER_AGENT_HUFFMAN + H2SPEC_HUFFMAN),
    ("incremental indexing, a known name without Huffman", b"\x40" + USER_AGENT + H2SPEC),
    ("incremental indexing, a new name", b"\x40" + X_TEST + H2SPEC),
    ("incremental indexing, a new name with Huffman", b"\x40" + X_TEST_HUFFMAN + H2SPEC_HUFFMAN),
    ("without indexing, a known name", b"\x00" + USER_AGENT + H2SPEC),
    ("without indexing, a known name with Huffman", b"\x00" + USER_AGENT_HUFFMAN + H2SPEC_HUFFMAN),
    ("without indexing, a new name", b"\x00" + X_TEST + H2SPEC),
    ("without indexing, a new name with Huffman", b"\x00" + X_TEST_HUFFMAN + H2SPEC_HUFFMAN),
    ("never indexed, a known name", b"\x10" + USER_AGENT + H2SPEC),
    ("never indexed, a known name with Huffman", b"\x10" + USER_AGENT_HUFFMAN + H2SPEC_HUFFMAN),
    ("never indexed, a new name", b"\x10" + X_TEST + H2SPEC),
    ("never indexed, a new name with Huffman", b"\x10" + X_TEST_HUFFMAN + H2SPEC_HUFFMAN),
]
SIZE_UPDATES = [
    ("a table size update", b"\x3f\x61"),
    ("two table size updates", b"\x3f\x61\x3f\xe1\x1f"),
]
REFUSED = [
    ("hpack/2.3.3/1", "an indexed field beyond the tables", b"\xc6"),
    ("hpack/2.3.3/2", "a literal whose name is beyond the tables", b"\x7f\x07\x00"),
    ("hpack/4.2/1", "a table size update at the end of a block", b"\x21"),
    ("hpack/5.2/1", "Huffman with more than 7 bits of padding",
     b"\x00" + X_TEST_HUFFMAN + b"\x84\x49\x50\x9f\xff"),
    ("hpack/5.2/2", "Huffman padded with zeros", b"\x00" + X_TEST_HUFFMAN + b"\x83\x49\x50\x90"),
    ("hpack/5.2/3", "Huffman with the end-of-string symbol within",
     b"\x00" + X_TEST_HUFFMAN + b"\x87\x49\x51\xff\xff\xff\xfa\x7f"),
    ("hpack/6.1/1", "an indexed field of index 0", b"\x80"),
]


def accept(number, sends, before=b"", after=b""):
    @case(f"generic/5/{number}", sends)
    def _(peer):
        peer.send(headers(1, before + peer.block(peer.fields()) + after))
        expect.answered(peer)


def refuse(place, sends, representation):
    @case(place, sends)
    def _(peer):
        peer.send(headers(1, peer.block(peer.fields()) + representation))
        expect.connection_error(peer, Code.COMPRESSION_ERROR)


for number, (sends, representation) in enumerate(ACCEPTED, 1):
    accept(number, sends, after=representation)
for number, (sends, representation) in enumerate(SIZE_UPDATES, len(ACCEPTED) + 1):
    accept(number, sends, before=representation)
for place, sends, representation in REFUSED:
    refuse(place, sends, representation)


@case("hpack/6.3/1", "a table size update above SETTINGS_HEADER_TABLE_SIZE")
def _(peer):
    size = peer.settings.get(Setting.HEADER_TABLE_SIZE, 4096) + 1
    update, rest = b"\x3f", size - 31
    while rest >= 128:
        update, rest = update + bytes([rest % 128 + 128]), rest // 128
    peer.send(headers(1, update + bytes([rest]) + peer.block(peer.fields())))
    expect.connection_error(peer, Code.COMPRESSION_ERROR)
