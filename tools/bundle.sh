#!/bin/sh
# Pack the program for shared hosts: tools/bundle.sh PROGRAM FOLDER
#
# PROGRAM is one that looks for its libraries in lib/ beside itself. They come along, all but glibc's
# own: a host has its own glibc, and how programs start, names are resolved and users are found there
# depends on it. The archive goes to FOLDER/assistants-fcgi-VERSION-ARCH.tar.gz.
set -eu

[ $# -eq 2 ] || { echo "usage: tools/bundle.sh PROGRAM FOLDER" >&2; exit 2; }
program=$(realpath "$1")
folder=$(realpath "$2")
cd "$(dirname "$0")/.."

scratch=$(mktemp -d)
trap 'rm -rf "$scratch"' EXIT
trap 'exit 1' HUP INT TERM
top=$scratch/assistants-fcgi
web=$top/assistant

fail() {
	echo "bundle: $1" >&2
	exit 1
}

# The paths of all shared libraries that the program needs, directly or not.
libraries() {
	ldd "$program" >"$scratch/ldd"
	! grep 'not found' "$scratch/ldd" >&2 || fail "a library is missing"
	sed -n 's/.* => \(\/[^ ]*\) .*/\1/p' "$scratch/ldd"
}

# Find the Debian package of each library in $scratch/libraries.
find_packages() {
	while read -r library; do
		file=$(realpath "$library")
		# Older packages have /usr/lib under its other name, /lib.
		printf '%s\n%s\n' "$file" "${file#/usr}"
	done <"$scratch/libraries" | xargs dpkg-query --search >"$scratch/packages" 2>/dev/null ||
		true # one name of the two is always unknown
}

# The package of library $1.
package_of() {
	file=$(realpath "$1")
	awk -v file="$file" -v older="${file#/usr}" '
		$NF == file || $NF == older { sub(/[:,].*/, ""); print; exit }' "$scratch/packages" |
		grep . || fail "$1 is in no Debian package, so its licence is unknown"
}

copy_libraries() {
	libraries >"$scratch/libraries"
	find_packages
	while read -r library; do
		package=$(package_of "$library")
		[ "$package" != libc6 ] || continue
		install -m 0644 "$library" "$web/lib/"
		install -m 0644 "/usr/share/doc/$package/copyright" "$top/licenses/$package"
	done <"$scratch/libraries"
	# Debian's files refer to well-known licences instead of repeating them.
	grep -oh '/usr/share/common-licenses/[A-Z][A-Za-z0-9.-]*[A-Za-z0-9]' "$top"/licenses/* |
		sort -u | xargs install -m 0644 -t "$top/licenses"
}

# The newest version of glibc that the program and its libraries need.
oldest_glibc() {
	objdump -p "$web/assistants.fcgi" "$web"/lib/* | sed -n 's/.* GLIBC_\([0-9.]*\)$/\1/p' |
		sort -uV | tail -n 1
}

# A fixed time, so that packing a release again makes the same archive.
release_time() {
	echo "${SOURCE_DATE_EPOCH:-$(git log -1 --format=%ct 2>/dev/null || stat -c %Y README.md)}"
}

mkdir -p "$web/lib" "$top/licenses" "$top/docs"
install -m 0755 -s "$program" "$web/assistants.fcgi"
install -m 0644 cgi-bin/.htaccess "$web/"
copy_libraries
tools/copy-page.sh "$web/chat"
install -m 0644 www/deep-chat/LICENSES "$top/licenses/deep-chat"
install -m 0644 LICENSE README.md CHANGELOG.md SECURITY.md bundle/config examples/assistant.json "$top/"
install -m 0644 docs/* "$top/docs/"
mandoc -T markdown man/assistants-fcgi.conf.5 >"$top/SETTINGS.md"

version=$("$program" --version | sed 's/.* //')
arch=$(uname -m)
glibc=$(oldest_glibc)
sed -e "s/@VERSION@/$version/g" -e "s/@ARCH@/$arch/g" -e "s/@GLIBC@/$glibc/g" bundle/INSTALL >"$top/INSTALL"

# The oldest form of tar that suffices, because any file manager may unpack it.
archive=$folder/assistants-fcgi-$version-$arch.tar.gz
tar -C "$scratch" -cf "$scratch/tar" --format=ustar --sort=name --mtime="@$(release_time)" \
	--owner=0 --group=0 --numeric-owner --mode=u=rwX,go=rX assistants-fcgi
gzip -n <"$scratch/tar" >"$scratch/tar.gz"
install -m 0644 "$scratch/tar.gz" "$archive"
echo "$archive, $(du -h "$archive" | cut -f1): runs on $arch with glibc $glibc or newer"
