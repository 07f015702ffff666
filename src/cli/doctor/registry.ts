import { subjectOf, TOPICS } from '../../codec/topics.js';
import type { Config } from '../../config/index.js';
import { openRegistry } from '../parts.js';
import { attempt, type Finding, ok, problem } from './finding.js';

const WANTED = 'FULL_TRANSITIVE';
const TIMEOUT_MS = 5_000;

/** Reachable, every schema there, and only compatible changes allowed. */
export async function checkRegistry(config: Config): Promise<Finding[]> {
  const { url } = config.registry;
  const reached = await attempt('registry', 'is it up, and are registry.url, username and password right?', async () => {
    const answer = await get(config, '/subjects');
    if (!answer.ok) throw new Error(`${url} answers ${answer.status}`);
    return [ok('registry', url)];
  });
  if (reached.some((f) => f.level === 'problem')) return reached;
  return [...reached, ...(await attempt('schemas', 'run callstream migrate', () => checkSchemas(config)))];
}

async function checkSchemas(config: Config): Promise<Finding[]> {
  const registry = openRegistry(config);
  const specs = Object.values(TOPICS);
  for (const spec of specs) await registry.idOf(spec);
  const lax: string[] = [];
  for (const spec of specs) {
    const answer = await get(config, `/config/${encodeURIComponent(subjectOf(spec))}`);
    const { compatibilityLevel } = (answer.ok ? await answer.json() : {}) as { compatibilityLevel?: string };
    if (compatibilityLevel !== WANTED) lax.push(`${subjectOf(spec)} is ${compatibilityLevel ?? 'at the registry’s default'}`);
  }
  if (lax.length > 0) return [problem('compatibility', lax.join(', '), `run callstream migrate: it sets ${WANTED}`)];
  return [ok('schemas', `${specs.length} registered, ${WANTED}`)];
}

function get(config: Config, path: string): Promise<Response> {
  const { url, username, password } = config.registry;
  const headers: Record<string, string> =
    username === undefined ? {} : { authorization: `Basic ${Buffer.from(`${username}:${password ?? ''}`).toString('base64')}` };
  return fetch(`${url}${path}`, { headers, signal: AbortSignal.timeout(TIMEOUT_MS) }).catch((error: unknown) => {
    const cause = error instanceof Error && error.cause instanceof Error ? error.cause.message : String(error);
    throw new Error(`${new URL(url).host} does not answer: ${cause}`);
  });
}
