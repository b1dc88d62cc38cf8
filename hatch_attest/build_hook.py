"""The build hook `attest`: signs each wheel and sdist right after hatchling has finished it."""

from __future__ import annotations

import os
import sys
import traceback
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any, NoReturn, TypeVar

from hatchling.builders.hooks.plugin.interface import BuildHookInterface

from hatch_attest.artifacts import EXTENSIONS, Artifact, digest_file, kind_of, printable, read_artifact
from hatch_attest.errors import AttestError, SigningError
from hatch_attest.identity import identity_token, is_at_hand, why_not_at_hand
from hatch_attest.permission import Build, Permission, may_need_signing_libraries, may_sign
from hatch_attest.sidecars import (
    Predicate,
    check_place,
    claimed_subject,
    find_sidecars,
    remove_sidecar,
    sidecar_path,
    write_sidecar,
)

if TYPE_CHECKING:
    from collections.abc import Callable

    from hatch_attest.identity import Token
    from hatch_attest.options import HookOptions
    from hatch_attest.provenance import SignerIdentity
    from hatch_attest.trust import Trust
    from hatch_attest.verification import Verified

_T = TypeVar("_T")

SIGNING_EXTRA = "hatch-attest[sign]"
_SIGNING_MODULES = ("pypi_attestations", "sigstore", "id", "tenacity")
_LATER = "`hatch publish -p attest` signs it where an identity is at hand"


class Unsigned(Exception):  # noqa: N818 - it is an outcome, not an error
    """A reason for which an artifact is left unsigned under `auto`, and the build ends under `always`."""

    def __init__(self, reason: str, remedy: str) -> None:
        super().__init__(reason)
        self.reason = reason
        self.remedy = remedy


