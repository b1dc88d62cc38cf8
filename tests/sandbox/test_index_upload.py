"""The sandbox's index refuses uploads just where PyPI does, with PyPI's status and words, and takes the others."""

from __future__ import annotations

import re
import threading
import zipfile
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import pytest
from packaging.requirements import Requirement

from hatch_attest.sandbox.index import Index
from tests.sandbox.index_support import Artifact, sdist, started, wheel, whole_sandbox, zipped

if TYPE_CHECKING:
    from collections.abc import Iterator

    from hatch_attest.sandbox import Sandbox
    from tests.sandbox.index_support import Site

SPECIFICATION = "See https://packaging.python.org/specifications/core-metadata for more information."
REUSE = "See https://pypi.org/help/#file-name-reuse for more information."
DIRECT = "gadget @ https://example.com/gadget.whl"
EXTENSIONS = "See https://www.python.org/dev/peps/pep-0527"


@pytest.fixture(scope="module")
def shared(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Sandbox, Site]]:
    """One sandbox for the whole table; nothing that is refused leaves a trace."""
    with whole_sandbox(tmp_path_factory.mktemp("sandbox")) as both:
        yield both


@pytest.fixture
def site(shared: tuple[Sandbox, Site]) -> Site:
    """The index of the shared sandbox."""
    return shared[1]


@pytest.fixture
def token(site: Site) -> str:
    """An API token that may do all."""
    return site.index.add_token()


GOOD = wheel()
INFO = "widget-1.0.dist-info"

# Each row: what is uploaded, what of the form is changed (None: left out), the answer's words.
FORM_REFUSALS: dict[str, tuple[dict[str, Any], str]] = {
    "protocol": ({"protocol_version": "2"}, "Unknown protocol version."),
    "no name": ({"name": None}, f"'' is an invalid value for Name. Error: This field is required. {SPECIFICATION}"),
    "bad name": (
        {"name": "-widget"},
        (
            "'-widget' is an invalid value for Name. Error: Start and end with a letter or numeral containing only"
            f" ASCII numeric and '.', '_' and '-'. {SPECIFICATION}"
        ),
    ),
    "no filetype": ({"filetype": None}, "Invalid value for filetype. Error: This field is required."),
    "egg": ({"filetype": "bdist_egg"}, "Invalid value for filetype. Error: Use a known file type."),
    "no pyversion": ({"pyversion": None}, "Error: Python version is required for binary distribution uploads."),
    "no digest": ({"sha256_digest": None}, "Error: Include at least one message digest."),
    "short digest": (
        {"sha256_digest": "abc"},
        "Invalid value for sha256_digest. Error: Use a valid, hex-encoded, SHA256 message digest.",
    ),
    "wrong sha256": (
        {"sha256_digest": "0" * 64},
        "The digest supplied does not match a digest calculated from the uploaded file.",
    ),
    "wrong blake2": (
        {"blake2_256_digest": "0" * 64},
        "The digest supplied does not match a digest calculated from the uploaded file.",
    ),
    "wrong md5": (
        {"md5_digest": "0" * 32},
        "The digest supplied does not match a digest calculated from the uploaded file.",
    ),
    "no version": ({"version": None}, f"'version' is a required field. {SPECIFICATION}"),
    "bad version": ({"version": "one"}, f"'one' is invalid for 'version'. {SPECIFICATION}"),
    "local version": (
        {"version": "1.0+local"},
        f"The use of local versions in '1.0+local' is not allowed. {SPECIFICATION}",
    ),
    "metadata version": (
        {"metadata_version": "9.9"},
        f"'9.9' is not a valid metadata version. {SPECIFICATION}",
    ),
    "no metadata version": (
        {"metadata_version": None},
        f"None is not a valid metadata version. {SPECIFICATION}",
    ),
    "two versions": ({"version": ["1.0", "2.0"]}, f"'version' has invalid data. {SPECIFICATION}"),
    "long summary": (
        {"summary": "x" * 513},
        f"'summary' field must be 512 characters or less. {SPECIFICATION}",
    ),
    "classifier": (
        {"classifiers": ["Framework :: Nonesuch"]},
        f"'Framework :: Nonesuch' is not a valid classifier. {SPECIFICATION}",
    ),
    "deprecated classifier": (
        {"classifiers": ["Natural Language :: Ukranian"]},
        (
            "The classifier 'Natural Language :: Ukranian' has been deprecated,"
            f" use one of ['Natural Language :: Ukrainian'] instead. {SPECIFICATION}"
        ),
    ),
    "home page": ({"home_page": "not a url"}, f"'not a url' is not a valid url. {SPECIFICATION}"),
    "project url": ({"project_urls": ["Home, gopher://x"]}, f"'gopher://x' is not a valid url. {SPECIFICATION}"),
    "project url label": (
        {"project_urls": [f"{'x' * 33}, https://example.com"]},
        f"'{'x' * 33}' must be 32 characters or less. {SPECIFICATION}",
    ),
    "download url": ({"download_url": "https://x:y/"}, f"'https://x:y/' is not a valid url. {SPECIFICATION}"),
    "project url without a label": ({"project_urls": [", https://x"]}, f"Must have a label. {SPECIFICATION}"),
    "project url without a url": ({"project_urls": ["Home,"]}, f"Must have a URL. {SPECIFICATION}"),
    "two keywords": ({"keywords": ["a", "b"]}, f"'keywords' has invalid data. {SPECIFICATION}"),
    "bad provides": ({"provides_dist": ["-"]}, "'-' is invalid: "),
    "old metadata version": (
        {"metadata_version": "2.6"},
        f"'2.6' is not a valid metadata version. {SPECIFICATION}",
    ),
    "direct dependency": (
        {"requires_dist": [DIRECT]},
        f"Can't have direct dependency: {Requirement(DIRECT)}. {SPECIFICATION}",
    ),
    "direct provides": (
        {"provides_dist": [DIRECT]},
        f"Can't have direct dependency: {DIRECT!r}. {SPECIFICATION}",
    ),
    "both licences": (
        {"metadata_version": "2.4", "license": "MIT", "license_expression": "MIT"},
        (
            "License is deprecated when License-Expression is present. Only License-Expression should be present."
            f" {SPECIFICATION}"
        ),
    ),
    "licence file": (
        {"metadata_version": "2.4", "license_file": ["LICENSE"]},
        f"License-File LICENSE does not exist in distribution file {GOOD.filename} at {INFO}/licenses/LICENSE",
    ),
    "description": (
        {"description": "Title\n==\n\n.. nonesuch::\n"},
        (
            "The description failed to render in the default format of reStructuredText."
            " See https://pypi.org/help/#description-content-type for more information."
        ),
    ),
    "other name": ({"name": "gadget"}, "Start filename for 'gadget' with 'gadget'."),
    "other version": ({"version": "2.0"}, "Version in filename should be '2.0' not '1.0'."),
}

