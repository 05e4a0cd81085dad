/** Bundles the workflows, once for all starts of a worker: a part of `npm run build`. */

import { writeFile } from 'node:fs/promises';
import path from 'node:path';
import { bundleWorkflowCode } from '@temporalio/worker';

export const BUNDLE = path.join(__dirname, 'workflow-bundle.js');

async function main(): Promise<void> {
  const { code } = await bundleWorkflowCode({ workflowsPath: require.resolve('./workflows') });
  await writeFile(BUNDLE, code);
}

if (require.main === module) void main();
