"""Copying: the project as it is now, uncommitted changes included, into a directory of the rehearsal's own."""

from __future__ import annotations

import os
import shutil
import subprocess
from dataclasses import dataclass
from pathlib import Path

from hatch_attest.errors import RehearsalError

# What a project outside version control holds besides itself.
_CACHES = (
    ".cache", ".coverage", ".eggs", ".hatch", ".hypothesis", ".mypy_cache", ".nox", ".pytest_cache", ".ruff_cache",
    ".svn", ".tox", ".venv", "__pycache__", "__pypackages__", "dist", "node_modules", "venv", "*.egg-info", "*.pyc",
)  # fmt: skip
# Parts of a git directory that a copy must not have: what would run commands, and what belongs to other work trees.
_NOT_COPIED = ("hooks", "lfs", "modules", "objects", "worktrees", "index.lock", "fsmonitor--daemon*")
# Variables that point git to a repository; a git hook that starts a rehearsal sets them.
REPOSITORY_VARIABLES = (
    "GIT_ALTERNATE_OBJECT_DIRECTORIES", "GIT_CEILING_DIRECTORIES", "GIT_COMMON_DIR", "GIT_CONFIG", "GIT_CONFIG_COUNT",
    "GIT_CONFIG_PARAMETERS", "GIT_DIR", "GIT_GRAFT_FILE", "GIT_IMPLICIT_WORK_TREE", "GIT_INDEX_FILE", "GIT_NAMESPACE",
    "GIT_OBJECT_DIRECTORY", "GIT_PREFIX", "GIT_QUARANTINE_PATH", "GIT_WORK_TREE",
)  # fmt: skip
_TIMEOUT = 120  # seconds


@dataclass(frozen=True)
class Copy:
    """A copy of a project.

    Attributes:
        root: the project's root in the copy.
        files: how many files were copied, git's own not counted.
        versioned: whether it is a git work tree (with its history) or plain files.

    """

    root: Path
    files: int
    versioned: bool


def copy_project(project: Path, destination: Path) -> Copy:
    """Copy the work tree that ``project`` lies in, or the project alone where it is under no version control.

    From git's work tree come the tracked files as they are now and the untracked ones that are not ignored. It is the
    whole work tree, since a project in a subdirectory may take its version, its README or its ignored files from above.

    Args:
        project: the root directory of the project, with its ``pyproject.toml``.
        destination: a directory that does not exist yet.

    Raises:
        RehearsalError: something cannot be copied.

    """
    top = _work_tree(project)
    try:
        if top is None:
            shutil.copytree(project, destination, symlinks=True, ignore=shutil.ignore_patterns(".git", *_CACHES))
            count = sum(len(files) for _, _, files in os.walk(destination))
            return Copy(destination, count, versioned=False)
        relative = project.resolve().relative_to(top.resolve())
        count = _copy_work_tree(top, destination, skip=relative / "dist")
        _copy_git_directory(top, destination)
    except (OSError, shutil.Error) as error:
        raise RehearsalError("rehearsal-copy", cause=_first_words(error), project=project) from error
    return Copy(destination / relative, count, versioned=True)


def git_environment() -> dict[str, str]:
    """Return the environment without the variables that would point git to another repository than the one it is in."""
    return {name: value for name, value in os.environ.items() if name not in REPOSITORY_VARIABLES}


def _work_tree(project: Path) -> Path | None:
    """Return the top of the git work tree around ``project``; None without one, or without git."""
    if shutil.which("git") is None:
        return None
    answer = _git(project, "rev-parse", "--show-toplevel", check=False)
    top = answer.removesuffix(b"\n")
    # A project that is ignored there is not that repository's: an unpacked archive below somebody's home, perhaps.
    if not top or _git(project, "check-ignore", ".", check=False):
        return None
    return Path(os.fsdecode(top))


def _copy_work_tree(top: Path, destination: Path, skip: Path | None = None) -> int:
    """Copy tracked and unignored files; return how many. Untracked files below ``skip`` stay behind.

    What an earlier build left in `dist` and nobody ignores would be published again.
    """
    tracked = set(_listed(top, "--cached"))
    untracked = [name for name in _listed(top, "--others", "--exclude-standard") if name not in tracked]
    if skip is not None:
        untracked = [name for name in untracked if skip not in name.parents]
    destination.mkdir(parents=True, exist_ok=True)
    count = 0
    for name in (*sorted(tracked), *untracked):
        source, target = top / name, destination / name
        if source.is_dir() and not source.is_symlink():
            # A submodule, or a repository that lies in this one: its files, without its history.
            count += _copy_work_tree(source, target) if (source / ".git").exists() else 0
        elif os.path.lexists(source):  # else deleted or not checked out
            target.parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(source, target, follow_symlinks=False)
            count += 1
    return count


def _listed(top: Path, *options: str) -> list[Path]:
    names = _git(top, "ls-files", "-z", "--full-name", *options).split(b"\0")
    return [Path(os.fsdecode(name)) for name in dict.fromkeys(names) if name]


def _copy_git_directory(top: Path, destination: Path) -> None:
    """Give the copy a repository of its own, which reads the original's objects and writes none there.

    Work trees of `git worktree` and submodules keep theirs in two places elsewhere; a copy of the file `.git` would let
    whatever runs in the copy change the original.
    """
    common, own = (
        top / os.fsdecode(_git(top, "rev-parse", option).removesuffix(b"\n"))
        for option in ("--git-common-dir", "--git-dir")
    )
    directory = destination / ".git"
    ignore = shutil.ignore_patterns(*_NOT_COPIED)
    shutil.copytree(common, directory, symlinks=True, ignore=ignore)
    if own.resolve() != common.resolve():
        for name in ("HEAD", "index"):
            if (own / name).is_file():
                shutil.copy2(own / name, directory / name)
    information = directory / "objects" / "info"
    information.mkdir(parents=True)
    (directory / "objects" / "pack").mkdir()
    # gitrepository-layout(5): a relative path here would be relative to the copy.
    (information / "alternates").write_bytes(os.fsencode((common / "objects").resolve()) + b"\n")
    configuration = ("config", "--file", str(directory / "config"))
    for key, value in (("core.fsmonitor", "false"), ("gc.auto", "0"), ("maintenance.auto", "false")):
        _git(top, *configuration, key, value)
    _git(top, *configuration, "--unset", "core.worktree", check=False)  # a submodule's


def _git(directory: Path, *arguments: str, check: bool = True) -> bytes:
    result = subprocess.run(  # noqa: S603 - git with arguments of ours
        ["git", *arguments],  # noqa: S607 - the git that the user uses
        cwd=directory,
        env=git_environment(),
        capture_output=True,
        stdin=subprocess.DEVNULL,
        check=False,
        timeout=_TIMEOUT,
    )
    if check and result.returncode:
        words = result.stderr.decode(errors="replace").strip().splitlines()
        raise OSError(f"git {arguments[0]}: {words[-1] if words else result.returncode}")
    return result.stdout


def _first_words(error: Exception) -> str:
    """Say the first problem of a copy in one line; copytree collects all of them."""
    first = error.args[0][0] if isinstance(error, shutil.Error) and error.args and error.args[0] else error
    if isinstance(first, tuple):
        source, _, reason = first
        return f"{source}: {reason}"
    return str(first)
