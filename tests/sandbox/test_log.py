"""The log grows, proves and refuses as Rekor v1; ``test_recorded`` has the recorded refusals."""

from __future__ import annotations

import base64
import json
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Any

import pytest
import rfc8785
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa
from sigstore._internal.trust import KeyringPurpose
from sigstore.errors import VerificationError
from sigstore.models import ClientTrustConfig, TransparencyLogEntry

from tests.sandbox.services import ENTRIES, PAYLOAD_TYPE, Services, b64, new_key, pae, public_pem, sign

if TYPE_CHECKING:
    from collections.abc import Callable

    import httpx

    from tests.sandbox.services import PrivateKey


def verify(services: Services, answer: Any) -> None:
    """Let sigstore-python verify an entry: its inclusion, the checkpoint and the signed entry timestamp."""
    trust = ClientTrustConfig.from_json(json.dumps(services.sandbox.trust_config()))
    keyring = trust.trusted_root.rekor_keyring(KeyringPurpose.VERIFY)
    TransparencyLogEntry._from_v1_response(answer)._verify(keyring)


def refusal(response: httpx.Response) -> str:
    """Return the words of a refusal of an entry, which ends with a newline as Rekor's do."""
    assert response.status_code == 400
    assert response.text.endswith("}\n")
    return str(response.json()["message"]).removeprefix("error processing entry: ")


def signed_by(services: Services, *keys: PrivateKey, verifiers: tuple[PrivateKey, ...] | None = None) -> httpx.Response:
    """Post an envelope that several keys have signed, with their public keys as verifiers unless told otherwise."""
    payload = b"signed by several"
    signatures = [{"sig": b64(sign(key, pae(payload)))} for key in keys]
    envelope = {"payload": b64(payload), "payloadType": PAYLOAD_TYPE, "signatures": signatures}
    pems = [public_pem(key).encode() for key in (keys if verifiers is None else verifiers)]
    return services.post(services.proposed("dsse", services.content(json.dumps(envelope), *pems)))


def test_every_entry_verifies_when_it_is_made_and_when_the_log_has_grown(services: Services) -> None:
    """An attestation would hold for the first entries of a log only, or only until the next one."""
    made = []
    for _ in range(12):
        answer = services.post(services.dsse()).json()
        verify(services, answer)
        made.append(answer)
    for index, answer in enumerate(made):
        (uuid,) = answer
        by_index, by_uuid = services.get(ENTRIES, logIndex=index).json(), services.get(f"{ENTRIES}/{uuid}").json()
        for again in (by_index, by_uuid, services.get(f"{ENTRIES}/{uuid[16:]}").json()):
            verify(services, again)
            assert again.keys() == answer.keys()
            assert again[uuid]["body"] == answer[uuid]["body"]
            assert again[uuid]["logIndex"] == index
            assert again[uuid]["verification"]["inclusionProof"]["treeSize"] == 12


@pytest.mark.parametrize("spoil", ["body", "integratedTime", "logIndex", "rootHash", "hashes", "checkpoint"])
def test_an_entry_with_one_changed_value_does_not_verify(spoil: str, services: Services) -> None:
    """The signatures of the log would cover less than they must."""
    services.post(services.dsse())
    answer = services.post(services.dsse()).json()
    (entry,) = answer.values()
    proof = entry["verification"]["inclusionProof"]
    match spoil:
        case "body":
            body = json.loads(base64.b64decode(entry["body"]))
            body["spec"]["payloadHash"]["value"] = "0" * 64
            entry["body"] = b64(rfc8785.dumps(body))
        case "integratedTime" | "logIndex":
            entry[spoil] += 1
        case "rootHash":
            proof["rootHash"] = "0" * 64
        case "hashes":
            proof["hashes"] = ["0" * 64]
        case _:
            proof["checkpoint"] = proof["checkpoint"].replace("\n2\n", "\n3\n")
    with pytest.raises(VerificationError):
        verify(services, answer)


