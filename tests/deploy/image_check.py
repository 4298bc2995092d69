"""Builds the image of one service by the Dockerfile, without Docker, and runs it as a cluster would: `make image-check`.

python -m tests.deploy.image_check registration --folder /var/tmp/entente/images

`buildah` builds it (isolation by chroot, plain folders as layers) over a base that `debootstrap` makes of Debian's own
packages, which stands for Docker's image of Python; whoever runs this is root. It then runs with the user, environment
and entry point that the image names, in namespaces of its own, on a root that cannot be written to, without capabilities.
"""

import argparse
import json
import os
import shutil
import signal
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from urllib.error import URLError

from chassis.process import free_port
from tests.architecture.tree import ROOT
from tests.engines import temporary_folder

BASE = "localhost/entente/python:bookworm"
TOOLS = ("buildah", "debootstrap", "unshare", "setpriv")
OF_THIS_MACHINE = ("/etc/ssl/certs", "/etc/pip.conf")
"""What pip needs where this machine reaches its packages in a way of its own; nothing of it stays in the image."""
READY_SECONDS, STOP_SECONDS = 120.0, 45.0
WRITABLE = {"data", "tmp"}

# In a mount namespace of its own: the image's root, read-only, with the two folders that a cluster mounts.
INSIDE = """
set -e
root=$1 user=$2; shift 2
mount --bind "$root" "$root"
mount -o remount,bind,ro "$root"
mount -t tmpfs -o "uid=$user,gid=$user,mode=0770" tmpfs "$root/data"
mount -t tmpfs tmpfs "$root/tmp"
mount -t proc proc "$root/proc"
exec chroot "$root" setpriv --reuid "$user" --regid "$user" --clear-groups --no-new-privs --bounding-set=-all \
  --inh-caps=-all env -i "$@"
"""


class Failed(AssertionError):
    """Something about the image does not hold."""


def must(holds: object, what: str) -> None:
    if not holds:
        raise Failed(what)
    say(f"  {what}")


def say(line: str) -> None:
    sys.stdout.write(f"{line}\n")
    sys.stdout.flush()


class Builder:
    """buildah, with all that it keeps in one folder."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._base = folder / "base"

    def ask(self, *words: str) -> str:
        """What buildah answers; what it says meanwhile is passed on."""
        places = ("--root", str(self._folder / "layers"), "--runroot", str(self._folder / "run"))
        command = ["buildah", "--storage-driver", "vfs", *places, *words]
        done = subprocess.run(command, cwd=ROOT, check=True, stdout=subprocess.PIPE, text=True)
        return done.stdout.strip()

    def make_base(self) -> None:
        """The image that the recipe begins with, unless it was made before."""
        if BASE in self.ask("images", "--format", "{{.Name}}:{{.Tag}}").split():
            return
        shutil.rmtree(self._base, ignore_errors=True)
        packages = "--include=python3,python3-venv,ca-certificates"
        subprocess.run(["debootstrap", "--variant=minbase", packages, "bookworm", self._base], check=True)
        (self._base / "usr/bin/python").symlink_to("python3")
        container = self.ask("from", "scratch")
        self.ask("add", "--quiet", container, str(self._base), "/")
        self.ask("commit", "--quiet", container, BASE)
        self.ask("rm", container)

    def build(self, service: str) -> str:
        """Builds the service's image: its name."""
        name = f"localhost/entente/{service}:check"
        ours = [f"--volume={path}:{path}:ro" for path in OF_THIS_MACHINE if Path(path).exists()]
        given = (f"--build-arg=PYTHON={BASE}", f"--build-arg=SERVICE={service}", f"--tag={name}")
        say(self.ask("build", "--isolation=chroot", "--layers", *ours, *given, "."))
        return name

    def config(self, image: str) -> dict[str, Any]:
        """User, environment and entry point, as the image names them."""
        found: dict[str, Any] = json.loads(self.ask("inspect", "--type=image", image))["OCIv1"]["config"]
        return found

    @contextmanager
    def unpacked(self, image: str) -> Iterator[Path]:
        """The image's files, for a while."""
        container = self.ask("from", image)
        try:
            yield Path(self.ask("mount", container))
        finally:
            self.ask("rm", container)


