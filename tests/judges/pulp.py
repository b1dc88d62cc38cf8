"""Pulp as a real package index on loopback: a fresh database for each session, from a template in the cache folder."""

from __future__ import annotations

import base64
import os
import pwd
import shutil
import subprocess
import tarfile
import tempfile
import time
from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING, Any

import requests

from tests.judges import installs
from tests.judges.real_sigstore import free_ports
from tests.judges.verifiers import as_production

if TYPE_CHECKING:
    from typing_extensions import Self

    from tests.judges.real_sigstore import RealSigstore

REQUIREMENTS = ("pulpcore==3.123.1", "pulp-python==3.36.4")
USER, PASSWORD = "admin", "judges"
POSTGRES_OPTIONS = "-c listen_addresses='' -c fsync=off -c synchronous_commit=off -c full_page_writes=off"


def environment() -> Path:
    """Return the virtual environment that holds Pulp."""
    return installs.python_environment("pulp", *REQUIREMENTS)


def template(pulp: Path) -> Path:
    """Return the archive of a database with Pulp's tables and its administrator in it."""

    def install(folder: Path) -> None:
        with Postgres() as postgres:
            settings = write_settings(postgres.directory, postgres.directory)
            manager = pulp / "bin" / "pulpcore-manager"
            installs.run(manager, "migrate", "--noinput", env=settings)
            installs.run(manager, "reset-admin-password", "--password", PASSWORD, env=settings)
            postgres.stop()
            with tarfile.open(folder / "data.tar", "w") as archive:
                archive.add(postgres.data, "data")

    return installs.installed("pulp-database", "\n".join(REQUIREMENTS), install) / "data.tar"


class Postgres:
    """A PostgreSQL server on a Unix socket of its own, on a new database or on a copy of `archive`."""

    def __init__(self, archive: Path | None = None) -> None:
        self._archive = archive
        self._bin = _postgres_programs()
        self._stack = ExitStack()
        # It refuses to run as root; Debian's package brings a user for it.
        self.user = "postgres" if os.geteuid() == 0 else pwd.getpwuid(os.geteuid()).pw_name

    def __enter__(self) -> Self:
        with ExitStack() as stack:
            # Not below the cache folder or pytest's, which may be root's alone; and a socket's path must be short.
            self.directory = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="pulp-")))
            shutil.chown(self.directory, self.user)
            self.directory.chmod(0o755)
            self.data = self.directory / "data"
            if self._archive:
                with tarfile.open(self._archive) as archive:
                    archive.extractall(self.directory, filter="tar")
            else:
                self._run("initdb", "--auth=trust", "--username=pulp", "--encoding=UTF8", "--no-sync")
            self._run("pg_ctl", "start", "--wait", "--log", self.directory / "log", "--options", self._options())
            stack.callback(self.stop)
            if not self._archive:
                command = (self._bin / "createdb", "--host", self.directory, "--username=pulp", "pulp")
                installs.run(*command)
            self._stack = stack.pop_all()
        return self

    def __exit__(self, *_: object) -> None:
        self._stack.close()

    def stop(self) -> None:
        """Stop the server, if it runs."""
        if (self.data / "postmaster.pid").exists():
            self._run("pg_ctl", "stop", "--wait", "--mode=fast")

    def _options(self) -> str:
        return f"{POSTGRES_OPTIONS} -c unix_socket_directories={self.directory}"

    def _run(self, program: str, *arguments: str | Path) -> None:
        subprocess.run(
            [str(self._bin / program), *map(str, arguments)],
            cwd=self.directory,
            env={"PGDATA": str(self.data), "PATH": os.defpath, "LC_ALL": "C"},
            user=self.user if os.geteuid() == 0 else None,
            stdout=subprocess.DEVNULL,
            timeout=120,
            check=True,
        )


