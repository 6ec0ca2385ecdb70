#!/bin/sh
# Run the fuzz programs of build/fuzz, FUZZ_SECONDS (60) each, two at once: tools/fuzz.sh [PROGRAM…]
#
# A line for each tells how far it came; libFuzzer's own words go to build/fuzz/PROGRAM.log. What
# reached new code is kept in build/fuzz/corpus, and is where the next run begins. Exit status 1 when
# there is a finding: a wrong answer, a crash, a leak, an input that is slow or takes much memory.
set -eu
cd "$(dirname "$0")/.."

dir=build/fuzz
timeout_s=20
rss_mb=2048

fuzz_one() {
	name=$1
	log=$dir/$name.log
	dict=tests/fuzz/corpus/$name.dict
	mkdir -p "$dir/corpus/$name"
	set -- "-artifact_prefix=$dir/$name-" "-max_total_time=${FUZZ_SECONDS:-60}" \
		"-timeout=$timeout_s" "-rss_limit_mb=$rss_mb" -print_final_stats=1
	[ ! -e "$dict" ] || set -- "$@" "-dict=$dict"
	# What the program logs is not looked at, and goes nowhere.
	if "$dir/$name" "$@" -close_fd_mask=3 "$dir/corpus/$name" "tests/fuzz/corpus/$name" \
		>"$log" 2>&1 </dev/null; then
		runs=$(sed -n 's/^stat::number_of_executed_units: *//p' "$log")
		edges=$(sed -n 's/.* cov: \([0-9]*\) .*/\1/p' "$log" | tail -n 1)
		echo "fuzz: $name: nothing found in $runs inputs, $edges edges of the code reached"
		return
	fi
	{
		echo "fuzz: $name: a finding; from $log:"
		# Without the input, which is not made for terminals.
		sed -n '/FINDING: \|ERROR: \|runtime error: /,/^SUMMARY: /p' "$log" | cut -c -200 |
			head -n 40 | cat -v
		grep -aq 'FINDING: \|ERROR: \|runtime error: ' "$log" || tail -n 5 "$log"
		input=$(sed -n 's/.*Test unit written to //p' "$log" | tail -n 1)
		echo "fuzz: $name: to repeat: $dir/$name ${input:-(no input was written)}"
	} >&2
	return 1
}

if [ "${1-}" = --one ]; then
	fuzz_one "$2"
	exit
fi

# shellcheck disable=SC2012,SC2046 # plain names, several words
[ $# -gt 0 ] || set -- $(ls tests/fuzz/*.c | sed -n '/support\.c$/!s,.*/\(.*\)\.c$,\1,p')

# The databases: in memory where that can be had, and gone afterwards.
scratch=$(mktemp -d -p /dev/shm 2>/dev/null || mktemp -d)
trap 'rm -rf "$scratch"' EXIT
trap 'exit 1' HUP INT TERM
export TMPDIR="$scratch"
# Lines of the source in a finding, where llvm-symbolizer is not there.
export ASAN_OPTIONS=allow_addr2line=1

printf '%s\n' "$@" | xargs -P 2 -I '{}' tools/fuzz.sh --one '{}' || exit 1
