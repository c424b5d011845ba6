# Which processes of a job are alive, from /proc. A process id alone proves nothing: a job is identified by its leader's
# pid, start time (field 22 of /proc/pid/stat, proc(5)) and the host's boot id; its members by MQI_TOKEN in their
# environment, in whatever session they are, and by the session of the leader as long as the leader's pid provably was
# not reused.

boot=
{ read -r boot </proc/sys/kernel/random/boot_id; } 2>/dev/null
node=$(uname -n)

stat_of() {
  all=
  { while IFS= read -r line || [ -n "$line" ]; do all="$all $line"; done <"/proc/$1/stat"; } 2>/dev/null
  # shellcheck disable=SC2086 # split the line
  set -- ${all##*) }
  [ $# -ge 20 ] || return 1
  state=$1
  start=${20}
}

lives() {
  stat_of "$1" && [ "$start" = "$2" ] && case $state in Z | X) return 1 ;; esac
}

in_session() {
  grep -lsE "\) [^ZX] -?[0-9]+ [0-9]+ $1 " /proc/[0-9]*/stat
}

# members TOKEN PID START: set `alive` to the process ids of the job.
members() {
  found=$(
    grep -lszxF "MQI_TOKEN=$1" /proc/[0-9]*/environ
    if stat_of "$2" && [ "$start" = "$3" ]; then in_session "$2"; fi
  )
  alive=
  for file in $found; do
    file=${file#/proc/}
    file=${file%%/*}
    if [ "$file" != $$ ] && stat_of "$file"; then
      case $state in Z | X) ;; *) alive="$alive $file" ;; esac
    fi
  done
}

# ask_to_end TOKEN PID START
ask_to_end() {
  members "$@"
  # shellcheck disable=SC2086 # several pids
  [ -z "$alive" ] || kill -TERM $alive 2>/dev/null
}

# make_end TOKEN PID START TENTHS: wait until no member is alive; send KILL after TENTHS of a second.
make_end() {
  while
    members "$1" "$2" "$3"
    [ -n "$alive" ]
  do
    # shellcheck disable=SC2086 # several pids
    if [ "$waited" -ge "$4" ]; then kill -KILL $alive 2>/dev/null; fi
    if [ "$waited" -ge $(($4 + 50)) ]; then return 1; fi
    sleep 0.1
    waited=$((waited + 1))
  done
}

# read_record FILE: parse the record of the owner of a gate or lease: began,pid,start,boot,node,scheduler's id.
read_record() {
  record=
  { IFS= read -r record <"$1"; } 2>/dev/null
  case "$record" in '' | *[!0-9A-Za-z._,-]*) record=garbled ;; esac
  rest=$record
  began_at=${rest%%,*} rest=${rest#*,}
  owner=${rest%%,*} rest=${rest#*,}
  owner_start=${rest%%,*} rest=${rest#*,}
  owner_boot=${rest%%,*} rest=${rest#*,}
  owner_node=${rest%%,*}
  scheduler_id=${rest#*,}
  case "$began_at$owner$owner_start" in '' | *[!0-9]*) return 1 ;; esac
  [ "$scheduler_id" != "$rest" ] && [ -n "$boot" ]
}

# life_of TOKEN: set `life` for the record just read: alive, dead, rebooted, elsewhere, or unknown.
life_of() {
  life=unknown
  if [ "$owner_node" != "$node" ]; then
    life=elsewhere
  elif [ "$owner_boot" != "$boot" ]; then
    life=rebooted
  elif lives "$owner" "$owner_start"; then
    life=alive
  else
    members "$1" "$owner" "$owner_start"
    if [ -n "$alive" ]; then
      life=alive
    elif [ -e "/proc/$owner" ] || [ -z "$(in_session "$owner")" ]; then
      life=dead
    fi
  fi
}
