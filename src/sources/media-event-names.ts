/**
 * Names of DescribeUserEvent's event ids, and of what their ParamOne says (trtc.io/document/37906; vendors.md §2). Native clients report ids below 32768, WebRTC
 * ones those from there on, without parameters. The vendor's tables of abnormal events use ids from 1001 with other meanings: they are not these.
 */

/** Position: value of ParamOne. Elsewhere, ParamOne by its value. */
type Parameters = readonly string[] | Readonly<Record<number, string>>;

const FAIL_OK = ['failed', 'ok'] as const;
const OFF_ON = ['off', 'on'] as const;
const ON_OFF = ['on', 'off'] as const;
const SOFT_HARD = ['software', 'hardware'] as const;
const CAMERA = ['front', 'rear'] as const;
const NETWORK_CONTROL = { 1: 'local_smooth', 2: 'local_clear', 101: 'cloud_smooth', 102: 'cloud_clear' } as const;

const TABLE: readonly (readonly [id: number, name: string, parameters?: Parameters])[] = [
  [1001, 'wired_earphone', ['unplugged', 'plugged']],
  [1002, 'bluetooth_earphone', ['disconnected', 'connected']],
  [1003, 'network', ['none', 'wifi', '4g', '3g', '2g', 'wired']],
  [2001, 'app', ['foreground', 'background']],
  [2002, 'permission_missing', { 1: 'network', 2: 'read_file', 3: 'write_file', 4: 'record_audio', 5: 'camera' }],
  [3001, 'microphone', ['capture_started', 'muted', 'capture_disabled', 'unmuted']],
  [3002, 'playback_mute', OFF_ON],
  [3003, 'audio_codec', { 10: 'aac', 11: 'opus' }],
  [3004, 'audio_route', ['speaker', 'receiver']],
  [4001, 'camera_enabled', CAMERA],
  [4002, 'camera_failed', CAMERA],
  [4003, 'video_resolution_changed'],
  [4004, 'video_encoder', SOFT_HARD],
  [4005, 'video_decoder', SOFT_HARD],
  [4006, 'upstream_video', ON_OFF],
  [4007, 'resolution_set'],
  [4008, 'frame_rate_set'],
  [4009, 'bitrate_set'],
  [4010, 'reference_picture_selection', { 1: 'off' }],
  [4011, 'hardware_decoder_failed'],
  [4012, 'decoder_switched_to_software'],
  [4013, 'frames_failed_to_decode'],
  [4014, 'remote_image', ON_OFF],
  [4015, 'main_stream', ['unsubscribed', 'subscribed']],
  [5001, 'room_entering'],
  [5002, 'server_address', FAIL_OK],
  [5003, 'room_entered', FAIL_OK],
  [5004, 'video_sending'],
  [5005, 'server_connection_timeout'],
  [5006, 'first_video_packet'],
  [5007, 'first_frame_played'],
  [5008, 'room_exited', FAIL_OK],
  [5009, 'first_audio_frame_sent'],
  [6001, 'quality_control', NETWORK_CONTROL],
  [7000, 'room_entry', ['normal', 'again']],
  [7001, 'room_exit', ['normal', 'timeout', 'removed']],
  [32768, 'web_video_enabled'],
  [32769, 'web_audio_enabled'],
  [32770, 'web_video_disabled'],
  [32771, 'web_audio_disabled'],
  [32772, 'web_audio_muted'],
  [32773, 'web_video_muted'],
  [32774, 'web_audio_unmuted'],
  [32775, 'web_video_unmuted'],
  [32776, 'web_video_subscribed'],
  [32777, 'web_audio_subscribed'],
  [32778, 'web_video_unsubscribed'],
  [32779, 'web_audio_unsubscribed'],
  [32780, 'web_camera_switched'],
  [32781, 'web_microphone_switched'],
  [32782, 'web_video_updated'],
  [32783, 'web_audio_updated'],
  [32784, 'web_remote_video_disabled'],
  [32785, 'web_remote_audio_disabled'],
  [32786, 'web_remote_video_enabled'],
  [32787, 'web_remote_audio_enabled'],
  [32788, 'web_room_entered'],
  [32789, 'web_room_exited'],
  [32790, 'web_signaling_lost'],
  [32791, 'web_signaling_connected'],
  [32792, 'web_media_lost'],
  [32793, 'web_media_connected'],
  [36864, 'backend_signaling_lost'],
];

const BY_ID = new Map(TABLE.map(([id, name, parameters]) => [id, { name, parameters }]));

/** Every id that has a name. */
export const MEDIA_EVENT_IDS: readonly number[] = TABLE.map(([id]) => id);

/** The name of an event id; `event_<id>` for one that the vendor's table does not have. */
export const mediaEventName = (id: number): string => BY_ID.get(id)?.name ?? `event_${id}`;

/** What ParamOne says of an event in a word; '' where it says nothing, or is a quantity. */
export function mediaEventParameter(id: number, paramOne: number): string {
  const parameters: Readonly<Record<number, string>> | undefined = BY_ID.get(id)?.parameters;
  return parameters !== undefined && Object.hasOwn(parameters, paramOne) ? (parameters[paramOne] ?? '') : '';
}
