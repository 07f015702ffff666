import { s } from './dom.js';
import { duration, offset } from './format.js';
import type { CallDetail, CallEvent, Leg } from './types.js';
import { eventText, OUTCOME_WORDS } from './words.js';

const LANE = 46;
const TOP = 34;
/** Width of a character on or beside a bar. */
const LETTER = 6.6;
const STEPS = [1, 2, 5, 10, 15, 30, 60, 120, 300, 600, 900, 1800, 3600, 7200, 14_400, 28_800, 86_400].map((seconds) => seconds * 1000);

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
function refusalOf(leg: Leg, events: readonly CallEvent[]): CallEvent | null {
  if (leg.role === 'caller' || leg.joined_at !== null || leg.outcome === 'answered') return null;
  const own = events.filter(({ user_id, event }) => user_id === leg.user_id && REFUSALS.includes(event));
  own.sort((a, b) => b.event_at - a.event_at || REFUSALS.indexOf(a.event) - REFUSALS.indexOf(b.event));
  return own[0] ?? null;
}

/** What one leg did, as stretches of time. A leg that goes on reaches to `now`. */
function stretches(leg: Leg, { call, events }: CallDetail, now: number): Stretch[] {
  const out: Stretch[] = [];
  const over = call.status === 'ended';
  const end = leg.left_at ?? call.ended_at ?? now;
  const rang = leg.role === 'caller' ? call.started_at : leg.rang_at;
  const refusal = refusalOf(leg, events);
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

/** The legs from top to bottom: the caller, then the callees in the order in which they rang. */
export function lanesOf(detail: Pick<CallDetail, 'legs'>): Leg[] {
  const start = (leg: Leg): number => leg.rang_at ?? leg.joined_at ?? Number.POSITIVE_INFINITY;
  return [...detail.legs].sort((a, b) =>
    a.role === b.role ? start(a) - start(b) || (a.user_id < b.user_id ? -1 : 1) : a.role === 'caller' ? -1 : 1,
  );
}

/** A whole number of seconds without zeros: `5 s`, `1m`, `1m 30s`, `2h`. */
function tick(ms: number): string {
  const seconds = ms / 1000;
  if (seconds < 60) return `${seconds} s`;
  const parts: [number, string][] = [
    [Math.floor(seconds / 3600), 'h'],
    [Math.floor(seconds / 60) % 60, 'm'],
    [seconds % 60, 's'],
  ];
  return parts.flatMap(([n, unit]) => (n > 0 ? [`${n}${unit}`] : [])).join(' ');
}

const clip = (text: string, length: number): string => (text.length > length ? `${text.slice(0, length - 1)}…` : text);

const MARKS: Record<string, 'rang' | 'joined' | 'left' | 'other'> = {
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

/**
 * The call as a ladder: one lane per leg on one time axis. Everything in it is also in the tables below it, so to a screen reader it is one picture.
 * @param width in CSS pixels; below 560 the names stand above their lanes
 */
export function ladder(detail: CallDetail, width: number, now: number): SVGSVGElement {
  const { call } = detail;
  const lanes = lanesOf(detail);
  const narrow = width < 560;
  const left = narrow ? 10 : 172;
  const right = width - 26;
  const all = lanes.map((leg) => stretches(leg, detail, now));
  const times = [
    call.started_at,
    ...(call.ended_at === null ? [now] : [call.ended_at]),
    ...all.flat().flatMap(({ from, to }) => [from, to]),
    ...detail.events.filter(({ event }) => event in MARKS || lanes.length === 0).map(({ event_at }) => event_at),
  ];
  const first = Math.min(...times);
  const length = Math.max(1000, Math.max(...times) - first);
  const x = (at: number): number => left + ((at - first) / length) * (right - left);
  const bottom = TOP + Math.max(1, lanes.length) * LANE;
  const picture = s('svg', {
    class: 'ladder',
    viewBox: `0 0 ${width} ${bottom + 28}`,
    width,
    height: bottom + 28,
    role: 'img',
    'aria-label': `Timeline of the call, ${duration(length)} long, with ${lanes.length} participants. The tables below have every time.`,
  });
  const step = STEPS.find((candidate) => (candidate / length) * (right - left) >= (narrow ? 74 : 92)) ?? STEPS.at(-1)!;
  for (let at = 0; at <= length; at += step) {
    const at_x = x(first + at);
    picture.append(s('line', { class: 'grid', x1: at_x, x2: at_x, y1: TOP - 6, y2: bottom }));
    if (at_x < right - 20 || at === 0)
      picture.append(s('text', { class: 'tick', x: at_x, y: bottom + 18 }, at === 0 ? '0 s' : `+${tick(at)}`));
  }
  guides(picture, detail, x, bottom);
  lanes.forEach((leg, i) => {
    picture.append(lane(leg, all[i]!, detail, TOP + i * LANE, { x, left, right, narrow }));
  });
  return picture;
}

/** Start, accept and end of the call; a name that would run into the one before it is left out. */
function guides(picture: SVGSVGElement, { call }: CallDetail, x: (at: number) => number, bottom: number): void {
  let free = Number.NEGATIVE_INFINITY;
  const lines: [string, number | null][] = [
    ['started', call.started_at],
    ['accepted', call.accepted_at],
    ['ended', call.ended_at],
  ];
  for (const [name, at] of lines) {
    if (at === null) continue;
    const line = x(at);
    picture.append(s('line', { class: 'guide', x1: line, x2: line, y1: TOP - 8, y2: bottom }));
    const text = name === 'started' ? name : `${name} ${offset(at - call.started_at)}`;
    const wide = text.length * 6.4;
    const end = name === 'ended';
    const from = end ? line - wide : line;
    if (from < free) continue;
    free = from + wide + 10;
    picture.append(s('text', { class: 'guide-name', x: line, y: TOP - 14, 'text-anchor': end ? 'end' : 'start' }, text));
  }
}

function lane(
  leg: Leg,
  parts: Stretch[],
  detail: CallDetail,
  top: number,
  at: { x: (at: number) => number; left: number; right: number; narrow: boolean },
): SVGGElement {
  const { x, left, right, narrow } = at;
  const middle = top + (narrow ? 31 : LANE / 2);
  const group = s('g', { class: 'lane' }, s('line', { class: 'rail', x1: narrow ? left : 4, x2: right, y1: top + LANE, y2: top + LANE }));
  const facts = detail.call.status === 'ended' ? `${leg.role} · ${OUTCOME_WORDS[leg.outcome].toLowerCase()}` : leg.role;
  if (narrow)
    group.append(s('text', { class: 'name', x: left, y: top + 15 }, clip(leg.user_id, 22), s('tspan', { class: 'role', dx: 8 }, facts)));
  else
    group.append(
      s('text', { class: 'name', x: 4, y: middle - 3 }, clip(leg.user_id, 21)),
      s('text', { class: 'role', x: 4, y: middle + 13 }, facts),
    );
  group.append(s('title', {}, `${leg.user_id}: ${facts}`));
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
  for (const event of detail.events)
    if (event.user_id === leg.user_id && event.event !== 'record' && event.event !== 'media')
      group.append(eventMark(event, detail, x, middle));
  return group;
}

/** Words for which a bar has no room: after its end, or before it where the picture ends. */
function beside(text: string, from: number, to: number, y: number, right: number): SVGElement {
  const after = to + 10 + text.length * LETTER <= right;
  return s('text', { class: 'beside', x: after ? to + 10 : from - 10, y, 'text-anchor': after ? 'start' : 'end' }, text);
}

function eventMark(event: CallEvent, { call }: CallDetail, x: (at: number) => number, y: number): SVGElement {
  return mark(
    MARKS[event.event] ?? 'other',
    x(event.event_at),
    y,
    `${offset(event.event_at - call.started_at)} ${event.user_id} ${eventText(event.event)}`,
  );
}
