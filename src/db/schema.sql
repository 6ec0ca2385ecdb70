-- The database's schema, compiled into the program. Each "-- version N" begins the SQL that brings
-- a database from version N-1 to N, in one transaction. SQL that was released is never changed;
-- later versions add to it.
--
-- A column is what queries need, and what the program itself changes. Everything else that the API
-- shows is stored as its JSON, in body or content, and replaced whole when a client modifies it. So
-- a new member needs no new version.
-- Times are Unix seconds. `seq` is the order of creation, because many objects share a second. No
-- `seq` is ever reused: a process that executes a run whose thread is deleted identifies both by
-- their seq, and would write into another tenant's rows.

-- version 1

CREATE TABLE assistants (
	seq INTEGER PRIMARY KEY AUTOINCREMENT,
	id TEXT NOT NULL UNIQUE,       -- asst_…, as the API shows it
	tenant TEXT NOT NULL,          -- the owner: "gateway", or the name of a key
	created_at BIGINT NOT NULL,
	body TEXT NOT NULL             -- name, model, instructions, tools, …; replaced whole when modified
);
CREATE INDEX assistants_of_tenant ON assistants (tenant, seq);

CREATE TABLE threads (
	seq INTEGER PRIMARY KEY AUTOINCREMENT,
	id TEXT NOT NULL UNIQUE,       -- thread_…
	tenant TEXT NOT NULL,
	created_at BIGINT NOT NULL,
	body TEXT NOT NULL             -- tool_resources, metadata
);

CREATE TABLE runs (
	seq INTEGER PRIMARY KEY AUTOINCREMENT,
	id TEXT NOT NULL UNIQUE,       -- run_…
	thread INTEGER NOT NULL REFERENCES threads (seq) ON DELETE CASCADE,
	assistant_id TEXT NOT NULL,    -- not a reference: a run outlives its assistant
	created_at BIGINT NOT NULL,
	expires_at BIGINT NOT NULL,    -- when an unfinished run ends as expired
	started_at BIGINT,
	ended_at BIGINT,               -- cancelled, failed or completed, as the status says
	status TEXT NOT NULL,
	last_error TEXT,               -- JSON {code, message}
	incomplete_reason TEXT,
	usage TEXT,                    -- JSON {prompt_tokens, completion_tokens, total_tokens}
	body TEXT NOT NULL             -- model, instructions, tools and the other options, as they were asked
);
-- One active run per thread: creating a second one violates this index, in any process.
CREATE UNIQUE INDEX runs_active ON runs (thread)
	WHERE status IN ('queued', 'in_progress', 'requires_action', 'cancelling');
CREATE INDEX runs_of_thread ON runs (thread, seq);
CREATE INDEX runs_queued ON runs (seq) WHERE status = 'queued';

CREATE TABLE messages (
	seq INTEGER PRIMARY KEY AUTOINCREMENT,
	id TEXT NOT NULL UNIQUE,       -- msg_…
	thread INTEGER NOT NULL REFERENCES threads (seq) ON DELETE CASCADE,
	run INTEGER REFERENCES runs (seq) ON DELETE CASCADE, -- the run that wrote it; NULL for a client's
	created_at BIGINT NOT NULL,
	completed_at BIGINT,
	incomplete_at BIGINT,
	incomplete_reason TEXT,        -- run_failed, run_cancelled, …
	role TEXT NOT NULL,            -- user, assistant
	content TEXT NOT NULL,         -- JSON array of content parts
	body TEXT NOT NULL             -- attachments, metadata
);
CREATE INDEX messages_of_thread ON messages (thread, seq);
CREATE INDEX messages_of_run ON messages (run, seq) WHERE run IS NOT NULL;

CREATE TABLE run_steps (
	seq INTEGER PRIMARY KEY AUTOINCREMENT,
	id TEXT NOT NULL UNIQUE,       -- step_…
	run INTEGER NOT NULL REFERENCES runs (seq) ON DELETE CASCADE,
	created_at BIGINT NOT NULL,
	ended_at BIGINT,               -- completed, failed, cancelled or expired, as the status says
	status TEXT NOT NULL,
	last_error TEXT,               -- JSON {code, message}
	usage TEXT,
	details TEXT NOT NULL          -- JSON, the API's step_details
);
CREATE INDEX run_steps_of_run ON run_steps (run, seq);

