// The owner's programs as tools: what they are given, what happens to their results, and that nothing they
// do ends a conversation, is left behind, or reveals a key.

import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import fs from 'node:fs';
import path from 'node:path';
import {
	assertSentence, Bench, e2e, eventually, freePort, KEY, newThread, say, transcript, within,
} from './lib.mjs';
import { makeKey, Program } from './lib-api.mjs';
import { behindCgid, behindFcgid, behindProxyFcgi } from './lib-apache.mjs';
import { problem, remoteServer } from './lib-remote.mjs';
import { behindLighttpd, behindNginx, fromShell } from './lib-servers.mjs';
import { functionCalls, modelServer, words } from './lib-upstream.mjs';

const SIX_WAYS = {
	'CGI from a shell': fromShell, lighttpd: behindLighttpd, nginx: behindNginx,
	mod_proxy_fcgi: behindProxyFcgi, mod_fcgid: behindFcgid, mod_cgid: behindCgid,
};
const ADDS = 'call add_numbers {"a": 2, "b": 40}';

/** Make a folder of tools: {name: {script, json, mode}}; returns it with its variable. */
function toolbox(bench, tools) {
	const folder = path.join(bench.dir, 'tools');
	fs.mkdirSync(folder);
	// A web server's user must reach it.
	fs.chmodSync(folder, 0o755);
	const box = {
		folder,
		env: { ASSISTANTS_TOOLS_DIR: folder },
		put(name, { script = 'cat', json = {}, mode = 0o755 } = {}) {
			const file = path.join(folder, name);
			fs.writeFileSync(file, `#!/bin/sh\n${script}\n`);
			fs.chmodSync(file, mode);
			fs.writeFileSync(`${file}.json`, JSON.stringify(json), { mode: 0o644 });
		},
	};
	for (const [name, tool] of Object.entries(tools)) box.put(name, tool);
	return box;
}

/**
 * A gateway with a model server that makes these calls, [name, arguments] each, and then says
 * 'done'.
 */
async function scene(bench, tools, { env = {}, open = (more) => bench.listen({ env: more }) } = {}) {
	const model = await modelServer(bench);
	const box = toolbox(bench, tools);
	const site = await open({ ...model.env, ...box.env, ...env });
	const thread = await newThread(site);
	return {
		model, box, site, thread,
		/** Send a message; returns the outputs that the model is sent for the calls. */
		async outputs(...calls) {
			const before = model.requests.length;
			model.queue.push(functionCalls(...calls
				.map(([name, args = '{}'], i) => [`call_${before}_${i}`, name, args])), words('done'));
			const answer = await say(site, thread, 'words');
			assert.deepEqual([answer.status, answer.text.trimEnd()], [200, 'done']);
			assert.equal(model.requests.length, before + 2, 'all outputs in one submission');
			return model.requests.at(-1).json.input
				.filter(({ type, call_id }) => type === 'function_call_output' &&
					call_id.startsWith(`call_${before}_`))
				.map(({ output }) => output);
		},
	};
}

/** The processes that have this text in their command line, without those that look for it. */
function processesWith(text) {
	return fs.readdirSync('/proc').filter((name) => /^\d+$/.test(name)).filter((pid) => {
		try {
			return fs.readFileSync(`/proc/${pid}/cmdline`, 'latin1').includes(text);
		} catch {
			return false;
		}
	});
}

