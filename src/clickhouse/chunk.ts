import type { CallEvent, DeadLetter } from '../codec/generated.js';
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
  readonly #events = new RowWriter();
  readonly #deliveries = new RowWriter();
  readonly #deadLetters = new RowWriter();
  /** By call, in the order of the rows in #latest. */
  readonly #spans = new Map<string, Span>();
  readonly #touches = new Map<string, Touch>();
  readonly #historic = new Map<string, { app_id: string; call_id: string }>();
  #counts = { revisions: 0, events: 0, deliveries: 0, deadLetters: 0 };

  /** Records taken in. */
  get records(): number {
    return this.#counts.revisions + this.#counts.events + this.#counts.deadLetters;
  }

  /** Bytes that will be sent, at most. */
  get bytes(): number {
    return this.#revisions.length + this.#latest.length + this.#events.length + this.#deliveries.length + this.#deadLetters.length;
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

  /** Rows to insert first, in any order; empty tables left out. Ends the chunk: to be called once, and nothing may be added afterwards. */
  tables(): TableRows[] {
    this.#latest.keep([...this.#spans.values()]);
    return [
      { table: 'calls_latest', columns: LATEST_COLUMNS, rows: this.#spans.size, bytes: this.#latest.slice() },
      { table: 'call_revisions', columns: REVISION_COLUMNS, rows: this.#counts.revisions, bytes: this.#revisions.slice() },
      { table: 'call_event_rows', columns: EVENT_COLUMNS, rows: this.#counts.events, bytes: this.#events.slice() },
      { table: 'deliveries', columns: DELIVERY_COLUMNS, rows: this.#counts.deliveries, bytes: this.#deliveries.slice() },
      { table: 'dead_letter_rows', columns: DEAD_LETTER_COLUMNS, rows: this.#counts.deadLetters, bytes: this.#deadLetters.slice() },
    ].filter((t) => t.rows > 0);
  }

  /** Rows to insert once all of {@link tables} are acknowledged; null: no minute was touched. */
  touched(): TableRows | null {
    if (this.#touches.size === 0) return null;
    const w = new RowWriter(this.#touches.size * 24 + 64);
    for (const touch of this.#touches.values()) writeTouch(w, touch);
    return { table: 'touched', columns: TOUCHED_COLUMNS, rows: this.#touches.size, bytes: w.slice() };
  }

  /** Calls whose every published edge must be touched as well (see `touchesOf`). */
  historic(): { app_id: string; call_id: string }[] {
    return [...this.#historic.values()];
  }

  #keepLatest(call: CallRow, from: number): void {
    const key = `${call.app_id}\0${call.call_id}`;
    const before = this.#spans.get(key);
    if (before !== undefined) {
      if (before.revision > call.revision) {
        this.#latest.cut(from);
        return;
      }
      this.#spans.delete(key);
    }
    this.#spans.set(key, { revision: call.revision, from, to: this.#latest.length });
  }

  #touch(call: CallRow, { metrics, concurrency, historic }: TouchedMinutes): void {
    for (const bucket of metrics) this.#mark('metrics', call.app_id, bucket);
    for (const bucket of concurrency) this.#mark('concurrency', call.app_id, bucket);
    if (historic) this.#historic.set(`${call.app_id}\0${call.call_id}`, { app_id: call.app_id, call_id: call.call_id });
  }

  #mark(kind: Touch['kind'], app_id: string, bucket: number): void {
    const key = `${kind}\0${app_id}\0${bucket}`;
    if (!this.#touches.has(key)) this.#touches.set(key, { kind, app_id, bucket });
  }
}
