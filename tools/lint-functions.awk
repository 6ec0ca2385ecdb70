# No function has more than 100 lines, from the line with its name to its closing brace. clang-format makes
# sure that a function's name, its opening and its closing brace begin their lines, and that nothing else
# does: a table's brace ends its line.

FNR == 1 { body = 0 }
/^[A-Za-z_].*\(/ && !body { name = $0; first = FNR; sub(/\(.*/, "", name) }
/^\{/ { body = 1 }
/^\}/ && body {
	body = 0
	lines = FNR - first + 1
	if (lines > 100) {
		printf "%s:%d: %s has %d lines, more than 100\n", FILENAME, first, name, lines
		failed = 1
	}
}

END { exit failed }
