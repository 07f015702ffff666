/** Least and greatest of what is known; null: nothing is. */
export function least(values: readonly (number | null)[]): number | null {
  const known = values.filter((v) => v !== null);
  return known.length === 0 ? null : Math.min(...known);
}

export function greatest(values: readonly (number | null)[]): number | null {
  const known = values.filter((v) => v !== null);
  return known.length === 0 ? null : Math.max(...known);
}

/** Strings sort by UTF-16 code unit. */
export const order = (a: string, b: string): number => (a < b ? -1 : a > b ? 1 : 0);
/** The smaller of those that are not empty. */
export const smaller = (a: string, b: string): string => (a === '' ? b : b === '' || a < b ? a : b);
