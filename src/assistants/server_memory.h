/*
 * What the database remembers of a model server, so that each process, and in CGI each request,
 * need not find it out again.
 */
#ifndef ASSISTANTS_SERVER_MEMORY_H
#define ASSISTANTS_SERVER_MEMORY_H

#include "db/db.h"
#include "model/model.h"

struct server_memory {
	struct db *db;
	const char *base_url;
};

/* `memory` is borrowed, and must live as long as the model. */
struct model_memory server_memory_model(struct server_memory *memory);

#endif
