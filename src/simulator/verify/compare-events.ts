import { getOrMake } from '../maps.js';
import { callKey, type TruthDeadLetter } from '../truth/deliveries.js';
import type { TruthEvent } from '../truth/truth-event.js';
import { type Comparison, nameOf } from './comparison.js';
import { shorten } from './differences.js';
import { deadLetterRows, type EventRow, eventRows } from './rows.js';

interface Due {
  identity: string;
  event: TruthEvent;
}

const originOf = (e: { raw_topic: string; raw_partition: number; raw_offset: number }): string =>
  `${e.raw_topic} ${e.raw_partition}:${e.raw_offset}`;

/** `call_events` row by row. Returns the number of events compared, by source. */
export async function compareEvents(c: Comparison): Promise<Map<string, number>> {
  /** By delivery: one may hold several. */
  const expected = new Map<string, Due[]>();
  const owners = new Set<string>();
  for (const [identity, event] of c.deliveries.events) {
    getOrMake(expected, originOf(event), () => []).push({ identity, event });
    owners.add(callKey(event.app_id, event.call_id));
  }
  const ids = new Set<string>();
  const compared = new Map<string, number>();
  for await (const page of eventRows(c.query, c.apps)) {
    for (const row of page) {
      if (!owners.has(callKey(row.app_id, row.call_id))) continue;
      const due = expected.get(originOf(row)) ?? [];
      const found = due.find((d) => d.event.event === row.event && d.event.user_id === row.user_id && d.event.event_at === row.event_at);
      const one = found ?? due.find((d) => d.event.event === row.event && d.event.user_id === row.user_id) ?? due[0];
      if (one === undefined) {
        c.differences.add('invented event', `${describe(row)} from ${originOf(row)}`);
        continue;
      }
      compared.set(row.source, (compared.get(row.source) ?? 0) + 1);
      due.splice(due.indexOf(one), 1);
      // What the vendor gave no time took place when it came.
      c.differences.fields('event', describe(row), { ...one.event, event_at: one.event.event_at ?? one.event.received_at }, row);
      if (ids.has(row.event_id)) c.differences.add('event', `${describe(row)}: event_id is not unique`);
      ids.add(row.event_id);
      c.eventIds.set(one.identity, row.event_id);
    }
  }
  for (const { event } of [...expected.values()].flat()) c.differences.add('missing event', describe(event));
  return compared;
}

const describe = (e: Pick<EventRow, 'app_id' | 'call_id'> & { event?: unknown; user_id?: unknown }): string =>
  `${nameOf(e)} ${e.event} of ${shorten(String(e.user_id))}`;

/** Every dead letter of the run: same bytes, same arrival. Returns their number. */
export async function compareDeadLetters(c: Comparison): Promise<number> {
  const keyOf = (d: { app_id: string; received_at: number; sha1: string }) => JSON.stringify([d.app_id, d.received_at, d.sha1]);
  const expected = new Map<string, TruthDeadLetter[]>();
  const bodies = new Set<string>();
  for (const letter of c.deliveries.deadLetters) {
    getOrMake(expected, keyOf(letter), () => []).push(letter);
    bodies.add(letter.sha1);
  }
  let compared = 0;
  for (const row of await deadLetterRows(c.query, c.apps, c.begin_at)) {
    const letter = expected.get(keyOf(row))?.pop();
    const what = `${row.stage}/${row.reason} (${row.error.slice(0, 80)}) of ${row.app_id}`;
    if (letter) {
      compared++;
      c.differences.fields('dead letter', what, { stage: 'parse', source: letter.source }, row);
      if (row.reason === '' || row.error === '') c.differences.add('dead letter', `${what}: no reason or no explanation`);
    } else if (bodies.has(row.sha1) || row.stage !== 'parse') c.differences.add('invented dead letter', what);
  }
  for (const left of expected.values()) {
    for (const letter of left)
      c.differences.add(
        'missing dead letter',
        `${letter.why}, ${letter.source}, ${letter.app_id}, partition ${letter.partition} offset ${letter.offset}`,
      );
  }
  return compared;
}
