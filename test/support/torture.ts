import { appendFileSync } from 'node:fs';

/*
 * Tests of faults run short with the suite and long under `npm run torture`, which sets these variables:
 * CALLSTREAM_TORTURE=1, CALLSTREAM_TORTURE_SEED, and CALLSTREAM_TORTURE_REPORT, the file for what was counted.
 */
const LONG = process.env.CALLSTREAM_TORTURE === '1';

/** Every random choice of a fault test follows from it; the same seed makes the same choices. */
export const SEED = Number(process.env.CALLSTREAM_TORTURE_SEED ?? 1);

/** How much of a thing: in the suite, and under torture. */
export function sized<T>(short: T, long: T): T {
  return LONG ? long : short;
}

/** Tells how far a long scenario has come; `npm run torture` shows it. Nothing in the suite. */
export function progress(text: string): void {
  if (LONG) console.log(`· ${text}`);
}

/** What one scenario did, and what the comparison at its end counted. */
export interface Figures {
  scenario: string;
  /** Faults that were injected, by kind where there are several: each killed point, for example. */
  faults: number | Record<string, number>;
  /** Inputs that went through: callbacks, elements of batches and pages, or records of an input topic. */
  events: number;
  /** Acknowledged and not there. */
  lost: number;
  /** There twice. */
  doubled: number;
  /** Calls, legs, rollup cells or other rows that are not what the oracle says. */
  differing: number;
  /** What else was measured, with its units. */
  note?: string;
}

/** What a verification counted, by kind of difference, as the report has it. */
export function countsOf(differences: Readonly<Record<string, number>>): Pick<Figures, 'lost' | 'doubled' | 'differing'> {
  const counts = { lost: 0, doubled: 0, differing: 0 };
  for (const [kind, n] of Object.entries(differences)) {
    if (/^(?:lost|missing|unpublished|stale|waited)\b|gap$/.test(kind)) counts.lost += n;
    else if (/^(?:double|invented)\b/.test(kind)) counts.doubled += n;
    else counts.differing += n;
  }
  return counts;
}

/** The same from what `callstream simulate --verify` prints, with the number of deliveries it compared; one that printed no result counts as a difference. */
export function verifiedFigures(text: string): Pick<Figures, 'events' | 'lost' | 'doubled' | 'differing'> {
  const events = Number((/deliveries: received ([\d,]+)/.exec(text)?.[1] ?? '0').replaceAll(',', ''));
  const [, total, listed = ''] = /\n([\d,]+) differences\n?([\s\S]*)$/.exec(text) ?? [];
  if (total === undefined) return { events, lost: 0, doubled: 0, differing: 1 };
  const kinds: Record<string, number> = {};
  const inAll = /… in all: (.*)/.exec(listed)?.[1];
  if (inAll !== undefined)
    for (const [, kind, n] of inAll.matchAll(/([a-z ]+?) ([\d,]+)(?:, |$)/g)) kinds[kind as string] = Number(n?.replaceAll(',', ''));
  else for (const [, kind] of listed.matchAll(/^ {2}([a-z ]+): /gm)) kinds[kind as string] = (kinds[kind as string] ?? 0) + 1;
  return { events, ...countsOf(kinds) };
}

/** Adds a line to the report of `npm run torture`; call it before the assertions on the same figures. */
export function report(figures: Figures): void {
  const file = process.env.CALLSTREAM_TORTURE_REPORT;
  if (file !== undefined) appendFileSync(file, `${JSON.stringify(figures)}\n`);
}
