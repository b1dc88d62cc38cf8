"""What an index has and serves, in each form that indexes have."""

from __future__ import annotations

from contextlib import closing
from typing import TYPE_CHECKING

import pytest

from hatch_attest.errors import IndexFailure
from hatch_attest.index.endpoints import endpoints_of
from hatch_attest.index.files import IndexReader
from hatch_attest.index.transport import NO_CERTIFICATES, Transport
from tests.canned import Canned, canned

if TYPE_CHECKING:
    from collections.abc import Iterator

DIGEST = "ab" * 32
FILE = "widget-1.0.tar.gz"


@pytest.fixture
def server(monkeypatch: pytest.MonkeyPatch) -> Iterator[Canned]:
    """A server that answers what it is told, and a client that does not wait long."""
    monkeypatch.setattr("hatch_attest.retries._FIRST_WAIT", 0.01)
    with canned() as started:
        yield started


@pytest.fixture
def transport(server: Canned) -> Iterator[Transport]:
    """The client of it."""
    with closing(Transport(server.url, NO_CERTIFICATES)) as made:
        yield made


@pytest.fixture
def reader(server: Canned, transport: Transport) -> IndexReader:
    """A reader of the index whose uploads go to `/legacy/`."""
    return IndexReader(transport, endpoints_of(f"{server.url}/legacy/"))


def test_the_simple_apis_json_is_read(server: Canned, reader: IndexReader) -> None:
    """What is there already decides what is uploaded."""
    provenance = f"{server.url}/integrity/widget/1.0/{FILE}/provenance"
    files = [
        {"filename": FILE, "hashes": {"sha256": DIGEST.upper()}, "provenance": provenance, "yanked": "broken"},
        {"filename": "odd.zip", "hashes": {"md5": "x"}},
    ]
    server.answer("/simple/widget/", {"meta": {"api-version": "1.3"}, "files": files})

    state = reader.project("widget")

    assert state.known
    assert state.lists_provenance
    assert state.files[FILE] == (FILE, DIGEST, True, provenance)
    assert str(state.files[FILE].version) == "1.0"
    assert state.files["odd.zip"].sha256 is None
    assert "application/vnd.pypi.simple.v1+json" in server.asked[0][1]["accept"]


def test_a_page_of_an_index_without_json_is_read(server: Canned, reader: IndexReader) -> None:
    """Devpi of some years ago, Nexus, static files: PEP 503 is all they have."""
    page = (
        f'<html><a href="../../{FILE}#sha256={DIGEST}">{FILE}</a>'
        '<a href="/x/widget-1.0-py3-none-any.whl#md5=0" data-yanked="">widget-1.0-py3-none-any.whl</a>'
        f'<a href="/x/widget-2.0.tar.gz#sha256=short" data-provenance="/p">\n</a></html>'
    )
    server.answer("/simple/widget/", page, kind="text/html")

    files = reader.project("widget").files

    assert files[FILE].sha256 == DIGEST
    assert files["widget-1.0-py3-none-any.whl"].yanked
    assert files["widget-2.0.tar.gz"].sha256 is None
    assert files["widget-2.0.tar.gz"].provenance_url == f"{server.url}/p"


def test_the_list_is_looked_for_where_each_kind_of_index_has_it(server: Canned, transport: Transport) -> None:
    """Devpi keeps it below `+simple`, where Hatch looks as well."""
    server.answer("/root/dev/+simple/widget/", {"files": [{"filename": FILE, "hashes": {}}]})

    state = IndexReader(transport, endpoints_of(f"{server.url}/root/dev/")).project("widget")

    assert list(state.files) == [FILE]
    assert [path for path, _ in server.asked] == ["/root/dev/simple/widget/", "/root/dev/+simple/widget/"]


