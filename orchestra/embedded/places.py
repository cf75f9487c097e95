"""Where root's services run and keep their state: PostgreSQL refuses to be root, so they are an unprivileged user's."""

import hashlib
import importlib.util
import os
import pwd
import secrets
import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path

from orchestra.embedded.errors import EmbeddedError
from orchestra.supervisor import Account

ACCOUNT = "orchestra"
# Where root keeps what its unprivileged user must reach when the way to the project is closed to others (/root is).
OUTSIDE = Path("/var/lib/orchestra")
QUIET_ENV = {"PATH": "/usr/bin:/bin", "LC_ALL": "C"}  # macOS: postgres refuses to start without a plain locale


def package_directory(package: str) -> Path:
    """Find an installed package without the cost of importing it."""
    spec = importlib.util.find_spec(package)
    if spec is None or spec.origin is None:
        raise EmbeddedError(f"The package {package} is not installed: run bin/up, or set DATABASE_URL and REDIS_URL.")
    return Path(spec.origin).parent


def unprivileged_account() -> Account | None:
    """Give the user that root starts the services as; None when we are not root."""
    if os.geteuid() != 0:
        return None
    for name in (ACCOUNT, "nobody"):
        if name == ACCOUNT and not _known_user(name):
            _add_system_user(name)
        if _known_user(name):
            entry = pwd.getpwnam(name)
            return Account(name, entry.pw_uid, entry.pw_gid)
    raise EmbeddedError("PostgreSQL refuses to run as root, and there is no other user: useradd --system orchestra")


def _known_user(name: str) -> bool:
    try:
        return pwd.getpwnam(name).pw_uid != 0
    except KeyError:
        return False


def _add_system_user(name: str) -> None:
    command = shutil.which("useradd")
    if command:
        shell = shutil.which("nologin") or "/bin/false"
        argv = [command, "--system", "--no-create-home", "--shell", shell, name]
        subprocess.run(argv, check=False, capture_output=True)  # noqa: S603 - without it `nobody` has to do


def reachable(path: Path, account: Account | None) -> bool:
    """Tell whether the account may pass through every directory above `path`."""
    return account is None or all(_may_pass(parent.stat(), account) for parent in path.resolve().parents)


def _may_pass(status: os.stat_result, account: Account) -> bool:
    if status.st_uid == account.uid:
        return bool(status.st_mode & 0o100)
    if status.st_gid == account.gid:
        return bool(status.st_mode & 0o010)
    return bool(status.st_mode & 0o001)


def reachable_copy(path: Path, account: Account | None) -> Path:
    """Give a program that the account can run: `path` itself, or a copy outside of a closed directory."""
    if reachable(path, account):
        return path
    mark = f"{path}{path.stat().st_mtime_ns}{path.stat().st_size}"
    copy = OUTSIDE / "programs" / hashlib.sha256(mark.encode()).hexdigest()[:16] / path.name
    if not copy.exists():
        copy.parent.mkdir(mode=0o755, parents=True, exist_ok=True)
        partial = copy.with_name(f"{path.name}.{os.getpid()}")
        copy_path: Callable[..., object] = shutil.copytree if path.is_dir() else shutil.copy2
        copy_path(path, partial)
        partial.replace(copy)
    return copy


def service_directory(home: Path, name: str, account: Account | None) -> Path:
    """Make the directory in which a service keeps its state; `home/name` leads there in every case."""
    home.mkdir(mode=0o700, parents=True, exist_ok=True)
    directory = home / name
    if account is None:
        directory.mkdir(mode=0o700, exist_ok=True)
        return directory
    home.chmod(home.stat().st_mode | 0o011)  # may be passed through, not read
    if not directory.exists() and not reachable(directory, account):
        # Never a name that an earlier clone at the same place had: its state is not ours.
        outside = OUTSIDE / "state" / f"{name}-{secrets.token_hex(6)}"
        outside.mkdir(mode=0o755, parents=True)
        directory.unlink(missing_ok=True)
        directory.symlink_to(outside)
    directory.mkdir(mode=0o700, exist_ok=True)
    directory = directory.resolve()
    os.chown(directory, account.uid, account.gid)
    directory.chmod(0o700)
    return directory


def remove_state(home: Path) -> None:
    """Delete everything the embedded services keep."""
    for directory in (home / "postgres", home / "valkey"):
        if directory.exists():
            shutil.rmtree(directory.resolve())
        if directory.is_symlink():
            directory.unlink()
    (home / "services.json").unlink(missing_ok=True)
