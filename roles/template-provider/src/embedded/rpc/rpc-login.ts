import { randomBytes } from "node:crypto";
import { rename, rm, writeFile } from "node:fs/promises";
import { join } from "node:path";

/** What callers have to log in with. Disposing it removes the cookie file, if there is one. */
export interface RpcLogin extends AsyncDisposable {
  /** `user:password`. */
  readonly login: string;
  /** The file that has it; null when the config has user and password. */
  readonly cookiePath: string | null;
}

/** User and password of the config. */
export function passwordLogin(user: string, password: string): RpcLogin {
  return { login: `${user}:${password}`, cookiePath: null, [Symbol.asyncDispose]: () => Promise.resolve() };
}

/**
 * A new password in the file `.cookie` of a folder, readable for this user alone, as Bitcoin Core makes one at each
 * start. Errors of the file system as they are.
 */
export async function cookieLogin(folder: string): Promise<RpcLogin> {
  const login = `__cookie__:${randomBytes(32).toString("hex")}`;
  const cookiePath = join(folder, ".cookie");
  const unfinished = `${cookiePath}.tmp`;
  // What a crash left has the rights it was made with.
  await rm(unfinished, { force: true });
  await writeFile(unfinished, login, { mode: 0o600, flag: "wx" });
  await rename(unfinished, cookiePath);
  return { login, cookiePath, [Symbol.asyncDispose]: () => rm(cookiePath, { force: true }) };
}
