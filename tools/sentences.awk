# How long the sentences of Markdown files are, in words. With -v limits=1 it prints, and fails, only if
# their median passes 16 or their 90th percentile 30. Inline code counts as one word. Code blocks, tables
# and headings do not count; an item of a list ends a sentence.

# A paragraph or item.
function flush(    sentences, words, n, i) {
	gsub(/`[^`]*`/, "code", text)
	gsub(/!?\[/, "", text)
	gsub(/\]\([^)]*\)/, "", text)
	gsub(/<[^>]*>/, "", text)
	n = split(text, sentences, /[.!?][)*"]*( |$)/)
	for (i = 1; i <= n; i++) {
		gsub(/[^[:alnum:] ]/, "", sentences[i])
		if (length(sentences[i]) > 0)
			of_length[split(sentences[i], words, " ")]++
	}
	text = ""
}

# The length that this share of all sentences does not pass.
function percentile(share,    seen, n) {
	for (n = 1; n < 1000; n++) {
		seen += of_length[n]
		if (seen >= total * share)
			return n
	}
}

FNR == 1 { flush(); fenced = 0 }
/^```/ { flush(); fenced = !fenced; next }
fenced || /^[#|]/ || /^ *$/ { flush(); next }
/^ *([-*]|[0-9]+\.) / { flush(); sub(/^ *([-*]|[0-9]+\.) /, "") }
{ text = text " " $0 }

END {
	flush()
	delete of_length[0]
	for (n in of_length)
		total += of_length[n]
	median = percentile(0.5)
	ninetieth = percentile(0.9)
	if (!limits || median > 16 || ninetieth > 30)
		printf "%d sentences: median %d words (at most 16), 90th percentile %d (at most 30)\n",
			total, median, ninetieth
	exit limits && (median > 16 || ninetieth > 30)
}
