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

  /** `true` when there is no condition. */
  get sql(): string {
    return this.#texts.length === 0 ? 'true' : this.#texts.map((text) => `(${text})`).join(' AND ');
  }
}
