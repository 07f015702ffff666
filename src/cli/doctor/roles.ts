import type { Config } from '../../config/index.js';
import { reachable } from '../parts.js';
import { type Finding, ok, warning } from './finding.js';

const TIMEOUT_MS = 3_000;

/** Whether the roles behind the admin port work: those of `up`, or of one `run`. */
export async function checkRoles({ admin }: Config): Promise<Finding[]> {
  const address = `http://${reachable(admin.host)}:${admin.port}`;
  let answer: { ready?: boolean; problems?: string[] };
  try {
    const response = await fetch(`${address}/readyz`, { signal: AbortSignal.timeout(TIMEOUT_MS) });
    answer = (await response.json()) as typeof answer;
  } catch {
    return [warning('roles', `none answers on ${address}`, 'start them: callstream up, or callstream run ROLE')];
  }
  if (answer.ready === true) return [ok('roles', `ready, says ${address}/readyz`)];
  return [warning('roles', `not ready: ${(answer.problems ?? []).join('; ')}`, 'the logs of the roles have the details')];
}
