#!/bin/sh
# Install Debian packages, as root, and start no service: tools/apt-install.sh [--quiet] PACKAGE…
#
# Debian starts a web server as soon as it is installed, and at each boot. The demo and the tests need
# the program alone, and port 80 may be somebody else's.
set -eu

quiet=
if [ "${1-}" = --quiet ]; then
	quiet=1
	shift
fi

scratch=$(mktemp -d)
policy=/usr/sbin/policy-rc.d
made_policy=

clean_up() {
	rm -rf "$scratch"
	[ -z "$made_policy" ] || rm -f "$policy"
}
trap clean_up EXIT
trap 'exit 1' HUP INT TERM

# Everything to standard error, because the caller may capture standard output.
run() {
	if [ -z "$quiet" ]; then
		"$@" >&2
	elif ! "$@" >"$scratch/log" 2>&1; then
		cat "$scratch/log" >&2
		return 1
	fi
}

# Exit status 101 tells a package's scripts not to start its service. An administrator's own policy is kept.
forbid_starting() {
	[ ! -e "$policy" ] || return 0
	made_policy=1
	printf '#!/bin/sh\nexit 101\n' >"$policy"
	chmod 755 "$policy"
}

# Print the services that the packages would install, in one line.
new_services() {
	for service in lighttpd nginx fcgiwrap; do
		case " $*" in *" $service"*) ;; *) continue ;; esac
		[ -e "/lib/systemd/system/$service.service" ] || printf '%s ' "$service"
	done
}

export DEBIAN_FRONTEND=noninteractive
services=$(new_services "$@")
forbid_starting
# A repository that cannot be reached need not be the one with the packages.
run apt-get -q update || echo "deps: apt-get update failed, trying nevertheless" >&2
run apt-get -q -y -o DPkg::Lock::Timeout=120 --no-install-recommends install "$@"
if [ -n "$services" ] && command -v systemctl >/dev/null; then
	# shellcheck disable=SC2086 # several words
	run systemctl --quiet disable $services
	echo "deps: not started, and not at boot either: $services" >&2
fi
