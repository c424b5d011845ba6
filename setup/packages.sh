# Sourced by prepare.sh: the required system programs, and how to install them.
# shellcheck shell=bash disable=SC2154

# package:program; sshd is in /usr/sbin, which is not in every user's PATH.
run_needs=(openssh-client:ssh rsync:rsync util-linux:flock)
demo_needs=("${run_needs[@]}" openssh-server:sshd util-linux:setsid procps:ps)
test_needs=("${demo_needs[@]}" busybox:busybox dicom3tools:dciodvfy shellcheck:shellcheck prometheus:promtool
    systemd:systemd-analyze fuse3:fusermount3)
long_needs=("${test_needs[@]}" plastimatch:plastimatch)
browser_needs=("${test_needs[@]}" chromium:chromium chromium-driver:chromedriver)

slurm_needs=(
    "${test_needs[@]}" slurmctld:slurmctld slurmd:slurmd slurm-client:sbatch slurmdbd:slurmdbd munge:munged
    mariadb-server:mariadbd
)

# missing_packages NEED...: print each missing package once.
missing_packages() {
    local need
    for need in "$@"; do
        PATH="$PATH:/usr/sbin:/sbin" command -v "${need#*:}" >/dev/null || printf '%s\n' "${need%%:*}"
    done | sort -u
}

# install_packages PACKAGE...: as root on Debian. Write nothing into the checkout, which may belong to a user.
install_packages() {
    local report
    command -v apt-get >/dev/null || fail "this is not Debian: install these packages or their equivalents: $*"
    say "set-up: installing Debian packages: $*"
    report=$(mktemp)
    if ! { apt-get -q update && DEBIAN_FRONTEND=noninteractive apt-get -q install -y --no-install-recommends "$@"; } \
        >"$report" 2>&1 </dev/null; then
        tail -n 30 "$report" >&2
        fail "apt-get failed (full log: $report)"
    fi
    rm -f "$report"
    local package
    for package in "$@"; do
        case "$package" in
        openssh-server) leave_off ssh.socket ssh.service ;;
        mariadb-server) leave_off mariadb.service ;;
        prometheus) leave_off prometheus.service ;;
        slurmctld | slurmd | slurmdbd | munge) leave_off "$package.service" ;;
        esac
    done
}

# Disable a service that was just installed: the tests start private instances themselves.
leave_off() {
    [ -d /run/systemd/system ] || return 0
    systemctl -q disable --now "$@" 2>/dev/null || true
    say "set-up: disabled the system's own service, which MQI does not need; to enable it: systemctl enable --now $*"
}

# need_packages MODE NEED...: install as root; else print the command for an administrator.
need_packages() {
    local mode="$1" missing
    shift
    mapfile -t missing < <(missing_packages "$@")
    [ "${#missing[@]}" -gt 0 ] || return 0
    if [ "$(id -u)" -eq 0 ] && [ "$mode" != run ]; then
        install_packages "${missing[@]}"
        return 0
    fi
    say "Missing on this machine: ${missing[*]}. An administrator can install them with this command:" >&2
    say "  apt-get install -y --no-install-recommends ${missing[*]}" >&2
    exit 1
}
