// Faults of the state folder and its files: each is one clear line in the log, and 503 for the requests
// that need it.

import assert from 'node:assert/strict';
import fs from 'node:fs';
import path from 'node:path';
import {
	PROGRAM, assertSentence, e2e, eventually, newThread, say, transcript, within,
} from './lib.mjs';
import { database, fill, ownFileSystem, preload, seenBy, sql } from './lib-state.mjs';
import { gate, modelServer, words } from './lib-upstream.mjs';

// The warnings and errors so far.
function complaints(bench) {
	return bench.logEntries().filter(({ level }) => /error|warn/.test(level))
		.map(({ message }) => message);
}

// Assert that these requests are answered 503 and logged once each, with such a line.
async function assertUnavailable(bench, requests, line) {
	bench.expectLog(line);
	for (const request of requests) {
		const before = complaints(bench).length;
		const answer = await request();
		assertSentence(answer, 503);
		assert.match(answer.headers['retry-after'], /^\d+$/);
		const [first, ...more] = complaints(bench).slice(before);
		assert.match(first, line);
		assert.deepEqual(more, []);
	}
}

// Requests that write, and requests that read.
function writing(site, thread) {
	return [
		() => site.request('POST', '/threads'),
		() => say(site, thread, 'lost words'),
		() => site.request('DELETE', `/threads/${thread}`),
	];
}

function reading(site, thread) {
	return [
		() => site.request('GET', `/threads/${thread}/messages`),
		() => site.request('GET', '/health'),
	];
}

// Start the program, which must fail: as a server, as a command and as CGI, with one line each.
async function assertNoStart(bench, line) {
	bench.expectLog(line);
	const child = bench.startProgram([PROGRAM, '--listen', `unix:${bench.dir}/socket`], {
		env: bench.env, stdio: ['ignore', 'ignore', fs.openSync(bench.logFile, 'a')],
	});
	assert.deepEqual(await within(child.ended, 'the program\'s end'), { code: 1, signal: null });
	assertSentence(await bench.cgi({ method: 'POST', path: '/threads' }), 500);
	const lines = complaints(bench);
	assert.equal(lines.length, 2, lines.join('\n'));
	lines.forEach((one) => assert.match(one, line));
}

e2e('a disk that fills up: 503, nothing is lost, and with room again it goes on', async (bench) => {
	const model = await modelServer(bench);
	const held = gate();
	ownFileSystem(bench, 'size=1m');
	const server = await bench.listen({ env: model.env });
	const [thread, other] = [await newThread(server), await newThread(server)];
	await say(server, thread, 'first words');
	model.queue.push(words('kept', held.opened));
	const waiting = say(server, other, 'words');
	await eventually('the model is asked', () => model.requests.length === 2);
	const folder = seenBy(server, bench);
	const makeRoom = fill(folder);
	const line = new RegExp(`^the database ${bench.state}/assistants\\.db: .* is full$`);
	await assertUnavailable(bench, writing(server, thread), line);
	assert.equal((await server.request('GET', '/health')).status, 200);
	const said = [['user', 'first words'], ['assistant', 'hello']];
	assert.deepEqual(await transcript(server, thread), said);
	const before = complaints(bench).length;
	held.open();
	await eventually('an answer that cannot be stored', () => complaints(bench).length > before);
	makeRoom();
	assert.equal((await waiting).text.trimEnd(), 'kept');
	assert.equal((await say(server, thread, 'more')).text.trimEnd(), 'hello');
	assert.deepEqual(await transcript(server, thread),
		[...said, ['user', 'more'], ['assistant', 'hello']]);
	assert.deepEqual(await transcript(server, other), [['user', 'words'], ['assistant', 'kept']]);
	await newThread(server);
	const copy = path.join(bench.dir, 'copy.db');
	for (const suffix of ['', '-wal']) {
		fs.copyFileSync(path.join(folder, `assistants.db${suffix}`), copy + suffix);
	}
	assert.equal(sql(copy, 'PRAGMA integrity_check'), 'ok');
});

e2e('a disk that is full at the start', async (bench) => {
	ownFileSystem(bench, 'size=64k', 'head -c 56k /dev/zero >filler');
	await assertNoStart(bench, /the database .*\/assistants\.db .*(full|No space left)/);
});

e2e('a limit of a file\'s size does not end the program', async (bench) => {
	const line = /^the database \S+: .*\(File too large\)$/;
	bench.expectLog(line);
	// In blocks of 512 bytes: more than the empty database needs.
	bench.via = ['/bin/sh', '-c', 'ulimit -f 512 && exec "$@"', 'sh'];
	const server = await bench.listen();
	const thread = await newThread(server);
	await eventually('the limit', async () => {
		return (await server.request('POST', '/threads')).status === 503;
	});
	assert.deepEqual(await transcript(server, thread), []);
});

