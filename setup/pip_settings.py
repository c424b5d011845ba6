"""Print, as shell text, the settings with which Poetry uses the index, certificates and proxy of pip.

Run with the Python of the private Poetry. Variables that are already set are not changed.
"""  # noqa: INP001 - a script beside the product

import os
import shlex
import sys

from pip._internal.commands import create_command  # type: ignore[import-not-found,unused-ignore]


def settings() -> dict[str, str]:
    """Read pip's configuration files, environment and defaults the way pip itself does."""
    options, _ = create_command("install").parse_args(["nothing"])
    certificate, proxy = options.cert or "", options.proxy or ""
    return {
        "POETRY_PYPI_MIRROR_URL": options.index_url,
        "REQUESTS_CA_BUNDLE": certificate,
        "SSL_CERT_FILE": certificate,
        "HTTPS_PROXY": proxy,
        "HTTP_PROXY": proxy,
    }


for name, value in settings().items():
    if value and not (os.environ.get(name) or os.environ.get(name.lower())):
        sys.stdout.write(f"export {name}={shlex.quote(value)}\n")
