// The program as a process: start, end, and what prevents its start.

import assert from 'node:assert/strict';
import { once } from 'node:events';
import fs from 'node:fs';
import net from 'node:net';
import path from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import {
	KEY, PROGRAM, answers, assertSentence, e2e, eventually, freePort, newThread, say,
	transcript, within,
} from './lib.mjs';
import { cgiVariables, parseCgi } from './lib-cgi.mjs';
import { fcgiBytes, fcgiStall } from './lib-fcgi.mjs';
import { fromShell } from './lib-servers.mjs';
import { gate, modelServer, silence, words } from './lib-upstream.mjs';

for (const [where, port] of [['a Unix socket', () => undefined], ['TCP', freePort]]) {
	e2e(`SIGTERM, on ${where}: a waiting message is still answered, new ones are refused`,
		async (bench) => {
			const model = await modelServer(bench);
			const held = gate();
			model.queue.push(words('at last', held.opened));
			const server = await bench.listen({ env: model.env, port: await port() });
			const waiting = say(server, await newThread(server), 'words');
			await eventually('the model is asked', () => model.requests.length === 1);
			const stopped = server.stop();
			await eventually('new ones are refused',
				async () => !await within(answers(server.socket), 'refusal', 1000));
			if (typeof server.socket === 'string') {
				assert.equal(fs.existsSync(server.socket), false);
			}
			held.open();
			const answer = await waiting;
			assert.deepEqual([answer.status, answer.text.trimEnd()], [200, 'at last']);
			await stopped;
		});
}

e2e('SIGTERM ends a CGI program that waits for the model, and frees its thread', async (bench) => {
	const model = await modelServer(bench);
	model.queue.push(silence());
	const site = await fromShell(bench, model.env);
	const thread = await newThread(site);
	const waiting = bench.startCgi({
		env: model.env, method: 'POST', path: `/threads/${thread}/messages`,
		body: 'first words',
	});
	await eventually('the model is asked', () => model.requests.length === 1);
	waiting.kill('SIGTERM');
	const ended = await within(waiting.ended, 'the program\'s end', 3000);
	assert.deepEqual(ended, { code: 0, signal: null });
	assertSentence(parseCgi(await waiting.output), 503);
	await within(model.requests[0].left, 'the request to the model ends', 1000);
	const next = await within(say(site, thread, 'second words'), 'the next answer', 3000);
	assert.equal(next.text.trimEnd(), 'hello');
	assert.deepEqual(await transcript(site, thread), [
		['user', 'first words'], ['user', 'second words'], ['assistant', 'hello'],
	]);
});

// An upstream that records each byte of a connection.
async function rawUpstream(bench, json) {
	const upstream = { received: '', open: 0 };
	const server = net.createServer((connection) => {
		upstream.open += 1;
		connection.on('data', (bytes) => {
			const first = upstream.received === '';
			upstream.received += bytes;
			if (!first) return;
			connection.write(`HTTP/1.1 200 OK\r\nContent-Type: application/json\r\n`
				+ `Content-Length: ${json.length}\r\n\r\n${json}`);
		});
		connection.once('error', () => {}).once('close', () => { upstream.open -= 1; });
	});
	server.listen(0, '127.0.0.1');
	await once(server, 'listening');
	bench.onClose(() => server.close());
	upstream.url = `http://127.0.0.1:${server.address().port}/v1`;
	return upstream;
}

e2e('CGI with descriptors 0, 1 and 2 closed: no log line gets into another socket',
	async (bench) => {
		const upstream = await rawUpstream(bench, `{"id":"thread_${'0'.repeat(24)}"}`);
		const request = cgiVariables({ method: 'POST', path: '/threads' });
		await bench.shell(`exec '${PROGRAM}' <&- >&- 2>&-`, {
			...request, ASSISTANTS_UPSTREAM_URL: upstream.url, ASSISTANTS_LOG: 'debug',
		});
		await eventually('the connection\'s end', () => upstream.open === 0);
		assert.match(upstream.received,
			/^POST \/v1\/threads HTTP\/1\.1\r\n([\w-]+: .*\r\n)+\r\n\{ *\}$/);
	});

e2e('SIGINT ends it as well as SIGTERM', async (bench) => {
	const server = await bench.listen();
	server.child.kill('SIGINT');
	server.stopped = server.child.ended;
	assert.deepEqual(await server.stopped, { code: 0, signal: null });
});

