/*
 * An upload: the web server's body goes straight into a blob. Memory does not grow with it, and it
 * is on disk once.
 */
#include <errno.h>

#include "blobs/blobs.h"
#include "http/multipart.h"
#include "obs/log.h"
#include "os/hash.h"
#include "text/json.h"
#include "text/memory.h"
#include "text/text.h"
#include "v1/internal.h"
#include "v1/v1.h"

enum {
	FIELD_MAX = 1024,
	FILENAME_MAX_BYTES = 1024,
	/* What a body may have beside the file. */
	FORM_MAX = 64 << 10
};

struct upload {
	struct v1 *v1;
	struct request *request;
	struct response *response;
	struct request_pieces body;
	struct multipart *multipart;
	struct json_object *fields; /* the body as JSON, without the file */
	struct blob_writer blob;
	char *filename; /* NULL: no file yet */
	/* Of the file, for Idempotency-Key: clients choose a new boundary for each try. */
	struct sha256 *hash;
};

static ssize_t
read_body(void *arg, void *bytes, size_t size)
{
	return request_pieces_read(arg, bytes, size);
}

/* --- refusals; each returns false --- */

static bool
refuse(struct upload *upload, int status, const char *param, const char *sentence)
{
	upload->request->exchange->hurried = true;
	v1_error(upload->response, status, param, NULL, sentence);
	return false;
}

static bool
refuse_size(struct upload *upload)
{
	char sentence[160];

	snprintf(sentence, sizeof sentence,
	    "The file is larger than %zu bytes, the most that ASSISTANTS_MAX_FILE allows.",
	    upload->v1->config->max_file);
	return refuse(upload, 413, "file", sentence);
}

/* The body ended, or is damaged. */
static bool
refuse_body(struct upload *upload, enum multipart_result result)
{
	if (result == MULTIPART_BAD)
		return refuse(upload, 400, NULL, multipart_problem(upload->multipart));
	if (upload->body.result == REQUEST_BODY_TOO_LARGE)
		return refuse_size(upload);
	v1_refuse_body(upload->request, upload->response, upload->body.result, "");
	return false;
}

static bool
refuse_disk(struct upload *upload)
{
	int error = errno;

	log_error("a file cannot be stored: %s", strerror(error));
	if (error == ENOSPC || error == EDQUOT || error == EFBIG)
		return refuse(upload, 413, "file", "The server has no room for this file.");
	v1_retry_after(upload->response, -1);
	return refuse(upload, 503, NULL, "The server cannot store files now; try again soon.");
}

/* --- parts --- */

static bool
take_file(struct upload *upload, const struct multipart_part *part)
{
	enum multipart_result result;
	const char *data;
	size_t len;

	if (upload->filename)
		return refuse(upload, 400, "file", "The body has two files; one is accepted.");
	if (!part->filename || !*part->filename || strlen(part->filename) > FILENAME_MAX_BYTES)
		return refuse(upload, 400, "file",
		    "The file needs a name of 1 to 1024 bytes: filename=\"…\" in its "
		    "Content-Disposition.");
	upload->filename = strdup(part->filename);
	if (!upload->filename) {
		memory_fail();
		return false;
	}
	if (blob_begin(upload->v1->blobs, &upload->blob) < 0)
		return refuse_disk(upload);
	while ((result = multipart_data(upload->multipart, &data, &len)) == MULTIPART_PART) {
		if (upload->blob.len + len > upload->v1->config->max_file)
			return refuse_size(upload);
		if (blob_write(&upload->blob, data, len) < 0)
			return refuse_disk(upload);
		if (upload->hash)
			sha256_add(upload->hash, data, len);
	}
	return result == MULTIPART_END || refuse_body(upload, result);
}

/* A member of the body: "purpose", or "expires_after[seconds]". */
static void
set_field(struct upload *upload, const char *name, const char *value)
{
	static const char expiry[] = "expires_after[";
	size_t len = strlen(name), prefix_len = sizeof expiry - 1;
	struct json_object *expires;
	long long number;
	char member[64];

	if (strncmp(name, expiry, prefix_len) != 0 || name[len - 1] != ']' ||
	    len - prefix_len > sizeof member) {
		json_set_string(upload->fields, name, value);
		return;
	}
	snprintf(member, sizeof member, "%.*s", (int)(len - prefix_len - 1), name + prefix_len);
	expires = json_get_object(upload->fields, "expires_after");
	if (!expires) {
		expires = json_new_object();
		json_set(upload->fields, "expires_after", expires);
	}
	if (parse_number(value, 0, INT32_MAX, &number) == 0)
		json_set_int(expires, member, number);
	else
		json_set_string(expires, member, value);
}