for (const [way, open] of Object.entries(SIX_WAYS)) {
	e2e(`${way}: add_numbers adds`, async (bench) => {
		const site = await open(bench, { ASSISTANTS_TOOLS_DIR: bench.exampleTools() });
		const answer = await say(site, await newThread(site), ADDS);
		assert.equal(answer.status, 200, answer.text);
		assert.match(answer.text, /\b42\b/);
	});

	e2e(`${way}: add_numbers adds for a remote Assistants API`, async (bench) => {
		// The remote is this program, too, in another place.
		const elsewhere = new Bench();
		bench.onClose(() => elsewhere.close().finally(() => elsewhere.clear()));
		const key = await makeKey(elsewhere, 'somebody');
		const upstream = await behindNginx(elsewhere);
		const site = await open(bench, {
			ASSISTANTS_TOOLS_DIR: bench.exampleTools(), ASSISTANTS_UPSTREAM_KEY: key,
			ASSISTANTS_UPSTREAM_URL: `http://127.0.0.1:${upstream.port}/v1`,
		});
		const answer = await say(site, await newThread(site), ADDS);
		assert.equal(answer.status, 200, answer.text);
		assert.match(answer.text, /\b42\b/);
	});
}

e2e('a tool is given its arguments, its folder, and nothing else of ours', async (bench) => {
	const { outputs, box } = await scene(bench, {
		echo: {},
		look: { script: 'pwd; ls /proc/self/fd | tr "\\n" " "; echo; env | cut -d= -f1 | sort' },
		named: { script: 'env | cut -d= -f1 | sort; echo "$GREETING"', json: { env: ['GREETING', 'GONE'] } },
	}, { env: { GREETING: 'good day', SECRET: 'not for tools', LANG: 'C' } });
	assert.deepEqual(await outputs(['echo', '{"a": [1, "é"]}']), ['{"a": [1, "é"]}']);
	const [looked] = await outputs(['look']);
	const [folder, descriptors, ...names] = looked.trim().split('\n');
	assert.equal(folder, fs.realpathSync(box.folder));
	// One is ls's own, for the folder.
	assert.deepEqual(descriptors.trim().split(' '), ['0', '1', '2', '3']);
	assert.deepEqual(names.filter((name) => !/^(PWD|_|SHLVL|OLDPWD)$/.test(name)), ['LANG', 'PATH']);
	const [named] = await outputs(['named']);
	assert.match(named, /GREETING\n(.*\n)*good day\n/);
	assert.doesNotMatch(named, /SECRET|GONE/);
});

for (const [way, open] of [['FastCGI', undefined], ['CGI', fromShell]]) {
	e2e(`${way}: no key is seen by a tool`, async (bench) => {
		// What a program of the same user can read of its parents and itself.
		const script = 'pid=$$; while [ "$pid" -gt 1 ]; do ' +
			'tr "\\0" "\\n" < /proc/$pid/environ 2>/dev/null; cat /proc/$pid/cmdline 2>/dev/null; ' +
			'pid=$(sed "s/.*) . //; s/ .*//" /proc/$pid/stat); ' +
			'case $(readlink /proc/$pid/exe) in *node*) break;; esac; done; echo end';
		const file = bench.file('key', KEY);
		for (const env of [{}, { OPENAI_API_KEY: '', OPENAI_API_KEY_FILE: file }]) {
			fs.rmSync(path.join(bench.dir, 'tools'), { recursive: true, force: true });
			const { outputs } = await scene(bench, { spy: { script } }, {
				env, open: open ? (more) => open(bench, more) : async (more) => {
					const site = await bench.listen({ env: more, port: await freePort() });
					return site;
				},
			});
			const [seen] = await outputs(['spy']);
			assert.match(seen, /end/);
			assert.ok(!seen.includes(KEY), 'the key is seen');
		}
	});
}

