/** Where ClickHouse still names a user. Candidates are found by the server, by what a row may hold; what it does hold is read here. */
import { isUtf8 } from 'node:buffer';
import { eraseRows, mayName } from '../../clickhouse/erase.js';
import type { ClickHouse } from '../../clickhouse/index.js';
import { textsOf } from '../../clickhouse/keys.js';
import type { TopicCodec } from '../../codec/codec.js';
import type { Call, Recording } from '../../codec/generated.js';
import type { ChannelKey } from '../../domain/channel.js';
import type { RecordingKey } from '../../domain/recording.js';
import type { CallKey } from '../../domain/types.js';
import type { Provider } from '../../domain/vocabulary.js';
import type { Subject } from './subject.js';

const TIMEOUT_MS = 600_000;
/** Records that are read at once. */
const PAGE = 1_000;

/** What must be published anew, for its latest revision names the user. */
export interface Affected {
  calls: CallKey[];
  /** With the earliest start of a session that does, epoch ms. */
  channels: { key: ChannelKey; from: number }[];
  recordings: RecordingKey[];
}

/** Rows that name the user and are to go. */
export interface Erased {
  revisions: number;
  events: number;
  deadLetters: number;
}

interface StateRow {
  id: string;
  revision: number;
}

/** The tables whose rows hold the record that they were made of. */
const STATES = { calls_latest: 'call_id', recordings_latest: 'task_id' } as const;
type StateTable = keyof typeof STATES;

export class Traces {
  readonly #client: ClickHouse;
  readonly #subject: Subject;
  readonly #codecs: { call: TopicCodec<Call>; recording: TopicCodec<Recording> };

  constructor(client: ClickHouse, subject: Subject, codecs: { call: TopicCodec<Call>; recording: TopicCodec<Recording> }) {
    this.#client = client;
    this.#subject = subject;
    this.#codecs = codecs;
  }