static bool
take_field(struct upload *upload, const struct multipart_part *part)
{
	struct buf value = BUF_INIT(FIELD_MAX);
	enum multipart_result result;
	const char *data;
	bool taken;
	size_t len;

	while ((result = multipart_data(upload->multipart, &data, &len)) == MULTIPART_PART)
		buf_append(&value, data, len);
	taken = result == MULTIPART_END && !value.failed && utf8_valid(value.data, value.len) &&
	    (value.len == 0 || strlen(value.data) == value.len);
	if (taken)
		set_field(upload, part->name, value.len ? value.data : "");
	else if (result == MULTIPART_END)
		refuse(upload, 400, part->name, "A field has at most 1024 bytes, in UTF-8.");
	else
		refuse_body(upload, result);
	buf_free(&value);
	return taken;
}

static bool
take_parts(struct upload *upload)
{
	struct multipart_part part;
	enum multipart_result result;
	bool taken = true;

	while (taken && (result = multipart_next(upload->multipart, &part)) == MULTIPART_PART)
		taken = strcmp(part.name, "file") == 0 ? take_file(upload, &part)
						       : take_field(upload, &part);
	if (!taken)
		return false;
	return result == MULTIPART_END || refuse_body(upload, result);
}

/* --- the request --- */

static bool
begin(struct upload *upload)
{
	const char *type =
	    upload->request->exchange->variable(upload->request->exchange, "CONTENT_TYPE");
	const char *problem;

	if (request_pieces_begin(&upload->body, upload->request,
		(long long)upload->v1->config->max_file + FORM_MAX) != REQUEST_BODY_OK)
		return refuse_body(upload, MULTIPART_FAILED);
	/* The length may be unknown. */
	if ((unsigned long long)(upload->body.left > 0 ? upload->body.left : 1) >
	    blobs_room(upload->v1->blobs)) {
		errno = ENOSPC;
		return refuse_disk(upload);
	}
	upload->multipart = multipart_new(type, read_body, &upload->body, &problem);
	if (problem)
		return refuse(upload, 400, NULL, problem);
	if (!upload->multipart)
		memory_fail();
	return upload->multipart;
}

/* What a repetition must have in common with the first request: the parts, not the bytes. */
static char *
parts_text(struct upload *upload)
{
	struct json_object *parts = json_new_object();
	char hex[SHA256_HEX_SIZE] = "", *text;

	json_set(parts, "fields", json_object_get(upload->fields));
	if (upload->filename)
		json_set_string(parts, "filename", upload->filename);
	if (upload->hash)
		sha256_end(upload->hash, hex);
	json_set_string(parts, "sha256", hex);
	text = strdup(json_text(parts));
	json_object_put(parts);
	if (!text)
		memory_fail();
	return text;
}

/*
 * Whether there may be a file object now. After a failure of the server that is not certain: then
 * the blob stays, and is swept if no file has it.
 */
static bool
create(struct upload *upload)
{
	const struct api_upload file = {
	    .filename = upload->filename,
	    .blob = upload->blob.name,
	    .bytes = (long long)upload->blob.len,
	};
	struct api_request asked = {
	    .body = upload->fields,
	    .upload = upload->filename ? &file : NULL,
	};
	char *parts = parts_text(upload);
	int status = 0;

	if (upload->filename && blob_complete(&upload->blob) < 0)
		refuse_disk(upload);
	else if (!memory_is_out())
		status = v1_call(
		    upload->v1, upload->request, upload->response, &asked, parts, strlen(parts));
	free(parts);
	return status == 200 || status >= 500;
}

void
v1_file_create(void *room, struct request *request, struct response *response)
{
	struct upload upload = {
	    .v1 = room,
	    .request = request,
	    .response = response,
	    .fields = json_new_object(),
	    .blob = {.fd = -1},
	};

	if (request->exchange->variable(request->exchange, "HTTP_IDEMPOTENCY_KEY"))
		upload.hash = sha256_new();
	blob_end(&upload.blob, begin(&upload) && take_parts(&upload) && create(&upload));
	sha256_free(upload.hash);
	multipart_free(upload.multipart);
	json_object_put(upload.fields);
	free(upload.filename);
}