for (const [what, tool, args, expected] of [
	['exits 3', { script: 'echo so far; exit 3' }, '{}',
		/^The tool failed with exit status 3\.\nso far\n$/],
	['dies by a signal', { script: 'echo so far; kill -SEGV $$' }, '{}',
		/^The tool was ended by signal 11\.\nso far\n$/],
	['hangs', { script: 'echo so far; exec sleep 987', json: { timeout_s: 1 } }, '{}',
		/^The tool took too long and was ended\.\nso far\n$/],
	['prints 1 GB', { script: 'head -c 1000000000 /dev/zero | tr "\\0" x' }, '{}',
		/^The tool printed more than 262144 bytes; the first are:\nx{262144}$/],
	['prints nothing', { script: ':' }, '{}', /^$/],
	['prints what is no text', { script: 'printf "a\\377b\\000c"' }, '{}', /^a\ufffdb\ufffdc$/],
	['has no such interpreter', { script: '' }, '{}', /^The tool cannot be run\.\n$/],
	['does not read what it is given', { script: 'echo read nothing' },
		JSON.stringify({ long: 'x'.repeat(300_000) }), /^read nothing\n$/],
	['gets a word for a number', { json: {
		parameters: { type: 'object', properties: { a: { type: 'number' } }, required: ['a'] },
	} }, '{"a":"x"}', /^The tool was not run, its arguments are wrong: "a" must be of type number\.$/],
	['gets no JSON', {}, '{"a":', /^The tool was not run, .* not a JSON object\.$/],
	['gets too little', { json: { parameters: { required: ['b'] } } }, '{"a":1}', /"b" is missing/],
]) {
	e2e(`a tool that ${what}: the model learns of it, and the conversation goes on`, async (bench) => {
		const { outputs, box } = await scene(bench, { tool });
		if (what === 'has no such interpreter') {
			bench.expectLog(/tool tool: it cannot be run: No such file/);
			fs.writeFileSync(path.join(box.folder, 'tool'), '#!/no/such/interpreter\n', { mode: 0o755 });
		}
		const [output] = await outputs(['tool', args]);
		assert.match(output, expected);
		assert.deepEqual(await outputs(['tool', '{"a":1,"b":2}']).then((all) => all.length), 1);
		assert.deepEqual(processesWith(box.folder), []);
	});
}

e2e('CGI: a client\'s header is no variable of a tool\'s', async (bench) => {
	const { site, thread, model } = await scene(bench,
		{ tool: { script: 'echo "proxy: $HTTP_PROXY"', json: { env: ['HTTP_PROXY'] } } },
		{ open: (env) => fromShell(bench, env) });
	model.queue.push(functionCalls(['call_1', 'tool', '{}']), words('done'));
	assert.equal((await say(site, thread, 'words', { proxy: 'http://stranger' })).status, 200);
	assert.equal(model.requests.at(-1).json.input.at(-1).output, 'proxy: \n');
});

e2e('a daemon that a tool leaves is ended with it, wherever it hid', async (bench) => {
	const marker = path.join(bench.dir, 'daemon');
	const script = `setsid sh -c 'echo $$ > ${marker}; sleep 986 & exec sleep 986' ` +
		`> /dev/null 2>&1 < /dev/null & while ! [ -s ${marker} ]; do sleep 0.01; done; echo left`;
	const { outputs } = await scene(bench, { tool: { script } });
	assert.deepEqual(await outputs(['tool']), ['left\n']);
	assert.match(fs.readFileSync(marker, 'utf8'), /^\d+\n$/);
	assert.deepEqual(processesWith('986'), []);
});

e2e('a file that looks like a tool but is none is left out, and the log says why', async (bench) => {
	const outside = bench.file('outside', '#!/bin/sh\necho outside\n', 0o755);
	bench.expectLog(/tool not_executable is left out: .* chmod \+x/, /tool link is left out: .* a link to a file outside/,
		/tool bad_json is left out: .* not a JSON object/, /tool bad_member is left out: .* "enviroment"/,
		/tool a_key is left out: .* OPENAI_API_KEY/, 
		/tool bad name is left out/, /tool timeout is left out: .* 1 to 3600/);
	const model = await modelServer(bench);
	const box = toolbox(bench, {
		good: {}, not_executable: { mode: 0o644 }, bad_json: {}, link: {},
		bad_member: { json: { enviroment: [] } }, a_key: { json: { env: ['OPENAI_API_KEY'] } },
'bad name': {}, timeout: { json: { timeout_s: 0 } },
	});
	const at = (name) => path.join(box.folder, name);
	fs.writeFileSync(at('bad_json.json'), '{');
	fs.rmSync(at('link'));
	fs.symlinkSync(outside, at('link'));
	// A link within the folder is fine, and so is a file that is no tool.
	fs.symlinkSync('good', at('other'));
	fs.writeFileSync(at('other.json'), '{"description": "the same"}');
	fs.writeFileSync(at('notes.txt'), 'not a tool');
	const site = await bench.listen({ env: { ...model.env, ...box.env } });
	const thread = await newThread(site);
	const unknown = ['link', 'not_executable', 'nothing', 'notes'];
	model.queue.push(functionCalls(...unknown.map((name, i) => [`call_${i}`, name, '{}'])),
		words('done'));
	assert.equal((await say(site, thread, 'words')).status, 200);
	assert.deepEqual(model.requests[0].json.tools.map(({ name }) => name), ['good', 'other']);
	assert.equal(model.requests[0].json.tools[1].description, 'the same');
	const told = model.requests[1].json.input.filter(({ type }) => type === 'function_call_output');
	assert.deepEqual(told.map(({ output }) => output),
		unknown.map((name) => `There is no tool "${name}" here.`));
});

