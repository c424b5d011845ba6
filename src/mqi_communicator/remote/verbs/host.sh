# What a host must have, and small questions.

verb_hello() { echo mqi-hello; }

verb_clock() { date +'mqi-clock %s.%N'; }

told() {
  name=$1
  shift
  if "$@" >/dev/null 2>&1; then echo "mqi-need $name ok"; else echo "mqi-need $name no"; fi
}

has() { command -v "$1"; }
has_coreutils() {
  printf x | sha256sum && printf x | base64 -w0 && timeout 5 true && sleep 0.1 && stat -c %s / && printf 'a\tb\n' | cut -f 2
}
has_grep() { printf 'a\0b\0' | grep -qzxF b; }
has_find() { find / -maxdepth 0 -type d; }
has_proc() { [ -r /proc/sys/kernel/random/boot_id ] && [ -r /proc/self/stat ] && [ -r /proc/self/environ ]; }
jobs_outlive_us() {
  command -v busctl || return 0
  [ -e "/var/lib/systemd/linger/$(id -un)" ] && return 0
  killed=$(busctl get-property org.freedesktop.login1 /org/freedesktop/login1 org.freedesktop.login1.Manager \
    KillUserProcesses 2>/dev/null)
  [ "$killed" != "b true" ]
}

# host KIND: what every host needs, and what `direct` or `slurm` needs besides.
verb_host() {
  told rsync has rsync
  told flock has flock
  told setsid has setsid
  told coreutils has_coreutils
  told grep has_grep
  told findutils has_find
  case $1 in
    direct)
      told proc has_proc
      told outlive jobs_outlive_us
      if submits_to_slurm; then echo "mqi-need plain no"; else echo "mqi-need plain ok"; fi
      ;;
    slurm)
      for name in sbatch squeue scancel sinfo; do told $name has $name; done
      told answers timeout 20 sinfo -h -o %P
      ;;
  esac
  echo mqi-done
}

# needs: lines of stdin, words parted by tabs: kind, what, and a digest or the words of a program. The answers come in the
# same order. Where an administrator has named the programs that jobs may run, no more is told than what lies beside them.
verb_needs() {
  count=0
  while IFS= read -r line; do
    count=$((count + 1))
    tell_need "$line"
  done
  echo mqi-done
}

tell_need() {
  is_line "$1" || trouble bad-word needs
  IFS=$tab
  set -f
  # shellcheck disable=SC2086 # the words of the line
  set -- $1
  set +f
  unset IFS
  for one in "$@"; do is_word "$one" || trouble bad-word needs; done
  [ $# -ge 2 ] || trouble bad-word needs
  kind=$1
  shift
  home_of "$1"
  what=$word
  case "$kind,$what" in
    starts,*) ;;
    program,*/* | executable,* | readable,* | sha256,*)
      may_look "$what" || {
        echo "mqi-need $count barred"
        return 0
      }
      ;;
  esac
  case "$kind" in
    program) told $count has "$what" ;;
    executable) told $count test -x "$what" ;;
    readable) told $count test -r "$what" ;;
    sha256) told $count is_digest "$what" "${2-}" ;;
    starts) start_once $count "$@" ;;
    *) echo "mqi-need $count no" ;;
  esac
}

# start_once NUMBER PROGRAM WORD...: what it does without input, in an empty folder: whether it can be loaded is not known
# before. Where an administrator has named the programs that jobs may run, it is one of them.
start_once() {
  number=$1
  shift
  may_run "$1" || {
    echo "mqi-started $number barred"
    return 0
  }
  words=$#
  while [ $words -gt 0 ]; do
    home_of "$1"
    shift
    set -- "$@" "$word"
    words=$((words - 1))
  done
  aside=$(mktemp -d) && mkdir -- "$aside/empty" || return 0
  (cd -- "$aside/empty" && exec timeout -k 2 20 "$@") </dev/null >"$aside/said" 2>&1
  echo "mqi-started $number $? $(head -c 4096 -- "$aside/said" | base64 -w0)"
  rm -rf -- "$aside"
}

is_digest() { [ -r "$1" ] && [ "$(kindly sha256sum <"$1")" = "$2  -" ]; }