ARTIFACT_REFUSALS: dict[str, tuple[Artifact, dict[str, Any], str]] = {
    "slash": (replace(GOOD, filename="dist\\widget-1.0-py3-none-any.whl"), {}, "Cannot upload a file with '/' or '\\'"),
    "control character": (
        replace(GOOD, filename="widget\x7f-1.0-py3-none-any.whl"),
        {},
        "Cannot upload a file with non-printable characters (ordinals 0-31) or the DEL character (ordinal 127) in the",
    ),
    "bad version in the name": (
        replace(wheel(version="1.0.x"), version="1.0"),
        {},
        "Invalid wheel filename (invalid version): 'widget-1.0.x-py3-none-any'",
    ),
    "zip as an sdist": (
        replace(sdist(), filename="widget-1.0.zip", content=zipped({"widget-1.0/PKG-INFO": b"", "widget-1.0/a": b""})),
        {},
        "Filename 'widget-1.0.zip' is invalid, should be 'widget-1.0.tar.gz'.",
    ),
    "zip as an sdist without PKG-INFO": (
        replace(sdist(), filename="widget-1.0.zip", content=zipped({"widget-1.0/b": b"", "widget-1.0/a": b""})),
        {},
        "Invalid distribution file. PKG-INFO not found at widget-1.0/PKG-INFO",
    ),
    "damaged zip": (
        replace(GOOD, content=GOOD.content.replace(b"PK\x01\x02", b"PK\x00\x00")),
        {},
        "Invalid distribution file. ",
    ),
    "hyphen that starts no post-release": (
        replace(sdist("my-widget", "2.0.post1"), filename="my-widget-x-2.0.post1.tar.gz"),
        {},
        "Start filename for 'my-widget' with 'my_widget'.",
    ),
    "extension": (replace(GOOD, filename="widget-1.0.exe"), {}, "Invalid file extension: Use .tar.gz, .whl or .zip"),
    "extension of the other type": (
        replace(GOOD, filename="widget-1.0.tar.gz"),
        {"filetype": "bdist_wheel", "pyversion": "py3"},
        f"Invalid file extension: Extension .tar.gz is invalid for filetype bdist_wheel. {EXTENSIONS}",
    ),
    "not a zip": (replace(GOOD, content=b"nothing"), {}, "Invalid distribution file. File is not a zipfile"),
    "truncated zip": (
        replace(GOOD, content=GOOD.content[:-30]),
        {},
        "Invalid distribution file. File is not a zipfile",
    ),
    "compression": (
        replace(GOOD, content=zipped({f"{INFO}/WHEEL": b""}, zipfile.ZIP_BZIP2)),
        {},
        "Invalid distribution file. File does not use a supported compression type",
    ),
    "bomb": (
        replace(GOOD, content=zipped({"zeros": bytes(65 * 1024 * 1024)})),
        {},
        "Invalid distribution file. File exceeds compression ratio of 50",
    ),
    "no WHEEL": (wheel(WHEEL=None), {}, f"Invalid distribution file. WHEEL not found at {INFO}/WHEEL"),
    "no RECORD": (
        wheel(RECORD=None),
        {},
        f"Wheel '{GOOD.filename}' does not contain the required RECORD file: {INFO}/RECORD",
    ),
    "no METADATA": (
        wheel(METADATA=None),
        {},
        f"Wheel '{GOOD.filename}' does not contain the required METADATA file: {INFO}/METADATA",
    ),
    "too few parts": (
        replace(GOOD, filename="widget.whl"),
        {},
        "Invalid distribution file. Unable to parse name and version from wheel filename",
    ),
    "platform": (
        wheel(tag="cp311-cp311-linux_x86_64"),
        {},
        "Binary wheel 'widget-1.0-cp311-cp311-linux_x86_64.whl' has an unsupported platform tag 'linux_x86_64'.",
    ),
    "upper case": (
        replace(wheel("Widget"), name="widget"),
        {},
        "Filename 'Widget-1.0-py3-none-any.whl' should contain the normalized project name 'widget', not 'Widget'.",
    ),
    "not a tar": (replace(sdist(), content=b"nothing"), {}, "Invalid distribution file. File is not a tarfile"),
    "truncated tar": (replace(sdist(), content=sdist().content[:60]), {}, "Invalid distribution file. "),
    "no PKG-INFO": (
        sdist(members={"widget-1.0/a": b"", "widget-1.0/b": b""}),
        {},
        "Invalid distribution file. PKG-INFO not found at widget-1.0/PKG-INFO",
    ),
    "two tops": (
        sdist(members={"widget-1.0/PKG-INFO": b"", "other/b": b""}),
        {},
        "Invalid distribution file. Incorrect number of top-level directories in sdist",
    ),
    "sdist of another": (sdist("gadget"), {"name": "widget"}, "Start filename for 'widget' with 'widget'."),
    "sdist of another version": (
        sdist(),
        {"version": "2.0"},
        "Filename 'widget-1.0.tar.gz' is invalid, should be 'widget-2.0.tar.gz'.",
    ),
    "sdist name without version": (
        replace(sdist(), filename="widget.tar.gz"),
        {},
        "Invalid source distribution filename: widget.tar.gz",
    ),
    "sdist not normalized": (
        replace(sdist("my-widget"), filename="my-widget-1.0.tar.gz"),
        {},
        "Filename 'my-widget-1.0.tar.gz' is invalid, should be 'my_widget-1.0.tar.gz'.",
    ),
    "sdist of a Python version": (sdist(), {"pyversion": "3"}, "Error: Use 'source' as Python version for an sdist."),
    "sdist without its licence": (
        sdist(),
        {"metadata_version": "2.4", "license_file": ["LICENSE"]},
        "License-File LICENSE does not exist in distribution file widget-1.0.tar.gz at widget-1.0/LICENSE",
    ),
}


