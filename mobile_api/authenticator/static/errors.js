// What can go wrong in the phone. Messages are for a log; what people read is in words/*.json,
// under the name that `word` gives.

/** Something that came from outside is not what docs/phone-protocol.md says it must be. */
export class MessageRefused extends Error {
  /** @param {string} message @param {string} [word] */
  constructor(message, word = "error.refused-message") {
    super(message);
    this.word = word;
  }
}

/** An ask that the service's pinned key did not sign. The signer is told so in plain words. */
export class StrangerAsks extends MessageRefused {
  /** @param {string} message */
  constructor(message) {
    super(message, "error.stranger");
  }
}

/** The phone must not, or cannot, give this answer. */
export class CannotAnswer extends Error {
  /** @param {string} word name of the sentence that tells why */
  constructor(word) {
    super(word);
    this.word = word;
  }
}

/** No answer came, however often the same bytes were sent. */
export class Unreachable extends Error {
  word = "error.unreachable";
}

/** The service answered with a problem document (RFC 9457; section 8.1). */
export class ServerRefused extends Error {
  /**
   * @param {{ name: string, status: number, detail: string, members: Record<string, unknown>,
   *   retryAfterSeconds: number | null }} problem
   */
  constructor({ name, status, detail, members, retryAfterSeconds }) {
    super(`${name} (${status}): ${detail}`);
    this.problem = name;
    this.status = status;
    this.detail = detail;
    this.members = members;
    this.retryAfterSeconds = retryAfterSeconds;
    this.word = `problem.${name}`;
  }
}