e2e('a state folder that turns read-only', async (bench) => {
	const flag = path.join(bench.dir, 'read-only');
	preload(bench, { FAULT_READ_ONLY: flag });
	const server = await bench.listen();
	const thread = await newThread(server);
	await say(server, thread, 'words');
	const before = await transcript(server, thread);
	fs.writeFileSync(flag, '');
	const line = /^the database \S+: .*\(Read-only file system\)$/;
	await assertUnavailable(bench, writing(server, thread), line);
	assert.deepEqual(await transcript(server, thread), before);
	fs.unlinkSync(flag);
	assert.equal((await say(server, thread, 'words')).status, 200);
});

e2e('a state folder that is read-only at the start', async (bench) => {
	ownFileSystem(bench, 'ro');
	await assertNoStart(bench, /^the state folder \S+ cannot be used: Read-only file system/);
});

// Run the program as a user other than root, whom permissions restrict.
function asSomebody(bench) {
	if (process.getuid() !== 0) return;
	// A user who cannot reach the program gets a copy.
	const { program } = bench.programCopy();
	fs.chmodSync(bench.config, 0o644);
	bench.via = ['setpriv', '--reuid=65534', '--regid=65534', '--clear-groups',
		'/bin/sh', '-c', 'shift && exec "$0" "$@"', program];
}

e2e('a state folder that the program\'s user may not write to', async (bench) => {
	asSomebody(bench);
	fs.mkdirSync(bench.state, { mode: 0o500 });
	await assertNoStart(bench, /^the state folder \S+ cannot be used: Permission denied/);
});

e2e('a database that the program\'s user may not write to', async (bench) => {
	const server = await bench.listen();
	await newThread(server);
	await server.stop();
	asSomebody(bench);
	fs.chmodSync(bench.state, 0o777);
	fs.chmodSync(database(bench), 0o444);
	await assertNoStart(bench, /^the database \S+ cannot be opened: attempt to write a readonly/);
});

// Make a state folder with two conversations, all in the database file; returns their ids.
async function withConversations(bench) {
	const server = await bench.listen();
	const threads = [await newThread(server), await newThread(server)];
	for (const thread of threads) await say(server, thread, 'words');
	await server.stop();
	assert.deepEqual(fs.readdirSync(bench.state).sort(),
		['assistant', 'assistant.lock', 'assistants.db', 'conversations', 'leases']);
	return threads;
}

// Pseudo-random bytes, the same each time.
function noise(length) {
	let state = 12345;
	return Buffer.from({ length }, () => {
		state = (state * 1103515245 + 12345) % 2 ** 31;
		return state >> 16;
	});
}

const PAGE = 2048;

// Overwrite the database file from a page on.
function overwrite(bench, page, bytes, at = 0) {
	const fd = fs.openSync(database(bench), 'r+');
	fs.writeSync(fd, bytes, 0, bytes.length, (page - 1) * PAGE + at);
	fs.closeSync(fd);
}

for (const [what, damage, line] of [
	['text', (bench) => fs.writeFileSync(database(bench), 'words '.repeat(2000)),
		/cannot be opened: file is not a database$/],
	['a folder', (bench) => {
		fs.unlinkSync(database(bench));
		fs.mkdirSync(database(bench));
	}, /cannot be opened: unable to open database file/],
	['one with a damaged header', (bench) => overwrite(bench, 1, noise(100)),
		/cannot be opened: file is not a database$/],
	['one with a damaged first page', (bench) => overwrite(bench, 1, noise(PAGE - 100), 100),
		/the database .*: database disk image is malformed$/],
	['half of one', (bench) => fs.truncateSync(database(bench), 3 * PAGE),
		/the database .*: database disk image is malformed$/],
	['another program\'s', (bench) => {
		fs.unlinkSync(database(bench));
		sql(database(bench), 'CREATE TABLE accounts (name)');
	}, /belongs to another program/],
	['another program\'s, of a version that is ours, too', (bench) => {
		const version = sql(database(bench), 'PRAGMA user_version');
		fs.unlinkSync(database(bench));
		sql(database(bench), `CREATE TABLE threads (name); PRAGMA user_version = ${version}`);
	}, /cannot be used: no such table/],
]) {
	e2e(`a file that is no database: ${what}`, async (bench) => {
		await withConversations(bench);
		damage(bench);
		await assertNoStart(bench, line);
	});
}