def test_twenty_equal_posts_at_once_make_one_entry(services: Services) -> None:
    """A retry that overtakes its first try would put a second entry into a log that forgets nothing."""
    entry = services.dsse()
    with ThreadPoolExecutor(20) as pool:
        answers = list(pool.map(lambda _: services.post(entry), range(20)))
    statuses = sorted(answer.status_code for answer in answers)
    assert statuses == [201, *[409] * 19]
    assert len({answer.headers["location"] for answer in answers}) == 1
    assert len(services.sandbox.log.entries) == 1


def test_twenty_different_posts_at_once_make_twenty_entries_that_verify(services: Services) -> None:
    """Signing many artifacts at once would give two of them one place in the log."""
    entries = [services.dsse() for _ in range(20)]
    with ThreadPoolExecutor(20) as pool:
        answers = list(pool.map(services.post, entries))
    for answer in answers:
        verify(services, answer.json())
    assert sorted(next(iter(answer.json().values()))["logIndex"] for answer in answers) == list(range(20))


def test_the_body_is_canonical_and_names_the_certificate_as_the_verifier(services: Services) -> None:
    """A client could not compute the entry's hash from what it has signed."""
    certificate = services.certificate()
    payload = b"payload"
    signature = b64(sign(services.key, pae(payload)))
    signatures = [{"sig": signature, "keyid": ""}]
    envelope = json.dumps({"signatures": signatures, "payload": b64(payload), "payloadType": PAYLOAD_TYPE}, indent=4)
    answer = services.post(services.proposed("dsse", services.content(envelope, b"\n\n" + certificate + b"\n\n")))
    (entry,) = answer.json().values()
    body = base64.b64decode(entry["body"])
    assert body == rfc8785.dumps(json.loads(body))
    (logged,) = json.loads(body)["spec"]["signatures"]
    assert logged == {"signature": signature, "verifier": b64(certificate)}


@pytest.mark.parametrize(
    "make",
    [
        new_key,
        ed25519.Ed25519PrivateKey.generate,
        lambda: rsa.generate_private_key(public_exponent=65537, key_size=2048),
    ],
    ids=["P-256", "Ed25519", "RSA"],
)
def test_a_public_key_of_any_kind_may_be_the_verifier(make: Callable[[], PrivateKey], services: Services) -> None:
    """Entries that sigstore's other clients make would be refused."""
    answer = signed_by(services, make())
    assert answer.status_code == 201
    verify(services, answer.json())


def test_a_key_of_a_kind_that_the_log_does_not_know_verifies_nothing(services: Services) -> None:
    """The log would fail, or log what it cannot check."""
    unknown = ec.generate_private_key(ec.SECP224R1())
    assert refusal(signed_by(services, new_key(), verifiers=(unknown,))).startswith("could not verify envelope")


def test_an_entry_that_only_tells_of_a_signature_is_found_but_not_made(services: Services) -> None:
    """Anybody could put an entry into the log that says what nobody has signed."""
    (entry,) = services.post(services.dsse()).json().values()
    logged = json.loads(base64.b64decode(entry["body"]))
    retrieve = f"{services.sandbox.log_url}{ENTRIES}/retrieve"
    assert len(services.client.post(retrieve, json={"entries": [logged]}).json()) == 1
    logged["spec"]["payloadHash"]["value"] = "0" * 64
    words = "entry not insertable into log: missing proposed content"
    assert refusal(services.post(logged)) == words
    logged["spec"]["payloadHash"]["value"] = 2**60
    assert "safe integer" in refusal(services.client.post(retrieve, json={"entries": [logged]}))


def test_half_a_surrogate_pair_is_refused_like_any_other_nonsense(shared_services: Services) -> None:
    """A character that has no encoding would be a failure of the log."""
    spec = {"proposedContent": {"envelope": '{"payloadType": "\\ud800", "signatures": [{}]}', "verifiers": ["\ud800"]}}
    assert refusal(shared_services.post(shared_services.proposed("dsse", spec))).startswith("illegal base64 data")


def test_several_signatures_need_a_verifier_each(services: Services) -> None:
    """A signature that nobody checked would be logged."""
    one, other, third = new_key(), new_key(), new_key()
    assert signed_by(services, one, other).status_code == 201
    assert signed_by(services, one, verifiers=(one, third)).status_code == 201
    assert refusal(signed_by(services, one, other, verifiers=(one,))) == (
        "all signatures must have a key that verifies it"
    )
    assert refusal(signed_by(services, one, verifiers=(third,))) == (
        "could not verify envelope: accepted signatures do not match threshold, Found: 0, Expected 1"
    )