@pytest.mark.parametrize(("changes", "words"), FORM_REFUSALS.values(), ids=FORM_REFUSALS.keys())
def test_a_wrong_form_is_refused_in_the_words_of_pypi(
    site: Site, token: str, changes: dict[str, Any], words: str
) -> None:
    """Broken: a client that is tested here would meet another refusal, or none, on PyPI."""
    response = site.upload(GOOD, token, changes=changes)
    assert response.status_code == 400
    assert response.reason_phrase == words or (words.endswith(": ") and response.reason_phrase.startswith(words))
    assert site.index.files("widget") == ()


@pytest.mark.parametrize(("artifact", "changes", "words"), ARTIFACT_REFUSALS.values(), ids=ARTIFACT_REFUSALS.keys())
def test_a_wrong_file_is_refused_in_the_words_of_pypi(
    site: Site, token: str, artifact: Artifact, changes: dict[str, Any], words: str
) -> None:
    """Broken: an artifact that PyPI refuses would pass a rehearsal."""
    response = site.upload(artifact, token, changes=changes)
    assert response.status_code == 400
    assert response.reason_phrase.startswith(words)
    assert site.index.files("widget") == ()


def test_an_image_is_no_distribution(site: Site, token: str) -> None:
    """Broken: PyPI looks at the content type, the index would not."""
    response = site.upload(GOOD, token, content_type="image/png")
    assert (response.status_code, response.reason_phrase) == (400, "Invalid distribution file.")


