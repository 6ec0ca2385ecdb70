/*
 * What was learnt about model servers, in the database, so that other processes and CGI requests
 * need not find it out again.
 */
#ifndef RECORDS_MODEL_SERVER_H
#define RECORDS_MODEL_SERVER_H

#include "db/db.h"
#include "model/needs.h"

struct model_server_record {
	struct db *db;
	const char *base_url;
};

/* `record` is borrowed, and must live as long as the model. */
struct model_memory model_server_memory(struct model_server_record *record);

#endif
