import { callKey } from '../truth/deliveries.js';
import type { VendorBook } from '../vendor/book.js';
import type { OwnCall } from './comparison.js';
import { shorten } from './differences.js';
import type { PlayedApp } from './played.js';
import type { ShownUsers, TaskRecord, VerifyDeps } from './ports.js';
import type { RawReading } from './raw.js';

/** A deep sweep comes after so many trailing ones, but at least every hour, and looks back maxCall and an hour. */
const DEEP_EVERY = 60;
const HOUR = 3_600_000;
/** Media events so far outside of a call still count. */
const NEAR = 5 * 60_000;

export const deepSweepEvery = ({ sweepEvery }: VerifyDeps['polling']): number => Math.min(DEEP_EVERY * sweepEvery, HOUR);

/** What the vendor's APIs have and the raw topics must have, but do not have yet. */
export interface Owed {
  records: { app_id: string; call_id: string; lost: boolean }[];
  events: { app_id: string; message_id: string }[];
}

/**
 * Records of calls that a deep sweep still reaches at its next turn after the beginning of the run: what began earlier may or may not be found. Entries of the
 * log of pushes all lie within the trailing sweeps of a run.
 */
export function owedBySweeps(
  { begin_at, now, book, raw }: { begin_at: number; now: number; book: VendorBook; raw: RawReading },
  { sessions, polling }: Pick<VerifyDeps, 'sessions' | 'polling'>,
): Owed {
  const reach = begin_at + deepSweepEvery(polling) - sessions.maxCall - HOUR;
  return {
    records: [...book.owedRecords(now)].filter(
      (r) => r.start_at >= reach && !raw.truth.allCalls.get(callKey(r.app_id, r.call_id))?.has('record'),
    ),
    events: [...book.owedEvents(now)].filter((e) => e.at >= begin_at && !raw.truth.messages.has(callKey(e.app_id, e.message_id))),
  };
}

export function describeOwed({ records, events }: Owed): string | null {
  const parts = [
    ...(records.length > 0 ? [`${records.length} records`] : []),
    ...(events.length > 0 ? [`${events.length} channel events`] : []),
  ];
  return parts.length === 0 ? null : parts.join(', ');
}

/**
 * Polls of media events that must come: of each call whose media are asked for (`callstream.tasks` says so), for each user it is asked about of whom the vendor
 * has any. Where all calls' are, a call that is over and of which the vendor has some must be asked about. A call that was asked about with
 * other times than it has in the end, because its record came later, may have been asked about too narrowly, and one whose inputs name several rooms
 * about another room.
 */
export function owedMedia(
  {
    book,
    apps,
    calls,
    tasks,
    users: shown,
  }: {
    book: VendorBook;
    apps: readonly PlayedApp[];
    calls: Iterable<OwnCall>;
    tasks: ReadonlyMap<string, TaskRecord>;
    users?: ShownUsers | undefined;
  },
  userEvents: VerifyDeps['polling']['userEvents'],
): string[] {
  const played = new Set(apps.filter((app) => app.media).map((app) => app.app_id));
  const owed: string[] = [];
  for (const { app_id, call_id, inputs, fate } of calls) {
    if (!played.has(app_id)) continue;
    const users = book.mediaUsers(app_id, call_id);
    const truth = fate.open;
    if (users.length === 0 || !agreeOnRoom(inputs)) continue;
    const task = tasks.get(callKey(app_id, call_id));
    if (task === undefined) {
      const asked = userEvents === 'all' && truth.status === 'ended' && truth.room_id !== '' && truth.legs.length > 0;
      if (asked) owed.push(`${app_id} ${shorten(call_id)}: no task`);
      continue;
    }
    if (!reaches(task, truth)) continue;
    const polled = new Set(inputs.flatMap(({ reading }) => (reading.kind === 'media' ? [reading.user_id] : [])));
    for (const user of users) {
      if (task.users.includes(user) && !polled.has(shown?.idOf(app_id, user) ?? user))
        owed.push(`${app_id} ${shorten(call_id)} user ${shorten(user)}`);
    }
  }
  return owed;
}

const agreeOnRoom = (inputs: OwnCall['inputs']): boolean =>
  new Set(inputs.flatMap(({ reading }) => (reading.kind === 'media' || reading.room_id === '' ? [] : [reading.room_id]))).size === 1;

const reaches = (task: TaskRecord, truth: { started_at: number; ended_at: number | null }): boolean =>
  task.started_at !== null &&
  // A start after the end is a moment of arrival: the end is where the call is looked for.
  Math.min(task.started_at, task.ended_at ?? Number.POSITIVE_INFINITY) - NEAR <= truth.started_at &&
  (task.ended_at === null || truth.ended_at === null || task.ended_at + NEAR >= truth.ended_at);

/** The task of each call for its media; attempts repeat it. */
export async function mediaTasks(readTasks: VerifyDeps['readTasks']): Promise<Map<string, TaskRecord>> {
  const tasks = new Map<string, TaskRecord>();
  await readTasks((task) => {
    if (task.kind === 'media') tasks.set(callKey(task.app_id, task.call_id), task);
  });
  return tasks;
}
