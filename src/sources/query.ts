/** The first value of a query parameter, its name compared without case (the vendors' generations spell them differently); null when absent. */
export function queryParameter(query: string, name: string): string | null {
  for (const pair of query.split('&')) {
    const equals = pair.indexOf('=');
    const raw = equals < 0 ? pair : pair.slice(0, equals);
    if (raw.length === name.length && raw.toLowerCase() === name) return equals < 0 ? '' : decode(pair.slice(equals + 1));
  }
  return null;
}

function decode(value: string): string {
  if (!value.includes('%') && !value.includes('+')) return value;
  try {
    return decodeURIComponent(value.replaceAll('+', ' '));
  } catch {
    return value;
  }
}
