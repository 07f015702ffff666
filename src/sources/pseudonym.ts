/**
 * Pseudonyms of users (docs/privacy.md):
 *
 *   app key    = HMAC-SHA256(privacy.key, "callstream:" + app id)
 *   pseudonym  = "p-" + the first 32 hexadecimal digits of HMAC-SHA256(app key, user id)
 *
 * Text is UTF-8. So a user has one pseudonym in an app, another in any other, and none without the key.
 *
 * A sealed user is the pseudonym and the id itself, encrypted: AES-256-CTR under HMAC-SHA256(privacy.key, "callstream-seal:" + app id) with the pseudonym's
 * 16 bytes as the initial counter. The pseudonym is a MAC of what is encrypted, so this is a synthetic IV (as in RFC 5297): equal ids give equal texts, and a damaged one is found out.
 */
import { createCipheriv, createDecipheriv } from 'node:crypto';
import { hmacSha256 } from './sign/digest.js';

const FORM = /^p-[0-9a-f]{32}$/;
const MAC_BYTES = 16;

/** Whether an id has the form of a pseudonym: it is taken for one, and never hashed again. */
export const isPseudonym = (userId: string): boolean => FORM.test(userId);

interface AppKeys {
  mac: Buffer;
  seal: Buffer;
}

/** Pseudonyms under one key. A function of its arguments: what it remembers are keys of apps. */
export class Pseudonyms {
  readonly #key: string;
  readonly #keys = new Map<string, AppKeys>();

  constructor(key: string) {
    this.#key = key;
  }

  /** Of what is a pseudonym already: itself. Of nobody (''): nobody. */
  of(appId: string, userId: string): string {
    return userId === '' || isPseudonym(userId) ? userId : `p-${this.#mac(appId, userId).toString('hex')}`;
  }

  /** `<pseudonym>:<base64url>` of a user's real id. */
  seal(appId: string, userId: string): string {
    const mac = this.#mac(appId, userId);
    const cipher = createCipheriv('aes-256-ctr', this.#keysOf(appId).seal, mac);
    return `p-${mac.toString('hex')}:${Buffer.concat([cipher.update(userId, 'utf8'), cipher.final()]).toString('base64url')}`;
  }

  /** The real id in what {@link seal} gave; null: sealed under another key, or damaged. */
  open(appId: string, sealed: string): string | null {
    const pseudonym = pseudonymIn(sealed);
    if (!isPseudonym(pseudonym)) return null;
    const decipher = createDecipheriv('aes-256-ctr', this.#keysOf(appId).seal, Buffer.from(pseudonym.slice(2), 'hex'));
    const text = Buffer.from(sealed.slice(pseudonym.length + 1), 'base64url');
    const userId = Buffer.concat([decipher.update(text), decipher.final()]).toString('utf8');
    return `p-${this.#mac(appId, userId).toString('hex')}` === pseudonym ? userId : null;
  }

  /** Tells keys apart without telling them: 8 hexadecimal digits. */
  get fingerprint(): string {
    return hmacSha256(this.#key, 'callstream-key').toString('hex').slice(0, 8);
  }

  #mac(appId: string, userId: string): Buffer {
    return hmacSha256(this.#keysOf(appId).mac, userId).subarray(0, MAC_BYTES);
  }

  #keysOf(appId: string): AppKeys {
    const known = this.#keys.get(appId);
    if (known !== undefined) return known;
    const made = { mac: hmacSha256(this.#key, `callstream:${appId}`), seal: hmacSha256(this.#key, `callstream-seal:${appId}`) };
    this.#keys.set(appId, made);
    return made;
  }
}

/** Whose a sealed id is. */
export const pseudonymIn = (sealed: string): string => sealed.slice(0, Math.max(0, sealed.indexOf(':')));
