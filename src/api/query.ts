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
