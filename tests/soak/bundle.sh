#!/bin/sh
# The bundle on another host: in Debian's smallest installation, without the libraries that the program is
# linked with, it answers CGI requests for an ordinary user. Needs root, and a Debian mirror.
set -eu
cd "$(dirname "$0")/../.."

test=bundle
. tests/soak/lib-debian.sh

if [ $# -eq 0 ]; then
	make all bundle
	start_again "$PWD/tests/soak/bundle.sh"
fi
scratch=$1
root=$scratch/root
log=$scratch/log
program=/home/me/public_html/assistant/assistants.fcgi

make_host() {
	make_debian "$root" "$(this_codename)" ''
	chroot "$root" useradd --create-home me
}

as_me() {
	chroot --userspec=me:me "$root" env -i "$@"
}

unpack() {
	# The newest, if there are several versions.
	cp "$(ls -t build/assistants-fcgi-*.tar.gz | head -n 1)" "$root/home/me/archive"
	as_me HOME=/home/me sh -c 'cd && umask 022 && tar -xzf archive && mkdir public_html &&
		mv assistants-fcgi/assistant public_html'
}

assert_lacks_libraries() {
	install cgi-bin/assistants.fcgi "$root/tmp/"
	for name in libfcgi libcurl libjson-c libsqlite3 libcrypto; do
		chroot "$root" ldd /tmp/assistants.fcgi | grep -q "$name.* => not found" ||
			fail "this host has $name"
	done
}

# All libraries come along, except glibc's.
assert_uses_own_libraries() {
	as_me ldd "$program" >"$log"
	! grep 'not found' "$log" || fail "a library is missing"
	! grep ' => ' "$log" | grep -v " => ${program%/*}/lib/" |
		grep -Ev '/lib(c|m|resolv|dl|rt|pthread)\.so\.[0-9]+ ' || fail "that is the host's"
}

# Answer one request, METHOD PATH BODY, in at most LIMIT KiB of address space.
request() {
	printf %s "$4" | as_me GATEWAY_INTERFACE=CGI/1.1 REQUEST_METHOD="$2" PATH_INFO="$3" \
		CONTENT_LENGTH="${#4}" sh -c "ulimit -v $1 && exec $program" 2>>"$log" | tr -d '\r'
}

# The same, whose answer has the status $1; prints the body.
body() {
	status=$1
	shift
	request "$@" >"$scratch/answer"
	grep -q "^Status: $status " "$scratch/answer" ||
		{ cat "$scratch/answer" "$log" >&2; fail "$2 $3 did not answer $status"; }
	sed '1,/^$/d' "$scratch/answer"
}

converse() {
	: >"$log"
	body 200 "$1" GET /health '' >/dev/null
	thread=$(body 201 "$1" POST /threads '')
	answer=$(body 200 "$1" POST "/threads/$thread/messages" 'I feel tired')
	transcript=$(body 200 "$1" GET "/threads/$thread/messages" '')
	[ "$transcript" = "$(printf 'user: I feel tired\n\nassistant: %s' "$answer")" ] ||
		fail "the conversation is: $transcript"
	! grep -v '"level":"info"' "$log" || fail "that stands in the log"
}

make_host
unpack
assert_lacks_libraries
assert_uses_own_libraries
converse unlimited
converse 1000000
echo "bundle: answers in Debian's smallest installation, as an ordinary user"
