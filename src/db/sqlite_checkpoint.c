#include "db/sqlite_checkpoint.h"

#include <pthread.h>
#include <stdlib.h>

#include "obs/log.h"
#include "text/text.h"

enum {
	/* 4 MiB in a new database, as in SQLite itself: this much log is copied at a time */
	STEP_PAGES = 2000,
	/*
	 * If writers never pause, the log can restart only when it is copied while none of them
	 * writes. Beyond this length the committing thread copies it, after all.
	 */
	LOG_MAX_PAGES = 8 * STEP_PAGES
};

struct checkpointer {
	const struct place *place;
	sqlite3 *writer;
	int next_pages; /* length of the log when the next copy is due; only for the writer */
	/*
	 * The flags: the writer sets `due`, closing sets `ends`, and the thread waits for either.
	 */
	pthread_mutex_t lock;
	pthread_cond_t told;
	pthread_t thread;
	bool started, due, ends;
};

static void
checkpoint(sqlite3 *handle)
{
	/*
	 * PASSIVE does not wait for other connections. Whatever is not copied now is copied the
	 * next time.
	 */
	sqlite3_wal_checkpoint_v2(handle, NULL, SQLITE_CHECKPOINT_PASSIVE, NULL, NULL);
}

static void *
work(void *arg)
{
	struct checkpointer *self = arg;
	char error[ERROR_SIZE];
	sqlite3 *handle = connect_again(self->place, error, sizeof error);

	if (!handle)
		log_error("%s", error);
	pthread_mutex_lock(&self->lock);
	while (!self->ends) {
		if (!self->due) {
			pthread_cond_wait(&self->told, &self->lock);
			continue;
		}
		self->due = false;
		pthread_mutex_unlock(&self->lock);
		if (handle)
			checkpoint(handle);
		pthread_mutex_lock(&self->lock);
	}
	pthread_mutex_unlock(&self->lock);
	sqlite3_close(handle);
	return NULL;
}

static void
tell(struct checkpointer *self)
{
	pthread_mutex_lock(&self->lock);
	if (!self->started)
		self->started = pthread_create(&self->thread, NULL, work, self) == 0;
	self->due = true;
	pthread_cond_signal(&self->told);
	pthread_mutex_unlock(&self->lock);
}

/* SQLite calls this after each commit; `pages` is the length of the log. */
static int
on_commit(void *arg, sqlite3 *writer, const char *name, int pages)
{
	struct checkpointer *self = arg;

	(void)name;
	/* The log has restarted. */
	if (pages < self->next_pages - STEP_PAGES)
		self->next_pages = STEP_PAGES;
	if (pages >= LOG_MAX_PAGES) {
		checkpoint(writer);
	} else if (pages >= self->next_pages) {
		self->next_pages = pages + STEP_PAGES;
		tell(self);
	}
	return SQLITE_OK;
}

struct checkpointer *
checkpointer_new(const struct place *place, sqlite3 *writer)
{
	struct checkpointer *self = calloc(1, sizeof *self);

	if (!self)
		return NULL;
	self->place = place;
	self->writer = writer;
	self->next_pages = STEP_PAGES;
	pthread_mutex_init(&self->lock, NULL);
	pthread_cond_init(&self->told, NULL);
	sqlite3_wal_hook(writer, on_commit, self);
	return self;
}

void
checkpointer_free(struct checkpointer *self)
{
	if (!self)
		return;
	sqlite3_wal_hook(self->writer, NULL, NULL);
	pthread_mutex_lock(&self->lock);
	self->ends = true;
	pthread_cond_signal(&self->told);
	pthread_mutex_unlock(&self->lock);
	if (self->started)
		pthread_join(self->thread, NULL);
	pthread_cond_destroy(&self->told);
	pthread_mutex_destroy(&self->lock);
	free(self);
}
