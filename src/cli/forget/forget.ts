import { randomUUID } from 'node:crypto';
import type { RawEvent } from '../../codec/generated.js';
import { TOPICS } from '../../codec/topics.js';
import { channelKey } from '../../domain/channel.js';
import { CallstreamError } from '../../domain/errors.js';
import { joinKey } from '../../domain/key.js';
import { recordingKey } from '../../domain/recording.js';
import { recordKey } from '../../sources/element.js';
import { topicsAbout } from '../../sources/registry.js';
import { partitionOf } from '../../stream/partition.js';
import type { OutputRecord } from '../../stream/types.js';
import type { Clock } from '../../telemetry/clock.js';
import { KNOWN_EVERYWHERE_MS } from '../../workers/forgotten.js';
import { refoldChannel, refoldDelivery, refoldRecording } from '../../workers/refold.js';
import type { Affected, Erased, Traces } from './traces.js';

export interface ForgetDeps {
  /** When the user was put on the list, epoch ms: now, or by an earlier run. */
  listed(): Promise<number>;
  traces: Pick<Traces, 'affected' | 'erase'>;
  /** Resolves when the records are durable. */
  send(records: OutputRecord[]): Promise<void>;
  encode(event: RawEvent): Buffer;
  /** Partitions of the raw topics. */
  partitions: number;
  /** What is published now; asked again, it says how many records of that the sink has still to store. */
  published(): Promise<() => Promise<number>>;
  clock: Clock;
  sleep(ms: number): Promise<void>;
  /** Told before each step, and now and then within it. */
  onStep(step: string): void;
  signal: AbortSignal;
}

export interface Forgotten extends Erased {
  /** What was published anew. */
  calls: number;
  channels: number;
  recordings: number;
}

const LOOK_MS = 1_000;
/** Without any progress for so long, whoever should make it is taken for absent. */
const PATIENCE_MS = 90_000;

/**
 * Forgets one user: on the list first, so that no worker folds the id any more; then in what is published, which only a task may write; then in tables.
 * Each step looks at what is there, so a run that was interrupted goes on where it was, and one more finds nothing to do.
 * @throws CallstreamError FORGET_STALLED: a role that is needed does not work; ClickHouse's and Kafka's errors; the signal's reason
 */
export async function forgetUser(deps: ForgetDeps): Promise<Forgotten> {
  const { traces, onStep } = deps;
  await known(deps);
  const done: Forgotten = { calls: 0, channels: 0, recordings: 0, revisions: 0, events: 0, deadLetters: 0 };
  await stored(deps);
  for (let left = await traces.affected(); sizeOf(left) > 0; left = await traces.affected()) {
    onStep(`${sizeOf(left)} calls, channels and recordings are published anew`);
    await deps.send(requestsOf(left, deps));
    done.calls += left.calls.length;
    done.channels += left.channels.length;
    done.recordings += left.recordings.length;
    await until(deps, 'the role sessions has to publish them', async () => sizeOf(await traces.affected()));
    await stored(deps);
  }
  onStep('deleting rows of tables');
  for (let erased = await traces.erase(); erased.revisions + erased.events + erased.deadLetters > 0; erased = await traces.erase()) {
    done.revisions += erased.revisions;
    done.events += erased.events;
    done.deadLetters += erased.deadLetters;
  }
  return done;
}

async function known({ listed, clock, sleep, onStep, signal }: ForgetDeps): Promise<void> {
  const until = (await listed()) + KNOWN_EVERYWHERE_MS;
  if (clock.now() < until) onStep(`on the list; every worker folds with it in ${Math.ceil((until - clock.now()) / 1_000)} s`);
  while (clock.now() < until) {
    signal.throwIfAborted();
    await sleep(Math.min(LOOK_MS, until - clock.now()));
  }
}

/** Everything that was published until now is in ClickHouse. */
const stored = async (deps: ForgetDeps): Promise<void> =>
  until(deps, 'the role sink has to store what is published', await deps.published());

/** Until nothing is left. */
async function until({ clock, sleep, onStep, signal }: ForgetDeps, what: string, left: () => Promise<number>): Promise<void> {
  let least = Number.POSITIVE_INFINITY;
  let since = clock.now();
  for (let n = await left(); n > 0; n = await left()) {
    signal.throwIfAborted();
    if (n < least) {
      least = n;
      since = clock.now();
      onStep(`${what}: ${n} left`);
    }
    if (clock.now() - since > PATIENCE_MS)
      throw new CallstreamError(
        'FORGET_STALLED',
        `${what}, and has not gone on for ${PATIENCE_MS / 1_000} s: ${n} are left. Is it running? The same command goes on from here.`,
      );
    await sleep(LOOK_MS);
  }
}

const sizeOf = ({ calls, channels, recordings }: Affected): number => calls.length + channels.length + recordings.length;

function requestsOf({ calls, channels, recordings }: Affected, { encode, partitions, clock }: ForgetDeps): OutputRecord[] {
  const now = clock.now();
  const recordOf = (topic: string, joined: string, event: RawEvent): OutputRecord => {
    const key = recordKey(joined);
    return { topic, partition: partitionOf(key, partitions), key, value: encode(event) };
  };
  const [aboutRecordings = ''] = topicsAbout('recording');
  const [aboutChannels = ''] = topicsAbout('channel');
  return [
    ...calls.map((key) => recordOf(TOPICS.rawLate.name, joinKey(key), refoldDelivery(key, randomUUID(), now))),
    ...recordings.map((key) => recordOf(aboutRecordings, recordingKey(key), refoldRecording(key, randomUUID(), now))),
    ...channels.map(({ key, from }) => recordOf(aboutChannels, channelKey(key), refoldChannel(key, from, randomUUID(), now))),
  ];
}