@pytest.mark.parametrize(("status", "known"), [(404, True), (410, True), (302, True), (401, False), (403, False)])
def test_an_index_without_the_project_and_one_that_does_not_tell(
    server: Canned, reader: IndexReader, status: int, *, known: bool
) -> None:
    """GitLab redirects readers of what it lacks to PyPI; to follow would compare with another project's files."""
    server.answer("/simple/widget/", "", status=status)

    state = reader.project("widget")

    assert (state.files, state.known) == ({}, known)
    assert len(server.asked) == 1


@pytest.mark.parametrize(
    "body", ["{", [], {}, {"files": 1}, {"files": [{}]}, {"files": [{"filename": "a", "hashes": []}]}]
)
def test_a_list_that_is_none_is_refused(server: Canned, reader: IndexReader, body: object) -> None:
    """An empty list by mistake would mean: nothing is there, upload all."""
    server.answer("/simple/widget/", body)
    with pytest.raises(IndexFailure) as caught:
        reader.project("widget")

    assert caught.value.code == "index-list"


@pytest.mark.parametrize(("status", "code"), [(503, "index-unreachable"), (418, "index-list")])
def test_an_index_that_fails_is_named(server: Canned, reader: IndexReader, status: int, code: str) -> None:
    """Whether it is worth to try again depends on it; only what passes is tried again."""
    server.answer("/simple/widget/", "", status=status)
    with pytest.raises(IndexFailure, match=str(status)) as caught:
        reader.project("widget")

    assert caught.value.code == code
    assert len(server.asked) == (3 if status == 503 else 1)


def test_a_provenance_elsewhere_is_not_followed(server: Canned, reader: IndexReader) -> None:
    """A link to another host is no proof of what this index serves."""
    served = reader.provenance("widget", "1.0", FILE, "https://elsewhere.example/provenance")

    assert served.status == 404
    assert server.asked[0][0] == f"/integrity/widget/1.0/{FILE}/provenance"


@pytest.mark.parametrize(
    "body", ["", [], {"attestation_bundles": 1}, {"attestation_bundles": [{"publisher": {}, "attestations": [{}]}]}]
)
def test_a_provenance_that_is_none_is_refused(server: Canned, reader: IndexReader, body: object) -> None:
    """Nothing that cannot be compared counts as proof."""
    server.answer(f"/integrity/widget/1.0/{FILE}/provenance", body)
    with pytest.raises(IndexFailure) as caught:
        reader.provenance("widget", "1.0", FILE)

    assert caught.value.code == "index-provenance"


def test_credentials_go_to_their_origin_only(server: Canned, transport: Transport) -> None:
    """A list at another host must not see the password."""
    transport.log_in("me", "hunter2")
    with canned() as other:
        transport.get(f"{server.url}/a", "*/*")
        transport.get(f"{other.url}/b", "*/*")

        assert server.asked[0][1]["authorization"] == "Basic bWU6aHVudGVyMg=="
        assert "authorization" not in other.asked[0][1]


def test_netrc_is_not_asked(
    server: Canned, transport: Transport, monkeypatch: pytest.MonkeyPatch, tmp_path_factory: pytest.TempPathFactory
) -> None:
    """Requests would send a host's password from there, also where a token is exchanged."""
    netrc = tmp_path_factory.mktemp("home") / "netrc"
    netrc.write_text("machine 127.0.0.1 login me password hunter2\n", encoding="utf-8")
    netrc.chmod(0o600)
    monkeypatch.setenv("NETRC", str(netrc))
    transport.get(f"{server.url}/a", "*/*")
    transport.post_json(f"{server.url}/b", {}, "*/*")

    assert all("authorization" not in headers for _, headers in server.asked)


def test_a_server_that_is_not_there_is_named() -> None:
    """The message must not be three lines of a library's wrapping."""
    with closing(Transport("http://127.0.0.1:9", NO_CERTIFICATES)) as transport, pytest.raises(IndexFailure) as caught:
        transport.post_json("http://127.0.0.1:9/x", {}, "*/*")

    assert caught.value.code == "index-unreachable"
    assert caught.value.cause is not None
    assert "refused" in caught.value.cause
    assert "\n" not in caught.value.cause
