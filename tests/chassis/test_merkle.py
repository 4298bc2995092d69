"""Merkle trees against the published vectors and against every proof of small trees."""

from hashlib import sha256

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from chassis import merkle

# The inputs and roots of the Certificate Transparency reference tests.
INPUTS = ["", "00", "10", "2021", "3031", "40414243", "5051525354555657", "606162636465666768696a6b6c6d6e6f"]
ROOTS = [
    "6e340b9cffb37a989ca544e6bb780a2c78901d3fb33738768511a30617afa01d",
    "fac54203e7cc696cf0dfcb42c92a1d9dbaf70ad9e621f4bd8d98662f00e3c125",
    "aeb6bcfe274b70a14fb067a5e5578264db0fa9b51af5e0ba159158f329e06e77",
    "d37ee418976dd95753c1c73862b9398fa2a2cf9b4ff0fdfe8b30cd95209614b7",
    "4e3bbb1f7b478dcfe71fb631631519a3bca12c9aefca1612bfce4c13a86264d4",
    "76e67dadbcdf1e10e1b74ddc608abd2f98dfb16fbce75277b5232a127f2087ef",
    "ddb89be403809e325750d3d263cd78929c2942b7942a34b77e122c9594a74c8c",
    "5dc9da79a70659a9ad559cb701ded9a2ab9d823aad2f4960cfe370eff4604328",
]
LEAVES = [merkle.leaf_hash(bytes.fromhex(text)) for text in INPUTS]

INCLUSION = [
    (1, 1, []),
    (
        1,
        8,
        [
            "96a296d224f285c67bee93c30f8a309157f0daa35dc5b87e410b78630a09cfc7",
            "5f083f0a1a33ca076a95279832580db3e0ef4584bdff1f54c8a360f50de3031e",
            "6b47aaf29ee3c2af9af889bc1fb9254dabd31177f16232dd6aab035ca39bf6e4",
        ],
    ),
    (
        6,
        8,
        [
            "bc1a0643b12e4d2d7c77918f44e0f4f79a838b6cf9ec5b5c283e1f4d88599e6b",
            "ca854ea128ed050b41b35ffc1b87b8eb2bde461e9e3b5596ece6b9d5975a0ae0",
            "d37ee418976dd95753c1c73862b9398fa2a2cf9b4ff0fdfe8b30cd95209614b7",
        ],
    ),
    (3, 3, ["fac54203e7cc696cf0dfcb42c92a1d9dbaf70ad9e621f4bd8d98662f00e3c125"]),
    (
        2,
        5,
        [
            "6e340b9cffb37a989ca544e6bb780a2c78901d3fb33738768511a30617afa01d",
            "5f083f0a1a33ca076a95279832580db3e0ef4584bdff1f54c8a360f50de3031e",
            "bc1a0643b12e4d2d7c77918f44e0f4f79a838b6cf9ec5b5c283e1f4d88599e6b",
        ],
    ),
]
CONSISTENCY = [
    (1, 1, []),
    (
        1,
        8,
        [
            "96a296d224f285c67bee93c30f8a309157f0daa35dc5b87e410b78630a09cfc7",
            "5f083f0a1a33ca076a95279832580db3e0ef4584bdff1f54c8a360f50de3031e",
            "6b47aaf29ee3c2af9af889bc1fb9254dabd31177f16232dd6aab035ca39bf6e4",
        ],
    ),
    (
        6,
        8,
        [
            "0ebc5d3437fbe2db158b9f126a1d118e308181031d0a949f8dededebc558ef6a",
            "ca854ea128ed050b41b35ffc1b87b8eb2bde461e9e3b5596ece6b9d5975a0ae0",
            "d37ee418976dd95753c1c73862b9398fa2a2cf9b4ff0fdfe8b30cd95209614b7",
        ],
    ),
    (
        2,
        5,
        [
            "5f083f0a1a33ca076a95279832580db3e0ef4584bdff1f54c8a360f50de3031e",
            "bc1a0643b12e4d2d7c77918f44e0f4f79a838b6cf9ec5b5c283e1f4d88599e6b",
        ],
    ),
]
SIZES = range(1, 65)
MANY = [merkle.leaf_hash(bytes([n])) for n in SIZES]


def hexed(proof: list[bytes]):
    return [step.hex() for step in proof]