e2e('a link that comes later is not followed out of the folder', async (bench) => {
	bench.expectLog(/tool tool is left out: .* a link to a file outside/);
	const { outputs, box } = await scene(bench, { tool: {} });
	await outputs(['tool']);
	fs.rmSync(path.join(box.folder, 'tool'));
	fs.symlinkSync('/bin/ls', path.join(box.folder, 'tool'));
	assert.deepEqual(await outputs(['tool']), ['There is no tool "tool" here.']);
});

e2e('a name that the model made up, however long, does not spoil the conversation', async (bench) => {
	const { outputs } = await scene(bench, { tool: {} });
	assert.deepEqual(await outputs([`a${'é'.repeat(40)}`]), [`There is no tool "a${'é'.repeat(31)}" here.`]);
	assert.deepEqual(await outputs(['tool', '{"a":1}']), ['{"a":1}']);
});

e2e('five calls run at once', async (bench) => {
	// Each waits until all have begun.
	const script = 'touch began.$$; while [ "$(ls began.* | wc -l)" -lt 5 ]; do sleep 0.02; done; echo all';
	const { outputs } = await scene(bench, { tool: { script } });
	assert.deepEqual(await outputs(...Array(5).fill(['tool'])), Array(5).fill('all\n'));
});

e2e('many conversations with many tools have descriptors enough, where the system lets them', async (bench) => {
	// What twelve workers need by themselves.
	bench.via = ['/bin/sh', '-c', 'ulimit -Sn 212; exec "$@"', 'sh'];
	const { model, site } = await scene(bench, { tool: { script: 'sleep 1' } },
		{ env: { ASSISTANTS_WORKERS: '12' } });
	const calls = functionCalls(...Array(8).fill().map((_, i) => [`call_${i}`, 'tool', '{}']));
	model.otherwise = (response, { json }) => {
		return (json.input.at(-1).type === 'function_call_output' ? words('done') : calls)(response);
	};
	const threads = await Promise.all(Array(10).fill().map(() => newThread(site)));
	const answers = await Promise.all(threads.map((thread) => say(site, thread, 'words')));
	assert.deepEqual(answers.map(({ text }) => text.trimEnd()), Array(10).fill('done'));
});

e2e('a tool\'s standard error is in the log', async (bench) => {
	const { outputs } = await scene(bench, { tool: { script: 'echo "one line" >&2; echo output' } });
	assert.deepEqual(await outputs(['tool'], ['tool']), ['output\n', 'output\n']);
	const [answered] = bench.logEntries().filter(({ route }) => /messages/.test(route));
	const lines = bench.logEntries().filter(({ message }) => /one line/.test(message));
	assert.deepEqual(lines.map(({ level, message, request_id }) => [level, message, request_id]),
		Array(2).fill(['info', 'tool tool: one line', answered.request_id]));
});