def test_an_upload_without_a_file_is_refused(site: Site, token: str) -> None:
    """Broken: a form without a file would be a server error."""
    response = site.client.post(f"{site.url}/legacy/", data=GOOD.form(), auth=("__token__", token))
    assert (response.status_code, response.reason_phrase) == (400, "Upload payload does not have a file.")


def test_a_file_sent_as_text_is_refused(site: Site, token: str) -> None:
    """Broken: a form whose file has no file name would be a server error."""
    form = {**GOOD.form(), "content": "text"}
    response = site.client.post(f"{site.url}/legacy/", data=form, auth=("__token__", token))
    assert (response.status_code, response.reason_phrase) == (400, "Upload payload does not have a file.")


def test_a_text_field_sent_as_a_file_is_refused(site: Site, token: str) -> None:
    """Broken: a field with a file name would be read as text."""
    files = {"content": (GOOD.filename, GOOD.content), "summary": ("summary.txt", b"text")}
    response = site.client.post(f"{site.url}/legacy/", data=GOOD.form(), files=files, auth=("__token__", token))
    assert (response.status_code, response.reason_phrase) == (400, "summary: Should not be a tuple.")


def test_the_path_without_its_slash_redirects_as_on_pypi(site: Site, token: str) -> None:
    """Broken: a mistyped upload URL would look like another error."""
    response = site.client.post(f"{site.url}/legacy", auth=("__token__", token))
    assert (response.status_code, response.headers["location"]) == (308, "/legacy/")


@pytest.mark.parametrize(
    ("accept", "content_type", "pattern"),
    [
        ("*/*", "text/html; charset=utf-8", r"<h1>400 Unknown protocol version\.</h1>"),
        (
            "application/json;q=0.9, text/plain;q=0.8, text/html;q=0.7",
            "application/json",
            (
                r'\\n\\n\\nUnknown protocol version\.\\n\\n", "code": "400 Unknown protocol version\.", '
                r'"title": "Bad Request"'
            ),
        ),
        ("text/plain", "text/plain; charset=utf-8", r"^400 Unknown protocol version\.\n\n"),
    ],
)
def test_a_refusal_is_written_as_the_client_asks(
    site: Site, token: str, accept: str, content_type: str, pattern: str
) -> None:
    """Broken: uv, which reads JSON, or a person, who reads HTML, would not find the reason."""
    response = site.upload(GOOD, token, accept=accept, changes={"protocol_version": "2"})
    assert response.headers["content-type"] == content_type
    assert re.search(pattern, response.text)
    assert "x-reason-phrase" not in response.headers


def test_a_reason_beyond_latin_1_still_fits_the_status_line(site: Site, token: str) -> None:
    """Broken: a project's name in another script would end the connection instead of refusing the upload."""
    response = site.upload(GOOD, token, changes={"name": "виджет"})
    assert response.status_code == 400
    assert response.reason_phrase.startswith("'??????' is an invalid value for Name.")
    assert "виджет" in response.text


