import { addAbortSignal, Readable } from 'node:stream';
import { finished } from 'node:stream/promises';
import {
  ClickHouseError,
  ClickHouseLogLevel,
  type ClickHouseSettings,
  type ClickHouseClient as Client,
  createClient,
  type ExecParams,
} from '@clickhouse/client';
import { ClickHouseFailure, type FailureKind, SERVER_CODES, SOCKET_CODES } from './errors.js';

/** Where ClickHouse is. Times in milliseconds. */
export interface ClickHouseOptions {
  url: string;
  username: string;
  password: string;
  database: string;
  /**
   * A request that takes longer has failed (retriable). It may exceed the consumer's session timeout: an insert that outlives its assignment is the same
   * rows once more, and its offsets are not committed; a short limit would make an overloaded server repeat the same insert for ever.
   */
  requestTimeoutMs?: number;
  /** Parallel connections. */
  connections?: number;
  /** Queries may only read, and end at {@link READ_LIMITS}: for questions that other people ask. */
  readOnly?: boolean;
}

/** What one question may cost the server: it ends with an error beyond. */
export const READ_LIMITS = {
  /** Seconds. */
  max_execution_time: 20,
  max_result_rows: '20000',
  max_result_bytes: String(64 * 1024 * 1024),
  max_memory_usage: String(2 * 1024 * 1024 * 1024),
  result_overflow_mode: 'throw',
} as const;

/** Values for `{name:Type}` placeholders. */
export type QueryParams = Record<string, unknown>;

const REQUEST_TIMEOUT_MS = 30_000;
/** Below the keep-alive of every server in use (3 s before version 23.11, then 10 s or more), so that no request meets a socket that is being closed. */
const IDLE_SOCKET_MS = 2_000;

const PING_TIMEOUT_MS = 5_000;
/** Acknowledged means written; and equal blocks are no duplicates: touches are alike, and count. */
const DURABLE = { async_insert: 0, insert_deduplicate: 0 } as const;
/** Some queries carry the ids of a whole batch in their text. */
const MAX_QUERY_BYTES = 256 * 1024 * 1024;

/**
 * ClickHouse over HTTP. Every failure is a {@link ClickHouseFailure} with a kind that says what to do about it.
 *
 * Requests are not compressed: gzip at its fastest takes 855 bytes of a row to 196 for about the same processor time, client and server together,
 * but in the thread that also decodes; a network between them that is short of bandwidth is better served by a proxy.
 */
export class ClickHouse {
  readonly #options: ClickHouseOptions;
  readonly #client: Client;
  /** What a reader sends with each query. A user who is read-only already may not say so once more. */
  #restricted: ClickHouseSettings | null = null;

