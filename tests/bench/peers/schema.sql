-- The PHP script's database, made when the site is set up.
PRAGMA journal_mode = WAL;
CREATE TABLE threads (id TEXT PRIMARY KEY, created_at INTEGER NOT NULL) WITHOUT ROWID;
CREATE TABLE messages (
	seq INTEGER PRIMARY KEY,
	thread TEXT NOT NULL REFERENCES threads (id),
	created_at INTEGER NOT NULL,
	role TEXT NOT NULL,
	content TEXT NOT NULL
);
CREATE INDEX messages_of_thread ON messages (thread, seq);
