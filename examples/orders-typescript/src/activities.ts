/** What is done in the world: the payment provider and the carrier are asked by HTTP. */

import { ApplicationFailure, cancellationSignal, heartbeat } from '@temporalio/activity';
import type { OrderInput } from './workflows';

const HEARTBEAT_MS = 1_000;
const DEADLINE_MS = 10_000;

/** Take the money; the charge's id. */
export async function charge_card(order: OrderInput): Promise<string> {
  return await ask('PAYMENTS_URL', 'charges', order, `charge-${order.order_id}`);
}

/** Give it back; the refund's id. */
export async function refund_card(order: OrderInput): Promise<string> {
  return await ask('PAYMENTS_URL', 'refunds', order, `refund-${order.order_id}`);
}

/** Hand the parcel over; its id. */
export async function ship_parcel(order: OrderInput): Promise<string> {
  return await ask('CARRIER_URL', 'parcels', order, `parcel-${order.order_id}`);
}

/** Ask for a thing once: who is asked again with the same key answers as before. */
async function ask(service: string, thing: string, order: OrderInput, key: string): Promise<string> {
  // So that it is soon known when this worker does not live any more.
  heartbeat();
  const beating = setInterval(() => heartbeat(), HEARTBEAT_MS);
  try {
    const response = await fetch(`${process.env[service]}/${thing}`, {
      method: 'POST',
      headers: { 'Content-Type': 'application/json', 'Idempotency-Key': key },
      body: JSON.stringify({ order_id: order.order_id, amount_cents: order.amount_cents }),
      signal: AbortSignal.any([cancellationSignal(), AbortSignal.timeout(DEADLINE_MS)]),
    });
    const text = await response.text();
    if (response.status >= 400 && response.status < 500 && response.status !== 429) {
      throw ApplicationFailure.nonRetryable(`${thing} were refused: ${text}`);
    }
    if (!response.ok) throw new Error(`${thing}: ${response.status}`);
    return (JSON.parse(text) as { id: string }).id;
  } finally {
    clearInterval(beating);
  }
}
