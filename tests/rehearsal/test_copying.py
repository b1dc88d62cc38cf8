"""The copy under rehearsal: what is in it, and that nothing done in it reaches the original."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from hatch_attest.errors import RehearsalError
from hatch_attest.rehearsal.copying import copy_project

_AUTHOR = ("-c", "user.name=A", "-c", "user.email=a@example.com", "-c", "commit.gpgsign=false")


def git(directory: Path, *arguments: str) -> str:
    environ = {name: value for name, value in os.environ.items() if not name.startswith("GIT_")}
    result = subprocess.run(
        ["git", *_AUTHOR, *arguments], cwd=directory, env=environ, check=True, capture_output=True, encoding="utf-8"
    )
    return result.stdout.strip()


def tree(root: Path) -> dict[str, str]:
    """Every file below ``root`` but git's, with its text."""
    return {
        path.relative_to(root).as_posix(): path.read_text(encoding="utf-8")
        for path in sorted(root.rglob("*"))
        if path.is_file() and ".git" not in path.relative_to(root).parts
    }


@pytest.fixture
def repository(tmp_path: Path) -> Path:
    """A work tree with one commit, tagged v1, in a path with a space and an umlaut."""
    root = tmp_path / "a prøject"
    (root / "package").mkdir(parents=True)
    (root / "pyproject.toml").write_text("[project]\n", encoding="utf-8")
    (root / "package" / "code.py").write_text("committed\n", encoding="utf-8")
    (root / "package" / "gone.py").write_text("committed\n", encoding="utf-8")
    (root / ".gitignore").write_text("*.log\n", encoding="utf-8")
    git(root, "init", "--quiet", "--initial-branch=main")
    git(root, "add", ".")
    git(root, "commit", "--quiet", "--message=first")
    git(root, "tag", "v1")
    return root


def test_uncommitted_changes_are_copied_and_ignored_files_are_not(repository: Path, tmp_path: Path) -> None:
    """Otherwise somebody would rehearse another project than the one before their eyes."""
    (repository / "package" / "code.py").write_text("changed\n", encoding="utf-8")
    (repository / "package" / "new.py").write_text("untracked\n", encoding="utf-8")
    (repository / "package" / "gone.py").unlink()
    (repository / "debug.log").write_text("ignored\n", encoding="utf-8")

    copy = copy_project(repository, tmp_path / "copy")

    assert tree(copy.root) == {
        ".gitignore": "*.log\n",
        "package/code.py": "changed\n",
        "package/new.py": "untracked\n",
        "pyproject.toml": "[project]\n",
    }
    assert copy.versioned
    assert copy.files == 4


def test_what_an_earlier_build_left_stays_behind_unless_it_is_tracked(repository: Path, tmp_path: Path) -> None:
    """An old wheel in an unignored `dist` would be published again."""
    (repository / "dist").mkdir()
    (repository / "dist" / "old-1.whl").write_text("old", encoding="utf-8")
    (repository / "dist" / "tracked.txt").write_text("tracked", encoding="utf-8")
    git(repository, "add", "dist/tracked.txt")

    copy = copy_project(repository, tmp_path / "copy")

    assert [path.name for path in (copy.root / "dist").iterdir()] == ["tracked.txt"]


def test_the_copy_has_the_history(repository: Path, tmp_path: Path) -> None:
    """Versions come from tags, and builds read the index for what is tracked."""
    copy = copy_project(repository, tmp_path / "copy")

    assert git(copy.root, "describe", "--tags") == "v1"
    assert git(copy.root, "status", "--porcelain") == ""


def test_a_commit_in_the_copy_does_not_reach_the_original(repository: Path, tmp_path: Path) -> None:
    """A build or a release script may commit and tag; the project must stay as it was."""
    before = {path: path.read_bytes() for path in repository.rglob("*") if path.is_file()}

    copy = copy_project(repository, tmp_path / "copy")
    (copy.root / "package" / "code.py").write_text("of the copy\n", encoding="utf-8")
    git(copy.root, "commit", "--quiet", "--all", "--message=second")
    git(copy.root, "tag", "v2")

    assert {path: path.read_bytes() for path in repository.rglob("*") if path.is_file()} == before


