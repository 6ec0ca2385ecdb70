# Prints compile_commands.json: the flags are read, one a line; the files' names are in `files`.

function quoted(text) {
	gsub(/["\\]/, "\\\\&", text)
	return "\"" text "\""
}

{ flags = flags ", " quoted($0) }

END {
	len = split(files, file, " ")
	for (i = 1; i <= len; i++)
		printf "%s{\"directory\": %s, \"file\": %s, \"arguments\": [%s%s, \"-c\", %s]}", (i > 1 ? ",\n" : "[\n"),
			quoted(folder), quoted(file[i]), quoted(compiler), flags, quoted(file[i])
	print "\n]"
}
