"""Signing: an artifact and an identity become an attestation, by Fulcio and Rekor v1, with time-outs and retries."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Any, TypeVar
from urllib.parse import urlsplit

from hatch_attest.errors import SigningError
from hatch_attest.retries import reason_of

if TYPE_CHECKING:
    from collections.abc import Callable

    import requests
    from pypi_attestations import Attestation
    from sigstore.sign import Signer as SigstoreSigner
    from sigstore.sign import SigningContext

    from hatch_attest.artifacts import Artifact
    from hatch_attest.identity import Token
    from hatch_attest.trust import Trust

_T = TypeVar("_T")

CONNECT_TIMEOUT = 10.0
READ_TIMEOUT = 30.0
RETRIES = 4
BACKOFF = 0.5  # seconds; doubled at each retry, with jitter
_SIGN_ATTEMPTS = 3
_PASSING_STATUSES = (429, 500, 502, 503, 504)


class Signer:
    """Signs artifacts one after the other with one certificate, and renews it when it expires.

    Args:
        trust: the Sigstore instance.
        new_token: gives an identity token; called for the first certificate and for each renewal, never before.

    """

    def __init__(self, trust: Trust, new_token: Callable[[], Token]) -> None:
        self._trust = trust
        self._new_token = new_token
        self._context: SigningContext | None = None
        self._signer: SigstoreSigner | None = None
        self._fulcio = urlsplit(trust.fulcio_url).netloc

    def sign(self, artifact: Artifact) -> Attestation:
        """Make the publish attestation of ``artifact`` (PEP 740): one certificate at most, one log entry.

        Raises:
            SigningError: Fulcio or Rekor refused, or cannot be reached; with their own words.
            IdentityError: no usable token.

        """
        from pypi_attestations import Attestation, AttestationError, Distribution
        from sigstore._internal.fulcio import ExpiredCertificate
        from sigstore.oidc import ExpiredIdentity

        distribution = Distribution(name=artifact.name, digest=artifact.digest)
        renew = False
        for attempt in range(_SIGN_ATTEMPTS):
            last = attempt == _SIGN_ATTEMPTS - 1
            signer = self._certified(renew=renew)
            try:
                return self._guarded(artifact.name, self._trust.log, partial(Attestation.sign, signer, distribution))
            except AttestationError as error:
                renew = isinstance(error.__context__, (ExpiredCertificate, ExpiredIdentity))
                if last or not renew:
                    raise SigningError("signing-refused", cause=str(error), name=artifact.name) from error
            except SigningError as error:
                # The log took the entry, its answer was lost, and the repeated request met the entry. A new signature
                # makes a new entry: always safe, where asking for the old one would trust what cannot be checked yet.
                renew = False
                if last or not _is_equal_entry(error):
                    raise
        raise AssertionError  # pragma: no cover - the last pass returns or raises

    def _certified(self, *, renew: bool) -> SigstoreSigner:
        """Return sigstore's signer with a certificate, asking Fulcio for one where there is none."""
        from sigstore.oidc import IdentityError as SigstoreIdentityError
        from sigstore.oidc import IdentityToken
        from sigstore.sign import Signer as SigstoreSigner

        if self._signer is None or renew:
            if self._context is None:
                self._context = _signing_context(self._trust)
            context = self._context
            token = self._new_token()
            try:
                identity = IdentityToken(token.reveal())
            except SigstoreIdentityError as error:
                raise SigningError("token-refused", cause=str(error), source=token.source) from error
            self._signer = self._guarded(
                "a certificate", self._fulcio, partial(SigstoreSigner, identity, context, cache=True)
            )
        return self._signer

    def _guarded(self, name: str, host: str, call: Callable[[], _T]) -> _T:
        """Run ``call``, which talks to ``host`` for ``name``, translating whatever sigstore lets through."""
        import requests
        from sigstore._internal.fulcio.client import FulcioClientError
        from sigstore._internal.rekor import RekorClientError
        from sigstore.errors import Error
        from sigstore.oidc import ExpiredIdentity

        try:
            return call()
        except FulcioClientError as error:
            raise SigningError("fulcio-refused", cause=_fulcio_words(error), host=host) from error
        except RekorClientError as error:
            raise SigningError("rekor-refused", cause=str(error), host=host, name=name) from error
        except requests.JSONDecodeError as error:
            raise SigningError("sigstore-no-json", cause=str(error), host=host) from error
        except requests.RequestException as error:
            raise SigningError("sigstore-unreachable", cause=reason_of(error), host=_host(error) or host) from error
        except ExpiredIdentity as error:
            raise SigningError("signing-refused", cause="the identity token has expired", name=name) from error
        except (Error, KeyError, TypeError) as error:
            raise SigningError("signing-refused", cause=str(error) or type(error).__name__, name=name) from error
        except ValueError as error:
            from pypi_attestations import AttestationError

            if isinstance(error, AttestationError):
                raise
            raise SigningError("signing-refused", cause=str(error).splitlines()[0], name=name) from error


