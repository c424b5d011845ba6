"""Fetch one pinned pip wheel into a folder, with the standard library only, and print its path.

The package index is that of this machine's pip configuration (PIP_INDEX_URL or pip.conf); there is no default.
Exit 1, with the reason on stderr, if none is configured or the wheel's digest is not the expected one.
"""  # noqa: INP001 - a script beside the product

import configparser
import hashlib
import os
import re
import sys
import urllib.error
import urllib.parse
import urllib.request
from pathlib import Path

PIN = re.search(
    r"^pip==(\S+) --hash=sha256:(\w+)$", Path(__file__).with_name("installer.txt").read_text(), re.MULTILINE
)
assert PIN  # noqa: S101 - a file of ours, beside this one
WHEEL, SHA256 = f"pip-{PIN[1]}-py3-none-any.whl", PIN[2]


def index() -> str:
    """The index URL of the environment or of pip's configuration files, without trailing slash; "" if there is none."""
    if named := os.environ.get("PIP_INDEX_URL"):
        return named.rstrip("/")
    home = Path.home()
    places = (os.environ.get("PIP_CONFIG_FILE"), home / ".config/pip/pip.conf", home / ".pip/pip.conf", "/etc/pip.conf")
    for place in filter(None, places):
        found = configparser.RawConfigParser()
        found.read(place)
        for section in ("install", "global"):
            if named := found.get(section, "index-url", fallback=""):
                return named.rstrip("/")
    return ""


def fetch(url: str) -> bytes:
    """The content of a URL of the configured index, within a minute."""
    with urllib.request.urlopen(url, timeout=60) as answer:  # noqa: S310 - the administrator's own index
        data: bytes = answer.read()
    return data


def main(target: Path) -> str:
    """Store the wheel in `target`; return an error message, or "" on success."""
    if not (base := index()):
        return "no package index is configured (PIP_INDEX_URL, pip.conf)"
    page_url = f"{base}/pip/"
    try:
        page = fetch(page_url).decode("utf-8", "replace")
        link = re.search(rf'href="([^"]*{re.escape(WHEEL)}[^"]*)"', page)
        if not link:
            return f"the configured package index does not offer {WHEEL}"
        data = fetch(urllib.parse.urljoin(page_url, link[1]))
    except (urllib.error.URLError, OSError, ValueError) as error:
        return f"the configured package index did not answer: {getattr(error, 'reason', error)}"
    if hashlib.sha256(data).hexdigest() != SHA256:
        return f"{WHEEL} of the configured package index does not have the expected digest"
    (target / WHEEL).write_bytes(data)
    sys.stdout.write(f"{target / WHEEL}\n")
    return ""


if problem := main(Path(sys.argv[1])):
    sys.exit(problem)