class Pulp:
    """Pulp's API, content server and worker, trusting the root of `real`; start them with a ``with`` block."""

    def __init__(self, venv: Path, archive: Path, real: RealSigstore, directory: Path) -> None:
        self._venv, self._archive, self._real, self.directory = venv, archive, real, directory
        self.processes: dict[str, subprocess.Popen[bytes]] = {}
        self._stack = ExitStack()

    def __enter__(self) -> Self:
        with ExitStack() as stack:
            postgres = stack.enter_context(Postgres(self._archive))
            api, content = free_ports(2)
            self.url = f"http://127.0.0.1:{api}"
            env = write_settings(self.directory, postgres.directory, api, content) | as_production(self._real.directory)
            stack.callback(self._stop)
            self._start("worker", env)
            self._start("content", env, "--bind", f"127.0.0.1:{content}")
            self._start("api", env, "--bind", f"127.0.0.1:{api}")
            self._wait()
            self._stack = stack.pop_all()
        return self

    def __exit__(self, *_: object) -> None:
        self._stack.close()

    def index(self, name: str) -> PulpIndex:
        """Make a new index."""
        repository = self.api("POST", "/repositories/python/python/", name=name)["pulp_href"]
        task = self.api("POST", "/distributions/python/pypi/", name=name, base_path=name, repository=repository)
        self.wait_for(task["task"])
        return PulpIndex(self, name)

    def api(self, method: str, path: str, **fields: Any) -> dict[str, Any]:
        """Call Pulp's own API; `path` follows its prefix unless it has it already."""
        prefix = "/pulp/api/v3"
        url = self.url + (path if path.startswith(prefix) else prefix + path)
        answer = requests.request(method, url, json=fields or None, auth=(USER, PASSWORD), timeout=60)
        answer.raise_for_status()
        body: dict[str, Any] = answer.json() if answer.content else {}
        return body

    def wait_for(self, task: str) -> dict[str, Any]:
        """Wait for a task's end; return it, failed or not."""
        while (state := self.api("GET", task))["state"] in ("waiting", "running"):
            time.sleep(0.05)
        return state

    def failed_tasks(self) -> list[str]:
        """Wait until no task is left; return why tasks failed, and forget them."""
        while self.api("GET", "/tasks/?state__in=waiting,running")["count"]:
            time.sleep(0.05)
        failed = self.api("GET", "/tasks/?state=failed&ordering=pulp_created")["results"]
        for task in failed:
            self.api("DELETE", task["pulp_href"])
        return [str(task["error"]["description"]) for task in failed]

    def _start(self, name: str, env: dict[str, str], *arguments: str) -> None:
        with (self.directory / f"{name}.log").open("wb") as log:
            self.processes[name] = subprocess.Popen(
                [str(self._venv / "bin" / f"pulpcore-{name}"), *arguments],
                cwd=self.directory,
                env={**os.environ, **env},
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
            )

    def _wait(self) -> None:
        deadline = time.monotonic() + 120
        while True:
            try:
                status = requests.get(f"{self.url}/pulp/api/v3/status/", timeout=10).json()
                if status["online_workers"] and status["online_content_apps"]:
                    return
            except (requests.RequestException, KeyError):
                pass
            dead = [name for name, process in self.processes.items() if process.poll() is not None]
            if dead or time.monotonic() > deadline:
                logs = "\n".join((self.directory / f"{name}.log").read_text()[-2000:] for name in self.processes)
                raise RuntimeError(f"Pulp does not serve:\n{logs}")
            time.sleep(0.1)

    def _stop(self) -> None:
        for process in self.processes.values():
            process.kill()  # what it was doing is of no use any more: the database goes as well
            process.wait()


class PulpIndex:
    """One index of Pulp's, with the addresses that clients use."""

    def __init__(self, pulp: Pulp, name: str) -> None:
        self.pulp = pulp
        self.upload_url = f"{pulp.url}/pypi/{name}/legacy/"
        self.simple_url = f"{pulp.url}/pypi/{name}/simple/"
        self._integrity_url = f"{pulp.url}/pypi/{name}/integrity"

    def provenance(self, project: str, version: str, file: str) -> dict[str, Any]:
        """Fetch the provenance of a file."""
        answer = requests.get(f"{self._integrity_url}/{project}/{version}/{file}/provenance/", timeout=60)
        answer.raise_for_status()
        provenance: dict[str, Any] = answer.json()
        return provenance

    def files(self, project: str) -> dict[str, dict[str, Any]]:
        """Fetch the files of a project as the Simple API lists them, by name; none where the project is unknown."""
        accept = {"Accept": "application/vnd.pypi.simple.v1+json"}
        answer = requests.get(f"{self.simple_url}{project}/", headers=accept, timeout=60)
        return {file["filename"]: file for file in answer.json()["files"]} if answer.ok else {}


def write_settings(directory: Path, database: Path, api: int = 0, content: int = 0) -> dict[str, str]:
    """Write Pulp's settings to `directory`; return the environment that names them."""
    for folder in ("media", "working", "uploads", "static"):
        (directory / folder).mkdir(exist_ok=True)
    key = directory / "encryption.key"
    key.write_bytes(base64.urlsafe_b64encode(os.urandom(32)))
    settings = directory / "settings.py"
    settings.write_text(
        f"""
SECRET_KEY = {os.urandom(32).hex()!r}
DB_ENCRYPTION_KEY = {str(key)!r}
DATABASES = {{"default": {{"ENGINE": "django.db.backends.postgresql", "NAME": "pulp", "USER": "pulp",
                           "HOST": {str(database)!r}}}}}
DEPLOY_ROOT = {str(directory)!r}
MEDIA_ROOT = {str(directory / "media")!r}
WORKING_DIRECTORY = {str(directory / "working")!r}
FILE_UPLOAD_TEMP_DIR = {str(directory / "uploads")!r}
STATIC_ROOT = {str(directory / "static")!r}
CONTENT_ORIGIN = "http://127.0.0.1:{content}"
PYPI_API_HOSTNAME = "http://127.0.0.1:{api}"
CACHE_ENABLED = False
ANALYTICS = False
""",
        encoding="utf-8",
    )
    return {"PULP_SETTINGS": str(settings), "PYTHONDONTWRITEBYTECODE": "1"}


def _postgres_programs() -> Path:
    """Return the folder of PostgreSQL's programs; they come from Debian's package where they are missing."""
    debian = "/usr/lib/postgresql"
    missing = not (shutil.which("initdb") or Path(debian).exists())
    if missing and os.geteuid() == 0 and shutil.which("apt-get"):
        env = {"DEBIAN_FRONTEND": "noninteractive"}
        installs.run("apt-get", "update", "--quiet", env=env)
        installs.run("apt-get", "install", "--quiet", "--yes", "--no-install-recommends", "postgresql", env=env)
    places = sorted(Path(debian).glob("*/bin"))
    return installs.tool("initdb", "Pulp needs PostgreSQL", *places).resolve().parent
