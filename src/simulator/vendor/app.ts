/** Apps as their vendors know them: from the configuration, so that both sides hold the same keys. */

/** TRTC Call REST API (vendors.md §4). */
export interface RecordsApi {
  /** Base URL. Only one that {@link servedOrigin} accepts is served. */
  endpoint: string;
  generation: 'v1' | 'v4';
  /** The app's administrator. */
  identifier: string;
  secretKey: string;
}

/** Tencent Cloud API: DescribeRoomInfo and DescribeUserEvent (vendors.md §1). */
export interface CloudApi {
  endpoint: string;
  secretId: string;
  secretKey: string;
}

/** Alibaba Cloud API: ListEventSubEvent (vendors.md §7). */
export interface EventLogApi {
  endpoint: string;
  subscribeIds: readonly string[];
  accessKeyId: string;
  accessKeySecret: string;
}

/** An app of Tencent's. What is absent is not played. */
export interface CallApp {
  app_id: string;
  /** Path secret of its callback URLs. */
  secret?: string;
  /** Recordings are made, and their callbacks signed with it. */
  tiwCallbackKey?: string;
  records?: RecordsApi;
  cloudApi?: CloudApi;
}

/** An app of Alibaba Cloud's. */
export interface ChannelApp {
  app_id: string;
  secret?: string;
  api?: EventLogApi;
}

/** Origin of an endpoint that can be played on this machine: plain HTTP on a loopback address, at its root; null for any other. */
export function servedOrigin(endpoint: string): string | null {
  if (!URL.canParse(endpoint)) return null;
  const url = new URL(endpoint);
  const loopback = /^(?:localhost|127(?:\.\d{1,3}){3}|\[::1\])$/.test(url.hostname);
  return url.protocol === 'http:' && loopback && url.pathname === '/' ? url.origin : null;
}

export const isServed = (api: { endpoint: string } | undefined): boolean => api !== undefined && servedOrigin(api.endpoint) !== null;
