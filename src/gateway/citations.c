#include "gateway/citations.h"

#include "net/http_client.h"
#include "text/memory.h"
#include "text/text.h"

enum {
	STRIDE = 256, /* characters between two remembered offsets */
	/*
	 * Bounds the search for markers that no offset leads to: bytes for each byte of the text,
	 * and a minimum that is enough for any answer not made to be slow.
	 */
	SEARCH_FACTOR = 32,
	SEARCH_MIN = 4 << 20,
	SEARCH_STEP = 64 /* the least that one search costs */
};

void
citations_init(struct citations *citations)
{
	*citations = (struct citations){.list = json_new_array(), .known = json_new_object()};
}

void
citations_free(struct citations *citations)
{
	json_object_put(citations->list);
	json_object_put(citations->known);
}

/* --- sources --- */

/*
 * The length of the control character at `at`: C0, C1, or one of Unicode's that break lines or
 * change the direction of text, which would reorder what is read. 0: none.
 */
static size_t
control_len(const char *at)
{
	const unsigned char *byte = (const unsigned char *)at;

	if (byte[0] < ' ' || byte[0] == 0x7f)
		return 1;
	if (byte[0] == 0xc2 && byte[1] >= 0x80 && byte[1] <= 0x9f)
		return 2;
	/* U+2028 to U+202E, U+2066 to U+2069 */
	if (byte[0] == 0xe2 && byte[1] == 0x80 && byte[2] >= 0xa8 && byte[2] <= 0xae)
		return 3;
	if (byte[0] == 0xe2 && byte[1] == 0x81 && byte[2] >= 0xa6 && byte[2] <= 0xa9)
		return 3;
	return 0;
}

struct json_object *
citations_line(const char *text, size_t len_max)
{
	struct buf line = BUF_INIT(len_max < INT32_MAX ? len_max : INT32_MAX);
	const char *end = text + strlen(text);
	struct json_object *string;

	while (text < end && !line.failed) {
		size_t control = control_len(text);
		size_t len = utf8_sequence_len((const unsigned char *)text, (size_t)(end - text));

		buf_append(&line, control || !len ? " " : text, control || !len ? 1 : len);
		text += control ? control : len ? len : 1;
	}
	string = json_object_new_string_len(line.data ? line.data : "", (int)line.len);
	buf_free(&line);
	return string;
}

/*
 * A member of the annotation. The Assistants API has it in an object below, named like the
 * annotation's type; the Responses API has it in the annotation itself.
 */
static struct json_object *
member(struct json_object *annotation, const char *key)
{
	const char *type = json_get_string(annotation, "type");
	struct json_object *value = type ? json_get(json_get(annotation, type), key) : NULL;

	return value ? value : json_get(annotation, key);
}

/* The member if it is not blank, else NULL. */
static const char *
member_words(struct json_object *annotation, const char *key)
{
	struct json_object *value = member(annotation, key);
	const char *words =
	    json_object_is_type(value, json_type_string) ? json_object_get_string(value) : NULL;

	return words && !text_is_blank(words) ? words : NULL;
}

/* Whether the URL may be shown: a page may make a link of it. */
static bool
is_shown_url(const char *url)
{
	for (const char *at = url; *at; at++)
		if (control_len(at) > 0)
			return false;
	return http_url_valid(url);
}

struct source {
	const char *file, *url, *name, *quote; /* NULL: not given */
};

/* False: the annotation cites nothing. */
static bool
read_source(struct json_object *annotation, struct source *source)
{
	const char *file = member_words(annotation, "file_id");
	const char *url = file ? NULL : member_words(annotation, "url");

	*source = (struct source){
	    .file = file,
	    .url = url && is_shown_url(url) ? url : NULL,
	    .name = member_words(annotation, url ? "title" : "filename"),
	    .quote = member_words(annotation, "quote"),
	};
	return file || source->url || source->name;
}

static struct json_object *
new_citation(struct json_object *annotation, const struct source *source, size_t index)
{
	struct json_object *citation = json_new_object();

	json_set_int(citation, "index", (long long)index);
	json_set_string(citation, "type", json_get_string(annotation, "type"));
	if (source->file)
		json_set_string(citation, "file_id", source->file);
	else
		json_set_string(citation, "url", source->url);
	json_set(citation, "name",
	    source->name ? citations_line(source->name, CITATION_NAME_MAX) : NULL);
	json_set(citation, "quote", source->quote ? citations_line(source->quote, SIZE_MAX) : NULL);
	return citation;
}

