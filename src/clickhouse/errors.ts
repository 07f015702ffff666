import { CallstreamError } from '../domain/errors.js';

/**
 * What to do about a failure of ClickHouse. `retriable`: the environment; wait and try again. `permanent`: it will fail again until someone changes
 * the configuration, the schema or the code. `unknown`: not in the table; treated as permanent, so that nothing unforeseen is retried for ever in silence.
 */
export type FailureKind = 'retriable' | 'permanent' | 'unknown';

/** Codes of the server, by number: names may change, numbers do not. Never judged by message text. */
export const SERVER_CODES: Readonly<Record<number, readonly [name: string, kind: Exclude<FailureKind, 'unknown'>]>> = {
  3: ['UNEXPECTED_END_OF_FILE', 'retriable'],
  23: ['CANNOT_READ_FROM_ISTREAM', 'retriable'],
  24: ['CANNOT_WRITE_TO_OSTREAM', 'retriable'],
  74: ['CANNOT_READ_FROM_FILE_DESCRIPTOR', 'retriable'],
  75: ['CANNOT_WRITE_TO_FILE_DESCRIPTOR', 'retriable'],
  159: ['TIMEOUT_EXCEEDED', 'retriable'],
  164: ['READONLY', 'permanent'],
  198: ['DNS_ERROR', 'retriable'],
  202: ['TOO_MANY_SIMULTANEOUS_QUERIES', 'retriable'],
  203: ['NO_FREE_CONNECTION', 'retriable'],
  209: ['SOCKET_TIMEOUT', 'retriable'],
  210: ['NETWORK_ERROR', 'retriable'],
  225: ['NO_ZOOKEEPER', 'retriable'],
  236: ['ABORTED', 'retriable'],
  241: ['MEMORY_LIMIT_EXCEEDED', 'retriable'],
  242: ['TABLE_IS_READ_ONLY', 'retriable'],
  243: ['NOT_ENOUGH_SPACE', 'retriable'],
  252: ['TOO_MANY_PARTS', 'retriable'],
  254: ['NO_ACTIVE_REPLICAS', 'retriable'],
  279: ['ALL_CONNECTION_TRIES_FAILED', 'retriable'],
  285: ['TOO_FEW_LIVE_REPLICAS', 'retriable'],
  286: ['UNSATISFIED_QUORUM_FOR_PREVIOUS_WRITE', 'retriable'],
  319: ['UNKNOWN_STATUS_OF_INSERT', 'retriable'],
  394: ['QUERY_WAS_CANCELLED', 'retriable'],
  425: ['SYSTEM_ERROR', 'retriable'],
  439: ['CANNOT_SCHEDULE_TASK', 'retriable'],
  473: ['DEADLOCK_AVOIDED', 'retriable'],
  499: ['S3_ERROR', 'retriable'],
  571: ['DATABASE_REPLICATION_FAILED', 'retriable'],
  574: ['DISTRIBUTED_TOO_MANY_PENDING_BYTES', 'retriable'],
  733: ['TABLE_IS_BEING_RESTARTED', 'retriable'],
  999: ['KEEPER_EXCEPTION', 'retriable'],
  6: ['CANNOT_PARSE_TEXT', 'permanent'],
  16: ['NO_SUCH_COLUMN_IN_TABLE', 'permanent'],
  20: ['NUMBER_OF_COLUMNS_DOESNT_MATCH', 'permanent'],
  26: ['CANNOT_PARSE_QUOTED_STRING', 'permanent'],
  27: ['CANNOT_PARSE_INPUT_ASSERTION_FAILED', 'permanent'],
  32: ['ATTEMPT_TO_READ_AFTER_EOF', 'permanent'],
  33: ['CANNOT_READ_ALL_DATA', 'permanent'],
  36: ['BAD_ARGUMENTS', 'permanent'],
  38: ['CANNOT_PARSE_DATE', 'permanent'],
  41: ['CANNOT_PARSE_DATETIME', 'permanent'],
  43: ['ILLEGAL_TYPE_OF_ARGUMENT', 'permanent'],
  44: ['ILLEGAL_COLUMN', 'permanent'],
  46: ['UNKNOWN_FUNCTION', 'permanent'],
  47: ['UNKNOWN_IDENTIFIER', 'permanent'],
  49: ['LOGICAL_ERROR', 'permanent'],
  50: ['UNKNOWN_TYPE', 'permanent'],
  53: ['TYPE_MISMATCH', 'permanent'],
  57: ['TABLE_ALREADY_EXISTS', 'permanent'],
  60: ['UNKNOWN_TABLE', 'permanent'],
  62: ['SYNTAX_ERROR', 'permanent'],
  69: ['ARGUMENT_OUT_OF_BOUND', 'permanent'],
  70: ['CANNOT_CONVERT_TYPE', 'permanent'],
  73: ['UNKNOWN_FORMAT', 'permanent'],
  81: ['UNKNOWN_DATABASE', 'permanent'],
  115: ['UNKNOWN_SETTING', 'permanent'],
  117: ['INCORRECT_DATA', 'permanent'],
  131: ['TOO_LARGE_STRING_SIZE', 'permanent'],
  192: ['UNKNOWN_USER', 'permanent'],
  193: ['WRONG_PASSWORD', 'permanent'],
  194: ['REQUIRED_PASSWORD', 'permanent'],
  195: ['IP_ADDRESS_NOT_ALLOWED', 'permanent'],
  349: ['CANNOT_INSERT_NULL_IN_ORDINARY_COLUMN', 'permanent'],
  497: ['ACCESS_DENIED', 'permanent'],
  516: ['AUTHENTICATION_FAILED', 'permanent'],
};

/** Errors of the socket, as Node names them. All are the environment's. */
export const SOCKET_CODES: ReadonlySet<string> = new Set([
  'ECONNREFUSED',
  'ECONNRESET',
  'ECONNABORTED',
  'EPIPE',
  'ETIMEDOUT',
  'EHOSTUNREACH',
  'EHOSTDOWN',
  'ENETUNREACH',
  'ENETDOWN',
  'ENOTFOUND',
  'EAI_AGAIN',
  'ERR_STREAM_PREMATURE_CLOSE',
  'ERR_SOCKET_CONNECTION_TIMEOUT',
]);

export const TOO_MANY_PARTS = 252;

/**
 * A failure of ClickHouse. Codes: `CLICKHOUSE_UNAVAILABLE` (retriable), `CLICKHOUSE_REFUSED` (permanent), `CLICKHOUSE_UNKNOWN` (not classified).
 * `server` is the server's numeric code, or null when the failure is not the server's answer.
 */
export class ClickHouseFailure extends CallstreamError {
  readonly kind: FailureKind;
  readonly server: number | null;

  constructor(kind: FailureKind, server: number | null, doing: string, cause: unknown) {
    const code = { retriable: 'CLICKHOUSE_UNAVAILABLE', permanent: 'CLICKHOUSE_REFUSED', unknown: 'CLICKHOUSE_UNKNOWN' }[kind];
    const text = cause instanceof Error ? cause.message.split('\n', 1)[0]?.slice(0, 400) : String(cause);
    super(code, `ClickHouse: ${doing}: ${text}${server === null ? '' : ` (code ${server})`}`, { cause });
    this.name = 'ClickHouseFailure';
    this.kind = kind;
    this.server = server;
  }
}