e2e('a stale socket is replaced, and messages from before a crash are still there',
	async (bench) => {
		const crashed = await bench.listen();
		const thread = await newThread(crashed);
		await say(crashed, thread, 'words');
		const before = await transcript(crashed, thread);
		await crashed.kill();
		assert.ok(fs.statSync(crashed.socket).isSocket(), 'nobody removed it');
		const next = await bench.listen();
		assert.deepEqual(await transcript(next, thread), before);
		assert.equal((await say(next, thread, 'more')).status, 200);
	});

e2e('a run that died with its process gives its thread back at once', async (bench) => {
	const model = await modelServer(bench);
	for (const other of ['restarted', 'beside']) {
		model.queue.push(words('never', gate().opened));
		const crashed = await bench.listen({ env: model.env });
		const beside = (request) => bench.cgi({ env: model.env, ...request });
		const cgi = { request: (method, path, more) => beside({ method, path, ...more }) };
		const thread = await newThread(crashed);
		const asked = model.requests.length;
		say(crashed, thread, 'first words').catch(() => {});
		await eventually('the model is asked', () => model.requests.length > asked);
		await crashed.kill();
		const next = other === 'beside' ? cgi : await bench.listen({ env: model.env });
		assert.equal((await say(next, thread, 'second words')).text.trimEnd(), 'hello');
		assert.deepEqual(await transcript(next, thread), [
			['user', 'first words'], ['user', 'second words'], ['assistant', 'hello'],
		]);
		if (next.stop) await next.stop();
	}
});

e2e('a socket on which a program answers is not replaced', async (bench) => {
	const first = await bench.listen();
	const second = await bench.command(['--listen', `unix:${first.socket}`]);
	assertOneLine(second, /socket/);
	assert.equal((await first.request('GET', '/health')).status, 200);
});

e2e('a file that is no socket is not taken away', async (bench) => {
	const file = path.join(bench.dir, 'precious');
	fs.writeFileSync(file, 'words');
	assertOneLine(await bench.command(['--listen', `unix:${file}`]), /precious/);
	assert.equal(fs.readFileSync(file, 'utf8'), 'words');
});

e2e('SIGTERM does not wait for a request that never comes', async (bench) => {
	const server = await bench.listen();
	const whole = fcgiBytes(cgiVariables({ method: 'GET', path: '/health' }));
	for (const count of [0, 1, 60]) {
		const stalled = await fcgiStall(server.socket, whole, count);
		bench.onClose(() => stalled.destroy());
	}
	assert.equal((await server.request('GET', '/health')).status, 200);
	await within(server.stop(), 'its end', 10_000);
});

e2e('it listens on TCP, too, and removes its socket at the end', async (bench) => {
	const tcp = await bench.listen({ port: await freePort() });
	assert.equal((await tcp.request('GET', '/health')).status, 200);
	const local = await bench.listen();
	await local.stop();
	assert.equal(fs.existsSync(local.socket), false);
});

e2e('the socket\'s mode is 0660, or as --mode says', async (bench) => {
	const mode = ({ socket }) => fs.statSync(socket).mode & 0o777;
	const usual = await bench.listen();
	assert.equal(mode(usual), 0o660);
	await usual.stop();
	assert.equal(mode(await bench.listen({ args: ['--mode', '0600'] })), 0o600);
});

e2e('files in the state folder have mode 0600', async (bench) => {
	const server = await bench.listen();
	await say(server, await newThread(server), 'words');
	assert.equal(fs.statSync(bench.state).mode & 0o777, 0o700);
	for (const name of fs.readdirSync(bench.state)) {
		const { mode } = fs.statSync(path.join(bench.state, name));
		assert.equal(mode & 0o077, 0, name);
	}
});

function assertOneLine({ code, stderr }, ...patterns) {
	assert.notEqual(code, 0);
	assert.equal(stderr.trimEnd().split('\n').length, 1, stderr);
	for (const pattern of patterns) assert.match(stderr, pattern);
}

// Assert what --check-config reports of the first failed part.
function assertNotWell({ code, stdout, stderr }, ...patterns) {
	assert.deepEqual([code, stderr], [1, '']);
	const line = stdout.split('\n').find((one) => one.includes(': NOT ok, '));
	for (const pattern of patterns) assert.match(line, pattern);
}

