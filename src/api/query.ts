import type { z } from 'zod';
import type { app, scope } from './params.js';

/** One row as ClickHouse's JSON formats give it: 64-bit integers may be strings, DateTime64 never appears (the SQL turns it into milliseconds). */
export type Row = Record<string, unknown>;

/**
 * Runs one SELECT with bound parameters (`{name:Type}` in the text) in the configured database.
 * Rejects when ClickHouse cannot be reached or refuses the query.
 */
export type Query = (sql: string, params: Record<string, unknown>) => Promise<Row[]>;

/** A SELECT and the values of its parameters. The text is made of constants of this folder only; whatever a user sent is a parameter. */
export interface Statement {
  sql: string;
  params: Record<string, unknown>;
}

export const run = (query: Query, { sql, params }: Statement): Promise<Row[]> => query(sql, params);

/** Numbers below 2^53 only: counts, milliseconds. ClickHouse may quote 64-bit integers. */
export const num = (value: unknown): number => Number(value ?? 0);

/** Null when there is nothing to take it over. */
export const ratio = (part: number, whole: number): number | null => (whole === 0 ? null : part / whole);

/** The key of calls_latest, as `t`: nothing of it changes in the life of a call. */
export const KEY = 't.app_id, t.first_seen_at, t.call_id';

/** Conditions of a WHERE clause with the parameters that they name. */
export class Conditions {
  readonly params: Record<string, unknown> = {};
  readonly #texts: string[] = [];

  /** @param text a constant condition, with `{name:Type}` for each of `params` */
  add(text: string, params: Record<string, unknown> = {}): this {
    this.#texts.push(text);
    Object.assign(this.params, params);
    return this;
  }

  /** `column` equals the value of the parameter `name`, if there is one. */
  equal(column: string, name: string, value: string | undefined): this {
    return value === undefined ? this : this.add(`${column} = {${name}:String}`, { [name]: value });
  }

  /** `column` lies in [from, to), each where it is given, epoch ms. */
  during(column: string, { from, to }: { from?: number | undefined; to?: number | undefined }): this {
    if (from !== undefined) this.add(`${column} >= fromUnixTimestamp64Milli({from:Int64})`, { from });
    return to === undefined ? this : this.add(`${column} < fromUnixTimestamp64Milli({to:Int64})`, { to });
  }

  /**
   * The same of the start of calls, rows of calls_latest as `t`. Their key has the hour in which they were first seen; so of the key only the hours are read in which any
   * revision has such a start. It is more than the latest revisions have, never less: what is left out has no such revision at all.
   *
   * Without it FINAL reads many times as much: it looks for other revisions wherever keys might lie between those of the rows that the index of starts has found.
   */
  started(period: { from?: number | undefined; to?: number | undefined }): this {
    const within = new Conditions().during('t.started_at', period);
    this.add(within.sql, within.params);
    if (period.from === undefined) return this;
    return this.add(`toStartOfHour(t.first_seen_at) IN (SELECT toStartOfHour(t.first_seen_at) FROM calls_latest AS t WHERE ${within.sql})`);
  }

  /** As {@link started}, of conditions that few calls meet: of the key only the calls are read of which any revision meets them. */
  few(conditions: Conditions): this {
    return this.add(`${conditions.sql} AND (${KEY}) IN (SELECT ${KEY} FROM calls_latest AS t WHERE ${conditions.sql})`, conditions.params);
  }

  /** Of one app, if one was asked for. */
  app(params: z.output<z.ZodObject<typeof app>>): this {
    return this.equal('t.app_id', 'app', params.app);
  }

  scope(params: z.output<z.ZodObject<typeof scope>>): this {
    return this.app(params).equal('t.call_type', 'type', params.type).equal('t.media_type', 'media', params.media);
  }

  /** `true` when there is no condition. */
  get sql(): string {
    return this.#texts.length === 0 ? 'true' : this.#texts.map((text) => `(${text})`).join(' AND ');
  }
}
