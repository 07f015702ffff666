const UNIT_MS = { ms: 1, s: 1_000, m: 60_000, h: 3_600_000, d: 86_400_000, w: 604_800_000, y: 31_536_000_000 } as const;
type Unit = keyof typeof UNIT_MS;

/** `2m`, `15m`, `12h`, `0s`, `400d`, `5y`, `1h30m`: milliseconds, or null when the text is no duration. A year is 365 days. */
export function parseDuration(text: string): number | null {
  const compact = text.trim();
  if (!/^(\d+(ms|[smhdwy]))+$/.test(compact)) return null;
  let total = 0;
  for (const [, count, unit] of compact.matchAll(/(\d+)(ms|[smhdwy])/g)) total += Number(count) * UNIT_MS[unit as Unit];
  return Number.isSafeInteger(total) ? total : null;
}

/** The shortest way to write a duration: 7200000 -> `2h`. */
export function formatDuration(ms: number): string {
  for (const unit of ['d', 'h', 'm', 's'] as const) {
    if (ms >= UNIT_MS[unit] && ms % UNIT_MS[unit] === 0) return `${ms / UNIT_MS[unit]}${unit}`;
  }
  return ms === 0 ? '0s' : `${ms}ms`;
}