e2e('a model that calls and calls is stopped after ten rounds', async (bench) => {
	bench.expectLog(/the run that waited for tools was cancelled: it called tools too often/);
	const { model, site, thread } = await scene(bench, { tool: {} });
	model.otherwise = (response) => functionCalls(['call_again', 'tool', '{}'])(response);
	const answer = await say(site, thread, 'words');
	assertSentence(answer, 502);
	assert.match(answer.text, /10 times/);
	assert.equal(model.requests.length, 11);
	model.otherwise = words('hello');
	assert.equal((await say(site, thread, 'words')).text.trimEnd(), 'hello');
});

e2e('calls of one id in several rounds are different calls', async (bench) => {
	const { model, site, thread } = await scene(bench, { tool: { script: 'cat; echo x >> ran; wc -l < ran' } });
	const rounds = ['{"a":1}', '{"a":2}', '{"a":2}'];
	model.queue.push(...rounds.map((args) => functionCalls(['call_0', 'tool', args])), words('done'));
	assert.equal((await say(site, thread, 'words')).text.trimEnd(), 'done');
	assert.deepEqual(model.requests.at(-1).json.input
		.filter(({ type }) => type === 'function_call_output').map(({ output }) => output),
	['{"a":1}1\n', '{"a":2}2\n', '{"a":2}3\n']);
});

e2e('many slow calls end with the time of their run, not each with its own', async (bench) => {
	bench.expectLog(/the run that waited for tools was cancelled/);
	const { model, site, thread, box } = await scene(bench,
		{ tool: { script: 'echo x >> ran; exec sleep 983' } }, { env: { ASSISTANTS_RUN_TIMEOUT: '2' } });
	model.queue.push(functionCalls(...Array(20).fill().map((_, i) => [`call_${i}`, 'tool', '{}'])));
	assertSentence(await say(site, thread, 'words'), 504);
	// Eight at once; the others were never started.
	assert.equal(fs.readFileSync(path.join(box.folder, 'ran'), 'utf8'), 'x\n'.repeat(8));
	assert.equal((await say(site, thread, 'again')).status, 200);
});

e2e('without a folder of tools a run that calls one is cancelled', async (bench) => {
	bench.expectLog(/the run that waited for tools was cancelled: this server has no tools/);
	const model = await modelServer(bench);
	model.queue.push(functionCalls(['call_1', 'tool', '{}']));
	const site = await bench.listen({ env: model.env });
	const thread = await newThread(site);
	assertSentence(await say(site, thread, 'words'), 502);
	assert.equal((await say(site, thread, 'words')).status, 200);
});

e2e('a remote API that refuses the outputs: the log says why', async (bench) => {
	bench.expectLog(/was cancelled: the server did not accept their outputs: too long for us/);
	const remote = await remoteServer(bench);
	const site = await bench.listen({ env: { ...remote.env, ...toolbox(bench, { tool: {} }).env } });
	const tool_calls = [{ id: 'call_1', type: 'function', function: { name: 'tool', arguments: '{}' } }];
	const required_action = { type: 'submit_tool_outputs', submit_tool_outputs: { tool_calls } };
	remote.nextRuns.push({ states: [{ status: 'requires_action', required_action }], answers: [] });
	remote.refuse = (where) => {
		return where.endsWith('/submit_tool_outputs') ? problem(400, 'too long for us') : undefined;
	};
	const thread = await newThread(site);
	assertSentence(await say(site, thread, 'words'), 502);
	assert.equal((await say(site, thread, 'words')).text.trimEnd(), 'hello');
});

e2e('a client that leaves while a tool works ends it, and frees the thread', async (bench) => {
	const { model, site, thread, box } = await scene(bench,
		{ tool: { script: 'exec sleep 985' } }, { open: (env) => behindNginx(bench, env) });
	model.queue.push(functionCalls(['call_1', 'tool', '{}']));
	const client = site.open('POST', `/threads/${thread}/messages`, 'words');
	await eventually('the tool runs', () => processesWith('sleep\u0000985').length > 0);
	client.destroy();
	await eventually('the tool is gone', () => processesWith('sleep\u0000985').length === 0);
	assert.equal((await say(site, thread, 'again')).text.trimEnd(), 'hello');
	assert.deepEqual(processesWith(box.folder), []);
});

