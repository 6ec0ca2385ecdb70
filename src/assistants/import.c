#include "assistants/kinds.h"
#include "text/json.h"

struct json_object *
import_checked(struct import *import, const struct field *fields, size_t fields_len)
{
	struct json_object *saved = json_new_object();

	for (size_t i = 0; i < fields_len; i++)
		json_copy(saved, import->object, fields[i].name);
	if (check_fields(import->call, saved, fields, fields_len, ""))
		return saved;
	json_object_put(saved);
	return NULL;
}

bool
import_owner(struct import *import, long long *thread, long long *run)
{
	const char *thread_id = json_get_string(import->object, "thread_id");
	const char *run_id = json_get_string(import->object, "run_id");
	const char *tenant = import->call->request->tenant;
	int found = thread_id ? thread_find(import->tx, tenant, thread_id, thread) : 0;

	if (found == 0)
		call_refuse(import->call, "thread_id",
		    "its thread, %.*s, is neither in the file nor in the database (tenant %s).",
		    IMPORT_ID_MAX, thread_id ? thread_id : "null", tenant);
	if (found == 1 && run) {
		found = run_id ? run_find(import->tx, *thread, run_id, run) : 0;
		if (found == 0)
			call_refuse(import->call, "run_id",
			    "its run, %.*s, is neither in the file nor in the database.",
			    IMPORT_ID_MAX, run_id ? run_id : "null");
	}
	return found == 1;
}
