"""An index's addresses, derived from the upload URL: pure functions, for hosts that no test can reach."""

from __future__ import annotations

import pytest

from hatch_attest.errors import IndexFailure
from hatch_attest.index.endpoints import PYPI_UPLOAD, TEST_PYPI_UPLOAD, endpoints_of


@pytest.mark.parametrize(
    ("url", "kind", "upload", "host"),
    [
        ("https://upload.pypi.org/legacy/", "pypi", PYPI_UPLOAD, "pypi.org"),
        ("https://upload.pypi.org/legacy", "pypi", PYPI_UPLOAD, "pypi.org"),
        ("https://UPLOAD.pypi.org:443/legacy/", "pypi", PYPI_UPLOAD, "pypi.org"),
        ("https://upload.pypi.org./legacy/", "pypi", PYPI_UPLOAD, "pypi.org"),
        ("https://test.pypi.org/legacy/", "testpypi", TEST_PYPI_UPLOAD, "test.pypi.org"),
    ],
)
def test_pypis_addresses_are_fixed_however_its_url_is_spelled(url: str, kind: str, upload: str, host: str) -> None:
    """Another spelling must not slip through as another index, with laxer rules."""
    endpoints = endpoints_of(url)

    assert (endpoints.kind, endpoints.upload, endpoints.is_pypi) == (kind, upload, True)
    assert endpoints.simple == (f"https://{host}/simple/",)
    assert endpoints.audience == f"https://{host}/_/oidc/audience"
    assert endpoints.mint == f"https://{host}/_/oidc/mint-token"
    assert endpoints.discovery == ()
    assert endpoints.provenance("My_Project", "1.0", "my_project-1.0.tar.gz") == (
        f"https://{host}/integrity/my-project/1.0/my_project-1.0.tar.gz/provenance"
    )
    assert endpoints.release_page("My_Project", "1.0") == f"https://{host}/project/my-project/1.0/"


@pytest.mark.parametrize(
    ("url", "simple", "integrity"),
    [
        ("https://h/legacy/", ("https://h/simple/",), "https://h/integrity/"),
        ("https://h/pypi/base/legacy/", ("https://h/pypi/base/simple/",), "https://h/pypi/base/integrity/"),
        (
            "https://h/api/pypi/local",
            ("https://h/api/pypi/local/simple/", "https://h/api/pypi/local/+simple/"),
            "https://h/api/pypi/local/integrity/",
        ),
        ("https://h/root/dev/", ("https://h/root/dev/simple/", "https://h/root/dev/+simple/"), "https://h/root/dev/integrity/"),
        ("https://h", ("https://h/simple/", "https://h/+simple/"), "https://h/integrity/"),
    ],
)  # fmt: skip
def test_other_indexes_keep_their_lists_where_they_do(url: str, simple: tuple[str, ...], integrity: str) -> None:
    """Warehouse and Pulp, Artifactory and GitLab, devpi: what is there already is looked for in the right place."""
    endpoints = endpoints_of(url)

    assert (endpoints.kind, endpoints.simple, endpoints.integrity) == ("other", simple, integrity)
    assert endpoints.release_page("p", "1") == ""


def test_discovery_asks_for_the_upload_urls_path() -> None:
    """Draft PEP 807, in its form of 2026 and the one before.

    The old form's own example hashed a newline along with the path, against its text; the text counts.
    """
    assert endpoints_of("https://upload.example.com/legacy/").discovery == (
        "https://upload.example.com/.well-known/pytp?discover=%2Flegacy%2F",
        "https://upload.example.com/.well-known/pytp/0cace9579789849db6e16d48df183951c8f17582200d84bc93c7678d6c8f78a7",
    )


@pytest.mark.parametrize(
    ("url", "code"),
    [
        ("https://pypi.org/legacy/", "index-url-pypi"),
        ("https://pypi.org/simple/", "index-url-pypi"),
        ("https://upload.pypi.org/", "index-url-pypi"),
        ("https://upload.pypi.org:8443/legacy/", "index-url-pypi"),
        ("https://evil.pypi.org/legacy/", "index-url-pypi"),
        ("https://testpypi.python.org/pypi", "index-url-pypi"),
        ("https://upload.pypi.org@evil.example/legacy/", "index-url-credentials"),
        ("https://user:secret@h/legacy/", "index-url-credentials"),
        ("http://upload.pypi.org/legacy/", "index-plain-http"),
        ("http://h/legacy/", "index-plain-http"),
        ("http://127.0.0.1.example/legacy/", "index-plain-http"),
        ("https://h/legacy/?x=1", "index-url"),
        ("https://h/legacy/#x", "index-url"),
        ("https://h:port/legacy/", "index-url"),
        ("ftp://h/legacy/", "index-url"),
        ("https:///legacy/", "index-url"),
        ("legacy", "index-url"),
    ],
)
def test_what_is_no_upload_url_is_refused(url: str, code: str) -> None:
    """A secret or a file in the wrong place cannot be taken back."""
    with pytest.raises(IndexFailure) as caught:
        endpoints_of(url)

    assert caught.value.code == code
    assert "secret" not in str(caught.value)


@pytest.mark.parametrize("url", ["http://127.0.0.1:8000/legacy/", "http://[::1]/legacy/", "http://localhost/legacy/"])
def test_plain_http_is_fine_on_this_machine(url: str) -> None:
    """Rehearsals and tests have no certificate."""
    endpoints = endpoints_of(url)

    assert endpoints.loopback
    assert endpoints.origin == url.removesuffix("/legacy/")
