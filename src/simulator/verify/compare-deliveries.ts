import { deliveryMinuteKey } from '../truth/deliveries.js';
import type { Compared } from './compared.js';
import type { Comparison } from './comparison.js';
import type { Differences } from './differences.js';
import type { MeasuredCall } from './measured.js';
import { deliveryRows, recordsOnlyRows } from './rows-rollups.js';

const MINUTE = 60_000;
const COUNTS = ['received', 'folded', 'duplicates', 'dead'] as const;

type Delivered = Pick<Compared, 'delivery_minutes' | 'received' | 'folded' | 'duplicates' | 'dead'>;

/** delivery_minutes, minute by minute and source by source: received = folded + duplicates + dead (contract §7.2), and each of the four as the raw topic has it. */
export async function compareDeliveries(c: Comparison, calls: readonly MeasuredCall[], found: Differences): Promise<Delivered> {
  await compareRecordsOnly(c, calls, found);
  const from = Math.floor(c.begin_at / MINUTE) * MINUTE;
  const expected = new Map([...c.deliveries.minutes].filter(([key]) => bucketOf(key) >= from));
  const to = Math.max(from, ...[...expected.keys()].map(bucketOf));
  const total = { delivery_minutes: 0, received: 0, folded: 0, duplicates: 0, dead: 0 };
  for (const row of await deliveryRows(c.query, c.apps, c.sources, from, to)) {
    const key = deliveryMinuteKey(row.app_id, row.source, row.bucket);
    const truth = expected.get(key);
    expected.delete(key);
    for (const name of COUNTS) total[name] += row[name];
    if (row.received !== row.folded + row.duplicates + row.dead)
      found.add(
        'sum of deliveries',
        `${key}: received ${row.received} is not folded ${row.folded} + duplicates ${row.duplicates} + dead ${row.dead}`,
      );
    if (truth === undefined) {
      if (row.received > 0) found.add('invented delivery minute', key);
      continue;
    }
    total.delivery_minutes++;
    found.fields('delivery minute', key, truth, row);
  }
  for (const key of expected.keys()) found.add('missing delivery minute', key);
  return total;
}

const bucketOf = (key: string): number => Date.parse((JSON.parse(key) as [string, string, string])[0]);

/** Calls known from polled records alone, in the minute of their start. */
async function compareRecordsOnly(c: Comparison, calls: readonly MeasuredCall[], found: Differences): Promise<void> {
  const expected = new Map<string, number>();
  for (const call of calls) {
    if (!call.recordsOnly) continue;
    const key = deliveryMinuteKey(call.app_id, 'call-record', Math.floor(call.started_at / MINUTE) * MINUTE);
    expected.set(key, (expected.get(key) ?? 0) + 1);
  }
  const say = (key: string, due: number, is: number) => found.add('calls from records only', `${key}: should be ${due} and is ${is}`);
  for (const row of await recordsOnlyRows(c.query, c.apps)) {
    const key = deliveryMinuteKey(row.app_id, 'call-record', row.bucket);
    const due = expected.get(key) ?? 0;
    expected.delete(key);
    if (row.calls_from_records_only !== due) say(key, due, row.calls_from_records_only);
  }
  for (const [key, due] of expected) say(key, due, 0);
}
