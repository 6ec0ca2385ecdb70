#!/bin/sh
# Run the fuzz programs of build/fuzz, FUZZ_SECONDS (60) each, two at once: tools/fuzz.sh [PROGRAM…]
#
# Prints a line for each; libFuzzer's output goes to build/fuzz/PROGRAM.log. Inputs that reached new
# code are kept in build/fuzz/corpus, where the next run begins. The exit status is 1 if there is a
# finding: a wrong answer, a crash, a leak, an input that is slow or needs much memory.
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
	# The program's log goes nowhere.
	if "$dir/$name" "$@" -close_fd_mask=3 "$dir/corpus/$name" "tests/fuzz/corpus/$name" \
		>"$log" 2>&1 </dev/null; then
		runs=$(sed -n 's/^stat::number_of_executed_units: *//p' "$log")
		edges=$(sed -n 's/.* cov: \([0-9]*\) .*/\1/p' "$log" | tail -n 1)
		echo "fuzz: $name: nothing found in $runs inputs, $edges edges of the code reached"
		return
	fi
	{
		echo "fuzz: $name: a finding; from $log:"
		# Without the input, which may upset a terminal.
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

# The databases are in memory, if possible, and removed afterwards.
scratch=$(mktemp -d -p /dev/shm 2>/dev/null || mktemp -d)
trap 'rm -rf "$scratch"' EXIT
trap 'exit 1' HUP INT TERM
export TMPDIR="$scratch"
# Source lines in a finding, if llvm-symbolizer is missing.
export ASAN_OPTIONS=allow_addr2line=1

printf '%s\n' "$@" | xargs -P 2 -I '{}' tools/fuzz.sh --one '{}' || exit 1
