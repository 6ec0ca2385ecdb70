// The README's shell examples: those that talk to the demo, and those that are the program as CGI,
// are run, as they stand but for port and path.

import assert from 'node:assert/strict';
import fs from 'node:fs';
import path from 'node:path';
import test from 'node:test';
import { PROGRAM, e2e } from './lib.mjs';
import { behindLighttpd } from './lib-servers.mjs';

const README = path.resolve(import.meta.dirname, '../../README.md');

// Examples that are not run here, by their first line, and why.
const NOT_RUN = [
	[/^(sudo )?make\b/, 'the program is made, and the demo imitated, by the tests themselves'],
	[/^git clone/, 'needs the network'],
	[/^(sudo )?(install|systemctl|apt|apt-get) /, 'changes the machine'],
	[/^(export )?OPENAI_\w+=/, 'needs a model server and a key of the reader\'s'],
];

function shellBlocks() {
	const text = fs.readFileSync(README, 'utf8');
	return [...text.matchAll(/^```sh\n([^]*?)^```$/gm)].map(([, block]) => block);
}

const talksToDemo = (block) => /\bcurl\b.*localhost:8080/.test(block);
const isCgi = (block) => /GATEWAY_INTERFACE=CGI/.test(block);

test('README: each shell example is run, or there is a reason', () => {
	for (const block of shellBlocks().filter((one) => !talksToDemo(one) && !isCgi(one))) {
		const first = block.split('\n').find((line) => /^[^#\s]/.test(line));
		const reason = NOT_RUN.find(([pattern]) => pattern.test(first));
		assert.ok(reason, `nobody runs:\n${block}`);
	}
});

e2e('README: the examples with curl do what they say', async (bench) => {
	const blocks = shellBlocks().filter(talksToDemo);
	assert.notEqual(blocks.length, 0, 'README.md has no ```sh block with curl and localhost');
	const { port } = await behindLighttpd(bench);
	// An error of the server's is the example's, too. The blocks share one shell's variables.
	const script = ['set -eu', 'curl() { command curl --fail-with-body "$@"; }',
		...blocks.map((block) => `${block}\nprintf '\\n\\036\\n'`)].join('\n');
	const output = await bench.shell(script.replaceAll('localhost:8080', `localhost:${port}`));
	const printed = output.split('\n\x1e\n');
	blocks.forEach((block, i) => assert.match(printed[i], /\S/, `nothing came of:\n${block}`));
});

e2e('README: the examples by CGI do what they say', async (bench) => {
	const blocks = shellBlocks().filter(isCgi);
	assert.notEqual(blocks.length, 0, 'README.md has no ```sh block with GATEWAY_INTERFACE');
	for (const block of blocks) {
		const script = block.replaceAll('cgi-bin/assistants.fcgi', PROGRAM);
		assert.match(await bench.shell(script), /^Status: 2/);
	}
});
