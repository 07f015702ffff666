import { s } from './dom.js';
import { duration, offset } from './format.js';
import { RECORDING_WORDS } from './recordings.js';
import type { Call, CallEvent, Leg, RecordingOfCall } from './types.js';
import { eventText, OUTCOME_WORDS } from './words.js';

/*
 * The lanes of a ladder: what one user did, and one recording.
 */

/** Heights; lower where there are many. */
export const LANE = { wide: 46, compact: 26 };
/** Width of a character on or beside a bar. */
const LETTER = 6.6;
/** A stretch of a lane: ringing (or calling), then talking. */
interface Stretch {
  kind: 'ring' | 'talk';
  from: number;
  to: number;
  open: boolean;
  /** The event of the user that ended the ringing, when the user did not join. */
  refusal: string | null;
}

/** What ends a callee's ringing without a join; of two at one moment the first listed counts, as it does for the leg's outcome. */
const REFUSALS = ['not_answer_call', 'reject_call', 'ignore_call', 'call_canceled', 'call_interrupted'];

/** The user's own event that decided that a callee did not join: the latest, as for the leg's outcome. */
function refusalOf(leg: Leg, own: readonly CallEvent[]): CallEvent | null {
  if (leg.role === 'caller' || leg.joined_at !== null || leg.outcome === 'answered') return null;
  const refusals = own.filter(({ event }) => REFUSALS.includes(event));
  refusals.sort((a, b) => b.event_at - a.event_at || REFUSALS.indexOf(a.event) - REFUSALS.indexOf(b.event));
  return refusals[0] ?? null;
}

/** What one leg did, as stretches of time. A leg that goes on reaches to `now`. */
export function stretches(leg: Leg, call: Call, own: readonly CallEvent[], now: number): Stretch[] {
  const out: Stretch[] = [];
  const over = call.status === 'ended';
  const end = leg.left_at ?? call.ended_at ?? now;
  const rang = leg.role === 'caller' ? call.started_at : leg.rang_at;
  const refusal = refusalOf(leg, own);
  if (rang !== null)
    out.push({
      kind: 'ring',
      from: rang,
      to: Math.max(rang, leg.joined_at ?? refusal?.event_at ?? end),
      open: leg.joined_at === null && refusal === null && !over,
      refusal: refusal?.event ?? null,
    });
  if (leg.joined_at !== null)
    out.push({ kind: 'talk', from: leg.joined_at, to: Math.max(leg.joined_at, end), open: leg.left_at === null && !over, refusal: null });
  return out;
}

const clip = (text: string, length: number): string => (text.length > length ? `${text.slice(0, length - 1)}…` : text);

export const MARKS: Record<string, 'rang' | 'joined' | 'left' | 'other'> = {
  receive_call: 'rang',
  start_call: 'rang',
  accept_call: 'joined',
  call_accepted: 'joined',
  join_in_group_call: 'joined',
  join: 'joined',
  call_end: 'left',
  call_interrupted: 'left',
  leave: 'left',
};

export function mark(kind: 'rang' | 'joined' | 'left' | 'other', x: number, y: number, title: string): SVGElement {
  const shape =
    kind === 'joined'
      ? s('circle', { cx: x, cy: y, r: 5 })
      : kind === 'rang'
        ? s('path', { d: `M${x} ${y - 6}l6 6l-6 6l-6 -6z` })
        : kind === 'left'
          ? s('rect', { x: x - 4.5, y: y - 4.5, width: 9, height: 9 })
          : s('path', { d: `M${x - 4.5} ${y - 4.5}l9 9m0 -9l-9 9` });
  shape.classList.add('mark', kind);
  shape.append(s('title', {}, title));
  return shape;
}

/** Where things stand in the picture. */
export interface Layout {
  x(at: number): number;
  left: number;
  right: number;
  narrow: boolean;
  compact: boolean;
  /** Height of a lane. */
  lane: number;
}

/** One leg and what is drawn of it. */
export interface Lane {
  leg: Leg;
  parts: Stretch[];
  own: CallEvent[];
}

/** The name of a lane and what is said of it, above it or to its left. */
function laneName(group: SVGGElement, name: string, facts: string, top: number, { narrow, compact, left, lane }: Layout): void {
  const middle = top + lane / 2;
  if (narrow) group.append(s('text', { class: 'name', x: left, y: top + 15 }, clip(name, 22), s('tspan', { class: 'role', dx: 8 }, facts)));
  else if (compact) group.append(s('text', { class: 'name small', x: 4, y: middle + 4 }, clip(name, 24)));
  else
    group.append(
      s('text', { class: 'name', x: 4, y: middle - 3 }, clip(name, 19)),
      s('text', { class: 'role', x: 4, y: middle + 13 }, facts),
    );
  group.append(s('title', {}, `${name}: ${facts}`));
}

const newLane = (kind: string, top: number, height: number, { narrow, left, right }: Layout): SVGGElement =>
  s('g', { class: kind }, s('line', { class: 'rail', x1: narrow ? left : 4, x2: right, y1: top + height, y2: top + height }));

