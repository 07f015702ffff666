/** One request to a vendor's API, read to its end. */
export interface ApiRequest {
  method: string;
  /** Without the query. */
  path: string;
  query: URLSearchParams;
  /** Names in lower case. */
  headers: Readonly<Record<string, string | undefined>>;
  body: Buffer;
  /** When it arrived, epoch ms. */
  now: number;
}

/** How a request went: answered; asked too often; not to be answered as it is; the vendor's own fault. */
export type AnswerKind = 'ok' | 'rate_limited' | 'refused' | 'failed';

export interface ApiAnswer {
  kind: AnswerKind;
  status: number;
  headers?: Readonly<Record<string, string>>;
  /** JSON. */
  body: string;
}

/** One of the vendors' APIs, as far as it is played. */
export interface Api {
  /** The operation asked for, for the books; null: the request is not for this API. */
  operationOf(request: ApiRequest): string | null;
  answer(request: ApiRequest, operation: string): ApiAnswer;
  /** What the API says of a fault of its own. */
  internalError(operation: string): ApiAnswer;
}

export const header = (request: ApiRequest, name: string): string => request.headers[name] ?? '';

/** The body as a JSON object; null when it is none. */
export function objectOf(body: Buffer): Record<string, unknown> | null {
  try {
    const value: unknown = JSON.parse(body.toString('utf8'));
    return typeof value === 'object' && value !== null && !Array.isArray(value) ? (value as Record<string, unknown>) : null;
  } catch {
    return null;
  }
}

/** A field as a whole number >= 0; `absent` where there is none, null for anything else. */
export function countIn(fields: Readonly<Record<string, unknown>>, name: string, absent: number): number | null {
  const value = fields[name];
  if (value === undefined) return absent;
  return Number.isSafeInteger(value) && (value as number) >= 0 ? (value as number) : null;
}
