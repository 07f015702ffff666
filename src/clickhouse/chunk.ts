import type { Alert, CallEvent, DeadLetter, Recording } from '../codec/generated.js';
import { ALERT_COLUMNS, writeAlert } from './alert-rows.js';
import { RECORDING_COLUMNS, writeRecording } from './recording-rows.js';
import { RowWriter } from './row-writer.js';
import {
  type CallRow,
  DEAD_LETTER_COLUMNS,
  DELIVERY_COLUMNS,
  EVENT_COLUMNS,
  isDelivery,
  LATEST_COLUMNS,
  REVISION_COLUMNS,
  TOUCHED_COLUMNS,
  type Touch,
  type TouchedMinutes,
  touchesOf,
  writeDeadDelivery,
  writeDeadLetter,
  writeDelivery,
  writeEvent,
  writeLegsAndState,
  writeRevision,
  writeTouch,
} from './rows.js';

/** The rows of one table, ready to be inserted. */
export interface TableRows {
  table: string;
  columns: readonly string[];
  rows: number;
  bytes: Buffer;
}

interface Span {
  revision: number;
  from: number;
  to: number;
}

/**
 * The rows of one flush, of every table and partition. Of a call that changes several times within a chunk only the last revision goes to
 * `calls_latest`; all go to `call_revisions`. A record that throws a RowError leaves no trace.
 */
export class Chunk {
  readonly #revisions = new RowWriter(256 * 1024);
  readonly #latest = new RowWriter(1024 * 1024);
  readonly #recordings = new RowWriter();
  readonly #events = new RowWriter();
  readonly #deliveries = new RowWriter();
  readonly #deadLetters = new RowWriter();
  readonly #alerts = new RowWriter();
  /** By app and call: where the row of its latest revision lies in #latest. */
  readonly #spans = new Map<string, Map<string, Span>>();
  /** Minutes by app. */
  readonly #touches: Record<Touch['kind'], Map<string, Set<number>>> = { metrics: new Map(), concurrency: new Map() };
  readonly #historic = new Map<string, { app_id: string; call_id: string }>();
  #counts = { revisions: 0, recordings: 0, events: 0, deliveries: 0, deadLetters: 0, alerts: 0 };

  /** Records taken in. */
  get records(): number {
    const { revisions, recordings, events, deadLetters, alerts } = this.#counts;
    return revisions + recordings + events + deadLetters + alerts;
  }

