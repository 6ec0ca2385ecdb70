#include "text/json.h"

#include <errno.h>
#include <json_visit.h>
#include <math.h>
#include <printbuf.h>
#include <stdint.h>

#include "text/buf.h"
#include "text/text.h"

/*
 * What json-c makes of a text is far larger: some 70 bytes of a number of one digit, 800 of {}. So
 * values are weighed, an object or array as 16 of them, and bounded.
 */
enum {
	JSON_DEPTH_MAX = 64,
	JSON_WEIGHT_MAX = 1 << 20,
	JSON_WEIGHT_BYTES = 64,
	JSON_CONTAINER_WEIGHT = 16,
	PLAIN_DIGITS_MAX = 300, /* a number with fewer, and no exponent, is finite */
	KEPT_TEXT_MAX = 64 << 10
};

/* json-c takes 1e999 for infinity, which could not be written again. */
static int
refuse_infinite(struct json_object *value, int flags, struct json_object *parent, const char *key,
    size_t *index, /* NOLINT(readability-non-const-parameter): json-c's type */
    void *arg)
{
	(void)flags;
	(void)parent;
	(void)key;
	(void)index;
	(void)arg;
	return json_object_is_type(value, json_type_double) &&
		!isfinite(json_object_get_double(value))
	    ? JSON_C_VISIT_RETURN_ERROR
	    : JSON_C_VISIT_RETURN_CONTINUE;
}

static size_t
digits_len(const char *at, const char *end)
{
	size_t len = 0;

	while (at + len < end && at[len] >= '0' && at[len] <= '9')
		len++;
	return len;
}

/* Bytes of the number (RFC 8259, 6) that begins at `at`; 0 if it is none. */
static size_t
number_len(const char *at, const char *end)
{
	const char *start = at;
	size_t len;

	at += *at == '-';
	len = digits_len(at, end);
	if (len == 0 || (len > 1 && *at == '0'))
		return 0;
	at += len;
	if (at < end && *at == '.') {
		len = digits_len(++at, end);
		if (len == 0)
			return 0;
		at += len;
	}
	if (at < end && (*at == 'e' || *at == 'E')) {
		at++;
		at += at < end && (*at == '+' || *at == '-');
		len = digits_len(at, end);
		if (len == 0)
			return 0;
		at += len;
	}
	return (size_t)(at - start);
}

static bool
is_extreme(const char *number, size_t len)
{
	return len > PLAIN_DIGITS_MAX || memchr(number, 'e', len) || memchr(number, 'E', len);
}

/* Bytes of the string, quotes included; 0 when it does not end, or has a control character in it.
 */
static size_t
string_len(const char *at, const char *end)
{
	const char *start = at;

	for (at++; at < end && (unsigned char)*at >= ' '; at++) {
		if (*at == '"')
			return (size_t)(at + 1 - start);
		if (*at == '\\')
			at++;
	}
	return 0;
}

/* Bytes of the literal that begins at `at`; 0 if it is none. */
static size_t
literal_len(const char *at, const char *end)
{
	static const char *const literals[] = {"true", "false", "null"};

	for (size_t i = 0; i < sizeof literals / sizeof *literals; i++) {
		size_t len = strlen(literals[i]);

		if ((size_t)(end - at) >= len && memcmp(at, literals[i], len) == 0)
			return len;
	}
	return 0;
}

/* What a text has in it, by its words. */
struct words {
	size_t values, weight;
	bool may_be_infinite; /* a number may */
};

/*
 * json-c also takes 1. and -01, 'single quotes', raw line breaks, comments, nan and [1,]: what is
 * not JSON by its words. What has too many of them is refused as well.
 */
