/** The user who is to be forgotten: under which pseudonym, and what names the user still. */
import type { Call, Recording } from '../../codec/generated.js';
import type { Pseudonyms } from '../../sources/pseudonym.js';
import { replaceUsers } from '../../sources/user-fields.js';
import { showCall, showRecording } from '../../workers/published.js';
import { Users } from '../../workers/users.js';

export class Subject {
  readonly appId: string;
  readonly userId: string;
  readonly pseudonym: string;
  readonly #users: Users;

  constructor(pseudonyms: Pseudonyms, appId: string, userId: string) {
    this.appId = appId;
    this.userId = userId;
    this.pseudonym = pseudonyms.of(appId, userId);
    const has = (app: string, pseudonym: string): boolean => app === appId && pseudonym === this.pseudonym;
    this.#users = new Users({ pseudonyms, all: false, seals: () => false, forgotten: { has, size: 1, ready: async () => {} } });
  }

  /** In what it is made of, or sealed: what is derived from that says nobody else. */
  isInCall(call: Call): boolean {
    return showCall(call, this.#users) !== call;
  }

  isInRecording(recording: Recording): boolean {
    return showRecording(recording, this.#users) !== recording;
  }

  isUser(userId: string): boolean {
    return this.#users.idOf(this.appId, userId) !== userId;
  }

  /** In a field of a text that names users. */
  isInText(text: string): boolean {
    return replaceUsers(text, (user) => (user === this.userId ? this.pseudonym : user)) !== text;
  }
}
