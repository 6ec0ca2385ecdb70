#include "assistants/import_export.h"

#include <errno.h>
#include <unistd.h>

#include "assistants/kinds.h"
#include "records/assistant.h"
#include "text/buf.h"
#include "text/json.h"

enum { VALUE_MAX = 64 << 20, TENANT_MAX = 64 };

const char *const transfer_names[TRANSFER__MAX] = {
    [TRANSFER_ASSISTANT] = "assistants",
    [TRANSFER_THREAD] = "threads",
    [TRANSFER_RUN] = "runs",
    [TRANSFER_MESSAGE] = "messages",
    [TRANSFER_STEP] = "run steps",
};

static const struct {
	const char *object;
	const char *export_sql;
	struct json_object *(*exported)(struct db_stmt *row);
	import_fn *import;
} kinds[TRANSFER__MAX] = {
    [TRANSFER_ASSISTANT] = {"assistant", assistant_export_sql, assistant_exported,
	assistant_import},
    [TRANSFER_THREAD] = {"thread", thread_export_sql, thread_exported, thread_import},
    [TRANSFER_RUN] = {"thread.run", run_export_sql, run_exported, run_import},
    [TRANSFER_MESSAGE] = {"thread.message", message_export_sql, message_exported, message_import},
    [TRANSFER_STEP] = {"thread.run.step", run_step_export_sql, run_step_exported, run_step_import},
};

static const char database_failed[] = "the database failed; its own error is above";

/* --- export --- */

/* -1 with a sentence in `error`. */
static int
export_kind(
    struct db_tx *tx, enum transfer_kind kind, FILE *out, long long *count, char error[ERROR_SIZE])
{
	struct db_stmt *stmt = db_prepare(tx, kinds[kind].export_sql);
	enum db_result result;

	snprintf(error, ERROR_SIZE, "%s", database_failed);
	while ((result = db_step(stmt)) == DB_ROW) {
		struct json_object *object = kinds[kind].exported(stmt);
		int written = object ? fprintf(out, "%s\n", json_text(object)) : -1;

		if (written < 0) {
			snprintf(error, ERROR_SIZE, "cannot write: %s",
			    strerror(object ? errno : ENOMEM));
			result = DB_ERROR;
		}
		json_object_put(object);
		if (written < 0)
			break;
		++*count;
	}
	return db_finish(stmt, result) == DB_DONE ? 0 : -1;
}

struct exporting {
	FILE *out;
	struct transfer_counts *counts;
	char *error;
};

static bool
read_all_kinds(struct db_tx *tx, void *arg)
{
	struct exporting *exporting = arg;

	for (int kind = 0; kind < TRANSFER__MAX; kind++)
		if (export_kind(tx, kind, exporting->out, &exporting->counts->added[kind],
			exporting->error) < 0)
			return false;
	return true;
}

int
transfer_export(struct db *db, FILE *out, struct transfer_counts *counts, char error[ERROR_SIZE])
{
	struct exporting exporting = {out, counts, error};

	*counts = (struct transfer_counts){0};
	snprintf(error, ERROR_SIZE, "%s", database_failed);
	if (db_read(db, read_all_kinds, &exporting) != 1)
		return -1;
	if (fflush(out) == 0)
		return 0;
	snprintf(error, ERROR_SIZE, "cannot write: %s", strerror(errno));
	return -1;
}

/* --- import: everything is read and sorted --- */

/* An object that was read: its sort key, and where it is in the spool. */
struct entry {
	long long time, place;
	long long offset;
	size_t len;
	unsigned line;
	enum transfer_kind kind;
};

struct reader {
	const struct transfer_source *source;
	unsigned line, begun; /* of the input; where the current object began */
	struct buf value;
	FILE *spool; /* the objects, one after the other */
	long long spool_len;
	struct entry *entries;
	size_t len, size;
	long long last_time[TRANSFER__MAX]; /* of an export's objects */
	char *error;
};

/* Writes a sentence about the current object. Returns -1. */
static int
complain(struct reader *reader, const char *sentence)
{
	snprintf(reader->error, ERROR_SIZE, "line %u: %s", reader->begun, sentence);
	return -1;
}

static struct entry *
new_entry(struct reader *reader)
{
	if (reader->len == reader->size) {
		size_t size = reader->size ? reader->size * 2 : 1024;
		struct entry *entries = reallocarray(reader->entries, size, sizeof *entries);

		if (!entries)
			return NULL;
		reader->entries = entries;
		reader->size = size;
	}
	return &reader->entries[reader->len++];
}

