-- The database's schema, compiled into the program. Each "-- version N" begins what brings a database from
-- version N-1 to N, in one transaction; the SQL that stands here once is never changed, only added to.
--
-- A column is what queries need, and what the program itself changes. All else that the API shows is stored as
-- its JSON, in body or content, which is replaced whole when a client modifies it: a new member of it needs no
-- new version. Times are Unix seconds. `seq` is the order of creation: many objects
-- share a second. No `seq` is ever used again: who carries out a run whose thread is deleted knows both by
-- theirs, and would write into somebody else's.

-- version 1

CREATE TABLE assistants (
	seq INTEGER PRIMARY KEY AUTOINCREMENT,
	id TEXT NOT NULL UNIQUE,       -- asst_…, as the API shows it
	tenant TEXT NOT NULL,          -- the owner: "gateway", or a key's name
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
-- One active run a thread: who creates a second one meets this index, in whatever process.
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

-- Who carries the run out (see work/leases.h), and until when that counts on other machines.
ALTER TABLE runs ADD COLUMN lease_holder TEXT;
ALTER TABLE runs ADD COLUMN lease_until BIGINT;
CREATE INDEX runs_of_holder ON runs (lease_holder) WHERE status IN ('in_progress', 'cancelling');

-- version 3

-- What a run waits for, JSON, while it is requires_action.
ALTER TABLE runs ADD COLUMN required_action TEXT;
-- What a model server wants to be told by, in place of the words or calls (see model/model.h).
ALTER TABLE messages ADD COLUMN items TEXT;
ALTER TABLE run_steps ADD COLUMN items TEXT;
-- Calls of tools stand in their thread's conversation behind a message (its seq; 0: before the first).
ALTER TABLE run_steps ADD COLUMN thread BIGINT;
ALTER TABLE run_steps ADD COLUMN after_message BIGINT;
CREATE INDEX run_steps_of_thread ON run_steps (thread, after_message, seq) WHERE thread IS NOT NULL;
-- Threads are listed, page by page.
CREATE INDEX threads_of_tenant ON threads (tenant, seq);

-- Model servers that speak Chat Completions and not the Responses API.
CREATE TABLE chat_servers (
	base_url TEXT NOT NULL UNIQUE,
	until BIGINT NOT NULL          -- when they are to be asked again
);

-- POSTs under /v1 that came with an Idempotency-Key, for a day.
CREATE TABLE idempotent_requests (
	tenant TEXT NOT NULL,
	path TEXT NOT NULL,
	client_key TEXT NOT NULL,      -- the header's value
	body_hash TEXT NOT NULL,       -- SHA-256
	created_at BIGINT NOT NULL,
	status BIGINT,                 -- what it was answered; NULL until then, or its process ended before
	answer TEXT,                   -- JSON; NULL for a stream
	UNIQUE (tenant, path, client_key)
);
CREATE INDEX idempotent_requests_by_age ON idempotent_requests (created_at);

-- version 4

-- A run that waits for its calls' outputs has a holder, too, if that makes them itself.
DROP INDEX runs_of_holder;
CREATE INDEX runs_of_holder ON runs (lease_holder)
	WHERE status IN ('in_progress', 'requires_action', 'cancelling');

-- Token buckets: what may be used of something in a time (see records/token_bucket.h).
CREATE TABLE buckets (
	name TEXT NOT NULL UNIQUE,     -- "messages 192.0.2.1"
	full_at BIGINT NOT NULL,       -- Unix nanoseconds when it will be full again
	usual BIGINT NOT NULL          -- units that a use of it takes in the mean; 0: unknown
);
CREATE INDEX buckets_by_time ON buckets (full_at) WHERE usual = 0;
-- Work that comes round. Who moves due_at on does the next piece of it, whichever process that is.
CREATE TABLE chores (
	name TEXT NOT NULL UNIQUE,     -- retention
	due_at BIGINT NOT NULL,
	cursor BIGINT NOT NULL         -- how far the piece before came
);
INSERT INTO chores (name, due_at, cursor) VALUES ('retention', 0, 0);

-- version 5

-- The same set as before: of IN and four words SQLite made a table, each time that it wrote a run.
DROP INDEX runs_active;
CREATE UNIQUE INDEX runs_active ON runs (thread) WHERE status = 'queued' OR status = 'in_progress'
	OR status = 'requires_action' OR status = 'cancelling';
-- The few that somebody carries out are found among those.
DROP INDEX runs_of_holder;

-- version 6

-- What was learnt about model servers, each a day long, in place of the API alone (see model/needs.h).
DROP TABLE chat_servers;
CREATE TABLE model_servers (
	base_url TEXT NOT NULL,
	model TEXT NOT NULL,           -- as the server knows it; '' for the server itself
	needs TEXT NOT NULL,           -- "no temperature, no system role"
	until BIGINT NOT NULL,         -- when it is to be found out again
	UNIQUE (base_url, model)
);

-- version 7

-- A bucket's use costs what was reserved, not the mean of others; and a clock that was set back shows.
DROP INDEX buckets_by_time;
ALTER TABLE buckets DROP COLUMN usual;
ALTER TABLE buckets ADD COLUMN seen_at BIGINT NOT NULL DEFAULT 0; -- Unix nanoseconds when it was last written
CREATE INDEX buckets_by_time ON buckets (full_at);
-- Each tenant has a budget of its own.
UPDATE buckets SET name = 'tokens gateway' WHERE name = 'tokens';
-- Tokens that questions to the model may cost which are not over yet (see records/budget.h).
CREATE TABLE reservations (
	id TEXT NOT NULL UNIQUE,       -- a run's, or one of its own
	bucket TEXT NOT NULL,
	tokens BIGINT NOT NULL,        -- taken from the bucket
	context BIGINT NOT NULL,       -- of these, for what the model reads
	asked_at BIGINT NOT NULL,
	overdue_at BIGINT NOT NULL     -- when it should have been settled
);
CREATE INDEX reservations_overdue ON reservations (overdue_at);
CREATE INDEX reservations_of_bucket ON reservations (bucket);

-- version 8

-- What is queued, and what somebody does (see work/work.h): in place of leases in the runs.
CREATE TABLE work (
	kind TEXT NOT NULL,            -- run
	subject BIGINT NOT NULL,       -- its seq
	holder TEXT,                   -- the process that does it; NULL: it is queued
	lease_until BIGINT,            -- how long that counts on other machines
	PRIMARY KEY (kind, subject)
) WITHOUT ROWID;
INSERT INTO work SELECT 'run', seq, CASE WHEN status <> 'queued' THEN lease_holder END, lease_until FROM runs
	WHERE status = 'queued' OR lease_holder IS NOT NULL AND
	(status = 'in_progress' OR status = 'requires_action' OR status = 'cancelling');
DROP INDEX runs_queued;
ALTER TABLE runs DROP COLUMN lease_holder;
ALTER TABLE runs DROP COLUMN lease_until;

-- What runs were asked with, once for all that are asked alike. The metadata, each run's own, is null here.
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

-- Which answer of the model a step belongs to: calls of hosted tools and of functions that came in one are two
-- steps. NULL: it is the only one of its answer.
ALTER TABLE run_steps ADD COLUMN round BIGINT;
-- Of calls of hosted tools, which the details show in another form: JSON [{id, name, arguments, output}].
ALTER TABLE run_steps ADD COLUMN told TEXT;