  /** Bytes that will be sent, at most. */
  get bytes(): number {
    const writers = [this.#revisions, this.#latest, this.#recordings, this.#events, this.#deliveries, this.#deadLetters, this.#alerts];
    return writers.reduce((sum, { length }) => sum + length, 0);
  }

  /** @param frame the record's value as it stands on the topic. @throws RowError */
  addCall(call: CallRow, frame: Uint8Array): void {
    const w = this.#revisions;
    const start = w.length;
    const from = this.#latest.length;
    const minutes = touchesOf(call);
    try {
      writeRevision(w, call);
      this.#latest.raw(w.slice(start));
      writeLegsAndState(this.#latest, call, frame);
    } catch (error) {
      w.cut(start);
      this.#latest.cut(from);
      throw error;
    }
    this.#counts.revisions++;
    this.#keepLatest(call, from);
    this.#touch(call, minutes);
  }

  /** @param frame the record's value as it stands on the topic. @throws RowError */
  addRecording(recording: Recording, frame: Uint8Array): void {
    const start = this.#recordings.length;
    try {
      writeRecording(this.#recordings, recording, frame);
    } catch (error) {
      this.#recordings.cut(start);
      throw error;
    }
    this.#counts.recordings++;
  }

  /** @throws RowError */
  addEvent(event: CallEvent): void {
    const e = this.#events.length;
    const d = this.#deliveries.length;
    try {
      writeEvent(this.#events, event);
      writeDelivery(this.#deliveries, event);
    } catch (error) {
      this.#events.cut(e);
      this.#deliveries.cut(d);
      throw error;
    }
    this.#counts.events++;
    this.#counts.deliveries++;
  }

  /** @throws RowError */
  addDeadLetter(letter: DeadLetter): void {
    const l = this.#deadLetters.length;
    const d = this.#deliveries.length;
    const delivery = isDelivery(letter);
    try {
      writeDeadLetter(this.#deadLetters, letter);
      if (delivery) writeDeadDelivery(this.#deliveries, letter);
    } catch (error) {
      this.#deadLetters.cut(l);
      this.#deliveries.cut(d);
      throw error;
    }
    this.#counts.deadLetters++;
    if (delivery) this.#counts.deliveries++;
  }

  /** @throws RowError */
  addAlert(alert: Alert): void {
    const start = this.#alerts.length;
    try {
      writeAlert(this.#alerts, alert);
    } catch (error) {
      this.#alerts.cut(start);
      throw error;
    }
    this.#counts.alerts++;
  }

  /** Rows to insert first, in any order; empty tables left out. Ends the chunk: to be called once, and nothing may be added afterwards. */
  tables(): TableRows[] {
    const spans = [...this.#spans.values()].flatMap((calls) => [...calls.values()]).sort((a, b) => a.from - b.from);
    this.#latest.keep(spans);
    return [
      { table: 'calls_latest', columns: LATEST_COLUMNS, rows: spans.length, bytes: this.#latest.slice() },
      { table: 'call_revisions', columns: REVISION_COLUMNS, rows: this.#counts.revisions, bytes: this.#revisions.slice() },
      { table: 'recordings_latest', columns: RECORDING_COLUMNS, rows: this.#counts.recordings, bytes: this.#recordings.slice() },
      { table: 'call_event_rows', columns: EVENT_COLUMNS, rows: this.#counts.events, bytes: this.#events.slice() },
      { table: 'deliveries', columns: DELIVERY_COLUMNS, rows: this.#counts.deliveries, bytes: this.#deliveries.slice() },
      { table: 'dead_letter_rows', columns: DEAD_LETTER_COLUMNS, rows: this.#counts.deadLetters, bytes: this.#deadLetters.slice() },
      { table: 'alert_rows', columns: ALERT_COLUMNS, rows: this.#counts.alerts, bytes: this.#alerts.slice() },
    ].filter((t) => t.rows > 0);
  }

  /** Rows to insert once all of {@link tables} are acknowledged; null: no minute was touched. */
  touched(): TableRows | null {
    const w = new RowWriter();
    let rows = 0;
    for (const kind of ['metrics', 'concurrency'] as const) {
      for (const [app_id, buckets] of this.#touches[kind]) {
        for (const bucket of buckets) writeTouch(w, { kind, app_id, bucket });
        rows += buckets.size;
      }
    }
    return rows === 0 ? null : { table: 'touched', columns: TOUCHED_COLUMNS, rows, bytes: w.slice() };
  }

  /** Calls whose every published edge must be touched as well (see `touchesOf`). */
  historic(): { app_id: string; call_id: string }[] {
    return [...this.#historic.values()];
  }

  #keepLatest(call: CallRow, from: number): void {
    const calls = inner(this.#spans, call.app_id, () => new Map<string, Span>());
    const before = calls.get(call.call_id);
    if (before === undefined || before.revision <= call.revision) {
      calls.set(call.call_id, { revision: call.revision, from, to: this.#latest.length });
    } else {
      this.#latest.cut(from);
    }
  }

  #touch(call: CallRow, { metrics, concurrency, historic }: TouchedMinutes): void {
    this.#mark('metrics', call.app_id, metrics);
    this.#mark('concurrency', call.app_id, concurrency);
    if (historic) this.#historic.set(`${call.app_id}\0${call.call_id}`, { app_id: call.app_id, call_id: call.call_id });
  }

  #mark(kind: Touch['kind'], app_id: string, minutes: readonly number[]): void {
    if (minutes.length === 0) return;
    const buckets = inner(this.#touches[kind], app_id, () => new Set<number>());
    for (const bucket of minutes) buckets.add(bucket);
  }
}

function inner<V>(map: Map<string, V>, key: string, make: () => V): V {
  let value = map.get(key);
  if (value === undefined) {
    value = make();
    map.set(key, value);
  }
  return value;
}
