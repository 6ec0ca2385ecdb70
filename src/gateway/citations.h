/*
 * What an answer cites. Its annotations tell sources, files and web pages, and where its words mean
 * them; a source has one number and one footnote, however often it is meant. Only for src/gateway/.
 */
#ifndef GATEWAY_CITATIONS_H
#define GATEWAY_CITATIONS_H

#include "text/buf.h"
#include "text/json.h"

struct citations {
	/*
	 * {index, type, file_id or url, name, quote} of each source, index 1 first. `name` is null
	 * where nothing told one: see names.h.
	 */
	struct json_object *list;
	struct json_object *known; /* the numbers, by source */
};

void citations_init(struct citations *citations);
void citations_free(struct citations *citations);

/*
 * The words of a text with "[n]" in place of what its annotations mark, an array, or NULL; the
 * numbers count on. The time this takes, and what it gives, are bounded by the length of what comes
 * in, however the annotations lie. The caller frees; NULL: no memory.
 */
char *citations_mark(
    struct citations *citations, const char *words, struct json_object *annotations);

/* Appends the footnotes of a list, a line each, behind a blank line; nothing where there are none.
 */
void citations_print(struct json_object *list, struct buf *out);

/*
 * Outside words as JSON's string that stays on one line: control characters and line breaks become
 * blanks. At most `len_max` bytes.
 */
struct json_object *citations_line(const char *text, size_t len_max);

enum { CITATION_NAME_MAX = 512 }; /* bytes */

#endif
