# Includes follow the table below; a library's header is included only by the code that wraps it; each header
# is included by some other file than its own .c. The files are those below src/, named from the project's
# folder.

BEGIN {
	# What a folder may include beside its own headers; files directly in src/ may include everything.
	ground = "os text"
	common = "obs " ground
	may["gateway"] = "http openai records db process net config.h " common
	may["v1"] = "http assistants records blobs net config.h " common
	may["http"] = "net " common
	may["openai"] = "assistants records net " common
	may["assistants"] = "runs hosted records blobs work model db net " common
	may["runs"] = "hosted records work model db " common
	may["hosted"] = "records work model db " common
	may["records"] = "work model db " common
	may["work"] = "db " common
	may["model"] = "net " common
	may["db"] = "schema.inc.h " common
	may["process"] = common
	may["blobs"] = common
	may["net"] = common
	may["obs"] = ground
	may["os"] = "text"
	may["text"] = ""

	home["curl/"] = "src/net/http_client.c"
	home["sqlite3"] = "src/db/"
	home["fcgi"] = "src/http/"
}

function complain(what) {
	printf "%s:%d: %s\n", FILENAME, FNR, what
	failed = 1
}

# The folder in an include's path, or the path itself if there is no folder.
function room(path) {
	return path ~ /\// ? substr(path, 1, index(path, "/") - 1) : path
}

function without_suffix(path) {
	sub(/\.[ch]$/, "", path)
	return path
}

function check_arrow(included,    from, to) {
	from = room(here)
	to = room(included)
	if (from == here || from == to)
		return
	if (!(from in may))
		complain("the folder " from " has no line in tools/lint-includes.awk")
	else if (index(" " may[from] " ", " " to " ") == 0)
		complain(from " may not include " included)
}

function check_home(included,    prefix) {
	for (prefix in home)
		if (index(included, prefix) == 1 && index(FILENAME, home[prefix]) != 1)
			complain("only " home[prefix] " may include <" included ">")
}

FNR == 1 {
	here = substr(FILENAME, length("src/") + 1)
	# Included by the compiler's -include, not by files.
	if (here ~ /\.h$/ && here != "banned.h")
		headers[here] = 1
}

/^[ \t]*#[ \t]*include[ \t]*["<]/ {
	included = $0
	sub(/^[^"<]*["<]/, "", included)
	sub(/[">].*/, "", included)
	check_home(included)
	if ($0 !~ /include[ \t]*"/)
		next
	check_arrow(included)
	if (without_suffix(included) != without_suffix(here))
		used[included] = 1
}

END {
	for (header in headers) {
		if (!(header in used)) {
			printf "src/%s: only its own .c includes it, if any\n", header
			failed = 1
		}
	}
	exit failed
}