# What follows needs an index of its own, because something is accepted.


@pytest.fixture
def fresh(shared: tuple[Sandbox, Site]) -> Iterator[Site]:
    """An index with nothing in it."""
    with started(Index({}, shared[0].trusted_root)) as site:
        yield site


def test_the_same_file_again_is_accepted_without_effect(fresh: Site) -> None:
    """Broken: a retry after a lost answer would read as a failure, which on PyPI it does not."""
    token = fresh.index.add_token()
    assert [fresh.upload(GOOD, token).status_code for _ in range(2)] == [200, 200]
    assert len(fresh.index.files("widget")) == 1


def test_other_content_under_the_same_name_is_refused(fresh: Site) -> None:
    """Broken: a file that was published could be replaced."""
    token = fresh.index.add_token()
    assert fresh.upload(GOOD, token).status_code == 200
    other = wheel(RECORD=b"changed")
    response = fresh.upload(other, token)
    assert response.status_code == 400
    assert re.fullmatch(
        rf"File already exists \('{GOOD.filename}', with blake2_256 hash '[0-9a-f]{{64}}'\)\. {re.escape(REUSE)}",
        response.reason_phrase,
    )
    assert fresh.index.files("widget")[0].sha256 == GOOD.sha256


def test_the_same_content_under_another_name_is_refused(fresh: Site) -> None:
    """Broken: PyPI keeps each content once, a rehearsal would not show it."""
    token = fresh.index.add_token()
    assert fresh.upload(GOOD, token).status_code == 200
    copied = replace(GOOD, filename="widget-1.0-1-py3-none-any.whl")
    assert fresh.upload(copied, token).reason_phrase.startswith("File already exists ('widget-1.0-1-py3-none-any.whl'")


def test_one_sdist_may_be_uploaded_per_release_however_the_version_is_spelled(fresh: Site) -> None:
    """Broken: two sdists of one release would pass."""
    token = fresh.index.add_token()
    assert fresh.upload(sdist(), token).status_code == 200
    response = fresh.upload(sdist(version="1.0.0"), token)
    assert (response.status_code, response.reason_phrase) == (400, "Only one sdist may be uploaded per release.")


def test_the_name_of_a_deleted_file_stays_taken(fresh: Site) -> None:
    """Broken: a yanked and deleted file could be replaced under its name."""
    token = fresh.index.add_token()
    assert fresh.upload(GOOD, token).status_code == 200
    fresh.index.delete_file(GOOD.filename)
    assert fresh.index.files("widget") == ()
    response = fresh.upload(GOOD, token)
    assert (response.status_code, response.reason_phrase) == (
        400,
        f"This filename was previously used by a file that has since been deleted. Use a different version. {REUSE}",
    )
    with pytest.raises(KeyError):
        fresh.index.delete_file(GOOD.filename)


def test_a_post_release_may_be_spelled_with_a_hyphen_but_is_not_normalized(fresh: Site) -> None:
    """Broken: the name before such a version would be read wrong, and the refusal name the wrong cause."""
    artifact = replace(sdist(version="1.0.post1"), filename="widget-1.0-1.tar.gz")
    response = fresh.upload(artifact, fresh.index.add_token())
    assert response.reason_phrase == "Filename 'widget-1.0-1.tar.gz' is invalid, should be 'widget-1.0.post1.tar.gz'."


@pytest.mark.parametrize(
    "tag",
    [
        "cp311-cp311-manylinux_2_17_x86_64.manylinux2014_x86_64",
        "cp311-cp311-musllinux_1_2_aarch64",
        "cp311-cp311-macosx_10_9_universal2",
        "cp311-cp311-macosx_14_0_arm64",
        "cp313-cp313-ios_13_0_arm64_iphoneos",
        "cp313-cp313-android_21_x86_64",
        "py3-none-win_amd64",
    ],
)
def test_wheels_for_the_platforms_of_pypi_are_taken(fresh: Site, tag: str) -> None:
    """Broken: a release that PyPI takes would fail its rehearsal."""
    assert fresh.upload(wheel(tag=tag), fresh.index.add_token()).status_code == 200


