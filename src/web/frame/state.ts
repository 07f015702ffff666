export const WINDOWS = ['15m', '1h', '6h', '24h', '7d', '30d'] as const;
export type Window = (typeof WINDOWS)[number];
const MINUTE = 60_000;
export const WINDOW_MS: Record<Window, number> = {
  '15m': 15 * MINUTE,
  '1h': 60 * MINUTE,
  '6h': 360 * MINUTE,
  '24h': 1_440 * MINUTE,
  '7d': 10_080 * MINUTE,
  '30d': 43_200 * MINUTE,
};

/** One that ends now, or one between two moments, epoch ms, `[from, to)`. */
export type Period = { readonly window: Window } | { readonly from: number; readonly to: number };

/** Everything a link to a page must bring back. Empty strings are "all". */
export interface State {
  /** null: as the page has it when nobody has chosen. */
  readonly period: Period | null;
  readonly app: string;
  readonly tz: string;
  /** What only this page understands, by name; none is empty. */
  readonly own: Readonly<Record<string, string>>;
}

/** Found once: every link asks for it. */
const BROWSER_ZONE = new Intl.DateTimeFormat().resolvedOptions().timeZone || 'UTC';

export const browserZone = (): string => BROWSER_ZONE;

function zoneOr(zone: string | null, fallback: string): string {
  if (!zone) return fallback;
  try {
    new Intl.DateTimeFormat('en', { timeZone: zone });
    return zone;
  } catch {
    return fallback;
  }
}

/** The one of the values that this is, if any. */
export const oneOf = <T extends string>(values: readonly T[], value: string | null | undefined): T | undefined =>
  values.find((known) => known === value);

function readPeriod(params: URLSearchParams): Period | null {
  const window = oneOf(WINDOWS, params.get('window'));
  if (window !== undefined) return { window };
  const [from, to] = ['from', 'to'].map((name) => Date.parse(params.get(name) ?? '')) as [number, number];
  return from < to ? { from, to } : null;
}

/** @param own names of the parameters of the page at this address */
export function readState(search: string, own: readonly string[]): State {
  const params = new URLSearchParams(search);
  return {
    period: readPeriod(params),
    app: params.get('app') ?? '',
    tz: zoneOr(params.get('tz'), browserZone()),
    own: Object.fromEntries(own.flatMap((name) => (params.get(name) ? [[name, params.get(name)!]] : []))),
  };
}

/** The address's query for a state: what is as by default is left out. */
export function writeState({ period, app, tz, own }: State): URLSearchParams {
  const params = new URLSearchParams(periodText(period));
  if (app !== '') params.set('app', app);
  for (const [name, value] of Object.entries(own)) if (value !== '') params.set(name, value);
  if (tz !== browserZone()) params.set('tz', tz);
  return params;
}

function periodText(period: Period | null): Record<string, string> {
  if (period === null) return {};
  if ('window' in period) return { window: period.window };
  return { from: new Date(period.from).toISOString(), to: new Date(period.to).toISOString() };
}

/** A window that is longer than the longest one is that; a period between two moments stays as it is. */
export const atMost = (period: Period | null, longest: Window): Period | null =>
  period !== null && 'window' in period && WINDOW_MS[period.window] > WINDOW_MS[longest] ? { window: longest } : period;

/** The parameters of the query API for a period. */
export const periodParams = (period: Period | null, fallback: Window): Record<string, string> => periodText(period ?? { window: fallback });

/** Whether a moment, epoch ms, lies in the period. @param now where a window ends; what is later belongs to it too, for it moves on */
export const periodWithin =
  (period: Period | null, fallback: Window, now: number) =>
  (at: number): boolean => {
    const shown = period ?? { window: fallback };
    return 'window' in shown ? at >= now - WINDOW_MS[shown.window] : at >= shown.from && at < shown.to;
  };

/** The same period by name, whichever object says it. */
export const samePeriod = (a: Period | null, b: Period | null): boolean => JSON.stringify(periodText(a)) === JSON.stringify(periodText(b));
