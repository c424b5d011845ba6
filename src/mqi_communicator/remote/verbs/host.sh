# Requirements of a host, and small requests.

verb_hello() { echo mqi-hello; }

verb_clock() { date +'mqi-clock %s.%N'; }

report() {
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

# host KIND: what every host needs, and what `direct` or `slurm` needs in addition.
verb_host() {
  report rsync has rsync
  report flock has flock
  report setsid has setsid
  report coreutils has_coreutils
  report grep has_grep
  report findutils has_find
  case $1 in
    direct)
      report proc has_proc
      report outlive jobs_outlive_us
      if submits_to_slurm; then echo "mqi-need plain no"; else echo "mqi-need plain ok"; fi
      ;;
    slurm)
      for name in sbatch squeue scancel sinfo; do report $name has $name; done
      report answers timeout 20 sinfo -h -o %P
      ;;
  esac
  echo mqi-done
}

# needs: lines of stdin with tab-separated words: kind, what, and a digest or the arguments of a program. The results have
# the same order. If an administrator has listed the allowed programs, only files in their folders are checked.
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
  # shellcheck disable=SC2086 # split the line
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
    program) report $count has "$what" ;;
    executable) report $count test -x "$what" ;;
    readable) report $count test -r "$what" ;;
    sha256) report $count is_digest "$what" "${2-}" ;;
    starts) start_once $count "$@" ;;
    *) echo "mqi-need $count no" ;;
  esac
}

# start_once NUMBER PROGRAM WORD...: run the program without input in an empty folder, to see whether it can be loaded. If
# an administrator has listed the allowed programs, it must be one of them.
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
  (cd -- "$aside/empty" && exec timeout -k 2 20 "$@") </dev/null >"$aside/output" 2>&1
  echo "mqi-started $number $? $(head -c 4096 -- "$aside/output" | base64 -w0)"
  rm -rf -- "$aside"
}

is_digest() { [ -r "$1" ] && [ "$(kindly sha256sum <"$1")" = "$2  -" ]; }