e2e('a database with damaged pages: 503 where they are needed', async (bench) => {
	const [thread] = await withConversations(bench);
	const rootOf = (name) => Number(
		sql(database(bench), `SELECT rootpage FROM sqlite_master WHERE name = '${name}'`));
	const page = rootOf('sqlite_autoindex_threads_1');
	const server = await bench.listen();
	overwrite(bench, page, noise(PAGE));
	const line = /^the database \S+: .*: database disk image is malformed$/;
	const [health] = reading(server, thread).splice(1);
	await assertUnavailable(bench,
		[...writing(server, thread), reading(server, thread)[0]], line);
	assert.equal((await health()).status, 200);
	await assertUnavailable(bench, [
		() => bench.cgi({ method: 'POST', path: '/threads' }),
		() => bench.cgi({ method: 'GET', path: `/threads/${thread}/messages` }),
	], line);
});

for (const [what, change] of [
	['moved', (file, put) => fs.renameSync(file, put)],
	['emptied', (file, put) => {
		fs.copyFileSync(file, put);
		fs.truncateSync(file);
		return () => fs.writeFileSync(file, fs.readFileSync(put));
	}],
	['replaced', (file, put) => {
		fs.renameSync(file, put);
		fs.copyFileSync(put, file);
	}],
]) {
	e2e(`a database that is ${what} while it is in use: 503, until it is back`, async (bench) => {
		const [thread, other] = await withConversations(bench);
		const server = await bench.listen();
		const before = await transcript(server, thread);
		const [file, put] = [database(bench), path.join(bench.dir, 'put.db')];
		const back = change(file, put) ?? (() => fs.renameSync(put, file));
		const line = /^the database \S+ was moved, deleted or emptied.*restart the program$/;
		await assertUnavailable(bench,
			[...writing(server, thread), ...reading(server, thread)], line);
		back();
		assert.deepEqual(await transcript(server, thread), before);
		assert.equal((await say(server, other, 'words')).status, 200);
		assert.equal(sql(file, 'PRAGMA integrity_check'), 'ok');
	});
}

e2e('a database that is deleted while it is in use: 503, and a restart makes a new one',
	async (bench) => {
		bench.expectLog(/was moved, deleted or emptied/, /does not know the assistant/);
		const [thread] = await withConversations(bench);
		const server = await bench.listen();
		await newThread(server);
		fs.unlinkSync(database(bench));
		assertSentence(await server.request('POST', '/threads'), 503);
		await server.stop();
		const next = await bench.listen();
		assertSentence(await say(next, thread, 'words'), 404);
		assert.equal((await say(next, await newThread(next), 'words')).status, 200);
	});

e2e('a write-ahead log of another database does not end the program', async (bench) => {
	const [thread] = await withConversations(bench);
	const crashed = await bench.listen();
	for (let i = 0; i < 3; i++) await newThread(crashed);
	await crashed.kill();
	const log = fs.readFileSync(database(bench, '-wal'));
	fs.rmSync(bench.state, { recursive: true });
	await withConversations(bench);
	fs.writeFileSync(database(bench, '-wal'), log);
	const next = await bench.listen();
	for (const request of [...writing(next, thread), ...reading(next, thread)]) {
		const { status } = await request();
		assert.ok([200, 201, 204, 404, 503].includes(status), status);
	}
});

for (const [what, damage] of [
	['garbage', (wal) => fs.writeFileSync(wal, noise(40_000))],
	['empty', (wal) => fs.truncateSync(wal)],
	['cut off', (wal) => fs.truncateSync(wal, fs.statSync(wal).size - 1000)],
	['damaged in its middle', (wal) => {
		const bytes = fs.readFileSync(wal);
		noise(500).copy(bytes, bytes.length >> 1);
		fs.writeFileSync(wal, bytes);
	}],
]) {
	e2e(`a write-ahead log that is ${what}: everything before the damage is kept`, async (bench) => {
		const [thread] = await withConversations(bench);
		const crashed = await bench.listen();
		const before = await transcript(crashed, thread);
		for (let i = 0; i < 5; i++) await say(crashed, thread, 'more');
		await crashed.kill();
		damage(database(bench, '-wal'));
		const next = await bench.listen();
		const now = await transcript(next, thread);
		assert.deepEqual(now.slice(0, before.length), before);
		await newThread(next);
		await next.stop();
		assert.equal(sql(database(bench), 'PRAGMA integrity_check'), 'ok');
	});
}