def test_all_kinds_of_metadata_are_taken(fresh: Site) -> None:
    """Broken: a project with rich metadata, or one of distutils with "UNKNOWN" in it, would be refused."""
    changes = {
        "metadata_version": "2.4",
        "summary": "A widget",
        "description": "Title\n=====\n\n``code``\n",
        "description_content_type": "text/x-rst; charset=UTF-8",
        "keywords": "a, b",
        "home_page": "UNKNOWN",
        "download_url": "https://example.com:443/widget",
        "author_email": "Someone <someone@example.com>",
        "license_expression": "MIT",
        "classifiers": ["Framework :: Hatch", "Typing :: Typed"],
        "project_urls": ["Home, https://example.com", "Docs, https://example.com/docs"],
        "requires_dist": ["gadget>=1; python_version < '3.9'"],
        "provides_dist": ["gizmo"],
        "requires_python": ">=3.8",
        "dynamic": ["Summary"],
        "platform": ["any"],
        "provides_extra": ["all"],
    }
    assert fresh.upload(GOOD, fresh.index.add_token(), changes=changes).reason_phrase == "OK"
    markdown = {"description": "# Title", "description_content_type": "text/markdown"}
    assert fresh.upload(sdist(), fresh.index.add_token(), changes=markdown).reason_phrase == "OK"


def test_names_with_several_spellings_are_one_project(fresh: Site) -> None:
    """Broken: "My.Widget" and "my-widget" would be two projects."""
    token = fresh.index.add_token()
    assert fresh.upload(wheel("my-widget"), token, changes={"name": "My.Widget"}).status_code == 200
    assert fresh.upload(sdist("my-widget"), token).status_code == 200
    assert [file.filename for file in fresh.index.files("MY_widget")] == [
        "my_widget-1.0-py3-none-any.whl",
        "my_widget-1.0.tar.gz",
    ]


def test_many_uploads_of_one_file_at_once_keep_one(fresh: Site) -> None:
    """Broken: two clients at once could both win, or one see half a file."""
    token = fresh.index.add_token()
    contents = [wheel(RECORD=bytes([number])) for number in range(8)]
    answers: list[int] = []
    threads = [
        threading.Thread(target=lambda artifact=artifact: answers.append(fresh.upload(artifact, token).status_code))
        for artifact in contents
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(answers) == [200] + [400] * 7
    [file] = fresh.index.files("widget")
    assert fresh.index.path(file).read_bytes() in [artifact.content for artifact in contents]


@pytest.mark.parametrize(
    ("limits", "words"),
    [
        (
            {"file_size_limit": 100},
            (
                "File too large. Limit for project 'widget' is 0 MB. See https://docs.pypi.org/project-management/"
                "storage-limits#requesting-a-file-size-limit-increase for more information."
            ),
        ),
        (
            {"project_size_limit": 100},
            (
                "Project size too large. Limit for project 'widget' total size is 0 GB. See https://docs.pypi.org/"
                "project-management/storage-limits#requesting-a-project-size-limit-increase"
            ),
        ),
    ],
)
def test_too_much_is_refused(shared: tuple[Sandbox, Site], limits: dict[str, int], words: str) -> None:
    """Broken: an artifact beyond PyPI's limits would pass a rehearsal."""
    with started(Index({}, shared[0].trusted_root, **limits)) as site:  # type: ignore[arg-type]
        response = site.upload(GOOD, site.index.add_token())
        assert (response.status_code, response.reason_phrase) == (400, words)


def test_the_files_lie_in_the_directory_that_was_given(
    shared: tuple[Sandbox, Site], tmp_path_factory: pytest.TempPathFactory
) -> None:
    """Broken: a sandbox with a directory would keep its files elsewhere."""
    directory = tmp_path_factory.mktemp("ein Verzeichnis mit Umläuten")
    with started(Index({}, shared[0].trusted_root, directory=directory)) as site:
        assert site.upload(GOOD, site.index.add_token()).status_code == 200
        [file] = site.index.files("widget")
        path = site.index.path(file)
        assert path.is_relative_to(directory)
        assert path.read_bytes() == GOOD.content
        site.index.close()
        assert path.exists()


def test_a_temporary_directory_goes_with_the_index(shared: tuple[Sandbox, Site]) -> None:
    """Broken: every sandbox would leave its uploads behind."""
    index = Index({}, shared[0].trusted_root)
    with started(index) as site:
        assert site.upload(GOOD, index.add_token()).status_code == 200
        path = index.path(index.files("widget")[0])
    index.close()
    assert not path.exists()
