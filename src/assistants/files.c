/* Files: the object is a row, its bytes are a blob. */
#include <errno.h>

#include "assistants/kinds.h"
#include "blobs/blobs.h"
#include "obs/log.h"
#include "os/clock.h"
#include "records/file.h"
#include "text/json.h"

enum { EXPIRES_MIN_S = 60 * 60, EXPIRES_MAX_S = 30 * 24 * 60 * 60 };

static const char *const anchors[] = {"created_at", NULL};
static const char *const purposes[] = {
    "assistants", "batch", "fine-tune", "vision", "user_data", "evals", NULL};

static const struct field expiry_fields[] = {
    {"anchor", FIELD_STRING, true, .words = anchors},
    {"seconds", FIELD_INTEGER, true, EXPIRES_MIN_S, EXPIRES_MAX_S},
};
static const struct shape expiry = {NULL, FIELDS(expiry_fields)};

static const struct field new_fields[] = {
    {"purpose", FIELD_STRING, true, .words = purposes},
    {"expires_after", FIELD_OBJECT, .shapes = &expiry},
};

const struct kind file_kind = {
    .name = "file",
    .prefix = "file",
    .deleted = "file",
    .owner = OWNER_TENANT,
    .record = &file_record,
    .restriction = "purpose",
    .restricted = &file_of_purpose_record,
    .limit_max = 10000,
    .no_such = "File object",
};

/* --- what is past its time --- */

/* The blob of the file that was removed; "": none was. */
struct expiry_sweep {
	long long now;
	char blob[ID_SIZE];
};

static bool
remove_expired(struct db_tx *tx, void *arg)
{
	struct expiry_sweep *sweep = arg;

	*sweep->blob = '\0';
	return file_remove_expired(tx, sweep->now, sweep->blob) >= 0;
}

struct search {
	const char *blob;
	int found;
};

static bool
find_file(struct db_tx *tx, void *arg)
{
	struct search *search = arg;

	search->found = file_has_blob(tx, search->blob);
	return search->found >= 0;
}

/* A blob_is_known_fn. */
static int
is_known(void *arg, const char *blob)
{
	struct search search = {.blob = blob};

	return db_read(arg, find_file, &search) == 1 ? search.found : -1;
}

bool
files_sweep(struct db *db, const struct blobs *blobs)
{
	struct expiry_sweep sweep = {.now = clock_unix()};
	long long swept;
	int result;

	while ((result = db_write(db, DB_WRITE, remove_expired, &sweep)) == 1 && *sweep.blob)
		blob_delete(blobs, sweep.blob);
	swept = result == 1 ? blobs_sweep(blobs, is_known, db) : 0;
	if (swept > 0)
		log_info("%lld files of uploads that broke off were deleted", swept);
	return result == 1;
}

/* --- creation --- */

struct creation {
	struct call *call;
	struct file file;
};

static bool
write_file(struct db_tx *tx, void *arg)
{
	struct creation *creation = arg;
	const struct file *file = &creation->file;
	const struct owner owner = {.tenant = file->tenant};
	struct call *call = creation->call;
	long long kept;

	if (file_bytes_of(tx, file->tenant, &kept) != 1)
		return false;
	if (kept + file->bytes > call->api->files_quota) {
		call_refuse_with(call, 413, "file",
		    "The file has %lld bytes, and your other files have %lld: that is more than "
		    "the %lld "
		    "bytes that you may keep (ASSISTANTS_FILES_QUOTA). Delete some first.",
		    file->bytes, kept, call->api->files_quota);
		return false;
	}
	if (file_insert(tx, file) != 1)
		return false;
	return object_answer(call, tx, file->id, &owner);
}

void
file_create(struct call *call)
{
	const struct api_upload *upload = call->request->upload;
	struct json_object *body = call_body(call), *expires;
	struct creation creation = {.call = call};
	char id[ID_SIZE];

	if (body && check_fields(call, body, FIELDS(new_fields), "")) {
		if (upload) {
			expires = json_get(body, "expires_after");
			id_new(id, "file-");
			creation.file = (struct file){
			    .id = id,
			    .tenant = call->request->tenant,
			    .created_at = clock_unix(),
			    .bytes = upload->bytes,
			    .purpose = json_get_string(body, "purpose"),
			    .filename = upload->filename,
			    .blob = upload->blob,
			};
			if (expires)
				creation.file.expires_at =
				    creation.file.created_at + json_get_int(expires, "seconds", 0);
			call_write(call, write_file, &creation);
		} else {
			call_refuse(call, "file", "Missing required parameter: 'file'.");
		}
	}
	json_object_put(body);
}

/* --- content and deletion --- */

/* A file's bytes: where they are, and how many. */
struct place {
	struct call *call;
	char blob[ID_SIZE];
	long long bytes;
};

static bool
find_blob(struct db_tx *tx, struct place *place)
{
	struct call *call = place->call;
	int found = file_blob(tx, call->ids[0], call->request->tenant, place->blob, &place->bytes);

	if (found == 0)
		call_refuse_no_such(call, file_kind.no_such, call->ids[0]);
	return found == 1;
}

static bool
read_place(struct db_tx *tx, void *arg)
{
	struct place *place = arg;

	if (find_blob(tx, place))
		call_answer(place->call, 200, NULL);
	return true;
}

void
file_content(struct call *call)
{
	struct api_response *response = call->response;
	struct place place = {.call = call};

	call_read(call, read_place, &place);
	if (response->status != 200)
		return;
	response->content_fd = blob_open(call->api->blobs, place.blob);
	response->content_len = place.bytes;
	if (response->content_fd >= 0)
		return;
	log_error("the bytes of a file cannot be read: %s", strerror(errno));
	call_fail(call);
}

static bool
write_deletion(struct db_tx *tx, void *arg)
{
	struct place *place = arg;
	struct call *call = place->call;
	const struct owner owner = {.tenant = call->request->tenant};

	if (!find_blob(tx, place) || record_remove(tx, &file_record, call->ids[0], &owner) != 1)
		return false;
	call_answer(call, 200, object_deleted(call->ids[0], file_kind.deleted));
	return true;
}

/* The row first: without it, bytes that remain are swept. */
void
file_delete(struct call *call)
{
	struct place place = {.call = call};

	call_write(call, write_deletion, &place);
	if (call->response->status == 200)
		blob_delete(call->api->blobs, place.blob);
}
