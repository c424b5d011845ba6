# The workspace: uploads are received, verified and removed.

# workspace ROOT: create it, mode 0700, and check that it is writable.
verb_workspace() {
  root=${1%/}
  mkdir -p -- "$root" || trouble no-workspace
  for folder in staging cases gates leases; do
    [ ! -L "$root/$folder" ] || trouble not-ours "$folder is a link"
    mkdir -p -- "$root/$folder" || trouble no-workspace
  done
  [ -O "$root" ] || trouble not-ours it belongs to another account
  chmod 700 -- "$root" "$root/staging" "$root/cases" "$root/gates" "$root/leases" || trouble not-ours
  probe="$root/staging/.probe.$$"
  printf 'x\n' >"$probe" || {
    rm -f -- "$probe"
    [ "$(stat -f -c %a -- "$root")" -gt 0 ] || trouble full
    trouble no-workspace
  }
  rm -f -- "$probe"
  echo mqi-done
}

# space ROOT: free bytes and inodes of the file system, and what is left of this account's quota where there is one.
verb_space() {
  open_root "$1"
  stat -f -c 'mqi-space %a %S %d %c' -- "$root" || trouble no-workspace
  device=$(df -P -- "$root" | { read -r _ && read -r name _ && echo "$name"; })
  kind=$(stat -f -c %T -- "$root")
  if [ "$kind" = lustre ] && command -v lfs >/dev/null; then
    timeout 20 lfs quota -q -u "$(id -un)" -- "$root" 2>/dev/null | tr -d '\n' | {
      read -r _ used soft limit _ files files_soft files_limit _
      quota_left "$used" "$soft" "$limit" "$files" "$files_soft" "$files_limit"
    }
  elif command -v quota >/dev/null; then
    timeout 20 quota -w -p 2>/dev/null | {
      while read -r name used soft limit _ files files_soft files_limit _; do
        [ "$name" = "$device" ] && quota_left "$used" "$soft" "$limit" "$files" "$files_soft" "$files_limit"
      done
      :
    }
  fi
  echo mqi-done
}

# quota_left USED SOFT LIMIT FILES SOFT LIMIT: blocks have 1024 bytes; a limit of 0 means none, a star marks excess.
quota_left() {
  left=none
  files_left=none
  for number in "${1%\*}" "$2" "$3" "${4%\*}" "$5" "$6"; do
    case "$number" in '' | *[!0-9]*) return 0 ;; esac
  done
  limit=$3
  [ "$limit" -gt 0 ] || limit=$2
  [ "$limit" -eq 0 ] || left=$((limit > ${1%\*} ? limit - ${1%\*} : 0))
  files_limit=$6
  [ "$files_limit" -gt 0 ] || files_limit=$5
  [ "$files_limit" -eq 0 ] || files_left=$((files_limit > ${4%\*} ? files_limit - ${4%\*} : 0))
  echo "mqi-quota $left $files_left"
}

# settled ROOT KEY DIGEST: whether the input is in place already. DIGEST is the sha256 of its SHA256SUMS.
verb_settled() {
  open_root "$1"
  open_case "$2"
  if in_place "$3"; then echo mqi-settled yes; else echo mqi-settled no; fi
}

in_place() {
  [ -e "$case_folder/input" ] || return 1
  [ "$(sha256sum <"$case_folder/input/SHA256SUMS")" = "$1  -" ] || trouble other
}

# settle ROOT KEY DIGEST: verify an upload under its lock and rename it into place. Files that differ are removed, so that
# the next upload replaces them.
verb_settle() {
  open_root "$1"
  open_case "$2"
  hold_stage
  if in_place "$3"; then
    echo mqi-done
    return 0
  fi
  [ -d "$stage" ] && [ ! -L "$stage" ] && cd -- "$stage" || trouble mismatch nothing was uploaded
  [ "$(sha256sum <SHA256SUMS)" = "$3  -" ] || {
    rm -f SHA256SUMS
    trouble mismatch its list of files differs
  }
  # files of the list that differ are removed, so it may name only files in this folder
  ! grep -qvE '^[0-9a-f]{64}  \./[^/\]' SHA256SUMS && ! grep -qE '/\.\.(/|$)|\\|^.{66}\./SHA256SUMS$' SHA256SUMS ||
    trouble mismatch its list names something that is not an input file
  find . -depth -name .rsync-partial -exec rm -rf -- {} +
  odd=$(find . ! -type f ! -type d)
  [ -z "$odd" ] || trouble mismatch it contains something that is not a file
  bad=$(kindly sha256sum -c --strict --quiet SHA256SUMS 2>/dev/null) || {
    printf '%s\n' "$bad" | while IFS= read -r line; do rm -f -- "${line%: FAILED*}"; done
    trouble mismatch files differ or are missing
  }
  [ "$(find . -type f | wc -l)" -eq "$(($(sort -u SHA256SUMS | wc -l) + 1))" ] ||
    trouble mismatch it contains files that are not in its list
  find . -type f -exec sync -- {} + || trouble mismatch it cannot be written to disk
  mkdir -p -- "$case_folder" && cd / && mv -T -- "$stage" "$case_folder/input" && sync -- "$case_folder" || trouble other
  echo mqi-done
}

# hold_stage: take the receiver's lock. On a file system without locks there is nothing to wait for: what is renamed into
# place was verified, and a job verifies it again.
hold_stage() {
  exec 9>>"$stage.lock" || trouble no-workspace
  flock -n -E 75 9
  [ $? -ne 75 ] || trouble busy
}

# remove ROOT KEY: everything of a case: input, runs, staging, and last its gates. Follows no links and stays inside ROOT.
verb_remove() {
  open_root "$1"
  open_case "$2"
  hold_stage
  for path in "$case_folder" "$stage"; do
    [ ! -L "$path" ] || trouble not-ours a case is a link
    rm -rf --one-file-system -- "$path" || trouble not-written
  done
  rm -rf --one-file-system -- "$root/gates/$key-"* "$root/gates/.$key-"* || trouble not-written
  rm -f -- "$stage.lock"
  echo mqi-done
}

# left ROOT: the keys of the cases stored here, each with its age in days.
verb_left() {
  open_root "$1"
  now=$(date +%s)
  for path in "$root/cases"/* "$root/staging"/*; do
    [ -d "$path" ] && [ ! -L "$path" ] || continue
    changed=$(stat -c %Y -- "$path") || continue
    echo "mqi-left ${path##*/} $(((now - changed) / 86400))"
  done
  echo mqi-done
}

# runs ROOT KEY: the tokens of a case that have a gate here, or were submitted to a scheduler.
verb_runs() {
  open_root "$1"
  open_case "$2"
  for path in "$root/gates/$key-"* "$case_folder/runs/.$key-"*.tried; do
    is_there "$path" || continue
    one=${path##*/}
    one=${one#.}
    echo "mqi-run ${one%.tried}"
  done
  echo mqi-done
}
