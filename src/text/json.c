#include "text/json.h"

#include <errno.h>
#include <math.h>
#include <printbuf.h>
#include <stdint.h>

#include "text/buf.h"
#include "text/memory.h"
#include "text/text.h"

/*
 * A parser of our own that builds json-c's objects: json-c's tokener crashes when memory is out,
 * and accepts much that is not JSON.
 *
 * json-c's objects are far larger than the text: some 70 bytes for a number of one digit, 800 for
 * {}. So values are counted, an object or array as 16 of them, and bounded.
 */
enum {
	JSON_DEPTH_MAX = 64,
	JSON_WEIGHT_MAX = 1 << 20,
	JSON_WEIGHT_BYTES = 64,
	JSON_CONTAINER_WEIGHT = 16,
	PLAIN_DIGITS_MAX = 300, /* with fewer digits and no exponent, a number is finite */
	ARRAY_LEN = 4,          /* room at first */
	UTF8_REPLACEMENT = 0xfffd
};

static size_t
digits_len(const char *at, const char *end)
{
	size_t len = 0;

	while (at + len < end && at[len] >= '0' && at[len] <= '9')
		len++;
	return len;
}

/* The length of the number (RFC 8259, 6) at `at`; 0: none. */
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

/* The length of the string, with its quotes; 0: it does not end, or has a control character. */
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

/* The length of the literal at `at`; 0: none. */
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

/* --- is it JSON? --- */

static const char *
skip_space(const char *at, const char *end)
{
	while (at < end && (*at == ' ' || *at == '\t' || *at == '\r' || *at == '\n'))
		at++;
	return at;
}

/* Whether a string has only JSON's escapes. */
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

/* What the text contains. */
struct scan {
	size_t values, values_max; /* without keys */
	size_t weight;
	bool extreme; /* a number may be too large */
};

static const char *skip_value(struct scan *scan, const char *at, const char *end, unsigned depth);

/* Skips the key and its colon, to the value; NULL: malformed. */
static const char *
skip_key(const char *at, const char *end)
{
	size_t len = at < end && *at == '"' ? string_len(at, end) : 0;

	if (len == 0 || !has_good_escapes(at, at + len))
		return NULL;
	at = skip_space(at + len, end);
	return at < end && *at == ':' ? skip_space(at + 1, end) : NULL;
}

/* Skips the object or array at `at`; NULL: malformed. */
static const char *
skip_container(struct scan *scan, const char *at, const char *end, unsigned depth)
{
	char close = *at == '{' ? '}' : ']';

	scan->weight += JSON_CONTAINER_WEIGHT;
	at = skip_space(at + 1, end);
	if (at < end && *at == close)
		return at + 1;
	while (at) {
		if (close == '}')
			at = skip_key(at, end);
		at = at ? skip_value(scan, at, end, depth + 1) : NULL;
		at = at ? skip_space(at, end) : NULL;
		if (!at || at == end || (*at != ',' && *at != close))
			return NULL;
		if (*at == close)
			return at + 1;
		at = skip_space(at + 1, end);
		scan->weight++;
	}
	return NULL;
}

/* Skips the value at `at`; NULL: malformed. */
static const char *
skip_value(struct scan *scan, const char *at, const char *end, unsigned depth)
{
	bool good = true;
	size_t len;

	if (at == end || depth >= JSON_DEPTH_MAX || ++scan->values > scan->values_max ||
	    scan->weight > JSON_WEIGHT_MAX)
		return NULL;
	if (*at == '{' || *at == '[')
		return skip_container(scan, at, end, depth);
	if (*at == '"') {
		len = string_len(at, end);
		good = has_good_escapes(at, at + len);
	} else if (*at == '-' || (*at >= '0' && *at <= '9')) {
		len = number_len(at, end);
		scan->extreme |= is_extreme(at, len);
	} else {
		len = literal_len(at, end);
	}
	return len > 0 && good ? at + len : NULL;
}

