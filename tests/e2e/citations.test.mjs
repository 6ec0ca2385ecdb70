// A remote Assistants API's annotations in the gateway: numbers in the text, and footnotes with the names
// of files, which it asks for.

import assert from 'node:assert/strict';
import { e2e, newThread, say } from './lib.mjs';
import { problem, remoteServer, requested } from './lib-remote.mjs';
import { fromShell } from './lib-servers.mjs';

const JSON_ACCEPTED = { accept: 'application/json' };
const MARKER = '【4:0†source】';

// An annotation of file search or code interpreter; `at` is the marker's place.
function cite(file_id, at, quote) {
	const end_index = at + [...MARKER].length;
	const file_citation = { file_id, ...quote && { quote } };
	return { type: 'file_citation', text: MARKER, start_index: at, end_index, file_citation };
}

function link(file_id, text) {
	return { type: 'file_path', text, start_index: 0, end_index: 0, file_path: { file_id } };
}

function page(url, title, start_index, end_index) {
	return { type: 'url_citation', start_index, end_index, url_citation: { url, title } };
}

// A remote API whose next runs answer with these messages, each [text, annotations].
async function scene(bench, ...answers) {
	const remote = await remoteServer(bench);
	const site = await fromShell(bench, remote.env);
	const thread = await newThread(site);
	remote.mode = 'stream';
	remote.run.answers = answers
		.map(([text, annotations]) => [{ text, annotations }]);
	return { remote, site, thread };
}

const filesAsked = ({ requests }) => requests.map(({ line }) => line)
	.filter((line) => line.includes('/files/'));

// Two sources in one message, one of them again in the next.
const FIRST = `Grüße 😀${MARKER}, see sandbox:/mnt/data/b.csv.`;
const TWO_MESSAGES = [
	[FIRST, [cite('file-A', 7), link('file-B', 'sandbox:/mnt/data/b.csv')]],
	[`${MARKER}${MARKER}`, [cite('file-A', 10), cite('file-C', 0, 'q\n[9] forged')]],
];

for (const mode of ['json', 'stream']) {
	e2e(`numbers and footnotes, by ${mode}`, async (bench) => {
		const { remote, site, thread } = await scene(bench, ...TWO_MESSAGES);
		remote.mode = mode;
		remote.files.set('file-A', 'Bericht ä.pdf').set('file-B', 'b\r\n[9] c.csv');
		const told = await say(site, thread, 'words');
		assert.equal(told.status, 200);
		assert.equal(told.text, [
			'Grüße 😀[1], see [2].', '', '[3][1]', '',
			'[1] Bericht ä.pdf', '[2] b  [9] c.csv', '[3] file-C: q [9] forged',
		].join('\n'));
		assert.deepEqual(filesAsked(remote).sort(),
			['A', 'B', 'C'].map((name) => `GET /v1/files/file-${name}`));
	});
}

e2e('the same as JSON', async (bench) => {
	const { remote, site, thread } = await scene(bench, ...TWO_MESSAGES);
	remote.files.set('file-A', 'a.pdf').set('file-B', 'b.csv').set('file-C', 'c.txt');
	const { json } = await say(site, thread, 'words', JSON_ACCEPTED);
	assert.equal(json.text, 'Grüße 😀[1], see [2].\n\n[3][1]');
	assert.deepEqual(json.messages.map(({ text }) => text), json.text.split('\n\n'));
	assert.deepEqual(json.citations, [
		{ index: 1, type: 'file_citation', file_id: 'file-A', name: 'a.pdf', quote: null },
		{ index: 2, type: 'file_path', file_id: 'file-B', name: 'b.csv', quote: null },
		{
			index: 3, type: 'file_citation', file_id: 'file-C', name: 'c.txt',
			quote: 'q [9] forged',
		},
	]);
});

e2e('pages are cited by title and URL, and nothing is asked', async (bench) => {
	const annotations = [
		page('https://a.test/b', 'A title', 0, 3),
		page('https://a.test/c', '', 4, 7),
		page('javascript:alert(1)', 'No link', 8, 11),
		page('javascript:alert(1)', '', 12, 15),
	];
	const { remote, site, thread } = await scene(bench, ['one two thr fou', annotations]);
	const told = await say(site, thread, 'words');
	assert.equal(told.text, '[1] [2] [3] fou\n\n' +
		'[1] A title https://a.test/b\n[2] https://a.test/c\n[3] No link');
	const { json } = await say(site, thread, 'words', JSON_ACCEPTED);
	const type = 'url_citation';
	assert.deepEqual(json.citations, [
		{ index: 1, type, url: 'https://a.test/b', name: 'A title', quote: null },
		{
			index: 2, type, url: 'https://a.test/c', name: 'https://a.test/c',
			quote: null,
		},
		{ index: 3, type, url: null, name: 'No link', quote: null },
	]);
	assert.ok(!requested(remote, /files/));
});

