// --check-config: a line for each part: it is fine, or what to do.

import assert from 'node:assert/strict';
import fs from 'node:fs';
import path from 'node:path';
import { KEY, UPSTREAM_KEY, e2e, freePort, newThread } from './lib.mjs';
import { remoteServer } from './lib-remote.mjs';
import { MARKER, certificate, modelServer, silence, status } from './lib-upstream.mjs';
import { makeKey } from './lib-v1.mjs';

const MODEL = 'gpt-5.4-mini';

// Its output as {part: text}; text of a failed part begins with "NOT ok".
async function check(bench, env = {}) {
	const { code, stdout, stderr } = await bench.command(['--check-config'], env);
	assert.equal(stderr, '');
	assert.ok(![KEY, UPSTREAM_KEY].some((key) => stdout.includes(key)), stdout);
	const lines = stdout.trimEnd().split('\n').map((line) => {
		const [, part, good, words] = line.match(/^([A-Za-z ]+): (ok|NOT ok), (\S.*)$/);
		return [part, good, words];
	});
	assert.equal(code, lines.every(([, good]) => good === 'ok') ? 0 : 1, stdout);
	return Object.fromEntries(lines.map(([part, good, words]) => {
		return [part, good === 'ok' ? words : `${good}, ${words}`];
	}));
}

// A model server that lists these models, in OpenAI's form or another.
function models(...ids) {
	const data = ids.map((id) => ({ id, object: 'model', created: 0, owned_by: 'x' }));
	return (response) => response.end(JSON.stringify({ object: 'list', data }));
}

async function serverWith(bench, answer) {
	const server = await modelServer(bench);
	server.otherwise = answer;
	return server;
}

e2e('everything is fine: a line each, and nothing that costs was asked or made', async (bench) => {
	const server = await serverWith(bench, models('another', MODEL));
	const site = await bench.listen({ env: server.env });
	await newThread(site);
	await makeKey(bench);
	const before = fs.readdirSync(bench.state).sort();
	assert.deepEqual(await check(bench, server.env), {
		configuration: `from ${bench.config} and the environment`,
		'state folder': bench.state,
		database: `${bench.state}/assistants.db, 1 thread`,
		'model server': `${server.url} has the model ${MODEL}`,
		definition: `the built-in one, "assistants-fcgi" with the model ${MODEL}`,
		keys: `${bench.state}/keys, 1 for /v1`,
		admission: 'any number of messages a minute, any number of tokens a day; ' +
			'pages of this site alone; no access token',
	});
	assert.deepEqual(server.requests.map(({ method, path: where }) => `${method} ${where}`),
		['GET /v1/models']);
	assert.equal(server.requests[0].headers.authorization, `Bearer ${KEY}`);
	assert.deepEqual(fs.readdirSync(bench.state).sort(), before);
});

e2e('nothing is set: the folder and the database are made, no assistant', async (bench) => {
	const told = await check(bench);
	assert.match(told['model server'], /built-in script .*OPENAI_API_KEY/);
	assert.match(told.keys, /--make-key/);
	assert.match(told.database, /, 0 threads$/);
	assert.equal(fs.statSync(bench.state).mode & 0o777, 0o700);
	const made = await bench.shell(
		`sqlite3 '${bench.state}/assistants.db' 'select count(*) from assistants'`);
	assert.equal(made, '0\n');
});