/* --- building objects --- */

/* Notes if json-c could not allocate the value. */
static struct json_object *
made(struct json_object *value)
{
	if (!value)
		memory_fail();
	return value;
}

/* Builds the values of a text that is known to be JSON. */
struct builder {
	const char *at, *end;
	bool foreign;  /* U+0000 becomes U+FFFD */
	bool infinite; /* a number is infinite */
	bool no_memory;
};

static unsigned
hex4(const char *at)
{
	unsigned value = 0;

	for (int i = 0; i < 4; i++)
		value =
		    value * 16 + (unsigned)(at[i] <= '9' ? at[i] - '0' : (at[i] | 0x20) - 'a' + 10);
	return value;
}

/* Writes the character in UTF-8; returns its length. */
static size_t
put_utf8(char *to, unsigned letter)
{
	size_t len = letter < 0x80 ? 1 : letter < 0x800 ? 2 : letter < 0x10000 ? 3 : 4;

	for (size_t i = len - 1; i > 0; i--) {
		to[i] = (char)(0x80 | (letter & 0x3f));
		letter >>= 6;
	}
	to[0] = (char)(len == 1 ? letter : ((0xf00U >> len) & 0xff) | letter);
	return len;
}

/* Decodes \uXXXX, or a surrogate pair. *at is at the first digit, and moves past the last. */
static unsigned
decode_unicode(const char **at, const char *end)
{
	unsigned high = hex4(*at), low;

	*at += 4;
	if (high < 0xd800 || high > 0xdfff)
		return high;
	if (high > 0xdbff || end - *at < 6 || (*at)[0] != '\\' || (*at)[1] != 'u')
		return UTF8_REPLACEMENT;
	low = hex4(*at + 2);
	if (low < 0xdc00 || low > 0xdfff)
		return UTF8_REPLACEMENT;
	*at += 6;
	return 0x10000 + ((high - 0xd800) << 10) + (low - 0xdc00);
}

/* Decodes a string with escapes; `to` has room for `end - at` bytes. */
static size_t
decode(const struct builder *builder, const char *at, const char *end, char *to)
{
	static const char escapes[] = "bfnrt", meanings[] = "\b\f\n\r\t";
	char *start = to;

	while (at < end) {
		unsigned letter;

		if (*at != '\\') {
			*to++ = *at++;
			continue;
		}
		at += 2;
		if (at[-1] == 'u') {
			letter = decode_unicode(&at, end);
			to += put_utf8(to, !letter && builder->foreign ? UTF8_REPLACEMENT : letter);
		} else {
			const char *escape = strchr(escapes, at[-1]);

			*to++ = escape ? meanings[escape - escapes] : at[-1];
		}
	}
	return (size_t)(to - start);
}

/* The string at `at` as a C string, the caller's to free. NULL: no memory. */
static char *
build_key(struct builder *builder)
{
	size_t len = string_len(builder->at, builder->end);
	char *key = malloc(len);

	if (key)
		key[decode(builder, builder->at + 1, builder->at + len - 1, key)] = '\0';
	builder->at += len;
	return key;
}

static struct json_object *
build_string(struct builder *builder)
{
	size_t len = string_len(builder->at, builder->end);
	const char *words = builder->at + 1;
	struct json_object *value;
	char *decoded;

	builder->at += len;
	len -= 2;
	if (!memchr(words, '\\', len))
		return json_object_new_string_len(words, (int)len);
	decoded = malloc(len + 1);
	if (!decoded)
		return NULL;
	value =
	    json_object_new_string_len(decoded, (int)decode(builder, words, words + len, decoded));
	free(decoded);
	return value;
}

