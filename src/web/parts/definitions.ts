import { get } from '../frame/client.js';
import type { Definition } from './types.js';

let reading: Promise<Record<string, Definition>> | null = null;

/** What the numbers mean, as the API says it; read once. @throws Failure */
export async function definitions(): Promise<Record<string, Definition>> {
  reading ??= get<{ measures: Record<string, Definition> }>('/api/v1/definitions').then(({ measures }) => measures);
  try {
    return await reading;
  } catch (error) {
    reading = null;
    throw error;
  }
}
