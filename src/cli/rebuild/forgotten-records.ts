import { isUtf8 } from 'node:buffer';
import type { TopicCodec } from '../../codec/codec.js';
import type { Call, CallEvent, DeadLetter, Recording } from '../../codec/generated.js';
import { CodecError } from '../../codec/registry.js';
import { TOPICS } from '../../codec/topics.js';
import type { InputRecord } from '../../stream/types.js';
import type { ForgottenList } from '../../workers/forgotten.js';
import { showCall, showRecording } from '../../workers/published.js';
import type { Users } from '../../workers/users.js';

export interface RecordCodecs {
  call: TopicCodec<Call>;
  recording: TopicCodec<Recording>;
  callEvent: TopicCodec<CallEvent>;
  deadLetter: TopicCodec<DeadLetter>;
}

/**
 * What topics still hold of forgotten users, and what becomes of it: as `forget-user` has left the tables, so they are filled again. Revisions that name one are left
 * out, for later ones say the same under the pseudonym; so are events and dead letters.
 */
export class ForgottenRecords {
  readonly #codecs: RecordCodecs;
  readonly #users: Users;
  readonly #list: Pick<ForgottenList, 'lastListed'>;
  /** Revisions that were left out and that none has followed yet, by key of their records. */
  #last = new Map<string, InputRecord>();

  /** @param users nobody goes by another id but those who are forgotten */
  constructor(codecs: RecordCodecs, users: Users, list: Pick<ForgottenList, 'lastListed'>) {
    this.#codecs = codecs;
    this.#users = users;
    this.#list = list;
  }

  /** The records that name nobody who is forgotten, as the list is now; in order, and all of a topic. @throws CodecError REGISTRY_UNAVAILABLE */
  async without(records: readonly InputRecord[]): Promise<InputRecord[]> {
    await this.#users.ready();
    if (this.#users.asTheyCome) return [...records];
    await this.#resolve(records);
    return records.filter((record) => {
      const names = this.#names(record);
      const key = record.key?.toString() ?? '';
      if (names) this.#last.set(key, record);
      else this.#last.delete(key);
      return !names;
    });
  }

  /**
   * Once a topic is read: the last revisions that name somebody, because `forget-user` did not come so far, under the pseudonym; the same revisions otherwise. Sessions
   * of channels are left out, for their names would change.
   */
  takeLast(): InputRecord[] {
    const last = [...this.#last.values()];
    this.#last = new Map();
    return last.flatMap((record) => this.#shown(record) ?? []);
  }

  async #resolve(records: readonly InputRecord[]): Promise<void> {
    for (const [topic, codec] of this.#byTopic()) await codec.resolve(records.filter((r) => r.topic === topic).map((r) => r.value));
  }

  #byTopic(): [string, Pick<TopicCodec<unknown>, 'resolve'>][] {
    const { call, recording, callEvent, deadLetter } = this.#codecs;
    return [
      [TOPICS.calls.name, call],
      [TOPICS.recordings.name, recording],
      [TOPICS.callEvents.name, callEvent],
      [TOPICS.deadLetters.name, deadLetter],
    ];
  }

  /** What cannot be decoded names nobody: it becomes no row. */
  #names({ topic, value }: InputRecord): boolean {
    if (value === null) return false;
    const { call, recording, callEvent, deadLetter } = this.#codecs;
    try {
      if (topic === TOPICS.calls.name) return differs(call.decode(value), (read) => showCall(read, this.#users));
      if (topic === TOPICS.recordings.name) return differs(recording.decode(value), (read) => showRecording(read, this.#users));
      if (topic === TOPICS.callEvents.name) return this.#isInEvent(callEvent.decode(value));
      return topic === TOPICS.deadLetters.name && this.#isInDeadLetter(deadLetter.decode(value));
    } catch (error) {
      if (error instanceof CodecError) return false;
      throw error;
    }
  }

  #isInEvent({ app_id, user_id, detail }: CallEvent): boolean {
    return this.#users.idOf(app_id, user_id) !== user_id || this.#users.textOf(app_id, detail) !== detail;
  }

  /** Of bytes that could not be decoded nobody can tell whom they name: those from before somebody was forgotten are left out. */
  #isInDeadLetter({ app_id, stage, received_at, body, error }: DeadLetter): boolean {
    if (app_id === '' || stage === 'decode' || stage === 'row') return received_at < this.#list.lastListed(app_id === '' ? null : app_id);
    const text = body.toString(isUtf8(body) ? 'utf8' : 'latin1');
    return [text, error].some((each) => this.#users.textOf(app_id, each) !== each);
  }

  #shown(record: InputRecord): InputRecord | null {
    const { call, recording } = this.#codecs;
    if (record.value === null) return null;
    if (record.topic === TOPICS.recordings.name) {
      return { ...record, value: recording.encode(showRecording(recording.decode(record.value), this.#users)) };
    }
    if (record.topic !== TOPICS.calls.name) return null;
    const shown = showCall(call.decode(record.value), this.#users);
    return shown === null ? null : { ...record, value: call.encode(shown) };
  }
}

const differs = <T>(value: T, show: (value: T) => T | null): boolean => show(value) !== value;
