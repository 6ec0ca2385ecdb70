# No files form a circle: the references between object files, as `nm -A` prints them, must end somewhere.

{
	file = $1
	sub(/:.*/, "", file)
	sub(/^build\/[a-z]+\//, "", file)
	sub(/\.o$/, ".c", file)
	symbol = $NF
	if ($(NF - 1) == "U")
		taken[file, symbol] = 1
	else if ($(NF - 1) ~ /^[TDBRCVW]$/)
		home[symbol] = file
	files[file] = 1
}

END {
	for (pair in taken) {
		split(pair, part, SUBSEP)
		if (part[2] in home && home[part[2]] != part[1])
			arrow[part[1], home[part[2]]] = part[2]
	}
	# A file that refers to none of the remaining ones is in no circle.
	do {
		removed = 0
		for (file in files) {
			free = 1
			for (pair in arrow) {
				split(pair, part, SUBSEP)
				if (part[1] == file && part[2] in files)
					free = 0
			}
			if (free) {
				delete files[file]
				removed = 1
			}
		}
	} while (removed)
	for (pair in arrow) {
		split(pair, part, SUBSEP)
		if (part[1] in files && part[2] in files) {
			printf "%s: in a circle, or above one: it takes %s from %s\n", part[1], arrow[pair], part[2]
			failed = 1
		}
	}
	exit failed
}