@pytest.mark.parametrize(
    ("spec", "words"),
    [
        ({"proposedContent": {}}, "validation failure list:\nproposedContent.proposedContent.envelope in body is"),
        ({"proposedContent": []}, "validation failure list:"),
        ({"proposedContent": {"envelope": "[]", "verifiers": ["x"]}}, "a JSON object was expected, not list"),
        ({"proposedContent": {"envelope": '{"signatures": 1}', "verifiers": ["x"]}}, "DSSE envelope must contain 1"),
        (
            {"proposedContent": {"envelope": '{"payload": "%", "signatures": [{}]}', "verifiers": ["x"]}},
            "could not verify envelope: unable to base64 decode payload",
        ),
        (
            {"proposedContent": {"envelope": '{"payload": "", "signatures": [{"sig": "AA=="}]}', "verifiers": [1]}},
            "could not parse public key as x509",
        ),
        ({"proposedContent": {"envelope": "{}", "verifiers": ["x"]}, "signatures": [1]}, "either proposedContent or"),
        ({"envelopeHash": {}, "payloadHash": {}, "signatures": []}, "either proposedContent or envelopeHash"),
    ],
)
def test_a_misshapen_dsse_entry_is_refused_not_a_failure_of_the_log(
    spec: dict[str, Any], words: str, shared_services: Services
) -> None:
    """A defect of a client would look like one of the log, and be tried again."""
    assert refusal(shared_services.post(shared_services.proposed("dsse", spec))).startswith(words)


@pytest.mark.parametrize(
    ("spec", "words"),
    [
        ({}, "validation failure list:"),
        ({"data": {"hash": {"algorithm": "md5", "value": "00"}}}, "validation failure list:\ndata.hash.algorithm"),
        ({"data": 1, "signature": []}, "validation failure list:"),
    ],
)
def test_a_misshapen_hashedrekord_entry_is_refused_not_a_failure_of_the_log(
    spec: dict[str, Any], words: str, shared_services: Services
) -> None:
    """A defect of a client would look like one of the log, and be tried again."""
    assert refusal(shared_services.post(shared_services.proposed("hashedrekord", spec))).startswith(words)


def test_a_hashedrekord_of_an_rsa_key_is_taken(shared_services: Services) -> None:
    """Entries that sigstore's other clients make would be refused."""
    key = rsa.generate_private_key(public_exponent=65537, key_size=2048)
    entry = shared_services.hashedrekord(b"data")
    pem = b64(public_pem(key).encode())
    entry["spec"]["signature"] = {"content": b64(sign(key, b"data")), "publicKey": {"content": pem}}
    answer = shared_services.post(entry)
    assert answer.status_code == 201
    verify(shared_services, answer.json())


def test_a_hashedrekord_with_a_hash_that_is_no_number_is_refused(shared_services: Services) -> None:
    """A defect of a client would look like one of the log."""
    assert refusal(shared_services.post(shared_services.hashedrekord(b"data", "x" * 64))) == "invalid value for hash"


def test_a_hashedrekord_of_a_key_that_signs_no_digests_is_refused(shared_services: Services) -> None:
    """Ed25519 signs the data itself, which the entry does not have."""
    key = ed25519.Ed25519PrivateKey.generate()
    entry = shared_services.hashedrekord(b"data")
    entry["spec"]["signature"] = {
        "content": b64(sign(key, b"data")),
        "publicKey": {"content": b64(public_pem(key).encode())},
    }
    assert refusal(shared_services.post(entry)).startswith("verifying signature")


@pytest.mark.parametrize(
    ("query", "status", "code"),
    [
        ({}, 422, 602),
        ({"logIndex": "many"}, 422, 601),
        ({"logIndex": "-1"}, 422, 609),
    ],
)
def test_a_bad_query_is_refused(query: dict[str, str], status: int, code: int, shared_services: Services) -> None:
    """A defect of a client would look like a missing entry, or like a failure of the log."""
    response = shared_services.get(ENTRIES, **query)
    assert (response.status_code, response.json()["code"]) == (status, code)
    assert not response.text.endswith("\n")