/* The number of the annotation's source; a new source gets a new number. 0: it cites nothing. */
static size_t
number_of(struct citations *citations, struct json_object *annotation)
{
	struct source source;
	const char *id, *quote;
	size_t number;
	char *key;

	if (!read_source(annotation, &source))
		return 0;
	id = source.file ? source.file : source.url ? source.url : source.name;
	quote = source.quote ? source.quote : "";
	if (asprintf(&key, "%c%zu %s%s", source.file ? 'f' : 'u', strlen(id), id, quote) < 0) {
		memory_fail();
		return 0;
	}
	number = (size_t)json_get_int(citations->known, key, 0);
	if (number == 0) {
		number = json_len(citations->list) + 1;
		json_add(citations->list, new_citation(annotation, &source, number));
		json_set_int(citations->known, key, (long long)number);
	} else if (source.name && !json_get(json_at(citations->list, number - 1), "name")) {
		json_set(json_at(citations->list, number - 1), "name",
		    citations_line(source.name, CITATION_NAME_MAX));
	}
	free(key);
	return number;
}

/* --- places --- */

/* A range of the text that a number replaces, in bytes. */
struct place {
	size_t start, end;
	size_t number;
	size_t order; /* the annotation's index */
	const char *marker;
};

struct text {
	const char *words;
	size_t len, chars;
	size_t *offsets;  /* the byte offset of each STRIDEth character */
	char *taken;      /* 1 for each byte in a place */
	struct place *at; /* where numbers are inserted */
	size_t at_len;
	struct place *lost; /* annotations whose offsets did not lead to their markers, in order */
	size_t lost_len;
	struct json_object *searched; /* marker → how far the text was searched for it */
	size_t search_left;           /* bytes */
};

static bool
is_inner_byte(char byte)
{
	return (byte & 0xc0) == 0x80;
}

static int
text_init(struct text *text, const char *words, size_t annotations)
{
	size_t len = strlen(words), chars = utf8_chars(words), at = 0;

	*text = (struct text){
	    .words = words,
	    .len = len,
	    .chars = chars,
	    .offsets = calloc(chars / STRIDE + 1, sizeof *text->offsets),
	    .taken = calloc(len + 1, 1),
	    .at = calloc(annotations + 1, sizeof *text->at),
	    .lost = calloc(annotations + 1, sizeof *text->lost),
	    .searched = json_new_object(),
	    .search_left = SEARCH_MIN + len * SEARCH_FACTOR,
	};
	if (!text->offsets || !text->taken || !text->at || !text->lost)
		return -1;
	for (size_t i = 0; i < len; i++)
		if (!is_inner_byte(words[i]) && at++ % STRIDE == 0)
			text->offsets[(at - 1) / STRIDE] = i;
	return 0;
}

static void
text_free(struct text *text)
{
	free(text->offsets);
	free(text->taken);
	free(text->at);
	free(text->lost);
	json_object_put(text->searched);
}

/* The byte offset of a character; beyond the last one, the text's length. */
static size_t
bytes_before(const struct text *text, size_t chars)
{
	size_t at;

	if (chars == text->chars)
		return text->len;
	at = text->offsets[chars / STRIDE];
	for (size_t left = chars % STRIDE; left > 0; left--)
		for (at++; is_inner_byte(text->words[at]);)
			at++;
	return at;
}

/* Whether the annotation's offsets are within the text, and lead to its marker, if it gives one. */
static bool
find_by_offsets(const struct text *text, struct json_object *annotation, struct place *place)
{
	struct json_object *start = member(annotation, "start_index");
	struct json_object *end = member(annotation, "end_index");
	long long from, to;

	if (!json_object_is_type(start, json_type_int) || !json_object_is_type(end, json_type_int))
		return false;
	from = json_object_get_int64(start);
	to = json_object_get_int64(end);
	if (from < 0 || to <= from || (unsigned long long)to > text->chars)
		return false;
	place->start = bytes_before(text, (size_t)from);
	place->end = bytes_before(text, (size_t)to);
	return !place->marker ||
	    (strlen(place->marker) == place->end - place->start &&
		memcmp(text->words + place->start, place->marker, place->end - place->start) == 0);
}

