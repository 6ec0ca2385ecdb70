#!/bin/sh
# Run unit tests side by side: tools/unit.sh PROGRAM…
#
# Prints a line for each that passes, and the output of each that fails. They mostly wait, so more of
# them run at once than there are cores.
set -u

if [ "$1" = --one ]; then
	if said=$("$2" 2>&1); then
		echo "  PASS  ${2##*/}: $(printf '%s\n' "$said" | grep -c '^\[       OK \]') tests"
		exit 0
	fi
	printf '%s\n  FAIL  %s\n' "$said" "$2"
	exit 1
fi

printf '%s\n' "$@" | xargs -P "$(($(nproc) * 4))" -n 1 "$0" --one
case $? in
0) ;;
*)
	echo "unit: some failed: look for FAIL above" >&2
	exit 1
	;;
esac
