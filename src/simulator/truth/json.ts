/** A JSON number with the digits as they were sent: 2^53 + 1 and more survive. */
export class NumberText {
  constructor(readonly digits: string) {}
}

const TOKEN = /"(?:[^"\\]|\\.)*"|-?\d+(?:\.\d+)?(?:[eE][-+]?\d+)?/g;
const WRAPPER = '\u0000number';

/** Parses JSON, every number as a {@link NumberText}. @throws SyntaxError as JSON.parse does */
export function parseKeepingNumbers(text: string): unknown {
  // Validity first: only in a valid text is every match of TOKEN a string or a number.
  JSON.parse(text);
  const wrapped = text.replace(TOKEN, (token) => (token.startsWith('"') ? token : `{${JSON.stringify(WRAPPER)}:"${token}"}`));
  return JSON.parse(wrapped, (_key, value) => {
    if (typeof value !== 'object' || value === null || !(WRAPPER in value)) return value;
    return new NumberText(String((value as Record<string, unknown>)[WRAPPER]));
  });
}