def test_a_linked_work_tree_gets_a_repository_of_its_own(repository: Path, tmp_path: Path) -> None:
    """`git worktree` leaves a file `.git`, which would lead a copy straight into the original repository."""
    linked = tmp_path / "linked"
    git(repository, "worktree", "add", "--quiet", "-b", "other", str(linked))
    (linked / "package" / "code.py").write_text("other\n", encoding="utf-8")
    git(linked, "commit", "--quiet", "--all", "--message=on the other branch")
    original = git(linked, "rev-parse", "HEAD")

    copy = copy_project(linked, tmp_path / "copy")
    assert (copy.root / ".git").is_dir()
    assert git(copy.root, "rev-parse", "HEAD") == original
    git(copy.root, "commit", "--quiet", "--allow-empty", "--message=of the copy")

    assert git(linked, "rev-parse", "HEAD") == original


def test_a_submodule_is_copied_and_can_be_rehearsed_itself(repository: Path, tmp_path: Path) -> None:
    """A submodule's repository lies in its parent's, and names its work tree in its configuration."""
    parent = tmp_path / "parent"
    parent.mkdir()
    git(parent, "init", "--quiet")
    git(parent, "-c", "protocol.file.allow=always", "submodule", "--quiet", "add", str(repository), "part")
    git(parent, "commit", "--quiet", "--message=with a submodule")

    whole = copy_project(parent, tmp_path / "whole")
    part = copy_project(parent / "part", tmp_path / "part")

    assert tree(whole.root / "part") == tree(repository)
    assert tree(part.root) == tree(repository)
    assert git(part.root, "rev-parse", "--show-toplevel") == str(part.root)
    assert git(part.root, "describe", "--tags") == "v1"


def test_a_project_in_a_subdirectory_brings_the_whole_work_tree(repository: Path, tmp_path: Path) -> None:
    """It may take its version, its licence or its ignored files from above."""
    copy = copy_project(repository / "package", tmp_path / "copy")

    assert copy.root == tmp_path / "copy" / "package"
    assert (tmp_path / "copy" / "pyproject.toml").is_file()


def test_a_git_hook_can_start_a_rehearsal(repository: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Git tells its hooks which repository it is in, and would tell the copy's git the same."""
    monkeypatch.setenv("GIT_DIR", str(tmp_path / "elsewhere"))
    monkeypatch.setenv("GIT_INDEX_FILE", str(tmp_path / "elsewhere" / "index"))

    assert copy_project(repository, tmp_path / "copy").versioned


def test_a_project_without_git_is_copied_less_caches(tmp_path: Path) -> None:
    """Environments and caches are large, and old artifacts would be published again."""
    root = tmp_path / "project"
    for name in ("pyproject.toml", "package/code.py", ".venv/lib/x.py", "package/__pycache__/c.pyc", "dist/old-1.whl"):
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_text("x", encoding="utf-8")

    copy = copy_project(root, tmp_path / "copy")

    assert set(tree(copy.root)) == {"pyproject.toml", "package/code.py"}
    assert not copy.versioned
    assert copy.files == 2


def test_a_project_that_a_repository_ignores_is_not_that_repository(repository: Path, tmp_path: Path) -> None:
    """An unpacked archive below an ignored directory would come out as an empty copy."""
    root = repository / "unpacked.log"
    root.mkdir()
    (root / "pyproject.toml").write_text("[project]\n", encoding="utf-8")

    copy = copy_project(root, tmp_path / "copy")

    assert not copy.versioned
    assert set(tree(copy.root)) == {"pyproject.toml"}


@pytest.mark.skipif(sys.platform == "win32", reason="symbolic links take a privilege on Windows")
def test_symbolic_links_stay_links(repository: Path, tmp_path: Path) -> None:
    """A link followed while copying may lead out of the project, or in circles."""
    (repository / "link").symlink_to("package")
    (repository / "loop").symlink_to(".")

    copy = copy_project(repository, tmp_path / "copy")

    assert (copy.root / "link").readlink() == Path("package")
    assert (copy.root / "loop").readlink() == Path()


@pytest.mark.skipif(sys.platform == "win32" or os.geteuid() == 0, reason="root and Windows read everything")
def test_a_file_that_cannot_be_read_is_named(repository: Path, tmp_path: Path) -> None:
    """A traceback, or a rehearsal without that file, would be worse."""
    (repository / "secret").write_text("x", encoding="utf-8")
    (repository / "secret").chmod(0)

    with pytest.raises(RehearsalError, match="secret"):
        copy_project(repository, tmp_path / "copy")


def test_a_copy_that_fails_is_told_in_one_line(repository: Path, tmp_path: Path) -> None:
    """The destination is taken: any failure of the file system comes out as one of ours."""
    (tmp_path / "copy").write_text("a file", encoding="utf-8")

    with pytest.raises(RehearsalError) as caught:
        copy_project(repository, tmp_path / "copy")

    assert caught.value.code == "rehearsal-copy"
    assert "\n" not in str(caught.value)
