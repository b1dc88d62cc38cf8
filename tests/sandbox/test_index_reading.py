"""What the sandbox's index serves: the Simple API in both forms, files, and the Integrity API."""

from __future__ import annotations

import hashlib
import html.parser
import io
import zipfile
from typing import TYPE_CHECKING

import pytest
from pypi_attestations import Provenance

from hatch_attest.sandbox.index import Index
from hatch_attest.sandbox.index.negotiation import choose
from tests.sandbox.index_support import AUDIENCE, PUBLISHER, sdist, sign, started, wheel, whole_sandbox

if TYPE_CHECKING:
    from collections.abc import Iterator

    from hatch_attest.sandbox import Sandbox
    from tests.sandbox.index_support import Site

SIMPLE_JSON = "application/vnd.pypi.simple.v1+json"
SIMPLE_HTML = "application/vnd.pypi.simple.v1+html"
WHEEL, SDIST, LATER = wheel("my-widget"), sdist("my-widget"), wheel("my-widget", "1.10")
PROVENANCE = f"/integrity/my-widget/1.0/{WHEEL.filename}/provenance"


@pytest.fixture(scope="module")
def filled(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Sandbox, Site]]:
    """A sandbox whose index holds a wheel with an attestation, its sdist without, and a later wheel."""
    with whole_sandbox(tmp_path_factory.mktemp("sandbox")) as (sandbox, site):
        site.index.add_publisher("my-widget", **PUBLISHER)
        token = site.upload_token(sandbox.issuer.token(AUDIENCE))
        assert site.upload(LATER, token).status_code == 200
        assert site.upload(SDIST, token).status_code == 200
        assert site.upload(WHEEL, token, attestations=sign(sandbox, WHEEL)).status_code == 200
        required = wheel("gadget")
        assert site.upload(required, site.index.add_token(), changes={"requires_python": ">=3.8"}).status_code == 200
        yield sandbox, site


@pytest.fixture
def site(filled: tuple[Sandbox, Site]) -> Site:
    """Its index."""
    return filled[1]


def _metadata(content: bytes) -> bytes:
    with zipfile.ZipFile(io.BytesIO(content)) as archive:
        return archive.read("my_widget-1.0.dist-info/METADATA")


class _Links(html.parser.HTMLParser):
    """Reads the links of a page."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.links: list[dict[str, str | None]] = []
        self.meta: dict[str | None, str | None] = {}
        self.feed(page)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        if tag == "a":
            self.links.append(dict(attrs))
        elif tag == "meta":
            self.meta[dict(attrs).get("name")] = dict(attrs).get("content")


def test_the_project_page_in_json_says_all_of_each_file(site: Site) -> None:
    """Broken: clients that compare digests, or look for provenance, would find nothing."""
    response = site.get("/simple/my-widget/", SIMPLE_JSON)
    assert response.headers["content-type"] == SIMPLE_JSON
    page = response.json()
    assert page["name"] == "my-widget"
    assert page["versions"] == ["1.0", "1.10"]
    assert page["meta"]["api-version"] == "1.4"
    assert [file["filename"] for file in page["files"]] == [WHEEL.filename, SDIST.filename, LATER.filename]
    first, second, _ = page["files"]
    metadata = {"sha256": hashlib.sha256(_metadata(WHEEL.content)).hexdigest()}
    assert first.pop("upload-time").endswith("Z")
    url = first.pop("url")
    assert url.startswith(f"{site.url}/packages/")
    assert first == {
        "filename": WHEEL.filename,
        "hashes": {"sha256": WHEEL.sha256},
        "requires-python": None,
        "size": len(WHEEL.content),
        "yanked": False,
        "core-metadata": metadata,
        "data-dist-info-metadata": metadata,
        "provenance": f"{site.url}{PROVENANCE}",
    }
    assert (second["provenance"], second["core-metadata"]) == (None, False)
    assert site.client.get(url).content == WHEEL.content
    assert site.client.get(f"{url}.metadata").content == _metadata(WHEEL.content)


@pytest.mark.parametrize(
    ("accept", "content_type"),
    [
        (None, "text/html; charset=utf-8"),
        ("image/png", "text/html; charset=utf-8"),
        (SIMPLE_HTML, SIMPLE_HTML),
        (f"{SIMPLE_JSON}, {SIMPLE_HTML};q=0.1, text/html;q=0.01", SIMPLE_JSON),
        (f"{SIMPLE_JSON};q=0.1, {SIMPLE_HTML}", SIMPLE_HTML),
    ],
)
def test_the_form_of_a_page_is_negotiated(site: Site, accept: str | None, content_type: str) -> None:
    """Broken: an installer would get a form that it did not ask for."""
    for path in ("/simple/", "/simple/my-widget/"):
        assert site.get(path, accept).headers["content-type"] == content_type


def test_the_project_page_in_html_says_the_same(site: Site) -> None:
    """Broken: pip and tools that read HTML would miss digests, provenance or metadata."""
    page = _Links(site.get("/simple/my-widget/", "text/html").text)
    assert page.meta["pypi:repository-version"] == "1.4"
    in_json = site.get("/simple/my-widget/", SIMPLE_JSON).json()["files"]
    assert [link["href"] for link in page.links] == [
        f"{file['url']}#sha256={file['hashes']['sha256']}" for file in in_json
    ]
    assert [link.get("data-provenance") for link in page.links] == [file["provenance"] for file in in_json]
    digests = [file["core-metadata"] for file in in_json]
    assert [link.get("data-core-metadata") for link in page.links] == [
        f"sha256={digest['sha256']}" if digest else None for digest in digests
    ]
    [link] = _Links(site.get("/simple/gadget/", "text/html").text).links
    assert link["data-requires-python"] == ">=3.8"


def test_all_projects_are_listed(site: Site) -> None:
    """Broken: the index would hide what it holds."""
    page = site.get("/simple/", SIMPLE_JSON).json()
    assert [project["name"] for project in page["projects"]] == ["gadget", "my-widget"]
    assert [link["href"] for link in _Links(site.get("/simple/").text).links] == [
        "/simple/gadget/",
        "/simple/my-widget/",
    ]


@pytest.mark.parametrize("name", ["My.Widget", "my_widget", "MY-WIDGET"])
def test_other_spellings_lead_to_the_normalized_name(site: Site, name: str) -> None:
    """Broken: an installer would not find a project by another valid spelling (PEP 503)."""
    response = site.get(f"/simple/{name}/")
    assert (response.status_code, response.headers["location"]) == (301, "/simple/my-widget/")


@pytest.mark.parametrize("path", ["/simple", "/simple/my-widget"])
def test_a_path_without_its_slash_leads_to_the_one_with_it(site: Site, path: str) -> None:
    """Broken: a link without the slash would be dead, which on PyPI it is not."""
    response = site.get(path)
    assert (response.status_code, response.headers["location"]) == (301, f"{path}/")


@pytest.mark.parametrize(
    "path",
    [
        "/simple/nonesuch/",
        "/packages/00/00/nonesuch-1.0.tar.gz",
        "/packages/../../../etc/passwd",
        "/integrity/nonesuch/1.0/nonesuch-1.0.tar.gz/provenance",
        "/integrity/my-widget/2.0/my_widget-2.0.tar.gz/provenance",
        f"/integrity/my-widget/1.10/{WHEEL.filename}/provenance",
        "/nonesuch",
    ],
)
def test_what_is_not_there_is_not_found(site: Site, path: str) -> None:
    """Broken: something else would be served, or the server fail."""
    assert site.get(path).status_code == 404


def test_an_sdist_has_no_separate_metadata(site: Site) -> None:
    """Broken: an installer would be given something for PEP 658 that PyPI does not offer."""
    [_, file, _] = site.get("/simple/my-widget/", SIMPLE_JSON).json()["files"]
    assert site.client.get(f"{file['url']}.metadata").status_code == 404


def test_parts_of_a_file_are_served(site: Site) -> None:
    """Broken: uv and pip, which read a wheel's metadata by ranges, would fail or read too much."""
    [file, *_] = site.get("/simple/my-widget/", SIMPLE_JSON).json()["files"]
    response = site.client.get(file["url"], headers={"range": "bytes=0-3"})
    assert (response.status_code, response.content) == (206, WHEEL.content[:4])