e2e('kill -9 in the middle of a tool leaves none of its processes, and the thread free',
	async (bench) => {
		const { model, site, thread, box } = await scene(bench, { tool: { script: 'sleep 984' } });
		model.queue.push(functionCalls(['call_1', 'tool', '{}']));
		say(site, thread, 'words').catch(() => {});
		await eventually('the tool runs', () => processesWith('sleep\u0000984').length > 0);
		await site.kill();
		await eventually('the tool is gone', () => processesWith('sleep\u0000984').length === 0);
		const again = await bench.listen({ env: { ...model.env, ...box.env }, port: await freePort() });
		const answer = await within(say(again, thread, 'again'), 'the thread is free', 10_000);
		assert.deepEqual([answer.status, answer.text.trimEnd()], [200, 'hello']);
	});

e2e('a /v1 program\'s run goes on waiting for its outputs when this program ends', async (bench) => {
	const model = await modelServer(bench);
	model.queue.push(functionCalls(['call_1', 'tool', '{}']));
	const server = await bench.listen({ env: model.env });
	const program = new Program(server, await makeKey(bench, 'somebody'));
	const tools = [{ type: 'function', function: { name: 'tool' } }];
	const assistant = await program.call('POST', '/assistants', { model: 'a-model', tools });
	const messages = [{ role: 'user', content: 'words' }];
	const run = await program.call('POST', '/threads/runs',
		{ assistant_id: assistant.id, thread: { messages } });
	const path = `/threads/${run.thread_id}/runs/${run.id}`;
	const status = (one) => one.call('GET', path).then((now) => now.status);
	await eventually('it waits', async () => await status(program) === 'requires_action');
	await server.kill();
	const after = new Program(await bench.listen({ env: model.env, port: await freePort() }),
		program.key);
	assert.equal(await status(after), 'requires_action');
	await after.call('POST', `${path}/submit_tool_outputs`,
		{ tool_outputs: [{ tool_call_id: 'call_1', output: 'done' }] });
	await eventually('it is done', async () => await status(after) === 'completed');
});

e2e('a definition that the API refuses leaves the assistant as it was', async (bench) => {
	bench.expectLog(/the assistant asst_\w+ is unchanged, because the server refused its new definition: .*tools/);
	const definition = bench.file('assistant.json', JSON.stringify({
		name: 'With tools', model: 'a-model',
		tools: [{ type: 'function', function: { name: 'elsewhere' } }],
	}));
	const { model, outputs, box } = await scene(bench, { tool: {} },
		{ env: { ASSISTANTS_DEFINITION: definition } });
	assert.deepEqual(await outputs(['tool']), ['{}']);
	for (let i = 0; i < 127; i++) box.put(`more_${i}`);
	assert.deepEqual(await outputs(['tool']), ['{}']);
	assert.deepEqual(await outputs(['tool']), ['{}']);
	assert.deepEqual(model.requests.at(-1).json.tools.map(({ name }) => name), ['elsewhere', 'tool']);
	const refused = bench.logEntries().filter(({ message }) => /is unchanged/.test(message));
	assert.equal(refused.length, 1);
});

e2e('a folder of a thousand things: 128 tools at most, and files that are none', async (bench) => {
	bench.expectLog(/the tool tool_128 and all after it, by name, are left out: an assistant may have 128/,
		/tool pipe is left out: .*pipe\.json is not a file/);
	const model = await modelServer(bench);
	const box = toolbox(bench, Object.fromEntries(Array.from({ length: 140 }, (_, i) =>
		[`tool_${String(i).padStart(3, '0')}`, {}])));
	fs.writeFileSync(path.join(box.folder, 'package.json'), '{"private": true}');
	fs.writeFileSync(path.join(box.folder, 'pipe'), '', { mode: 0o755 });
	execFileSync('mkfifo', [path.join(box.folder, 'pipe.json')]);
	const site = await bench.listen({ env: { ...model.env, ...box.env } });
	assert.equal((await say(site, await newThread(site), 'words')).status, 200);
	assert.equal(model.requests[0].json.tools.length, 128);
	assert.equal(model.requests[0].json.tools.at(-1).name, 'tool_127');
});