def _signing_context(trust: Trust) -> SigningContext:
    """Build sigstore's context from its parts: no timestamp authority, every request with time-out and retries.

    `SigningContext.from_trust_config` would call every timestamp authority that the instance names, and PEP 740 has no
    place for their answers.
    """
    from sigstore._internal.fulcio import FulcioClient
    from sigstore._internal.rekor.client import RekorClient
    from sigstore.sign import SigningContext

    class Rekor(RekorClient):
        """Rekor's client with a session of ours in each thread."""

        @property
        def _session(self) -> requests.Session:
            fresh = not hasattr(self._thread_local, "session")
            session = super()._session
            return _harden(session) if fresh else session

    fulcio = FulcioClient(trust.fulcio_url)
    _harden(fulcio.session)
    return SigningContext(fulcio=fulcio, rekor=Rekor(trust.rekor_url), trusted_root=trust.trusted_root)


def _harden(session: requests.Session) -> requests.Session:
    """Give a session of sigstore's time-outs, bounded retries and no surprises."""
    from requests.adapters import HTTPAdapter
    from urllib3.util.retry import Retry

    class Adapter(HTTPAdapter):
        """An adapter with a time-out where the caller names none; sigstore never does."""

        def send(self, request: Any, *args: Any, **kwargs: Any) -> requests.Response:
            kwargs["timeout"] = kwargs.get("timeout") or (CONNECT_TIMEOUT, READ_TIMEOUT)
            return super().send(request, *args, **kwargs)

    # POST as well: a second certificate is harmless, and so is a second entry in the log.
    retry = Retry(
        total=RETRIES,
        status_forcelist=_PASSING_STATUSES,
        allowed_methods=None,
        backoff_factor=BACKOFF,
        backoff_jitter=BACKOFF,
        raise_on_status=False,
    )
    for scheme in ("https://", "http://"):
        session.mount(scheme, Adapter(max_retries=retry))
    session.max_redirects = 0
    session.auth = _keep_authorization  # without one, requests takes a host's password from .netrc instead
    return session


def _keep_authorization(request: requests.PreparedRequest) -> requests.PreparedRequest:
    return request


def _fulcio_words(error: BaseException) -> str:
    """Fulcio's own reason: sigstore loses it, because a response of the 400s is false."""
    response = getattr(error.__cause__, "response", None)
    if response is None:
        return str(error) or "no reason given"
    try:
        words = str(response.json()["message"])
        return f"{response.status_code}: {' '.join(words.split())}"  # some of them come in several lines
    except (ValueError, KeyError, TypeError):
        return f"{response.status_code} {response.reason}"


def _is_equal_entry(error: SigningError) -> bool:
    """Whether Rekor said 409, by the status that sigstore puts before its words."""
    return error.code == "rekor-refused" and str(error.cause).startswith("409")


def _host(error: requests.RequestException) -> str:
    return urlsplit(str(error.request.url)).netloc if error.request is not None else ""