class AttestBuildHook(BuildHookInterface[Any]):
    """Signs what hatchling builds, where `hatch_attest.permission` lets it; it never changes an artifact."""

    PLUGIN_NAME = "attest"

    def dependencies(self) -> list[str]:
        """Ask for the signing libraries, only where a build may sign and has something to sign with."""
        if self.config.get("sign") == "never" or not may_need_signing_libraries(self._build("standard")):
            return []
        return [SIGNING_EXTRA]

    def clean(self, versions: list[str]) -> None:  # noqa: ARG002 - hatchling's interface
        """Remove those sidecars of this target whose artifact is gone.

        hatchling has removed the target's artifacts by then, where it removes any: not with `--hooks-only`, nor with
        `--clean-hooks-after`, which cleans right behind the signature. The other target's are its own business: when
        `hatch build -c` cleans for the wheel, the sdist is signed already.
        """
        extension = EXTENSIONS.get(self.target_name)  # type: ignore[call-overload] # any name may be a target's
        directory = Path(self.directory)
        if extension is None or not directory.is_dir():
            return
        for predicate in Predicate:
            for path in directory.glob(f"*{extension}{predicate.suffix}"):
                artifact = path.with_name(path.name.removesuffix(predicate.suffix))
                if not artifact.exists():
                    self._or_abort(remove_sidecar, path)

    def initialize(self, version: str, build_data: dict[str, Any]) -> None:
        """Check before anything is built what can be known by then: the configuration, and what `always` needs."""
        if not self._permission(version).granted:
            return
        options = self._or_abort(self._options)
        for override in options.overrides:
            self._info(f"{override.key} = {override.value!r} by {override.variable}")
        if options.sign == "never":
            return
        self._warn_of_replaced_table()
        self._warn_of_later_hooks(build_data)
        if options.sign == "always" and self.target_name in EXTENSIONS:
            try:
                self._check_means()
            except Unsigned as unsigned:
                self._refuse(unsigned, "what is built")

    def finalize(self, version: str, build_data: dict[str, Any], artifact_path: str) -> None:  # noqa: ARG002
        """Sign the finished artifact, or say in one line why it is not signed."""
        path = Path(artifact_path)
        self._or_abort(self._remove_stale, path)
        permission = self._permission(version)
        if not permission.granted:
            if not permission.quiet:
                self._info(f"{printable(path.name)} is not signed: {permission.reason}")
            return
        if kind_of(path.name) is None:
            self._info(f"{printable(path.name)} is not signed: it is neither a wheel nor an sdist")
            return
        options = self._or_abort(self._options)
        if options.sign == "never":
            self._info(f"{printable(path.name)} is not signed: sign = 'never'")
            return
        try:
            note = f"{printable(path.name)} itself is untouched; it has no sidecar"
            self._or_abort(self._sign, path, options, note=note)
        except Unsigned as unsigned:
            if options.sign == "always":
                self._refuse(unsigned, printable(path.name))
            self._warn(f"{printable(path.name)} is left unsigned: {unsigned.reason}; {unsigned.remedy}")

    # What is known of this build

    def _build(self, version: str) -> Build:
        try:
            project = self.metadata.core.name
        except Exception:  # noqa: BLE001 - hatchling raises what it likes for a project without a name that parses
            project = ""
        return Build(
            root=Path(self.root),
            project=project,
            version=version,
            environ=os.environ,
            by_pep517="hatchling.build" in sys.modules,  # the backend's interface; the command line has no use for it
            directory=Path(self.directory) if self.directory else None,
        )

    def _permission(self, version: str) -> Permission:
        return may_sign(self._build(version))

    def _options(self) -> HookOptions:
        from hatch_attest.options import parse_hook_options  # late, as in `_sign`

        return parse_hook_options(self.config, self._table_path(), os.environ)

    def _table_path(self) -> str:
        """Name the table that is really read: hatchling lets one of a target replace the global one, whole."""
        target = f"targets.{self.target_name}." if self._is_of_target() else ""
        in_hatch_toml = _defines_build(Path(self.root) / "hatch.toml")
        return f"{'build' if in_hatch_toml else 'tool.hatch.build'}.{target}hooks.{self.PLUGIN_NAME}"

    def _is_of_target(self) -> bool:
        return self.PLUGIN_NAME in self.build_config.target_config.get("hooks", {})

    # Signing

    def _check_means(self) -> None:
        """Check for what signing takes, without a request.

        Raises:
            Unsigned: no identity is at hand, or the libraries are absent.

        """
        # First: without an identity, dependencies() has not asked for the libraries.
        if not is_at_hand(os.environ):
            raise Unsigned(why_not_at_hand(os.environ), _LATER)
        absent = [module for module in _SIGNING_MODULES if find_spec(module) is None]
        if absent:
            reason = f"the signing libraries are absent ({', '.join(absent)})"
            raise Unsigned(reason, f"put dependencies = [{SIGNING_EXTRA!r}] into {self._table_path()}")

    def _sign(self, path: Path, options: HookOptions) -> None:
        self._check_means()
        # Late: a build that does not sign must not pay for these imports, and has not installed them.
        from hatch_attest.provenance import identity_of_claims
        from hatch_attest.signing import Signer
        from hatch_attest.trust import PUBLIC_INSTANCES, load_trust
        from hatch_attest.verification import Verifier

        artifact = read_artifact(path)
        sidecar = sidecar_path(path)
        check_place(sidecar)
        token = identity_token(os.environ)
        if token is None:  # pragma: no cover - _check_means saw one a moment ago
            raise Unsigned(why_not_at_hand(os.environ), _LATER)
        identity = identity_of_claims(token.claims)
        self._check_publisher(identity, options)
        if options.sigstore in PUBLIC_INSTANCES:  # known to be public without a request
            self._check_visibility(identity, options, f"of {options.sigstore}")
        trust = load_trust(options.sigstore, Path(self.root))
        if trust.public:
            self._check_visibility(identity, options, trust.log)
        for host in trust.token_hosts:
            self._info(f"the identity token goes to {host}, as {options.sigstore} says")
        attestation = Signer(trust, _once(token)).sign(artifact)
        verified = Verifier(trust).verify(attestation, artifact)
        write_sidecar(sidecar, attestation)
        if digest_file(path) != (artifact.digest, artifact.size):
            # Looked at last: whoever replaces the artifact after this removes its sidecar by himself.
            self._remove_stale(path)
            raise SigningError("artifact-changed", name=printable(artifact.name))
        self._say_signed(artifact, verified, trust, token)

    # Whom the certificate would name is checked before it is asked for: a log entry cannot be taken back.

    def _check_publisher(self, identity: SignerIdentity, options: HookOptions) -> None:
        publisher = options.publisher
        if publisher is not None and not identity.satisfies(publisher):
            raise Unsigned(
                f"the identity at hand is {identity}, and the publisher of this project is {publisher}",
                f"sign it there, or correct {self._table_path()}.publisher",
            )

    def _check_visibility(self, identity: SignerIdentity, options: HookOptions, log: str) -> None:
        if identity.private and not options.allow_public_log:
            raise Unsigned(
                f"{identity.repository} is {identity.visibility}, and its name would enter the public log {log}",
                f"if it may, set {self._table_path()}.allow-public-log = true",
            )

    def _say_signed(self, artifact: Artifact, verified: Verified, trust: Trust, token: Token) -> None:
        rehearsal = " (a rehearsal: the instance is on this machine)" if trust.loopback else ""
        self.app.display_success(
            f"attest: signed {printable(artifact.name)} as {verified.signer}, identity from {token.source}; "
            f"log {trust.log}, index {verified.log_index}{rehearsal}"
        )

    # Sidecars and hooks around

    def _remove_stale(self, path: Path) -> None:
        """Remove sidecars of the artifact just built that are about other bytes; nothing is kept that misleads."""
        sidecars = find_sidecars(path)
        if not sidecars or not path.is_file():
            return
        digest, _ = digest_file(path)
        for sidecar in sidecars.values():
            subject = claimed_subject(sidecar)
            if subject is None or subject.digest != digest:
                remove_sidecar(sidecar)
                self._info(f"removed {printable(sidecar.name)}: the artifact was built anew and is not what it signed")

    def _warn_of_later_hooks(self, build_data: dict[str, Any]) -> None:
        order = list(build_data.get("build_hooks", ()))
        later = order[order.index(self.PLUGIN_NAME) + 1 :] if self.PLUGIN_NAME in order else []
        if later:
            run = f"hooks {', '.join(later)} run" if len(later) > 1 else f"hook {later[0]} runs"
            self._warn(f"the build {run} after this one and could change what it signed; put `attest` last")

    def _warn_of_replaced_table(self) -> None:
        """Warn where a target's table hides keys of the global one: hatchling replaces it, whole."""
        everywhere = self.build_config.build_config.get("hooks", {}).get(self.PLUGIN_NAME, {})
        hidden = sorted(everywhere.keys() - self.config.keys()) if self._is_of_target() else []
        if hidden:
            self._warn(
                f"{self._table_path()} replaces hooks.{self.PLUGIN_NAME}, whole: {', '.join(hidden)} "
                f"{'do' if len(hidden) > 1 else 'does'} not hold for this target; say it there as well"
            )

    # Output

    def _info(self, message: str) -> None:
        self.app.display_info(f"attest: {message}")

    def _warn(self, message: str) -> None:
        self.app.display_warning(f"attest: {message}")

    def _refuse(self, unsigned: Unsigned, name: str) -> NoReturn:
        self.app.abort(f"attest: {name} cannot be signed, and sign = 'always': {unsigned.reason}; {unsigned.remedy}")
        raise AssertionError  # pragma: no cover - abort does not return

    def _or_abort(self, call: Callable[..., _T], *arguments: Any, note: str = "") -> _T:
        """Run ``call``; end the build by Hatch's `abort` where it fails, with the traceback under `-v` only."""
        try:
            return call(*arguments)
        except (Unsigned, KeyboardInterrupt):
            raise
        except AttestError as error:
            self._abort(str(error), note)
        except Exception as error:  # noqa: BLE001 - nobody's build ends in a traceback of ours
            kind = type(error).__name__
            self._abort(f"unexpected {kind}: {error}. Please report it, with the output of `hatch -v build`.", note)

    def _abort(self, message: str, note: str) -> NoReturn:
        self.app.display_debug(traceback.format_exc())
        self.app.abort("\n".join(f"attest: {line}" for line in (message, note) if line))
        raise AssertionError  # pragma: no cover - abort does not return


def _once(token: Token) -> Callable[[], Token]:
    """Serve the token that was checked first, then fresh ones: a certificate is renewed with a new token."""
    pending = [token]

    def new_token() -> Token:
        fresh = pending.pop() if pending else identity_token(os.environ)
        if fresh is None:  # pragma: no cover - the environment does not change within a build
            raise SigningError("signing-refused", cause=why_not_at_hand(os.environ), name="a certificate")
        return fresh

    return new_token


def _defines_build(path: Path) -> bool:
    """Whether a `hatch.toml` has a `build` table, which then replaces pyproject.toml's (hatchling's metadata/core)."""
    if not path.is_file():
        return False
    from hatchling.metadata.core import load_toml

    return "build" in load_toml(str(path))
