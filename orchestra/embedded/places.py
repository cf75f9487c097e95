"""Where root's services run and keep their state: PostgreSQL refuses to be root, so they are an unprivileged user's."""

import hashlib
import importlib.util
import os
import pwd
import secrets
import shutil
import subprocess
from pathlib import Path

from orchestra.embedded.errors import EmbeddedError
from orchestra.supervisor import Account

ACCOUNT = "orchestra"
# Where root keeps what its unprivileged user must reach when the way to the project is closed to others (/root is).
OUTSIDE = Path("/var/lib/orchestra")
QUIET_ENV = {"PATH": "/usr/bin:/bin", "LC_ALL": "C"}  # macOS: postgres refuses to start without a plain locale


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


def runnable(package: str, path: str, account: Account | None) -> Path:
    """Find a program of an installed package, or a copy of it where the account may run it."""
    spec = importlib.util.find_spec(package)  # without the cost of importing it
    if spec is None or spec.origin is None:
        raise EmbeddedError(f"The package {package} is not installed: run bin/up, or set DATABASE_URL and REDIS_URL.")
    installed = Path(spec.origin).parent
    (found,) = installed.glob(path)
    if account is None or (reachable(found, account) and _may_pass(found.stat(), account)):
        return found
    mark = f"{installed} {installed.stat().st_mtime_ns}"
    copy = OUTSIDE / "programs" / hashlib.sha256(mark.encode()).hexdigest()[:16]
    if not copy.exists():
        _copy_programs(installed, found.relative_to(installed).parts[0], copy)
    return copy / found.relative_to(installed.parent)


def _copy_programs(installed: Path, folder: str, copy: Path) -> None:
    """Copy the programs with the libraries they look for beside them, and let everybody run them."""
    partial = copy.with_name(f"{copy.name}.{os.getpid()}")
    libraries = (Path(f"{installed.name}.libs"), Path(installed.name, ".dylibs"))  # of Linux, of macOS
    for part in (Path(installed.name, folder), *libraries):
        if (installed.parent / part).exists():
            shutil.copytree(installed.parent / part, partial / part, symlinks=True)
    for path in (OUTSIDE, copy.parent, partial, *partial.rglob("*")):
        if not path.is_symlink():
            path.chmod(path.stat().st_mode | (0o555 if path.is_dir() or os.access(path, os.X_OK) else 0o444))
    partial.replace(copy)


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
        outside.mkdir(parents=True)
        for path in (OUTSIDE, outside.parent):
            path.chmod(0o755)
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