static enum transfer_kind
kind_of(struct json_object *object)
{
	const char *name = json_get_string(object, "object");
	enum transfer_kind kind = 0;

	while (kind < TRANSFER__MAX && (!name || strcmp(name, kinds[kind].object) != 0))
		kind++;
	return kind;
}

/*
 * Objects are sorted by time, and within a second by their order in the input, or in reverse if
 * they come from a list that has the newest first. An export's objects keep their order: it is the
 * database's, even where a clock went backward.
 */
static int
keep(struct reader *reader, struct json_object *object, bool newest_first)
{
	enum transfer_kind kind = kind_of(object);
	struct entry *entry;
	const char *text;

	if (kind == TRANSFER__MAX)
		return complain(reader,
		    "not an object that can be imported: its `object` must be assistant, thread, "
		    "thread.message, thread.run, thread.run.step, or list");
	entry = new_entry(reader);
	if (!entry)
		return complain(reader, "out of memory");
	reader->source->mend(object);
	text = json_text(object);
	*entry = (struct entry){
	    .time = json_get_int(object, "created_at", 0),
	    .place = newest_first ? -(long long)reader->len : (long long)reader->len,
	    .offset = reader->spool_len,
	    .len = strlen(text),
	    .line = reader->begun,
	    .kind = kind,
	};
	if (json_get(object, "tenant")) {
		if (entry->time < reader->last_time[kind])
			entry->time = reader->last_time[kind];
		reader->last_time[kind] = entry->time;
	}
	reader->spool_len += (long long)entry->len;
	if (fwrite(text, 1, entry->len, reader->spool) != entry->len)
		return complain(reader, strerror(errno));
	return 0;
}

static int
keep_list(struct reader *reader, struct json_object *data)
{
	size_t len = json_len(data);
	bool newest_first = len > 0 &&
	    json_get_int(json_at(data, 0), "created_at", 0) >=
		json_get_int(json_at(data, len - 1), "created_at", 0);

	for (size_t i = 0; i < len; i++)
		if (keep(reader, json_at(data, i), newest_first) < 0)
			return -1;
	return 0;
}

static int
take_value(struct reader *reader)
{
	struct json_object *object = NULL;
	const char *name;
	int result;

	if (reader->value.failed)
		return complain(
		    reader, "the object is larger than 64 MiB, the most that is accepted");
	if (json_parse(reader->value.data, reader->value.len, &object) < 0)
		return complain(
		    reader, "this is not JSON, or has more than 64 levels or too many values");
	name = json_get_string(object, "object");
	if (name && strcmp(name, "list") == 0)
		result = keep_list(reader, json_get_array(object, "data"));
	else
		result = keep(reader, object, false);
	json_object_put(object);
	return result;
}

/*
 * Reads one object, from its opening to its closing brace, on any number of lines. What arrays have
 * between objects is skipped. 1; 0: the end; -1 with a sentence.
 */
static int
read_value(struct reader *reader)
{
	bool in_string = false, escaped = false;
	int depth = 0, byte;

	buf_drop(&reader->value, reader->value.len);
	while ((byte = getc_unlocked(reader->source->in)) != EOF) {
		char letter = (char)byte;

		reader->line += byte == '\n';
		if (depth == 0 && strchr(" \t\r\n[],", byte) && byte)
			continue;
		if (depth == 0)
			reader->begun = reader->line;
		if (depth == 0 && byte != '{')
			return complain(reader, "an object in braces was expected");
		buf_append(&reader->value, &letter, 1);
		if (in_string) {
			in_string = escaped || byte != '"';
			escaped = !escaped && byte == '\\';
		} else if (byte == '"') {
			in_string = true;
		} else if (byte == '{') {
			depth++;
		} else if (byte == '}' && --depth == 0) {
			return 1;
		}
	}
	if (ferror(reader->source->in))
		return complain(reader, strerror(errno));
	return depth ? complain(reader, "the object that begins here does not end") : 0;
}

/* An unnamed file, which vanishes with its descriptor, because it has what users said. */
static FILE *
open_spool(const char *folder)
{
	char path[4096];
	FILE *spool;
	int fd;

	snprintf(path, sizeof path, "%s/import-XXXXXX", folder);
	fd = mkstemp(path);
	if (fd < 0)
		return NULL;
	unlink(path);
	spool = fdopen(fd, "w+");
	if (!spool)
		close(fd);
	return spool;
}

static int
compare(const void *a, const void *b)
{
	const struct entry *one = a, *other = b;

	if (one->kind != other->kind)
		return one->kind < other->kind ? -1 : 1;
	if (one->time != other->time)
		return one->time < other->time ? -1 : 1;
	return one->place < other->place ? -1 : one->place > other->place;
}

