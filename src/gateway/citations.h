/*
 * What an answer cites. Its annotations name sources (files and web pages) and the ranges of the
 * text that refer to them. A source has one number and one footnote, however often it is cited.
 * Only for src/gateway/.
 */
#ifndef GATEWAY_CITATIONS_H
#define GATEWAY_CITATIONS_H

#include "text/buf.h"
#include "text/json.h"

struct citations {
	/*
	 * {index, type, file_id or url, name, quote} of each source, from index 1 on. `name` is
	 * null if no annotation gave one: see names.h.
	 */
	struct json_object *list;
	struct json_object *known; /* source → number */
};

void citations_init(struct citations *citations);
void citations_free(struct citations *citations);

/*
 * Returns the text with "[n]" in place of the ranges that its annotations mark. `annotations` is an
 * array, or NULL; numbering continues from earlier calls. Time and output are bounded by the length
 * of the input, whatever the annotations say. The caller frees; NULL: no memory.
 */
char *citations_mark(
    struct citations *citations, const char *words, struct json_object *annotations);

/* Appends the footnotes of a list, one a line, after a blank line; nothing if the list is empty. */
void citations_print(struct json_object *list, struct buf *out);

/*
 * Foreign text as a JSON string of one line: control characters and line breaks become blanks. At
 * most `len_max` bytes.
 */
struct json_object *citations_line(const char *text, size_t len_max);

enum { CITATION_NAME_MAX = 512 }; /* bytes */

#endif