  /** @throws ClickHouseFailure */
  async affected(): Promise<Affected> {
    const found: Affected = { calls: [], channels: [], recordings: [] };
    for await (const { frame } of this.#states('calls_latest', 'latest')) {
      const call = await decoded(this.#codecs.call, frame);
      if (!this.#subject.isInCall(call)) continue;
      const provider = call.provider as Provider;
      if (call.sources.includes('channel')) addChannel(found, { provider, app_id: call.app_id, channel_id: call.room_id }, call.started_at);
      else found.calls.push({ provider, app_id: call.app_id, call_id: call.call_id });
    }
    for await (const { frame } of this.#states('recordings_latest', 'latest')) {
      const recording = await decoded(this.#codecs.recording, frame);
      const { app_id, task_id } = recording;
      if (this.#subject.isInRecording(recording)) found.recordings.push({ provider: recording.provider as Provider, app_id, task_id });
    }
    return found;
  }

  /** Deletes history, events and dead letters that name the user. To be called once nothing is {@link affected} any more. @throws ClickHouseFailure */
  async erase(): Promise<Erased> {
    const calls = await this.#revisionsOf('calls_latest', async (frame) => this.#subject.isInCall(await decoded(this.#codecs.call, frame)));
    const recordings = await this.#revisionsOf('recordings_latest', async (frame) =>
      this.#subject.isInRecording(await decoded(this.#codecs.recording, frame)),
    );
    await this.#eraseStates('calls_latest', calls);
    await this.#eraseStates('recordings_latest', recordings);
    const history = await this.#history();
    await this.#eraseStates('calls_latest', history, 'call_revisions');
    const events = await this.#eraseEvents();
    const deadLetters = await this.#eraseDeadLetters();
    return { revisions: calls.length + recordings.length + history.length, events, deadLetters };
  }

  /** Of the rows of a table that may name the user, or hold the sealed id, those as which it is stored in the end, or every one that is still there. */
  async *#states(table: StateTable, which: 'latest' | 'all'): AsyncGenerator<StateRow & { frame: Buffer }> {
    const id = STATES[table];
    const params = { app: this.#subject.appId };
    const candidates = await this.#client.query<StateRow>(
      `SELECT ${id} AS id, revision FROM ${table} ${which === 'latest' ? 'FINAL' : ''}
       WHERE app_id = {app:String} AND ${mayName('state', this.#subject.userId, [`${this.#subject.pseudonym}:`])}
       ORDER BY id, revision`,
      params,
      TIMEOUT_MS,
    );
    for (let i = 0; i < candidates.length; i += PAGE) {
      const page = candidates.slice(i, i + PAGE);
      const wanted = new Set(page.map(({ id, revision }) => `${revision} ${id}`));
      const rows = await this.#client.query<StateRow & { state: string }>(
        `SELECT ${id} AS id, revision, base64Encode(state) AS state FROM ${table}
         WHERE app_id = {app:String} AND ${id} IN (SELECT arrayJoin(${textsOf(page.map((row) => row.id))}))`,
        params,
        TIMEOUT_MS,
      );
      for (const { state, ...row } of rows)
        if (wanted.has(`${row.revision} ${row.id}`)) yield { ...row, frame: Buffer.from(state, 'base64') };
    }
  }

  async #revisionsOf(table: StateTable, names: (frame: Buffer) => Promise<boolean>): Promise<StateRow[]> {
    const found: StateRow[] = [];
    for await (const { id, revision, frame } of this.#states(table, 'all')) if (await names(frame)) found.push({ id, revision });
    return found;
  }

  /** Rows of the history of calls, which has no records, by what they show. */
  #history(): Promise<StateRow[]> {
    return this.#client.query<StateRow>(
      `SELECT call_id AS id, revision FROM call_revisions
       WHERE app_id = {app:String} AND (caller = {user:String} OR has(callees, {user:String}))`,
      { app: this.#subject.appId, user: this.#subject.userId },
      TIMEOUT_MS,
    );
  }

  async #eraseStates(like: StateTable, rows: readonly StateRow[], table: string = like): Promise<void> {
    const id = STATES[like];
    await eraseRows(
      this.#client,
      table,
      { app_id: 'text', [id]: 'text', revision: 'number' },
      rows.map((row) => ({ app_id: this.#subject.appId, [id]: row.id, revision: row.revision })),
    );
  }

  /** An event that names the user, as whose it is or anywhere in it, and what `deliveries` counts of it: so the sum of contract §7.2 still holds. */
  async #eraseEvents(): Promise<number> {
    const { appId, userId } = this.#subject;
    const candidates = await this.#client.query<{ call_id: string; event_id: string; user_id: string; detail: string }>(
      `SELECT call_id, event_id, user_id, detail FROM call_event_rows
       WHERE app_id = {app:String} AND (user_id = {user:String} OR ${mayName('user_id', userId)} OR ${mayName('detail', userId)})`,
      { app: appId, user: userId },
      TIMEOUT_MS,
    );
    const found = candidates.filter((row) => this.#subject.isUser(row.user_id) || this.#subject.isInText(row.detail));
    const rows = found.map(({ call_id, event_id }) => ({ app_id: appId, call_id, event_id }));
    await eraseRows(this.#client, 'call_event_rows', { app_id: 'text', call_id: 'text', event_id: 'text' }, rows);
    await eraseRows(this.#client, 'deliveries', { app_id: 'text', event_id: 'text' }, rows);
    return new Set(found.map((row) => row.event_id)).size;
  }

  /** Of bytes that could not be decoded nobody knows the app or the fields: they go when the id is anywhere in them. */
  async #eraseDeadLetters(): Promise<number> {
    const { appId, userId } = this.#subject;
    const candidates = await this.#client.query<DeadLetterPlace & { app_id: string; error: string; hex: string }>(
      `SELECT origin_topic, origin_partition, origin_offset, origin_index, stage, app_id, error, hex(body) AS hex FROM dead_letter_rows
       WHERE app_id IN ({app:String}, '') AND (${mayName('body', userId)} OR ${mayName('error', userId)})`,
      { app: appId },
      TIMEOUT_MS,
    );
    const found = candidates.filter(({ stage, app_id, error, hex }) => {
      const body = Buffer.from(hex, 'hex');
      const opaque = app_id === '' || stage === 'decode' || stage === 'row';
      return (opaque && body.includes(userId)) || [textOf(body), error].some((text) => this.#subject.isInText(text));
    });
    const columns = {
      origin_topic: 'text',
      origin_partition: 'number',
      origin_offset: 'number',
      origin_index: 'number',
      stage: 'text',
    } as const;
    await eraseRows(this.#client, 'dead_letter_rows', columns, found);
    return found.length;
  }
}

interface DeadLetterPlace {
  origin_topic: string;
  origin_partition: number;
  origin_offset: number;
  origin_index: number;
  stage: string;
}

const textOf = (body: Buffer): string => body.toString(isUtf8(body) ? 'utf8' : 'latin1');

async function decoded<T>(codec: TopicCodec<T>, frame: Buffer): Promise<T> {
  await codec.resolve([frame]);
  return codec.decode(frame);
}

function addChannel({ channels }: Affected, key: ChannelKey, from: number): void {
  const known = channels.find((c) => c.key.channel_id === key.channel_id && c.key.provider === key.provider);
  if (known === undefined) channels.push({ key, from });
  else known.from = Math.min(known.from, from);
}