e2e('a change in the folder updates the assistant, once, for all processes', async (bench) => {
	const model = await modelServer(bench);
	const box = toolbox(bench, { first: {} });
	const env = { ...model.env, ...box.env };
	const sites = [await bench.listen({ env, port: await freePort() }),
		await bench.listen({ env, port: await freePort() })];
	const offered = async () => {
		for (const site of sites) assert.equal((await say(site, await newThread(site), 'words')).status, 200);
		return model.requests.slice(-2).map(({ json }) => json.tools.map(({ name }) => name).join());
	};
	const updates = () => bench.logEntries().filter(({ message }) => /was updated to/.test(message)).length;
	assert.deepEqual(await offered(), ['first', 'first']);
	box.put('second');
	assert.deepEqual(await offered(), ['first,second', 'first,second']);
	assert.equal(updates(), 1);
	box.put('first', { json: { description: 'another one' } });
	await offered();
	assert.equal(model.requests.at(-1).json.tools[0].description, 'another one');
	assert.equal(updates(), 2);
	// Another program with the same description does not concern the assistant.
	box.put('second', { script: 'echo other' });
	await offered();
	assert.equal(updates(), 2);
	fs.rmSync(path.join(box.folder, 'first.json'));
	assert.deepEqual(await offered(), ['second', 'second']);
});

e2e('the definition\'s own functions and the folder\'s stand side by side', async (bench) => {
	const definition = bench.file('assistant.json', JSON.stringify({
		name: 'With tools', model: 'a-model', tools: [
			{ type: 'function', function: { name: 'tool', description: 'of the definition' } },
			{ type: 'function', function: { name: 'elsewhere' } }],
	}));
	const { model, outputs } = await scene(bench, { tool: { json: { description: 'of the folder' } } },
		{ env: { ASSISTANTS_DEFINITION: definition } });
	assert.deepEqual(await outputs(['tool', '{}'], ['elsewhere', '{}']),
		['{}', 'There is no tool "elsewhere" here.']);
	assert.deepEqual(model.requests[0].json.tools.map(({ name, description }) => [name, description]),
		[['elsewhere', undefined], ['tool', 'of the folder']]);
});

e2e('the conversation shows text, not calls', async (bench) => {
	const { outputs, site, thread } = await scene(bench, { tool: {} });
	await outputs(['tool', '{"a":1}']);
	assert.deepEqual(await transcript(site, thread), [['user', 'words'], ['assistant', 'done']]);
});

e2e('a missing folder stops the program with an error', async (bench) => {
	const none = path.join(bench.dir, 'none');
	const env = { ASSISTANTS_TOOLS_DIR: none };
	bench.expectLog(/ASSISTANTS_TOOLS_DIR: \S+\/none: No such file/);
	assert.equal((await bench.cgi({ env, method: 'GET', path: '/health' })).status, 500);
	const { code, stdout } = await bench.command(['--check-config'], env);
	assert.equal(code, 1);
	assert.match(stdout, /^tools: NOT ok, \S+\/none: No such file/m);
});

e2e('--check-config lists the tools, and what is wrong with one', async (bench) => {
	const box = toolbox(bench, { first: {}, second: {} });
	const check = () => bench.command(['--check-config'], box.env);
	assert.match((await check()).stdout, /^tools: ok, \S+: first, second$/m);
	fs.chmodSync(path.join(box.folder, 'second'), 0o644);
	const { code, stdout } = await check();
	assert.equal(code, 1);
	assert.match(stdout, /^tools: NOT ok, the tool second is left out: .* chmod \+x$/m);
});