-- version 2

-- The process that executes the run (work/leases.h), and until when other machines trust that it
-- lives.
ALTER TABLE runs ADD COLUMN lease_holder TEXT;
ALTER TABLE runs ADD COLUMN lease_until BIGINT;
CREATE INDEX runs_of_holder ON runs (lease_holder) WHERE status IN ('in_progress', 'cancelling');

-- version 3

-- What a run in requires_action waits for, JSON.
ALTER TABLE runs ADD COLUMN required_action TEXT;
-- What a model server wants to be sent again in place of the text or calls (see model/model.h).
ALTER TABLE messages ADD COLUMN items TEXT;
ALTER TABLE run_steps ADD COLUMN items TEXT;
-- Tool calls come after a message in their thread's conversation (its seq; 0: before the first).
ALTER TABLE run_steps ADD COLUMN thread BIGINT;
ALTER TABLE run_steps ADD COLUMN after_message BIGINT;
CREATE INDEX run_steps_of_thread ON run_steps (thread, after_message, seq) WHERE thread IS NOT NULL;
-- For the list of threads, page by page.
CREATE INDEX threads_of_tenant ON threads (tenant, seq);

-- Model servers that speak Chat Completions and not the Responses API.
CREATE TABLE chat_servers (
	base_url TEXT NOT NULL UNIQUE,
	until BIGINT NOT NULL          -- when the server is asked again
);

-- POSTs under /v1 with an Idempotency-Key, kept for a day.
CREATE TABLE idempotent_requests (
	tenant TEXT NOT NULL,
	path TEXT NOT NULL,
	client_key TEXT NOT NULL,      -- the header's value
	body_hash TEXT NOT NULL,       -- SHA-256
	created_at BIGINT NOT NULL,
	status BIGINT,                 -- the status of its answer; NULL: not answered yet, or its process was killed
	answer TEXT,                   -- JSON; NULL for a stream
	UNIQUE (tenant, path, client_key)
);
CREATE INDEX idempotent_requests_by_age ON idempotent_requests (created_at);

-- version 4

-- A run that waits for tool outputs also has a holder, if the holder runs these tools itself.
DROP INDEX runs_of_holder;
CREATE INDEX runs_of_holder ON runs (lease_holder)
	WHERE status IN ('in_progress', 'requires_action', 'cancelling');

-- Token buckets: how much of something may be used in a time (see records/token_bucket.h).
CREATE TABLE buckets (
	name TEXT NOT NULL UNIQUE,     -- "messages 192.0.2.1"
	full_at BIGINT NOT NULL,       -- Unix nanoseconds when it will be full again
	usual BIGINT NOT NULL          -- units that one use takes on average; 0: unknown
);
CREATE INDEX buckets_by_time ON buckets (full_at) WHERE usual = 0;
-- Recurring work. The process that advances due_at does the next piece.
CREATE TABLE chores (
	name TEXT NOT NULL UNIQUE,     -- retention
	due_at BIGINT NOT NULL,
	cursor BIGINT NOT NULL         -- how far the previous piece came
);
INSERT INTO chores (name, due_at, cursor) VALUES ('retention', 0, 0);

-- version 5

-- The same condition as before, without IN: with it, SQLite built a table at each write of a run.
DROP INDEX runs_active;
CREATE UNIQUE INDEX runs_active ON runs (thread) WHERE status = 'queued' OR status = 'in_progress'
	OR status = 'requires_action' OR status = 'cancelling';
-- The few rows with a holder are found in the index of active runs.
DROP INDEX runs_of_holder;

-- version 6

-- What was learnt about model servers, kept for a day; replaces chat_servers (see model/needs.h).
DROP TABLE chat_servers;
CREATE TABLE model_servers (
	base_url TEXT NOT NULL,
	model TEXT NOT NULL,           -- as the server names it; '' for the server itself
	needs TEXT NOT NULL,           -- "no temperature, no system role"
	until BIGINT NOT NULL,         -- when it has to be found out again
	UNIQUE (base_url, model)
);

-- version 7