static void
find_places(struct text *text, struct citations *citations, struct json_object *annotations)
{
	for (size_t i = 0; i < json_len(annotations); i++) {
		struct json_object *annotation = json_at(annotations, i);
		struct place place = {.order = i,
		    .number = number_of(citations, annotation),
		    .marker = json_get_string(annotation, "text")};

		if (place.number == 0)
			continue;
		if (find_by_offsets(text, annotation, &place))
			text->at[text->at_len++] = place;
		else if (place.marker && *place.marker)
			text->lost[text->lost_len++] = place;
	}
}

static int
compare_places(const void *left, const void *right)
{
	const struct place *a = left, *b = right;

	if (a->start != b->start)
		return a->start < b->start ? -1 : 1;
	return a->order < b->order ? -1 : a->order > b->order;
}

/* Of overlapping places keeps the one that comes first in the text. */
static void
drop_overlaps(struct text *text)
{
	size_t kept = 0, end = 0;

	qsort(text->at, text->at_len, sizeof *text->at, compare_places);
	for (size_t i = 0; i < text->at_len; i++) {
		const struct place place = text->at[i];

		if (place.start < end)
			continue;
		end = place.end;
		memset(text->taken + place.start, 1, place.end - place.start);
		text->at[kept++] = place;
	}
	text->at_len = kept;
}

static void
charge(struct text *text, size_t bytes)
{
	text->search_left -= bytes < text->search_left ? bytes : text->search_left;
}

/*
 * Finds the first free occurrence of the marker. Starts where the last search for the same marker
 * ended, because what is taken stays taken.
 */
static bool
find_by_marker(struct text *text, struct place *place)
{
	size_t len = strlen(place->marker);
	size_t from = (size_t)json_get_int(text->searched, place->marker, 0);
	bool found = false;

	while (!found && from < text->len && text->search_left > 0) {
		const char *at = memmem(text->words + from, text->len - from, place->marker, len);
		size_t start = at ? (size_t)(at - text->words) : text->len;
		const char *taken = at ? memrchr(text->taken + start, 1, len) : NULL;

		charge(text, start - from + len + SEARCH_STEP);
		found = at && !taken;
		place->start = start;
		place->end = start + len;
		/* An occurrence that begins before the last taken byte cannot be free. */
		from = found ? place->end : taken ? (size_t)(taken - text->taken) + 1 : start;
	}
	json_set_int(text->searched, place->marker, (long long)from);
	return found;
}

static void
find_lost(struct text *text)
{
	for (size_t i = 0; i < text->lost_len; i++) {
		struct place place = text->lost[i];

		if (!find_by_marker(text, &place))
			continue;
		memset(text->taken + place.start, 1, place.end - place.start);
		text->at[text->at_len++] = place;
	}
	qsort(text->at, text->at_len, sizeof *text->at, compare_places);
}

static char *
numbered(const struct text *text)
{
	struct buf out = BUF_INIT((size_t)-1 / 2);
	size_t done = 0;

	for (size_t i = 0; i < text->at_len; i++) {
		const struct place *place = &text->at[i];

		buf_append(&out, text->words + done, place->start - done);
		buf_printf(&out, "[%zu]", place->number);
		done = place->end;
	}
	buf_append(&out, text->words + done, text->len - done);
	return buf_take(&out);
}

char *
citations_mark(struct citations *citations, const char *words, struct json_object *annotations)
{
	size_t len = json_len(annotations);
	char *marked = NULL;
	struct text text;

	if (len == 0)
		return strdup(words);
	if (text_init(&text, words, len) == 0) {
		find_places(&text, citations, annotations);
		drop_overlaps(&text);
		find_lost(&text);
		marked = numbered(&text);
	}
	text_free(&text);
	return marked;
}

/* --- footnotes --- */

void
citations_print(struct json_object *list, struct buf *out)
{
	for (size_t i = 0; i < json_len(list); i++) {
		struct json_object *citation = json_at(list, i);
		const char *url = json_get_string(citation, "url");
		const char *name = json_get_string(citation, "name");
		const char *quote = json_get_string(citation, "quote");

		/* A page that is named by its URL shows it once. */
		if (url && name && strcmp(url, name) == 0)
			name = NULL;
		buf_printf(out, "%s[%zu] %s%s%s%s%s", i ? "\n" : "\n\n", i + 1, name ? name : "",
		    name && url ? " " : "", url ? url : "", quote ? ": " : "", quote ? quote : "");
	}
}
