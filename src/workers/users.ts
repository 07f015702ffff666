import { emptyRecording, type RecordingInput, type RecordingState, withInput } from '../domain/recording.js';
import { addInput, addSealed, emptyState } from '../domain/state.js';
import type { CallInput, CallState } from '../domain/types.js';
import type { Delivery } from '../sources/element.js';
import { isPseudonym, type Pseudonyms, pseudonymIn } from '../sources/pseudonym.js';
import { readRecordText } from '../sources/readers.js';
import { replaceUser, replaceUsers, replaceUsersOf } from '../sources/user-fields.js';

/** Users who are to be forgotten: by app and pseudonym. */
export interface ForgottenUsers {
  has(appId: string, pseudonym: string): boolean;
  readonly size: number;
  /** Resolves once the list is as new as {@link ForgottenUsers.has} may be; rejects when it cannot be read. */
  ready(): Promise<void>;
}

const NOBODY: ForgottenUsers = { has: () => false, size: 0, ready: async () => {} };

export interface UserRules {
  /** null: there is no key, so ids stay as they come. */
  pseudonyms: Pseudonyms | null;
  /** Every user goes by a pseudonym; else only those that are forgotten. */
  all: boolean;
  /** Whether a vendor is asked about users of an app, so that their ids must be there, sealed. */
  seals(appId: string): boolean;
  forgotten?: ForgottenUsers;
}

/** A delivery as workers read it, and the sealed ids of its users, by pseudonym. */
export type ShownDelivery<D extends Delivery> = D & { sealed?: ReadonlyMap<string, string> };

/**
 * Under which ids users go in everything that workers write. Workers read each delivery through {@link show}, before toInputs, and what they have published
 * themselves through {@link ofState}: so a call never has one user under two ids, whenever the rules change. Showing twice is showing once.
 */
export class Users {
  readonly #rules: UserRules;
  readonly #forgotten: ForgottenUsers;

  constructor(rules: UserRules) {
    this.#rules = rules;
    this.#forgotten = rules.forgotten ?? NOBODY;
  }

  /** Before anything is read: the list of forgotten users is new enough. Rejects when it cannot be read. */
  ready(): Promise<void> {
    return this.#forgotten.ready();
  }

  /** Nobody has another id than the one that came. */
  get asTheyCome(): boolean {
    const { pseudonyms, all } = this.#rules;
    return pseudonyms === null || (!all && this.#forgotten.size === 0);
  }

  /** The id that one user goes by. */
  idOf(appId: string, userId: string): string {
    return this.asTheyCome ? userId : replaceUser(userId, (user) => this.#shown(appId, user, null));
  }

  show<D extends Delivery>(raw: D): ShownDelivery<D> {
    if (this.asTheyCome) return raw;
    const sealed = new Map<string, string>();
    const shown = replaceUsersOf(raw, (user) => this.#shown(raw.app_id, user, sealed));
    return sealed.size === 0 ? shown : { ...shown, sealed };
  }

  /** What an input says with these users; the very same where none has another id. */
  textOf(appId: string, text: string): string {
    return this.asTheyCome ? text : replaceUsers(text, (user) => this.#shown(appId, user, null));
  }

  /** The state of a call as it would be, had its inputs come today; the very same where nothing differs. */
  ofState(state: CallState): CallState {
    if (this.asTheyCome) return state;
    const { app_id } = state;
    const sealed = new Map<string, string>();
    const replace = (user: string): string => this.#shown(app_id, user, sealed);
    const shown = emptyState(state);
    shown.timed_out = state.timed_out;
    let same = true;
    for (const input of [...state.events, ...state.records, ...state.media]) {
      const other = shownInput(input, replace);
      same &&= other === input;
      addInput(shown, other);
    }
    const kept = state.sealed_users.filter((each) => !this.#forgotten.has(app_id, pseudonymIn(each)));
    if (same && kept.length === state.sealed_users.length) return state;
    addSealed(shown, kept);
    addSealed(shown, sealed.values());
    return shown;
  }

  /** As {@link ofState}, of a recording: the very same where nothing differs. */
  ofRecording(state: RecordingState): RecordingState {
    if (this.asTheyCome) return state;
    const idOf = (user: string): string => this.idOf(state.app_id, user);
    const isShown = ({ record_user_id, videos }: RecordingInput): boolean =>
      record_user_id === idOf(record_user_id) && videos.every(({ user_id }) => user_id === idOf(user_id));
    if (state.inputs.every(isShown)) return state;
    return state.inputs
      .map((input) => ({
        ...input,
        record_user_id: idOf(input.record_user_id),
        videos: input.videos.map((video) => ({ ...video, user_id: idOf(video.user_id) })),
      }))
      .reduce(withInput, emptyRecording(state));
  }

  /** Sealed ids of the users of an input that has come with a delivery. */
  sealedOf(input: CallInput, { sealed }: ShownDelivery<Delivery>): string[] {
    if (sealed === undefined || input.kind === 'media') return [];
    const users = input.kind === 'event' ? [input.user_id] : [input.fields.caller, ...input.fields.users];
    return [...new Set(users)].flatMap((user) => sealed.get(user) ?? []);
  }

  /** The ids that the vendor knows these users by; those that are forgotten, or whose id is not there, are left out. */
  realIds(appId: string, users: readonly string[], sealed: readonly string[]): string[] {
    const { pseudonyms } = this.#rules;
    const bySeal = new Map(sealed.map((each) => [pseudonymIn(each), each]));
    return users.flatMap((user) => {
      if (!isPseudonym(user)) return [user];
      const seal = bySeal.get(user);
      return seal === undefined || pseudonyms === null ? [] : (pseudonyms.open(appId, seal) ?? []);
    });
  }

  #shown(appId: string, user: string, sealed: Map<string, string> | null): string {
    const { pseudonyms, all, seals } = this.#rules;
    if (pseudonyms === null || isPseudonym(user)) return user;
    const pseudonym = pseudonyms.of(appId, user);
    if (this.#forgotten.size > 0 && this.#forgotten.has(appId, pseudonym)) return pseudonym;
    if (!all) return user;
    if (sealed !== null && !sealed.has(pseudonym) && seals(appId)) sealed.set(pseudonym, pseudonyms.seal(appId, user));
    return pseudonym;
  }
}

/** Every user under the id that came: for installations without a key. */
export const AS_THEY_COME = new Users({ pseudonyms: null, all: false, seals: () => false });

function shownInput(input: CallInput, replace: (user: string) => string): CallInput {
  if (input.kind === 'event') {
    const user_id = replaceUser(input.user_id, replace);
    return user_id === input.user_id ? input : { ...input, user_id };
  }
  const text = replaceUsers(input.text, replace);
  if (input.kind === 'record') return text === input.text ? input : { ...input, text, fields: readRecordText(input.origin, text) };
  const user_id = replaceUser(input.user_id, replace);
  return text === input.text && user_id === input.user_id ? input : { ...input, user_id, text };
}
