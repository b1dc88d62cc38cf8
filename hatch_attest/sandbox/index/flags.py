"""Switches of the index, named after PyPI's administrative flags (warehouse/admin/flags.py); tests turn them."""

from __future__ import annotations

from dataclasses import dataclass, field


@dataclass
class Flags:
    """All off by default."""

    #: No Trusted Publishing at all, or none of the services ("github", "gitlab", "google", "circleci").
    disallow_oidc: bool = False
    disallowed_services: set[str] = field(default_factory=set)
    #: Attestations in uploads are ignored, and none are served.
    disable_pep740: bool = False
    #: No uploads.
    read_only: bool = False
    disallow_new_upload: bool = False
