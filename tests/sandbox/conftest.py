"""What the tests of the sandbox's services share."""

from __future__ import annotations

from typing import TYPE_CHECKING

import httpx
import pytest

from hatch_attest.sandbox import Sandbox
from tests.sandbox.services import Services

if TYPE_CHECKING:
    from collections.abc import Iterator


@pytest.fixture(scope="module")
def shared_sandbox(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Sandbox]:
    """One sandbox for the tests of a module that neither count its requests nor make faults."""
    with Sandbox(tmp_path_factory.mktemp("sandbox")) as sandbox:
        yield sandbox


@pytest.fixture
def services(sandbox: Sandbox) -> Iterator[Services]:
    """A client of a sandbox of the test's own."""
    with httpx.Client(trust_env=False, timeout=30) as client:
        yield Services(sandbox, client)


@pytest.fixture
def shared_services(shared_sandbox: Sandbox) -> Iterator[Services]:
    """A client of the module's sandbox."""
    with httpx.Client(trust_env=False, timeout=30) as client:
        yield Services(shared_sandbox, client)