/* A double keeps its text, and is written with it. */
static struct json_object *
build_number(struct builder *builder)
{
	size_t len = number_len(builder->at, builder->end);
	char *text = strndup(builder->at, len);
	struct json_object *value;
	uint64_t natural;
	int64_t integer;
	double number;

	builder->at += len;
	if (!text)
		return NULL;
	if (text[strcspn(text, ".eE")]) {
		number = strtod(text, NULL);
		builder->infinite |= !isfinite(number);
		value = json_object_new_double_s(number, text);
	} else if (*text == '-') {
		json_parse_int64(text, &integer);
		value = json_object_new_int64(integer);
	} else {
		json_parse_uint64(text, &natural);
		value = natural <= INT64_MAX ? json_object_new_int64((int64_t)natural)
					     : json_object_new_uint64(natural);
	}
	free(text);
	return value;
}

static struct json_object *build_value(struct builder *builder);

/*
 * Moves to the next element or member. False: the container has ended and is skipped, or memory is
 * out.
 */
static bool
next_part(struct builder *builder, char close)
{
	builder->at = skip_space(builder->at, builder->end);
	if (*builder->at == ',')
		builder->at = skip_space(builder->at + 1, builder->end);
	else if (*builder->at == close)
		return builder->at++, false;
	return !builder->no_memory;
}

static struct json_object *
build_array(struct builder *builder)
{
	struct json_object *array = json_object_new_array_ext(ARRAY_LEN), *value;

	builder->at++;
	while (array && next_part(builder, ']')) {
		value = build_value(builder);
		if (json_object_array_add(array, value) == 0)
			continue;
		json_object_put(value);
		builder->no_memory = true;
	}
	return array;
}

static struct json_object *
build_object(struct builder *builder)
{
	struct json_object *object = json_object_new_object(), *value;
	char *key;

	builder->at++;
	while (object && next_part(builder, '}')) {
		key = build_key(builder);
		builder->at = skip_space(builder->at, builder->end) + 1;
		builder->at = skip_space(builder->at, builder->end);
		value = build_value(builder);
		if (!key || json_object_object_add(object, key, value) < 0) {
			json_object_put(value);
			builder->no_memory = true;
		}
		free(key);
	}
	return object;
}

/* NULL: JSON's null, or no memory. */
static struct json_object *
build_value(struct builder *builder)
{
	struct json_object *value;

	switch (*builder->at) {
	case 'n':
		builder->at += strlen("null");
		return NULL;
	case 't':
	case 'f':
		value = json_object_new_boolean(*builder->at == 't');
		builder->at += *builder->at == 't' ? strlen("true") : strlen("false");
		break;
	case '{':
		value = build_object(builder);
		break;
	case '[':
		value = build_array(builder);
		break;
	case '"':
		value = build_string(builder);
		break;
	default:
		value = build_number(builder);
	}
	builder->no_memory |= !value;
	return value;
}

/* Builds the value of a text that is known to be JSON. */
static enum json_result
build(const char *text, size_t len, bool foreign, struct json_object **out)
{
	struct builder builder = {.end = text + len, .foreign = foreign};

	builder.at = skip_space(text, builder.end);
	*out = build_value(&builder);
	if (!builder.no_memory && !builder.infinite)
		return JSON_PARSED;
	json_object_put(*out);
	*out = NULL;
	if (!builder.no_memory)
		return JSON_BAD;
	memory_fail();
	return JSON_NO_MEMORY;
}

static enum json_result
parse(const char *text, size_t len, const struct json_bounds *bounds, bool foreign,
    struct json_object **out)
{
	struct scan scan = {.values_max = bounds->values};
	const char *end = text + len, *at;

	*out = NULL;
	/* json-c's lengths are ints. */
	if (len >= INT32_MAX || !utf8_valid(text, len))
		return JSON_BAD;
	at = skip_value(&scan, skip_space(text, end), end, 0);
	if (!at || skip_space(at, end) < end)
		return JSON_BAD;
	if (bounds->hold && !bounds->hold(bounds->arg, scan.weight * JSON_WEIGHT_BYTES))
		return JSON_NO_MEMORY;
	return build(text, len, foreign, out);
}

