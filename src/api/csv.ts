import type { Columns, RowOf } from '../clickhouse/relations.js';

/** A field of RFC 4180. */
const quoted = (text: string): string => (/[",\r\n]/.test(text) ? `"${text.replaceAll('"', '""')}"` : text);

/**
 * Text of a user, which a spreadsheet would take for a formula where it begins like one: an apostrophe before it makes it text there. Ids are chosen by whoever
 * uses the app, so this is the difference between a table and a program of theirs.
 */
const harmless = (text: string): string => (/^[=+\-@\t\r]/.test(text) ? `'${text}` : text);

function field(value: unknown): string {
  if (value === null || value === undefined) return '';
  if (typeof value === 'string') return quoted(harmless(value));
  return typeof value === 'object' ? quoted(JSON.stringify(value)) : String(value);
}

export const csvHead = (columns: Columns): string => `${Object.keys(columns).join(',')}\r\n`;

/** One record of RFC 4180: unknown is empty, lists are JSON, times are ISO 8601 in UTC. */
export const csvLine = <C extends Columns>(columns: C, row: RowOf<C>): string =>
  `${Object.entries(columns)
    .map(([name, kind]) => {
      const value = (row as Record<string, unknown>)[name];
      return field(kind.startsWith('time') && typeof value === 'number' ? new Date(value).toISOString() : value);
    })
    .join(',')}\r\n`;
