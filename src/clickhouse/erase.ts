import type { ClickHouse } from './client.js';
import { hex, textsOf } from './keys.js';

/** How a column of a key is compared. */
type Kind = 'text' | 'number';

/** A mutation rewrites every part that it touches. */
const TIMEOUT_MS = 3_600_000;
/** Rows that one mutation names. */
const ROWS_PER_MUTATION = 10_000;

/** In the text of the query, as `keysOf` has it: a statement that changes a table takes no parameters in every version. */
const valuesOf = (kind: Kind, values: readonly (string | number)[]): string =>
  kind === 'text' ? textsOf(values.map(String)) : `arrayMap(x -> toInt64(x), splitByChar(',', '${values.map(Number).join(',')}'))`;

/**
 * Deletes rows by values of some columns, and resolves when no query can see them any more, on any replica. Repeating it is harmless.
 * @throws ClickHouseFailure
 */
export async function eraseRows<C extends string>(
  client: ClickHouse,
  table: string,
  columns: Readonly<Record<C, Kind>>,
  rows: readonly Readonly<Record<NoInfer<C>, string | number>>[],
): Promise<void> {
  const names = Object.keys(columns) as C[];
  const compared = names.map((name) => (columns[name] === 'text' ? `toString(${name})` : `toInt64(${name})`));
  for (let i = 0; i < rows.length; i += ROWS_PER_MUTATION) {
    const some = rows.slice(i, i + ROWS_PER_MUTATION);
    const lists = names.map((name) =>
      valuesOf(
        columns[name],
        some.map((row) => row[name]),
      ),
    );
    await client.command(
      `ALTER TABLE ${table} DELETE WHERE (${compared.join(', ')}) IN (SELECT arrayJoin(arrayZip(${lists.join(', ')}))) SETTINGS mutations_sync = 2`,
      {},
      TIMEOUT_MS,
    );
  }
}

/**
 * A condition that is true at least where a text column holds a user's id: as it is, or in JSON with escapes. It may be true elsewhere; whoever reads the row
 * tells. `also`: where it holds this text, too.
 */
export function mayName(column: string, userId: string, also: readonly string[] = []): string {
  const holds = (text: string): string => `position(${column}, unhex('${hex(text)}')) > 0`;
  // biome-ignore lint/suspicious/noControlCharactersInRegex: JSON writes them as escapes.
  const escaped = /["\\/\u0000-\u001f]/.test(userId) ? '\\' : '\\u';
  return `(${[userId, escaped, ...also].map(holds).join(' OR ')})`;
}
