# For tests in a Debian of their own, which source this in the project's folder; `test` is the test's name.
# They need root, and a Debian mirror.

fail() {
	echo "$test: $1" >&2
	exit 1
}

# Start this script again in a mount namespace, with a scratch folder as its argument. Its mounts vanish with
# it, however it ends, and then the folder can be removed.
start_again() {
	[ "$(id -u)" -eq 0 ] || fail "this needs root, for debootstrap"
	command -v debootstrap >/dev/null || tools/apt-install.sh debootstrap
	scratch=$(mktemp -d)
	trap 'rm -rf --one-file-system "$scratch"' EXIT
	trap 'exit 1' HUP INT TERM
	chmod 711 "$scratch"
	unshare --mount "$1" "$scratch"
	exit
}

# The mirror in apt's configuration; empty: debootstrap's own choice.
mirror() {
	apt-get indextargets --format '$(CODENAME) $(COMPONENT) $(REPO_URI)' 'Created-By: Packages' |
		sed -n "s/^$(this_codename) main //p" | head -n 1
}

this_codename() {
	. /etc/os-release && echo "$VERSION_CODENAME"
}

# Install Debian $2 in the folder $1, with the packages $3, separated by commas; "": none.
make_debian() {
	# shellcheck disable=SC2046 # one word, or none
	debootstrap --variant=minbase ${3:+"--include=$3"} "$2" "$1" $(mirror) >"$log" 2>&1 ||
		{ cat "$log"; fail "debootstrap failed"; }
	# Tests that mount something need a / that is a mount point.
	mount --bind "$1" "$1"
	mount -t proc proc "$1/proc"
}