def broken(proof: list[bytes], bit: int):
    """The same proof with one bit of it turned over."""
    joined = bytearray(b"".join(proof))
    joined[bit // 8] ^= 1 << bit % 8
    return [bytes(joined[at : at + 32]) for at in range(0, len(joined), 32)]


def turned(digest: bytes, bit: int):
    return broken([digest], bit)[0]


def test_an_empty_tree_has_the_hash_of_nothing() -> None:
    assert merkle.root(merkle.over([]), 0) == sha256(b"").digest()


@pytest.mark.parametrize("size", range(1, 9))
def test_roots_are_the_published_ones(size: int) -> None:
    assert ROOTS[size - 1] == merkle.root(merkle.over(LEAVES), size).hex()


@pytest.mark.parametrize(("number", "size", "path"), INCLUSION)
def test_inclusion_proofs_are_the_published_ones(number: int, size: int, path: list[str]) -> None:
    assert path == hexed(merkle.inclusion_proof(merkle.over(LEAVES), number - 1, size))


@pytest.mark.parametrize(("old", "new", "path"), CONSISTENCY)
def test_consistency_proofs_are_the_published_ones(old: int, new: int, path: list[str]) -> None:
    assert path == hexed(merkle.consistency_proof(merkle.over(LEAVES), old, new))


@pytest.mark.parametrize("size", SIZES)
def test_every_inclusion_proof_holds_for_its_own_leaf_only(size: int) -> None:
    tree = merkle.over(MANY)
    root = merkle.root(tree, size)
    for index in range(size):
        proof = merkle.inclusion_proof(tree, index, size)
        holding = [n for n in range(size) if merkle.includes(MANY[n], n, size, proof, root)]
        assert [index] == holding


@pytest.mark.parametrize("new", SIZES)
def test_every_consistency_proof_holds_for_its_own_sizes_only(new: int) -> None:
    tree = merkle.over(MANY)
    roots = {size: merkle.root(tree, size) for size in range(1, new + 1)}
    for old in range(1, new + 1):
        proof = merkle.consistency_proof(tree, old, new)
        assert [old] == [n for n in roots if merkle.consistent(n, new, proof, roots[n], roots[new])]


@settings(deadline=None)
@given(data=st.data())
def test_one_changed_bit_breaks_an_inclusion_proof(data: st.DataObject) -> None:
    size = data.draw(st.integers(2, 64))
    index, bit = data.draw(st.integers(0, size - 1)), data.draw(st.integers(0, 255))
    tree = merkle.over(MANY)
    proof, root = merkle.inclusion_proof(tree, index, size), merkle.root(tree, size)
    any_bit = data.draw(st.integers(0, len(proof) * 256 - 1))
    assert not merkle.includes(MANY[index], index, size, broken(proof, any_bit), root)
    assert not merkle.includes(turned(MANY[index], bit), index, size, proof, root)
    assert not merkle.includes(MANY[index], index, size, proof, turned(root, bit))
    assert not merkle.includes(MANY[index], index, size, proof[:-1], root)
    assert not merkle.includes(MANY[index], index, size, [*proof, root], root)


@settings(deadline=None)
@given(data=st.data())
def test_one_changed_bit_breaks_a_consistency_proof(data: st.DataObject) -> None:
    new = data.draw(st.integers(2, 64))
    old, bit = data.draw(st.integers(1, new - 1)), data.draw(st.integers(0, 255))
    tree = merkle.over(MANY)
    proof = merkle.consistency_proof(tree, old, new)
    older, newer = merkle.root(tree, old), merkle.root(tree, new)
    any_bit = data.draw(st.integers(0, len(proof) * 256 - 1))
    assert not merkle.consistent(old, new, broken(proof, any_bit), older, newer)
    assert not merkle.consistent(old, new, proof, turned(older, bit), newer)
    assert not merkle.consistent(old, new, proof, older, turned(newer, bit))
    assert not merkle.consistent(old, new, proof[:-1], older, newer)
    assert not merkle.consistent(old, new, [*proof, newer], older, newer)


@given(size=st.integers(1, 64), kept=st.integers(0, 64))
def test_a_frontier_completes_the_nodes_and_the_root_of_the_whole_tree(size: int, kept: int) -> None:
    tree = merkle.over(MANY)
    start = min(size, kept)
    frontier = merkle.Frontier(start, lambda level, number: tree(number << level, number + 1 << level))
    for leaf in MANY[start:size]:
        for level, number, found in frontier.add(leaf):
            assert tree(number << level, number + 1 << level) == found
    assert merkle.root(tree, size) == frontier.root()


def test_what_is_not_in_the_tree_has_no_proof() -> None:
    tree = merkle.over(MANY)
    with pytest.raises(IndexError):
        merkle.inclusion_proof(tree, 8, 8)
    with pytest.raises(IndexError):
        merkle.consistency_proof(tree, 9, 8)
