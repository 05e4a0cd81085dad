/** The workflow: charge, ship, and pay back where nothing can be shipped. */

import { ActivityFailure, ApplicationFailure, CancellationScope, proxyActivities } from '@temporalio/workflow';
import type * as activities from './activities';

/** What a customer buys, and where it goes. */
export interface OrderInput {
  order_id: string;
  amount_cents: number;
  address: string;
}

/** What the customer gets. */
export interface Receipt {
  charge_id: string;
  parcel_id: string;
}

const { charge_card, refund_card, ship_parcel } = proxyActivities<typeof activities>({
  startToCloseTimeout: '1 minute',
  heartbeatTimeout: '15 seconds',
  retry: { initialInterval: '3 seconds', maximumAttempts: 5 },
});

/** One order. Fails where nothing could be shipped. */
export async function Order(order: OrderInput): Promise<Receipt> {
  const charge_id = await charge_card(order);
  try {
    return { charge_id, parcel_id: await ship_parcel(order) };
  } catch (error) {
    if (!(error instanceof ActivityFailure)) throw error;
    await CancellationScope.nonCancellable(() => refund_card(order));
    throw ApplicationFailure.create({
      message: 'it could not be shipped, and was paid back',
      cause: error,
    });
  }
}