static bool
has_json_words(const char *at, size_t len, size_t values_max, struct words *words)
{
	const char *end = at + len;
	char before = 0; /* the first character of the word before */

	while (at < end) {
		size_t word = 1;

		if (*at == '"')
			word = string_len(at, end);
		else if (*at == '-' || (*at >= '0' && *at <= '9'))
			words->may_be_infinite |= is_extreme(at, word = number_len(at, end));
		else if (!*at || !strchr(" \t\r\n{}[],:", *at))
			word = literal_len(at, end);
		else if ((*at == '}' || *at == ']') && before == ',')
			word = 0;
		words->weight += *at == '{' || *at == '[' ? JSON_CONTAINER_WEIGHT : *at == ',';
		/* Of what is no mark each is a value, but for the keys, which stand before a colon.
		 */
		if (*at == ':' && words->values > 0)
			words->values--;
		else if (!strchr(" \t\r\n}],", *at))
			words->values++;
		if (word == 0 || words->values > values_max || words->weight > JSON_WEIGHT_MAX)
			return false;
		if (!strchr(" \t\r\n", *at))
			before = *at;
		at += word;
	}
	return true;
}

/*
 * What the tokener makes of the whole text; false: it is not JSON. Not with JSON_TOKENER_STRICT:
 * json-c 0.18 then takes what is not ASCII in strings for control characters (its issues 875 and
 * 892). What else that would refuse has_json_words() does.
 */
static bool
tokenize(struct json_tokener *tokener, const char *text, size_t len, struct json_object **value)
{
	size_t end = len;

	*value = json_tokener_parse_ex(tokener, text, (int)len);
	/*
	 * A number, or a literal, at the very end is complete only when something comes after it.
	 */
	if (json_tokener_get_error(tokener) == json_tokener_continue)
		*value = json_tokener_parse_ex(tokener, "\n", 1);
	else
		end = json_tokener_get_parse_end(tokener);
	while (end < len && strchr(" \t\r\n", text[end]) && text[end])
		end++;
	return json_tokener_get_error(tokener) == json_tokener_success && end == len;
}

enum json_result
json_parse_within(
    const char *text, size_t len, const struct json_bounds *bounds, struct json_object **out)
{
	struct words words = {0};
	struct json_tokener *tokener;
	bool valid;

	*out = NULL;
	/* json-c counts in int. */
	if (len >= INT32_MAX || !utf8_valid(text, len) ||
	    !has_json_words(text, len, bounds->values, &words))
		return JSON_BAD;
	if (bounds->hold && !bounds->hold(bounds->arg, words.weight * JSON_WEIGHT_BYTES))
		return JSON_NO_MEMORY;
	/* json-c does not say that memory was out, only malloc() does. */
	errno = 0;
	/* A new one each time: what a bad text has left in it is not all reset. */
	tokener = json_tokener_new_ex(JSON_DEPTH_MAX);
	if (!tokener)
		return JSON_NO_MEMORY;
	valid = tokenize(tokener, text, len, out);
	json_tokener_free(tokener);
	if (valid && words.may_be_infinite)
		valid = json_c_visit(*out, 0, refuse_infinite, NULL) >= 0;
	if (valid)
		return JSON_PARSED;
	json_object_put(*out);
	*out = NULL;
	return errno == ENOMEM ? JSON_NO_MEMORY : JSON_BAD;
}

int
json_parse(const char *text, size_t len, struct json_object **out)
{
	static const struct json_bounds most = {.values = SIZE_MAX};

	return json_parse_within(text, len, &most, out) == JSON_PARSED ? 0 : -1;
}

static int
replace_nuls(struct json_object *value, int flags, struct json_object *parent, const char *key,
    size_t *index, /* NOLINT(readability-non-const-parameter): json-c's type */
    void *arg)
{
	struct buf text = BUF_INIT(INT32_MAX);
	const char *at, *end;

	(void)flags;
	(void)parent;
	(void)key;
	(void)index;
	(void)arg;
	if (!json_object_is_type(value, json_type_string))
		return JSON_C_VISIT_RETURN_CONTINUE;
	at = json_object_get_string(value);
	end = at + json_object_get_string_len(value);
	if (at + strlen(at) == end)
		return JSON_C_VISIT_RETURN_CONTINUE;
	for (; at < end; at += strlen(at) + 1) {
		buf_puts(&text, at);
		if (at + strlen(at) < end)
			buf_puts(&text, "\xef\xbf\xbd");
	}
	if (text.failed || !json_object_set_string_len(value, text.data, (int)text.len))
		abort(); /* as json-c does */
	buf_free(&text);
	return JSON_C_VISIT_RETURN_CONTINUE;
}

