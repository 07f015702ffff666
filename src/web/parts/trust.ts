import { count, percent, span } from './format.js';
import type { HealthAnswer, Pipeline, SourceHealth } from './types-operations.js';

/** One thing that the numbers depend on. */
export interface Finding {
  /** `unknown`: nothing can be said, which is no trouble by itself. */
  kind: 'good' | 'warn' | 'bad' | 'unknown';
  title: string;
  /** Why, or what to do. */
  detail: string;
}

/** What arrives in so long a time is on its way at any moment; where little arrives, so many records. */
const USUAL_LAG_MS = 10_000;
const USUAL_LAG = 100;
/** A source is silent when it has been for so many of its usual gaps, and so long at least. */
const GAPS = 20;
const SILENT_MS = 5 * 60_000;

const named = ({ source, app_id }: { source: string; app_id: string }): string => `${source} of app ${app_id}`;

const sumOf = (sources: readonly SourceHealth[], name: 'received' | 'dead' | 'undelivered'): number =>
  sources.reduce((sum, source) => sum + source[name], 0);

/** What there is to say about the numbers of a period. @param pipeline null: the server does not know it */
export function findingsOf(health: HealthAnswer, pipeline: Pipeline | null): Finding[] {
  return [
    ...arrivalsOf(health),
    ...deadLettersOf(health),
    ...coverageOf(health),
    ...(pipeline === null ? [UNKNOWN] : pipelineOf(pipeline, health)),
  ];
}

/** The answer to "can I trust these numbers", in a sentence. */
export function verdictOf(findings: readonly Finding[]): Finding {
  const bad = findings.filter(({ kind }) => kind === 'bad').length;
  const warn = findings.filter(({ kind }) => kind === 'warn').length;
  const things = (n: number): string => (n === 1 ? 'One thing' : `${n} things`);
  if (bad > 0)
    return { kind: 'bad', title: 'Not now: numbers may be missing or late.', detail: `${things(bad + warn)} to look at, below.` };
  if (warn > 0) return { kind: 'warn', title: 'Yes, with care.', detail: `${things(warn)} to know, below.` };
  const known = findings.some(({ kind }) => kind === 'unknown');
  return {
    kind: 'good',
    title: 'Yes, the numbers can be trusted.',
    detail: known ? 'As far as this server can tell; see below.' : 'What arrived has been worked off, and nothing was lost on the way.',
  };
}

const UNKNOWN: Finding = {
  kind: 'unknown',
  title: 'Whether the workers keep up is not known here',
  detail: 'Name the admin addresses of the roles as api.admins, or in CALLSTREAM_ADMIN_URLS (docs/configuration.md).',
};

function arrivalsOf({ sources, from, to, as_of }: HealthAnswer): Finding[] {
  const arrived = sources.filter(({ received }) => received > 0);
  if (arrived.length === 0)
    return [
      {
        kind: 'warn',
        title: 'Nothing arrived in this period',
        detail: 'Choose a longer one, or look whether the vendor still calls this server.',
      },
    ];
  const end = Math.min(to, as_of);
  // A period that is over says nothing about who is silent now.
  const silent = end < as_of - SILENT_MS ? [] : arrived.filter((source) => isSilent(source, end - from, end));
  const last = Math.max(...arrived.map(({ last_at }) => last_at ?? 0));
  if (silent.length === 0)
    return [
      {
        kind: 'good',
        title: 'Every source is heard',
        detail: `The last input arrived ${span(end - last)} before ${end === as_of ? 'now' : 'the end of the period'}.`,
      },
    ];
  return silent.map((source) => ({
    kind: 'warn',
    title: `${named(source)} has been silent for ${span(end - source.last_at!)}`,
    detail: `Usually something comes every ${span((end - from) / source.received)}. At night that may be as it should.`,
  }));
}

const isSilent = ({ last_at, received }: SourceHealth, length: number, now: number): boolean =>
  last_at !== null && now - last_at > Math.max(SILENT_MS, (GAPS * length) / received);

/** A few of many are not none. */
const shareText = (share: number): string => (share < 0.001 ? 'less than 0.1%' : percent(share));

function deadLettersOf({ sources }: HealthAnswer): Finding[] {
  const [dead, received] = [sumOf(sources, 'dead'), sumOf(sources, 'received')];
  if (dead === 0)
    return [{ kind: 'good', title: 'Every input could be processed', detail: `No dead letter among ${count(received)} inputs.` }];
  return [
    {
      kind: dead / received > 0.01 ? 'bad' : 'warn',
      title: `${count(dead)} of ${count(received)} inputs could not be processed (${shareText(dead / received)})`,
      detail:
        'They are kept as they came: reasons and content are below, and the command callstream dead-letters replay sends them through again.',
    },
  ];
}

