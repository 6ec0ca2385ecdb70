// The program is killed at work, again and again: nothing that was acknowledged is lost, and no thread
// stays locked.

import { e2e } from '../e2e/lib.mjs';
import { crash, repeatingModel, share } from './lib-crashes.mjs';

const ROUNDS = share(1000);

e2e(`kill -9 with twenty messages under way, ${ROUNDS} times`, async (bench, t) => {
	const model = await repeatingModel(bench);
	const env = { ...model.env, ASSISTANTS_LOG: 'warn' };
	const crowd = await crash(bench, { rounds: ROUNDS, env: () => env });
	t.diagnostic(crowd.summary);
});