int
json_parse_foreign(const char *text, size_t len, struct json_object **out)
{
	int result = json_parse(text, len, out);

	if (result == 0 && memmem(text, len, "\\u0000", 6))
		json_c_visit(*out, 0, replace_nuls, NULL);
	return result;
}

static int
print_literal(struct json_object *literal, struct printbuf *out, int level, int flags)
{
	(void)level;
	(void)flags;
	return printbuf_memappend(
	    out, json_object_get_string(literal), json_object_get_string_len(literal));
}

struct json_object *
json_literal(const char *text, size_t len)
{
	struct json_object *literal = json_object_new_string_len(text, (int)len);

	if (literal)
		json_object_set_serializer(literal, print_literal, NULL, NULL);
	return literal;
}

size_t
json_literal_len(const char *text, size_t len)
{
	return len > 0 && *text == '"' ? string_len(text, text + len) : 0;
}

/* --- looking into a text --- */

static const char *
skip_space(const char *at, const char *end)
{
	while (at < end && (*at == ' ' || *at == '\t' || *at == '\r' || *at == '\n'))
		at++;
	return at;
}

/* Whether a string has only the escapes that JSON knows. */
static bool
has_good_escapes(const char *at, const char *end)
{
	while ((at = memchr(at, '\\', (size_t)(end - at)))) {
		if (!at[1] || !strchr("\"\\/bfnrtu", at[1]) ||
		    (at[1] == 'u' && strspn(at + 2, "0123456789abcdefABCDEF") < 4))
			return false;
		at += 2;
	}
	return true;
}

static const char *skip_value(const char *at, const char *end, unsigned depth);

/* Behind the key and its colon, at the value; NULL when it is not so. */
static const char *
skip_key(const char *at, const char *end)
{
	size_t len = at < end && *at == '"' ? string_len(at, end) : 0;

	if (len == 0 || !has_good_escapes(at, at + len))
		return NULL;
	at = skip_space(at + len, end);
	return at < end && *at == ':' ? skip_space(at + 1, end) : NULL;
}

/* Behind an object or array, whose first character is at `at`; NULL when it is none. */
static const char *
skip_container(const char *at, const char *end, unsigned depth)
{
	char close = *at == '{' ? '}' : ']';

	at = skip_space(at + 1, end);
	if (at < end && *at == close)
		return at + 1;
	while (at) {
		if (close == '}')
			at = skip_key(at, end);
		at = at ? skip_value(at, end, depth + 1) : NULL;
		at = at ? skip_space(at, end) : NULL;
		if (!at || at == end || (*at != ',' && *at != close))
			return NULL;
		if (*at == close)
			return at + 1;
		at = skip_space(at + 1, end);
	}
	return NULL;
}

/* Behind the value that begins at `at`; NULL when it is none. */
static const char *
skip_value(const char *at, const char *end, unsigned depth)
{
	bool good = true;
	size_t len;

	if (at == end || depth >= JSON_DEPTH_MAX)
		return NULL;
	if (*at == '{' || *at == '[')
		return skip_container(at, end, depth);
	if (*at == '"') {
		len = string_len(at, end);
		good = has_good_escapes(at, at + len);
	} else if (*at == '-' || (*at >= '0' && *at <= '9')) {
		len = number_len(at, end);
		good = !is_extreme(at, len);
	} else {
		len = literal_len(at, end);
	}
	return len > 0 && good ? at + len : NULL;
}

