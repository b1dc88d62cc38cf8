"""The tree is RFC 6962's: its test vectors, the real Rekor's roots, and verifiers that are not ours."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import pytest
from sigstore._internal.merkle import verify_merkle_inclusion
from sigstore.errors import VerificationError

from hatch_attest.sandbox.merkle import Tree, leaf_hash

#: The leaves and roots of certificate-transparency's own tests of RFC 6962.
LEAVES = [
    bytes.fromhex(leaf)
    for leaf in (
        "", "00", "10", "2021", "3031", "40414243", "5051525354555657", "606162636465666768696a6b6c6d6e6f",
    )
]  # fmt: skip
ROOTS = [
    "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855",
    "6e340b9cffb37a989ca544e6bb780a2c78901d3fb33738768511a30617afa01d",
    "fac54203e7cc696cf0dfcb42c92a1d9dbaf70ad9e621f4bd8d98662f00e3c125",
    "aeb6bcfe274b70a14fb067a5e5578264db0fa9b51af5e0ba159158f329e06e77",
    "d37ee418976dd95753c1c73862b9398fa2a2cf9b4ff0fdfe8b30cd95209614b7",
    "4e3bbb1f7b478dcfe71fb631631519a3bca12c9aefca1612bfce4c13a86264d4",
    "76e67dadbcdf1e10e1b74ddc608abd2f98dfb16fbce75277b5232a127f2087ef",
    "ddb89be403809e325750d3d263cd78929c2942b7942a34b77e122c9594a74c8c",
    "5dc9da79a70659a9ad559cb701ded9a2ab9d823aad2f4960cfe370eff4604328",
]


def grown(entries: list[bytes]) -> Tree:
    tree = Tree()
    for entry in entries:
        tree.append(leaf_hash(entry))
    return tree


def verify_inclusion(tree: Tree, entry: bytes, index: int, size: int) -> None:
    """Let sigstore-python verify a proof."""
    proof = SimpleNamespace(
        log_index=index, tree_size=size, hashes=tree.inclusion(index, size), root_hash=tree.root(size)
    )
    entry_ = SimpleNamespace(_inner=SimpleNamespace(inclusion_proof=proof, canonicalized_body=entry))
    verify_merkle_inclusion(cast("Any", entry_))


def is_consistent(first: int, second: int, proof: list[bytes], old_root: bytes, root: bytes) -> bool:
    """Verify a consistency proof as RFC 9162, section 2.1.4.2 says."""

    def node(left: bytes, right: bytes) -> bytes:
        return hashlib.sha256(b"\x01" + left + right).digest()

    if first == second:
        return not proof and old_root == root
    path = proof if first & (first - 1) else [old_root, *proof]
    fn, sn = first - 1, second - 1
    while fn & 1:
        fn, sn = fn >> 1, sn >> 1
    fr = sr = path[0]
    for step in path[1:]:
        if sn == 0:
            return False
        if fn & 1 or fn == sn:
            fr, sr = node(step, fr), node(step, sr)
            while not fn & 1 and fn:
                fn, sn = fn >> 1, sn >> 1
        else:
            sr = node(sr, step)
        fn, sn = fn >> 1, sn >> 1
    return sn == 0 and fr == old_root and sr == root


@pytest.mark.parametrize("size", range(9))
def test_a_root_is_that_of_the_test_vectors(size: int) -> None:
    """The hashes would be another tree's."""
    assert grown(LEAVES[:size]).root().hex() == ROOTS[size]


def test_the_roots_and_proofs_are_those_of_the_real_rekor() -> None:
    """The order of siblings in a proof would be another than the clients'."""
    answers = json.loads(Path(__file__).with_name("recorded").joinpath("answers.json").read_text(encoding="utf-8"))
    tree = Tree()
    for name in ("rekor new dsse", "rekor same dsse, other spacing", "rekor new hashedrekord"):
        ((uuid, entry),) = answers[name]["body"].items()
        proof = entry["verification"]["inclusionProof"]
        index = tree.append(bytes.fromhex(uuid[16:]))
        assert tree.root().hex() == proof["rootHash"]
        assert [node.hex() for node in tree.inclusion(index)] == proof["hashes"]
    first = next(iter(answers["rekor GET by uuid"]["body"].values()))["verification"]["inclusionProof"]
    assert [node.hex() for node in tree.inclusion(0)] == first["hashes"]
    assert [node.hex() for node in tree.consistency(1, 3)] == answers["rekor proof"]["body"]["hashes"]


def test_every_proof_of_inclusion_holds_as_the_tree_grows() -> None:
    """An attestation's proof would fail at some sizes of the log only."""
    entries = [bytes([number]) for number in range(40)]
    tree = grown(entries)
    for size in range(1, 41):
        for index in range(size):
            verify_inclusion(tree, entries[index], index, size)


def test_every_proof_of_consistency_holds() -> None:
    """A monitor of the log would call it a liar."""
    tree = grown([bytes([number]) for number in range(24)])
    for second in range(1, 25):
        for first in range(1, second + 1):
            proof = tree.consistency(first, second)
            assert is_consistent(first, second, proof, tree.root(first), tree.root(second))
            assert not is_consistent(first, second, proof, tree.root(first), b"?" * 32)


def test_a_proof_does_not_hold_for_another_entry() -> None:
    """The verifier of these tests would accept anything."""
    tree = grown(LEAVES)
    with pytest.raises(VerificationError):
        verify_inclusion(tree, b"another", 3, 8)
