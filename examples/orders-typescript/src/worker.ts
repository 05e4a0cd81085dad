/** The worker: `npm start`. The TEMPORAL_* variables say where Temporal is. */

import { loadClientConnectConfig } from '@temporalio/envconfig';
import { NativeConnection, Worker } from '@temporalio/worker';
import * as activities from './activities';
import { BUNDLE } from './bundle';

/** Work until SIGTERM or Ctrl-C. */
async function main(): Promise<void> {
  const { connectionOptions, namespace } = loadClientConnectConfig({ disableFile: true });
  const connection = await NativeConnection.connect(connectionOptions);
  try {
    const worker = await Worker.create({
      connection,
      namespace,
      taskQueue: process.env.TASK_QUEUE ?? 'orders',
      workflowBundle: { codePath: BUNDLE },
      activities,
    });
    await worker.run();
  } finally {
    await connection.close();
  }
}

main().catch((error: unknown) => {
  console.error(error);
  process.exitCode = 1;
});
