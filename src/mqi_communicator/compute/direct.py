"""Jobs on a plain SSH host: detached sessions that answer for themselves."""

from __future__ import annotations

import shlex
from collections.abc import Mapping, Sequence

from mqi_communicator.case.faults import DiskFull, NeedsPerson, Permanent, RemoteUnfit, Transient
from mqi_communicator.compute.job import case_of, job_script, tenths, workspace_root
from mqi_communicator.compute.observed import END, LOOK, read_observations
from mqi_communicator.compute.options import DirectOptions
from mqi_communicator.compute.procfs import FUNCTIONS
from mqi_communicator.compute.scheduler import Job, JobStatus

_NO_WORKSPACE, _NO_INPUT, _STRAY, _NOT_BEGUN, _NOT_WRITTEN, _STILL_ALIVE = 74, 81, 82, 83, 84, 85

_JOBS_OUTLIVE_US = (
    '! command -v busctl >/dev/null || [ -e "/var/lib/systemd/linger/$(id -un)" ] || [ "$(busctl '
    "get-property org.freedesktop.login1 /org/freedesktop/login1 org.freedesktop.login1.Manager "
    'KillUserProcesses 2>/dev/null)" != "b true" ]'
)

NAP_S = 0.1


class DirectScheduler:
    """A Scheduler for one host without one. `root` is the absolute path of the workspace there.

    LOST is looked at twice inside one poll, a second apart; first whether anything lives, then whether there is an exit
    file, so that a job which ends meanwhile is never taken for a lost one. One host means one machine: what was
    started on a node of another name is UNKNOWN, not LOST.
    """

    name = "direct"

    def __init__(self, root: str, options: DirectOptions | None = None) -> None:
        self._root = shlex.quote(workspace_root(root))
        self._plain_root = root
        self._options = options or DirectOptions()

    def submit(self, job: Job) -> str:
        """Start the job unless its gate is taken; ends when the job has taken it. Safe to run at any time, even twice
        at once: the gate lets one through."""
        text = job_script(job, self._plain_root, kill_grace=self._options.kill_grace_s)
        return f"""umask 077
{FUNCTIONS}
root={self._root}; token={job.token}; gate="$root/gates/$token"; runs="$root/cases/{job.case}/runs"
[ -d "$root/gates" ] || exit {_NO_WORKSPACE}
taken() {{ [ -e "$gate" ] || [ -L "$gate" ]; }}
if taken; then echo mqi-submit already; exit 0; fi
[ -d "$root/cases/{job.case}/input" ] || exit {_NO_INPUT}
if [ -e "$runs/$token" ] && ! taken; then exit {_STRAY}; fi
mkdir -p -- "$runs" || exit {_NOT_WRITTEN}
file="$runs/.$token.$$.sh"
printf %s {shlex.quote(text)} >"$file" || {{ rm -f -- "$file"; exit {_NOT_WRITTEN}; }}
setsid sh "$file" </dev/null >/dev/null 2>&1 &
job=$!; n=0
until taken; do
  stat_of $job && [ "$state" != Z ] && [ $n -lt {5 * tenths(self._options.begin_wait_s)} ] || break
  sleep 0.02; n=$((n + 1))
done
if taken; then echo mqi-submit begun; exit 0; fi
exit {_NOT_BEGUN}
"""

    def read_submit(self, exit_code: int, out: str, err: str) -> str:
        """Always "": a plain host gives no id of its own."""
        if exit_code == 0 and out.startswith("mqi-submit "):
            return ""
        if "No space left" in err or "quota exceeded" in err:
            raise DiskFull("no space left on the host", "Free space or raise the quota; it goes on by itself.")
        if exit_code == _NO_WORKSPACE:
            raise RemoteUnfit("the workspace on the host is missing", "See that it is mounted; run `mqi check`.")
        if exit_code == _NO_INPUT:
            raise Permanent("the case's input is no longer on the host", "Somebody removed it: retry the case.")
        if exit_code == _STRAY:
            raise Permanent("the run's folder is on the host and its gate is not", "Retry the beam as a new run.")
        if exit_code == _NOT_WRITTEN:
            raise NeedsPerson("the run's folder on the host cannot be written", "Check its owner and its modes.")
        if exit_code == _NOT_BEGUN:
            raise Transient("the job did not begin in time on the host")
        raise Transient(f"the job was not submitted (exit {exit_code})")

    def poll(self, tokens: Sequence[str], wait_s: float = 0.0) -> str:
        """One script that observes all these jobs; about 2 ms each, a second more if one seems lost.

        With `wait_s` it begins by sleeping until an exit file is there: an end is seen at once, and looking often is
        not paid for with the time of the jobs.
        """
        ends = " || ".join(f'[ -e "$root/cases/{case_of(token)}/runs/{token}/exit" ]' for token in tokens)
        naps = int(wait_s / NAP_S) if tokens else 0
        wait = f"n=0; until {ends} || [ $n -ge {naps} ]; do sleep {NAP_S}; n=$((n + 1)); done\n" if naps else ""
        return f"""{FUNCTIONS}
root={self._root}; tail={self._options.log_tail_bytes}
[ -d "$root/gates" ] && [ -d "$root/cases" ] || exit {_NO_WORKSPACE}
{wait}{LOOK}
again=; last=
for t in {" ".join(tokens)}; do look "$t" || again="$again $t"; done
if [ -n "$again" ]; then
  sleep 1; last=1
  for t in $again; do look "$t"; done
fi
echo {END}
"""

    def read_poll(self, tokens: Sequence[str], exit_code: int, out: str) -> Mapping[str, JobStatus]:
        """A status for each token; UNKNOWN for whatever the answer does not prove."""
        return read_observations(tokens, exit_code, out)

    def cancel(self, tokens: Sequence[str]) -> str:
        """Bar the gates that are free; end what lives of the other jobs and look until it is gone. Exit 0 if so.

        Takes at most the grace and five seconds more, however many they are.
        """
        for token in tokens:
            case_of(token)
        words = " ".join(tokens)
        return f"""umask 077
{FUNCTIONS}
root={self._root}; waited=0; rc=0
[ -d "$root/gates" ] || exit {_NO_WORKSPACE}
ours() {{
  word=; {{ IFS= read -r word <"$root/gates/$1/started"; }} 2>/dev/null
  pid=${{word#*,}}; rest=${{pid#*,}}; pid=${{pid%%,*}}; began_at=${{rest%%,*}}
  case "$pid$began_at" in ''|*[!0-9]*) return 1 ;; esac
  [ -n "$boot" ] && [ "${{rest#*,}}" = "$boot,$node" ]
}}
bar() {{
  if [ -e "$root/gates/$1" ] || [ -L "$root/gates/$1" ]; then return 0; fi
  aside="$root/gates/.$1.$$.bar"
  mkdir -- "$aside" && echo barred >"$aside/barred" && mv -T -- "$aside" "$root/gates/$1" 2>/dev/null
  rm -rf -- "$aside"
}}
for t in {words}; do bar "$t"; if ours "$t"; then ask_to_end "$t" "$pid" "$began_at"; fi; done
for t in {words}; do
  if ours "$t"; then make_end "$t" "$pid" "$began_at" {tenths(self._options.kill_grace_s + 1)} || rc={_STILL_ALIVE}; fi
done
exit $rc
"""

    def needs(self) -> Sequence[tuple[str, str]]:
        """What the host must have: (shell test that must succeed there, what to do otherwise)."""
        return (
            ("command -v setsid >/dev/null", "Install util-linux on the host."),
            (
                "printf x | sha256sum >/dev/null && printf x | base64 -w0 >/dev/null && timeout 5 true && sleep 0.1",
                "Install GNU coreutils on the host.",
            ),
            ("printf 'a\\0b\\0' | grep -qzxF b", "Install GNU grep on the host."),
            (
                "[ -r /proc/sys/kernel/random/boot_id ] && [ -r /proc/self/stat ] && [ -r /proc/self/environ ]",
                "The host must be Linux with /proc mounted.",
            ),
            (_JOBS_OUTLIVE_US, "The host ends jobs at logout: run `loginctl enable-linger` for the account."),
        )