const WRONG = [
	['ASSISTANTS_WORKERZ=3\n', /ASSISTANTS_WORKERZ/],
	['ASSISTANTS_DATABASE_URL=sqlite:\n', /ASSISTANTS_DATABASE_URL/],
	['PATH=/bin\n', /PATH/],
	['ASSISTANTS_WORKERS=many\n', /ASSISTANTS_WORKERS/],
	['ASSISTANTS_WORKERS=1\n', /ASSISTANTS_WORKERS/],
	['ASSISTANTS_RUN_TIMEOUT=0\n', /ASSISTANTS_RUN_TIMEOUT/],
	['ASSISTANTS_RUN_TIMEOUT=10s\n', /ASSISTANTS_RUN_TIMEOUT/],
	['ASSISTANTS_MAX_BODY=-1\n', /ASSISTANTS_MAX_BODY/],
	['ASSISTANTS_LOG=loud\n', /ASSISTANTS_LOG.*debug/],
	['ASSISTANTS_SYNC=off\n', /ASSISTANTS_SYNC.*normal/],
	['ASSISTANTS_MODEL_API=telepathy\n', /ASSISTANTS_MODEL_API.*offline/],
	['OPENAI_BASE_URL=ftp://127.0.0.1/v1\n', /OPENAI_BASE_URL/],
	['OPENAI_BASE_URL=no url\n', /OPENAI_BASE_URL/],
	['ASSISTANTS_STATE_DIR=relative\n', /ASSISTANTS_STATE_DIR/],
	['ASSISTANTS_DEFINITION=/nowhere/at/all.json\n', /ASSISTANTS_DEFINITION|\/nowhere/],
	['OPENAI_API_KEY_FILE=/nowhere/at/all\n', /OPENAI_API_KEY_FILE/],
	['words without a sign\n', /line 1/],
];

for (const [content, ...patterns] of WRONG) {
	e2e(`the start is refused: ${content.trim()}`, async (bench) => {
		bench.file('config', content);
		delete bench.env.ASSISTANTS_STATE_DIR;
		const listen = ['--listen', `unix:${path.join(bench.dir, 'socket')}`];
		if (!content.includes('STATE_DIR')) bench.env.ASSISTANTS_STATE_DIR = bench.state;
		assertOneLine(await bench.command(listen), ...patterns);
		assertNotWell(await bench.command(['--check-config']), ...patterns);
	});
}

e2e('a wrong value in the environment is refused, and a key is not repeated', async (bench) => {
	const wrong = await bench.command(['--check-config'], { ASSISTANTS_WORKERS: '0' });
	assertNotWell(wrong, /ASSISTANTS_WORKERS/);
	const key = await bench.command(['--check-config'], { OPENAI_API_KEY: `${KEY}\n` });
	assertNotWell(key, /OPENAI_API_KEY/);
	assert.ok(!key.stdout.includes(KEY));
	const nowhere = { ASSISTANTS_CONFIG: '/nowhere/at/all' };
	assertNotWell(await bench.command(['--check-config'], nowhere), /\/nowhere\/at\/all/);
	const broken = { ASSISTANTS_DEFINITION: bench.file('definition.json', '{"name":') };
	assertNotWell(await bench.command(['--check-config'], broken), /definition/i);
});

e2e('CGI: a wrong setting is one log line, and the answer does not reveal it',
	async (bench) => {
		bench.expectLog(/ASSISTANTS_WORKERS/);
		const env = { ASSISTANTS_WORKERS: 'many' };
		const headers = { accept: 'application/json' };
		const request = { method: 'GET', path: '/health', headers, env };
		const answer = await bench.cgi(request);
		assert.equal(answer.status, 500);
		assert.ok(!answer.text.includes('ASSISTANTS_WORKERS'));
		assert.match(answer.headers['content-type'], /^application\/problem\+json/);
		assert.match(answer.headers['x-request-id'], /^req_/);
		const levels = bench.logEntries().map(({ level }) => level);
		assert.deepEqual(levels, ['error', 'info']);
		assert.equal((await bench.cgi({ ...request, method: 'HEAD' })).text, '');
	});

