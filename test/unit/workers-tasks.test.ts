import { describe, expect, it } from 'vitest';
import type { Call } from '../../src/codec/generated.js';
import { type TaskSettings, takeTasks } from '../../src/workers/sessions/tasks.js';
import { blankCall, blankLeg } from '../support/clickhouse-model.js';

const NOW = 1_700_000_000_000;
const ended = (more: Partial<Call> = {}): Call =>
  blankCall({
    call_id: 'c',
    room_id: 'r',
    status: 'ended',
    outcome: 'answered',
    end_reason: 'normal',
    started_at: NOW - 90_000,
    ended_at: NOW - 30_000,
    legs: ['a', 'b'].map((user_id) => blankLeg({ user_id })),
    ...more,
  });
const settings = (more: Partial<TaskSettings> = {}): TaskSettings => ({
  hasRecordsApi: () => true,
  hasMediaApi: () => true,
  userEvents: 'abnormal',
  recordSample: 0,
  ...more,
});
const take = (call: Call, more: Partial<TaskSettings> = {}, becameFinal = true) =>
  takeTasks(call, becameFinal, NOW, settings(more)).map(({ kind, reason }) => `${kind}: ${reason}`);

describe('the record of a call', () => {
  it('is asked for at once when a timeout closes the call, with all that the question needs', () => {
    const call = ended({ end_reason: 'timed_out', outcome: 'unknown' });
    expect(takeTasks(call, false, NOW, settings())).toEqual([
      {
        ...{ kind: 'record', provider: 'tencent', app_id: 'app', call_id: 'c', room_id: 'r', user_id: '' },
        ...{ started_at: NOW - 90_000, ended_at: NOW - 30_000, due_at: NOW + 10_000, attempt: 0, reason: 'timed_out', users: [] },
      },
    ]);
    expect(call).toMatchObject({ record_task: true, media_task: false });
  });

  it.each([
    'record_conflict',
    'time_conflict',
    'end_before_accept',
    'accept_before_start',
    'missing_start',
    'missing_accept',
    'missing_end',
  ])('is asked for when the call becomes final with %s, unless a REST record has spoken', (anomaly) => {
    const anomalies = [anomaly];
    expect(take(ended({ anomalies, sources: ['event', 'status'] }))).toEqual(['record: conflict']);
    expect(take(ended({ anomalies }), {}, false)).toEqual([]);
    expect(take(ended({ anomalies, sources: ['event', 'record'] }))).toEqual([]);
  });

  it('is asked for of a share of the calls that is chosen by the call alone', () => {
    const calls = Array.from({ length: 4_000 }, (_, i) => `call-${i}`);
    const chosen = (recordSample: number) => calls.filter((call_id) => take(ended({ call_id }), { recordSample }).length > 0);
    expect(chosen(0)).toEqual([]);
    expect(chosen(1)).toEqual(calls);
    const quarter = chosen(0.25);
    expect(quarter).toEqual(chosen(0.25));
    expect(new Set(chosen(0.5))).toEqual(new Set([...quarter, ...chosen(0.5)]));
    expect(Math.abs(quarter.length - 1_000)).toBeLessThan(100);
    expect(take(ended(), { recordSample: 1 })).toEqual(['record: sample']);
    expect(take(ended({ sources: ['record'] }), { recordSample: 1 })).toEqual([]);
  });

  it('is asked for once, and only of an app that has the API', () => {
    const odd = { anomalies: ['missing_end'], end_reason: 'timed_out' };
    expect(take(ended({ ...odd, record_task: true }), { userEvents: 'off', recordSample: 1 })).toEqual([]);
    expect(take(ended(odd), { userEvents: 'off', recordSample: 1, hasRecordsApi: (app) => app !== 'app' })).toEqual([]);
  });
});

describe('the media events of a call', () => {
  it.each([
    ['a normal end', {}, ['all']],
    ['nobody who answered', { outcome: 'no_answer', end_reason: 'no_answer' }, ['all']],
    ['a failure', { outcome: 'failed', end_reason: 'failed' }, ['all', 'abnormal']],
    ['an interruption', { end_reason: 'interrupted' }, ['all', 'abnormal']],
    ['a timeout', { end_reason: 'timed_out', record_task: true }, ['all', 'abnormal']],
  ] as const)('with %s', (_, call, wanted) => {
    for (const userEvents of ['off', 'abnormal', 'all'] as const)
      expect(take(ended(call), { userEvents })).toEqual((wanted as readonly string[]).includes(userEvents) ? ['media: ended'] : []);
  });

  it('are those of every user, asked for a minute after the call has become final', () => {
    const call = ended({ end_reason: 'interrupted' });
    expect(takeTasks(call, true, NOW, settings())).toEqual([
      {
        ...{ kind: 'media', provider: 'tencent', app_id: 'app', call_id: 'c', room_id: 'r', user_id: '', users: ['a', 'b'] },
        ...{ started_at: NOW - 90_000, ended_at: NOW - 30_000, due_at: NOW + 60_000, attempt: 0, reason: 'ended' },
      },
    ]);
    expect(call).toMatchObject({ record_task: false, media_task: true });
    expect(take(call, { userEvents: 'all' })).toEqual([]);
  });

  it('are not asked for before it is final, without a room or a user to ask about, nor of an app without the API', () => {
    const call = ended({ end_reason: 'interrupted' });
    expect(take(call, {}, false)).toEqual([]);
    expect(take({ ...call, room_id: '' })).toEqual([]);
    expect(take({ ...call, legs: [] })).toEqual([]);
    expect(take(call, { hasMediaApi: () => false })).toEqual([]);
  });
});
