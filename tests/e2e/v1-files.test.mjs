// Files: the official clients, odd names, damaged bodies, limits, crashes, and each way of hosting.

import assert from 'node:assert/strict';
import crypto from 'node:crypto';
import fs from 'node:fs';
import net from 'node:net';
import path from 'node:path';
import { e2e, eventually, within } from './lib.mjs';
import { behindCgid, behindFcgid, behindProxyFcgi } from './lib-apache.mjs';
import { eachSdk, makeKey, stage } from './lib-sdk.mjs';
import { behindFcgiwrap, behindLighttpd, behindNginx } from './lib-servers.mjs';
import { database, sql } from './lib-state.mjs';
import { assertError, bearer } from './lib-v1.mjs';

const MIB = 1 << 20;
const BOUNDARY = 'b0undary';

const part = (name, text, filename) => `--${BOUNDARY}\r\nContent-Disposition: form-data; name="${name}"` +
	`${filename === undefined ? '' : `; filename="${filename}"`}\r\n\r\n${text}\r\n`;
const form = (...parts) => `${parts.join('')}--${BOUNDARY}--\r\n`;
const PURPOSE = part('purpose', 'assistants');

// The program without a web server, and how to send it a body.
async function scene(bench, env = {}) {
	const site = await bench.listen({ env });
	const key = await makeKey(bench, 'tests');
	const headers = (more) => bearer(key,
		{ 'content-type': `multipart/form-data; boundary=${BOUNDARY}`, ...more });
	return {
		site, key,
		upload: (body, more) => site.request('POST', '/v1/files', { headers: headers(more), body }),
		get: (uri) => site.request('GET', `/v1/files${uri}`, { headers: bearer(key) }),
		remove: (id) => site.request('DELETE', `/v1/files/${id}`, { headers: bearer(key) }),
	};
}

const blobsOf = (bench) => {
	const folder = path.join(bench.state, 'blobs');
	return fs.existsSync(folder) ? fs.readdirSync(folder) : [];
};

eachSdk('files are uploaded, listed, read and deleted', async (bench, OpenAI) => {
	const { openai } = await stage(bench, OpenAI);
	const bytes = crypto.randomBytes(3 * MIB);
	const name = 'Grüße "quoted" – 数学 🎓;a=b%20.bin';
	const made = await openai.files.create({ file: new File([bytes], name), purpose: 'assistants' });
	assert.deepEqual([made.filename, made.bytes, made.purpose], [name, bytes.length, 'assistants']);
	assert.equal((await openai.files.waitForProcessing(made.id)).status, 'processed');
	const content = Buffer.from(await (await openai.files.content(made.id)).arrayBuffer());
	assert.ok(content.equals(bytes), 'the same bytes');

	const other = await openai.files.create({
		file: new File(['two'], 'two.txt'), purpose: 'user_data',
		expires_after: { anchor: 'created_at', seconds: 3600 },
	});
	assert.equal(other.expires_at, other.created_at + 3600);
	const ids = async (query) => {
		const found = [];
		for await (const { id } of openai.files.list(query)) found.push(id);
		return found;
	};
	assert.deepEqual(await ids(), [other.id, made.id]);
	assert.deepEqual(await ids({ order: 'asc', limit: 1 }), [made.id, other.id]);
	assert.deepEqual(await ids({ purpose: 'assistants' }), [made.id]);

	const deleted = await (openai.files.delete ?? openai.files.del).call(openai.files, made.id);
	assert.deepEqual(deleted, { id: made.id, object: 'file', deleted: true });
	await assert.rejects(openai.files.retrieve(made.id), OpenAI.NotFoundError);
	await assert.rejects(openai.files.content(made.id), OpenAI.NotFoundError);
	assert.deepEqual(await ids(), [other.id]);
	assert.equal(blobsOf(bench).length, 1);
});

const WAYS = [
	['lighttpd', behindLighttpd], ['nginx', behindNginx], ['mod_proxy_fcgi', behindProxyFcgi],
	['mod_fcgid', behindFcgid], ['mod_cgid', behindCgid], ['fcgiwrap', behindFcgiwrap],
	['nginx, below a prefix', (bench, env) => behindNginx(bench, env, { prefix: true })],
	['lighttpd, below a prefix', (bench, env) => behindLighttpd(bench, env, { prefix: true })],
];