-- A use of a bucket costs what was reserved, not an average; seen_at reveals a clock that was set
-- back.
DROP INDEX buckets_by_time;
ALTER TABLE buckets DROP COLUMN usual;
ALTER TABLE buckets ADD COLUMN seen_at BIGINT NOT NULL DEFAULT 0; -- Unix nanoseconds of the last write
CREATE INDEX buckets_by_time ON buckets (full_at);
-- Each tenant gets a budget of its own.
UPDATE buckets SET name = 'tokens gateway' WHERE name = 'tokens';
-- Tokens reserved for questions to the model that are not over yet (see records/budget.h).
CREATE TABLE reservations (
	id TEXT NOT NULL UNIQUE,       -- a run's, or an id of its own
	bucket TEXT NOT NULL,
	tokens BIGINT NOT NULL,        -- taken from the bucket
	context BIGINT NOT NULL,       -- the part of them for what the model reads
	asked_at BIGINT NOT NULL,
	overdue_at BIGINT NOT NULL     -- when it should have been settled at the latest
);
CREATE INDEX reservations_overdue ON reservations (overdue_at);
CREATE INDEX reservations_of_bucket ON reservations (bucket);

-- version 8

-- Queued work and leases, in place of the leases in runs (see work/work.h).
CREATE TABLE work (
	kind TEXT NOT NULL,            -- run
	subject BIGINT NOT NULL,       -- the seq of its object
	holder TEXT,                   -- the process that does it; NULL: queued
	lease_until BIGINT,            -- until when other machines believe that
	PRIMARY KEY (kind, subject)
) WITHOUT ROWID;
INSERT INTO work SELECT 'run', seq, CASE WHEN status <> 'queued' THEN lease_holder END, lease_until FROM runs
	WHERE status = 'queued' OR lease_holder IS NOT NULL AND
	(status = 'in_progress' OR status = 'requires_action' OR status = 'cancelling');
DROP INDEX runs_queued;
ALTER TABLE runs DROP COLUMN lease_holder;
ALTER TABLE runs DROP COLUMN lease_until;

-- The options of runs, stored once for all runs with the same ones. The metadata, each run's own,
-- is null here.
CREATE TABLE run_options (
	seq INTEGER PRIMARY KEY AUTOINCREMENT,
	hash TEXT NOT NULL UNIQUE,     -- SHA-256 of the body
	body TEXT NOT NULL             -- model, instructions, tools and the other options
);
ALTER TABLE runs ADD COLUMN options BIGINT REFERENCES run_options (seq); -- never NULL
ALTER TABLE runs ADD COLUMN metadata TEXT;
UPDATE runs SET metadata = json_extract(body, '$.metadata'), body = json_set(body, '$.metadata', NULL)
	WHERE json_type(body, '$.metadata') = 'object';
INSERT INTO run_options (hash, body) SELECT DISTINCT sha256(body), body FROM runs;
UPDATE runs SET options = (SELECT seq FROM run_options WHERE hash = sha256(runs.body));
ALTER TABLE runs DROP COLUMN body;
CREATE INDEX runs_of_options ON runs (options);

-- The number of the model's answer that a step belongs to: hosted calls and function calls of one
-- answer are two steps. NULL: the answer has no other step.
ALTER TABLE run_steps ADD COLUMN round BIGINT;
-- Hosted calls as the model is told them, because the details show another form: JSON [{id, name,
-- arguments, output}].
ALTER TABLE run_steps ADD COLUMN told TEXT;

-- version 9

CREATE TABLE files (
	seq INTEGER PRIMARY KEY AUTOINCREMENT,
	id TEXT NOT NULL UNIQUE,       -- file-…
	tenant TEXT NOT NULL,
	created_at BIGINT NOT NULL,
	expires_at BIGINT,             -- NULL: never
	bytes BIGINT NOT NULL,
	purpose TEXT NOT NULL,
	filename TEXT NOT NULL,
	blob TEXT NOT NULL UNIQUE      -- where its bytes are (see blobs/blobs.h)
);
CREATE INDEX files_of_tenant ON files (tenant, seq);
CREATE INDEX files_by_expiry ON files (expires_at) WHERE expires_at IS NOT NULL;
INSERT INTO chores (name, due_at, cursor) VALUES ('files', 0, 0);
