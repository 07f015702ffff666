/** A JSON number with the digits as they were sent: 2^53 + 1 and more survive. */
export class NumberText {
  constructor(readonly digits: string) {}
}

const STRING = /"(?:[^"\\]|\\.)*"/g;
const TOKEN = new RegExp(`${STRING.source}|-?\\d+(?:\\.\\d+)?(?:[eE][-+]?\\d+)?`, 'g');
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

/** How many brackets are open at once, at most, in a valid JSON text. */
export function depthOf(text: string): number {
  let open = 0;
  let most = 0;
  for (const bracket of text.replace(STRING, '').replace(/[^[\]{}]/g, '')) {
    open += bracket === '[' || bracket === '{' ? 1 : -1;
    most = Math.max(most, open);
  }
  return most;
}

/** A number as the quotient of an integer and a power of ten: `12.50` is 125 / 10^1, `1e3` is 1 / 10^-3. */
export interface Quotient {
  negative: boolean;
  integer: bigint;
  places: number;
}

const LONGEST = 400;

/** A JSON number, or a string of decimal digits, taken exactly; null when it takes more than 400 digits to write it out. */
export function quotientOf(text: string): Quotient | null {
  const negative = text.startsWith('-');
  const [mantissa = '', exponent = '0'] = text.slice(negative ? 1 : 0).split(/[eE]/);
  const [whole = '', fraction = ''] = mantissa.split('.');
  let digits = whole + fraction;
  let places = fraction.length - Number(exponent);
  while (digits.startsWith('0')) digits = digits.slice(1);
  if (digits === '') return { negative: false, integer: 0n, places: 0 };
  while (digits.endsWith('0')) {
    digits = digits.slice(0, -1);
    places--;
  }
  const integerDigits = Math.max(1, digits.length - places);
  const fractionDigits = Math.max(0, places);
  if (integerDigits + fractionDigits > LONGEST) return null;
  return { negative, integer: BigInt(digits), places };
}

/** Times ten to the `power`, cut to an integer towards zero; the sign is left aside. */
export function scaled({ integer, places }: Quotient, power: number): bigint {
  return places <= power ? integer * 10n ** BigInt(power - places) : integer / 10n ** BigInt(places - power);
}

/** Every digit of a number, as people write it: no exponent, no zeros at the end of a fraction. */
export function written(number: Quotient): string {
  const sign = number.negative ? '-' : '';
  const whole = scaled(number, 0);
  if (number.places <= 0) return `${sign}${whole}`;
  const rest = number.integer - whole * 10n ** BigInt(number.places);
  return `${sign}${whole}.${rest.toString().padStart(number.places, '0')}`;
}
