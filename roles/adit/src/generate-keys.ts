import { open } from "node:fs/promises";
import { parseArgs } from "node:util";
import { generateAuthority } from "@adit/role-network";

/** `adit keys generate`: prints a new authority key pair, or keeps the secret in a file and prints the public key. */
export async function generateKeys(argv: readonly string[]): Promise<number> {
  const { values } = parseArgs({ args: [...argv], options: { out: { type: "string" } } });
  const { publicKey, secretKey } = generateAuthority();
  if (values.out === undefined) {
    process.stdout.write(`authority_public_key = "${publicKey}"\nauthority_secret_key = "${secretKey}"\n`);
    return 0;
  }
  try {
    const file = await open(values.out, "wx", 0o600);
    await file.writeFile(`${secretKey}\n`);
    await file.sync();
    await file.close();
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== "EEXIST") throw error;
    process.stderr.write(`${values.out} exists; a key is never overwritten, give another path\n`);
    return 1;
  }
  process.stdout.write(`authority_public_key = "${publicKey}"\nauthority_key_path = "${values.out}"\n`);
  return 0;
}