@pytest.mark.parametrize(
    ("query", "status"),
    [({"firstSize": "2", "lastSize": "1"}, 400), ({"firstSize": "0", "lastSize": "1"}, 422), ({}, 422)],
)
def test_a_proof_between_impossible_sizes_is_refused(query: dict[str, str], status: int, services: Services) -> None:
    """The tree would be asked for what it does not have."""
    services.post(services.dsse())
    assert services.get("/api/v1/log/proof", **query).status_code == status


def test_a_proof_of_another_tree_is_refused(services: Services) -> None:
    """A client that follows two logs would mistake one for the other."""
    services.post(services.dsse())
    tree = str(services.sandbox.log.tree_id)
    for tree_id, status in ((tree, 200), ("1", 400)):
        query = {"firstSize": "1", "lastSize": "1", "treeID": tree_id}
        assert services.get("/api/v1/log/proof", **query).status_code == status


@pytest.mark.parametrize(
    ("query", "code"),
    [({"logIndexes": list(range(11))}, 611), ({"entryUUIDs": ["nonsense"]}, 605), ({"entries": [{}]}, 602)],
    ids=["too many", "no identifier", "no kind"],
)
def test_a_misshapen_search_is_refused(query: dict[str, Any], code: int, shared_services: Services) -> None:
    """A defect of a client would look like a log without its entries."""
    url = f"{shared_services.sandbox.log_url}{ENTRIES}/retrieve"
    response = shared_services.client.post(url, json=query)
    assert (response.status_code, response.json()["code"]) == (422, code)


def test_a_version_that_is_none_is_refused(shared_services: Services) -> None:
    """A misspelt version would look like one that the log does not know yet."""
    response = shared_services.post(shared_services.dsse() | {"apiVersion": "one"})
    assert (response.status_code, response.json()["code"]) == (422, 605)


def test_entries_are_retrieved_by_what_was_proposed_by_uuid_and_by_index(services: Services) -> None:
    """A client that lost the answer could not find its entry."""
    entry = services.dsse()
    answer = services.post(entry).json()
    (uuid,) = answer
    for query in ({"entries": [entry]}, {"entryUUIDs": [uuid]}, {"logIndexes": [0]}):
        for path in ("/retrieve", "/retrieve/"):
            found = services.client.post(f"{services.sandbox.log_url}{ENTRIES}{path}", json=query).json()
            assert [set(result) for result in found] == [{uuid}]
            verify(services, found[0])
    nothing = {"entryUUIDs": ["0" * 80], "logIndexes": [1]}
    assert services.client.post(f"{services.sandbox.log_url}{ENTRIES}/retrieve", json=nothing).json() == []


def test_the_log_s_checkpoint_is_signed_by_the_key_that_it_publishes(services: Services) -> None:
    """A monitor could not follow the log."""
    services.post(services.dsse())
    info = services.get("/api/v1/log").json()
    text, _, signatures = info["signedTreeHead"].partition("\n\n")
    assert text.splitlines() == [
        f"{services.sandbox.log.name} - {info['treeID']}",
        "1",
        b64(bytes.fromhex(info["rootHash"])),
    ]
    dash, name, signature = signatures.split()
    assert (dash, name) == ("\N{EM DASH}", services.sandbox.log.name)
    key = serialization.load_pem_public_key(services.get("/api/v1/log/publicKey").content)
    assert isinstance(key, ec.EllipticCurvePublicKey)
    raw = base64.b64decode(signature)
    assert raw[:4] == services.sandbox.log.key.key_id[:4]
    key.verify(raw[4:], f"{text}\n".encode(), ec.ECDSA(hashes.SHA256()))


def test_two_logs_have_different_keys_and_trees(services: Services, shared_services: Services) -> None:
    """What one sandbox has logged would verify in another."""
    answer = services.post(services.dsse()).json()
    assert services.sandbox.log.tree_id != shared_services.sandbox.log.tree_id
    with pytest.raises(VerificationError):
        verify(shared_services, answer)