bool
json_peek(const char *text, size_t len, const char *const *keys, struct json_raw *values)
{
	const char *end = text + len, *at = skip_space(text, end), *key, *value;

	for (size_t i = 0; keys[i]; i++)
		values[i] = (struct json_raw){0};
	if (!utf8_valid(text, len) || at == end || *at != '{')
		return false;
	do {
		key = skip_space(at + 1, end);
		value = skip_key(key, end);
		/* An escaped key may be one of them. */
		if (!value || memchr(key, '\\', (size_t)(value - key)))
			return false;
		at = skip_value(value, end, 1);
		for (size_t i = 0; at && keys[i]; i++) {
			size_t key_len = strlen(keys[i]);

			if ((size_t)(value - key) > key_len + 1 && key[key_len + 1] == '"' &&
			    memcmp(key + 1, keys[i], key_len) == 0)
				values[i] = (struct json_raw){value, (size_t)(at - value)};
		}
		at = at ? skip_space(at, end) : NULL;
	} while (at && at < end && *at == ',');
	return at && at < end && *at == '}' && skip_space(at + 1, end) == end;
}

struct json_object *
json_raw_parse(struct json_raw raw)
{
	struct json_object *value = NULL;

	/* What most values are, without a tokener. */
	if (raw.len >= 2 && *raw.at == '"' && !memchr(raw.at, '\\', raw.len))
		return json_object_new_string_len(raw.at + 1, (int)raw.len - 2);
	if (raw.len == 1 && *raw.at >= '0' && *raw.at <= '9')
		return json_object_new_int64(*raw.at - '0');
	if (raw.len == 4 && memcmp(raw.at, "null", 4) == 0)
		return NULL;
	json_parse_foreign(raw.at ? raw.at : "", raw.len, &value);
	return value;
}

struct json_object *
json_get(struct json_object *object, const char *key)
{
	struct json_object *value = NULL;

	if (!json_object_is_type(object, json_type_object))
		return NULL;
	json_object_object_get_ex(object, key, &value);
	return value;
}

static struct json_object *
get_typed(struct json_object *object, const char *key, enum json_type type)
{
	struct json_object *value = json_get(object, key);

	return json_object_is_type(value, type) ? value : NULL;
}

struct json_object *
json_get_object(struct json_object *object, const char *key)
{
	return get_typed(object, key, json_type_object);
}

struct json_object *
json_get_array(struct json_object *object, const char *key)
{
	return get_typed(object, key, json_type_array);
}

const char *
json_get_string(struct json_object *object, const char *key)
{
	struct json_object *value = get_typed(object, key, json_type_string);

	return value ? json_object_get_string(value) : NULL;
}

long long
json_get_int(struct json_object *object, const char *key, long long otherwise)
{
	struct json_object *value = get_typed(object, key, json_type_int);

	return value ? json_object_get_int64(value) : otherwise;
}

struct json_object *
json_at(struct json_object *array, size_t index)
{
	return json_object_is_type(array, json_type_array) ? json_object_array_get_idx(array, index)
							   : NULL;
}

size_t
json_len(struct json_object *array)
{
	return json_object_is_type(array, json_type_array) ? json_object_array_length(array) : 0;
}

void
json_set(struct json_object *object, const char *key, struct json_object *value)
{
	if (json_object_object_add(object, key, value) < 0)
		abort();
}

void
json_set_string(struct json_object *object, const char *key, const char *value)
{
	json_set(object, key, value ? json_object_new_string(value) : NULL);
}

void
json_set_int(struct json_object *object, const char *key, long long value)
{
	json_set(object, key, json_object_new_int64(value));
}

void
json_copy(struct json_object *object, struct json_object *from, const char *key)
{
	json_set(object, key, json_object_get(json_get(from, key)));
}

void
json_default(struct json_object *object, const char *key, struct json_object *value)
{
	if (json_get(object, key))
		json_object_put(value);
	else
		json_set(object, key, value);
}

void
json_add(struct json_object *array, struct json_object *value)
{
	if (json_object_array_add(array, value) < 0)
		abort();
}

const char *
json_text(struct json_object *value)
{
	return json_object_to_json_string_ext(
	    value, JSON_C_TO_STRING_PLAIN | JSON_C_TO_STRING_NOSLASHESCAPE);
}
