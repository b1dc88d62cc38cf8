"""Situations of options, repositories and credentials, none of which reaches a network before it is refused."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tests.sandbox.index_support import sdist, wheel
from tests.situations.artifacts import signed_release
from tests.situations.situations import accepted, refused

if TYPE_CHECKING:
    from tests.publishing import Job


def without_repo(job: Job) -> None:
    """Leave the repository to flags and tables."""
    job.play(job.sandbox.environment, without=("HATCH_INDEX_REPO",))


@refused("an unknown option", "configuration", "-o sing-missing: unknown option (did you mean 'sign-missing'?)")
def _(job: Job) -> list[str]:
    signed_release(job)
    return ["-o", "sing-missing=false"]


@refused(
    "several mistakes in the tables, all said at once",
    "configuration",
    "4 problems",
    "tool.hatch.publish.attest.atestations: unknown key (did you mean 'attestations'?)",
    "tool.hatch.publish.attest.dry-run: must be true or false, not 'yes'",
    "tool.hatch.publish.attest.sigstore: unknown key (it belongs into the build hook's table",
    "publish.attest.user: must be a string",
)
def _(job: Job) -> None:
    signed_release(job)
    job.configure(publish='atestations = "always"\ndry-run = "yes"\nsigstore = "staging"')
    job.configure_hatch("[publish.attest]\nuser = 3")


@refused("a flag and an `-o` disagree", "configuration", "-o repo: disagrees with the flag --repo")
def _(job: Job) -> list[str]:
    signed_release(job)
    return ["--repo", "test", "-o", "repo=main"]


@refused("the project's table names a URL to upload to", "configuration", "must be the name of a repository")
def _(job: Job) -> None:
    signed_release(job)
    without_repo(job)
    job.configure(publish=f'repo = "{job.sandbox.index.upload_url}"')


@refused("the project's table holds a secret", "configuration", "a secret does not belong")
def _(job: Job) -> None:
    signed_release(job)
    job.configure(publish='auth = "hunter2"')


@refused("an unknown repository", "configuration", "there is no repository 'prod'", "known are main, test, corp")
def _(job: Job) -> list[str]:
    signed_release(job)
    job.configure_hatch('[publish.index.repos]\ncorp = "https://127.0.0.1:9/legacy/"')
    return ["--repo", "prod"]


@refused("the upload URL holds a password", "index-url-credentials", "Take them out")
def _(job: Job) -> list[str]:
    signed_release(job)
    return ["--repo", "https://user:hunter2@127.0.0.1:9/legacy/"]


@refused("plain http to another machine", "index-plain-http")
def _(job: Job) -> list[str]:
    signed_release(job)
    return ["--repo", "http://index.example.org/legacy/"]


@refused("PyPI's page in place of its upload URL", "index-url-pypi", "https://upload.pypi.org/legacy/")
def _(job: Job) -> list[str]:
    signed_release(job)
    return ["--repo", "https://pypi.org/legacy/"]


@refused("a rehearsal's attestations for PyPI", "trust-not-production", "sigstore = 'production'")
def _(job: Job) -> list[str]:
    signed_release(job)
    return ["--repo", "main"]


@refused("a rehearsal's attestations for TestPyPI", "trust-not-production", "test.pypi.org")
def _(job: Job) -> list[str]:
    signed_release(job)
    return ["--repo", "test"]


@refused("a rehearsal's attestations for an index elsewhere", "trust-loopback", "index.example.org")
def _(job: Job) -> list[str]:
    signed_release(job)
    return ["--repo", "https://index.example.org/legacy/"]


@refused("a trust configuration that is none", "trust-config-malformed")
def _(job: Job) -> None:
    signed_release(job)
    broken = job.root / "broken.json"
    broken.write_text("{}", encoding="utf-8")
    job.play({**job.sandbox.environment, "HATCH_ATTEST_SIGSTORE": "broken.json"})


@refused("a CA bundle that is not there", "certificate-missing", "nowhere.pem")
def _(job: Job) -> list[str]:
    signed_release(job)
    return ["--ca-cert", "nowhere.pem"]


@refused("the hook's tables of wheel and sdist disagree", "configuration", "differs from")
def _(job: Job) -> None:
    signed_release(job)
    job.configure(hook='[tool.hatch.build.targets.wheel.hooks.attest]\nsigstore = "staging"')


@refused("an API token, and attestations to go with it", "upload-attestations-token", "Publish from", late=True)
def _(job: Job) -> list[str]:
    signed_release(job)
    job.sandbox.index.create_project("widget")
    return ["--auth", job.sandbox.index.add_token()]


@refused("an API token for PyPI", "attestations-need-trusted-publishing", "upload.pypi.org", "attestations = 'auto'")
def _(job: Job) -> list[str]:
    job.add_release()
    job.play({})
    return ["--auth", "pypi-AgEIcHlwaS5vcmcCJDAw"]


@refused("an API token for PyPI, of `.pypirc`", "attestations-need-trusted-publishing", ".pypirc, [pypi]")
def _(job: Job) -> None:
    job.add_release()
    job.play({})
    job.home.joinpath(".pypirc").write_text("[pypi]\nusername = __token__\npassword = pypi-AgEI\n", encoding="utf-8")


@refused("a password for PyPI", "password-pypi", "Trusted Publishing")
def _(job: Job) -> list[str]:
    job.add_release()
    job.play({})
    return ["--user", "me", "--auth", "hunter2", "-o", "attestations=never"]


@refused("a wheel for an unspecified Linux, for PyPI", "linux-wheel", "auditwheel")
def _(job: Job) -> None:
    job.add(sdist(), wheel(tag="cp312-cp312-linux_x86_64"))
    job.play({})


@refused("a local version, for TestPyPI", "local-version", "test.pypi.org")
def _(job: Job) -> list[str]:
    job.add(wheel(version="1.0+dirty"))
    job.play({})
    return ["-r", "test"]


@accepted("the variables of a token that is not set, and Trusted Publishing", signed=2)
def _(job: Job) -> None:
    job.add_release()
    job.environ |= {"HATCH_INDEX_USER": "__token__", "HATCH_INDEX_AUTH": ""}


@accepted("`auto`: an API token, and the attestations are left out", "attestations are left out", signed=0)
def _(job: Job) -> list[str]:
    signed_release(job)
    job.sandbox.index.create_project("widget")
    return ["--auth", job.sandbox.index.add_token(), "-o", "attestations=auto"]


@accepted("`auto`: Trusted Publishing, and the attestations go along", "file and attestations as sent", signed=2)
def _(job: Job) -> list[str]:
    job.add_release()
    return ["-o", "attestations=auto"]


@accepted("`never`: nothing is signed, and nothing goes along", "attestations = 'never'", signed=0)
def _(job: Job) -> None:
    job.add_release()
    job.configure(publish='attestations = "never"')


@refused("`auto`: what is left out must hold as well", "attestation-digest")
def _(job: Job) -> list[str]:
    path = signed_release(job)[0]
    path.write_bytes(path.read_bytes() + b"\0")
    job.sandbox.index.create_project("widget")
    return ["--auth", job.sandbox.index.add_token(), "-o", "attestations=auto"]


@accepted("a repository of Hatch's config, named by the project", signed=2)
def _(job: Job) -> None:
    job.add_release()
    without_repo(job)
    job.configure(publish='repo = "corp"')
    job.configure_hatch(f'[publish.index.repos]\ncorp = "{job.sandbox.index.upload_url}"')


@accepted("a repository of `.pypirc`, with its token, without attestations", ".pypirc, [corp]", signed=0)
def _(job: Job) -> list[str]:
    signed_release(job)
    job.sandbox.index.create_project("widget")
    token = job.sandbox.index.add_token()
    job.home.joinpath(".pypirc").write_text(
        "[distutils]\nindex-servers = corp\n\n"
        f"[corp]\nrepository = {job.sandbox.index.upload_url}\nusername = __token__\npassword = {token}\n",
        encoding="utf-8",
    )
    job.play({name: job.sandbox.environment[name] for name in ("HATCH_ATTEST_SIGSTORE", "HATCH_INDEX_CA_CERT")})
    return ["-r", "corp", "-o", "attestations=auto"]


@refused("a wrong API token", "upload-credentials", late=True)
def _(job: Job) -> list[str]:
    signed_release(job)
    return ["--auth", "pypi-wrong", "-o", "attestations=never"]


@refused("a password, where only tokens are taken", "upload-password", "__token__", late=True)
def _(job: Job) -> list[str]:
    signed_release(job)
    return ["--user", "me", "--auth", "hunter2", "-o", "attestations=never"]
