"""Registration with Hatch and hatchling, and nothing else; each host's classes are imported when that host asks."""

from __future__ import annotations

from typing import TYPE_CHECKING

from hatchling.plugin import hookimpl

if TYPE_CHECKING:
    from hatch_attest.build_hook import AttestBuildHook
    from hatch_attest.publisher import AttestPublisher


@hookimpl
def hatch_register_build_hook() -> type[AttestBuildHook]:
    """Register the build hook `attest` with hatchling."""
    from hatch_attest.build_hook import AttestBuildHook

    return AttestBuildHook


@hookimpl
def hatch_register_publisher() -> type[AttestPublisher]:
    """Register the publisher `attest` with Hatch; hatchling, which knows no publishers, never calls this."""
    from hatch_attest.publisher import AttestPublisher

    return AttestPublisher
