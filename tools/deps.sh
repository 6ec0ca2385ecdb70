#!/bin/sh
# Install the Debian packages that are missing: tools/deps.sh [--quiet] SET…
#
# The sets are build, www, demo, bundle, check, bench, soak, lint and fuzz. Where nothing is missing it says nothing and
# changes nothing. --quiet hides what apt-get says, unless it fails.
set -eu

# What is needed, and the package that has it. Each need is tested directly, not as a package, so that one
# built by hand, or of another name, counts: a program; a library known to pkg-config; a file; a part of
# clang's runtime, in the folder that clang names. libc6-dev and ca-certificates are only recommended by gcc
# and curl, but without them gcc compiles nothing, and curl trusts no server.
needs() {
	case $1 in
	build) cat <<-'END' ;;
		program gcc gcc
		program make make
		program pkg-config pkg-config
		file /usr/include/stdio.h libc6-dev
		library fcgi libfcgi-dev
		library libcurl libcurl4-openssl-dev
		library json-c libjson-c-dev
		library sqlite3 libsqlite3-dev
		library libcrypto libssl-dev
	END
	www) cat <<-'END' ;;
		program node nodejs
		program npm npm
	END
	demo) cat <<-'END' ;;
		program lighttpd lighttpd
		program curl curl
		file /etc/ssl/certs/ca-certificates.crt ca-certificates
	END
	bundle) cat <<-'END' ;;
		program mandoc mandoc
	END
	check) cat <<-'END' ;;
		program lighttpd lighttpd
		program nginx nginx-light
		program apache2 apache2-bin
		file /usr/lib/apache2/modules/mod_fcgid.so libapache2-mod-fcgid
		program fcgiwrap fcgiwrap
		program curl curl
		program openssl openssl
		program sqlite3 sqlite3
		program systemd-analyze systemd
		program node nodejs
		program npm npm
		program chromium-headless-shell chromium-headless-shell
		library cmocka libcmocka-dev
		file /usr/lib/python3/dist-packages/prometheus_client/parser.py python3-prometheus-client
	END
	bench) cat <<-'END' ;;
		program wrk wrk
		program gnuplot gnuplot-nox
		program nginx nginx-light
		program sqlite3 sqlite3
		program node nodejs
		program npm npm
		program php-cgi php-cgi
		file /usr/sbin/php-fpm* php-fpm
		php curl php-curl
		php pdo_sqlite php-sqlite3
	END
	soak) cat <<-'END' ;;
		program valgrind valgrind
	END
	lint) cat <<-'END' ;;
		program clang-format clang-format
		program clang-tidy clang-tidy
		program mandoc mandoc
	END
	fuzz) cat <<-'END' ;;
		program clang clang
		clang-runtime fuzzer libclang-rt-dev
	END
	*)
		echo "usage: tools/deps.sh [--quiet] build|www|demo|bundle|check|bench|soak|lint|fuzz…" >&2
		return 2
		;;
	esac
}

have() {
	case $1 in
	program) command -v "$2" ;;
	library) pkg-config --exists "$2" ;;
	# shellcheck disable=SC2086 # a pattern
	file) ls -d $2 ;;
	php) php-cgi -m | grep -qx "$2" ;;
	clang-runtime) ls "$(clang --print-runtime-dir)"/libclang_rt."$2"*.a ;;
	esac >/dev/null 2>&1
}

# Print the packages that are missing for these sets, each once, in one line.
missing() {
	for set in "$@"; do
		needs "$set"
	done | sort -u | while read -r kind name package; do
		have "$kind" "$name" || printf '%s ' "$package"
	done
}

can_sudo() {
	command -v sudo >/dev/null && { [ -t 0 ] || sudo -n true 2>/dev/null; }
}

give_up() {
	echo "deps: $1; please install these (Debian's names), then run this again:" >&2
	echo "$2" >&2
	exit 1
}

quiet=
if [ "${1-}" = --quiet ]; then
	quiet=--quiet
	shift
fi
[ $# -gt 0 ] || needs ''
for set in "$@"; do
	needs "$set" >/dev/null
done

# Web servers are in sbin, which a user's PATH need not have.
PATH=$PATH:/usr/local/sbin:/usr/sbin:/sbin

packages=$(missing "$@")
[ -n "$packages" ] || exit 0
sudo=
if ! command -v apt-get >/dev/null; then
	give_up "there is no apt-get here" "$packages"
elif [ "$(id -u)" -ne 0 ]; then
	can_sudo || give_up "this needs root, or sudo" "$packages"
	sudo=sudo
fi

echo "deps: installing $packages" >&2
# shellcheck disable=SC2086 # several words, or none
$sudo "$(dirname "$0")/apt-install.sh" $quiet $packages || give_up "that did not work" "$packages"

packages=$(missing "$@")
[ -z "$packages" ] || give_up "apt-get is content, and still something is missing" "$packages"