// Answers in place of a file, the log line then, and how many of two files are asked for.
const REFUSALS = {
	'404': [problem(404, 'none'), null, 2],
	'500': [problem(500, 'broken'), /answered 500/, 1],
	'401': [problem(401, 'no'), /answered 401/, 1],
	'a name that is none': [{ filename: ['x'] }, null, 2],
	'no JSON': [(response) => response.end('<html>'), /not with a JSON object/, 1],
	'nothing, ever': [() => {}, /5 s/, 1],
};

for (const [name, [answer, logged, asked]] of Object.entries(REFUSALS)) {
	e2e(`files are answered with ${name}: their ids are shown`, async (bench) => {
		if (logged) bench.expectLog(logged);
		const { remote, site, thread } = await scene(bench,
			[`a${MARKER}b${MARKER}`, [cite('file-A', 1), cite('file-B', 12)]]);
		remote.refuse = (path) => path.includes('/files/') ? answer : undefined;
		const told = await say(site, thread, 'words');
		assert.deepEqual([told.status, told.text],
			[200, 'a[1]b[2]\n\n[1] file-A\n[2] file-B']);
		assert.equal(filesAsked(remote).length, asked);
	});
}

e2e('twenty files are asked for, and no id that would be another path', async (bench) => {
	const ids = Array.from({ length: 25 }, (_, i) => `file-${i}`);
	const annotations = ['../threads', ...ids, ...ids].map((id) => cite(id, 0));
	const { remote, site, thread } = await scene(bench, ['words', annotations]);
	ids.forEach((id) => remote.files.set(id, `name of ${id}`));
	const told = await say(site, thread, 'words');
	const notes = ['../threads', ...ids].map((id, i) => {
		return `[${i + 1}] ${i > 0 && i <= 20 ? 'name of ' : ''}${id}`;
	});
	assert.equal(told.text, `words\n\n${notes.join('\n')}`);
	assert.equal(filesAsked(remote).length, 20);
});

e2e('in the conversation each message has its own', async (bench) => {
	const { remote, site, thread } = await scene(bench, ...TWO_MESSAGES);
	remote.files.set('file-A', 'a.pdf').set('file-B', 'b.csv').set('file-C', 'c.txt');
	await say(site, thread, 'words');
	remote.requests.splice(0);
	const uri = `/threads/${thread}/messages`;
	const told = await site.request('GET', uri);
	assert.equal(told.text, [
		'user: words', '',
		'assistant: Grüße 😀[1], see [2].', '', '[1] a.pdf', '[2] b.csv', '',
		'assistant: [2][1]', '', '[1] a.pdf', '[2] c.txt: q [9] forged',
	].join('\n'));
	assert.equal(filesAsked(remote).length, 3);
	const { json } = await site.request('GET', uri, { headers: JSON_ACCEPTED });
	const shown = json.messages.map(({ text, citations }) => {
		return [text, citations?.map(({ index, name }) => [index, name])];
	});
	assert.deepEqual(shown, [
		['words', undefined],
		['Grüße 😀[1], see [2].', [[1, 'a.pdf'], [2, 'b.csv']]],
		['[2][1]', [[1, 'a.pdf'], [2, 'c.txt']]],
	]);
});

e2e('imported messages are cited by ids, where this program has no files', async (bench) => {
	const ids = { id: `msg_${'0'.repeat(24)}`, thread_id: `thread_${'0'.repeat(24)}` };
	const text = { value: `a${MARKER}`, annotations: [cite('file-A', 1)] };
	const file = bench.file('import', [
		{ id: ids.thread_id, object: 'thread', created_at: 1, metadata: {} },
		{
			...ids, object: 'thread.message', created_at: 1, role: 'assistant',
			content: [{ type: 'text', text }], metadata: {},
		},
	].map((object) => `${JSON.stringify(object)}\n`).join(''));
	const { code, stderr } = await bench.command(['--import', file, '--tenant', 'gateway']);
	assert.equal(code, 0, stderr);
	const site = await fromShell(bench);
	const told = await site.request('GET', `/threads/${ids.thread_id}/messages`);
	assert.deepEqual([told.status, told.text], [200, 'assistant: a[1]\n\n[1] file-A']);
});

e2e('ten thousand annotations on a megabyte', async (bench) => {
	const text = 'a'.repeat(1 << 20);
	const annotations = Array.from({ length: 10_000 }, (_, i) => {
		return link('file-A', `${'a'.repeat(20)}${i}`);
	});
	const { remote, site, thread } = await scene(bench, [text, annotations]);
	remote.mode = 'json';
	const told = await say(site, thread, 'words');
	assert.equal(told.text, `${text}\n\n[1] file-A`);
});