static int
read_all(struct reader *reader)
{
	int read;

	while ((read = read_value(reader)) == 1)
		if (take_value(reader) < 0)
			return -1;
	if (read < 0)
		return -1;
	if (fflush(reader->spool) != 0)
		return complain(reader, strerror(errno));
	if (reader->len > 0)
		qsort(reader->entries, reader->len, sizeof *reader->entries, compare);
	return 0;
}

/* --- import: everything is stored --- */

/* Checks what every object must have, and finds its tenant. False: answered. */
static bool
check_frame(struct import *import)
{
	static const struct field fields[] = {
	    {"id", FIELD_STRING, true, 1, IMPORT_ID_MAX},
	    {"created_at", FIELD_INTEGER, true, 0, 1e12},
	    {"tenant", FIELD_STRING, false, 1, TENANT_MAX},
	    {"stored", FIELD_OBJECT},
	    {"thread_id", FIELD_STRING},
	    {"run_id", FIELD_STRING},
	};
	struct json_object *saved = import_checked(import, fields, sizeof fields / sizeof *fields);

	json_object_put(saved);
	return saved != NULL;
}

/* 1: new. 0: it was there already. -1 with a sentence in `error`. */
static int
import_one(struct db_tx *tx, const struct transfer_source *source, const struct entry *entry,
    struct json_object *object, char error[ERROR_SIZE])
{
	const char *tenant = json_get_string(object, "tenant"), *id;
	struct api_request request = {.tenant = source->tenant ? source->tenant
		: tenant                                       ? tenant
							       : "gateway"};
	struct api_response response = {0};
	struct call call = {.request = &request, .response = &response};
	struct import import = {.call = &call, .tx = tx, .object = object};
	int result;

	import.stored = json_get_object(object, "stored");
	result = check_frame(&import) ? kinds[entry->kind].import(&import) : -1;
	if (result < 0 && response.status == 400) {
		id = json_get_string(object, "id");
		snprintf(error, ERROR_SIZE, "line %u: %s %.128s: %s", entry->line,
		    kinds[entry->kind].object, id ? id : "without an id",
		    json_get_string(json_get(response.body, "error"), "message"));
	}
	json_object_put(call.message_ids);
	json_object_put(response.body);
	return result;
}

/* Reads an object back from the spool; the caller releases it. */
static struct json_object *
read_back(struct reader *reader, const struct entry *entry)
{
	struct json_object *object = NULL;
	char *text = malloc(entry->len + 1);

	if (text &&
	    pread(fileno(reader->spool), text, entry->len, entry->offset) == (ssize_t)entry->len)
		json_parse(text, entry->len, &object);
	free(text);
	if (!object)
		snprintf(reader->error, ERROR_SIZE,
		    "%s: an object cannot be read back from the temporary file: %s",
		    reader->source->folder, strerror(errno));
	return object;
}

struct storing {
	struct reader *reader;
	struct transfer_counts *counts;
};

static bool
write_all(struct db_tx *tx, void *arg)
{
	struct storing *storing = arg;
	struct reader *reader = storing->reader;
	int result = 0;

	*storing->counts = (struct transfer_counts){0};
	snprintf(reader->error, ERROR_SIZE, "%s", database_failed);
	for (size_t i = 0; result >= 0 && i < reader->len; i++) {
		const struct entry *entry = &reader->entries[i];
		struct json_object *object = read_back(reader, entry);

		result = object ? import_one(tx, reader->source, entry, object, reader->error) : -1;
		json_object_put(object);
		if (result == 1)
			storing->counts->added[entry->kind]++;
		else if (result == 0)
			storing->counts->there[entry->kind]++;
	}
	return result >= 0;
}

int
transfer_import(struct db *db, const struct transfer_source *source, struct transfer_counts *counts,
    char error[ERROR_SIZE])
{
	struct reader reader = {
	    .source = source,
	    .line = 1,
	    .begun = 1,
	    .value = BUF_INIT(VALUE_MAX),
	    .spool = open_spool(source->folder),
	    .error = error,
	};
	int result = -1;

	*counts = (struct transfer_counts){0};
	if (!reader.spool)
		snprintf(
		    error, ERROR_SIZE, "cannot write in %s: %s", source->folder, strerror(errno));
	else if (read_all(&reader) == 0)
		result = db_write(db, DB_WRITE, write_all,
			     &(struct storing){.reader = &reader, .counts = counts}) == 1
		    ? 0
		    : -1;
	if (reader.spool)
		fclose(reader.spool);
	buf_free(&reader.value);
	free(reader.entries);
	return result;
}
