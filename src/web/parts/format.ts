const formats = new Map<string, Intl.DateTimeFormat>();

function formatter(zone: string, options: Intl.DateTimeFormatOptions): Intl.DateTimeFormat {
  const key = `${zone} ${JSON.stringify(options)}`;
  let format = formats.get(key);
  if (format === undefined) {
    format = new Intl.DateTimeFormat('en-GB', { timeZone: zone, hourCycle: 'h23', ...options });
    formats.set(key, format);
  }
  return format;
}

const HMS = { hour: '2-digit', minute: '2-digit', second: '2-digit' } as const;

export const clockTime = (at: number, zone: string): string => formatter(zone, HMS).format(at);
export const minuteTime = (at: number, zone: string): string => formatter(zone, { hour: '2-digit', minute: '2-digit' }).format(at);
export const dayTime = (at: number, zone: string): string => formatter(zone, { day: 'numeric', month: 'short', ...HMS }).format(at);
export const dayMinute = (at: number, zone: string): string =>
  formatter(zone, { day: 'numeric', month: 'short', hour: '2-digit', minute: '2-digit' }).format(at);
export const exactTime = (at: number, zone: string): string =>
  formatter(zone, { weekday: 'short', day: 'numeric', month: 'short', year: 'numeric', ...HMS, fractionalSecondDigits: 3 }).format(at);
export const sameDay = (a: number, b: number, zone: string): boolean => {
  const day = formatter(zone, { year: 'numeric', month: '2-digit', day: '2-digit' });
  return day.format(a) === day.format(b);
};

const grouped = new Intl.NumberFormat('en', { useGrouping: true });
export const count = (n: number): string => grouped.format(n);

export const percent = (ratio: number): string => `${(ratio * 100).toFixed(1)}%`;

const two = (n: number): string => String(n).padStart(2, '0');

/** `840 ms`, `7.2 s`, `48 s`, `2m 05s`, `1h 04m`, `5d 03h`. */
export function duration(ms: number): string {
  if (ms < 0) return `−${duration(-ms)}`;
  if (ms === 0) return '0 s';
  if (ms < 1000) return `${Math.round(ms)} ms`;
  if (ms < 9950) return `${(ms / 1000).toFixed(1)} s`;
  const seconds = Math.round(ms / 1000);
  if (seconds < 60) return `${seconds} s`;
  if (seconds < 3600) return `${Math.floor(seconds / 60)}m ${two(seconds % 60)}s`;
  const minutes = Math.round(seconds / 60);
  const hours = Math.floor(minutes / 60);
  return hours < 48 ? `${hours}h ${two(minutes % 60)}m` : `${Math.floor(hours / 24)}d ${two(hours % 24)}h`;
}

/** How long ago, or for how long, where nobody counts seconds: `48 s`, `12 min`, `3 h 20 min`, `2 d 4 h`. */
export function span(ms: number): string {
  const seconds = Math.max(0, Math.round(ms / 1000));
  if (seconds < 60) return `${seconds} s`;
  const parts = (large: number, unit: string, small: number, below: string): string =>
    `${large} ${unit}${small > 0 ? ` ${small} ${below}` : ''}`;
  const minutes = Math.floor(seconds / 60);
  if (minutes < 60) return parts(minutes, 'min', 0, '');
  const hours = Math.floor(minutes / 60);
  return hours < 48 ? parts(hours, 'h', minutes % 60, 'min') : parts(Math.floor(hours / 24), 'd', hours % 24, 'h');
}

/** A distance from the start of a call: `+0.0 s`, `+2m 05s`. */
export const offset = (ms: number): string =>
  Math.abs(ms) < 60_000 ? `${ms < 0 ? '−' : '+'}${(Math.abs(ms) / 1000).toFixed(1)} s` : `${ms < 0 ? '' : '+'}${duration(ms)}`;

const DATE = { year: 'numeric', month: '2-digit', day: '2-digit' } as const;

/** `2026-03-04T09:30`, as a `datetime-local` field has it. */
export function wallTime(at: number, zone: string): string {
  const parts = Object.fromEntries(
    formatter(zone, { ...DATE, hour: '2-digit', minute: '2-digit' })
      .formatToParts(at)
      .map(({ type, value }) => [type, value]),
  );
  return `${parts.year!.padStart(4, '0')}-${parts.month}-${parts.day}T${parts.hour}:${parts.minute}`;
}

/** Epoch ms of such a text in the zone; NaN when it is none. Of a time that clocks show twice one of the two; of one that they skip, the moment as far after the change. */
export function wallTimeToEpoch(text: string, zone: string): number {
  const utc = Date.parse(`${text}Z`);
  if (Number.isNaN(utc)) return utc;
  const ahead = (at: number): number => Date.parse(`${wallTime(at, zone)}Z`) - at;
  return utc - ahead(utc - ahead(utc));
}

/** A whole day in the zone, so many days before that of `now`: `[from, to)`, epoch ms. Days in which clocks change are an hour shorter or longer. */
export function wholeDay(now: number, daysAgo: number, zone: string): { from: number; to: number } {
  const [year, month, day] = wallTime(now, zone).split(/[-T]/).map(Number) as [number, number, number];
  const midnight = (of: number): number => wallTimeToEpoch(new Date(Date.UTC(year, month - 1, of)).toISOString().slice(0, 16), zone);
  return { from: midnight(day - daysAgo), to: midnight(day - daysAgo + 1) };
}
