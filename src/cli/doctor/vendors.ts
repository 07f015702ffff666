import { setMaxListeners } from 'node:events';
import type { Config } from '../../config/index.js';
import { type Asked, Hosts, type Line, openLines, TIMING } from '../../poll/index.js';
import { POLLED_SOURCES } from '../../sources/registry.js';
import { systemChance } from '../../telemetry/chance.js';
import { systemClock } from '../../telemetry/clock.js';
import { createLogger } from '../../telemetry/log.js';
import { createMetrics } from '../../telemetry/metrics.js';
import { type Finding, ok, problem, warning } from './finding.js';

/** So little of the past is asked for. */
const RANGE_MS = 60_000;
/** A small share of the vendor's rate: the poller may be asking beside us. */
const SHARE = 0.05;

/** One small question to each vendor API that an app has credentials for: is it there, and does it take them? */
export async function checkVendors({ apps }: Config): Promise<Finding[]> {
  const hosts = new Hosts(TIMING.requestTimeout, systemChance);
  const signal = new AbortController().signal;
  setMaxListeners(0, signal);
  const lines = openLines(POLLED_SOURCES, apps, {
    hosts,
    clock: systemClock,
    chance: systemChance,
    timing: TIMING,
    logger: createLogger({ level: 'silent' }),
    metrics: createMetrics(),
    share: SHARE,
  });
  try {
    return await Promise.all(lines.map(async (line) => judge(line, await line.ask(smallPlan(line), 'task', signal))));
  } finally {
    await hosts.close();
  }
}

function smallPlan({ source: { sweeping, tasking }, app }: Line): unknown {
  const now = systemClock.now();
  if (sweeping !== null) return sweeping.first(app, sweeping.scopesOf(app)[0] ?? '', { from: now - RANGE_MS, to: now }, now, 0);
  const nobody = { call_id: 'doctor', room_id: 'doctor', user_id: '', users: ['doctor'], started_at: now - RANGE_MS, ended_at: now };
  return tasking?.first(app, nobody, now) ?? null;
}

function judge({ source, app, place }: Line, { answer, hostFailed }: Asked): Finding {
  const what = source.name;
  if (answer.kind === 'page' || answer.kind === 'not_yet') return ok(what, `the vendor answers for app ${app.appId}`);
  const is = `${place}: ${answer.message}`;
  if (answer.kind === 'stop') return problem(what, is, `until that is in order, ${what} of app ${app.appId} is not polled`);
  return warning(what, is, hostFailed ? `check endpoint under ${place}; polling goes on when it answers` : 'polling tries again by itself');
}