export function laneOf({ leg, parts, own }: Lane, call: Call, top: number, at: Layout): SVGGElement {
  const { x, right, narrow, lane } = at;
  const middle = top + (narrow ? 31 : lane / 2);
  const group = newLane('lane', top, lane, at);
  const facts = call.status === 'ended' ? `${leg.role} · ${OUTCOME_WORDS[leg.outcome].toLowerCase()}` : leg.role;
  laneName(group, leg.user_id, facts, top, at);
  for (const part of parts) {
    const from = x(part.from);
    const bar = s('rect', {
      class: `${part.kind}${part.open ? ' open' : ''} of-${leg.outcome}`,
      x: from,
      y: middle - 7,
      width: Math.max(2, x(part.to) - from),
      height: 14,
      rx: 3,
    });
    const word = part.kind === 'talk' ? 'talk' : leg.role === 'caller' ? 'calling' : 'ringing';
    const lasted = `${word} ${duration(part.to - part.from)}${part.open ? ' so far' : ''}`;
    const refused = part.refusal === null ? null : eventText(part.refusal);
    const whole = refused === null ? lasted : `${lasted}, ${refused}`;
    bar.append(s('title', {}, whole));
    group.append(bar);
    const wide = x(part.to) - from;
    const text = [whole, lasted].find(({ length }) => wide > length * LETTER + 14);
    if (text !== undefined) group.append(s('text', { class: `inside on-${part.kind}`, x: from + wide / 2, y: middle + 4 }, text));
    if (refused !== null && text !== whole) group.append(beside(refused, from, from + wide, middle + 4, right));
  }
  const media = mediaBar(leg, call, middle + 8, at);
  if (media !== null) group.append(media);
  const seen = new Set<string>();
  for (const event of own) {
    // Of thousands of events in one place one is enough to see.
    const place = `${event.event} ${Math.round(x(event.event_at))}`;
    if (!seen.has(place)) group.append(eventMark(event, call, x, middle));
    seen.add(place);
  }
  return group;
}

/** When the user was in the room, by the vendor's media events: a thin bar below the others. Without an end it is drawn as far as the picture goes. */
function mediaBar(
  { user_id, media_joined_at, media_left_at, media_drops }: Leg,
  call: Call,
  y: number,
  { x, right }: Layout,
): SVGElement | null {
  if (media_joined_at === null) return null;
  const to = media_left_at ?? call.ended_at;
  const from = x(media_joined_at);
  const drops = media_drops === 0 ? '' : `, ${media_drops} ${media_drops === 1 ? 'drop' : 'drops'}`;
  const lasted = media_left_at === null ? 'no end known' : duration(Math.max(0, media_left_at - media_joined_at));
  const bar = s('rect', { class: 'media', x: from, y, width: Math.max(2, (to === null ? right : x(to)) - from), height: 4, rx: 2 });
  bar.append(s('title', {}, `${user_id} in the room by media events: ${lasted}${drops}`));
  return bar;
}

/** The part of a recording that lies within the picture. */
export function recordingLane(recording: RecordingOfCall, shown: { from: number; to: number }, top: number, at: Layout): SVGGElement {
  const { x, narrow } = at;
  const middle = top + (narrow ? 31 : LANE.wide / 2);
  const group = newLane('recorded', top, LANE.wide, at);
  const status = RECORDING_WORDS[recording.status].toLowerCase();
  laneName(group, 'Recording', status, top, { ...at, compact: false, lane: LANE.wide });
  const [started, stopped] = [recording.started_at ?? shown.from, recording.stopped_at ?? shown.to];
  const from = x(Math.min(shown.to, Math.max(started, shown.from)));
  const wide = Math.max(2, x(Math.max(shown.from, Math.min(stopped, shown.to))) - from);
  const parts = [
    started < shown.from && `began ${duration(shown.from - started)} before`,
    recording.stopped_at === null ? 'no end known' : stopped > shown.to && `went on ${duration(stopped - shown.to)} after`,
  ].filter((part) => part !== false);
  const text = parts.length === 0 ? 'within the call' : parts.join(', ');
  const bar = s(
    'rect',
    { class: 'record', x: from, y: middle - 7, width: wide, height: 14, rx: 3 },
    s('title', {}, `recording ${recording.task_id}: ${text}`),
  );
  group.append(bar);
  if (wide > text.length * LETTER + 14) group.append(s('text', { class: 'inside', x: from + wide / 2, y: middle + 4 }, text));
  return group;
}

/** Words for which a bar has no room: after its end, or before it where the picture ends. */
function beside(text: string, from: number, to: number, y: number, right: number): SVGElement {
  const after = to + 10 + text.length * LETTER <= right;
  return s('text', { class: 'beside', x: after ? to + 10 : from - 10, y, 'text-anchor': after ? 'start' : 'end' }, text);
}

function eventMark(event: CallEvent, call: Call, x: (at: number) => number, y: number): SVGElement {
  return mark(
    MARKS[event.event] ?? 'other',
    x(event.event_at),
    y,
    `${offset(event.event_at - call.started_at)} ${event.user_id} ${eventText(event.event)}`,
  );
}
