import type { Metrics } from '../telemetry/metrics.js';
import type { Chunk, TableRows } from './chunk.js';
import type { ClickHouse } from './client.js';
import { ClickHouseFailure, TOO_MANY_PARTS } from './errors.js';
import type { StoreFault } from './fault.js';
import { keysOf } from './keys.js';

/**
 * One chunk on its way into ClickHouse, in this order:
 * 1. one insert per table, 2. the touched minutes, 3. (the caller) the offsets.
 * The touches come after the rows are acknowledged: whoever sees a touch finds the rows that it stands for.
 */
export class Flush {
  readonly #client: ClickHouse;
  readonly #metrics: Metrics;
  readonly #chunk: Chunk;
  readonly #fault: StoreFault | undefined;
  #rows: TableRows[];
  #touched: TableRows | null;
  #historic: boolean;

  /** @param fault for tests */
  constructor(client: ClickHouse, metrics: Metrics, chunk: Chunk, fault?: StoreFault) {
    this.#client = client;
    this.#metrics = metrics;
    this.#chunk = chunk;
    this.#fault = fault;
    this.#rows = chunk.tables();
    this.#touched = chunk.touched();
    this.#historic = chunk.historic().length > 0;
  }

  /**
   * Step 1. Sends the rows that are not yet acknowledged. After a rejection it may be called again: a table that was acknowledged is not sent twice,
   * and one that was written without an acknowledgement is the same rows once more.
   * @throws ClickHouseFailure
   */
  async rows(): Promise<void> {
    const results = await Promise.allSettled(this.#rows.map((rows) => this.#insert(rows)));
    this.#rows = this.#rows.filter((_, i) => results[i]?.status === 'rejected');
    const failed = worst(results);
    if (failed !== undefined) throw failed;
  }

  /** Step 2, after step 1 has succeeded. May be called again after a rejection: a touch too many only costs a recomputation. @throws ClickHouseFailure */
  async touches(): Promise<void> {
    if (this.#touched !== null) await this.#insert(this.#touched);
    this.#touched = null;
    if (this.#historic) await this.#touchHistory();
    this.#historic = false;
  }

  async #insert({ table, columns, rows, bytes }: TableRows): Promise<void> {
    await this.#fault?.('store:before-table-insert');
    try {
      await this.#client.insert(table, columns, [bytes]);
    } catch (error) {
      const result = error instanceof ClickHouseFailure ? error.kind : 'unknown';
      this.#metrics.callstream_sink_inserts_total.inc({ table, result });
      throw error;
    }
    this.#metrics.callstream_sink_inserts_total.inc({ table, result: 'ok' });
    this.#metrics.callstream_sink_rows_total.inc({ table }, rows);
    await this.#fault?.('store:after-table-insert');
  }

  /** Intervals of more than a day have edges that their record does not name: the history, which has this chunk's revisions by now, does. */
  async #touchHistory(): Promise<void> {
    await this.#fault?.('store:before-history-touch');
    await this.#client.command(
      `INSERT INTO touched (kind, app_id, bucket)
       SELECT DISTINCT 'concurrency', app_id, toStartOfMinute(assumeNotNull(edge))
       FROM call_revisions ARRAY JOIN [accepted_at, ended_at] AS edge
       WHERE (app_id, call_id) IN ${keysOf(this.#chunk.historic())} AND status = 'ended' AND edge IS NOT NULL`,
    );
    await this.#fault?.('store:after-history-touch');
  }
}

/** Of several failures the one that must not be retried, else the one that asks for fewer inserts. */
function worst(results: readonly PromiseSettledResult<void>[]): unknown {
  const errors = results.filter((r) => r.status === 'rejected').map((r) => r.reason as unknown);
  const isRetriable = (e: unknown): e is ClickHouseFailure => e instanceof ClickHouseFailure && e.kind === 'retriable';
  return errors.find((e) => !isRetriable(e)) ?? errors.find((e) => isRetriable(e) && e.server === TOO_MANY_PARTS) ?? errors[0];
}
