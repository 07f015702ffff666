import { InvalidArgumentError } from 'commander';
import { parseDuration } from '../../config/index.js';

/** Readers of option values; what they refuse is a usage error. */
export function duration(text: string): number {
  const ms = parseDuration(text);
  if (ms === null) throw new InvalidArgumentError('Write a duration such as 30s, 10m, 24h or 7d.');
  return ms;
}

export function count(text: string): number {
  if (!/^[1-9]\d{0,9}$/.test(text)) throw new InvalidArgumentError('Write a whole number above 0.');
  return Number(text);
}

export function positive(text: string): number {
  const value = Number(text);
  if (!/^\d+(\.\d+)?$/.test(text) || value <= 0) throw new InvalidArgumentError('Write a number above 0.');
  return value;
}

/** `2026-01-31`, `2026-01-31T08:00`, `2026-01-31T08:00:00Z` or epoch milliseconds; times without a zone are UTC. */
export function time(text: string): number {
  if (/^\d{12,13}$/.test(text)) return Number(text);
  const iso = /^(\d{4}-\d{2}-\d{2})(?:[T ](\d{2}:\d{2}(?::\d{2}(?:\.\d{1,3})?)?)(Z|[+-]\d{2}:\d{2})?)?$/.exec(text);
  const ms = iso === null ? Number.NaN : Date.parse(`${iso[1]}T${iso[2] ?? '00:00'}${iso[3] ?? 'Z'}`);
  if (Number.isNaN(ms)) throw new InvalidArgumentError('Write a UTC time such as 2026-01-31T08:00 or 2026-01-31.');
  return ms;
}