function coverageOf({ coverage, sources }: HealthAnswer): Finding[] {
  const undelivered = sumOf(sources, 'undelivered');
  const found = coverage.flatMap(({ app_id, value, n }): Finding[] =>
    value === null
      ? []
      : [
          {
            kind: value < 0.98 ? 'warn' : 'good',
            title: `Callbacks arrived for ${percent(value)} of the calls of app ${app_id}`,
            detail:
              `Held against the vendor’s records, n = ${count(n)} calls. ${value < 1 ? 'The others are known from their records, which say less about single users.' : ''}`.trim(),
          },
        ],
  );
  if (undelivered > 0)
    found.push({
      kind: 'warn',
      title: `${count(undelivered)} pushes of the vendor failed`,
      detail: 'They are known from the vendor’s own log, and counted.',
    });
  return found;
}

/** Inputs that arrive in a millisecond, over the period so far. */
const perMs = ({ sources, from, to, as_of }: HealthAnswer): number => sumOf(sources, 'received') / Math.max(1, Math.min(to, as_of) - from);

function pipelineOf(pipeline: Pipeline, health: HealthAnswer): Finding[] {
  const { admins, workers, spool, sweeps, hosts_away, limits } = pipeline;
  const found: Finding[] = admins.flatMap(({ address, ready, problems }): Finding[] => {
    if (ready === true) return problems.map((problem) => ({ kind: 'warn', title: problem, detail: `Said by ${address}.` }));
    return [
      ready === null
        ? { kind: 'bad', title: `${address} does not answer`, detail: 'What runs there is not known: is it up, and is its address right?' }
        : { kind: 'bad', title: 'Not every role can work', detail: problems.join('; ') || `${address} does not say why.` },
    ];
  });
  if (admins.every(({ ready }) => ready === true)) found.unshift({ kind: 'good', title: 'Every role is ready', detail: '' });
  const behind = workers.filter(({ lag }) => lag > 0);
  const waiting = behind.reduce((sum, { lag }) => sum + lag, 0);
  const isLate = waiting > Math.max(USUAL_LAG, perMs(health) * USUAL_LAG_MS);
  if (workers.length > 0)
    found.push({
      kind: isLate ? 'bad' : 'good',
      title: isLate ? `${count(waiting)} records are not worked off yet` : 'The workers have caught up',
      detail: behind.length === 0 ? '' : `On their way: ${behind.map(({ worker, lag }) => `${worker} ${count(lag)}`).join(', ')}.`,
    });
  if (spool !== null && spool.events > 0)
    found.push({
      kind: 'bad',
      title: `${count(spool.events)} callbacks wait in the spool`,
      detail: 'Kafka was, or is, away. They are safe, and counted once it has them.',
    });
  if (spool !== null && spool.failures + spool.quarantined > 0)
    found.push({
      kind: 'bad',
      title: 'The disk of the spool has made trouble',
      detail: `${count(spool.failures)} appends refused, ${count(spool.quarantined)} records damaged, since the process began.`,
    });
  for (const sweep of sweeps) {
    if (sweep.stopped)
      found.push({
        kind: 'bad',
        title: `The vendor refuses to be asked by ${named(sweep)}`,
        detail: 'Its credentials or its setting in the console must be put in order: callstream doctor says which.',
      });
    if (sweep.lost_ms > 0)
      found.push({
        kind: 'warn',
        title: `${named(sweep)} was not swept for ${span(sweep.lost_ms)}`,
        detail: 'The vendor had forgotten that time before it could be asked again.',
      });
    if (sweep.swept_to !== null && health.as_of - sweep.swept_to > 3 * 3_600_000)
      found.push({
        kind: 'warn',
        title: `${named(sweep)} was last swept ${span(health.as_of - sweep.swept_to)} ago`,
        detail: 'What its callbacks have lost since then is not known yet.',
      });
  }
  for (const host of hosts_away)
    found.push({ kind: 'warn', title: `The vendor’s ${host} does not answer`, detail: 'It is asked again by itself.' });
  for (const { source, operation, limit_per_second, per_second } of limits)
    if (per_second !== null && per_second > 0.95 * limit_per_second)
      found.push({
        kind: 'warn',
        title: `${source} is at the vendor’s limit`,
        detail: `${operation}: ${per_second.toFixed(1)} of ${limit_per_second.toFixed(1)} requests a second. What it fetches comes later.`,
      });
  return found;
}