class Image:
    """An unpacked image that can be run."""

    def __init__(self, root: Path, config: dict[str, Any]) -> None:
        self.root, self._config = root, config
        self.user = config["User"].split(":")[0]

    def command(self, entry: Sequence[str], *more_environment: str) -> list[str]:
        """The command that runs something in it."""
        namespaces = ("unshare", "--mount", "--pid", "--fork", "--kill-child")
        at = ("--chdir", self._config["WorkingDir"])
        environment = (*at, *self._config["Env"], *more_environment)
        return [*namespaces, "bash", "-c", INSIDE, "image", str(self.root), self.user, *environment, *entry]

    def entry(self, *words: str) -> list[str]:
        return [*self._config["Entrypoint"], *words]

    def run(self, *entry: str) -> "subprocess.CompletedProcess[str]":
        return subprocess.run(self.command(entry), capture_output=True, text=True, check=False, timeout=READY_SECONDS)


def check_files(image: Image, service: str) -> None:
    """Only this service's code is inside, compiled, and nothing that builds or tests."""
    app, library = image.root / "app", next((image.root / "opt/entente/lib").glob("python*/site-packages"))
    inside = sorted(path.name for path in (app / "services").iterdir() if path.name != "__pycache__")
    must(inside == ["__init__.py", service], f"of the services, {service} alone is inside")
    must(not (app / "chassis/testing").exists(), "nothing that only tests need is inside")
    must(not any((library / name).exists() for name in ("pip", "setuptools")), "no installer is inside")
    sources = [path for path in app.rglob("*.py") if path.stat().st_size]
    compiled = {path.name.split(".")[0] for path in app.rglob("*.pyc")}
    must({path.stem for path in sources} <= compiled, f"all {len(sources)} modules are compiled")


def check_rights(image: Image) -> None:
    """It runs as nobody in particular, and can write nowhere but where it is given room."""
    must(image.user.isdigit() and image.user != "0", f"the image names the user {image.user}")
    status = image.run("cat", "/proc/self/status").stdout
    must(f"Uid:\t{image.user}\t{image.user}\t" in status, "that is who it runs as")
    must("CapBnd:\t0000000000000000" in status, "it has no capability and can get none")
    for folder in sorted(path.name for path in image.root.iterdir() if path.is_dir() and path.name != "proc"):
        touched = image.run("touch", f"/{folder}/x").returncode == 0
        if touched != (folder in WRITABLE):
            raise Failed(f"/{folder} can be written to" if touched else f"/{folder} cannot be written to")
    must(True, f"of all folders only {', '.join(sorted(WRITABLE))} can be written to")


def check_life(image: Image, service: str) -> None:
    """Its entry point tells what it does, serves, is ready, and ends in order."""
    must("serve" in image.run(*image.entry("--help")).stdout, "its entry point tells what it does")
    port = free_port()
    own = ("ENTENTE_HOST=127.0.0.1", f"ENTENTE_PORT={port}")
    started = time.monotonic()
    running = subprocess.Popen(image.command(image.entry("serve"), *own), stderr=subprocess.DEVNULL)
    try:
        told = _ready(running, port)
        seconds = time.monotonic() - started
        must(list(told["services"]) == [service], f"it serves {service}, ready after {seconds:.1f} s")
        [inner] = Path(f"/proc/{running.pid}/task/{running.pid}/children").read_text().split()
        os.kill(int(inner), signal.SIGTERM)
        must(running.wait(STOP_SECONDS) == 0, "told to stop, it ends in order")
    finally:
        running.kill()


def _ready(running: "subprocess.Popen[bytes]", port: int) -> dict[str, Any]:
    deadline = time.monotonic() + READY_SECONDS
    while time.monotonic() < deadline and running.poll() is None:
        try:
            with urllib.request.urlopen(f"http://127.0.0.1:{port}/readyz", timeout=5) as answer:
                found: dict[str, Any] = json.loads(answer.read())
                return found
        except (URLError, OSError):
            time.sleep(0.05)
    raise Failed("it was not ready in time")


def main(arguments: list[str]) -> int:
    """Exit status 0 when the image holds."""
    parser = argparse.ArgumentParser(prog="python -m tests.deploy.image_check", description=__doc__)
    parser.add_argument("service")
    parser.add_argument("--folder", type=Path, help="where layers are kept for the next time; default: nowhere")
    given = parser.parse_args(arguments)
    if lacking := [tool for tool in TOOLS if shutil.which(tool) is None]:
        say(f"install as root: {' '.join(lacking)}")
        return 1
    with temporary_folder("entente-image-") as temporary:
        builder = Builder(given.folder or temporary)
        builder.make_base()
        name = builder.build(given.service)
        say(f"{name}:")
        with builder.unpacked(name) as root:
            image = Image(root, builder.config(name))
            check_files(image, given.service)
            check_rights(image)
            check_life(image, given.service)
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