@pytest.mark.parametrize(
    ("accept", "content_type"),
    [
        (None, "application/vnd.pypi.integrity.v1+json"),
        ("*/*", "application/vnd.pypi.integrity.v1+json"),
        ("application/vnd.pypi.integrity.v1+json", "application/vnd.pypi.integrity.v1+json"),
        ("application/json", "application/json"),
        ("application/*;q=0.5", "application/vnd.pypi.integrity.v1+json"),
    ],
)
def test_provenance_is_served_in_pypis_type(site: Site, accept: str | None, content_type: str) -> None:
    """Broken: a client that asks for PyPI's type would be told that there is none."""
    response = site.get(PROVENANCE, accept)
    assert (response.status_code, response.headers["content-type"]) == (200, content_type)
    assert len(Provenance.model_validate_json(response.content).attestation_bundles) == 1


@pytest.mark.parametrize("accept", ["text/html", "application/json;q=0", "application/json;q=nonsense"])
def test_another_type_of_provenance_is_not_acceptable(site: Site, accept: str) -> None:
    """Broken: PyPI answers 406, the index would not."""
    response = site.get(PROVENANCE, accept)
    assert (response.status_code, response.json()) == (406, {"message": "Request not acceptable"})


@pytest.mark.parametrize(
    "path", [PROVENANCE.replace("my-widget", "My_Widget", 1), PROVENANCE.replace("1.0", "1.0.0", 1)]
)
def test_provenance_is_found_by_any_spelling_of_project_and_version(site: Site, path: str) -> None:
    """Broken: a client that spells a name as its metadata does would find nothing."""
    assert site.get(path).status_code == 200


def test_an_index_without_the_integrity_api_links_to_none(filled: tuple[Sandbox, Site]) -> None:
    """Broken: the case of an index that does not serve provenance could not be tested."""
    sandbox = filled[0]
    index = Index(sandbox.issuer.issuers(), sandbox.trusted_root, integrity_api=False)
    with started(index) as site:
        index.add_publisher("my-widget", **PUBLISHER)
        token = site.upload_token(sandbox.issuer.token(AUDIENCE))
        assert site.upload(WHEEL, token, attestations=sign(sandbox, WHEEL)).status_code == 200
        assert site.get(PROVENANCE).status_code == 404
        [file] = site.get("/simple/my-widget/", SIMPLE_JSON).json()["files"]
        assert file["provenance"] is None
        assert "data-provenance" not in site.get("/simple/my-widget/").text


@pytest.mark.parametrize(
    ("accept", "chosen"),
    [
        (None, "a/a"),
        ("", "a/a"),
        ("b/b, a/a", "a/a"),
        ("b/b, a/a;q=0.9", "b/b"),
        ("a/*;q=0.2, */*;q=0.1", "a/a"),
        ("*/*, a/a;q=0", "b/b"),
        ("B/B", "b/b"),
        ("c/c", None),
        ("a/a;q=0, b/b;q=0", None),
    ],
)
def test_the_best_offer_is_chosen(accept: str | None, chosen: str | None) -> None:
    """Broken: content negotiation everywhere in the index."""
    assert choose(accept, ("a/a", "b/b")) == chosen