static const struct json_bounds any_bounds = {.values = SIZE_MAX};

enum json_result
json_parse_within(
    const char *text, size_t len, const struct json_bounds *bounds, struct json_object **out)
{
	return parse(text, len, bounds, false, out);
}

int
json_parse(const char *text, size_t len, struct json_object **out)
{
	return parse(text, len, &any_bounds, false, out) == JSON_PARSED ? 0 : -1;
}

int
json_parse_foreign(const char *text, size_t len, struct json_object **out)
{
	return parse(text, len, &any_bounds, true, out) == JSON_PARSED ? 0 : -1;
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
	struct json_object *literal = made(json_object_new_string_len(text, (int)len));

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

bool
json_peek(const char *text, size_t len, const char *const *keys, struct json_raw *values)
{
	const char *end = text + len, *at = skip_space(text, end), *key, *value;
	struct scan scan = {.values_max = SIZE_MAX};

	for (size_t i = 0; keys[i]; i++)
		values[i] = (struct json_raw){0};
	if (!utf8_valid(text, len) || at == end || *at != '{')
		return false;
	do {
		key = skip_space(at + 1, end);
		value = skip_key(key, end);
		/* With escapes, it could be one of the wanted keys. */
		if (!value || memchr(key, '\\', (size_t)(value - key)))
			return false;
		at = skip_value(&scan, value, end, 1);
		for (size_t i = 0; at && keys[i]; i++) {
			size_t key_len = strlen(keys[i]);

			if ((size_t)(value - key) > key_len + 1 && key[key_len + 1] == '"' &&
			    memcmp(key + 1, keys[i], key_len) == 0)
				values[i] = (struct json_raw){value, (size_t)(at - value)};
		}
		at = at ? skip_space(at, end) : NULL;
	} while (at && at < end && *at == ',');
	return at && !scan.extreme && at < end && *at == '}' && skip_space(at + 1, end) == end;
}

struct json_object *
json_raw_parse(struct json_raw raw)
{
	struct json_object *value = NULL;

	if (raw.len > 0)
		build(raw.at, raw.len, true, &value);
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

bool
json_is(struct json_object *object, const char *key, const char *value)
{
	const char *string = json_get_string(object, key);

	return string && value && strcmp(string, value) == 0;
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

struct json_object *
json_new_object(void)
{
	return made(json_object_new_object());
}

struct json_object *
json_new_array(void)
{
	return made(json_object_new_array());
}

struct json_object *
json_new_string(const char *value)
{
	return made(json_object_new_string(value));
}

struct json_object *
json_new_int(long long value)
{
	return made(json_object_new_int64(value));
}

struct json_object *
json_new_bool(bool value)
{
	return made(json_object_new_boolean(value));
}

struct json_object *
json_new_double(double value)
{
	return made(json_object_new_double(value));
}

void
json_set(struct json_object *object, const char *key, struct json_object *value)
{
	if (object && json_object_object_add(object, key, value) == 0)
		return;
	json_object_put(value);
	memory_fail();
}

void
json_set_string(struct json_object *object, const char *key, const char *value)
{
	json_set(object, key, value ? json_new_string(value) : NULL);
}

void
json_set_int(struct json_object *object, const char *key, long long value)
{
	json_set(object, key, json_new_int(value));
}

void
json_remove(struct json_object *object, const char *key)
{
	if (object)
		json_object_object_del(object, key);
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
	if (array && json_object_array_add(array, value) == 0)
		return;
	json_object_put(value);
	memory_fail();
}

/* json-c silently leaves out what it has no memory for; this malloc() detects that. */
const char *
json_text(struct json_object *value)
{
	const char *text;

	errno = 0;
	text = json_object_to_json_string_ext(
	    value, JSON_C_TO_STRING_PLAIN | JSON_C_TO_STRING_NOSLASHESCAPE);
	if (!text || errno == ENOMEM)
		memory_fail();
	return text ? text : "null";
}
