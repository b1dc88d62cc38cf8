"""Trusted Publishing at PyPI itself, whose real endpoints no test can reach: a transport that answers as told."""

from __future__ import annotations

import json
import time
from typing import TYPE_CHECKING, Any, cast

import pytest

from hatch_attest.errors import IndexFailure
from hatch_attest.identity import Token
from hatch_attest.index.endpoints import endpoints_of
from hatch_attest.index.exchange import Offer, find_offer, mint_token
from hatch_attest.index.transport import Answer

if TYPE_CHECKING:
    from hatch_attest.index.transport import Transport

PYPI, TEST_PYPI, OTHER = "https://upload.pypi.org/legacy/", "https://test.pypi.org/legacy/", "https://h.example/legacy/"
TOKEN = Token("a test", {"exp": 0}, "eyJ.eyJ.sig")


class Answers:
    """Answers each URL as told, and keeps what was asked."""

    def __init__(self, **answers: object) -> None:
        self.answers = {name.replace("_", "/"): answer for name, answer in answers.items()}
        self.asked: list[str] = []

    def get(self, url: str, accept: str) -> Answer:
        """Answer a GET."""
        del accept
        return self._answer(url)

    def post_json(self, url: str, document: dict[str, Any], accept: str) -> Answer:
        """Answer a POST."""
        del document, accept
        return self._answer(url)

    def _answer(self, url: str) -> Answer:
        self.asked.append(url)
        for end, answer in self.answers.items():
            if url.endswith(end):
                if isinstance(answer, Answer):
                    return answer
                return Answer(200, "OK", "application/json", json.dumps(answer).encode())
        return Answer(404, "Not Found", "text/html", b"")


def offer(url: str, answers: Answers) -> Offer | None:
    return find_offer(cast("Transport", answers), endpoints_of(url))


def mint(answers: Answers) -> Any:
    return mint_token(cast("Transport", answers), Offer("pypi", "https://pypi.org/_/oidc/mint-token"), TOKEN)


def test_pypi_is_asked_at_its_own_place_without_discovery() -> None:
    """PyPI serves no discovery; what answers there could be anybody's."""
    answers = Answers(audience={"audience": "pypi"})

    assert offer(PYPI, answers) == Offer("pypi", "https://pypi.org/_/oidc/mint-token")
    assert answers.asked == ["https://pypi.org/_/oidc/audience"]


@pytest.mark.parametrize(
    ("url", "audience"), [(PYPI, "testpypi"), (PYPI, "sigstore"), (TEST_PYPI, "pypi"), (PYPI, "pypi ")]
)
def test_pypi_and_testpypi_have_one_audience_each(url: str, audience: str) -> None:
    """A token that TestPyPI got for PyPI's audience could publish on PyPI."""
    with pytest.raises(IndexFailure) as caught:
        offer(url, Answers(audience={"audience": audience}))

    assert caught.value.code == "exchange-foreign-audience"


@pytest.mark.parametrize("audience", [None, 7, "", "  ", "a\nb", "x" * 300, ["pypi"]])
def test_what_is_no_audience_is_refused(audience: object) -> None:
    """It goes into a URL and into an environment variable's name."""
    with pytest.raises(IndexFailure) as caught:
        offer(PYPI, Answers(audience={"audience": audience}))

    assert caught.value.code == "exchange-no-audience"


@pytest.mark.parametrize("body", [b"<html>", b"[]", b'"text"'])
def test_an_index_that_answers_discovery_with_a_page_does_not_offer_it(body: bytes) -> None:
    """Many servers answer every path with their front page."""
    page = Answer(200, "OK", "text/html", body)

    assert offer(OTHER, Answers(**{"pytp?discover=%2Flegacy%2F": page})) is None


def test_a_broken_audience_endpoint_is_said_in_the_indexs_words() -> None:
    """PyPI switches Trusted Publishing off in an incident, and says so there."""
    off = Answer(403, "Forbidden", "application/json", b'{"message": "Trusted publishing functionality not enabled"}')
    with pytest.raises(IndexFailure, match="Trusted publishing functionality not enabled") as caught:
        offer(PYPI, Answers(audience=off))

    assert caught.value.code == "exchange-no-audience"


def test_an_upload_token_knows_its_end_and_does_not_show() -> None:
    """A token that shows up in a log is anybody's."""
    soon = mint(Answers(**{"mint-token": {"token": "pypi-secret", "expires": int(time.time()) + 60}}))
    later = mint(Answers(**{"mint-token": {"token": "pypi-secret", "expires": int(time.time()) + 900}}))
    unsaid = mint(Answers(**{"mint-token": {"token": "pypi-secret"}}))
    endless = mint(Answers(**{"mint-token": {"token": "pypi-secret", "expires": 1e18}}))

    assert [each.is_old() for each in (soon, later, unsaid, endless)] == [True, False, False, False]
    assert endless.expires_at < time.time() + 7 * 3600
    assert later.reveal() == "pypi-secret"
    assert "pypi-secret" not in repr(later)


def said(code: str) -> dict[str, object]:
    """PyPI's answer with one of its codes."""
    return {"message": "Token request failed", "errors": [{"code": code, "description": "why"}]}


@pytest.mark.parametrize(
    ("status", "document", "code", "words"),
    [
        (422, said("invalid-publisher"), "exchange-invalid-publisher", "invalid-publisher: why"),
        (422, said("invalid-pending-publisher"), "exchange-pending-publisher", "why"),
        (422, said("invalid-reuse-token"), "exchange-reused", "why"),
        (422, said("not-enabled"), "exchange-not-enabled", "why"),
        (422, said("new-code"), "exchange-refused", "new-code: why"),
        (403, {"message": "no"}, "exchange-refused", "no"),
        (403, [], "exchange-refused", "it answered 403 Reason"),
        (422, {"errors": "none"}, "exchange-refused", "it answered 422 Reason"),
        (307, {}, "exchange-refused", "it answered 307 Reason"),
    ],
)  # fmt: skip
def test_a_refused_exchange_is_explained(status: int, document: object, code: str, words: str) -> None:
    """PyPI's codes are translated, and its own words come along."""
    answer = Answer(status, "Reason", "application/json", json.dumps(document).encode())
    with pytest.raises(IndexFailure) as caught:
        mint(Answers(**{"mint-token": answer}))

    assert caught.value.code == code
    assert words in str(caught.value)


@pytest.mark.parametrize("document", [{}, {"token": ""}, {"token": 7}, {"token": "a\nb"}, [], "text"])
def test_an_answer_without_a_token_is_refused(document: object) -> None:
    """It would be sent as a header."""
    with pytest.raises(IndexFailure) as caught:
        mint(Answers(**{"mint-token": document}))

    assert caught.value.code == "exchange-malformed"
