"""Repositories and credentials: Hatch's config, `.pypirc`, the keyring and the prompt, in their order."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import keyring
import pytest
from keyring.backend import KeyringBackend
from keyring.credentials import SimpleCredential

from hatch_attest.errors import ConfigurationError, IndexFailure
from hatch_attest.index.credentials import asked_credentials, given_credentials, stored_credentials
from hatch_attest.index.endpoints import PYPI_UPLOAD, TEST_PYPI_UPLOAD
from hatch_attest.index.repositories import Login, Repository, find_repository

if TYPE_CHECKING:
    from collections.abc import Iterator

URL = "https://corp.example/legacy/"
PYPIRC = """
[distutils]
index-servers =
    pypi
    corp

[pypi]
username = __token__
password = pypi-secret

[corp]
repository = https://corp.example/legacy/
username = me
password = hunter2%
"""


@pytest.fixture
def pypirc(tmp_path: Path) -> Path:
    """A `.pypirc` with PyPI and one more."""
    path = tmp_path / ".pypirc"
    path.write_text(PYPIRC, encoding="utf-8")
    return path


def find(name: str, pypirc: Path, **hatch_index: Any) -> Repository:
    return find_repository(name, may_be_url=True, hatch_index=hatch_index, pypirc=pypirc)


@pytest.mark.parametrize(
    ("name", "url"),
    [("main", PYPI_UPLOAD), ("pypi", PYPI_UPLOAD), ("test", TEST_PYPI_UPLOAD), ("testpypi", TEST_PYPI_UPLOAD)],
)
def test_pypi_has_hatchs_names_and_twines(name: str, url: str, pypirc: Path) -> None:
    """Nobody's configuration can point these names elsewhere, as with Hatch's own publisher."""
    assert (
        find(name, pypirc, repos={"main": "https://evil.example/", "test": {"url": "https://evil.example/"}}).url == url
    )


def test_hatchs_repositories_inherit_what_stands_above_them(tmp_path: Path) -> None:
    """As Hatch's own publisher reads them."""
    repository = find(
        "corp", tmp_path / "none", repos={"corp": {"url": URL, "user": "me"}}, auth="hunter2", **{"ca-cert": "ca.pem"}
    )

    assert (repository.url, repository.certificates.ca) == (URL, "ca.pem")
    assert repository.logins == (Login("Hatch's config", "me", "hunter2"),)
    assert "hunter2" not in repr(repository)


def test_hatchs_repository_may_be_a_url_alone(tmp_path: Path) -> None:
    """The short form of Hatch's config."""
    assert find("corp", tmp_path / "none", repos={"corp": URL}).url == URL


def test_pypirc_names_repositories_and_passwords(pypirc: Path) -> None:
    """A percent sign in a password is no interpolation."""
    assert find("corp", pypirc).logins == (Login(".pypirc, [corp]", "me", "hunter2%"),)
    assert find("main", pypirc).logins == (Login(".pypirc, [pypi]", "__token__", "pypi-secret"),)
    assert find(URL.rstrip("/"), pypirc).logins == (Login(".pypirc, [corp]", "me", "hunter2%"),)
    assert find("test", pypirc).logins == ()


def test_a_section_about_another_url_gives_no_password(pypirc: Path) -> None:
    """Two configurations with one name must not send one's secret to the other's host."""
    assert find("corp", pypirc, repos={"corp": "https://other.example/legacy/"}).logins == ()


@pytest.mark.parametrize(
    ("name", "hatch_index", "problem"),
    [
        (
            "crop",
            {"repos": {"corp": URL}},
            "there is no repository 'crop' (did you mean 'corp'?); known are main, test",
        ),
        ("corp", {"repos": {"corp": 7}}, "publish.index.repos.corp: must be a URL or a table"),
        ("corp", {"repos": {"corp": {}}}, "publish.index.repos.corp.url: missing"),
        ("corp", {"repos": []}, "publish.index.repos: must be a table"),
    ],
)
def test_a_repository_that_is_none_is_explained(
    name: str, hatch_index: dict[str, Any], problem: str, tmp_path: Path
) -> None:
    """With what is known, and the nearest of it."""
    with pytest.raises(ConfigurationError) as caught:
        find(name, tmp_path / "none", **hatch_index)

    assert problem in str(caught.value)


def test_a_url_from_the_wrong_place_is_refused(tmp_path: Path) -> None:
    """Hatch's table may name a repository, a person's own flag a URL."""
    with pytest.raises(ConfigurationError, match="is a URL"):
        find_repository(URL, may_be_url=False, hatch_index={}, pypirc=tmp_path / "none")


def test_a_broken_pypirc_does_not_show_its_passwords(tmp_path: Path) -> None:
    """Configparser's error quotes the line."""
    path = tmp_path / ".pypirc"
    path.write_text("password = hunter2\n", encoding="utf-8")
    with pytest.raises(ConfigurationError) as caught:
        find("main", path)

    assert "hunter2" not in str(caught.value)
    assert caught.value.__cause__ is None
    assert ".pypirc" in str(caught.value)


