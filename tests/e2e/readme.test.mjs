// The README's shell examples: those that talk to the demo are run, as they stand but for the port.

import assert from 'node:assert/strict';
import fs from 'node:fs';
import path from 'node:path';
import test from 'node:test';
import { e2e } from './lib.mjs';
import { behindLighttpd } from './lib-servers.mjs';

const README = path.resolve(import.meta.dirname, '../../README.md');

// Examples that are not run here, by their first line, and why.
const NOT_RUN = [
	[/^make demo/, 'the server that the other examples talk to; the tests start their own'],
	[/^make (check|install|lint)|^(sudo )?make install/, 'not a matter of what is served'],
	[/^git clone/, 'needs the network'],
	[/^(sudo |# )?(install|systemctl|apt|apt-get) /, 'changes the machine'],
	[/^(export )?OPENAI_\w+=/, 'needs a model server and a key of the reader\'s'],
	[/^(export )?ASSISTANTS_\w+=/, 'needs servers of the reader\'s'],
];

function shellBlocks() {
	const text = fs.existsSync(README) ? fs.readFileSync(README, 'utf8') : '';
	return [...text.matchAll(/^```sh\n([^]*?)^```$/gm)].map(([, block]) => block);
}

const isRun = (block) => /\bcurl\b/.test(block) && block.includes('localhost:8080');

test('README: each shell example is run, or there is a reason', () => {
	for (const block of shellBlocks().filter((one) => !isRun(one))) {
		const first = block.split('\n').find((line) => /^[^#\s]/.test(line));
		const reason = NOT_RUN.find(([pattern]) => pattern.test(first));
		assert.ok(reason, `nobody runs:\n${block}`);
	}
});

e2e('README: the examples do what they say', async (bench) => {
	const blocks = shellBlocks().filter(isRun);
	assert.notEqual(blocks.length, 0, 'README.md has no ```sh block with curl and localhost');
	const { port } = await behindLighttpd(bench);
	// An error of the server's is the example's, too. The blocks share one shell's variables.
	const script = ['set -eu', 'curl() { command curl --fail-with-body "$@"; }',
		...blocks.map((block) => `${block}\nprintf '\\n\\036\\n'`)].join('\n');
	const output = await bench.shell(script.replaceAll('localhost:8080', `localhost:${port}`));
	const printed = output.split('\n\x1e\n');
	blocks.forEach((block, i) => {
		if (!/^curl/m.test(block)) return;
		assert.match(printed[i], /\S/, `nothing came of:\n${block}`);
	});
});
