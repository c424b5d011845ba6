"""Shell text that tells, from /proc, what of a job still lives. Nothing is believed from a process id alone.

A job is known by its leader's pid, start time (field 22 of /proc/pid/stat, proc(5)) and the host's boot id; its
members by the mark MQI_TOKEN in their environment, wherever they have moved to, and by the session of its leader for as
long as the leader's pid is proved not to be another's.
"""

from __future__ import annotations

MARK = "MQI_TOKEN"  # in the environment of the engine and all that it starts

FUNCTIONS = r"""
stat_of() {
  all=
  { while IFS= read -r l || [ -n "$l" ]; do all="$all $l"; done < "/proc/$1/stat"; } 2>/dev/null
  set -- ${all##*) }
  [ $# -ge 20 ] || return 1
  state=$1; start=${20}
}
lives() {
  stat_of "$1" && [ "$start" = "$2" ] && case $state in Z|X) return 1 ;; esac
}
in_session() {
  grep -lsE "\) [^ZX] -?[0-9]+ [0-9]+ $1 " /proc/[0-9]*/stat
}
members() {
  found=$(grep -lszxF "@MARK@=$1" /proc/[0-9]*/environ
    if stat_of "$2" && [ "$start" = "$3" ]; then in_session "$2"; fi)
  alive=
  for f in $found; do
    f=${f#/proc/}; f=${f%%/*}
    if [ "$f" != $$ ] && stat_of "$f"; then
      case $state in Z|X) ;; *) alive="$alive $f" ;; esac
    fi
  done
}
ask_to_end() {
  members "$@"
  [ -z "$alive" ] || kill -TERM $alive 2>/dev/null
}
make_end() {
  while members "$1" "$2" "$3"; [ -n "$alive" ]; do
    if [ $waited -ge $4 ]; then kill -KILL $alive 2>/dev/null; fi
    if [ $waited -ge $(($4 + 50)) ]; then return 1; fi
    sleep 0.1
    waited=$((waited + 1))
  done
}
boot=; { read -r boot < /proc/sys/kernel/random/boot_id; } 2>/dev/null
node=$(uname -n)
""".replace("@MARK@", MARK).lstrip()