// The model server's answer, and what is reported.
const SERVER_ANSWERS = [
	['a list without a wrapping', (response) => response.end(`[{"id":"${MODEL}"}]`),
		/^http\S+ has the model gpt/],
	['Ollama\'s name', models(`${MODEL}:latest`), /^http\S+ has the model gpt/],
	['Google\'s name', models(`models/${MODEL}`), /^http\S+ has the model gpt/],
	['another model only', models('a', 'b', 'c', 'd', `${MODEL}-pro`),
		/^NOT ok, http\S+ does not list .*-mini \(it has a, b, c, …\): set ASSISTANTS_MODEL /],
	['no model', models(), /^NOT ok, .*\(it has none\)/],
	['nothing at any path', status(404),
		/^NOT ok, \S+\/v1 has no list of models \(404\), and does not accept questions either: check OPENAI_BASE_URL$/],
	['no such list, but questions', (response, { path: at }) => {
		const there = at === '/v1/chat/completions';
		return status(there ? 400 : 404)(response);
	}, /^\S+\/v1 has no list of models \(404\), but accepts questions at \/chat\/completions$/],
	['401', status(401), /^NOT ok, http\S+ refuses the key \(401\): check OPENAI_API_KEY$/],
	['403', status(403), new RegExp(`^NOT ok, .* \\(403: ${MARKER}: .*redacted.*OPENAI_API_KEY`)],
	['500', status(500), /^NOT ok, http\S+ answers 500: .*: check OPENAI_BASE_URL$/],
	['429', status(429, { 'retry-after': '60' }), /^NOT ok, http\S+ is busy \(429/],
	['a redirection', status(301, { location: 'https://elsewhere/' }), /^NOT ok, .* answers 301/],
	['a page', status(200, { 'content-type': 'text/html' }, '<html>'),
		/^NOT ok, .* no list of models, and does not accept questions either: check OPENAI_BASE_URL$/],
	['words for a terminal', status(500, {}, '{"error":{"message":"a\\u001b[2J\\u009bb\\nc"}}'),
		/^NOT ok, .*: a \[2J\u00a0b c: check/],
];

for (const [name, answer, pattern] of SERVER_ANSWERS) {
	e2e(`the model server answers ${name}`, async (bench) => {
		const { env } = await serverWith(bench, answer);
		assert.match((await check(bench, env))['model server'], pattern);
	});
}

// What is set after the working base URL.
const BASES = ['', '/', '/v1/chat/completions', '/v1/responses', '/chat/completions', '/v1/v1', '/v1/models'];

for (const base of BASES) {
	e2e(`a base URL that ends with "${base}": the one that works is named`, async (bench) => {
		const server = await serverWith(bench, (response, { method, path: at }) => {
			const there = method === 'POST' && /^\/v1\/(responses|chat\/completions)$/.test(at);
			return status(there ? 400 : 404)(response);
		});
		const root = server.url.slice(0, -'/v1'.length);
		const told = await check(bench, { ...server.env, OPENAI_BASE_URL: `${root}${base}` });
		assert.equal(told['model server'], 'NOT ok, ' +
			`${`${root}${base}`.replace(/\/$/, '')} is not the base URL, but ${server.url} is: change OPENAI_BASE_URL`);
		// Nothing that costs tokens was asked.
		const asked = server.requests.filter(({ method }) => method === 'POST');
		assert.ok(asked.every(({ json }) => JSON.stringify(json) === '{}'));
	});
}

e2e('https where http is spoken', async (bench) => {
	const server = await serverWith(bench, models(MODEL));
	const url = server.url.replace('http:', 'https:');
	const told = await check(bench, { ...server.env, OPENAI_BASE_URL: url });
	assert.equal(told['model server'],
		`NOT ok, ${url}: this port speaks http, not https: change OPENAI_BASE_URL`);
	assert.ok(server.requests.every(({ headers }) => !headers.authorization), 'the key went out');
});

e2e('a key with quotes around it', async (bench) => {
	const server = await serverWith(bench, models(MODEL));
	const told = await check(bench, { ...server.env, OPENAI_API_KEY: `"${KEY}"` });
	assert.equal(told.configuration,
		'NOT ok, OPENAI_API_KEY has quotes around it, which count as part of the value: remove them');
});

e2e('a model server without a key that wants one', async (bench) => {
	const { url } = await serverWith(bench, status(401));
	const told = await check(bench, { OPENAI_BASE_URL: url });
	assert.match(told['model server'], /^NOT ok, \S+ needs a key \(401\): set OPENAI_API_KEY$/);
});

e2e('a model server that is silent', async (bench) => {
	const { env } = await serverWith(bench, silence());
	assert.match((await check(bench, env))['model server'],
		/^NOT ok, .* not answer within 10 seconds: check OPENAI_BASE_URL$/);
});

e2e('a model server\'s certificate that is not trusted, and then is', async (bench) => {
	const tls = certificate(bench);
	const server = await modelServer(bench, { tls });
	server.otherwise = models(MODEL);
	const distrusted = await check(bench, server.env);
	assert.match(distrusted['model server'], /^NOT ok, .*certificate.*ASSISTANTS_CA_FILE/);
	const trusted = await check(bench, { ...server.env, ASSISTANTS_CA_FILE: tls.file });
	assert.match(trusted['model server'], / has the model /);
});

e2e('ASSISTANTS_MODELS: the server must have the model that is sent', async (bench) => {
	const server = await serverWith(bench, models('sent', 'other'));
	const told = async (pairs) => {
		const env = { ...server.env, ASSISTANTS_MODELS: pairs };
		return (await check(bench, env))['model server'];
	};
	const known = `${server.url} has the model sent, sent in place of ${MODEL}`;
	assert.equal(await told(`${MODEL}=sent,gpt-4=other`), known);
	assert.equal(await told('*=sent'), known);
	assert.match(await told(`${MODEL}=sent,gpt-4=gone`),
		/^NOT ok, .* gone .*: change ASSISTANTS_MODELS$/);
	assert.match(await told('gpt-4=other'), /^NOT ok, .* gpt-5.4-mini .*ASSISTANTS_MODELS$/);
});

// A definition's file, and what is reported.
const DEFINITIONS = [
	[{ name: 'Math Tutor', model: 'a-model' }, /^\S+\.json, "Math Tutor" with the model a-model$/],
	[{ name: 'Tutor', model: 'a-model', temperature: 7 }, /^NOT ok, correct \S+\.json: .*temperature/],
	[{ name: 'Tutor', model: 'a-model', colour: 'blue' }, /^NOT ok, correct \S+\.json: .*colour/],
	[{ name: 'Tutor' }, /^NOT ok, ASSISTANTS_DEFINITION: \S+ lacks a "model"/],
];

for (const [definition, pattern] of DEFINITIONS) {
	e2e(`the definition ${JSON.stringify(definition)}`, async (bench) => {
		const server = await serverWith(bench, models('a-model'));
		const file = bench.file('definition.json', JSON.stringify(definition));
		const told = await check(bench, { ...server.env, ASSISTANTS_DEFINITION: file });
		assert.match(told.definition, pattern);
		assert.ok(!told['model server'].startsWith('NOT'), told['model server']);
	});
}

e2e('a remote Assistants API is asked for one assistant, and nothing else is', async (bench) => {
	const remote = await remoteServer(bench);
	const told = await check(bench, remote.env);
	assert.deepEqual(Object.keys(told),
		['configuration', 'state folder', 'Assistants API', 'definition', 'admission']);
	assert.equal(told['Assistants API'], `${remote.env.ASSISTANTS_UPSTREAM_URL} answers`);
	const [{ headers }] = remote.requests;
	assert.equal(headers.authorization, `Bearer ${UPSTREAM_KEY}`);
	assert.equal(headers['openai-beta'], 'assistants=v2');
	assert.deepEqual(remote.takeLog(), ['GET /v1/assistants?limit=1']);
	assert.ok(!fs.existsSync(path.join(bench.state, 'assistants.db')));
	remote.refuse = () => status(401);
	const refused = await check(bench, remote.env);
	assert.match(refused['Assistants API'], /^NOT ok, .* \(401\): check ASSISTANTS_UPSTREAM_KEY$/);
	remote.refuse = () => status(404);
	const gone = await check(bench, remote.env);
	assert.match(gone['Assistants API'], /^NOT ok, .* 404.*: check ASSISTANTS_UPSTREAM_URL$/);
});

e2e('everything fails at once, and each part reports it', async (bench) => {
	const env = {
		OPENAI_BASE_URL: `http://127.0.0.1:${await freePort()}/v1`, OPENAI_API_KEY: KEY,
		ASSISTANTS_STATE_DIR: bench.file('a-file', ''),
		ASSISTANTS_DEFINITION: '/nowhere/at/all.json',
		ASSISTANTS_KEYS_FILE: bench.file('some-keys', 'words\n'),
	};
	const { configuration, admission, ...told } = await check(bench, env);
	assert.match(configuration, /^from /);
	assert.match(admission, /^any number/);
	for (const [part, pattern] of Object.entries({
		'state folder': /^NOT ok, .*a-file cannot be used: .*ASSISTANTS_STATE_DIR/,
		database: /^NOT ok, not tested/,
		'model server': /^NOT ok, http\S+ cannot be reached: .*: check OPENAI_BASE_URL$/,
		definition: /^NOT ok, ASSISTANTS_DEFINITION: \/nowhere\/at\/all\.json: /,
		keys: /^NOT ok, \S+some-keys, line 1: a key must look/,
	})) {
		assert.match(told[part], pattern);
		delete told[part];
	}
	assert.deepEqual(told, {});
});

e2e('admission is reported as it is set', async (bench) => {
	const { admission } = await check(bench, {
		ASSISTANTS_RATE: '6', ASSISTANTS_DAILY_TOKENS: '1000', ASSISTANTS_MODEL_API: 'offline',
		ASSISTANTS_ALLOW_ORIGIN: 'https://a.example',
		ASSISTANTS_ACCESS_TOKEN_FILE: bench.file('token', 'a-token-of-some-length'),
		ASSISTANTS_TRUSTED_PROXIES: '10.0.0.0/8', ASSISTANTS_KEY_DAILY_TOKENS: '500',
		ASSISTANTS_ALLOWED_HOSTS: 'a.example',
	});
	assert.equal(admission, '6 messages a minute from each address, 1000 tokens a day, ' +
		'500 for each name under /v1; pages of this site and of https://a.example; ' +
		'the hosts a.example; only with the access token; ' +
		'X-Forwarded-For of trusted proxies is believed');
});

e2e('a setting is wrong: the other parts are neither tested nor made', async (bench) => {
	const server = await serverWith(bench, models(MODEL));
	const told = await check(bench, { ...server.env, ASSISTANTS_WORKERS: '0' });
	assert.deepEqual(Object.keys(told), ['configuration']);
	assert.match(told.configuration, /^NOT ok, ASSISTANTS_WORKERS is "0": it must be a whole number/);
	assert.deepEqual(server.requests, []);
	assert.ok(!fs.existsSync(bench.state));
});

e2e('a database that cannot be used', async (bench) => {
	fs.mkdirSync(bench.state);
	fs.writeFileSync(path.join(bench.state, 'assistants.db'), 'words '.repeat(1000));
	const told = await check(bench);
	assert.match(told.database, /^NOT ok, the database \S+ cannot be .*: .*ASSISTANTS_STATE_DIR/);
	assert.ok(!told.definition.startsWith('NOT'));
});

e2e('a database that opens and is damaged: the cause is in the line', async (bench) => {
	const server = await bench.listen();
	await newThread(server);
	await server.stop();
	const file = path.join(bench.state, 'assistants.db');
	const [size, ...pages] = (await bench.shell(`sqlite3 '${file}' 'pragma page_size' \
		"select rootpage from sqlite_master where tbl_name = 'threads'"`))
		.trim().split('\n').map(Number);
	const bytes = fs.readFileSync(file);
	for (const page of pages) bytes.fill(7, (page - 1) * size, page * size);
	fs.writeFileSync(file, bytes);
	const told = await check(bench);
	assert.match(told.database, /^NOT ok, the database \S+: .*malformed: .*backup/);
});

e2e('root becomes the state folder\'s owner, and reports what the owner cannot read', async (bench) => {
	if (process.getuid() !== 0) return;
	fs.mkdirSync(bench.state, { mode: 0o700 });
	fs.chownSync(bench.state, 65534, 65534);
	const told = await check(bench);
	assert.match(told.configuration, /^NOT ok, \S+config cannot be read by the owner of \S+state/);
	assert.equal(fs.statSync(path.join(bench.state, 'assistants.db')).uid, 65534);
	fs.chmodSync(bench.config, 0o644);
	const env = { OPENAI_API_KEY_FILE: bench.file('key', KEY), ASSISTANTS_MODEL_API: 'offline' };
	assert.match((await check(bench, env)).configuration, /^NOT ok, \S+key cannot be read by/);
	env.ASSISTANTS_ACCESS_TOKEN_FILE = bench.file('token', 'a-token-of-some-length', 0o644);
	assert.match((await check(bench, env)).configuration, /^NOT ok, \S+key cannot be read by/);
	fs.chmodSync(env.OPENAI_API_KEY_FILE, 0o644);
	assert.match((await check(bench, env)).configuration, /^from /);
	fs.chmodSync(env.ASSISTANTS_ACCESS_TOKEN_FILE, 0o600);
	assert.match((await check(bench, env)).configuration, /^NOT ok, \S+token cannot be read by/);
});

e2e('CGI: the request is answered, whatever the arguments are', async (bench) => {
	const command = [...bench.via, process.env.ASSISTANTS_FCGI, '--check-config'];
	const answer = await bench.cgi({ method: 'GET', path: '/health', command });
	assert.deepEqual([answer.status, answer.text], [200, 'ok']);
});