  constructor(options: ClickHouseOptions) {
    this.#options = options;
    this.#client = createClient({
      url: options.url,
      username: options.username,
      password: options.password,
      database: options.database,
      application: 'callstream',
      max_open_connections: options.connections ?? 10,
      // Longer than ours, which is judged by a signal and not by a message.
      request_timeout: 3_600_000,
      log: { level: ClickHouseLogLevel.OFF },
      keep_alive: { enabled: true, idle_socket_ttl: IDLE_SOCKET_MS },
      compression: { request: false, response: false },
      use_multipart_params_auto: true,
      clickhouse_settings: {
        date_time_output_format: 'iso',
        output_format_json_quote_64bit_integers: 0,
        max_query_size: String(MAX_QUERY_BYTES),
      },
    });
  }

  get database(): string {
    return this.#options.database;
  }

  /** The same server, another database: to create one. The caller closes it. */
  using(database: string): ClickHouse {
    return new ClickHouse({ ...this.#options, database });
  }

  /** Rows of a SELECT without a FORMAT clause. Integers come as numbers (all here are below 2^53), times as ISO strings. */
  async query<T>(sql: string, params: QueryParams = {}, timeoutMs?: number): Promise<T[]> {
    return this.#query(sql, params, this.#options.readOnly === true ? await this.#restrictions() : {}, timeoutMs);
  }

  /** Asked of the server once; never decided by how a query fares, which whoever writes it could arrange. */
  async #restrictions(): Promise<ClickHouseSettings> {
    if (this.#restricted === null) {
      const [row] = await this.#query<{ readonly: string }>("SELECT toString(getSetting('readonly')) AS readonly", {}, {}, PING_TIMEOUT_MS);
      this.#restricted = row?.readonly === '0' ? { ...READ_LIMITS, readonly: '1' } : READ_LIMITS;
    }
    return this.#restricted;
  }

  #query<T>(sql: string, params: QueryParams, clickhouse_settings: ClickHouseSettings, timeoutMs: number | undefined): Promise<T[]> {
    return this.#guarded(sql, timeoutMs, async (abort_signal) => {
      const result = await this.#client.query({
        query: sql,
        query_params: params,
        format: 'JSONEachRow',
        abort_signal,
        clickhouse_settings,
      });
      const rows: T[] = [];
      for await (const some of addAbortSignal(abort_signal, result.stream<T>())) for (const row of some) rows.push(row.json());
      return rows;
    });
  }

  /** A statement without output. */
  async command(sql: string, params: QueryParams = {}, timeoutMs?: number): Promise<void> {
    await this.#guarded(sql, timeoutMs, (abort_signal) =>
      this.#acknowledged({ query: sql, query_params: params, abort_signal, clickhouse_settings: DURABLE }),
    );
  }

  /**
   * One INSERT of rows in RowBinary, acknowledged once they are on disk. `columns` names the order of the fields.
   * No deduplication: rows are idempotent by key, and the server's window would forget or mix up blocks.
   */
  async insert(table: string, columns: readonly string[], rows: readonly Buffer[]): Promise<void> {
    const sql = `INSERT INTO ${table} (${columns.join(', ')}) FORMAT RowBinary`;
    await this.#guarded(sql, undefined, (abort_signal) =>
      this.#acknowledged({
        query: sql,
        values: Readable.from(rows, { objectMode: false }),
        abort_signal,
        clickhouse_settings: { ...DURABLE, max_partitions_per_insert_block: '0' },
      }),
    );
  }

  /** Resolves at the end of the answer, of which there is nothing to read. */
  async #acknowledged(params: ExecParams & { abort_signal: AbortSignal; values?: Readable }): Promise<void> {
    const { stream } = await this.#client.exec(params);
    await finished(addAbortSignal(params.abort_signal, stream).resume());
  }

  /** True when the server takes queries. */
  async ping(): Promise<boolean> {
    try {
      await this.query('SELECT 1', {}, PING_TIMEOUT_MS);
      return true;
    } catch {
      return false;
    }
  }

  async close(): Promise<void> {
    await this.#client.close();
  }

  /** What answers in place of ClickHouse, a proxy say, may repeat what it was sent. */
  #hideCredentials(error: unknown): void {
    const { username, password } = this.#options;
    if (password === '' || !(error instanceof Error)) return;
    for (const credential of [password, Buffer.from(`${username}:${password}`).toString('base64')]) {
      error.message = error.message.replaceAll(credential, '[secret]');
      error.stack = error.stack?.replaceAll(credential, '[secret]');
    }
  }

  /** The client heeds a signal until an answer begins; that it ends in time as well, `run` sees to. */
  async #guarded<T>(sql: string, timeoutMs: number | undefined, run: (signal: AbortSignal) => Promise<T>): Promise<T> {
    const limit = timeoutMs ?? this.#options.requestTimeoutMs ?? REQUEST_TIMEOUT_MS;
    const signal = AbortSignal.timeout(limit);
    try {
      return await run(signal);
    } catch (error) {
      this.#hideCredentials(error);
      const doing = sql.trimStart().split('\n', 1)[0]!.slice(0, 80);
      if (signal.aborted)
        throw new ClickHouseFailure('retriable', null, doing, new Error(`no answer within ${limit} ms`, { cause: error }));
      throw failureOf(error, doing);
    }
  }
}

const LIBRARY_EXCEPTION = /^\w+::Exception\. Code: (\d+),/;

/** Judges an error of the client library by its codes. */
export function failureOf(error: unknown, doing: string): ClickHouseFailure {
  if (error instanceof ClickHouseFailure) return error;
  // An exception of the server's libraries has a number but no name, and the client does not take it for the server's.
  const number = error instanceof ClickHouseError ? error.code : LIBRARY_EXCEPTION.exec(error instanceof Error ? error.message : '')?.[1];
  if (number !== undefined) {
    const server = Number(number);
    return new ClickHouseFailure(SERVER_CODES[server]?.[1] ?? 'unknown', server, doing, error);
  }
  const code = error instanceof Error && 'code' in error ? String(error.code) : '';
  const kind: FailureKind = SOCKET_CODES.has(code) ? 'retriable' : 'unknown';
  return new ClickHouseFailure(kind, null, doing, error);
}
