"""The publisher `attest` for `hatch publish -p attest`: Hatch's flags and tables in, the gate's report out."""

from __future__ import annotations

import os
import traceback
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any, NoReturn

from hatch.publish.plugin.interface import PublisherInterface

from hatch_attest.errors import AttestError, redact
from hatch_attest.project import hook_options
from hatch_attest.publish_options import Flag, PublishOptions, parse_publish_options
from hatch_attest.report import Report, show, write_json, write_summary

if TYPE_CHECKING:
    from collections.abc import Mapping

    from rich.console import RenderableType

    from hatch_attest.gate.release import Release
    from hatch_attest.index.credentials import Ask

# Hatch's own parameters of `hatch publish`, and the variable of each (hatch.config.constants.PublishEnvVars).
_PARAMETERS = {
    "repo": "HATCH_INDEX_REPO",
    "user": "HATCH_INDEX_USER",
    "auth": "HATCH_INDEX_AUTH",
    "ca_cert": "HATCH_INDEX_CA_CERT",
    "client_cert": "HATCH_INDEX_CLIENT_CERT",
    "client_key": "HATCH_INDEX_CLIENT_KEY",
}
_MODULES = ("id", "pypi_attestations", "sigstore", "tenacity", "twine")
# What Hatch puts among a publisher's options by itself.
_HATCH_OPTIONS = ("no_prompt", "initialize_auth")


class AttestPublisher(PublisherInterface):
    """Uploads wheels and sdists together with their attestations, when everything is proven and not before."""

    PLUGIN_NAME = "attest"

    def publish(self, artifacts: list[str], options: dict[str, Any]) -> None:
        """Publish ``artifacts`` (files, directories, patterns; the default is ``dist``)."""
        report = Report("publish")
        # Whoever reads reports wants one of a misconfigured run as well.
        publish_options = PublishOptions(json=options.get("json") or None)
        try:
            _check_installed()
            publish_options = self._options(options)
            if options.get("initialize_auth"):
                self.app.display_warning("attest: warning: --initialize-auth saves nothing here; use `keyring set`")
            release = self._release(artifacts, publish_options, no_prompt=bool(options.get("no_prompt")))
            report = release.report
            release.run()
            self._report(report, publish_options)
        except AttestError as error:
            report.fail(error)
            self._abort(str(error), report, publish_options)
        except Exception as error:  # noqa: BLE001 - nobody's release ends in a traceback
            wrapped = AttestError("unexpected", cause=str(error) or None, kind=type(error).__name__)
            report.fail(wrapped)
            self._abort(str(wrapped), report, publish_options)

    def _options(self, options: Mapping[str, Any]) -> PublishOptions:
        given = {key: value for key, value in options.items() if key not in _HATCH_OPTIONS}
        return parse_publish_options(_flags(), given, self.project_config, self.plugin_config)

    def _release(self, artifacts: list[str], options: PublishOptions, *, no_prompt: bool) -> Release:
        from hatch_attest.gate.release import Release
        from hatch_attest.gate.request import Request

        root = Path(self.root)
        request = Request(
            root=root,
            arguments=artifacts,
            options=options,
            hook=hook_options(root, os.environ),
            hatch_index=self.app.config.publish.get("index", {}),
            pypirc=Path.home() / ".pypirc",
            environ=os.environ,
            ask=None if no_prompt else self._ask(),
        )
        for override in request.hook.overrides:
            if override.key == "sign":
                continue  # the build's business
            self.app.display_info(f"attest: {override.key} = {override.value!r} by {override.variable}")
        return Release(request, _HatchDisplay(self.app))

    def _ask(self) -> Ask:
        def ask(question: str, secret: bool) -> str:  # noqa: FBT001 - as the index asks
            return str(self.app.prompt(question, hide_input=secret, default="", show_default=False))

        return ask

    def _report(self, report: Report, options: PublishOptions) -> None:
        display = _HatchDisplay(self.app)
        show(report, display)
        write_summary(report, os.environ)
        if options.json is not None:
            write_json(report, Path(self.root) / options.json)
        if report.outcome == "ok":
            display.success(report.counts())

    def _abort(self, message: str, report: Report, options: PublishOptions) -> NoReturn:
        """End through Hatch, with the report of how far it got, and the traceback under `-v` only."""
        details = redact(traceback.format_exc())
        try:
            self._report(report, options)
        except AttestError as error:
            message = f"{message}\n{error}"
        self.app.display_debug(details)
        self.app.abort(f"attest: {message}")
        raise AssertionError  # pragma: no cover - abort does not return


def _check_installed() -> None:
    """Check for what the extra `publish` brings.

    Raises:
        AttestError: something of it is absent.

    """
    absent = [name for name in _MODULES if find_spec(name) is None]
    if absent:
        raise AttestError("not-installed", names=", ".join(absent))


class _HatchDisplay:
    """Hatch's application as the gate's display."""

    def __init__(self, app: Any) -> None:
        self._app = app

    @property
    def is_terminal(self) -> bool:
        return bool(self._app.console.is_terminal)

    def show(self, renderable: RenderableType) -> None:
        if self._app.verbosity >= 0:
            self._app.console.print(renderable)

    def info(self, text: str) -> None:
        self._app.display_info(f"attest: {text}")

    def success(self, text: str) -> None:
        self._app.display_success(f"attest: {text}")

    def warning(self, text: str) -> None:
        self._app.display_warning(f"attest: warning: {text}")


def _flags() -> dict[str, Flag]:
    """Read Hatch's own flags from click's context: Hatch hands them to its own publisher only."""
    import click

    context = click.get_current_context(silent=True)
    if context is None or not set(_PARAMETERS) <= context.params.keys():
        return {}
    flags = {}
    for parameter, variable in _PARAMETERS.items():
        value = context.params[parameter]
        if value:
            source = context.get_parameter_source(parameter)
            by_variable = source is not None and source.name == "ENVIRONMENT"
            flags[parameter.replace("_", "-")] = Flag(value, variable if by_variable else "")
    return flags
