# Sourced by prepare.sh: the required system programs, and how to install them.
# shellcheck shell=bash disable=SC2034,SC2154

# package:program; sshd is in /usr/sbin, which is not in every user's PATH.
run_needs=(openssh-client:ssh rsync:rsync util-linux:flock)
demo_needs=("${run_needs[@]}" openssh-server:sshd util-linux:setsid procps:ps)
test_needs=("${demo_needs[@]}" busybox:busybox dicom3tools:dciodvfy shellcheck:shellcheck prometheus:promtool
    systemd:systemd-analyze fuse3:fusermount3)
long_needs=("${test_needs[@]}" plastimatch:plastimatch)
browser_needs=("${test_needs[@]}" chromium:chromium chromium-driver:chromedriver)
slurm_needs=("${test_needs[@]}" slurmctld:slurmctld slurmd:slurmd slurm-client:sbatch slurmdbd:slurmdbd munge:munged
    mariadb-server:mariadbd)

# missing_packages MODE: print each missing package once. Debian packages venv and its pip separately from Python.
missing_packages() {
    local need needs="$1_needs[@]" found
    for need in "${!needs}"; do
        PATH="$PATH:/usr/sbin:/sbin" command -v "${need#*:}" >/dev/null || printf '%s\n' "${need%%:*}"
    done | sort -u
    has_bundle || venv_ready "$1" || ! found=$(find_python) || "$found" -c 'import ensurepip' 2>/dev/null || printf 'python3-venv\n'
}

# install_packages PACKAGE...: as root on Debian. Write nothing into the checkout, which may belong to a user.
install_packages() {
    local report package
    command -v apt-get >/dev/null || fail "this is not Debian: install these packages or their equivalents: $*"
    say "set-up: installing Debian packages: $*"
    report=$(mktemp)
    if ! { apt-get -q update && DEBIAN_FRONTEND=noninteractive apt-get -q install -y --no-install-recommends "$@"; } \
        >"$report" 2>&1 </dev/null; then
        tail -n 30 "$report" >&2
        fail "apt-get failed (full log: $report)"
    fi
    rm -f "$report"
    for package in "$@"; do
        case "$package" in
        openssh-server) leave_off ssh.socket ssh.service ;;
        mariadb-server | prometheus) leave_off "${package%-server}.service" ;;
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
