/** Error codes of Tencent Cloud API 3.0 (vendors.md §1.3) and of the TRTC monitoring APIs (S0 §6, vendors.md §1.4): `Family` or `Family.Detail`. */
import type { ErrorRule } from './poll-failure.js';

const RETRY: ErrorRule = ['retry', 'an internal error of the vendor'];
const OTHER: ErrorRule = ['retry', 'an error that is not in the vendor’s table'];
const KEYS: ErrorRule = ['stop', 'the keys are refused: check secretId and secretKey under cloudApi'];
const PERMISSION: ErrorRule = [
  'stop',
  'the keys may not do this: grant them the TRTC monitoring APIs, and check that the dashboard plan includes them',
];
const NO_SUCH_API: ErrorRule = ['stop', 'the vendor does not offer this API there: check endpoint and region under cloudApi'];
const QUESTION: ErrorRule = ['refused', 'the vendor does not take this question'];
const TOO_OFTEN: ErrorRule = ['slow_down', 'the vendor asks for fewer requests'];

/** Looked up by the whole code first, then by its family. */
const RULES: ReadonlyMap<string, ErrorRule> = new Map([
  ['AuthFailure', KEYS],
  ['AuthFailure.SignatureExpire', ['retry', 'the signature has expired: this machine’s clock is off by more than five minutes']],
  ['AuthFailure.UnauthorizedOperation', PERMISSION],
  ['UnauthorizedOperation', PERMISSION],
  ['InvalidParameter.SdkAppid', ['stop', 'the keys’ account has no such app: check app id, and secretId under cloudApi']],
  ['InvalidParameter.SdkAppId', ['stop', 'the keys’ account has no such app: check app id, and secretId under cloudApi']],
  ['InvalidParameter.StartTsOversize', ['refused', 'the call is older than the vendor’s 14 days']],
  ['InvalidParameter.StartTimeOversize', ['refused', 'the call is older than the vendor’s 14 days']],
  ['InvalidParameter', QUESTION],
  ['InvalidParameterValue', QUESTION],
  ['MissingParameter', QUESTION],
  ['UnknownParameter', QUESTION],
  ['ResourceNotFound', QUESTION],
  ['RequestLimitExceeded', TOO_OFTEN],
  ['LimitExceeded', TOO_OFTEN],
  ['InvalidAction', NO_SUCH_API],
  ['NoSuchVersion', NO_SUCH_API],
  ['UnsupportedRegion', NO_SUCH_API],
  ['UnsupportedProtocol', NO_SUCH_API],
  ['UnsupportedOperation', NO_SUCH_API],
  ['InternalError', RETRY],
  ['FailedOperation', RETRY],
  ['ResourceInUse', RETRY],
  ['ResourceInsufficient', RETRY],
  ['ResourceUnavailable', RETRY],
] as const satisfies readonly (readonly [string, ErrorRule])[]);

export const errorRule = (code: string): ErrorRule => RULES.get(code) ?? RULES.get(code.split('.', 1)[0] ?? '') ?? OTHER;