class Keyring(KeyringBackend):
    """A keyring with what a test puts in."""

    priority = 1

    def __init__(self, entries: dict[tuple[str, str], str], *, broken: bool = False) -> None:
        super().__init__()  # type: ignore[no-untyped-call] # keyring's
        self._entries = entries
        self._broken = broken

    def get_password(self, service: str, username: str) -> str | None:
        """Return a password."""
        if self._broken:
            raise RuntimeError("locked")
        return self._entries.get((service, username))

    def set_password(self, service: str, username: str, password: str) -> None:
        """Keep a password."""
        self._entries[service, username] = password

    def get_credential(self, service: str, username: str | None) -> SimpleCredential | None:
        """Return a user with a password, where one is known without asking for a name."""
        if self._broken:
            raise RuntimeError("locked")
        user = username or "me"
        password = self._entries.get((service, user))
        return SimpleCredential(user, password) if password else None


@pytest.fixture
def use_keyring() -> Iterator[Any]:
    """Set this process's keyring, and set it back."""
    before = keyring.get_keyring()
    yield keyring.set_keyring
    keyring.set_keyring(before)


NOBODY = Repository("corp", URL)


CONFIG = Login("config", "me", "cfg-secret")
CONFIG_USER = Login("config", "me")
PYPIRC_LOGIN = Login("pypirc", "me", "rc-secret")
ME, YOU, TOKEN = (URL, "me"), (URL, "you"), (URL, "__token__")


@pytest.mark.parametrize(
    ("logins", "user", "entries", "expected"),
    [
        pytest.param((), None, {}, None, id="nothing"),
        pytest.param((), None, {ME: "key-secret"}, ("me", "key-secret", "keyring"), id="keyring knows the user"),
        pytest.param((), None, {TOKEN: "key-secret"}, ("__token__", "key-secret", "keyring"), id="a token in it"),
        pytest.param((), "you", {YOU: "key-secret"}, ("you", "key-secret", "keyring"), id="the user was given"),
        pytest.param((), "you", {ME: "key-secret"}, None, id="only the given user's secret will do"),
        pytest.param(
            (CONFIG, PYPIRC_LOGIN), None, {ME: "key-secret"}, ("me", "cfg-secret", "config"), id="Hatch's config first"
        ),
        pytest.param(
            (CONFIG_USER, PYPIRC_LOGIN),
            None,
            {ME: "key-secret"},
            ("me", "key-secret", "keyring"),
            id="user, then keyring",
        ),
        pytest.param((CONFIG_USER, PYPIRC_LOGIN), None, {}, ("me", "rc-secret", "pypirc"), id="user, then .pypirc"),
        pytest.param(
            (Login("config", None, "cfg-secret"),), None, {}, ("__token__", "cfg-secret", "config"), id="a token alone"
        ),
        pytest.param((CONFIG,), "you", {}, None, id="another user's secret is not used"),
    ],
)
def test_stored_credentials_come_in_their_order(
    logins: tuple[Login, ...],
    user: str | None,
    entries: dict[tuple[str, str], str],
    expected: tuple[str, str, str] | None,
    use_keyring: Any,
) -> None:
    """Whoever uploads must know which secret goes out."""
    use_keyring(Keyring(entries))
    found = stored_credentials(Repository("corp", URL, logins), user)

    assert (found and (found.user, found.reveal(), found.place)) == expected
    assert "secret" not in repr(found)


def test_a_locked_keyring_is_as_good_as_none(use_keyring: Any) -> None:
    """The next place is tried, as twine does."""
    use_keyring(Keyring({}, broken=True))

    assert stored_credentials(NOBODY, None) is None
    assert stored_credentials(NOBODY, "me") is None


def test_a_person_is_asked_for_what_is_missing() -> None:
    """The user's name may be known, the secret is never shown."""
    asked: list[tuple[str, bool]] = []

    def ask(question: str, secret: bool) -> str:
        asked.append((question, secret))
        return "" if "Username" in question else "hunter2"

    first = asked_credentials(NOBODY, None, ask)
    second = asked_credentials(Repository("corp", URL, (Login("config", "me"),)), None, ask)

    assert (first.user, first.reveal(), first.is_api_token) == ("__token__", "hunter2", True)
    assert (second.user, second.place) == ("me", "prompt")
    assert asked == [
        (f"Username for '{URL}' [__token__]", False),
        ("Password / Token", True),
        ("Password / Token", True),
    ]


@pytest.mark.parametrize("ask", [None, lambda _question, _secret: ""])
def test_without_an_answer_there_are_no_credentials(ask: Any) -> None:
    """`--no-prompt` means that nobody is asked; an empty answer is none."""
    with pytest.raises(IndexFailure) as caught:
        asked_credentials(NOBODY, None, ask)

    assert caught.value.code == "credentials-missing"


def test_given_credentials_need_a_secret() -> None:
    """A user alone is not enough; a token alone is."""
    assert given_credentials("me", None) is None
    assert given_credentials(None, "pypi-x") is not None
