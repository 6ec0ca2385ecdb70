// A message through a remote Assistants API: nothing is stored here.

import { LOAD, byTurns, each, goal, loadCells, median, slice, table } from './lib-bench.mjs';
import { fixedServer, helloSite, messages, nodeSite, remoteSite, tryOut, withPlace }
	from './lib-sites.mjs';

export const title = 'A message through a remote Assistants API';

const CONNECTIONS = 32;
const NAMES = {
	program: 'assistants.fcgi', node: 'Node worker, its runs completed at once',
	hello: 'limit: libfcgi hello', fixed: 'limit: the API itself, an nginx',
};

export function run() {
	return withPlace(async (place) => {
		const fixed = await fixedServer(place);
		const sites = {
			program: await remoteSite(place, fixed),
			node: await nodeSite(place, { url: `${fixed.url}/plain`, key: 'any' }),
			hello: await helloSite(place),
			fixed: { ...fixed, asked: { ASKED_PATH: '/v1/threads/any/runs', TYPE: 'application/json',
				BODY: JSON.stringify({ assistant_id: 'any', stream: true }) } },
		};
		await place.open();
		await tryOut(sites.program);
		const loads = await byTurns(Object.keys(NAMES), (name) => slice(sites[name],
			{ connections: CONNECTIONS,
				env: sites[name].asked ?? messages(sites[name]) }));
		return { raw: loads, ...report(loads) };
	});
}

function report(loads) {
	const rate = (name) => median(loads[name].map((one) => one.rate));
	const rows = Object.entries(NAMES).map(([name, shown]) =>
		[shown, each(loads[name], (one) => one.rate), ...loadCells(loads[name])]);
	return {
		tables: [table([[`${CONNECTIONS} at once`, 'messages/s', ...LOAD], ...rows])],
		goals: [goal('a message\'s time, times that of a hello and one request to nginx', 'at most', 2,
			1 / rate('program') / (1 / rate('hello') + 1 / rate('fixed')))],
	};
}
