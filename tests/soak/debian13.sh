#!/bin/sh
# Debian 13: no warnings of its compiler, the unit tests with its libraries (json-c 0.18), and some end-to-end
# tests. Needs root, and a Debian mirror.
set -eu
cd "$(dirname "$0")/../.."
test=debian13
. tests/soak/lib-debian.sh

[ $# -gt 0 ] || start_again "$PWD/tests/soak/debian13.sh"
scratch=$1
root=$scratch/root
log=$scratch/log

packages=gcc,make,pkg-config,libc6-dev,libfcgi-dev,libcurl4-openssl-dev,libjson-c-dev,libsqlite3-dev
packages=$packages,libssl-dev,libcmocka-dev,nodejs,nginx-light,sqlite3,openssl
# None that streams with openai 4: Debian's Node 20.19 ends its streams too early.
tests='oddities model status v1-objects'

copy_project() {
	mkdir "$root/project"
	tar -cf - --exclude=./.git --exclude=./build --exclude=./cgi-bin/assistants.fcgi . |
		tar -xf - -C "$root/project"
}

inside() {
	chroot "$root" env -i PATH=/usr/sbin:/usr/bin:/sbin:/bin HOME=/root LC_ALL=C.UTF-8 \
		sh -c "cd /project && $1"
}

make_debian "$root" trixie "$packages"
copy_project
inside 'make -j2 WERROR=-Werror all unit' >"$log" 2>&1 || { tail -n 40 "$log"; fail "make unit failed"; }
files=$(for name in $tests; do printf 'tests/e2e/%s.test.mjs ' "$name"; done)
inside "tools/e2e.sh cgi-bin/assistants.fcgi $files"
echo "debian13: builds without a warning and passes its tests"
