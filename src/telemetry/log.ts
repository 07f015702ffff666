import { type Logger, pino } from 'pino';

export type { Logger };

/** Paths whose values never reach a log line. */
const SECRET_PATHS = [
  'password',
  'secret',
  'secretKey',
  'callbackSecret',
  'accessKeySecret',
  'tiwCallbackKey',
  'secretId',
  'accessKeyId',
  'tokenHash',
  'authorization',
  'token',
  'key',
  'usersig',
];

/** Structured JSON logs on standard error; `level` as pino names them. */
export function createLogger(options: { level?: string; name?: string } = {}): Logger {
  return pino(
    {
      name: options.name ?? 'callstream',
      level: options.level ?? process.env.CALLSTREAM_LOG_LEVEL ?? 'info',
      redact: { paths: SECRET_PATHS.flatMap((p) => [p, `*.${p}`, `*.*.${p}`]), censor: '[secret]' },
      base: { pid: process.pid },
    },
    pino.destination({ dest: 2, sync: true }),
  );
}

/** Swallows everything: for tests. */
export const silentLogger = (): Logger => pino({ level: 'silent' });
