#include "records/conversation.h"

#include <stdint.h>

#include "text/text.h"

/*
 * Both tables are read by their indexes, a page at a time, and merged here. If the database sorted
 * them, it would have to copy each page first.
 */
#define MESSAGES(before, direction)                                                                \
	"SELECT seq, 0, role, content, items, 0, 0 FROM messages WHERE thread = ? AND seq " before \
	" ? ORDER BY seq " direction " LIMIT ?"
#define CALLS(before, direction)                                                                   \
	"SELECT after_message, seq, NULL, coalesce(told, details), items, run, round "             \
	"FROM run_steps WHERE thread = ? "                                                         \
	"AND (after_message, seq) " before " (?, ?) AND status = 'completed' "                     \
	"ORDER BY after_message " direction ", seq " direction " LIMIT ?"

enum { PLACE, SEQ, ROLE, TEXT, ITEMS, RUN, ROUND };
enum { PAGE_ROWS = 50 };

/* One of the tables. */
struct source {
	struct db_tx *tx;
	const char *sql;
	bool calls;
	long long thread;
	long long place, seq; /* of the current row; at first, where to begin */
	int rows;             /* read from the page so far */
	struct db_stmt *row;
	enum db_result result; /* DB_ROW: there is a current row */
};

static void
read_page(struct source *source)
{
	int index = 1;

	source->row = db_prepare(source->tx, source->sql);
	source->rows = 0;
	db_bind_int(source->row, index++, source->thread);
	db_bind_int(source->row, index++, source->place);
	if (source->calls)
		db_bind_int(source->row, index++, source->seq);
	db_bind_int(source->row, index, PAGE_ROWS);
}

/* Goes to the next row, on the next page if need be. */
static void
move_on(struct source *source)
{
	source->result = db_step(source->row);
	if (source->result == DB_DONE && source->rows == PAGE_ROWS) {
		db_finish(source->row, DB_DONE);
		read_page(source);
		source->result = db_step(source->row);
	}
	if (source->result != DB_ROW)
		return;
	source->rows++;
	source->place = db_int(source->row, PLACE);
	source->seq = db_int(source->row, SEQ);
}

static void
begin(struct source *source)
{
	read_page(source);
	move_on(source);
}

/* Calls come after the message with the same place. */
static struct source *
next_of(struct source *messages, struct source *calls, bool newest_first)
{
	bool message_first;

	if (messages->result != DB_ROW || calls->result != DB_ROW)
		return messages->result == DB_ROW ? messages : calls;
	message_first =
	    newest_first ? messages->place > calls->place : messages->place <= calls->place;
	return message_first ? messages : calls;
}

int
conversation_read(
    struct db_tx *tx, long long thread, bool newest_first, conversation_fn *tell, void *arg)
{
	const long long from = newest_first ? INT64_MAX : 0;
	struct source messages = {.tx = tx,
	    .sql = newest_first ? MESSAGES("<", "DESC") : MESSAGES(">", "ASC"),
	    .thread = thread,
	    .place = from};
	struct source calls = {.tx = tx,
	    .sql = newest_first ? CALLS("<", "DESC") : CALLS(">", "ASC"),
	    .calls = true,
	    .thread = thread,
	    .place = newest_first ? from : -1};
	bool goes_on = true;

	begin(&messages);
	begin(&calls);
	while (goes_on && (messages.result == DB_ROW || calls.result == DB_ROW)) {
		struct source *source = next_of(&messages, &calls, newest_first);
		const struct spoken spoken = {
		    .place = source->place,
		    .calls = source->calls,
		    .run = db_int(source->row, RUN),
		    .round = db_int(source->row, ROUND),
		    .role = message_role_of(db_text(source->row, ROLE)),
		    .text = db_text(source->row, TEXT),
		    .len = db_bytes(source->row, TEXT),
		    .items = db_text(source->row, ITEMS),
		};

		goes_on = tell(arg, &spoken);
		if (goes_on)
			move_on(source);
	}
	db_finish(messages.row, messages.result);
	db_finish(calls.row, calls.result);
	return messages.result < 0 || calls.result < 0 ? -1 : goes_on;
}
