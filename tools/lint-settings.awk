# Settings stand in two places, which must say the same: the table in src/config.c, and their manual
# page. Names, defaults, ranges and words are compared. The files are src/config.c, then the page.

function complain(name, what) {
	printf "man/assistants-fcgi.conf.5: %s: %s\n", name, what
	failed = 1
}

# A row of the table: {"NAME", parse_it, FIELD(member), "default" or NULL, min, max, {words}}
function read_row(row,    part) {
	split(row, part, /", |, /)
	name = substr(part[1], 3)
	names[name] = 1
	default_of[name] = part[4]
	gsub(/"/, "", default_of[name])
	gsub(/1LL << 30/, 1073741824, row)
	if (match(row, /[0-9]+, [0-9]+, \{/)) {
		split(substr(row, RSTART, RLENGTH), part, ", ")
		if (part[2] > 0)
			range_of[name] = "from " part[1] " to " part[2]
	} else
		complain(name, "its bounds in src/config.c are no plain numbers")
	match(row, /\{[^{]*$/)
	words_of[name] = substr(row, RSTART)
}

# Whether the entry has these words, and not just their beginning.
function says(words) {
	return (at = index(entry, words)) > 0 && substr(entry, at + length(words), 1) !~ /[0-9A-Za-z]/
}

# An entry of the page: what is wrong with it.
function check_entry(name,    word, n, i) {
	if (!(name in names))
		return complain(name, "there is no such setting")
	seen[name] = 1
	if (default_of[name] == "NULL")
		default_of[name] = "none"
	if (!says("default: " default_of[name]))
		complain(name, "default: " default_of[name] " is missing")
	if (!says(range_of[name]))
		complain(name, range_of[name] " is missing")
	n = split(words_of[name], word, "\"")
	for (i = 2; i <= n; i += 2)
		if (index(entry " ", " " word[i] " ") == 0)
			complain(name, "the word " word[i] " is missing")
}

FNR == 1 { file++ }

file == 1 && /^static const struct setting settings\[\]/ { table = 1; next }
file == 1 && table && /^};/ {
	table = 0
	while (match(rows, /\{"[A-Z_]+", [^{}]*\{[^}]*\}\}/)) {
		read_row(substr(rows, RSTART, RLENGTH))
		rows = substr(rows, RSTART + RLENGTH)
	}
}
file == 1 && table { gsub(/[ \t]+/, " "); rows = rows $0 }

# The page's macros are dropped, and what stands behind a macro's text with a blank.
file == 2 && (/^\.It Ev / || /^\.Sh/) && current { check_entry(current); current = "" }
file == 2 && /^\.It Ev / { current = $3; entry = ""; next }
file == 2 && current {
	sub(/^\.[A-Z][a-z]+ /, "")
	sub(/ [.,;:]$/, "")
	entry = entry " " $0
}

END {
	for (name in names)
		if (!(name in seen))
			complain(name, "the setting is missing")
	exit failed
}
