import type { Outcome } from './types.js';
import { OUTCOMES } from './words.js';

export const WINDOWS = ['15m', '1h', '6h', '24h'] as const;
export type Window = (typeof WINDOWS)[number];
export const WINDOW_MS: Record<Window, number> = { '15m': 900_000, '1h': 3_600_000, '6h': 21_600_000, '24h': 86_400_000 };

/** Everything a link to this page must bring back. Empty strings are "all". */
export interface State {
  window: Window;
  app: string;
  outcome: Outcome | '';
  q: string;
  tz: string;
}

export const browserZone = (): string => new Intl.DateTimeFormat().resolvedOptions().timeZone || 'UTC';

function zoneOr(zone: string | null, fallback: string): string {
  if (!zone) return fallback;
  try {
    new Intl.DateTimeFormat('en', { timeZone: zone });
    return zone;
  } catch {
    return fallback;
  }
}

const oneOf = <T extends string>(values: readonly T[], value: string | null): T | undefined => values.find((known) => known === value);

export function readState(search: string): State {
  const params = new URLSearchParams(search);
  return {
    window: oneOf(WINDOWS, params.get('window')) ?? '1h',
    app: params.get('app') ?? '',
    outcome: oneOf(OUTCOMES, params.get('outcome')) ?? '',
    q: params.get('q') ?? '',
    tz: zoneOr(params.get('tz'), browserZone()),
  };
}

/** The address's query for a state: what is as by default is left out. */
export function writeState(state: State): URLSearchParams {
  const params = new URLSearchParams();
  if (state.window !== '1h') params.set('window', state.window);
  if (state.app !== '') params.set('app', state.app);
  if (state.outcome !== '') params.set('outcome', state.outcome);
  if (state.q !== '') params.set('q', state.q);
  if (state.tz !== browserZone()) params.set('tz', state.tz);
  return params;
}
