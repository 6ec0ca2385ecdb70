#!/bin/sh
# Formatting, clang-tidy, the documents, and the project's own rules. Prints what is wrong, and only that.
set -u
cd "$(dirname "$0")/.." || exit 1

# The project's own files named $1 below the given folders.
files() {
	pattern=$1
	shift
	find "$@" -name node_modules -prune -o -type f -name "$pattern" -print | sort
}

check_format() {
	files '*.[ch]' src tests | xargs clang-format --dry-run -Werror
}

# On standard error clang-tidy only counts what it suppresses.
check_tidy() {
	# Without the flags and the job server of a make that may have started this.
	flags=$(MAKEFLAGS='' make -s compiler-flags) || return 1
	# shellcheck disable=SC2086,SC2016 # the flags are several words; $0 and $@ are the inner shell's
	files '*.c' src | xargs -P "$(nproc)" -I '{}' sh -c '
		said=$(clang-tidy --quiet "$0" -- "$@" 2>/dev/null) ||
			{ echo "${said:-clang-tidy failed on $0}"; exit 1; }' '{}' $flags
}

check_man() {
	mandoc -T lint -W warning man/*
}

check_settings() {
	awk -f tools/lint-settings.awk src/config.c man/assistants-fcgi.conf.5
}

# The changelog's newest version is the Makefile's.
check_version() {
	made=$(sed -n 's/^VERSION := //p' Makefile)
	told=$(sed -n 's/^## \[\(.*\)\].*/\1/p' CHANGELOG.md | head -n 1)
	[ "$made" = "$told" ] || { echo "CHANGELOG.md: the newest version is $told, the Makefile's $made"; return 1; }
}

check_documents() {
	bad=0
	awk -v limits=1 -f tools/sentences.awk README.md SECURITY.md CHANGELOG.md docs/*.md || bad=1
	[ "$(wc -l <README.md)" -le 150 ] || { echo 'README.md: more than 150 lines'; bad=1; }
	# Links between the documents.
	for page in README.md SECURITY.md docs/*.md; do
		for link in $(grep -oE '\]\([^):#]+[)#]' "$page" | tr -d '](#)'); do
			[ -e "$(dirname "$page")/$link" ] || { echo "$page: there is no $link"; bad=1; }
		done
	done
	return "$bad"
}

check_functions() {
	files '*.c' src tests | xargs awk -f tools/lint-functions.awk
}

check_includes() {
	files '*.[ch]' src | xargs awk -f tools/lint-includes.awk
}

# The references between object files.
check_circles() {
	MAKEFLAGS='' make -s all >/dev/null || return 1
	files '*.c' src | sed -e 's#^#build/release/#' -e 's#c$#o#' | xargs nm -A | awk -f tools/lint-circles.awk
}

# The brackets keep this line from finding itself.
check_leftovers() {
	! files '*' src tests tools bundle examples man .ci | xargs grep -nwE 'TO[D]O|FIX[M]E' Makefile README.md www/*.*
}

check_shell() {
	bad=0
	for script in $(files '*' tools tests .ci); do
		case $(head -n 1 "$script" | tr -d '\0') in
		'#!'*bash) bash -n "$script" || bad=1 ;;
		'#!'*sh) sh -n "$script" || bad=1 ;;
		esac
	done
	return "$bad"
}

failed=0
check_format || failed=1
check_tidy || failed=1
check_man || failed=1
check_settings || failed=1
check_version || failed=1
check_documents || failed=1
check_functions || failed=1
check_includes || failed=1
check_circles || failed=1
check_leftovers || failed=1
check_shell || failed=1
exit $failed
