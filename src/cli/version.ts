import { readFileSync } from 'node:fs';

/** Of this program, as package.json has it. */
export const version = (): string => {
  const { version } = JSON.parse(readFileSync(new URL('../../package.json', import.meta.url), 'utf8')) as { version: string };
  return version;
};