for (const [way, behind] of WAYS) {
	e2e(`${way}: 100 MiB up and down, and who has no key sends nothing`, async (bench) => {
		const site = await behind(bench);
		const key = await makeKey(bench, 'tests');
		const file = path.join(bench.dir, 'large');
		const bytes = crypto.randomBytes(MIB);
		for (let i = 0; i < 100; i++) fs.appendFileSync(file, bytes);
		const url = `http://127.0.0.1:${site.port}${site.base}/v1/files`;
		const curl = `curl -s -H 'Authorization: Bearer ${key}'`;
		const { id } = JSON.parse(await bench.shell(`${curl} -F purpose=batch -F file=@large ${url}`));
		await bench.shell(`${curl} -f ${url}/${id}/content | cmp - large`);
		const refused = await bench.shell(`curl -s -F purpose=batch -F file=@large ${url}`);
		assert.equal(JSON.parse(refused).error.code, 'invalid_api_key');
	});
}

e2e('damaged and wrong uploads are refused, and store nothing', async (bench) => {
	const { upload } = await scene(bench, { ASSISTANTS_MAX_FILE: '1MiB' });
	const file = part('file', 'text', 'a.txt');
	for (const [body, status, param, words, headers] of [
		['', 400, null, /ends before its last boundary/],
		['{}', 400, null, /multipart\/form-data/, { 'content-type': 'application/json' }],
		[form(PURPOSE, file), 400, null, /boundary of 1 to 70/, { 'content-type': 'multipart/form-data' }],
		[form(file), 400, 'purpose', /Missing required parameter: 'purpose'/],
		[form(PURPOSE), 400, 'file', /Missing required parameter: 'file'/],
		[form(PURPOSE, part('file', 'text')), 400, 'file', /needs a name/],
		[form(PURPOSE, part('file', 'text', '')), 400, 'file', /needs a name/],
		[form(PURPOSE, part('file', 'text', 'x'.repeat(1025))), 400, 'file', /1 to 1024 bytes/],
		[form(PURPOSE, file, file), 400, 'file', /two files/],
		[form(part('purpose', 'x'), file), 400, 'purpose', /Supported values are: 'assistants'/],
		[form(PURPOSE, file, part('model', 'x')), 400, 'model', /./],
		[form(part('purpose', 'x'.repeat(1025)), file), 400, 'purpose', /at most 1024 bytes/],
		[form(PURPOSE, file, part('expires_after[seconds]', '60')), 400, /^expires_after/, /./],
		[form(PURPOSE, file, part('expires_after[anchor]', 'created_at'),
			part('expires_after[seconds]', '60')), 400, 'expires_after.seconds', /3600/],
		[form(PURPOSE, file, part('expires_after', 'x'), part('expires_after[seconds]', '1')), 400,
			/^expires_after/, /./],
		[form(part('purpose', 'a\0b'), file), 400, 'purpose', /in UTF-8/],
		[form(part('', 'x'), PURPOSE, file), 400, '', /./],
		[PURPOSE + file, 400, null, /ends before its last boundary/],
		[`${PURPOSE}--${BOUNDARY}\r\nno header\r\n\r\n`, 400, null, /no colon/],
		[form(PURPOSE, part('file', 'x'.repeat(MIB + 1), 'a')), 413, 'file', /ASSISTANTS_MAX_FILE/],
	]) {
		const answer = await upload(body, headers);
		const error = assertError(answer, status, words);
		if (param instanceof RegExp) assert.match(error.param, param);
		else assert.equal(error.param, param, body.slice(0, 200));
	}
	assert.deepEqual(blobsOf(bench), []);
	assert.equal((await upload(form(PURPOSE, part('file', 'x'.repeat(MIB), 'a')))).status, 200);
});

e2e('a boundary that appears in the data, and parts in any order', async (bench) => {
	const { upload, get } = await scene(bench);
	const text = `--${BOUNDARY}x\r\n--${BOUNDARY}-\r\n\r\n${BOUNDARY}\r\n`;
	for (const body of [form(PURPOSE, part('file', text, 'a')), form(part('file', text, 'a'), PURPOSE)]) {
		const { json } = await upload(body);
		assert.equal((await get(`/${json.id}/content`)).text, text);
	}
});

e2e('a tenant keeps no more than its quota, and deleting makes room', async (bench) => {
	const { upload, remove } = await scene(bench, { ASSISTANTS_FILES_QUOTA: '1MiB' });
	const half = form(PURPOSE, part('file', 'x'.repeat(MIB / 2), 'a'));
	const first = await upload(half);
	assert.equal((await upload(half)).status, 200);
	assertError(await upload(half), 413, /ASSISTANTS_FILES_QUOTA/);
	assert.equal(blobsOf(bench).length, 2);
	assert.equal((await remove(first.json.id)).status, 200);
	assert.equal((await upload(half)).status, 200);
});