e2e('the commands', async (bench) => {
	const good = await bench.command(['--check-config']);
	assert.equal(good.code, 0, good.stderr);
	assert.ok((good.stdout + good.stderr).includes(bench.state), 'it says which state folder');
	const version = await bench.command(['--version']);
	assert.deepEqual([version.code, version.stderr], [0, '']);
	assert.match(version.stdout, /^\S.*\d+\.\d+\.\d+\n$/);
	const help = await bench.command(['--help']);
	assert.deepEqual([help.code, help.stderr], [0, '']);
	for (const word of ['--listen', '--check-config', '--version']) {
		assert.ok(help.stdout.includes(word), word);
	}
	for (const args of [[], ['--nonsense'], ['--listen'], ['--listen', 'nonsense']]) {
		const { code, stdout, stderr } = await bench.command(args);
		assert.notEqual(code, 0, args.join(' '));
		assert.equal(stdout, '');
		assert.match(stderr, /\w/);
	}
});

e2e('a state folder inside the program\'s own folder is refused, and not made', async (bench) => {
	const { folder, program } = bench.programCopy();
	const link = path.join(bench.dir, 'link');
	fs.symlinkSync(folder, link);
	const listen = ['--listen', `unix:${path.join(bench.dir, 'socket')}`];
	for (const top of [folder, link]) {
		for (const below of ['e2e-state', 'a/b/e2e-state']) {
			const env = { ASSISTANTS_STATE_DIR: path.join(top, below) };
			assertOneLine(await bench.command(listen, env, program), /e2e-state/);
			const checked = await bench.command(['--check-config'], env, program);
			assertNotWell(checked, /^state folder: .*e2e-state/);
		}
	}
	assert.deepEqual(fs.readdirSync(folder), [path.basename(program)]);
});

e2e('a key file inside the program\'s own folder is refused', async (bench) => {
	const { folder, program } = bench.programCopy();
	fs.writeFileSync(path.join(folder, 'key'), `${KEY}\n`, { mode: 0o600 });
	const link = path.join(bench.dir, 'link');
	fs.symlinkSync(path.join(folder, 'key'), link);
	const listen = ['--listen', `unix:${path.join(bench.dir, 'socket')}`];
	for (const file of [path.join(folder, 'key'), link]) {
		const env = { OPENAI_API_KEY_FILE: file };
		const refused = await bench.command(listen, env, program);
		assertOneLine(refused, /OPENAI_API_KEY_FILE/, /own folder/);
		const checked = await bench.command(['--check-config'], env, program);
		assertNotWell(checked, /OPENAI_API_KEY_FILE/, /own folder/);
		assert.ok(!(refused.stderr + checked.stdout).includes(KEY));
	}
});

e2e('a definition with an unknown member: 502, and the log names it, once', async (bench) => {
	bench.expectLog(/colour/);
	const definition = { name: 'Tutor', model: 'a-model', colour: 'blue' };
	const file = bench.file('definition.json', JSON.stringify(definition));
	const server = await bench.listen({ env: { ASSISTANTS_DEFINITION: file } });
	const told = await say(server, await newThread(server), 'words');
	assertSentence(told, 502);
	assert.ok(!told.text.includes('colour'));
	assert.equal(bench.logEntries().filter(({ message }) => /colour/.test(message)).length, 1);
});

e2e('the user\'s words are in the log at debug, and only there', async (bench) => {
	const site = await fromShell(bench);
	const thread = await newThread(site);
	await say(site, thread, 'private words');
	assert.ok(!bench.log().includes('private words'));
	bench.env.ASSISTANTS_LOG = 'debug';
	await say(site, thread, 'private words');
	assert.ok(bench.log().includes('private words'));
});

// SQLite's file format: the user version is the four bytes at 60, the magic words are the first 15.
e2e('a database newer than the program is refused, and left alone', async (bench) => {
	const server = await bench.listen();
	await newThread(server);
	await server.stop();
	const database = fs.readdirSync(bench.state).map((name) => path.join(bench.state, name))
		.find((file) => fs.readFileSync(file, 'latin1').startsWith('SQLite format 3'));
	const bytes = fs.readFileSync(database);
	bytes.writeUInt32BE(999, 60);
	fs.writeFileSync(database, bytes);
	const listen = ['--listen', `unix:${path.join(bench.dir, 'socket')}`];
	assertOneLine(await bench.command(listen), /999|newer/);
	assert.deepEqual(fs.readFileSync(database), bytes);
});
