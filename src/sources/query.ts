/** The first value of a query parameter, its name compared without case (the vendors' generations spell them differently); null when absent. */
export function queryParameter(query: string, name: string): string | null {
  for (let start = 0; start <= query.length; ) {
    const next = query.indexOf('&', start);
    const end = next < 0 ? query.length : next;
    const nameEnd = start + name.length;
    if ((nameEnd === end || (nameEnd < end && query[nameEnd] === '=')) && query.slice(start, nameEnd).toLowerCase() === name)
      return decode(query.slice(nameEnd + 1, end));
    start = end + 1;
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