e2e('a repetition with the same Idempotency-Key is compared by its parts', async (bench) => {
	const { site, key, get } = await scene(bench);
	const upload = (boundary, text) => site.request('POST', '/v1/files', {
		headers: bearer(key, {
			'content-type': `multipart/form-data; boundary=${boundary}`, 'idempotency-key': 'once',
		}),
		body: form(PURPOSE, part('file', text, 'a')).replaceAll(BOUNDARY, boundary),
	});
	const first = await upload('one', 'text');
	const again = await upload('two', 'text');
	assert.equal(again.headers['idempotent-replayed'], 'true');
	assert.deepEqual(again.json, first.json);
	assertError(await upload('three', 'other'), 422);
	assert.equal((await get('')).json.data.length, 1);
	assert.equal(blobsOf(bench).length, 1);
});

e2e('a client that leaves in the middle leaves nothing', async (bench) => {
	const site = await behindNginx(bench);
	const key = await makeKey(bench, 'tests');
	const socket = net.connect(site.port, '127.0.0.1');
	socket.write(`POST /v1/files HTTP/1.1\r\nHost: localhost\r\nAuthorization: Bearer ${key}\r\n` +
		`Content-Type: multipart/form-data; boundary=${BOUNDARY}\r\nContent-Length: 1000000\r\n\r\n` +
		`${PURPOSE}${part('file', 'x'.repeat(200_000), 'a')}`);
	await eventually('the upload has begun', () => blobsOf(bench).length === 1);
	socket.destroy();
	await eventually('nothing is left', () => blobsOf(bench).length === 0);
});

// The sweep looks at what is a minute old, and not again for ten minutes.
function ageBlobs(bench) {
	for (const name of blobsOf(bench)) {
		const file = path.join(bench.state, 'blobs', name);
		fs.utimesSync(file, 0, 0);
	}
	sql(database(bench), "UPDATE chores SET due_at = 0 WHERE name = 'files'");
}

e2e('kill -9 during uploads: what was acknowledged is there, and the rest is swept', async (bench) => {
	const acknowledged = [];
	let scope = await scene(bench);
	for (let round = 0; round < 5; round++) {
		const uploads = Array.from({ length: 20 }, async (_, i) => {
			const text = String(i).repeat(300_000);
			const sent = scope.upload(form(PURPOSE, part('file', text, 'a')));
			const answer = await sent.catch(() => undefined);
			if (answer?.status === 200) acknowledged.push([answer.json.id, text]);
		});
		await eventually('some are stored', () => blobsOf(bench).length > acknowledged.length);
		await scope.site.kill();
		await Promise.allSettled(uploads);
		scope = await scene(bench);
	}
	for (const [id, text] of acknowledged) {
		assert.equal((await scope.get(`/${id}/content`)).text, text);
	}
	await scope.site.stop();
	ageBlobs(bench);
	scope = await scene(bench);
	// A file may have been stored without its client hearing of it.
	const { data } = (await scope.get('')).json;
	await eventually('the rest is swept', () => blobsOf(bench).length === data.length);
});

e2e('a file that has expired is deleted', async (bench) => {
	const { upload, get, site } = await scene(bench);
	const expiring = form(PURPOSE, part('file', 'text', 'a'), part('expires_after[anchor]', 'created_at'),
		part('expires_after[seconds]', '3600'));
	const { json } = await upload(expiring);
	assert.equal((await get(`/${json.id}`)).status, 200);
	await site.stop();
	sql(database(bench), 'UPDATE files SET expires_at = 1');
	ageBlobs(bench);
	const later = await scene(bench);
	await eventually('it is gone', async () => (await later.get(`/${json.id}`)).status === 404);
	await eventually('its bytes, too', () => blobsOf(bench).length === 0);
});

e2e('a file whose bytes are lost is an error, not an empty answer', async (bench) => {
	bench.expectLog(/the bytes of a file cannot be read/);
	const { upload, get } = await scene(bench);
	const { json } = await upload(form(PURPOSE, part('file', 'text', 'a')));
	fs.rmSync(path.join(bench.state, 'blobs'), { recursive: true });
	assertError(await within(get(`/${json.id}/content`), 'the answer'), 503);
});
