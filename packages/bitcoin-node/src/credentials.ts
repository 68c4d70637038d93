import { open } from "node:fs/promises";

/** How to log in: by the cookie file a node writes when it starts, or by user and password. */
export type NodeAuth = { readonly cookiePath: string } | { readonly user: string; readonly password: string };

/** Core's cookie is 75 bytes; what is larger than this is some other file. */
const MAX_COOKIE_BYTES = 1024;

/** A cookie file that cannot be used; the message says why and what to do. */
export class CookieError extends Error {
  override readonly name = "CookieError";
}

/** The `Authorization` header of a node's RPC port. A cookie is read when it is first needed, and again when it is refused. */
export class Credentials {
  readonly #auth: NodeAuth;
  #header: string | undefined;

  constructor(auth: NodeAuth) {
    this.#auth = auth;
    if ("user" in auth) this.#header = basic(`${auth.user}:${auth.password}`);
  }

  /** What the node refuses when these credentials are wrong, for a message. */
  get source(): string {
    return "user" in this.#auth ? "user and password" : `the cookie in ${this.#auth.cookiePath}`;
  }

  /**
   * The header to send.
   *
   * @throws CookieError when the cookie cannot be read.
   */
  async current(): Promise<string> {
    this.#header ??= basic(await this.#cookie());
    return this.#header;
  }

  /**
   * The header to send after the node refused `refused`: another one when the cookie has changed, else undefined.
   *
   * @throws CookieError when the cookie cannot be read.
   */
  async renewed(refused: string): Promise<string | undefined> {
    if ("user" in this.#auth) return undefined;
    this.#header = basic(await this.#cookie());
    return this.#header === refused ? undefined : this.#header;
  }

  async #cookie(): Promise<string> {
    const path = "user" in this.#auth ? "" : this.#auth.cookiePath;
    let text: string;
    try {
      text = await readStart(path);
    } catch (cause) {
      const code = (cause as NodeJS.ErrnoException).code ?? "unreadable";
      throw new CookieError(
        `the cookie file ${path} cannot be read (${code}); check that the node runs with server=1 and without ` +
          "rpcpassword, that the path is in the data directory of its network, and that this user may read the file",
        { cause },
      );
    }
    if (/^[^:\s]+:\S+\s*$/.test(text)) return text.trim();
    throw new CookieError(`${path} is no cookie file; give the path of the file .cookie in the node's data directory`);
  }
}

async function readStart(path: string): Promise<string> {
  await using file = await open(path);
  const { bytesRead, buffer } = await file.read(new Uint8Array(MAX_COOKIE_BYTES), 0, MAX_COOKIE_BYTES, 0);
  return new TextDecoder().decode(buffer.subarray(0, bytesRead));
}

function basic(userAndPassword: string): string {
  return `Basic ${Buffer.from(userAndPassword).toString("base64")}`;
}
