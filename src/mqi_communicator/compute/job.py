"""The script of one job: it takes its gate, runs the engine within its limit, and says itself how it ended."""

from __future__ import annotations

import re
import shlex

from mqi_communicator.compute.procfs import FUNCTIONS, MARK
from mqi_communicator.compute.scheduler import Job

_TOKEN = re.compile(r"([A-Za-z0-9][A-Za-z0-9_]{0,63})-b[0-9]{1,6}-r[0-9]{1,6}")


def case_of(token: str) -> str:
    """The case key in a token (Line.token). ValueError for anything that is not a token."""
    found = _TOKEN.fullmatch(token)
    if found is None:
        raise ValueError(f"not a job token: {token!r}")
    return found[1]


def workspace_root(root: str) -> str:
    """The remote workspace without a trailing slash. ValueError unless it is absolute and below /."""
    if not root.startswith("/") or not root.strip("/") or "\0" in root or "\n" in root:
        raise ValueError(f"the workspace is an absolute path below /: {root!r}")
    return root.rstrip("/")


def job_script(job: Job, root: str, *, kill_grace: float) -> str:
    """POSIX shell text of one job, to be run as `sh FILE` by the leader of a session of its own. It moves FILE.

    The gate appears in one atomic act with the record of its owner inside: a folder that is not empty cannot be
    renamed over. `exit` is the last thing to appear: by then nothing else of the job lives, and the products are on
    the disk with their digests beside them.
    """
    if case_of(job.token) != job.case:
        raise ValueError("the token names another case")
    return f"""umask 077
ulimit -c 0
trap '' HUP
trap 'cancelled=1' TERM
cancelled=; waited=0
{FUNCTIONS}
root={shlex.quote(workspace_root(root))}; token={job.token}
gate="$root/gates/$token"; runs="$root/cases/{job.case}/runs"
{_GATE}
cd -- "$runs" && mkdir -- "$token" && cd -- "$token" && mv -- "$0" job.sh || exit 1
env {MARK}="$token" INPUT=../../input timeout -k {_number(kill_grace)} {_number(job.limit)} \\
  sh -c {shlex.quote(job.command)} >log 2>&1 </dev/null
code=$?
if [ $code = 137 ] && [ $(($(date +%s) - began)) -ge {int(job.limit)} ]; then code=124; fi
ask_to_end "$token" $$ "$mine"
make_end "$token" $$ "$mine" {tenths(kill_grace)}
{_DIGESTS}
{_listing(job.products)}
if [ -n "$cancelled" ] && [ $code = 0 ]; then code=143; fi
printf '%s,%s\\n' $code "$(date +%s)" >.exit && sync .exit && mv -T .exit exit
"""


def tenths(seconds: float) -> int:
    """Whole tenths of a second, at least one: the steps in which an end is waited for."""
    return max(1, round(seconds * 10))


_GATE = r"""
if [ -e "$gate" ] || [ -L "$gate" ] || ! stat_of $$; then rm -f -- "$0"; exit 0; fi
mine=$start; began=$(date +%s); aside="$root/gates/.$token.$$.$mine"
mkdir -- "$aside" && printf '%s,%s,%s,%s,%s\n' "$began" $$ "$mine" "$boot" "$node" >"$aside/started" \
  && mv -T -- "$aside" "$gate" 2>/dev/null || { rm -rf -- "$aside"; rm -f -- "$0"; exit 0; }
""".strip()

_DIGESTS = r"""
digest() {
  [ -f "$1" ] && [ ! -L "$1" ] && sync -- "$1" && sum=$(sha256sum <"$1") \
    && printf '%s %s %s\n' "${sum%% *}" "$(stat -c %s -- "$1")" "$1"
}
""".strip()


def _listing(products: tuple[str, ...]) -> str:
    for path in products:
        if not path or path.startswith("/") or ".." in path.split("/") or "\n" in path or "\0" in path:
            raise ValueError(f"not a product's path: {path!r}")
    lines = "\n".join(f"digest {shlex.quote('./' + path)}" for path in products)
    return f"{{\n{lines}\n:\n}} >.products && sync .products && mv -T .products products.sha256"


def _number(seconds: float) -> str:
    return f"{max(seconds, 0.1):.1f}"
